//! From clearance to the end of the rollout. After the write nothing here returns early: every path
//! ends in an outcome that says what runs.

use std::time::Duration;

use super::clear;
use super::journey::{self, Halt, Journey, Now};
use crate::clear::{Cleared, Gate};
use crate::cluster::{Cluster, Patch, Strategy};
use crate::deploy::{self, Rollout, Write, Written};
use crate::ending::{Close, Words};
use crate::error::{Code, Ending, Failure, Unseen};
use crate::guard::{self, Standing};
use crate::inputs::{Intent, Spelling, Target};
use crate::plan::{Plan, image};
use crate::publish::Published;
use crate::record::{Fate, Record};
use crate::report::{Deployed, Event, Outcome, Step, figures};
use crate::restore::{RestorePoint, short_commit};
use crate::rollback::{self, Back, Undo};
use crate::rollout::{Change, Grace};
use crate::settle::{self, Move};
use crate::survey::{Facts, Remotes, place::Place};
use crate::watch::evidence::Around;
use crate::watch::{End, Ended, Watch, Way};

/// How often a clash at the write sends us back to clearance.
const ROUNDS: u32 = 5;

/// How long a cancelled run waits for an answer: a runner ends it after 7.5 s.
const HURRY: Duration = Duration::from_secs(5);

/// Everything a rollout is watched and undone with.
struct Scene<'a> {
    journey: &'a Journey<'a>,
    plan: &'a Plan,
    published: &'a Published,
    target: &'a Target,
    cluster: &'a Cluster,
    remotes: &'a Remotes,
    around: Around,
    path: String,
    commit: String,
    recreate: bool,
}

/// Rolls the plan's change out, and sees it to its end.
///
/// # Errors
/// Nothing was written to the cluster.
pub async fn out(
    journey: &Journey<'_>,
    plan: &Plan,
    published: &Published,
    facts: &mut Facts,
    remotes: &Remotes,
    now: &Now,
) -> Result<Outcome, Box<Halt>> {
    let lost = || Halt::refused(vec![Failure::new(Code::RunBug, "the plan has no workload")], now);
    let (Some(change), Some(target)) = (plan.change(), journey.inputs.target.as_ref()) else {
        return Err(lost());
    };
    let (Some(cluster), Some(place)) = (&remotes.cluster, &mut facts.place) else {
        return Err(lost());
    };
    let around = around(place, plan, published, facts.caller.account.as_str());
    let recreate = place.live.strategy == Strategy::Recreate;
    let gate = Gate {
        inputs: journey.inputs,
        target,
        plan,
        change,
        published,
        run: &journey.run,
        cluster,
        github: journey.github.as_ref(),
    };
    let scene = Scene {
        journey,
        plan,
        published,
        target,
        cluster,
        remotes,
        around,
        path: crate::plan::path(target),
        commit: plan.short(),
        recreate,
    };
    let started = scene.write(&gate, place).await;
    if change.unchanged {
        scene.renamed(started, place)?;
        return Ok(journey.unchanged(plan, facts));
    }
    match started? {
        Start::Rolling(rollout) => Ok(scene.see_through(rollout).await),
        Start::Unknown { from, why } => {
            let failure =
                Failure::new(Code::RunUnknown, "the answer to the patch was lost").why(why);
            Ok(scene.finish(scene.words().unknown(&from, &failure), None))
        }
    }
}

fn around(place: &Place, plan: &Plan, published: &Published, account: &str) -> Around {
    let image = plan.image().zip(published.images.values().next());
    Around {
        namespace: place.live.namespace.clone(),
        workload: place.live.name.clone(),
        image: image
            .map(|(plan, there)| {
                image::reference(&there.uri, &plan.tag, &there.digest, Spelling::TagAndDigest)
                    .to_string()
            })
            .unwrap_or_default(),
        image_platforms: plan.image().map(|image| image.has.clone()).unwrap_or_default(),
        nodes: place.evidence.nodes.clone().unwrap_or_default(),
        same_account: Some(place.info.account.as_str() == account),
        node_role: place.node_role.clone(),
    }
}

/// What was put back, and how that went.
struct Undone {
    point: RestorePoint,
    back: Back,
    in_ecr: Option<bool>,
}

/// What the write came to.
enum Start {
    Rolling(Box<Rollout>),
    Unknown { from: String, why: String },
}

