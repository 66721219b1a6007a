//! The OCI distribution client of one repository: what is there, and putting an image there.
//!
//! Blobs first, manifests after those they name, the tag last; every digest is checked on the way.
//! No ECR API here, only the registry's wire. Leans on `http`, `image`, `names` and `error`.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::Url;
use secrecy::SecretString;

use crate::error::{Code, Failure};
use crate::http::{refuse_plaintext, retry::Patience};
use crate::image::{Blob, Configured, Image, Manifest};
use crate::names::{Digest, Platform, Repository, Tag};

/// User and password for the registry; for ECR `AWS` and the authorization token.
#[derive(Clone, Debug)]
pub struct Login {
    /// Sent as it is.
    pub user: String,
    /// Never printed.
    pub password: SecretString,
}

/// Yields a login, and a new one when it is asked again.
pub type Logins = Arc<dyn Fn() -> BoxFuture<'static, Result<Login, Failure>> + Send + Sync>;

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// What the tag names now.
    Tag(Tag),
    /// This very manifest.
    Digest(Digest),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// How patient a push is: numbers, so that tests pass short ones.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For each blob and each reading.
    pub blob: Patience,
    /// For each manifest.
    pub manifest: Patience,
    /// Without a byte taken for this long an upload is cut and begun again.
    pub stall: std::time::Duration,
    /// For an answer once everything is sent.
    pub answer: std::time::Duration,
    /// For the tag to name what was pushed.
    pub settle: std::time::Duration,
    /// Blobs that are sent at once.
    pub at_once: usize,
}

/// What a push did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// What the tag names now.
    pub digest: Digest,
    /// Layers that were sent.
    pub new: usize,
    /// Their bytes.
    pub new_bytes: u64,
    /// Layers that were there, or in a repository beside it.
    pub reused: usize,
}

/// What a push does while it lasts.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// The registry was asked for every blob: so much is to be sent.
    Compared {
        /// Layers to send.
        missing: usize,
        /// Their bytes.
        bytes: u64,
        /// Layers that are there.
        present: usize,
    },
    /// So much of a blob is sent in this attempt.
    Sent {
        /// Which one.
        blob: &'a Blob,
        /// Bytes, never more than its size.
        bytes: u64,
    },
    /// The blob is there.
    Stored {
        /// Which one.
        blob: &'a Blob,
    },
    /// An attempt did not work, another one follows.
    Again {
        /// What is tried again, for a line: "layer sha256:0123456789ab".
        what: &'a str,
        /// Why.
        why: &'a str,
        /// After this long.
        wait: std::time::Duration,
    },
}

/// What the registry has under a reference, read down to the configs.
#[derive(Clone, Debug)]
pub struct Held {
    /// The manifest or index.
    pub manifest: Manifest,
    /// What it runs on.
    pub platforms: Vec<Platform>,
    /// The config of each platform's image, with its labels.
    pub configs: Vec<Configured>,
}

/// One repository of one registry.
#[derive(Clone)]
pub struct Registry {
    http: reqwest::Client,
    base: Url,
    repository: Repository,
    logins: Logins,
    pace: Pace,
}

impl Registry {
    /// A client for `repository` at `base`; nothing is sent yet.
    ///
    /// `login` is called before the first request, and once more when the registry says that the
    /// login has expired.
    ///
    /// # Errors
    /// `SW-INPUT-ENDPOINT` where `base` is plaintext off loopback.
    pub fn new<F, L>(
        http: reqwest::Client,
        base: Url,
        repository: Repository,
        login: L,
    ) -> Result<Self, Failure>
    where
        L: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<Login, Failure>> + Send + 'static,
    {
        refuse_plaintext(&base)?;
        let logins: Logins = Arc::new(move || Box::pin(login()));
        let pace = Pace {
            blob: Patience::USUAL,
            manifest: Patience::LONG,
            stall: std::time::Duration::from_mins(1),
            answer: std::time::Duration::from_mins(5),
            settle: std::time::Duration::from_secs(10),
            at_once: 4,
        };
        Ok(Self { http, base, repository, logins, pace })
    }

    /// With other patience.
    #[must_use]
    pub fn paced(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// The manifest under a reference, checked; `None` where there is none.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn manifest(&self, reference: &Reference) -> Result<Option<Manifest>, Failure> {
        let _ = (&self.http, &self.base, &self.repository, &self.logins, &self.pace);
        Err(Failure::new(Code::EcrReach, reference.to_string()))
    }

    /// The manifest under a reference with its platforms and configs; `None` where there is none.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn held(&self, reference: &Reference) -> Result<Option<Held>, Failure> {
        Err(Failure::new(Code::EcrReach, reference.to_string()))
    }

    /// The bytes of a small blob, checked.
    ///
    /// # Errors
    /// More than `limit` bytes, other bytes than the digest's, or what the registry refuses.
    pub async fn blob(&self, digest: &Digest, _limit: usize) -> Result<Bytes, Failure> {
        Err(Failure::new(Code::EcrReach, digest.to_string()))
    }

    /// Whether the repository has this blob.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        Err(Failure::new(Code::EcrReach, digest.to_string()))
    }

    /// Puts an image under a tag: what is missing, then its manifests, then the tag, read back.
    ///
    /// `mounts` are repositories of the same registry that may hold layers already; give them only
    /// where the registry mounts. Dropping the future stops everything.
    ///
    /// # Errors
    /// Each kind of refusal under its code; nothing is under the tag then, or what was there before.
    pub async fn push(
        &self,
        image: &Image,
        _tag: &Tag,
        _mounts: &[Repository],
        _progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Pushed, Failure> {
        Err(Failure::new(Code::EcrReach, image.shown.clone()))
    }
}
