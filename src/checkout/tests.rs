//! Checkouts made by a real git: heads, branches, worktrees, changes, and hostile repositories.

use std::path::PathBuf;
use std::process::Command;

use insta::assert_snapshot;
use tempfile::TempDir;

use super::*;

const MAIN: &str = "9f2c1e4000000000000000000000000000000000";
const OTHER: &str = "5d1e0aa000000000000000000000000000000000";
const MERGE: &str = "77ac012000000000000000000000000000000000";

fn git(at: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", at).env("GIT_ALLOW_PROTOCOL", "file");
    let identity = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"];
    let output = command.current_dir(at).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn repository() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let at = dir.path().join("shop");
    std::fs::create_dir_all(at.join("app")).unwrap();
    git(&at, &["init", "-q"]);
    std::fs::write(at.join("app/main.rs"), "fn main() {}\n").unwrap();
    std::fs::write(at.join("Dockerfile"), "FROM scratch\n").unwrap();
    git(&at, &["add", "."]);
    git(&at, &["commit", "-qm", "one"]);
    (dir, at)
}

fn told(failure: &Failure, at: &Path) -> String {
    let Failure { code, what, why, next } = failure;
    let text = format!("{code}: {what}\n why: {}\n next: {}", why.join("\n "), next.join("\n "));
    text.replace(&at.display().to_string(), "@@AT@@")
}

fn sha(text: &str) -> CommitSha {
    text.parse().unwrap()
}

#[test]
fn head_is_read_from_below_the_root() {
    let (_dir, at) = repository();
    git(&at, &["remote", "add", "origin", "https://github.com/acme/shop.git"]);
    let read = read(&at.join("app"), Seat::Step).unwrap();
    assert_eq!(read.head.as_str(), git(&at, &["rev-parse", "HEAD"]));
    assert_eq!(read.branch.as_deref(), Some("main"));
    assert_eq!(read.dirty, Dirty::Clean);
    assert_eq!(read.origin.as_deref(), Some("acme/shop"));
}

#[test]
fn a_detached_head_packed_away_is_read() {
    let (_dir, at) = repository();
    git(&at, &["tag", "-a", "v1", "-m", "v1"]);
    git(&at, &["checkout", "-q", "--detach", "v1"]);
    git(&at, &["gc", "-q"]);
    git(&at, &["pack-refs", "--all"]);
    let read = read(&at, Seat::Step).unwrap();
    assert_eq!(read.head.as_str(), git(&at, &["rev-parse", "HEAD"]));
    assert_eq!((read.branch, read.dirty), (None, Dirty::Clean));
}

#[test]
fn a_branch_that_is_packed_is_read() {
    let (_dir, at) = repository();
    git(&at, &["pack-refs", "--all"]);
    assert_eq!(read(&at, Seat::Step).unwrap().head.as_str(), git(&at, &["rev-parse", "HEAD"]));
}

#[test]
fn a_linked_worktree_has_its_own_head() {
    let (_dir, at) = repository();
    let linked = at.with_file_name("linked");
    git(&at, &["worktree", "add", "-q", "-b", "side", linked.to_str().unwrap()]);
    std::fs::write(linked.join("Dockerfile"), "FROM other\n").unwrap();
    git(&linked, &["commit", "-qam", "two"]);
    let side = read(&linked, Seat::Step).unwrap();
    assert_eq!(side.head.as_str(), git(&linked, &["rev-parse", "HEAD"]));
    assert_eq!(side.branch.as_deref(), Some("side"));
    assert_ne!(side.head, read(&at, Seat::Step).unwrap().head);
}

#[test]
fn a_shallow_clone_is_read() {
    let (_dir, at) = repository();
    git(&at, &["commit", "-q", "--allow-empty", "-m", "two"]);
    let clone = at.with_file_name("clone");
    let from = format!("file://{}", at.display());
    git(&at, &["clone", "-q", "--depth", "1", &from, clone.to_str().unwrap()]);
    let cloned = read(&clone, Seat::Step).unwrap();
    assert_eq!(cloned.head.as_str(), git(&at, &["rev-parse", "HEAD"]));
    assert_eq!((cloned.dirty, cloned.origin), (Dirty::Clean, None));
}

