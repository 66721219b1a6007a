//! The commit that is checked out, read without running git or anything a repository names.
//!
//! It must not believe the event's word for what is in the build context. Leans on gix, opened
//! isolated and with reduced trust: whose files they are does not matter, no filter, hook or
//! configuration of the repository is run, and nothing of the machine's own is read.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gix::bstr::{BString, ByteSlice as _};
use gix::head::Kind;
use gix::worktree::stack::state::attributes::Source;
use serde::Serialize;

use crate::error::{Code, Failure, quoted};
use crate::names::CommitSha;

/// Changed paths that are looked at before giving up on counting.
pub const LOOKED_AT: usize = 500;

/// What is checked out where the image is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkout {
    /// The commit.
    pub head: CommitSha,
    /// The branch, unless HEAD is detached.
    pub branch: Option<String>,
    /// Whether tracked files differ from it.
    pub dirty: Dirty,
    /// Files and whole folders that git neither knows nor ignores, from the root; looked for in somebody's shell
    /// alone, since a workflow makes such files all the time.
    pub new: Vec<String>,
    /// `owner/repo` of a remote on GitHub.
    pub origin: Option<String>,
}

/// Whether tracked files differ from the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dirty {
    /// They do not.
    Clean,
    /// They do: these, as far as they were counted.
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

/// From where it is read: what can be done about a missing checkout depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// A step of a workflow.
    Step,
    /// Somebody's shell.
    Shell,
}

/// Reads the commit that is checked out in `context` or above it.
///
/// # Errors
/// When there is no repository, no commit, or what is there cannot be read.
pub fn read(context: &Path, seat: Seat) -> Result<Checkout, Failure> {
    let repository = open(context, seat)?;
    let (head, branch) = head(context, seat, &repository)?;
    let (dirty, new) = compare(&repository, seat);
    Ok(Checkout { head, branch, dirty, new, origin: origin(&repository) })
}

/// The `owner/repo` of its remote on GitHub alone: the tree is not compared, which can take seconds.
#[must_use]
pub fn remote(context: &Path) -> Option<String> {
    origin(&open(context, Seat::Shell).ok()?)
}

/// The folder of the checkout that `context` is in.
#[must_use]
pub fn root(context: &Path) -> Option<PathBuf> {
    open(context, Seat::Shell).ok()?.workdir().map(Path::to_owned)
}

/// When a commit was made, in seconds since 1970: what is built from it says so, and not when.
#[must_use]
pub fn made(context: &Path, commit: &CommitSha) -> Option<i64> {
    let repository = open(context, Seat::Shell).ok()?;
    let id = gix::ObjectId::from_hex(commit.as_str().as_bytes()).ok()?;
    let commit = repository.find_commit(id).ok()?;
    Some(commit.time().ok()?.seconds)
}

fn open(context: &Path, seat: Seat) -> Result<gix::Repository, Failure> {
    if !context.is_dir() {
        return Err(absent(context)
            .why(if context.exists() {
                "it is a file, and no directory"
            } else {
                "there is no such directory"
            })
            .next("set `context` to the directory that the Dockerfile builds in"));
    }
    let options = gix::discover::upwards::Options::default();
    let Ok((found, _)) = gix::discover::upwards_opts(context, options) else {
        return Err(absent(context).why("no repository there or above").next(match seat {
            Seat::Step => "run actions/checkout before this step, or set `commit`",
            Seat::Shell => "go to the checkout, or say which commit the image is of: `--commit`",
        }));
    };
    let (git, tree) = found.into_repository_and_work_tree_directories();
    let options = gix::open::Options::isolated().with(gix::sec::Trust::Reduced);
    let opened = options.open(tree.unwrap_or(git));
    opened
        .map(|repository| repository.to_thread_local())
        .map_err(|e| unreadable(context, seat, &e.to_string()))
}

