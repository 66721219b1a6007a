//! What is told at the end of a rollout: the ending, the block, the last line. Pure.
//!
//! Past for done, present for what holds; `now` is only ever what was read after the last write.

use std::time::Duration;

use crate::cancel::Signal;
use crate::error::{Code, Ending, Failure, Severity, Told, one_line};
use crate::record::{BY_HAND, Record};
use crate::report::figures;
use crate::restore::{RestorePoint, label, pinned, short_commit};
use crate::rollback::Back;
use crate::rollout::{Change, Progress};
use crate::watch::{Ended, Failed};

/// The words that every sentence of an ending needs.
pub struct Words<'a> {
    /// `shop/web`.
    pub path: &'a str,
    /// The commit that was shipped, as people read it.
    pub commit: &'a str,
    /// The setting, for "in 10m".
    pub timeout: Duration,
    /// The workload's strategy is Recreate: old pods are gone.
    pub recreate: bool,
}

/// An ending with its block, if it has one.
pub struct Close {
    /// The ending.
    pub ending: Ending,
    /// The block.
    pub told: Option<Told>,
}

fn close(ending: Ending, severity: Severity, failure: Failure, now: String) -> Close {
    let Failure { code, what, why, next } = failure;
    Close { ending, told: Some(Told { severity, code, what, why, now: Some(now), next }) }
}

/// `3/3 ready`.
fn ready(progress: &Progress) -> String {
    format!("{}/{} ready", progress.new_ready, progress.wanted)
}

/// `0/3 new, 3 old ready`; what was never counted is not told as nothing.
fn halfway(progress: &Progress) -> String {
    if *progress == Progress::default() {
        return "its pods were not looked at".into();
    }
    format!("{}/{} new, {} old ready", progress.new_ready, progress.wanted, progress.old_ready)
}

/// `0/3 new, 3 old ready`, and what that means where no pod is.
fn left(progress: &Progress) -> String {
    let seen = *progress != Progress::default();
    let empty = seen && progress.new_ready + progress.old_ready == 0;
    format!("{}{}", halfway(progress), if empty { ": nothing serves" } else { "" })
}

/// `6s after`; within the first second a number would say nothing.
fn after(at: Duration) -> String {
    match at.as_secs() {
        0 => "right after".into(),
        seconds => format!("{seconds}s after"),
    }
}

/// What a rollout that nobody watches any more does: it goes on, or only its bake was left.
fn unwatched(commit: &str, progress: &Progress) -> String {
    match progress.baking_since {
        Some(_) => format!("{commit} serves, {}, its bake unwatched", ready(progress)),
        None => format!("{commit} goes on rolling out, unwatched: {}", halfway(progress)),
    }
}

/// ECR's answer about the image that was to be put back.
fn not_found(point: &RestorePoint) -> String {
    let digest = point.digest().map_or(point.label.as_str(), |digest| digest.short());
    format!("BatchGetImage: ImageNotFound for {digest}")
}

/// The command that puts a commit back. One that failed here before comes back only if that is
/// allowed; one that a person took back, a person may put back.
fn way_back(commit: &str, record: &Record) -> String {
    let allow = match record.withdrawn(commit, None).filter(|code| *code != BY_HAND) {
        Some(_) => format!(" --allow {}", Code::ImageWithdrawn),
        None => String::new(),
    };
    format!(
        "; to go back: slipway rollback --to {}{allow}   (by itself: `on-cancel: rollback`)",
        short_commit(commit)
    )
}