#[test]
fn changed_staged_and_deleted_files_are_dirty_and_new_ones_are_told_by_hand() {
    let (_dir, at) = repository();
    std::fs::write(at.join("new.txt"), "new").unwrap();
    std::fs::write(at.join("main.o"), "made").unwrap();
    std::fs::write(at.join(".git/info/exclude"), "*.o\n").unwrap();
    std::fs::create_dir(at.join("app/deep")).unwrap();
    std::fs::write(at.join("app/deep/new.rs"), "new").unwrap();
    git(&at, &["init", "-q", "other"]);
    let found = read(&at, Seat::Step).unwrap();
    assert_eq!((found.dirty, found.new.len()), (Dirty::Clean, 0));
    let found = read(&at.join("app"), Seat::Shell).unwrap();
    assert_eq!(found.dirty, Dirty::Clean);
    assert_eq!(found.new, ["app/deep/new.rs", "new.txt", "other"]);
    std::fs::write(at.join("Dockerfile"), "FROM busybox\n").unwrap();
    assert_eq!(
        read(&at.join("app"), Seat::Step).unwrap().dirty,
        Dirty::Changed(vec!["Dockerfile".into()])
    );
    git(&at, &["add", "new.txt"]);
    std::fs::remove_file(at.join("app/main.rs")).unwrap();
    let all = ["Dockerfile", "app/main.rs", "new.txt"].map(ToOwned::to_owned).to_vec();
    assert_eq!(read(&at, Seat::Step).unwrap().dirty, Dirty::Changed(all));
}

#[test]
fn no_filter_of_the_repository_is_run() {
    let (_dir, at) = repository();
    let mark = at.join("ran");
    std::fs::write(at.join(".gitattributes"), "*.bin filter=evil\n").unwrap();
    std::fs::write(at.join("a.bin"), "one").unwrap();
    git(&at, &["add", "."]);
    git(&at, &["commit", "-qm", "two"]);
    let command = format!("touch {}", mark.display());
    for key in ["filter.evil.clean", "filter.evil.process", "core.fsmonitor"] {
        git(&at, &["config", key, &command]);
    }
    std::fs::write(at.join("a.bin"), "other").unwrap();
    let read = read(&at, Seat::Step).unwrap();
    assert!(!mark.exists());
    let why = "`a.bin` goes through a filter, which is not run";
    assert_eq!(read.dirty, Dirty::NotChecked(why.into()));
}

#[test]
fn a_bare_repository_has_a_commit_and_no_files() {
    let (_dir, at) = repository();
    let bare = at.with_file_name("bare.git");
    git(&at, &["clone", "-q", "--bare", at.to_str().unwrap(), bare.to_str().unwrap()]);
    let read = read(&bare, Seat::Step).unwrap();
    assert_eq!(read.head.as_str(), git(&at, &["rev-parse", "HEAD"]));
    assert_eq!(read.dirty, Dirty::NotChecked("a bare repository has no files".into()));
}

