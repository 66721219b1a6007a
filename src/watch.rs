//! Watches rollouts until each has an end: it owns time, and knows no pod reasons. The verdicts are
//! `rollout`'s; evidence is taken here, before a rollback destroys it.

pub mod evidence;
mod kin;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cancel::{Cancel, Signal};
use crate::cluster::{Cluster, Fed};
use crate::deploy::Rollout;
use crate::error::{Code, Failure};
use crate::registry::Registry;
use crate::report::{Event, Reporter, Step};
use crate::rollout::{
    Cause, Change, Grace, Logs, Memory, Observation, Patience, Progress, Proof, Seen, Verdict,
    judge,
};

/// How often time itself is an observation.
const TICK: Duration = Duration::from_millis(500);

/// A list comes object by object: where things stand is said once it has paused for this long.
const QUIET: Duration = Duration::from_millis(60);

/// A workload that never pauses is told about all the same.
const LONGEST: Duration = Duration::from_secs(1);

/// A rollout that ended, one way or another.
pub struct Ended {
    /// Which.
    pub rollout: Box<Rollout>,
    /// How.
    pub end: End,
    /// Where it stood.
    pub progress: Progress,
    /// Since the PATCH.
    pub at: Duration,
}

/// The ways a rollout ends.
pub enum End {
    /// Every pod runs the image, and stayed ready through the bake.
    Ready(Proof),
    /// It cannot become ready, or did not in time.
    Failed(Box<Failed>),
    /// Somebody changed the image again.
    Changed(Box<Change>),
    /// The workload was deleted.
    Gone,
    /// Somebody paused it: its new pods fail, if that is said, or nothing moved until the time was up.
    Paused(Option<Box<Failed>>),
    /// The cluster can no longer be read.
    Unknown(Box<Failure>),
    /// The run was cancelled.
    Cancelled(Signal),
}

/// A failed rollout with its explanation.
pub struct Failed {
    /// What the fold said.
    pub cause: Cause,
    /// The diagnosis.
    pub failure: Failure,
    /// The patience ended, rather than hope.
    pub late: bool,
    /// What the container said.
    pub logs: Option<Logs>,
}

/// What a watch needs besides its rollout.
pub struct Watch<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// How long.
    pub patience: Patience,
    /// How long trouble is given.
    pub grace: Grace,
    /// Who hears of it.
    pub report: &'a Reporter,
    /// The ear for signals; none where a cancel must not stop it.
    pub cancel: Option<&'a Cancel>,
    /// The registry of our images: absent where none is known.
    pub registry: Option<&'a Registry>,
    /// What evidence can say of nodes and image.
    pub around: &'a evidence::Around,
    /// Which way it goes.
    pub way: Way,
}

/// Which way a rollout goes: the way back is told as a step, not as a second watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the new image.
    Forth,
    /// Back to what this label says.
    Back(String),
}

