//! ECR's API: the repository and its settings, what it holds, the login of the registry.

use bytes::Bytes;
use secrecy::SecretString;
use serde::Serialize;

use super::{Aws, unwritten};
use crate::error::{Failure, Unseen};
use crate::names::{Digest, ImageRef, Repository, Tag};

/// What DescribeRepositories says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepositoryState {
    /// It is there.
    Found(FoundRepository),
    /// It is not.
    Missing,
    /// We may not look: the right is optional.
    NotSeen(Unseen),
}

/// A repository and its settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundRepository {
    /// `host/name`, with neither tag nor digest.
    pub uri: ImageRef,
    /// Its ARN.
    pub arn: String,
    /// Which tags may be overwritten.
    pub mutability: Mutability,
    /// Whether an image is scanned when it is pushed.
    pub scan_on_push: bool,
    /// How it is encrypted.
    pub encryption: Encryption,
}

/// Which tags may be overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mutability {
    /// The rule.
    pub mutable: bool,
    /// Tag patterns (`*` for anything) for which the opposite holds.
    pub exclusions: Vec<String>,
}

impl Mutability {
    /// Whether this tag may be overwritten.
    #[must_use]
    pub fn may_overwrite(&self, tag: &Tag) -> bool {
        let _ = tag;
        self.mutable
    }
}

/// How a repository is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// By keys of AWS's own.
    Aes256,
    /// By a KMS key, whose policy readers need too.
    Kms {
        /// Its ARN, where it is told.
        key: Option<String>,
    },
}

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

/// What the registry's own API wants.
#[derive(Clone, Debug)]
pub struct RegistryLogin {
    /// `proxyEndpoint`: scheme and host.
    pub endpoint: String,
    /// `AWS`.
    pub user: String,
    /// The password: about 12 hours old at most.
    pub password: SecretString,
    /// When it ends.
    pub expires: Option<jiff::Timestamp>,
}

impl Aws {
    /// Reads a repository and its settings; a missing right is a state of its own.
    ///
    /// # Errors
    /// When AWS cannot be reached, does not know us, or does not answer.
    pub async fn repository(&self, repository: &Repository) -> Result<RepositoryState, Failure> {
        let _ = repository;
        Err(unwritten())
    }

    /// Creates a repository: immutable tags, scan on push. If somebody was faster, theirs is taken.
    ///
    /// # Errors
    /// When it may not be created.
    pub async fn create_repository(
        &self,
        repository: &Repository,
    ) -> Result<FoundRepository, Failure> {
        let _ = repository;
        Err(unwritten())
    }

    /// The names of the repositories, for a did-you-mean: the first thousand.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn repositories(&self) -> Result<Vec<Repository>, Unseen> {
        Err(Unseen { what: "repositories".into(), because: "not written yet".into() })
    }

    /// Reads an image's manifest, byte for byte, and checks its digest.
    ///
    /// # Errors
    /// When the repository is missing, may not be read, or gives bytes of another digest.
    pub async fn image<'a>(
        &self,
        repository: &Repository,
        by: impl Into<By<'a>> + Send,
    ) -> Result<Option<EcrImage>, Failure> {
        let _ = (repository, by);
        Err(unwritten())
    }

    /// Which of these digests are still there.
    ///
    /// # Errors
    /// When the repository may not be read.
    pub async fn present(
        &self,
        repository: &Repository,
        digests: &[Digest],
    ) -> Result<Vec<Digest>, Unseen> {
        let _ = (repository, digests);
        Err(Unseen { what: "images".into(), because: "not written yet".into() })
    }

    /// Takes the login of the registry.
    ///
    /// # Errors
    /// When it is not given.
    pub async fn registry_login(&self) -> Result<RegistryLogin, Failure> {
        Err(unwritten())
    }
}
