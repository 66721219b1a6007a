//! The workload's side of the plan: what changes, what a rollback would restore, and everything
//! that speaks against a write. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;

use crate::aws::RepositoryState;
use crate::cluster::{Live, LiveContainer, Owner, Strategy, container_for};
use crate::error::{Code, Failure};
use crate::guard::{self, Answer, Asking};
use crate::inputs::{Inputs, Intent, Target};
use crate::names::{Commit, Digest, ImageRef, Tag};
use crate::record::{HighWater, Newest};
use crate::restore;
use crate::survey::Facts;
use crate::survey::place::Place;
use crate::survey::platforms;

use super::image::{Wanted, reference};
use super::{Draft, ImageChange, Run, WorkloadPlan};

/// What is known of the workload's side, with its refusals and warnings.
pub fn look(
    inputs: &Inputs,
    target: &Target,
    facts: &Facts,
    place: &Place,
    draft: &mut Draft,
) -> Option<WorkloadPlan> {
    let evidence =
        platforms::Evidence { input: inputs.platforms.clone(), ..place.evidence.clone() };
    let needs = platforms::needs(&evidence, &facts.unseen)
        .map_err(|failure| draft.refusals.push(*failure))
        .ok();
    standing_in_the_way(inputs, target, place, draft);
    let containers = containers(inputs, target, facts, place)
        .map_err(|failure| draft.refusals.push(failure))
        .ok()?;
    let mut restore = restore::capture(&place.health, &containers, &place.record, &place.resolved);
    if let Some(point) = &mut restore {
        point.in_ecr = in_ecr(point, place, facts);
    }
    if let Some(failure) = unhealthy(&super::path(target), place, restore.is_some()) {
        draft.warnings.push((failure, false));
    }
    let first = containers.first()?;
    let label = label(place, first);
    Some(WorkloadPlan { containers, needs, restore, label })
}

/// The containers that get the image.
fn containers(
    inputs: &Inputs,
    target: &Target,
    facts: &Facts,
    place: &Place,
) -> Result<Vec<LiveContainer>, Failure> {
    let Some((repository, state)) = &facts.repository else { return Ok(Vec::new()) };
    // A repository that is missing and not to be made is told as that; no image of it can run.
    let missing = matches!(state, RepositoryState::Missing) && !inputs.create_repository;
    if missing && target.container.is_none() {
        return Ok(Vec::new());
    }
    let host = facts.uri.as_ref().and_then(|uri| uri.registry.clone()).unwrap_or_default();
    container_for(&place.live, &host, repository, target.container.as_ref())
}

/// What stands in a container now, as people read it.
#[must_use]
pub fn label(place: &Place, container: &LiveContainer) -> String {
    let digest = running(place, &container.name);
    let commit = digest.as_ref().and_then(|digest| place.record.commit_of(digest));
    restore::label(commit, &container.image, digest.as_ref())
}

/// What a container's image is now: pinned, or what its ready pods run.
#[must_use]
pub fn running(place: &Place, container: &str) -> Option<Digest> {
    let image = &place.live.container(container)?.image;
    let current = place.health.current.as_ref();
    let reported = current.and_then(|revision| restore::only(revision, container));
    restore::image_of(image, reported, &place.resolved)
}

fn in_ecr(point: &restore::RestorePoint, place: &Place, facts: &Facts) -> Option<bool> {
    point.is_among(place.present.as_ref()?, facts.uri.as_ref()?)
}

/// Everything about the workload that makes a write wrong, or worth a warning.
fn standing_in_the_way(inputs: &Inputs, target: &Target, place: &Place, draft: &mut Draft) {
    let path = super::path(target);
    draft.refusals.extend(place.lacking.clone());
    if place.live.paused {
        draft.refusals.push(
            Failure::new(Code::WorkloadPaused, format!("`{path}` is paused, no pod would change"))
                .next(format!(
                    "kubectl -n {} rollout resume {}",
                    target.namespace, target.workload
                )),
        );
    }
    for owner in &place.live.owners {
        match owned(owner) {
            Some((failure, true)) if !inputs.allows(Code::WorkloadOwned) => {
                draft.refusals.push(failure.next(format!(
                    "change the image where it is kept, or `allow: {}`",
                    Code::WorkloadOwned
                )));
            }
            Some((failure, _)) => draft.warnings.push((failure, false)),
            None => {}
        }
    }
    if place.live.replicas == 0 {
        draft.warnings.push((scaled(&path, &place.live), true));
    }
}