impl Watch<'_> {
    /// Follows one rollout to its end.
    pub async fn follow(&self, rollout: Box<Rollout>) -> Ended {
        let mut memory = Memory::new(rollout.ours.clone(), self.patience, self.grace);
        let (end, at) = self.fold(&rollout, &mut memory).await;
        let progress = memory.progress();
        Ended { rollout, end, progress, at }
    }

    async fn fold(&self, rollout: &Rollout, memory: &mut Memory) -> (End, Duration) {
        let mut feed = self.cluster.watch(&rollout.patched);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut quiet = Box::pin(tokio::time::sleep(QUIET));
        let mut ears = Ears::default();
        let (mut unsaid, mut first) = (false, tokio::time::Instant::now());
        let mut asked = false;
        // The watch tells what comes after it: where nothing more comes, it is the last word.
        let mut patched = Some(rollout.patched.clone());
        loop {
            let seen = tokio::select! {
                biased;
                signal = self.cancelled() => return (End::Cancelled(signal), rollout.begun.elapsed()),
                fed = feed.next() => match fed {
                    Some(Fed::Seen(seen)) => {
                        let newer = matches!(seen, Seen::Workload(_) | Seen::WorkloadGone);
                        if let Some(workload) = patched.take().filter(|_| !newer) {
                            let at = ears.heard(rollout.begun.elapsed());
                            judge(memory, &Observation { at, seen: Seen::Workload(workload) });
                        }
                        seen
                    }
                    Some(Fed::Ended(failure)) => return (End::Unknown(Box::new(failure)), rollout.begun.elapsed()),
                    Some(Fed::Confirmed) => Seen::Confirmed,
                    Some(fed) => {
                        ears.tell(self.report, rollout.begun.elapsed(), fed);
                        continue;
                    }
                    None => return (End::Unknown(Box::new(feed_is_over())), rollout.begun.elapsed()),
                },
                () = &mut quiet, if unsaid => {
                    unsaid = false;
                    self.progress(rollout.begun.elapsed(), memory.progress());
                    continue;
                }
                _ = tick.tick() => match ears.deaf(rollout.begun.elapsed(), self.patience.timeout) {
                    Deaf::No => Seen::Tick,
                    Deaf::Still => continue,
                    Deaf::TooLong(why) => return (unread(patched.is_some(), why), rollout.begun.elapsed()),
                },
            };
            let at = rollout.begun.elapsed();
            let verdict = self.judged(memory, Observation { at: ears.heard(at), seen }).await;
            if memory.doubts() && !asked {
                feed.ask();
            }
            asked = memory.doubts();
            let now = tokio::time::Instant::now();
            first = if unsaid { first } else { now };
            quiet.as_mut().reset((now + QUIET).min(first + LONGEST));
            unsaid = true;
            if verdict != Verdict::Waiting {
                self.progress(at, memory.progress());
            }
            if let Some(end) = self.end(verdict, memory).await {
                return (end, at);
            }
        }
    }

    /// The verdict, once the registry was asked about digests that were never seen before.
    async fn judged(&self, memory: &mut Memory, seen: Observation) -> Verdict {
        let mut verdict = judge(memory, &seen);
        for stranger in memory.strangers() {
            let ours = memory.shipped(&stranger.container);
            let kin = kin::of(self.registry, &stranger.digest, ours).await;
            let met = Observation { at: seen.at, seen: Seen::Met(stranger, kin) };
            verdict = judge(memory, &met);
        }
        verdict
    }

    fn progress(&self, at: Duration, progress: Progress) {
        // Before the workload itself was seen there is nothing to count against.
        if progress == Progress::default() {
            return;
        }
        self.report.say(match &self.way {
            Way::Forth => Event::Rollout { at, progress },
            Way::Back(label) => {
                let text = format!("{label} {}/{} ready", progress.new_ready, progress.wanted);
                Event::Working { step: Step::Restore, took: at, text }
            }
        });
    }

    async fn cancelled(&self) -> Signal {
        match self.cancel {
            Some(cancel) => cancel.raised().await,
            None => std::future::pending().await,
        }
    }

    async fn end(&self, verdict: Verdict, memory: &Memory) -> Option<End> {
        Some(match verdict {
            Verdict::Waiting => return None,
            Verdict::Ready(proof) => End::Ready(proof),
            // A paused rollout cannot end, and one that is put back while paused would not move either.
            Verdict::Failed(cause) => {
                let failed = Box::new(self.explain(cause, memory, false).await);
                if is_paused(memory) { End::Paused(Some(failed)) } else { End::Failed(failed) }
            }
            Verdict::Late(_) if is_paused(memory) => End::Paused(None),
            Verdict::Late(cause) => End::Failed(Box::new(self.explain(cause, memory, true).await)),
            Verdict::Changed(change) => End::Changed(Box::new(change)),
            Verdict::Gone => End::Gone,
        })
    }

    async fn explain(&self, cause: Cause, memory: &Memory, late: bool) -> Failed {
        let evidence = evidence::take(&cause, memory, self.cluster, self.around, self.report).await;
        let failure = crate::rollout::diagnose(&evidence);
        Failed { cause, failure, late, logs: evidence.logs }
    }
}

fn is_paused(memory: &Memory) -> bool {
    let spec = memory.workload().and_then(|workload| workload.spec.as_ref());
    spec.and_then(|spec| spec.paused).unwrap_or_default()
}

fn feed_is_over() -> Failure {
    Failure::new(Code::RunUnknown, "the watch ended by itself")
}

/// A rollout that was never seen, or can no longer be, did not fail: nothing is undone.
fn unread(never: bool, why: String) -> End {
    let what =
        if never { "its pods could not be read" } else { "the cluster can no longer be read" };
    End::Unknown(Box::new(Failure::new(Code::RunUnknown, what).why(why)))
}

/// Several streams are read at once, and an outage ends all of them: it is told once. Time in which
/// something needed could not be read counts neither against the rollout nor as its bake, however
/// short it was.
#[derive(Default)]
struct Ears {
    unseen: BTreeSet<String>,
    troubled: Option<Duration>,
    /// What is needed and cannot be read, with why.
    lost: BTreeMap<String, String>,
    since: Option<Duration>,
    missed: Duration,
    /// The end of the last outage.
    until: Duration,
}

