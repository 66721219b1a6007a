//! The stale guard: whether a commit may follow what slipway shipped here last. Pure.
//!
//! `concurrency:` in a workflow cannot keep an old run from overwriting a newer one, and a re-run
//! defeats it altogether. Here the newest commit ever attempted stands on the workload itself.

use crate::error::{Code, Failure};
use crate::github::api::Ancestry;
use crate::names::CommitSha;
use crate::record::{HighWater, Mark, Newest};
use crate::restore::short_commit;

/// How the commit to ship stands to the newest one shipped, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing of slipway's is live here: nothing to compare with.
    First,
    /// Newer.
    Ahead(Proof),
    /// The same commit.
    Same,
    /// Older.
    Behind(Proof),
    /// On another branch.
    Diverged(Proof),
    /// Nothing tells.
    Unknown,
}

/// What told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// GitHub's compare API, with the distance.
    Compare(u64),
    /// The push event says that it came right after it.
    PushedAfter,
    /// A higher or lower run of the same workflow on the same ref.
    RunNumber {
        /// Our run's number.
        ours: u64,
        /// The number of the run that shipped the newest commit.
        theirs: u64,
    },
}

/// The push event's word: the head before the push, unless it was forced.
#[derive(Clone, Debug, Default)]
pub struct Push {
    /// The commit that the branch pointed at.
    pub before: Option<String>,
    /// History was rewritten.
    pub forced: bool,
}

/// Compares by the best evidence there is.
#[must_use]
pub fn stand(
    commit: &CommitSha,
    newest: Option<&Newest>,
    compared: Option<&Ancestry>,
    push: &Push,
    mark: &Mark,
) -> Standing {
    let Some(newest) = newest else { return Standing::First };
    if newest.commit == commit.as_str() {
        return Standing::Same;
    }
    match compared {
        Some(Ancestry::Ahead(n)) => return Standing::Ahead(Proof::Compare(*n)),
        Some(Ancestry::Behind(n)) => return Standing::Behind(Proof::Compare(*n)),
        Some(Ancestry::Diverged { ahead, .. }) => {
            return Standing::Diverged(Proof::Compare(*ahead));
        }
        Some(Ancestry::Same) => return Standing::Same,
        None => {}
    }
    if push.before.as_deref() == Some(newest.commit.as_str()) && !push.forced {
        return Standing::Ahead(Proof::PushedAfter);
    }
    let same_line = mark.workflow.is_some()
        && mark.workflow == newest.mark.workflow
        && mark.reference == newest.mark.reference;
    match (mark.number, newest.mark.number) {
        (Some(ours), Some(theirs)) if same_line && ours > theirs => {
            Standing::Ahead(Proof::RunNumber { ours, theirs })
        }
        (Some(ours), Some(theirs)) if same_line && ours < theirs => {
            Standing::Behind(Proof::RunNumber { ours, theirs })
        }
        _ => Standing::Unknown,
    }
}

/// What the guard says about a standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Go on.
    Pass(HighWater),
    /// Go on, but say this.
    Warn(Box<Failure>),
    /// Not without `allow`.
    Refuse(Box<Failure>),
}

/// The run that asks, as far as the guard cares.
pub struct Asking<'a> {
    /// The commit, seven digits.
    pub short: &'a str,
    /// This job was run again.
    pub is_rerun: bool,
    /// How long ago the newest was shipped, if that can be told: `14m`.
    pub ago: Option<String>,
}

