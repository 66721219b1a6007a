//! What can be wrong with an image that was given: one sentence, one file and one fix each.

use std::io;

use super::inspect::Descriptor;
use crate::error::{Code, Failure, quoted};
use crate::names::Digest;

/// `SW-IMAGE-INVALID` with a sentence that names the file.
pub(super) fn invalid(what: impl Into<String>) -> Failure {
    Failure::new(Code::ImageInvalid, what)
}

/// The fix of everything that was cut, lost or edited on its way here.
const AGAIN: &str = "write it again: `docker save -o image.tar NAME`, or `docker buildx build --output type=oci,dest=image.tar`";

pub(super) fn unreadable(place: &str, error: &io::Error) -> Failure {
    invalid(format!("`{place}` cannot be read"))
        .why(error.to_string())
        .next("let this user read it, and let nothing else write it meanwhile")
}

pub(super) fn digest(place: &str, named: &Digest, read: &Digest) -> Failure {
    invalid(format!("`{place}` does not hold what its name says"))
        .why(format!("it should be {named}, its bytes are {read}"))
        .next(AGAIN)
}

pub(super) fn size(place: &str, said: &Descriptor, found: u64) -> Failure {
    invalid(format!("`{place}` has the wrong length"))
        .why(format!("its manifest says {} bytes, it has {found}", said.size))
        .next(AGAIN)
}

pub(super) fn export(shown: &str, said: &str) -> Failure {
    invalid(format!("`{shown}` did not come out of the engine whole"))
        .why(format!("the engine's export of it: {said}"))
        .next("run it again; if it stays, build the image again: the engine's copy is broken")
}

pub(super) fn missing(shown: &str, path: &str, wanted_by: &str) -> Failure {
    invalid(format!("`{shown}` is not whole: `{path}` is missing"))
        .why(format!("{wanted_by} names it"))
        .next(AGAIN)
}

pub(super) fn malformed(place: &str, said: &str) -> Failure {
    invalid(format!("`{place}` cannot be used: it is {said}")).next(AGAIN)
}

pub(super) fn outside(shown: &str, path: &str) -> Failure {
    invalid(format!("`{shown}` names a file outside itself"))
        .why(format!("`{path}` leads out of it; what is pushed must be in it"))
        .next(format!("copy it with what its links lead to: cp -rL {shown} COPY"))
}

pub(super) fn layer_type(shown: &str, layer: &Descriptor) -> Failure {
    let what = format!("`{shown}` has a layer that cannot be pushed: {}", layer.digest.short());
    if is_foreign(layer) {
        return invalid(what)
            .why(format!("`{}`: its bytes are to be fetched elsewhere", layer.media_type))
            .next("build on a base image whose layers may be distributed");
    }
    invalid(what)
        .why(format!("its media type is {}", quoted(&layer.media_type)))
        .next("build it with plain, gzip or zstd layers, not encrypted")
}

/// Layers that registries do not hold: the base layers of Windows, mostly.
pub(super) fn is_foreign(layer: &Descriptor) -> bool {
    let named = ["foreign", "nondistributable"].iter().any(|word| layer.media_type.contains(word));
    named || !layer.urls.is_empty()
}
