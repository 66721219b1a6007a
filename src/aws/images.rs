//! What a repository holds: manifests byte for byte, their digests checked.

use aws_sdk_ecr::types::{Image, ImageFailure, ImageFailureCode, ImageIdentifier};
use bytes::Bytes;

use super::Aws;
use super::ecr::unclear;
use super::fault::Fault;
use crate::error::{Code, Failure, Unseen, quoted};
use crate::names::{Digest, Repository, Tag};

/// Every kind of manifest there is. What is not listed here, ECR converts or refuses, and converted
/// bytes have another digest.
const ACCEPTED: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// The most that one BatchGetImage takes.
const AT_ONCE: usize = 100;

/// How an image is asked for.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// By tag.
    Tag(&'a Tag),
    /// By digest.
    Digest(&'a Digest),
}

impl<'a> From<&'a Tag> for By<'a> {
    fn from(tag: &'a Tag) -> Self {
        Self::Tag(tag)
    }
}

impl<'a> From<&'a Digest> for By<'a> {
    fn from(digest: &'a Digest) -> Self {
        Self::Digest(digest)
    }
}

impl By<'_> {
    fn id(self) -> ImageIdentifier {
        let id = ImageIdentifier::builder();
        match self {
            Self::Tag(tag) => id.image_tag(tag.as_str()).build(),
            Self::Digest(digest) => id.image_digest(digest.as_str()).build(),
        }
    }
}

/// An image in ECR: its digest is that of `manifest`, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrImage {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub manifest: Bytes,
}

impl Aws {
    /// Reads an image's manifest, byte for byte, and checks its digest.
    ///
    /// # Errors
    /// When the repository is missing, may not be read, or gives bytes of another digest.
    pub async fn image<'a>(
        &self,
        repository: &Repository,
        by: impl Into<By<'a>> + Send,
    ) -> Result<Option<EcrImage>, Failure> {
        let by = by.into();
        let (images, failures) = match self.batch(repository, vec![by.id()]).await {
            Ok(answer) => answer,
            Err(fault) if fault.code() == "RepositoryNotFoundException" => {
                return Err(self.repository_missing(repository).await);
            }
            Err(fault) => {
                return Err(fault.failure(&self.ecr_place(self.repository_arn(repository))));
            }
        };
        match (images.into_iter().next(), failures.first()) {
            (Some(image), _) => checked(repository, by, image).map(Some),
            (None, Some(failure)) if !absent(failure) => Err(not_read(repository, failure)),
            (None, _) => Ok(None),
        }
    }

    /// Which of these digests are still there.
    ///
    /// # Errors
    /// When the repository may not be read, or ECR could not tell.
    pub async fn present(
        &self,
        repository: &Repository,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, Unseen> {
        let mut there = Vec::new();
        for some in digests.chunks(AT_ONCE) {
            let ids = some.iter().map(|digest| By::Digest(digest).id()).collect();
            let (images, failures) = match self.batch(repository, ids).await {
                Ok(answer) => answer,
                Err(fault) if fault.code() == "RepositoryNotFoundException" => return Ok(vec![]),
                Err(fault) => return Err(fault.unseen("images")),
            };
            if let Some(failure) = failures.iter().find(|f| !absent(f)) {
                return Err(Unseen { what: "images".into(), because: reason(failure) });
            }
            let told: Vec<_> = images.iter().filter_map(|i| i.image_id()?.image_digest()).collect();
            there.extend(some.iter().filter(|d| told.contains(&d.as_str())).cloned());
        }
        Ok(there)
    }

    async fn batch(
        &self,
        repository: &Repository,
        ids: Vec<ImageIdentifier>,
    ) -> Result<(Vec<Image>, Vec<ImageFailure>), Fault> {
        let request = self
            .0
            .ecr
            .batch_get_image()
            .repository_name(repository.as_str())
            .set_image_ids(Some(ids))
            .set_accepted_media_types(Some(ACCEPTED.map(ToOwned::to_owned).to_vec()));
        let answer = self.ask("ecr:BatchGetImage", || request.clone().send()).await?;
        Ok((answer.images.unwrap_or_default(), answer.failures.unwrap_or_default()))
    }
}

fn checked(repository: &Repository, by: By<'_>, image: Image) -> Result<EcrImage, Failure> {
    let told = image.image_id().and_then(|id| id.image_digest()).unwrap_or_default().to_owned();
    let Some(manifest) = image.image_manifest else {
        return Err(unclear(
            "ecr:BatchGetImage",
            &format!("`{repository}`: no manifest for {told}"),
        ));
    };
    let digest = Digest::of(manifest.as_bytes());
    let asked = match by {
        By::Digest(digest) => digest.as_str(),
        By::Tag(_) => told.as_str(),
    };
    if digest.as_str() != told || digest.as_str() != asked {
        let why = format!("`{repository}`: a manifest of {} for {}", digest.short(), quoted(asked));
        return Err(unclear("ecr:BatchGetImage", &why));
    }
    let media_type = image.image_manifest_media_type.or_else(|| media_type(&manifest));
    let media_type = media_type.ok_or_else(|| {
        unclear(
            "ecr:BatchGetImage",
            &format!("`{repository}`: {} has no media type", digest.short()),
        )
    })?;
    Ok(EcrImage { digest, media_type, manifest: manifest.into() })
}

fn media_type(manifest: &str) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_str(manifest).ok()?;
    manifest.get("mediaType")?.as_str().map(ToOwned::to_owned)
}

fn absent(failure: &ImageFailure) -> bool {
    failure.failure_code() == Some(&ImageFailureCode::ImageNotFound)
}

fn reason(failure: &ImageFailure) -> String {
    failure.failure_code().map_or_else(|| "no reason given".into(), |code| code.as_str().to_owned())
}

fn not_read(repository: &Repository, failure: &ImageFailure) -> Failure {
    let said = quoted(failure.failure_reason().unwrap_or_default());
    let next = match failure.failure_code() {
        Some(ImageFailureCode::KmsError) => {
            "allow kms:Decrypt on the repository's key to the identity of this run"
        }
        _ => {
            "look at the image in ECR; a pull-through cache answers like this while its upstream is away"
        }
    };
    Failure::new(Code::AwsAnswer, format!("an image of `{repository}` cannot be read"))
        .why(format!("`ecr:BatchGetImage` answered {}: {said}", reason(failure)))
        .next(next)
}