#[test]
fn where_no_commit_is_the_way_to_one_is_told() {
    let dir = TempDir::new().unwrap();
    let at = dir.path();
    assert_snapshot!(told(&read(at, Seat::Step).unwrap_err(), at), @"
    SW-COMMIT-MISSING: no commit is checked out in `@@AT@@`
     why: no repository there or above
     next: run actions/checkout before this step, or set `commit`
    ");
    assert_snapshot!(told(&read(&at.join("nowhere"), Seat::Step).unwrap_err(), at), @"
    SW-COMMIT-MISSING: no commit is checked out in `@@AT@@/nowhere`
     why: there is no such directory
     next: set `context` to the directory that the Dockerfile builds in
    ");
    std::fs::write(at.join("file"), "").unwrap();
    assert_snapshot!(told(&read(&at.join("file"), Seat::Step).unwrap_err(), at), @"
    SW-COMMIT-MISSING: no commit is checked out in `@@AT@@/file`
     why: it is a file, and no directory
     next: set `context` to the directory that the Dockerfile builds in
    ");
    git(at, &["init", "-q"]);
    assert_snapshot!(told(&read(at, Seat::Step).unwrap_err(), at), @"
    SW-COMMIT-MISSING: no commit is checked out in `@@AT@@`
     why: branch `main` has no commit yet
     next: commit first, or set `commit`
    ");
}

#[test]
fn a_corrupt_repository_is_not_taken_for_none() {
    let (_dir, at) = repository();
    std::fs::write(at.join(".git/refs/heads/main"), "not a commit\n").unwrap();
    let failure = read(&at, Seat::Step).unwrap_err();
    assert_eq!(failure.code, Code::CommitMissing);
    assert_eq!(failure.what, format!("the repository of `{}` cannot be read", at.display()));
    std::fs::write(at.join(".git/refs/heads/main"), format!("{MAIN}\n")).unwrap();
    let failure = read(&at, Seat::Step).unwrap_err();
    assert_eq!(failure.what, format!("the repository of `{}` cannot be read", at.display()));
}

#[test]
fn remotes_on_github_are_read_in_every_spelling() {
    for url in [
        "https://github.com/acme/shop",
        "https://x-access-token:t@github.com/acme/shop.git",
        "git@github.com:acme/shop.git",
        "ssh://git@github.com/acme/shop.git/",
        "https://github.acme.example/acme/shop",
    ] {
        assert_eq!(on_github(url).as_deref(), Some("acme/shop"), "{url}");
    }
    for url in ["https://gitlab.com/acme/shop", "/srv/github/shop", "https://github.com/acme"] {
        assert_eq!(on_github(url), None, "{url}");
    }
}

fn event(name: &str, event_sha: &str, pull_request: Option<&str>) -> EventCommit {
    EventCommit {
        sha: sha(event_sha),
        name: name.into(),
        pull_request: pull_request.map(|head| (42, sha(head))),
    }
}

fn decide(head: &str, event: Option<EventCommit>, explicit: Option<&str>) -> String {
    match cross_check(&sha(head), event.as_ref(), explicit.map(sha).as_ref()) {
        Ok(commit) => commit.short().to_owned(),
        Err(failure) => told(&failure, Path::new("@@")),
    }
}

#[test]
fn what_is_checked_out_is_shipped_when_nothing_contradicts_it() {
    let pull = |name| Some(event(name, MERGE, Some(OTHER)));
    assert_eq!(decide(MAIN, None, None), "9f2c1e4");
    assert_eq!(decide(MAIN, Some(event("push", MAIN, None)), None), "9f2c1e4");
    assert_eq!(decide(MERGE, pull("pull_request"), None), "77ac012");
    assert_eq!(decide(OTHER, pull("pull_request"), None), "5d1e0aa");
    assert_eq!(decide(OTHER, Some(event("push", MAIN, None)), Some(OTHER)), "5d1e0aa");
    assert_eq!(decide(OTHER, pull("pull_request_target"), Some(OTHER)), "5d1e0aa");
}

#[test]
fn another_checkout_than_the_event_s_is_refused() {
    assert_snapshot!(decide(OTHER, Some(event("workflow_dispatch", MAIN, None)), None), @"
    SW-COMMIT-MISMATCH: 5d1e0aa is checked out, but this run is of 9f2c1e4
     why: HEAD is 5d1e0aa000000000000000000000000000000000, `workflow_dispatch` names 9f2c1e4000000000000000000000000000000000
     next: drop `ref` from actions/checkout, or, to ship what is checked out, set `commit: 5d1e0aa000000000000000000000000000000000`
    ");
    assert_snapshot!(decide(MAIN, Some(event("pull_request", MERGE, Some(OTHER))), None), @"
    SW-COMMIT-MISMATCH: 9f2c1e4 is checked out, but pull request 42 is 5d1e0aa, on its base 77ac012
     why: HEAD is 9f2c1e4000000000000000000000000000000000, `pull_request` names 77ac012000000000000000000000000000000000 and 5d1e0aa000000000000000000000000000000000
     next: drop `ref` from actions/checkout, or, to ship what is checked out, set `commit: 9f2c1e4000000000000000000000000000000000`
    ");
    assert_snapshot!(decide(MAIN, None, Some(OTHER)), @"
    SW-COMMIT-MISMATCH: 9f2c1e4 is checked out, but `commit` says 5d1e0aa
     why: HEAD is 9f2c1e4000000000000000000000000000000000, `commit` is 5d1e0aa000000000000000000000000000000000
     next: check out 5d1e0aa, or set `commit: 9f2c1e4000000000000000000000000000000000`
    ");
}

#[test]
fn a_stranger_s_branch_is_not_built_with_the_base_s_secrets() {
    let target = event("pull_request_target", MAIN, Some(OTHER));
    assert!(decide(OTHER, Some(target), None).starts_with("SW-COMMIT-MISMATCH"));
}
