//! The last gate before a cluster write: fresh reads, the restore point captured now, the PATCH
//! tried as a server-side dry run. `deploy` accepts nothing else.

use std::collections::BTreeMap;

use crate::cluster::{self, Cluster, Live, LiveContainer, Patch, PatchAnswer};
use crate::error::{Code, Failure, quoted};
use crate::github::api::Github;
use crate::guard::Answer;
use crate::inputs::{Inputs, Intent, Target};
use crate::names::Digest;
use crate::plan::{self, ImageChange, Plan, Run, workload};
use crate::publish::Published;
use crate::record::{Annotations, HighWater, Record};
use crate::restore::{self, RestorePoint};
use crate::survey::Reads;
use crate::survey::place::{self, Place};

/// How often somebody else may be faster before we give up.
const ROUNDS: u32 = 5;

/// Leave to write, for this moment: what will be sent, and what it can be undone to.
pub struct Cleared {
    /// The PATCH, as it was tried.
    pub patch: Patch,
    /// The workload as it was read for it.
    pub live: Live,
    /// Container to the image that is written.
    pub images: BTreeMap<String, String>,
    /// Container to the digests its pods may report.
    pub digests: BTreeMap<String, Vec<Digest>>,
    /// What a rollback would restore, captured now.
    pub restore: Option<RestorePoint>,
    /// What stands there, as people read it.
    pub from_label: String,
    /// The ReplicaSet's pods or the images changed since the plan.
    pub changed: bool,
    /// It was tried as a dry run. An admission webhook with side effects takes none, and is asked at
    /// the write itself.
    pub tried: bool,
}

/// What clearance needs to know, the same for every round.
pub struct Gate<'a> {
    /// The inputs.
    pub inputs: &'a Inputs,
    /// The target.
    pub target: &'a Target,
    /// The plan.
    pub plan: &'a Plan,
    /// Its change.
    pub change: &'a ImageChange,
    /// The images in ECR.
    pub published: &'a Published,
    /// The run.
    pub run: &'a Run,
    /// The cluster.
    pub cluster: &'a Cluster,
    /// GitHub's API, to compare again where a newer commit came meanwhile.
    pub github: Option<&'a Github>,
}

/// Clears the change, again after each conflict, a bounded number of times.
///
/// # Errors
/// Whatever speaks against the write now.
pub async fn clear(gate: &Gate<'_>, place: &mut Place) -> Result<Cleared, Failure> {
    let (mut conflict, mut lost) = (String::new(), false);
    for _ in 0..ROUNDS {
        refresh(gate, place).await?;
        let cleared = judge(gate, place)?;
        match gate.cluster.try_patch(&cleared.patch).await? {
            PatchAnswer::Applied(_) => return Ok(cleared),
            PatchAnswer::Refused(words) if takes_no_dry_run(&words) => {
                return Ok(Cleared { tried: false, ..cleared });
            }
            PatchAnswer::Conflict(why) => (conflict, lost) = (why, false),
            PatchAnswer::Lost(why) => (conflict, lost) = (why, true),
            refused => return Err(refusal(gate.cluster, &cleared.patch, &refused)),
        }
    }
    let path = plan::path(gate.target);
    if lost {
        return Err(Failure::new(
            Code::EksAnswer,
            format!("the dry run of the patch of `{path}` was not answered"),
        )
        .why(format!("{ROUNDS} times, at last {}", quoted(&conflict)))
        .next("run again, once the API server answers patches"));
    }
    Err(Failure::new(
        Code::WorkloadChanged,
        format!("`{path}` is changed faster than it can be patched"),
    )
    .why(format!("{ROUNDS} dry runs, the last answered {}", quoted(&conflict)))
    .next(format!(
        "see who writes it: kubectl -n {} get deployment {} -o yaml --show-managed-fields",
        gate.target.namespace, gate.target.workload.name
    )))
}

/// Reads the workload again, and all that the restore point is made of.
async fn refresh(gate: &Gate<'_>, place: &mut Place) -> Result<(), Failure> {
    let live = gate.cluster.workload(&gate.target.namespace, &gate.target.workload).await?;
    if live.uid != place.live.uid {
        let path = plan::path(gate.target);
        return Err(Failure::new(
            Code::WorkloadGone,
            format!("`{path}` was deleted and made anew since the plan"),
        )
        .why(format!("its uid was {}, now it is {}", place.live.uid, live.uid))
        .next("run again, if the new one is meant"));
    }
    let (sets, pods) = tokio::join!(gate.cluster.replica_sets(&live), gate.cluster.pods(&live));
    let sets = sets?;
    place.health = cluster::health(&live, &sets, &pods?);
    let record = Record::read(&live.annotations);
    // What GitHub said was about the newest commit of then; about another it says nothing.
    if record.newest_commit() != place.record.newest_commit() && ships(gate) {
        let (commit, reads) = (Some(&gate.plan.commit), Reads::default());
        place.compared =
            place::compare(commit, &record, gate.github, &mut place.unseen, &reads).await;
    }
    place.record = record;
    place.live = live;
    place.sets = sets;
    Ok(())
}

