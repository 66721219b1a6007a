//! What a builder is asked for, what it says meanwhile, and what came of it. Values alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::names::Platform;

/// An image to be built.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// The folder that files are copied from.
    pub context: PathBuf,
    /// The Dockerfile; it need not be in the context.
    pub file: PathBuf,
    /// What the image is for; several at once only where the engine's store holds such images.
    pub platforms: Vec<Platform>,
    /// The stage to stop at.
    pub target: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// What steps may mount as a secret, by its id.
    pub secrets: BTreeMap<String, SecretString>,
    /// For registries of base images.
    pub logins: Vec<Login>,
    /// Where earlier steps may be found.
    pub cache_from: Vec<Cache>,
    /// Where this build's steps are kept.
    pub cache_to: Vec<Cache>,
    /// Every step is run again.
    pub no_cache: bool,
    /// Base images are asked for again, even if the engine has them.
    pub pull: bool,
    /// The time that the image says it was made at, in seconds since 1970.
    pub epoch: Option<i64>,
    /// What the image is called in the engine.
    pub name: Option<String>,
}

/// A login for the registry of base images.
#[derive(Clone, Debug)]
pub struct Login {
    /// `docker.io`, `ghcr.io`, `registry.example.com:5000`.
    pub host: String,
    /// Sent as it is.
    pub user: String,
    /// Never printed.
    pub password: SecretString,
    /// Of the run itself, for the repository's own registry.
    pub is_ours: bool,
}

/// A place where a builder's cache is, in the builder's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    /// `registry` or `inline`.
    pub kind: String,
    /// Such as `ref`.
    pub attributes: BTreeMap<String, String>,
}

/// What a builder says while it works. Its words are foreign text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A step goes on or has ended.
    Step {
        /// From 1, in the order in which steps began.
        number: usize,
        /// `[2/3] COPY page /www/index.html`.
        name: String,
        /// How far it is.
        state: StepState,
    },
    /// A line that a step wrote.
    Line {
        /// Of which step.
        number: usize,
        /// What it wrote.
        text: String,
    },
    /// What the builder itself warns of.
    Warning {
        /// Its words.
        text: String,
    },
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// It has ended for now, and may be taken up again.
    Rests,
    /// It has begun.
    Begun,
    /// It was in the cache.
    Cached,
    /// It ended well.
    Done(Duration),
    /// It did not.
    Failed,
}

/// What came of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// The engine's name of the image: `sha256:…`.
    pub id: String,
}

/// Whoever hears what a builder says.
pub type Listener<'a> = &'a (dyn Fn(Heard) + Send + Sync);
