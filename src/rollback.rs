//! Puts the restore point back and verifies that too; says plainly when it could not.
//!
//! Only what we wrote is undone: if somebody
//! changed the workload since, it is theirs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::aws::Aws;
use crate::cancel::Cancel;
use crate::cluster::{Cluster, Live, Patch};
use crate::deploy::{self, Rollout, Write, Written};
use crate::error::{Code, Failure};
use crate::inputs::Target;
use crate::names::{ImageRef, Repository};
use crate::record::{Mark, Record};
use crate::registry::Registry;
use crate::report::Reporter;
use crate::restore::RestorePoint;
use crate::rollout::{Grace, Patience, Progress};
use crate::watch::{End, Watch, Way, evidence::Around};

/// How often a clash is met by reading again.
const ROUNDS: u32 = 5;

/// How long ECR may take to say what it still has.
const ECR: Duration = Duration::from_secs(5);

/// How a rollback went.
pub enum Back {
    /// It serves again, whole.
    Serves {
        /// Where it stood at the end.
        progress: Progress,
        /// Whether every pod's digest was checked.
        checked: bool,
        /// How long it took.
        took: Duration,
    },
    /// It is set, but did not become whole.
    Incomplete {
        /// Where it stood.
        progress: Progress,
        /// Why not.
        failure: Box<Failure>,
    },
    /// It was not written: the cluster refuses it or does not answer.
    NotWritten(Box<Failure>),
    /// It was sent and its answer lost: either may be set.
    Lost(Box<Failure>),
    /// Somebody else changed the workload first.
    Taken,
    /// A cancel came while it was watched: it is set, and goes on.
    Unwatched(Progress),
}

/// What a rollback needs.
pub struct Undo<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The target.
    pub target: &'a Target,
    /// The run's mark.
    pub mark: &'a Mark,
    /// What was shipped and failed.
    pub commit: &'a str,
    /// Its cause.
    pub code: Code,
    /// How long the way back may take.
    pub patience: Patience,
    /// Who hears of it.
    pub report: &'a Reporter,
    /// The ear: heard once the PATCH is out.
    pub cancel: &'a Cancel,
    /// The registry of our images.
    pub registry: Option<&'a Registry>,
    /// How many signals came before the rollback began.
    pub signals: u32,
}

/// Whether ECR still has every image of ours in a restore point; absent where that was not seen in
/// time: nothing may hold up a rollback for long.
pub async fn in_ecr(aws: &Aws, uri: Option<&ImageRef>, point: &RestorePoint) -> Option<bool> {
    let uri = uri?;
    let repository: Repository = uri.repository.parse().ok()?;
    let digests = point.of_repository(uri);
    if digests.is_empty() {
        return None;
    }
    let asked = tokio::time::timeout(ECR, aws.present(&repository, &digests)).await;
    point.is_among(&asked.ok()?.ok()?, uri)
}