/// Everything the plan refused is asked again of what is there now.
fn judge(gate: &Gate<'_>, place: &Place) -> Result<Cleared, Failure> {
    let path = plan::path(gate.target);
    if place.live.paused {
        return Err(Failure::new(
            Code::WorkloadPaused,
            format!("`{path}` was paused since the plan, no pod would change"),
        )
        .next(format!(
            "kubectl -n {} rollout resume {}",
            gate.target.namespace, gate.target.workload
        )));
    }
    let image = gate.plan.images.values().next().ok_or_else(no_image)?;
    let published = gate.published.images.values().next().ok_or_else(no_image)?;
    let targets: Vec<_> = gate
        .change
        .containers
        .keys()
        .filter_map(|name| place.live.container(name).cloned())
        .collect();
    if targets.len() != gate.change.containers.len() {
        return Err(Failure::new(
            Code::WorkloadContainer,
            format!("`{path}` lost a container since the plan"),
        )
        .next("run again: the plan has to be made anew"));
    }
    if gate.change.unchanged
        && targets.iter().any(|t| gate.change.from.get(&t.name) != Some(&t.image))
    {
        return Err(Failure::new(
            Code::WorkloadChanged,
            format!("`{path}` got another image since the plan"),
        )
        .next("run again: the plan has to be made anew"));
    }
    let water = still_newest(gate, place)?;
    let there = (&published.uri, &published.digest);
    let images = workload::images(gate.inputs, gate.change, &image.tag, there, &place.sets);
    let annotations = annotations(gate, place, &published.digest, water);
    let patch = Patch::images(&place.live, &images, &annotations)?;
    let restore = captured(gate, place, &targets, &images, &published.digests);
    let changed =
        targets.iter().any(|target| gate.change.from.get(&target.name) != Some(&target.image));
    let digests = images.keys().map(|name| (name.clone(), published.digests.clone())).collect();
    let from_label = targets
        .first()
        .map_or_else(|| gate.change.from_label.clone(), |first| workload::label(place, first));
    let live = place.live.clone();
    Ok(Cleared { patch, live, images, digests, restore, from_label, changed, tried: true })
}

/// What a rollback would restore. Not the same image again: to put it back would be to write what just failed, and
/// call it healthy.
fn captured(
    gate: &Gate<'_>,
    place: &Place,
    targets: &[LiveContainer],
    images: &BTreeMap<String, String>,
    digests: &[Digest],
) -> Option<RestorePoint> {
    let captured = restore::capture(&place.health, targets, &place.record, &place.resolved);
    let mut point = captured.filter(|point| !point.is_of(images, digests))?;
    let planned = gate.change.restore.as_ref();
    let planned = planned.filter(|planned| planned.digests == point.digests);
    point.in_ecr = planned.and_then(|planned| planned.in_ecr);
    Some(point)
}

/// What slipway writes about itself beside the images.
fn annotations(gate: &Gate<'_>, place: &Place, digest: &Digest, water: HighWater) -> Annotations {
    let (commit, mark) = (gate.plan.commit.tag(), &gate.run.mark);
    match gate.inputs.intent {
        Intent::Ship if gate.change.unchanged => {
            let revision = place.live.revision.map(|n| n.to_string());
            place.record.naming(commit.as_str(), digest, revision.as_deref(), mark, water)
        }
        Intent::Ship => place.record.setting(commit.as_str(), digest, mark, water),
        Intent::Rollback(_) => place.record.going_back(commit.as_str(), digest, mark),
    }
}

/// The stale guard once more: somebody may have shipped a newer commit while we pushed.
fn still_newest(gate: &Gate<'_>, place: &Place) -> Result<HighWater, Failure> {
    if !ships(gate) {
        return Ok(HighWater::Stays);
    }
    match workload::answer(&gate.plan.commit, place, gate.run) {
        Answer::Pass(water) => Ok(water),
        Answer::Warn(_) => Ok(HighWater::Unproven),
        Answer::Refuse(failure) if gate.inputs.allows(failure.code) => Ok(HighWater::Stays),
        Answer::Refuse(failure) => Err(*failure),
    }
}

fn ships(gate: &Gate<'_>) -> bool {
    gate.inputs.intent == Intent::Ship
}

/// The API server's words where a webhook has, or may have, side effects.
fn takes_no_dry_run(words: &str) -> bool {
    words.contains("does not support dry run")
}

fn no_image() -> Failure {
    Failure::new(Code::RunBug, "the plan has a change without an image")
}

/// Why the API server does not take the PATCH, dry or not.
#[must_use]
pub fn refusal(cluster: &Cluster, patch: &Patch, answer: &PatchAnswer) -> Failure {
    if let PatchAnswer::Forbidden(message) = answer {
        return cluster.may_not_patch(patch, message);
    }
    answer
        .refusal(patch)
        .unwrap_or_else(|| Failure::new(Code::RunBug, "an answer to the patch was not understood"))
}