impl Scene<'_> {
    fn words(&self) -> Words<'_> {
        Words {
            path: &self.path,
            commit: &self.commit,
            timeout: self.plan.policy.patience.timeout,
            recreate: self.recreate,
        }
    }

    /// Clears and writes, again after a clash. Once the answer to a PATCH was lost, nothing that stops
    /// us says "nothing was written" any more: that PATCH may still arrive.
    async fn write(&self, gate: &Gate<'_>, place: &mut Place) -> Result<Start, Box<Halt>> {
        let mut lost = None;
        match (self.rounds(gate, place, &mut lost).await, lost) {
            (Err(halt), Some((from, why))) => {
                let why = format!("{why}; it was not sent again: {}", halt.what());
                Ok(Start::Unknown { from, why })
            }
            (started, _) => started,
        }
    }

    async fn rounds(
        &self,
        gate: &Gate<'_>,
        place: &mut Place,
        lost: &mut Option<(String, String)>,
    ) -> Result<Start, Box<Halt>> {
        for _ in 0..ROUNDS {
            let cleared = clear(self.journey, gate, place, self.published.wrote).await?;
            let begun = std::time::Instant::now();
            match self.send(&cleared).await.map_err(|failure| {
                Halt::at_the_gate(failure, self.published.wrote, &Now::at(place))
            })? {
                Written::Rolling(rollout) => {
                    self.say_deployed(&rollout, &cleared, begun.elapsed());
                    return Ok(Start::Rolling(rollout));
                }
                Written::Clash => {}
                Written::Absent(why) => {
                    lost.get_or_insert((cleared.from_label, why));
                }
                Written::Refused(answer) => {
                    let failure = crate::clear::refusal(self.cluster, &cleared.patch, &answer);
                    return Err(Halt::at_the_gate(failure, self.published.wrote, &Now::at(place)));
                }
                Written::Unknown(why) => {
                    return Ok(Start::Unknown { from: cleared.from_label, why });
                }
            }
        }
        let failure = Failure::new(
            Code::WorkloadChanged,
            format!("`{}` is changed faster than it can be patched", self.path),
        );
        Err(Halt::at_the_gate(failure, self.published.wrote, &Now::at(place)))
    }

    /// The image serves, whatever became of the annotations that name its commit: that they could not
    /// be written is told, and fails no run, unless it serves no more or the run was cancelled.
    fn renamed(&self, started: Result<Start, Box<Halt>>, place: &Place) -> Result<(), Box<Halt>> {
        let failure = match started {
            Ok(Start::Rolling(_)) => return Ok(()),
            Ok(Start::Unknown { why, .. }) => {
                Failure::new(Code::RunUnknown, "the answer to the patch was lost").why(why)
            }
            Err(halt) => halt.unless_it_serves(self.plan, place)?,
        };
        let what = format!(
            "{} serves in `{}`, but its annotations may not say so: {}",
            self.commit, self.path, failure.what
        );
        let next = "run again, once that is mended: until then `status`, `history` and the stale guard know the old commit";
        self.journey.warn(Failure { what, next: vec![next.to_owned()], ..failure }, false);
        Ok(())
    }

    /// Sends the PATCH. A cancel does not drop it, but waits for its answer only as long as a runner
    /// leaves time to say what happened.
    async fn send(&self, cleared: &Cleared) -> Result<Written, Failure> {
        let write = Write {
            patch: &cleared.patch,
            live: &cleared.live,
            images: &cleared.images,
            digests: &cleared.digests,
            restore: cleared.restore.clone(),
            from_label: &cleared.from_label,
            run: &self.journey.run.mark.run,
        };
        let hurried = async {
            let signal = self.journey.cancel.raised().await;
            tokio::time::sleep(HURRY).await;
            signal
        };
        tokio::select! {
            biased;
            written = deploy::write(write, self.target, self.cluster) => written,
            signal = hurried => {
                Ok(Written::Unknown(format!("{}, before its answer came", signal.said())))
            }
        }
    }

    fn say_deployed(&self, rollout: &Rollout, cleared: &Cleared, took: Duration) {
        let (before, after) = rollout.generations;
        let text = if before == after {
            format!("generation {after}, unchanged: only annotations were set")
        } else {
            format!("generation {before} -> {after}")
        };
        self.journey.report.say(Event::StepDone { step: Step::Deploy, took, text });
        let restore = cleared.restore.as_ref();
        let revision = cleared.live.revision.filter(|_| before != after);
        let revision = revision.and_then(|n| u64::try_from(n).ok());
        let named = self
            .plan
            .image()
            .zip(self.published.digest())
            .map(|(image, digest)| format!("{}:{}@{digest}", image.repository, image.tag));
        self.journey.report.say(Event::Deployed(Deployed {
            image: named.unwrap_or_default(),
            cluster: self.target.cluster.to_string(),
            platforms: self.around.image_platforms.clone(),
            commit: self.commit.clone(),
            before: restore.map(|point| point.label.clone()),
            returnable: restore.is_some_and(|point| point.commit.is_some()),
            revisions: revision.map(|n| (n, n + 1)),
        }));
    }

    /// Watches to the end, settles, undoes where that is the move, and tells.
    async fn see_through(&self, rollout: Box<Rollout>) -> Outcome {
        let signals = self.journey.cancel.count();
        let watch = Watch {
            cluster: self.cluster,
            patience: self.plan.policy.patience,
            grace: Grace::within(self.plan.policy.patience.timeout),
            report: self.journey.report,
            cancel: Some(self.journey.cancel),
            registry: self.remotes.registry.as_ref(),
            around: &self.around,
            way: Way::Forth,
        };
        let ended = vec![watch.follow(rollout).await];
        let settlement = settle::settle(&ended, &self.plan.policy);
        let mut outcomes = Vec::new();
        for (ended, decided) in ended.into_iter().zip(settlement.moves) {
            outcomes.push(self.settle_one(ended, decided, signals).await);
        }
        // One workload a run, for now: with several, the run's own ending is the worst of theirs.
        outcomes
            .into_iter()
            .max_by_key(|outcome| outcome.ending)
            .unwrap_or_else(|| journey::outcome(Ending::Bug))
    }

    async fn settle_one(&self, ended: Ended, decided: Move, signals: u32) -> Outcome {
        if let (Move::Keep, End::Ready(proof)) = (decided, &ended.end) {
            return self.shipped(&ended, proof).await;
        }
        let undone = if decided == Move::Undo { self.undo(&ended, signals).await } else { None };
        if undone.as_ref().is_some_and(|undone| matches!(undone.back, Back::Taken))
            && let Some(newer) = self.overtaken(&ended).await
        {
            return self.finish(self.words().changed(&ended, &newer, true), None);
        }
        let in_ecr = undone.as_ref().and_then(|undone| undone.in_ecr);
        let serving = undone
            .as_ref()
            .filter(|u| matches!(u.back, Back::Serves { .. }))
            .and_then(|u| u.point.commit.clone());
        let back = undone.map(|undone| (undone.point, undone.back));
        let words = self.words();
        let close = match &ended.end {
            End::Failed(failed) => words.failed(&ended, failed, back, in_ecr),
            End::Cancelled(signal) => words.cancelled(&ended, *signal, back),
            End::Changed(change) => words.changed(&ended, change, self.proven_newer(change).await),
            End::Gone => words.gone(),
            End::Paused(failed) => words.paused(&ended, failed.as_deref()),
            End::Unknown(failure) => words.unknown(&ended.rollout.from_label, failure),
            End::Ready(_) => Close { ending: Ending::Bug, told: None },
        };
        if let (Ending::Cancelled, None) = (close.ending, &serving) {
            self.mark(&Fate::Unwatched, Duration::from_secs(2)).await;
        }
        self.finish(close, serving)
    }

    /// The change that kept us from going back, if it is a newer commit of slipway's: then the failure
    /// of ours is of no more account.
    async fn overtaken(&self, ended: &Ended) -> Option<Change> {
        let read = self.cluster.workload(&self.target.namespace, &self.target.workload).await;
        let live = read.ok().filter(|live| live.uid == ended.rollout.ours.uid)?;
        let change = Change {
            images: live.containers.iter().map(|c| (c.name.clone(), c.image.clone())).collect(),
            annotations: live.annotations.clone(),
            manager: None,
            generation: live.generation,
            at: ended.rollout.begun.elapsed(),
        };
        self.proven_newer(&change).await.then_some(change)
    }

    /// Puts the restore point back, after asking ECR whether it still has it.
    async fn undo(&self, ended: &Ended, signals: u32) -> Option<Undone> {
        let point = ended.rollout.restore.clone()?;
        let in_ecr = rollback::in_ecr(&self.remotes.aws, self.published.uri(), &point).await;
        // The signal that asks for this rollback does not end its watch; one that came since a failure
        // was being explained does.
        let (code, signals) = match &ended.end {
            End::Failed(failed) => (failed.failure.code, signals),
            _ => (Code::RunCancelled, self.journey.cancel.count()),
        };
        let undo = Undo {
            cluster: self.cluster,
            target: self.target,
            mark: &self.journey.run.mark,
            commit: &self.commit,
            code,
            patience: self.plan.policy.patience,
            report: self.journey.report,
            cancel: self.journey.cancel,
            registry: self.remotes.registry.as_ref(),
            signals,
        };
        let back = undo.restore(&ended.rollout, &point, &self.around).await;
        if let Back::Serves { took, progress, .. } = &back {
            let text = format!(
                "{} serves again, {}/{} ready",
                point.label, progress.new_ready, progress.wanted
            );
            self.journey.report.say(Event::StepDone { step: Step::Restore, took: *took, text });
        }
        Some(Undone { point, back, in_ecr })
    }

    /// Whether annotations, run numbers or GitHub prove that somebody's commit is newer than ours.
    async fn proven_newer(&self, change: &Change) -> bool {
        let theirs = Record::read(&change.annotations);
        let written = change
            .images
            .values()
            .any(|image| crate::restore::pinned(image) == theirs.digest && theirs.digest.is_some());
        let (Some(newest), Some(commit)) = (&theirs.newest, &theirs.commit) else { return false };
        // Another run of the same commit took the watch over: what rolls out is what we wanted.
        if written && commit == self.plan.commit.tag().as_str() {
            return true;
        }
        if !written || newest.commit != *commit || self.journey.inputs.intent != Intent::Ship {
            return false;
        }
        let Ok(their_sha) = commit.parse() else { return false };
        let ours = crate::record::Newest {
            commit: self.plan.commit.sha.to_string(),
            ahead_of: None,
            mark: self.journey.run.mark.clone(),
        };
        let compared = match &self.journey.github {
            Some(github) => github.compare(&ours.commit, commit).await.ok(),
            None => None,
        };
        let standing = guard::stand(
            &their_sha,
            Some(&ours),
            compared.as_ref(),
            &guard::Push::default(),
            &newest.mark,
        );
        matches!(standing, Standing::Ahead(_))
            || (compared.is_none() && newest.ahead_of.as_deref() == Some(ours.commit.as_str()))
    }

    async fn shipped(&self, ended: &Ended, proof: &crate::rollout::Proof) -> Outcome {
        let report = self.journey.report;
        let bake = self.plan.policy.patience.bake;
        if let Some(digest) = self.published.digest().cloned().filter(|_| proof.pods > 0) {
            report.say(Event::Baked {
                at: ended.at,
                bake,
                restarts: proof.restarts,
                pods: proof.pods - proof.unseen,
                unseen: proof.unseen,
                wanted: ended.progress.wanted,
                digest,
            });
        }
        self.mark(&Fate::Healthy, Duration::from_secs(20)).await;
        let took = figures::took(self.journey.begun.elapsed());
        let line = match &self.journey.inputs.intent {
            Intent::Ship => format!("shipped {} to {} in {took}", self.commit, self.path),
            Intent::Rollback(_) => {
                let from = short_commit(&ended.rollout.from_label);
                format!(
                    "{} is back at {} in {took}; {from} is withdrawn, newer commits ship as usual",
                    self.path, self.commit
                )
            }
        };
        let mut outcome = self.finish(
            Close { ending: Ending::Shipped, told: None },
            Some(self.plan.commit.tag().to_string()),
        );
        outcome.line = Some(line);
        outcome
    }

    /// Writes on the workload how our rollout ended. It is a convenience for the history: nothing
    /// depends on it, so that it is said and left where it cannot be written.
    async fn mark(&self, fate: &Fate, at_most: Duration) {
        let why = match tokio::time::timeout(at_most, self.try_to_mark(fate)).await {
            Ok(None) => return,
            Ok(Some(why)) => why,
            Err(_) => format!("no answer in {}", figures::setting(at_most)),
        };
        self.journey.report.say(Event::NotSeen(Unseen::new(
            "history",
            format!("how this rollout ended was not written: {why}"),
        )));
    }

    /// Why it could not be written, if it could not.
    async fn try_to_mark(&self, fate: &Fate) -> Option<String> {
        let run = &self.journey.run.mark.run;
        match self.cluster.workload(&self.target.namespace, &self.target.workload).await {
            Ok(live) if Record::read(&live.annotations).run.as_ref() == Some(run) => {
                let revision = live.revision.map(|n| n.to_string());
                let set = Record::read(&live.annotations).ending(run, fate, revision.as_deref());
                let patch =
                    Patch::annotations(&live, &format!("{}run", crate::record::PREFIX), &set);
                match self.cluster.patch(&patch).await {
                    Ok(crate::cluster::PatchAnswer::Applied(_)) => None,
                    Ok(_) => Some("the patch was not taken".to_owned()),
                    Err(failure) => Some(failure.what),
                }
            }
            Ok(_) => None,
            Err(failure) => Some(failure.what),
        }
    }

    fn finish(&self, close: Close, serving: Option<String>) -> Outcome {
        if let Some(told) = &close.told {
            self.journey.report.say(Event::Told(told.clone()));
        }
        Outcome {
            told: close.told,
            serving,
            image: self.journey.reference(self.plan, self.published.uri()),
            platforms: self.around.image_platforms.clone(),
            plan: serde_json::to_value(self.plan).ok(),
            ..journey::outcome(close.ending)
        }
    }
}