fn head(
    context: &Path,
    seat: Seat,
    repository: &gix::Repository,
) -> Result<(CommitSha, Option<String>), Failure> {
    let broken = |words: String| unreadable(context, seat, &words);
    let head = repository.head().map_err(|e| broken(e.to_string()))?;
    let branch = head.referent_name().map(|name| name.shorten().to_string());
    if let Kind::Unborn(name) = &head.kind {
        return Err(absent(context)
            .why(format!("branch `{}` has no commit yet", name.shorten()))
            .next("commit first, or set `commit`"));
    }
    let id = head.into_peeled_id().map_err(|e| broken(e.to_string()))?;
    // A commit that cannot be read has no tree to compare with either: better said here.
    let commit = id.object().map_err(|e| broken(e.to_string()))?.try_into_commit();
    let commit = commit.map_err(|e| broken(e.to_string()))?;
    Ok((commit.id.to_string().parse().map_err(broken)?, branch))
}

fn absent(context: &Path) -> Failure {
    Failure::new(Code::CommitMissing, format!("no commit is checked out in `{}`", shown(context)))
}

/// As it was typed: `.` below the folder where we are is `.`.
fn shown(context: &Path) -> String {
    let typed = context.strip_prefix(".").unwrap_or(context).display().to_string();
    if typed.is_empty() { ".".into() } else { typed }
}

fn unreadable(context: &Path, seat: Seat, words: &str) -> Failure {
    Failure::new(
        Code::CommitMissing,
        format!("the repository of `{}` cannot be read", shown(context)),
    )
    .why(quoted(words))
    .next(match seat {
        Seat::Step => "check it out again with actions/checkout, or set `commit`",
        Seat::Shell => "mend or clone it again (`git fsck`), or say which commit it is: `--commit`",
    })
}

/// Whether tracked files differ, and which files are new.
fn compare(repository: &gix::Repository, seat: Seat) -> (Dirty, Vec<String>) {
    if repository.workdir().is_none() {
        return (Dirty::NotChecked("a bare repository has no files".into()), Vec::new());
    }
    let changes = match changed(repository, seat) {
        Ok(changes) => changes,
        Err(words) => {
            return (Dirty::NotChecked(crate::error::one_line(&words, 200)), Vec::new());
        }
    };
    let dirty = match (changes.paths.is_empty(), changes.filtered) {
        (false, _) => Dirty::Changed(changes.paths.into_iter().collect()),
        (true, Some(path)) => {
            Dirty::NotChecked(format!("`{path}` goes through a filter, which is not run"))
        }
        (true, None) => Dirty::Clean,
    };
    (dirty, changes.new.into_iter().collect())
}

#[derive(Default)]
struct Changes {
    paths: BTreeSet<String>,
    new: BTreeSet<String>,
    /// A path whose content in the repository only a filter can make, such as that of Git LFS.
    filtered: Option<String>,
}

fn changed(repository: &gix::Repository, seat: Seat) -> Result<Changes, String> {
    use gix::status::UntrackedFiles;
    let text = |e: gix::Error| e.to_string();
    let index = repository.index_or_empty().map_err(text)?;
    let mut attributes = repository
        .attributes_only(&index, Source::WorktreeThenIdMapping)
        .map_err(|e| e.to_string())?;
    let mut filter = attributes.selected_attribute_matches(["filter"]);
    let status = repository
        .status(gix::progress::Discard)
        .map_err(text)?
        .untracked_files(match seat {
            Seat::Shell => UntrackedFiles::Files,
            Seat::Step => UntrackedFiles::None,
        })
        .index_worktree_rewrites(None)
        .tree_index_track_renames(gix::status::tree_index::TrackRenames::Disabled);
    // `:/` is the whole tree, whatever the current directory is.
    let items = status.into_iter([BString::from(":/")]).map_err(text)?;
    let mut changes = Changes::default();
    for item in items {
        let item = item.map_err(text)?;
        let path = item.location();
        if is_new(&item) {
            changes.new.insert(path.to_str_lossy().into_owned());
            continue;
        }
        if changes.paths.len() == LOOKED_AT {
            continue;
        }
        let in_tree = matches!(item, gix::status::Item::IndexWorktree(_));
        let filtered = in_tree
            && attributes.at_entry(path, None).is_ok_and(|at| at.matching_attributes(&mut filter))
            && filter.iter_selected().any(|m| m.assignment.state.as_bstr().is_some());
        let path = path.to_str_lossy().into_owned();
        if filtered {
            changes.filtered.get_or_insert(path);
        } else {
            changes.paths.insert(path);
        }
    }
    Ok(changes)
}