/// What an owner does to our image, and whether it does so by itself.
fn owned(owner: &Owner) -> Option<(Failure, bool)> {
    let said = |what: String| {
        Failure::new(Code::WorkloadOwned, what).why("the Deployment's own metadata says so")
    };
    let back = "puts its own back";
    Some(match owner {
        Owner::Argo(app) => (
            said(format!("Argo CD application `{app}` sets this image too; its next sync {back}")),
            true,
        ),
        Owner::FluxKustomization(name) => (
            said(format!("Flux Kustomization `{name}` sets this image too; its next run {back}")),
            true,
        ),
        Owner::FluxHelm(name) => (
            said(format!("Flux HelmRelease `{name}` sets this image too; its next run {back}")),
            true,
        ),
        Owner::Helm(release) => (
            said(format!("Helm release `{release}` sets this image too; its next upgrade {back}")),
            false,
        ),
        Owner::Manager { name, .. } if owner.is_gitops() => {
            (said(format!("field manager `{name}` sets this image too and {back} by itself")), true)
        }
        // Whoever made the Deployment is one: no news.
        Owner::Manager { .. } => return None,
    })
}

fn scaled(path: &str, live: &Live) -> Failure {
    Failure::new(
        Code::WorkloadScaled,
        format!("`{path}` asks for 0 replicas: nothing will run, so nothing is proven"),
    )
    .next(format!("kubectl -n {} scale deployment/{} --replicas=1", live.namespace, live.name))
}

fn unhealthy(path: &str, place: &Place, can_restore: bool) -> Option<Failure> {
    let health = &place.health;
    if health.is_well() || place.live.replicas == 0 {
        return None;
    }
    let state = health
        .rolling
        .clone()
        .unwrap_or_else(|| format!("{}/{} ready", health.ready, health.wanted));
    Some(match can_restore {
        true => {
            Failure::new(Code::WorkloadUnhealthy, format!("`{path}` is not whole now: {state}"))
                .next("nothing: a rollback would restore the last revision that was")
        }
        false => {
            Failure::new(Code::WorkloadUnhealthy, format!("`{path}` is not healthy now: {state}"))
                .next(
                    "nothing: there is no healthy revision, so a failure would not be rolled back",
                )
        }
    })
}

/// The change itself.
pub fn change(
    inputs: &Inputs,
    workload: &WorkloadPlan,
    place: &Place,
    wanted: &Wanted,
) -> ImageChange {
    let target = inputs.target.as_ref();
    let from: BTreeMap<_, _> =
        workload.containers.iter().map(|c| (c.name.clone(), c.image.clone())).collect();
    let digest = wanted.origin.digest();
    let all_pinned = digest.is_some()
        && !from.is_empty()
        && from.values().all(|image| restore::pinned(image).as_ref() == digest);
    let unchanged = all_pinned && place.health.is_well();
    let says = digest.is_some_and(|d| place.record.says(wanted.commit.tag().as_str(), d));
    ImageChange {
        namespace: place.live.namespace.clone(),
        name: place.live.name.clone(),
        cluster: target.map(|t| t.cluster.to_string()).unwrap_or_default(),
        containers: from.keys().map(|name| (name.clone(), wanted.repository.to_string())).collect(),
        from,
        from_label: workload.label.clone(),
        restore: workload.restore.clone(),
        unchanged,
        renames: unchanged && inputs.intent == Intent::Ship && !says,
        high_water: HighWater::Stays,
    }
}