impl Words<'_> {
    /// It failed: with what came of the rollback, or without a restore point.
    #[must_use]
    pub fn failed(
        &self,
        ended: &Ended,
        failed: &Failed,
        back: Option<(RestorePoint, Back)>,
        in_ecr: Option<bool>,
    ) -> Close {
        let Some((point, back)) = back else { return self.nothing_to_restore(ended, failed) };
        match back {
            Back::Serves { progress, checked, .. } if in_ecr != Some(false) => {
                let now = format!(
                    "rolled back: {} serves, {}{}",
                    point.label,
                    ready(&progress),
                    if checked { ", digest checked" } else { "" }
                );
                close(Ending::RolledBack, Severity::Error, self.not_updated(failed), now)
            }
            Back::Serves { progress, .. } => self.gone_from_ecr(failed, &point, &progress),
            Back::Incomplete { progress, failure } => {
                self.not_back(failed, &point, &progress, &failure, in_ecr)
            }
            Back::NotWritten(why) if why.code == Code::WorkloadPaused => {
                self.paused(ended, Some(failed))
            }
            Back::NotWritten(failure) => {
                let now = format!("{} is set, {}", self.commit, left(&ended.progress));
                close(
                    Ending::NotRestored,
                    Severity::Error,
                    self.not_rolled_back(failed, &failure.what, &failure.why),
                    now,
                )
            }
            Back::Lost(failure) => close(
                Ending::Unknown,
                Severity::Error,
                self.not_rolled_back(failed, &failure.what, &failure.why),
                format!("{} or {} is set: not visible", self.commit, point.label),
            ),
            Back::Taken => {
                let what = format!(
                    "`{}` was taken over: somebody changed it while {} was rolled back",
                    self.path, self.commit
                );
                let failure = Failure::new(Code::RunDisplaced, what).why(format!(
                    "{} fails ({}): {}",
                    self.commit, failed.failure.code, failed.failure.what
                ));
                close(
                    Ending::Displaced,
                    Severity::Error,
                    failure.next("slipway status"),
                    "not ours any more: nothing more was written".into(),
                )
            }
            Back::Unwatched(progress) => {
                let now =
                    format!("{} is set again, unwatched: {}", point.label, halfway(&progress));
                close(Ending::Cancelled, Severity::Error, self.not_updated(failed), now)
            }
        }
    }

    /// "`shop/web` was not updated to 9f2c1e4: …", with the diagnosis' own lines.
    fn not_updated(&self, failed: &Failed) -> Failure {
        let late = if failed.late {
            format!(" in {}", figures::setting(self.timeout))
        } else {
            String::new()
        };
        let mut failure = failed.failure.clone();
        failure.what =
            format!("`{}` was not updated to {}{late}: {}", self.path, self.commit, failure.what);
        if failure.code.blames_the_image() {
            if let Some(last) = failure.next.last_mut() {
                last.push(';');
            }
            failure.next.push(format!(
                "{} ships again only with `allow: {}`",
                self.commit,
                Code::ImageWithdrawn
            ));
        }
        failure
    }

    fn not_rolled_back(&self, failed: &Failed, because: &str, why: &[String]) -> Failure {
        let cause = &failed.failure;
        let what = format!(
            "`{}` was not rolled back: {} fails ({}), {because}",
            self.path, self.commit, cause.code
        );
        let mut failure = Failure::new(Code::RestoreFailed, what);
        failure.why = why
            .iter()
            .cloned()
            .chain([format!("{}: {}", self.commit, cause.what)])
            .chain(cause.why.iter().cloned())
            .collect();
        failure.next("a person is needed: slipway status, then push a fix")
    }

    fn nothing_to_restore(&self, ended: &Ended, failed: &Failed) -> Close {
        let mut failure = self.not_rolled_back(failed, "no earlier revision was healthy", &[]);
        failure.code = Code::RestoreNone;
        failure.next = failed.failure.next.clone();
        let now = format!("{} is set, {}", self.commit, left(&ended.progress));
        close(Ending::NotRestored, Severity::Error, failure, now)
    }

    fn gone_from_ecr(&self, failed: &Failed, point: &RestorePoint, progress: &Progress) -> Close {
        let because = format!("{} left ECR", point.label);
        let mut failure = self.not_rolled_back(failed, &because, &[not_found(point)]);
        failure.code = Code::RestoreGone;
        failure.what = format!(
            "`{}` was rolled back, but {} left ECR: {} fails ({})",
            self.path, point.label, self.commit, failed.failure.code
        );
        failure.next = vec![
            "a person is needed: push a fix before these pods have to move to another node".into(),
        ];
        let now = format!(
            "{} serves, {}: these pods cannot move, no node can pull their image",
            point.label,
            ready(progress)
        );
        close(Ending::NotRestored, Severity::Error, failure, now)
    }

    fn not_back(
        &self,
        failed: &Failed,
        point: &RestorePoint,
        progress: &Progress,
        inner: &Failure,
        in_ecr: Option<bool>,
    ) -> Close {
        let gone = in_ecr == Some(false);
        let because = if gone {
            format!("{} left ECR", point.label)
        } else {
            format!("{} did not become ready again", point.label)
        };
        let mut why = vec![format!("{}: {}", point.label, inner.what)];
        why.extend(inner.why.iter().cloned());
        if gone {
            why.push(not_found(point));
        }
        if gone && self.recreate {
            why.push("strategy Recreate had ended its pods".into());
        }
        let mut failure = self.not_rolled_back(failed, &because, &why);
        if gone {
            failure.code = Code::RestoreGone;
        }
        let serves =
            if progress.new_ready + progress.old_ready == 0 { ": nothing serves" } else { "" };
        let now = format!("{} is set, {}{serves}", point.label, ready(progress));
        close(Ending::NotRestored, Severity::Error, failure, now)
    }

    /// The run was cancelled after the patch.
    #[must_use]
    pub fn cancelled(
        &self,
        ended: &Ended,
        signal: Signal,
        back: Option<(RestorePoint, Back)>,
    ) -> Close {
        let what = format!(
            "`{}` was not watched to the end: cancelled {} the patch to {}",
            self.path,
            after(ended.at),
            self.commit
        );
        let failure = Failure::new(Code::RunCancelled, what).why(signal.said());
        let by_hand = "slipway status";
        let (now, failure) = match back {
            Some((point, Back::Serves { progress, .. })) => (
                format!("rolled back: {} serves, {}", point.label, ready(&progress)),
                failure.next("nothing: `on-cancel` is rollback"),
            ),
            Some((point, Back::Unwatched(progress))) => (
                format!("{} is set again, unwatched: {}", point.label, halfway(&progress)),
                failure.next(by_hand),
            ),
            Some((point, Back::Incomplete { progress, failure: inner })) => (
                format!("{} is set again, {}", point.label, halfway(&progress)),
                failure.why(format!("{}: {}", point.label, inner.what)).next(by_hand),
            ),
            Some((point, Back::Lost(inner))) => (
                format!("{} or {} is set: not visible", self.commit, point.label),
                failure.why(inner.what).next(by_hand),
            ),
            Some((_, Back::NotWritten(inner))) if inner.code == Code::WorkloadPaused => (
                format!("{} is set and stays paused, unwatched: not rolled back", self.commit),
                failure.why(format!("`on-cancel` is rollback: {}", inner.what)).next(by_hand),
            ),
            Some((_, Back::NotWritten(inner))) => (
                format!("{}; not rolled back", unwatched(self.commit, &ended.progress)),
                failure.why(format!("`on-cancel` is rollback: {}", inner.what)).next(by_hand),
            ),
            Some((_, Back::Taken)) => (
                "not ours any more: nothing more was written".into(),
                failure.why("somebody changed it before it was rolled back").next(by_hand),
            ),
            None => {
                let back = ended.rollout.restore.as_ref().and_then(|point| point.commit.as_ref());
                let annotations = ended.rollout.patched.metadata.annotations.clone();
                let record = Record::read(&annotations.unwrap_or_default());
                let go_back = back.map_or(String::new(), |commit| way_back(commit, &record));
                (
                    unwatched(self.commit, &ended.progress),
                    failure.next(format!("slipway status{go_back}")),
                )
            }
        };
        close(Ending::Cancelled, Severity::Error, failure, now)
    }

    /// Somebody set another image: a newer commit of slipway's own, or anybody.
    #[must_use]
    pub fn changed(&self, ended: &Ended, change: &Change, newer: bool) -> Close {
        let theirs = Record::read(&change.annotations);
        let after = after(change.at);
        let commit = theirs.commit.as_deref().map(short_commit);
        let by_slipway = theirs.run.as_deref().is_some_and(|run| run != ended.rollout.ours.run);
        let run = theirs.history.first().map(|entry| entry.mark.shown());
        if let (true, Some(commit), Some(run)) = (newer, &commit, &run) {
            let set = if commit == self.commit {
                "the same commit".to_owned()
            } else {
                format!("{commit}, which is newer")
            };
            let what =
                format!("{} was superseded: {run} set {set}, {after} this patch", self.commit);
            let now = format!("{commit} rolls out under {run}; nothing was rolled back");
            return close(
                Ending::Superseded,
                Severity::Notice,
                Failure::new(Code::RunSuperseded, what),
                now,
            );
        }
        let image =
            change.images.values().next().map(|image| one_line(image, 400)).unwrap_or_default();
        let named = label(None, &image, pinned(&image).as_ref());
        let who = match (&change.manager, by_slipway, &run) {
            (_, true, Some(run)) => run.clone(),
            (Some(manager), _, _) => format!("field manager `{}`", one_line(manager, 60)),
            (None, _, _) => "somebody".into(),
        };
        let set = if by_slipway { commit.unwrap_or(named) } else { named };
        let what = format!(
            "`{}` was taken over: {who} set {set}, {after} the patch to {}",
            self.path, self.commit
        );
        let failure = Failure::new(Code::RunDisplaced, what)
            .why(format!("the image is {image}; no annotation of slipway proves that it is newer"))
            .next(format!(
                "find out who runs `{who}`, or ship again",
                who = who.trim_start_matches("field manager ").trim_matches('`')
            ));
        close(
            Ending::Displaced,
            Severity::Error,
            failure,
            format!("{set} rolls out; nothing was rolled back"),
        )
    }

    /// It was paused under us.
    #[must_use]
    pub fn paused(&self, ended: &Ended, failed: Option<&Failed>) -> Close {
        let ours = &ended.rollout.ours;
        let what = format!(
            "`{}` was taken over: somebody paused it while {} rolled out",
            self.path, self.commit
        );
        let resume =
            format!("kubectl -n {} rollout resume deployment/{}", ours.namespace, ours.name);
        let failure = Failure::new(Code::WorkloadPaused, what);
        let (failure, now) = match failed {
            None => {
                let lasted = figures::setting(self.timeout);
                let failure = failure.why(format!("it still was after {lasted}")).next(resume);
                (failure, format!("{} is set, {}", self.commit, halfway(&ended.progress)))
            }
            Some(failed) => {
                let cause = &failed.failure;
                let failure =
                    failure.why(format!("{} fails ({}): {}", self.commit, cause.code, cause.what));
                let failure = cause.why.iter().cloned().fold(failure, Failure::why);
                let back = ended.rollout.restore.as_ref().and_then(|point| point.commit.as_ref());
                let failure = match back {
                    Some(commit) => failure
                        .next(resume)
                        .next(format!("slipway rollback --to {}", short_commit(commit))),
                    None => failure.next(resume),
                };
                let now = format!(
                    "{} is set and stays paused, {}; nothing was rolled back",
                    self.commit,
                    left(&ended.progress)
                );
                (failure, now)
            }
        };
        close(Ending::Displaced, Severity::Error, failure, now)
    }

    /// It was deleted under us.
    #[must_use]
    pub fn gone(&self) -> Close {
        let failure = Failure::new(
            Code::WorkloadGone,
            format!(
                "`{}` was taken over: it was deleted while {} rolled out",
                self.path, self.commit
            ),
        )
        .next("run again, once it is back");
        close(Ending::Displaced, Severity::Error, failure, "it is not there".into())
    }

    /// Nobody knows what runs.
    #[must_use]
    pub fn unknown(&self, from: &str, why: &Failure) -> Close {
        let mut failure = Failure::new(
            Code::RunUnknown,
            format!("`{}` may run {} or {from}: {}", self.path, self.commit, why.what),
        );
        failure.why.clone_from(&why.why);
        // The cluster answers, but nobody is known to it.
        failure = failure.next(match why.code {
            Code::AwsExpired => "a person is needed: take fresh keys, then slipway status",
            Code::AwsKey => "a person is needed: give an active key, then slipway status",
            _ => "a person is needed: slipway status, once the cluster answers",
        });
        close(Ending::Unknown, Severity::Error, failure, "not visible".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Entry, Fate, Mark};

    #[test]
    fn what_nobody_watches_any_more_is_told_as_far_as_it_came() {
        let at = |baking_since| Progress {
            new_ready: 3,
            wanted: 3,
            baking_since,
            ..Progress::default()
        };
        assert_eq!(after(Duration::from_millis(900)), "right after");
        assert_eq!(after(Duration::from_secs(6)), "6s after");
        assert_eq!(
            unwatched("9f2c1e4", &at(Some(Duration::from_secs(9)))),
            "9f2c1e4 serves, 3/3 ready, its bake unwatched"
        );
        assert_eq!(
            unwatched("9f2c1e4", &at(None)),
            "9f2c1e4 goes on rolling out, unwatched: 3/3 new, 0 old ready"
        );
    }

    #[test]
    fn the_way_back_to_a_withdrawn_commit_allows_it() {
        let commit = "3f2a91c000000000000000000000000000000000";
        let entry = |fate| Entry {
            commit: commit.into(),
            digest: crate::names::Digest::of(b"image"),
            fate,
            revision: None,
            mark: Mark {
                run: "4711.1".into(),
                number: None,
                workflow: None,
                reference: None,
                at: "2026-11-21T08:41:00Z".into(),
            },
        };
        let record = |fate| Record { history: vec![entry(fate)], ..Record::default() };
        assert_eq!(
            way_back(commit, &record(Fate::Healthy)),
            "; to go back: slipway rollback --to 3f2a91c   (by itself: `on-cancel: rollback`)"
        );
        assert_eq!(
            way_back(commit, &record(Fate::Withdrawn(BY_HAND.into()))),
            way_back(commit, &record(Fate::Healthy))
        );
        assert_eq!(
            way_back(commit, &record(Fate::Withdrawn("SW-CRASH-EXIT".into()))),
            "; to go back: slipway rollback --to 3f2a91c --allow SW-IMAGE-WITHDRAWN   (by itself: `on-cancel: rollback`)"
        );
    }
}
