//! Manifests: kept byte for byte with their media type. What they refer to must be there, and a tag
//! of an immutable repository is never set twice, not even to the same digest.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{error, no_repository};
use crate::answer::{Answer, Broken, answer, json as json_answer, set};
use crate::call::header;
use crate::image::digest as digest_of_bytes;
use crate::sandbox::State;
use crate::world::{Manifest, Repository, World, hold};

/// What a manifest may be sent as, and it has to say the same of itself, if it says anything.
const TYPES: [&str; 4] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// Why a manifest is not taken.
pub(crate) enum Refused {
    /// There is no such repository.
    NoRepository,
    /// The tag exists and cannot be set again.
    Immutable,
    /// These layers are not in the repository.
    NoLayers(Vec<String>),
    /// These images of the index are not in the repository.
    NoImages(Vec<String>),
    /// It is no manifest.
    Invalid(String),
}

impl Refused {
    /// What ECR says, whichever way it was asked.
    pub(crate) fn said(&self, world: &World, repository: &str, reference: &str) -> String {
        let account = &world.account;
        let required = |what: &str, missing: &[String]| {
            format!(
                "{what} with digests '[{}]' required for pushing image into repository with name \
                 '{repository}' in the registry with id '{account}' do not exist",
                missing.join(", ")
            )
        };
        match self {
            Self::NoRepository => no_repository(repository, account),
            Self::Immutable => format!(
                "The image tag '{reference}' already exists in the '{repository}' repository and \
                 cannot be overwritten because the tag is immutable."
            ),
            Self::NoLayers(missing) => required("Layers", missing),
            Self::NoImages(missing) => required("Images", missing),
            Self::Invalid(said) => said.clone(),
        }
    }

    fn answer(&self, said: &str) -> Answer {
        match self {
            Self::NoRepository => error(404, "NAME_UNKNOWN", said),
            Self::Immutable => error(400, "TAG_INVALID", said),
            Self::NoLayers(_) | Self::NoImages(_) => error(400, "MANIFEST_BLOB_UNKNOWN", said),
            Self::Invalid(_) => error(400, "MANIFEST_INVALID", said),
        }
    }
}

/// The digest that a tag or digest names in a repository, if it is there.
pub(crate) fn digest_of(repository: &Repository, reference: &str) -> Option<String> {
    let named = repository.tags.get(reference).map_or(reference, String::as_str);
    repository.manifests.contains_key(named).then(|| named.to_owned())
}

/// Takes a manifest under a tag or its digest, and says the digest.
pub(crate) fn put(
    world: &mut World,
    repository: &str,
    reference: &str,
    media_type: &str,
    bytes: Bytes,
) -> Result<String, Refused> {
    let now = world.now();
    let Some(kept) = world.repositories.get_mut(repository) else {
        return Err(Refused::NoRepository);
    };
    let digest = digest_of_bytes(&bytes);
    let by_digest = reference.starts_with("sha256:");
    if by_digest && reference != digest {
        return Err(Refused::Invalid(format!(
            "The image with digest '{reference}' in repository '{repository}' and registry ID \
             '{}' does not match the image digest that Amazon ECR has calculated.",
            world.account
        )));
    }
    let said = "Invalid parameter at 'ImageManifest' failed to satisfy constraint: \
                'Invalid JSON syntax'";
    let manifest: Value =
        serde_json::from_slice(&bytes).map_err(|_| Refused::Invalid(said.to_owned()))?;
    let typed = manifest["mediaType"].as_str().unwrap_or(media_type);
    if typed != media_type || !TYPES.contains(&media_type) {
        return Err(Refused::Invalid("manifest invalid".to_owned()));
    }
    complete(kept, &manifest)?;
    if !by_digest && kept.immutable && kept.tags.contains_key(reference) {
        return Err(Refused::Immutable);
    }
    let entry = Manifest { media_type: typed.to_owned(), bytes, pushed: now };
    kept.manifests.entry(digest.clone()).or_insert(entry);
    if !by_digest {
        kept.tags.insert(reference.to_owned(), digest.clone());
    }
    Ok(digest)
}

/// Whether everything that a manifest or an index refers to is in its repository.
fn complete(kept: &Repository, manifest: &Value) -> Result<(), Refused> {
    let digests = |key: &str| {
        let list = manifest[key].as_array().into_iter().flatten();
        list.filter_map(|entry| entry["digest"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let mut layers = digests("layers");
    layers.extend(manifest["config"]["digest"].as_str().map(str::to_owned));
    layers.retain(|digest| !kept.blobs.contains_key(digest));
    let mut images = digests("manifests");
    if layers.is_empty() && images.is_empty() && manifest["schemaVersion"] != 2 {
        return Err(Refused::Invalid("Invalid image manifest: no schemaVersion 2".into()));
    }
    images.retain(|digest| !kept.manifests.contains_key(digest));
    match (layers.is_empty(), images.is_empty()) {
        (false, _) => Err(Refused::NoLayers(layers)),
        (_, false) => Err(Refused::NoImages(images)),
        _ => Ok(()),
    }
}

/// PUT of a manifest.
pub(super) async fn put_by_http(
    state: &State,
    repository: &str,
    reference: &str,
    request: Request<Incoming>,
) -> Result<Answer, Broken> {
    let media_type = header(request.headers(), "content-type").to_owned();
    let bytes = request.into_body().collect().await?.to_bytes();
    let mut world = hold(&state.world);
    Ok(match put(&mut world, repository, reference, &media_type, bytes) {
        Ok(digest) => {
            let mut answer = answer(201, "", "");
            set(&mut answer, "Docker-Content-Digest", &digest);
            let place = format!("{}/v2/{repository}/manifests/{digest}", state.url());
            set(&mut answer, "Location", &place);
            answer
        }
        Err(refused) => refused.answer(&refused.said(&world, repository, reference)),
    })
}

/// GET or HEAD of a manifest, in the type it was pushed with.
pub(super) fn answered(state: &State, repository: &str, reference: &str, accept: &str) -> Answer {
    let world = hold(&state.world);
    let kept = world.repositories.get(repository);
    let found = kept.and_then(|kept| {
        let digest = digest_of(kept, reference)?;
        kept.manifests.get(&digest).map(|manifest| (digest, manifest.clone()))
    });
    let Some((digest, manifest)) = found else {
        return error(404, "MANIFEST_UNKNOWN", "Requested image not found");
    };
    // A client that cannot read the type is not given another one.
    if !accept.is_empty() && !accept.contains("*/*") && !accept.contains(&manifest.media_type) {
        return error(404, "MANIFEST_UNKNOWN", "Requested image not found");
    }
    let size = manifest.bytes.len().to_string();
    let mut answer = answer(200, &manifest.media_type, manifest.bytes);
    set(&mut answer, "content-length", &size);
    set(&mut answer, "Docker-Content-Digest", &digest);
    answer
}

/// The tags of a repository.
pub(super) fn tags(state: &State, repository: &str) -> Answer {
    let world = hold(&state.world);
    let kept = world.repositories.get(repository);
    let tags: Vec<_> = kept.into_iter().flat_map(|kept| kept.tags.keys()).collect();
    json_answer(200, &json!({ "name": repository, "tags": tags }))
}
