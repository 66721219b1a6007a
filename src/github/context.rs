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
    /// A pull request whose head is in another repository: under `pull_request` it gets no secrets.
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
    // Pull requests have a `before` too, but that is their head's and not the ref's.
    let push = name.as_deref() == Some("push");
    // A ref that is new was nothing before: GitHub writes forty zeros.
    let before = payload.before.clone().filter(|b| push && b.bytes().any(|b| b != b'0'));
    EventCommit {
        sha,
        name,
        pull_request: pull_request.and_then(|p| p.number),
        head_sha: pull_request.and_then(|p| p.head.as_ref()).and_then(|h| h.sha.clone()),
        before,
        forced: push && payload.forced.unwrap_or(false),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SHIP: [(&str, &str); 13] = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "acme/shop"),
        ("GITHUB_RUN_ID", "6203948571"),
        ("GITHUB_RUN_NUMBER", "4711"),
        ("GITHUB_RUN_ATTEMPT", "1"),
        ("GITHUB_WORKFLOW", "ship"),
        ("GITHUB_WORKFLOW_REF", "acme/shop/.github/workflows/ship.yml@refs/heads/main"),
        ("GITHUB_JOB", "ship"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_SHA", "9f2c1e4"),
        ("GITHUB_EVENT_NAME", "push"),
        ("GITHUB_ACTOR", "octocat"),
        ("GITHUB_SERVER_URL", "https://github.com"),
    ];

    /// The context of a run with these changes to its variables, and this event file.
    fn context(changes: &[(&str, &str)], event: &str) -> Option<Context> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), event).unwrap();
        let path = file.path().display().to_string();
        let mut variables: BTreeMap<_, _> = SHIP.into();
        variables.insert("GITHUB_EVENT_PATH", &path);
        variables.extend(changes.iter().copied());
        Context::read(&|name: &str| variables.get(name).map(|v| (*v).to_owned()))
    }

    #[test]
    fn a_push_tells_what_was_there_before() {
        let run = context(&[], r#"{"before":"3f2a91c","forced":true}"#).unwrap();
        assert_eq!(
            run.run_url().as_deref(),
            Some("https://github.com/acme/shop/actions/runs/6203948571")
        );
        assert_eq!(run.workflow_file.as_deref(), Some(".github/workflows/ship.yml"));
        assert_eq!(run.api_url, "https://api.github.com");
        assert_eq!(
            (run.run_number, run.is_rerun, run.is_fork_pull_request),
            (Some(4711), false, false)
        );
        let push = EventCommit {
            sha: Some("9f2c1e4".into()),
            name: Some("push".into()),
            before: Some("3f2a91c".into()),
            forced: true,
            ..EventCommit::default()
        };
        assert_eq!((run.event, run.odd), (push, vec![]));
    }

    #[test]
    fn a_new_branch_was_nothing_before() {
        let zeros = format!(r#"{{"before":"{}","forced":false}}"#, "0".repeat(40));
        assert_eq!(context(&[], &zeros).unwrap().event.before, None);
    }

    #[test]
    fn a_pull_request_knows_its_head_and_whether_it_is_a_fork() {
        let event = |repository: &str| {
            format!(
                r#"{{"before":"77ac012","pull_request":{{"number":42,"head":{{"sha":"5d1e0aa","repo":{repository}}}}}}}"#
            )
        };
        let table = [
            (r#"{"full_name":"acme/shop"}"#, false),
            (r#"{"full_name":"Acme/Shop"}"#, false),
            (r#"{"full_name":"stranger/shop"}"#, true),
            ("null", true),
        ];
        for (repository, fork) in table {
            let run =
                context(&[("GITHUB_EVENT_NAME", "pull_request")], &event(repository)).unwrap();
            assert_eq!(run.is_fork_pull_request, fork, "{repository}");
            assert_eq!(run.event.before, None, "that is the head's, not the ref's");
            assert_eq!(
                (run.event.pull_request, run.event.head_sha.as_deref()),
                (Some(42), Some("5d1e0aa"))
            );
        }
    }

    #[test]
    fn a_second_attempt_is_a_rerun() {
        assert!(context(&[("GITHUB_RUN_ATTEMPT", "2")], "{}").unwrap().is_rerun);
    }

    #[test]
    fn off_a_runner_there_is_no_context() {
        assert_eq!(context(&[("GITHUB_ACTIONS", "")], "{}"), None);
        assert_eq!(context(&[("GITHUB_ACTIONS", "false")], "{}"), None);
    }

    #[test]
    fn act_lacks_ids_and_that_is_not_fatal() {
        // act gives every run the id 1 and no number of its own.
        let changes = [
            ("ACT", "true"),
            ("GITHUB_RUN_ID", "1"),
            ("GITHUB_RUN_NUMBER", ""),
            ("GITHUB_RUN_ATTEMPT", ""),
        ];
        let run = context(&changes, "{}").unwrap();
        assert!(run.is_act && !run.is_rerun);
        assert_eq!(
            (run.run_id, run.run_number, run.run_attempt, run.run_url()),
            (None, None, 1, None)
        );
    }

    #[test]
    fn a_malformed_event_is_named_and_not_fatal() {
        for event in ["", "{\"before\":", "[]x", r#"{"before":7}"#] {
            let run = context(&[], event).unwrap();
            let [odd] = run.odd.as_slice() else { panic!("one sentence about {event:?}") };
            assert!(odd.starts_with("the event file "), "{odd}");
            assert_eq!(run.event.sha.as_deref(), Some("9f2c1e4"));
        }
        let gone = context(&[("GITHUB_EVENT_PATH", "/no/such/file")], "{}").unwrap();
        assert!(gone.odd[0].starts_with("the event file /no/such/file: "), "{}", gone.odd[0]);
    }
}