/// Judges a standing.
#[must_use]
pub fn answer(standing: &Standing, newest: Option<&Newest>, asking: &Asking<'_>) -> Answer {
    // Nothing to come after: an order is not proven by there being none.
    let Some(newest) = newest else { return Answer::Pass(HighWater::Unproven) };
    let high = short_commit(&newest.commit);
    let ours = asking.short;
    match standing {
        Standing::First => Answer::Pass(HighWater::Unproven),
        Standing::Ahead(_) => Answer::Pass(HighWater::Proven),
        Standing::Same => Answer::Pass(HighWater::Stays),
        Standing::Behind(proof) => Answer::Refuse(Box::new(
            Failure::new(
                Code::CommitBehind,
                format!("{ours} is behind {high}, the newest commit shipped here"),
            )
            .why(format!("{}; {}", by(proof), shipped(newest, asking)))
            .next(format!(
                "nothing, if an old run was re-run; to go back: slipway rollback --to {ours}"
            )),
        )),
        Standing::Diverged(_) => Answer::Warn(Box::new(
            Failure::new(
                Code::CommitDiverged,
                format!(
                    "{ours} and {high}, the newest commit shipped here, are on different branches"
                ),
            )
            .why(format!("GitHub compare: diverged; {}", shipped(newest, asking)))
            .next(format!("nothing, if {ours} is meant to replace it")),
        )),
        Standing::Unknown => {
            let failure = Failure::new(Code::CommitUnknown, format!("nothing tells whether {ours} is newer than {high}, the newest commit shipped here"))
                .why(format!("no answer from GitHub compare, no push event after it, no run number of one workflow; {}", shipped(newest, asking)));
            if asking.is_rerun {
                let failure = failure.why("this is a re-run, which is how old commits come back").next(format!(
                    "`github-token` with `contents: read`, or `allow: {}`; to go back: slipway rollback --to {ours}",
                    Code::CommitUnknown
                ));
                Answer::Refuse(Box::new(failure))
            } else {
                Answer::Warn(Box::new(
                    failure.next("nothing, if it is newer; `github-token` with `contents: read` lets the next run tell"),
                ))
            }
        }
    }
}

fn by(proof: &Proof) -> String {
    match proof {
        Proof::Compare(1) => "by 1 commit (GitHub compare)".into(),
        Proof::Compare(n) => format!("by {n} commits (GitHub compare)"),
        Proof::PushedAfter => "by the push event".into(),
        Proof::RunNumber { ours, theirs } => {
            format!("this is run number {ours} of its workflow, that was {theirs}")
        }
    }
}