/// The stale guard and the memory of what failed. A rollback is meant, and asks neither about order.
pub fn guards(
    inputs: &Inputs,
    wanted: &Wanted,
    place: &Place,
    run: &Run,
    change: &mut ImageChange,
    draft: &mut Draft,
) {
    let digest = wanted.origin.digest();
    let commit = wanted.commit.tag();
    if let Some((code, whose)) = place.record.taken_back(commit.as_str(), digest)
        && !change.unchanged
        // What a person took back, a person may put back: asking for it by name is meant.
        && !(inputs.intent != Intent::Ship && code == crate::record::BY_HAND)
    {
        draft.object(inputs, withdrawn(&wanted.commit, code, whose));
    }
    if inputs.intent != Intent::Ship || (change.unchanged && !change.renames) {
        return;
    }
    match answer(&wanted.commit, place, run) {
        Answer::Pass(water) => change.high_water = water,
        Answer::Warn(failure) => {
            change.high_water = HighWater::Unproven;
            draft.warnings.push((*failure, false));
        }
        // What serves already keeps the newer commit's name: nothing older comes by it.
        Answer::Refuse(failure) if change.unchanged && !inputs.allows(failure.code) => {
            change.renames = false;
        }
        Answer::Refuse(failure) => draft.object(inputs, *failure),
    }
}

fn withdrawn(commit: &Commit, code: &str, whose: &str) -> Failure {
    let why = if code == crate::record::BY_HAND {
        "a person took it back".to_owned()
    } else {
        format!("it ended with {code}")
    };
    let short = commit.short();
    let what = if commit.tag().as_str() == whose {
        format!("{short} was rolled back here before")
    } else {
        format!(
            "the image of {short} was rolled back here before, as {}",
            restore::short_commit(whose)
        )
    };
    Failure::new(Code::ImageWithdrawn, what)
        .why(format!("{why}; the workload's annotations say so"))
        .next(format!(
            "push a fix; the same image ships again only with `allow: {}`",
            Code::ImageWithdrawn
        ))
}

/// The guard's answer for this commit on this workload.
#[must_use]
pub fn answer(commit: &Commit, place: &Place, run: &Run) -> Answer {
    let live = place
        .live
        .containers
        .iter()
        .find_map(|c| running(place, &c.name).filter(|d| place.record.describes(Some(d))));
    // The mark is believed only where what slipway set is what is live: else somebody deployed past it.
    let newest = place.record.newest.as_ref().filter(|_| live.is_some());
    let standing = guard::stand(&commit.sha, newest, place.compared.as_ref(), &run.push, &run.mark);
    let short = commit.short();
    let asking = Asking {
        short: &short,
        is_rerun: run.is_rerun,
        ago: newest.and_then(|newest| ago(newest, run.now)),
    };
    guard::answer(&standing, newest, &asking)
}

fn ago(newest: &Newest, now: jiff::Timestamp) -> Option<String> {
    let at: jiff::Timestamp = newest.mark.at.parse().ok()?;
    let seconds = u64::try_from(now.duration_since(at).as_secs()).ok()?;
    Some(match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    })
}

/// The string under which an earlier revision of the workload had this digest: put back byte for
/// byte, its ReplicaSet is used again.
#[must_use]
pub fn earlier_spelling(sets: &[ReplicaSet], container: &str, digest: &Digest) -> Option<String> {
    let images = sets.iter().filter_map(|set| {
        let spec = set.spec.as_ref()?.template.as_ref()?.spec.as_ref()?;
        let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
        all.filter(|c| c.name == container).find_map(|c| c.image.clone())
    });
    images.into_iter().find(|image| restore::pinned(image).as_ref() == Some(digest))
}

/// The images that are written, by container; where only the commit's name is new, those that stand
/// there, byte for byte: another tag of the same digest would be another template, and a rollout.
#[must_use]
pub fn images(
    inputs: &Inputs,
    change: &ImageChange,
    tag: &Tag,
    (uri, digest): (&ImageRef, &Digest),
    sets: &[ReplicaSet],
) -> BTreeMap<String, String> {
    let fresh = reference(uri, tag, digest, inputs.spelling).to_string();
    let spelled = |container: &String| match inputs.intent {
        Intent::Ship if change.unchanged => {
            change.from.get(container).cloned().unwrap_or_else(|| fresh.clone())
        }
        Intent::Ship => fresh.clone(),
        Intent::Rollback(_) => {
            earlier_spelling(sets, container, digest).unwrap_or_else(|| fresh.clone())
        }
    };
    change.containers.keys().map(|container| (container.clone(), spelled(container))).collect()
}

/// How many old pods serve while new ones start: for the plan's reader.
#[must_use]
pub fn strategy(live: &Live) -> Option<&'static str> {
    (live.strategy == Strategy::Recreate)
        .then_some("its strategy is Recreate: nothing serves until the new pods are ready")
}
