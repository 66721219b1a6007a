//! Where an image comes from when nothing is built: an OCI layout folder or a docker-archive.
//!
//! [`open`] looks at all of it and sends nothing. No byte is believed for its name: manifests and
//! configs are checked when they are read, layers while they are. Leans on `names` and `error`
//! alone.

mod archive;
mod blob;
mod compress;
mod gather;
mod gzip;
mod inspect;
mod joined;
mod layout;
mod presses;
mod saved;
mod shelf;
mod streamed;
mod wrong;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::error::{Code, Failure, one_line};
use crate::names::{Digest, Platform};

use compress::Workshop;
use shelf::Shelf;

pub use blob::{Blob, Kind, Opener, Pieces};
pub use inspect::{
    Config, Descriptor, Inspected, MANIFESTS, OCI_INDEX, inspect, inspect_config, is_index,
};
pub use joined::{Entry, joined};
pub use saved::{Found, Reading, SaveStream, Saved};
pub use streamed::{Broken, Sealed, Streamed};

/// An image that can be pushed: everything that has to be in the registry, by digest.
#[derive(Clone, Debug)]
pub struct Image {
    /// What was typed.
    pub shown: String,
    /// It is a folder with a layout in it, not a file.
    pub is_folder: bool,
    /// The manifest or index that the tag will name.
    pub root: Manifest,
    /// The manifests below it, each after those that it names itself.
    pub children: Vec<Manifest>,
    /// Configs and layers, each once.
    pub blobs: Vec<Blob>,
    /// What it runs on: attestations are not platforms.
    pub platforms: Vec<Platform>,
    /// The config of each platform's image.
    pub configs: Vec<Configured>,
}

impl Image {
    /// The bytes of all layers and configs together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

/// A manifest or an index, byte for byte: its digest is its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the bytes.
    pub digest: Digest,
    /// One of the four media types that [`inspect`] knows.
    pub media_type: String,
    /// As they were stored.
    pub bytes: Bytes,
}

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The manifest that names the config.
    pub manifest: Digest,
    /// The config.
    pub digest: Digest,
    /// The platform of the config, which is what a node looks at.
    pub platform: Platform,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment, as `NAME=VALUE`. May hold what should not be there.
    pub env: Vec<String>,
    /// What made it, the oldest step first. May hold it, too.
    pub history: Vec<String>,
}

/// Opens what was typed: a folder with an OCI layout or a file of `docker save`, and after a last
/// colon the tag to pick where it holds several images.
///
/// The work is done on a blocking thread, which ends soon after the future is dropped. Plain layers
/// of an archive are compressed here, into an unlinked file under `TMPDIR`, `RUNNER_TEMP`, `/tmp`
/// or
/// the archive's own folder.
///
/// # Errors
/// `SW-IMAGE-MISSING` where nothing is there, `SW-IMAGE-INVALID` where it cannot be pushed as it
/// is.
pub async fn open(shown: &str) -> Result<Image, Failure> {
    let stop = StopOnDrop::default();
    let (shown, flag) = (shown.to_owned(), Arc::clone(&stop.0));
    let opened = tokio::task::spawn_blocking(move || open_now(&shown, &flag)).await;
    opened.unwrap_or_else(|error| {
        Err(Failure::new(Code::RunBug, "the image could not be read")
            .why(one_line(&error.to_string(), 200)))
    })
}

/// Tells the blocking thread that nobody waits for it any more.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn open_now(shown: &str, stop: &AtomicBool) -> Result<Image, Failure> {
    let (path, tag) = located(shown)?;
    let typed = path.to_string_lossy();
    if path.is_dir() {
        let shelf = Shelf::folder(&typed, &path)?;
        if !layout::is_layout(&shelf)? {
            return Err(no_layout(&typed, &path));
        }
        return layout::from_folder(&shelf, tag).map(|image| called(shown, true, image));
    }
    let said = ["TMPDIR", "RUNNER_TEMP"].map(|name| std::env::var_os(name).map(PathBuf::from));
    let shop = Workshop { folder: compress::scratch(said, &path), stop };
    archive::from_file(&typed, &path, tag, &shop).map(|image| called(shown, false, image))
}

/// The path that was typed, and the tag after its last colons: whatever is there under the longest
/// name.
fn located(shown: &str) -> Result<(PathBuf, Option<&str>), Failure> {
    let whole = Path::new(shown);
    if whole.exists() {
        return Ok((whole.into(), None));
    }
    let mut looked = vec![format!("`{shown}`")];
    for (at, _) in shown.rmatch_indices(':') {
        let (path, tag) = (Path::new(&shown[..at]), &shown[at + 1..]);
        if at > 0 && !tag.is_empty() && path.exists() {
            return Ok((path.into(), Some(tag)));
        }
        looked.push(format!("`{}`", &shown[..at]));
    }
    let here = std::env::current_dir().unwrap_or_default();
    let from =
        if whole.is_absolute() { String::new() } else { format!(" in `{}`", here.display()) };
    Err(Failure::new(Code::ImageMissing, format!("image `{shown}` is not there"))
        .why(format!("looked for {}{from}: no such file or folder", looked.join(", then ")))
        .next("name a folder with an OCI layout, or a file of `docker save`"))
}

fn no_layout(shown: &str, path: &Path) -> Failure {
    let lacks: Vec<_> =
        ["oci-layout", "index.json"].into_iter().filter(|name| !path.join(name).exists()).collect();
    let unpacked = path.join("manifest.json").exists();
    let next = if unpacked {
        format!(
            "it looks like an unpacked docker-archive: tar -C {shown} -cf image.tar . and give that"
        )
    } else {
        "docker buildx build --output type=oci,tar=false,dest=FOLDER, or docker save -o image.tar NAME"
            .into()
    };
    wrong::invalid(format!("folder `{shown}` is no OCI layout"))
        .why(format!("it has no `{}`", lacks.join("` and no `")))
        .next(next)
}

fn called(shown: &str, is_folder: bool, image: Image) -> Image {
    Image { shown: shown.into(), is_folder, ..image }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