impl Undo<'_> {
    /// Puts the restore point of a rollout back.
    pub async fn restore(&self, rollout: &Rollout, point: &RestorePoint, around: &Around) -> Back {
        let begun = Instant::now();
        let back = match self.write(rollout, point).await {
            Ok(back) => back,
            Err(back) => return back,
        };
        let around = &around.back_at(point);
        let watch = Watch {
            cluster: self.cluster,
            patience: Patience { bake: Duration::ZERO, ..self.patience },
            grace: Grace::within(self.patience.timeout),
            report: self.report,
            cancel: None,
            registry: self.registry,
            around,
            way: Way::Back(point.label.clone()),
        };
        let ended = tokio::select! {
            ended = watch.follow(Box::new(back)) => ended,
            () = self.another_signal() => return Back::Unwatched(Progress::default()),
        };
        match ended.end {
            End::Ready(proof) => {
                let checked = !point.digests.is_empty() && proof.unseen == 0;
                Back::Serves { progress: ended.progress, checked, took: begun.elapsed() }
            }
            End::Failed(failed) => {
                Back::Incomplete { progress: ended.progress, failure: Box::new(failed.failure) }
            }
            End::Unknown(failure) => Back::Incomplete { progress: ended.progress, failure },
            End::Paused(_) => {
                let what = "it was paused while it was put back";
                let failure = Box::new(Failure::new(Code::WorkloadPaused, what));
                Back::Incomplete { progress: ended.progress, failure }
            }
            End::Changed(_) | End::Gone => Back::Taken,
            End::Cancelled(_) => Back::Unwatched(ended.progress),
        }
    }

    /// A signal after the rollback began: the patch is out, so only the watching ends.
    async fn another_signal(&self) {
        loop {
            if self.cancel.count() > self.signals {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Writes it, as long as the workload still is what our own PATCH made it.
    async fn write(&self, rollout: &Rollout, point: &RestorePoint) -> Result<Rollout, Back> {
        let run = format!("{}-back", self.mark.run);
        let mut sent = None;
        for _ in 0..ROUNDS {
            let read = self.cluster.workload(&self.target.namespace, &self.target.workload).await;
            let live = read.map_err(|failure| missed(failure, sent.as_deref()))?;
            let arrived = sent.is_some() && is_set(&live, &run, &point.images);
            if !still_ours(&live, rollout) && !arrived {
                return Err(Back::Taken);
            }
            // Paused as it is, it would take the old image and go on running the pods it has.
            if live.paused && sent.is_none() {
                let what = "it is paused, and no pod would change";
                return Err(Back::NotWritten(Box::new(Failure::new(Code::WorkloadPaused, what))));
            }
            let set = self.annotations(&live, point);
            let patch = Patch::images(&live, &point.images, &set)
                .map_err(|failure| missed(failure, sent.as_deref()))?;
            let write = Write {
                patch: &patch,
                live: &live,
                images: &point.images,
                digests: &point.reported,
                restore: None,
                from_label: self.commit,
                run: &run,
            };
            let written = deploy::write(write, self.target, self.cluster).await;
            match written.map_err(|failure| missed(failure, sent.as_deref()))? {
                Written::Rolling(back) => return Ok(*back),
                Written::Clash => {}
                Written::Absent(why) => sent = Some(why),
                Written::Refused(answer) => {
                    let failure = crate::clear::refusal(self.cluster, &patch, &answer);
                    return Err(missed(failure, sent.as_deref()));
                }
                Written::Unknown(why) => {
                    let what = "the answer to the rollback was lost";
                    let failure = Failure::new(Code::RestoreFailed, what).why(why);
                    return Err(Back::Lost(Box::new(failure)));
                }
            }
        }
        let what = "the workload is changed faster than it can be patched";
        Err(missed(Failure::new(Code::RestoreFailed, what), sent.as_deref()))
    }

    fn annotations(&self, live: &Live, point: &RestorePoint) -> BTreeMap<String, String> {
        Record::read(&live.annotations).restoring(
            &self.mark.run,
            self.code,
            point.commit.as_deref(),
            point.digest(),
            self.mark,
        )
    }
}

/// It was not written, unless an answer was lost before: then it may still be.
fn missed(failure: Failure, sent: Option<&str>) -> Back {
    match sent {
        Some(why) => Back::Lost(Box::new(failure.why(why))),
        None => Back::NotWritten(Box::new(failure)),
    }
}

/// What our PATCH made of it: its own answer tells, since a webhook may have rewritten our image.
fn still_ours(live: &Live, rollout: &Rollout) -> bool {
    let Rollout { ours, generations, .. } = rollout;
    let patched = Live::of((*rollout.patched).clone());
    let whole = ours.generation == generations.1;
    let made = |name: &String, image: &String| {
        let answered = patched.container(name).filter(|_| whole);
        answered.map_or_else(|| image.clone(), |container| container.image.clone())
    };
    let images = ours.images.iter().map(|(name, image)| (name.clone(), made(name, image)));
    live.uid == ours.uid && is_set(live, &ours.run, &images.collect())
}

fn is_set(live: &Live, run: &str, images: &BTreeMap<String, String>) -> bool {
    let same_run = Record::read(&live.annotations).run.as_deref() == Some(run);
    same_run
        && images
            .iter()
            .all(|(name, image)| live.container(name).is_some_and(|c| c.image == *image))
}
