//! The replica set controller: it makes and ends pods until there are as many as asked, and counts them.
//! It must not know about rollouts.

use serde_json::{Value, json};

use super::events::{self, Event};
use super::fill::seconds;
use super::json::{list, number, set, text};
use super::store::Key;
use super::{State, model, pods, rollout};

/// One look at a replica set.
pub(super) fn reconcile(state: &mut State, deployment: &Value, of: &Value) {
    let mut refused = None;
    let active: Vec<Value> =
        model::pods_of(state, of).into_iter().filter(pods::is_active).collect();
    let wanted = usize::try_from(number(of, "/spec/replicas")).unwrap_or(0);
    for nth in active.len()..wanted {
        if rollout::live(state, deployment, of, nth).is_none() {
            refused = rollout::refusal(state, deployment, of);
            break;
        }
        created(state, of);
    }
    for pod in doomed(&active, wanted) {
        let name = text(pod, "/metadata/name");
        pods::terminate(state, &Key::new("Pod", text(pod, "/metadata/namespace"), name));
        let message = format!("Deleted pod: {name}");
        let event = Event::controller("replicaset-controller", "SuccessfulDelete", &message);
        events::emit(state, of, &event);
    }
    count(state, of, refused);
}

fn created(state: &mut State, of: &Value) {
    let newest = model::pods_of(state, of)
        .into_iter()
        .max_by_key(|pod| text(pod, "/metadata/resourceVersion").parse::<u64>().unwrap_or(0));
    if let Some(pod) = newest {
        let message = format!("Created pod: {}", text(&pod, "/metadata/name"));
        let event = Event::controller("replicaset-controller", "SuccessfulCreate", &message);
        events::emit(state, of, &event);
    }
}

/// The pods that are too many: those that are on no node or not ready go first, then the youngest.
fn doomed(active: &[Value], wanted: usize) -> Vec<&Value> {
    let mut ranked: Vec<&Value> = active.iter().collect();
    ranked.sort_by_key(|pod| {
        let placed = !text(pod, "/spec/nodeName").is_empty();
        let running = text(pod, "/status/phase") == "Running";
        (placed, running, pods::is(pod, "Ready"))
    });
    ranked.truncate(active.len().saturating_sub(wanted));
    ranked
}

/// Writes what there is into the status.
fn count(state: &mut State, of: &Value, refused: Option<String>) {
    let Some(key) = Key::of(of) else { return };
    let Some(mut counted) = state.store.get(&key).cloned() else { return };
    let active: Vec<Value> =
        model::pods_of(state, of).into_iter().filter(pods::is_active).collect();
    let ready = active.iter().filter(|pod| pods::is(pod, "Ready")).count();
    let mut status = json!({ "replicas": active.len() });
    if !active.is_empty() {
        status["fullyLabeledReplicas"] = active.len().into();
    }
    if ready > 0 {
        status["readyReplicas"] = ready.into();
        status["availableReplicas"] = ready.into();
    }
    status["observedGeneration"] = counted["metadata"]["generation"].clone();
    if let Some(message) = refused {
        if model::failure(&counted).is_none() {
            let mut event = Event::controller("replicaset-controller", "FailedCreate", &message);
            event.warn();
            events::emit(state, of, &event);
        }
        let since = model::failure(&counted).map(|c| c["lastTransitionTime"].clone());
        let since = since.unwrap_or_else(|| seconds(state.clock.wall()).into());
        let said = message.strip_prefix("Error creating: ").unwrap_or(&message);
        status["conditions"] = json!([{
            "type": "ReplicaFailure", "status": "True", "lastTransitionTime": since,
            "reason": "FailedCreate", "message": said,
        }]);
    }
    if list(&status, "/conditions").is_empty() && number(of, "/spec/replicas") > 0 {
        status.as_object_mut().map(|status| status.shift_remove("conditions"));
    }
    set(&mut counted, &["status"], status);
    state.store.put(counted);
}