/// What a walk through the folders found, and no comparison of what git knows.
fn is_new(item: &gix::status::Item) -> bool {
    use gix::status::index_worktree::Item as InTree;
    matches!(item, gix::status::Item::IndexWorktree(InTree::DirectoryContents { .. }))
}

fn origin(repository: &gix::Repository) -> Option<String> {
    let config = repository.config_snapshot();
    let names = repository.remote_names();
    let others = names.iter().map(|name| name.to_str_lossy().into_owned());
    std::iter::once("origin".to_owned()).chain(others).find_map(|name| {
        let url = config.string(format!("remote.{name}.url").as_str())?;
        on_github(&url.to_str_lossy())
    })
}

/// `owner/repo` of `https://github.com/owner/repo.git`, `git@github.com:owner/repo` and their like,
/// GitHub Enterprise among them.
fn on_github(url: &str) -> Option<String> {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    let host = host.rsplit('@').next()?;
    if !host.contains("github") && !host.ends_with(".ghe.com") {
        return None;
    }
    let path = path.trim_matches('/').trim_end_matches(".git");
    let (owner, name) = path.split_once('/')?;
    (!owner.is_empty() && !name.is_empty() && !name.contains('/'))
        .then(|| format!("{owner}/{name}"))
}

/// Decides which commit the image is of: the one that is checked out, if nothing contradicts it.
///
/// # Errors
/// When the checkout is neither what `commit` says nor, without it, what the event says.
pub fn cross_check(
    head: &CommitSha,
    event: Option<&EventCommit>,
    explicit: Option<&CommitSha>,
) -> Result<CommitSha, Failure> {
    if let Some(said) = explicit {
        return if said == head {
            Ok(head.clone())
        } else {
            Err(mismatch(head, &format!("`commit` says {}", said.short()))
                .why(format!("HEAD is {head}, `commit` is {said}"))
                .next(format!("check out {}, or set `commit: {head}`", said.short())))
        };
    }
    let Some(event) = event else { return Ok(head.clone()) };
    if event.sha == *head {
        return Ok(head.clone());
    }
    match &event.pull_request {
        // The branch instead of its merge: the same pull request. Not so for pull_request_target,
        // which runs with the secrets of the base and must not build what a stranger wrote.
        Some((_, branch)) if branch == head && event.name != "pull_request_target" => {
            Ok(head.clone())
        }
        Some((number, branch)) => Err(mismatch(
            head,
            &format!(
                "pull request {number} is {}, on its base {}",
                branch.short(),
                event.sha.short()
            ),
        )
        .why(format!("HEAD is {head}, `{}` names {} and {branch}", event.name, event.sha))
        .next(fix(head))),
        None => Err(mismatch(head, &format!("this run is of {}", event.sha.short()))
            .why(format!("HEAD is {head}, `{}` names {}", event.name, event.sha))
            .next(fix(head))),
    }
}

fn mismatch(head: &CommitSha, other: &str) -> Failure {
    Failure::new(Code::CommitMismatch, format!("{} is checked out, but {other}", head.short()))
}

fn fix(head: &CommitSha) -> String {
    format!(
        "drop `ref` from actions/checkout, or, to ship what is checked out, set `commit: {head}`"
    )
}

#[cfg(test)]
mod tests;
