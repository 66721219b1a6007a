//! The OCI distribution client of one repository: what is there, and putting an image there.
//!
//! Blobs first, manifests after those they name, the tag last; every digest is checked on the way.
//! No ECR API here, only the registry's wire. Leans on `http`, `image`, `names` and `error`.

mod answer;
mod copy;
mod naming;
mod original;
mod push;
mod read;
mod stream;
mod upload;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Url;
use secrecy::SecretString;

use crate::error::Failure;
use crate::http::{refuse_plaintext, retry::Patience};
use crate::image::{Configured, Manifest};
use crate::names::{Digest, Platform, Repository, Tag};

pub use original::Original;
use wire::Wire;

pub use stream::Stored;

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
    pub stall: Duration,
    /// For an answer once everything is sent.
    pub answer: Duration,
    /// For the tag to name what was pushed.
    pub settle: Duration,
    /// Blobs that are sent at once.
    pub at_once: usize,
}

impl Pace {
    /// What is used unless something else is said.
    pub const USUAL: Self = Self {
        blob: Patience::USUAL,
        manifest: Patience::LONG,
        stall: Duration::from_mins(1),
        answer: Duration::from_mins(5),
        settle: Duration::from_secs(10),
        at_once: 4,
    };
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
        /// Which one, for a line: "layer sha256:0123456789ab".
        what: &'a str,
        /// Bytes, never more than its size.
        bytes: u64,
    },
    /// The blob is there.
    Stored {
        /// Which one, for a line: "layer sha256:0123456789ab".
        what: &'a str,
    },
    /// An attempt did not work, another one follows.
    Again {
        /// What is tried again, for a line: "layer sha256:0123456789ab".
        what: &'a str,
        /// Why.
        why: &'a str,
        /// After this long.
        wait: Duration,
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
    wire: Arc<Wire>,
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
        let wire = Wire::new(http, base, repository, logins, Pace::USUAL);
        Ok(Self { wire: Arc::new(wire) })
    }

    /// Where it listens: `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com`.
    #[must_use]
    pub fn host(&self) -> String {
        self.wire.at.host.clone()
    }

    /// `host/repository:tag`, as others would push there.
    #[must_use]
    pub fn name_of(&self, tag: &Tag) -> String {
        format!("{}/{}:{tag}", self.wire.at.host, self.wire.at.repository)
    }

    /// With other patience.
    #[must_use]
    pub fn paced(&self, pace: Pace) -> Self {
        Self { wire: Arc::new(self.wire.paced(pace)) }
    }

    /// Another repository of the same registry, with the same login.
    #[must_use]
    pub fn beside(&self, repository: &Repository) -> Self {
        Self { wire: Arc::new(self.wire.beside(repository.clone())) }
    }
}

#[cfg(test)]
mod tests;