/// Whether everything that is needed can be read.
enum Deaf {
    No,
    Still,
    TooLong(String),
}

/// Trouble of another stream within this time is the same trouble.
const SAME: Duration = Duration::from_secs(8);

impl Ears {
    /// Trouble of the watch itself is talk: the verdict only ever comes from what was seen.
    fn tell(&mut self, report: &Reporter, at: Duration, fed: Fed) {
        match fed {
            Fed::Lost { what, text, since } => {
                self.lose(what, text, at.saturating_sub(since.elapsed()));
            }
            Fed::Found(what) => self.regain(&what, at),
            Fed::Trouble(text) => {
                if self.troubled.is_none_or(|before| at.saturating_sub(before) > SAME) {
                    self.troubled = Some(at);
                    report.say(Event::Watched { at, text });
                }
            }
            Fed::Again(what) => {
                if self.troubled.take().is_some() {
                    report.say(Event::Watched { at, text: format!("{what} can be read again") });
                }
            }
            Fed::Unseen(unseen) => {
                if self.unseen.insert(unseen.what.clone()) {
                    report.say(Event::NotSeen(unseen));
                }
            }
            Fed::Seen(_) | Fed::Confirmed | Fed::Ended(_) => {}
        }
    }

    /// It is known only now since when something was not heard: the fold's clock stands still until
    /// the time that it was given too early has passed.
    fn lose(&mut self, what: String, text: String, since: Duration) {
        self.lost.insert(what, text);
        // What was taken off already is not taken off again.
        let since = since.max(self.until);
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
    }

    fn regain(&mut self, what: &str, at: Duration) {
        self.lost.remove(what);
        if self.lost.is_empty()
            && let Some(since) = self.since.take()
        {
            self.missed += at.saturating_sub(since);
            self.until = at;
        }
    }

    fn deaf(&self, at: Duration, longest: Duration) -> Deaf {
        match (self.since, self.lost.values().next()) {
            (Some(since), Some(_)) if at.saturating_sub(since) < longest => Deaf::Still,
            (Some(_), Some(why)) => Deaf::TooLong(why.clone()),
            _ => Deaf::No,
        }
    }

    /// The part of this time in which everything needed could be read.
    fn heard(&self, at: Duration) -> Duration {
        let now = self.since.map_or(Duration::ZERO, |since| at.saturating_sub(since));
        at.saturating_sub(self.missed + now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn lose(ears: &mut Ears, what: &str, since: u64) {
        let text = format!("{what} cannot be read: connection refused");
        ears.lose(what.into(), text, s(since));
    }

    #[test]
    fn time_in_which_nothing_could_be_read_counts_for_nothing() {
        let mut ears = Ears::default();
        lose(&mut ears, "pods", 30);
        lose(&mut ears, "deployments", 31);
        assert!(matches!(ears.deaf(s(80), s(60)), Deaf::Still));
        let Deaf::TooLong(why) = ears.deaf(s(90), s(60)) else { panic!("still hopes") };
        assert_eq!(why, "deployments cannot be read: connection refused");
        ears.regain("pods", s(100));
        assert_eq!(ears.heard(s(110)), s(30));
        ears.regain("deployments", s(120));
        assert!(matches!(ears.deaf(s(121), s(60)), Deaf::No));
        assert_eq!(ears.heard(s(125)), s(35));
    }

    #[test]
    fn an_outage_of_two_seconds_counts_for_nothing_too() {
        let mut ears = Ears::default();
        lose(&mut ears, "pods", 30);
        assert_eq!(ears.heard(s(31)), s(30));
        ears.regain("pods", s(32));
        assert_eq!(ears.heard(s(33)), s(31));
    }

    #[test]
    fn what_turns_out_to_have_been_dead_is_taken_off_afterwards() {
        let mut ears = Ears::default();
        assert_eq!(ears.heard(s(60)), s(60));
        lose(&mut ears, "pods", 30);
        assert_eq!(ears.heard(s(60)), s(30));
        ears.regain("pods", s(60));
        assert_eq!(ears.heard(s(61)), s(31));
    }

    #[test]
    fn an_outage_within_an_earlier_one_is_not_counted_twice() {
        let mut ears = Ears::default();
        lose(&mut ears, "pods", 30);
        ears.regain("pods", s(40));
        lose(&mut ears, "replicasets", 35);
        ears.regain("replicasets", s(45));
        assert_eq!(ears.heard(s(50)), s(35));
    }
}
