//! The deployment controller, as far as rollouts need it: it finds or makes the replica set of the template, moves
//! replicas between the sets within surge and unavailability, and keeps the deployment's status.
//! It must not touch pods; `replicas.rs` does, and this file reads what it counted.

use std::time::Duration;

use serde_json::{Value, json};

use super::events::{self, Event};
use super::fill::seconds;
use super::json::{list, number, set, text};
use super::store::Key;
use super::{State, conditions, managed, pods, replicas, template};

/// Where the controller keeps the number of a rollout.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// How far a rollout may go above and below the asked number of replicas.
pub(super) struct Limits {
    pub(super) surge: i64,
    pub(super) missing: i64,
    pub(super) recreate: bool,
}

impl Limits {
    /// Reads a deployment's strategy; a share rounds up for the surge and down for what may be missing.
    pub(super) fn of(deployment: &Value) -> Self {
        let replicas = number(deployment, "/spec/replicas");
        let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
        let share = |field: &str, round: fn(f64) -> f64| {
            let pointer = format!("/spec/strategy/rollingUpdate/{field}");
            let percent = text(deployment, &pointer).strip_suffix('%').and_then(|p| p.parse().ok());
            match percent {
                #[expect(clippy::cast_possible_truncation, reason = "a share of a small count")]
                #[expect(clippy::cast_precision_loss, reason = "replicas are few")]
                Some(percent) => round(f64::max(percent, 0.0) * replicas as f64 / 100.0) as i64,
                None => number(deployment, &pointer),
            }
        };
        let surge = share("maxSurge", f64::ceil);
        let mut missing = share("maxUnavailable", f64::floor).min(replicas);
        if surge == 0 && missing == 0 {
            missing = 1;
        }
        if recreate {
            Self { surge: 0, missing: 0, recreate }
        } else {
            Self { surge, missing, recreate }
        }
    }
}

/// The replica sets of a deployment, the oldest first.
pub(super) fn sets(state: &State, deployment: &Value) -> Vec<Value> {
    let mut sets = owned(state, "ReplicaSet", deployment);
    sets.sort_by_key(revision);
    sets
}

/// The pods of a replica set, by name.
pub(super) fn pods_of(state: &State, set: &Value) -> Vec<Value> {
    owned(state, "Pod", set)
}

fn owned(state: &State, kind: &str, owner: &Value) -> Vec<Value> {
    let uid = text(owner, "/metadata/uid");
    let all = state.store.named(kind, text(owner, "/metadata/namespace"));
    let mine = |o: &&&Value| text(o, "/metadata/ownerReferences/0/uid") == uid;
    all.iter().filter(mine).map(|o| (*o).clone()).collect()
}

fn annotation<'a>(object: &'a Value, name: &str) -> &'a str {
    text(object, &format!("/metadata/annotations/{}", name.replace('/', "~1")))
}

fn revision(object: &Value) -> i64 {
    annotation(object, REVISION).parse().unwrap_or(0)
}

/// A replica set for a deployment's template, not in the store yet.
pub(super) fn new_set(state: &mut State, deployment: &Value, name: &str) -> Value {
    let mut template = deployment["spec"]["template"].clone();
    let hash = name.rsplit('-').next().unwrap_or_default();
    set(&mut template, &["metadata", "labels", "pod-template-hash"], hash);
    let mut selector = deployment["spec"]["selector"].clone();
    set(&mut selector, &["matchLabels", "pod-template-hash"], hash);
    let limits = Limits::of(deployment);
    let replicas = number(deployment, "/spec/replicas");
    json!({
        "kind": "ReplicaSet", "apiVersion": "apps/v1",
        "metadata": {
            "name": name, "namespace": deployment["metadata"]["namespace"], "uid": state.store.uid(),
            "generation": 1, "creationTimestamp": seconds(state.clock.wall()),
            "labels": template["metadata"]["labels"],
            "annotations": {
                DESIRED: replicas.to_string(), MAX: (replicas + limits.surge).to_string(),
            },
            "ownerReferences": [pods::owner(deployment)],
        },
        "spec": { "replicas": 0, "selector": selector, "template": template },
        "status": { "replicas": 0 },
    })
}

/// One look of the controllers at a deployment. Whatever they change makes them look again.
pub(super) fn reconcile(state: &mut State, key: &Key) {
    let Some(deployment) = state.store.get(key).cloned() else { return };
    let version = state.store.version();
    let paused = deployment.pointer("/spec/paused") == Some(&Value::Bool(true));
    let all = sets(state, &deployment);
    let same =
        |set: &&Value| template::same(&set["spec"]["template"], &deployment["spec"]["template"]);
    let current = all.iter().find(same).cloned();
    if scaled(&deployment, &all) {
        rescale(state, &deployment, &all, current.as_ref());
    } else if paused {
        conditions::sync(state, &deployment, current.as_ref(), &all);
    } else {
        roll(state, &deployment, current, &all);
    }
    if let Some(deployment) = state.store.get(key).cloned() {
        for set in sets(state, &deployment) {
            replicas::reconcile(state, &deployment, &set);
        }
    }
    if state.store.version() != version {
        state.poke(key);
    }
}

