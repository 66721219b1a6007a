//! The facts of a run, from the runner's variables and its event file.
//!
//! Reads no environment of its own and fails never: what is missing or malformed is absent, and
//! named in `odd`. Trusts nothing here for what is deployed: that is the checkout's word.

use serde::{Deserialize, Serialize};

/// What GitHub says about this run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Context {
    /// `owner/name`.
    pub repository: Option<String>,
    /// Unique among all runs; absent under act without one.
    pub run_id: Option<u64>,
    /// Counts the runs of this workflow; a re-run keeps it.
    pub run_number: Option<u64>,
    /// 1, and more for a re-run.
    pub run_attempt: u64,
    /// The workflow's name.
    pub workflow: Option<String>,
    /// Its file: `.github/workflows/ship.yml`.
    pub workflow_file: Option<String>,
    /// The job's id.
    pub job: Option<String>,
    /// `refs/heads/main`.
    pub ref_name: Option<String>,
    /// The event's word about the commit.
    pub event: EventCommit,
    /// Who or what started it.
    pub actor: Option<String>,
    /// `https://github.com`.
    pub server_url: String,
    /// `https://api.github.com`.
    pub api_url: String,
    /// A pull request whose head is in another repository: it gets no secrets.
    pub is_fork_pull_request: bool,
    /// Somebody pressed "re-run".
    pub is_rerun: bool,
    /// It is act, not GitHub.
    pub is_act: bool,
    /// What could not be read, each a sentence for the report.
    pub odd: Vec<String>,
}

/// The commit as the event tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventCommit {
    /// `GITHUB_SHA`: on a pull request the merge commit.
    pub sha: Option<String>,
    /// `push`, `pull_request`, `workflow_dispatch`, …
    pub name: Option<String>,
    /// The pull request's number.
    pub pull_request: Option<u64>,
    /// The newest commit of the pull request itself.
    pub head_sha: Option<String>,
    /// What the ref pointed to before a push; absent for a new ref.
    pub before: Option<String>,
    /// A push that threw commits away.
    pub forced: bool,
}

impl Context {
    /// Reads the facts; None off a runner.
    #[must_use]
    pub fn read(variable: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let text = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if text("GITHUB_ACTIONS").as_deref() != Some("true") {
            return None;
        }
        let number = |name: &str| text(name).and_then(|n| n.trim().parse::<u64>().ok());
        let (payload, odd) = payload(text("GITHUB_EVENT_PATH").as_deref());
        let repository = text("GITHUB_REPOSITORY");
        let run_attempt = number("GITHUB_RUN_ATTEMPT").unwrap_or(1);
        Some(Self {
            run_id: number("GITHUB_RUN_ID").filter(|id| *id > 1),
            run_number: number("GITHUB_RUN_NUMBER"),
            run_attempt,
            workflow: text("GITHUB_WORKFLOW"),
            workflow_file: text("GITHUB_WORKFLOW_REF").and_then(|r| workflow_file(&r)),
            job: text("GITHUB_JOB"),
            ref_name: text("GITHUB_REF"),
            event: event(text("GITHUB_SHA"), text("GITHUB_EVENT_NAME"), &payload),
            actor: text("GITHUB_ACTOR"),
            server_url: text("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".into()),
            api_url: text("GITHUB_API_URL").unwrap_or_else(|| "https://api.github.com".into()),
            is_fork_pull_request: is_fork(&payload, repository.as_deref()),
            is_rerun: run_attempt > 1,
            is_act: text("ACT").as_deref() == Some("true"),
            repository,
            odd: odd.into_iter().collect(),
        })
    }

    /// The page of this run, where it has one.
    #[must_use]
    pub fn run_url(&self) -> Option<String> {
        let (repository, id) = (self.repository.as_ref()?, self.run_id?);
        Some(format!("{}/{repository}/actions/runs/{id}", self.server_url))
    }
}

/// The few fields of an event that slipway uses. All optional: events differ.
#[derive(Default, Deserialize)]
struct Payload {
    before: Option<String>,
    forced: Option<bool>,
    pull_request: Option<PullRequest>,
}

#[derive(Deserialize)]
struct PullRequest {
    number: Option<u64>,
    head: Option<Head>,
}

#[derive(Deserialize)]
struct Head {
    sha: Option<String>,
    repo: Option<HeadRepository>,
}

#[derive(Deserialize)]
struct HeadRepository {
    full_name: Option<String>,
}

fn payload(path: Option<&str>) -> (Payload, Option<String>) {
    let Some(path) = path else { return (Payload::default(), None) };
    let read = std::fs::read(path).map_err(|error| error.to_string());
    let parsed =
        read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
    match parsed {
        Ok(payload) => (payload, None),
        Err(because) => (Payload::default(), Some(format!("the event file {path}: {because}"))),
    }
}

fn event(sha: Option<String>, name: Option<String>, payload: &Payload) -> EventCommit {
    let pull_request = payload.pull_request.as_ref();
    // A ref that is new was nothing before: GitHub writes forty zeros.
    let before = payload.before.clone().filter(|b| b.bytes().any(|b| b != b'0'));
    EventCommit {
        sha,
        name,
        pull_request: pull_request.and_then(|p| p.number),
        head_sha: pull_request.and_then(|p| p.head.as_ref()).and_then(|h| h.sha.clone()),
        before,
        forced: payload.forced.unwrap_or(false),
    }
}

fn is_fork(payload: &Payload, repository: Option<&str>) -> bool {
    let Some(head) = payload.pull_request.as_ref().and_then(|p| p.head.as_ref()) else {
        return false;
    };
    // The repository of the head is null when the fork was deleted.
    let Some(from) = head.repo.as_ref().and_then(|r| r.full_name.as_deref()) else {
        return true;
    };
    repository.is_some_and(|here| !here.eq_ignore_ascii_case(from))
}

/// `acme/shop/.github/workflows/ship.yml@refs/heads/main` without the repository and the ref.
fn workflow_file(reference: &str) -> Option<String> {
    let path = reference.split('@').next()?;
    path.find(".github/").map(|at| path[at..].to_owned())
}
