//! The deployment's status: its counts and its conditions, with the reasons and messages of the real controller.
//! It must not scale anything.

use serde_json::{Value, json};

use super::State;
use super::fill::seconds;
use super::json::{list, number, text};
use super::managed;
use super::model::{self, Limits};
use super::store::Key;

/// Writes the status that the sets amount to.
pub(super) fn sync(state: &mut State, deployment: &Value, current: Option<&Value>, all: &[Value]) {
    let Some(key) = Key::of(deployment) else { return };
    let Some(mut synced) = state.store.get(&key).cloned() else { return };
    let now = seconds(state.clock.wall());
    let mut status = counts(&synced, current, all);
    let mut conditions = list(&synced, "/status/conditions").to_vec();
    available(&mut conditions, deployment, &status, &now);
    progressing(state, &key, &mut conditions, (&synced, &status, current), &now);
    conditions.retain(|c| text(c, "/type") != "ReplicaFailure");
    if let Some(failure) = current.into_iter().chain(all).find_map(model::failure) {
        let mut failure = failure.clone();
        failure["lastUpdateTime"] = failure["lastTransitionTime"].clone();
        conditions.push(failure);
    }
    status["conditions"] = conditions.into();
    if synced["status"] != status {
        synced["status"] = status;
        managed::controlled(&mut synced, &now);
    }
    state.store.put(synced);
}

/// Notes that a replica set was made; the counts stay for the next look.
pub(super) fn created(state: &mut State, deployment: &Value, set: &Value) {
    let Some(key) = Key::of(deployment) else { return };
    let Some(mut noted) = state.store.get(&key).cloned() else { return };
    let now = seconds(state.clock.wall());
    let message = format!("Created new replica set \"{}\"", text(set, "/metadata/name"));
    let mut conditions = list(&noted, "/status/conditions").to_vec();
    put(&mut conditions, "Progressing", "True", ("NewReplicaSetCreated", &message), &now, true);
    noted["status"]["conditions"] = conditions.into();
    managed::controlled(&mut noted, &now);
    state.progress.insert(key.clone(), state.clock.now());
    state.store.put(noted);
    if let Some(deadline) = model::deadline(deployment) {
        state.poke_in(&key, deadline);
    }
}

fn counts(deployment: &Value, current: Option<&Value>, all: &[Value]) -> Value {
    let sum = |pointer: &str| all.iter().map(|set| number(set, pointer)).sum::<i64>();
    let wanted = sum("/spec/replicas");
    let (total, ready, available) =
        (sum("/status/replicas"), sum("/status/readyReplicas"), sum("/status/availableReplicas"));
    let updated = current.map_or(0, |set| number(set, "/status/replicas"));
    let mut status = json!({ "observedGeneration": number(deployment, "/metadata/generation") });
    for (field, value) in [
        ("replicas", total),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", (wanted - available).max(0)),
    ] {
        if value > 0 {
            status[field] = value.into();
        }
    }
    status
}

fn available(conditions: &mut Vec<Value>, deployment: &Value, status: &Value, now: &str) {
    let least = number(deployment, "/spec/replicas") - Limits::of(deployment).missing;
    let (is, said) = if number(status, "/availableReplicas") >= least {
        ("True", ("MinimumReplicasAvailable", "Deployment has minimum availability."))
    } else {
        ("False", ("MinimumReplicasUnavailable", "Deployment does not have minimum availability."))
    };
    put(conditions, "Available", is, said, now, false);
}

fn progressing(
    state: &mut State,
    key: &Key,
    conditions: &mut Vec<Value>,
    (deployment, status, current): (&Value, &Value, Option<&Value>),
    now: &str,
) {
    let Some(deadline) = model::deadline(deployment) else {
        conditions.retain(|c| text(c, "/type") != "Progressing");
        return;
    };
    if deployment.pointer("/spec/paused") == Some(&Value::Bool(true)) {
        put(
            conditions,
            "Progressing",
            "Unknown",
            ("DeploymentPaused", "Deployment is paused"),
            now,
            false,
        );
        return;
    }
    let reason = |c: &&Value| text(c, "/type") == "Progressing";
    let known = conditions.iter().find(reason).map_or("", |c| text(c, "/reason")).to_owned();
    let of = |pointer: &str| number(status, pointer);
    let settled = of("/replicas") == of("/updatedReplicas") && known == "NewReplicaSetAvailable";
    if settled {
        return;
    }
    let name =
        current.map_or(text(deployment, "/metadata/name"), |set| text(set, "/metadata/name"));
    let subject = if current.is_some() { "ReplicaSet" } else { "Deployment" };
    let wanted = number(deployment, "/spec/replicas");
    let complete =
        [of("/updatedReplicas"), of("/replicas"), of("/availableReplicas")] == [wanted; 3];
    if complete {
        let message = format!("{subject} \"{name}\" has successfully progressed.");
        put(conditions, "Progressing", "True", ("NewReplicaSetAvailable", &message), now, true);
    } else if moved(&deployment["status"], status) {
        let message = format!("{subject} \"{name}\" is progressing.");
        put(conditions, "Progressing", "True", ("ReplicaSetUpdated", &message), now, true);
        state.progress.insert(key.clone(), state.clock.now());
        state.poke_in(key, deadline);
    } else if state.progress.get(key).is_some_and(|at| state.clock.now() >= *at + deadline) {
        let message = format!("{subject} \"{name}\" has timed out progressing.");
        put(conditions, "Progressing", "False", ("ProgressDeadlineExceeded", &message), now, false);
    }
}

/// Progress: more updated, fewer old, more ready or more available than before.
fn moved(before: &Value, after: &Value) -> bool {
    let of = |status: &Value, field: &str| number(status, &format!("/{field}"));
    let old = |status: &Value| of(status, "replicas") - of(status, "updatedReplicas");
    of(after, "updatedReplicas") > of(before, "updatedReplicas")
        || old(after) < old(before)
        || of(after, "readyReplicas") > of(before, "readyReplicas")
        || of(after, "availableReplicas") > of(before, "availableReplicas")
}

/// Sets a condition. One with the same status and reason stays as it is, unless it is news each time.
fn put(
    conditions: &mut Vec<Value>,
    kind: &str,
    status: &str,
    (reason, message): (&str, &str),
    now: &str,
    news: bool,
) {
    let before = conditions.iter().position(|c| text(c, "/type") == kind);
    let before = before.map(|at| conditions[at].clone());
    let same = before.as_ref().is_some_and(|c| text(c, "/status") == status);
    if same && !news && before.as_ref().is_some_and(|c| text(c, "/reason") == reason) {
        return;
    }
    let since = before.filter(|_| same).map_or(now.into(), |c| c["lastTransitionTime"].clone());
    let condition = json!({
        "type": kind, "status": status, "lastUpdateTime": now, "lastTransitionTime": since,
        "reason": reason, "message": message,
    });
    // The real controller takes the old one out and puts the new one at the end.
    conditions.retain(|c| text(c, "/type") != kind);
    conditions.push(condition);
}