/// Whether the asked number changed since the sets were last scaled.
fn scaled(deployment: &Value, sets: &[Value]) -> bool {
    let wanted = number(deployment, "/spec/replicas").to_string();
    sets.iter().any(|set| number(set, "/spec/replicas") > 0 && annotation(set, DESIRED) != wanted)
}

/// Spreads a changed number over the sets, in proportion; what rounding leaves goes to the largest.
fn rescale(state: &mut State, deployment: &Value, all: &[Value], current: Option<&Value>) {
    let wanted = number(deployment, "/spec/replicas");
    let mut active: Vec<&Value> = all.iter().filter(|s| number(s, "/spec/replicas") > 0).collect();
    active.sort_by_key(|set| -number(set, "/spec/replicas"));
    let total: i64 = active.iter().map(|set| number(set, "/spec/replicas")).sum();
    let surge = if active.len() > 1 && wanted > 0 { Limits::of(deployment).surge } else { 0 };
    let mut left = wanted + surge - total;
    let shares: Vec<i64> = active
        .iter()
        .map(|set| (left * number(set, "/spec/replicas")).checked_div(total).unwrap_or(0))
        .collect();
    left -= shares.iter().sum::<i64>();
    for (at, (set, share)) in active.iter().zip(shares).enumerate() {
        let extra = if at == 0 { left } else { 0 };
        let to = if wanted == 0 { 0 } else { number(set, "/spec/replicas") + share + extra };
        scale(state, deployment, set, to.max(0));
    }
    conditions::sync(state, deployment, current, all);
}

fn roll(state: &mut State, deployment: &Value, current: Option<Value>, all: &[Value]) {
    let limits = Limits::of(deployment);
    let old: Vec<&Value> = all
        .iter()
        .filter(|set| {
            current.as_ref().is_none_or(|new| new["metadata"]["uid"] != set["metadata"]["uid"])
        })
        .collect();
    if limits.recreate && down(state, deployment, &old) {
        let all = sets(state, deployment);
        return conditions::sync(state, deployment, current.as_ref(), &all);
    }
    let Some(current) = adopt(state, deployment, current, all, &limits) else { return };
    if grow(state, deployment, &current, all, &limits)
        || !limits.recreate && shrink(state, deployment, &current, &old, &limits)
    {
        let all = sets(state, deployment);
        let current = all.iter().find(|s| s["metadata"]["uid"] == current["metadata"]["uid"]);
        return conditions::sync(state, deployment, current, &all);
    }
    conditions::sync(state, deployment, Some(&current), all);
}

/// Under `Recreate`, the old sets go to zero first; true while any of their pods still runs.
fn down(state: &mut State, deployment: &Value, old: &[&Value]) -> bool {
    let mut waiting = false;
    for set in old {
        if number(set, "/spec/replicas") > 0 {
            scale(state, deployment, set, 0);
            waiting = true;
        }
        let ended = |p: &Value| matches!(text(p, "/status/phase"), "Failed" | "Succeeded");
        waiting |= pods_of(state, set).iter().any(|pod| !ended(pod));
    }
    waiting
}

/// Makes the template's set the current one: a new one if there is none, else it gets the highest revision.
fn adopt(
    state: &mut State,
    deployment: &Value,
    current: Option<Value>,
    all: &[Value],
    limits: &Limits,
) -> Option<Value> {
    let newest = all.iter().map(revision).max().unwrap_or(0);
    let is_new = current.is_none();
    let mut adopted = match current {
        Some(set) => set,
        None => {
            let hash = template::hash(&deployment["spec"]["template"]);
            let name = format!("{}-{hash}", text(deployment, "/metadata/name"));
            new_set(state, deployment, &name)
        }
    };
    if is_new || revision(&adopted) < newest {
        if !is_new {
            let history =
                annotation(&adopted, "deployment.kubernetes.io/revision-history").to_owned();
            let past = [history, revision(&adopted).to_string()];
            let past: Vec<String> = past.into_iter().filter(|p| !p.is_empty()).collect();
            let name = "deployment.kubernetes.io/revision-history";
            set(&mut adopted, &["metadata", "annotations", name], past.join(","));
        }
        set(&mut adopted, &["metadata", "annotations", REVISION], (newest + 1).to_string());
        let replicas = number(deployment, "/spec/replicas");
        set(&mut adopted, &["metadata", "annotations", DESIRED], replicas.to_string());
        set(&mut adopted, &["metadata", "annotations", MAX], (replicas + limits.surge).to_string());
        if is_new {
            adopted["spec"]["replicas"] = room(deployment, &adopted, all, limits).into();
        }
        adopted = state.store.put(adopted);
        if is_new {
            said(state, deployment, &adopted, 0, number(&adopted, "/spec/replicas"));
            conditions::created(state, deployment, &adopted);
        }
    }
    let key = Key::of(deployment)?;
    let mut noted = state.store.get(&key)?.clone();
    if revision(&noted) != revision(&adopted) {
        set(&mut noted, &["metadata", "annotations", REVISION], revision(&adopted).to_string());
        managed::controlled(&mut noted, &seconds(state.clock.wall()));
    }
    state.store.put(noted);
    if is_new {
        // It is counted before it has pods, so that its first one is progress.
        let all = sets(state, deployment);
        conditions::sync(state, deployment, Some(&adopted), &all);
        return None;
    }
    Some(adopted)
}