fn shipped(newest: &Newest, asking: &Asking<'_>) -> String {
    let ago = asking
        .ago
        .as_ref()
        .map_or_else(|| format!("at {}", newest.mark.at), |ago| format!("{ago} ago"));
    format!("{} shipped {} {ago}", newest.mark.shown(), short_commit(&newest.commit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "3f2a91c000000000000000000000000000000000";
    const HIGH: &str = "9f2c1e4000000000000000000000000000000000";

    fn mark(number: u64) -> Mark {
        Mark {
            run: "4711.1".into(),
            number: Some(number),
            workflow: Some("ship.yml".into()),
            reference: Some("refs/heads/main".into()),
            at: "2026-11-21T08:41:00Z".into(),
        }
    }

    fn newest() -> Newest {
        Newest { commit: HIGH.into(), ahead_of: None, mark: mark(40) }
    }

    fn told(standing: &Standing, is_rerun: bool) -> String {
        let asking = Asking { short: "3f2a91c", is_rerun, ago: Some("14m".into()) };
        match answer(standing, Some(&newest()), &asking) {
            Answer::Pass(water) => format!("pass, {water:?}"),
            Answer::Warn(f) => format!(
                "warn {}: {} | {} | {}",
                f.code,
                f.what,
                f.why.join(" / "),
                f.next.join(" / ")
            ),
            Answer::Refuse(f) => format!(
                "refuse {}: {} | {} | {}",
                f.code,
                f.what,
                f.why.join(" / "),
                f.next.join(" / ")
            ),
        }
    }

    #[test]
    fn the_best_evidence_decides() {
        let commit: CommitSha = OURS.parse().unwrap();
        let stand = |compared: Option<&Ancestry>, push: &Push, number| {
            stand(&commit, Some(&newest()), compared, push, &mark(number))
        };
        let none = Push::default();
        assert_eq!(
            stand(Some(&Ancestry::Behind(2)), &none, 41),
            Standing::Behind(Proof::Compare(2))
        );
        assert_eq!(
            stand(Some(&Ancestry::Diverged { ahead: 1, behind: 3 }), &none, 41),
            Standing::Diverged(Proof::Compare(1))
        );
        let after = Push { before: Some(HIGH.into()), forced: false };
        assert_eq!(stand(None, &after, 39), Standing::Ahead(Proof::PushedAfter));
        assert_eq!(
            stand(None, &Push { forced: true, ..after }, 39),
            Standing::Behind(Proof::RunNumber { ours: 39, theirs: 40 })
        );
        assert_eq!(
            stand(None, &none, 41),
            Standing::Ahead(Proof::RunNumber { ours: 41, theirs: 40 })
        );
        assert_eq!(stand(None, &none, 40), Standing::Unknown);
        assert_eq!(super::stand(&commit, None, None, &none, &mark(1)), Standing::First);
        assert_eq!(
            super::stand(
                &HIGH.parse().unwrap(),
                Some(&newest()),
                Some(&Ancestry::Behind(1)),
                &none,
                &mark(1)
            ),
            Standing::Same
        );
    }

    #[test]
    fn a_mangled_commit_in_an_annotation_is_told_and_not_cut_in_a_letter() {
        let newest = Newest { commit: "세이프웨이".into(), ..newest() };
        let asking = Asking { short: "3f2a91c", is_rerun: false, ago: None };
        let Answer::Warn(failure) = answer(&Standing::Unknown, Some(&newest), &asking) else {
            panic!("no warning");
        };
        assert_eq!(
            failure.what,
            "nothing tells whether 3f2a91c is newer than 세이프웨이, the newest commit shipped here"
        );
        assert_eq!(answer(&Standing::First, None, &asking), Answer::Pass(HighWater::Unproven));
    }

    #[test]
    fn each_of_the_answers_is_told_whole() {
        assert_eq!(told(&Standing::Ahead(Proof::Compare(1)), true), "pass, Proven");
        assert_eq!(told(&Standing::Same, true), "pass, Stays");
        insta::assert_snapshot!(told(&Standing::Behind(Proof::Compare(2)), false), @"refuse SW-COMMIT-BEHIND: 3f2a91c is behind 9f2c1e4, the newest commit shipped here | by 2 commits (GitHub compare); run 4711 shipped 9f2c1e4 14m ago | nothing, if an old run was re-run; to go back: slipway rollback --to 3f2a91c");
        insta::assert_snapshot!(told(&Standing::Diverged(Proof::Compare(1)), false), @"warn SW-COMMIT-DIVERGED: 3f2a91c and 9f2c1e4, the newest commit shipped here, are on different branches | GitHub compare: diverged; run 4711 shipped 9f2c1e4 14m ago | nothing, if 3f2a91c is meant to replace it");
        insta::assert_snapshot!(told(&Standing::Unknown, false), @"warn SW-COMMIT-UNKNOWN: nothing tells whether 3f2a91c is newer than 9f2c1e4, the newest commit shipped here | no answer from GitHub compare, no push event after it, no run number of one workflow; run 4711 shipped 9f2c1e4 14m ago | nothing, if it is newer; `github-token` with `contents: read` lets the next run tell");
        insta::assert_snapshot!(told(&Standing::Unknown, true), @"refuse SW-COMMIT-UNKNOWN: nothing tells whether 3f2a91c is newer than 9f2c1e4, the newest commit shipped here | no answer from GitHub compare, no push event after it, no run number of one workflow; run 4711 shipped 9f2c1e4 14m ago / this is a re-run, which is how old commits come back | `github-token` with `contents: read`, or `allow: SW-COMMIT-UNKNOWN`; to go back: slipway rollback --to 3f2a91c");
    }
}