/// How many replicas the current set may have now.
fn room(deployment: &Value, current: &Value, all: &[Value], limits: &Limits) -> i64 {
    let wanted = number(deployment, "/spec/replicas");
    if limits.recreate {
        return wanted;
    }
    let total: i64 = all.iter().map(|set| number(set, "/spec/replicas")).sum();
    let own = number(current, "/spec/replicas");
    own + (wanted + limits.surge - total).max(0).min(wanted - own)
}

fn grow(
    state: &mut State,
    deployment: &Value,
    current: &Value,
    all: &[Value],
    limits: &Limits,
) -> bool {
    let to = room(deployment, current, all, limits);
    scale(state, deployment, current, to)
}

/// Takes replicas from the old sets: those that never became available first, then the oldest set's.
fn shrink(
    state: &mut State,
    deployment: &Value,
    current: &Value,
    old: &[&Value],
    limits: &Limits,
) -> bool {
    let of = |set: &Value| number(set, "/spec/replicas");
    let available = |set: &Value| number(set, "/status/availableReplicas");
    let least = number(deployment, "/spec/replicas") - limits.missing;
    let mut targets: Vec<i64> = old.iter().map(|set| of(set)).collect();
    let total = of(current) + targets.iter().sum::<i64>();
    let mut may = total - least - (of(current) - available(current)).max(0);
    for (set, target) in old.iter().zip(&mut targets) {
        let sick = (of(set) - available(set)).clamp(0, may.max(0));
        *target -= sick;
        may -= sick;
    }
    let serving = available(current) + old.iter().map(|set| available(set)).sum::<i64>();
    let mut may = serving - least;
    for (set, target) in old.iter().zip(&mut targets) {
        let less = (*target).min(available(set)).clamp(0, may.max(0));
        *target -= less;
        may -= less;
    }
    old.iter()
        .zip(targets)
        .map(|(set, to)| scale(state, deployment, set, to))
        .fold(false, |any, done| any | done)
}

/// Gives a set its number of replicas; true if that changed anything.
fn scale(state: &mut State, deployment: &Value, current: &Value, to: i64) -> bool {
    let from = number(current, "/spec/replicas");
    let mut scaled = current.clone();
    let replicas = number(deployment, "/spec/replicas");
    let most = replicas + Limits::of(deployment).surge;
    set(&mut scaled, &["metadata", "annotations", DESIRED], replicas.to_string());
    set(&mut scaled, &["metadata", "annotations", MAX], most.to_string());
    if from != to {
        scaled["spec"]["replicas"] = to.into();
        let generation = number(current, "/metadata/generation") + 1;
        set(&mut scaled, &["metadata", "generation"], generation);
    }
    if (from > 0 || to > 0) && scaled != *current {
        state.store.put(scaled);
    }
    if from != to {
        said(state, deployment, current, from, to);
    }
    from != to
}

fn said(state: &mut State, deployment: &Value, of: &Value, from: i64, to: i64) {
    let way = if to > from { "up" } else { "down" };
    let name = text(of, "/metadata/name");
    let message = format!("Scaled {way} replica set {name} from {from} to {to}");
    let event = Event::controller("deployment-controller", "ScalingReplicaSet", &message);
    events::emit(state, deployment, &event);
}

/// The time until a rollout without progress is late, if it can be.
pub(super) fn deadline(deployment: &Value) -> Option<Duration> {
    let seconds = deployment.pointer("/spec/progressDeadlineSeconds")?.as_u64()?;
    (seconds < u64::from(i32::MAX.unsigned_abs())).then(|| Duration::from_secs(seconds))
}

/// Whether a set's pods could not be created, as its own condition says.
pub(super) fn failure(of: &Value) -> Option<&Value> {
    list(of, "/status/conditions").iter().find(|c| text(c, "/type") == "ReplicaFailure")
}
