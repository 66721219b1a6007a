//! Pods as they come and go: made from a replica set's template, living as a recorded pod lived, ending on request.
//! It must not decide how many there are; replica sets and recordings do.

use std::time::Duration;

use serde_json::{Value, json};

use super::events::{self, Event};
use super::fill::seconds;
use super::json::{list, number, set, text, unset};
use super::store::Key;
use super::{State, nodes, template};

/// Puts a pod of a replica set into the store, pending and on no node yet.
pub(super) fn create(state: &mut State, set: &Value, name: &str, uid: &str) {
    let pod = make(state, set, name, uid);
    state.store.put(pod);
}

/// A pod of a replica set, not in the store yet.
pub(super) fn make(state: &mut State, set: &Value, name: &str, uid: &str) -> Value {
    let token = format!("kube-api-access-{}", state.store.suffix());
    let set_name = text(set, "/metadata/name");
    let labelled = &set["spec"]["template"]["metadata"];
    let mut metadata = json!({
        "name": name, "generateName": format!("{set_name}-"),
        "namespace": text(set, "/metadata/namespace"), "uid": uid, "generation": 1,
        "creationTimestamp": seconds(state.clock.wall()), "labels": labelled["labels"],
        "ownerReferences": [owner(set)],
    });
    if let Some(annotations) = labelled.get("annotations") {
        metadata["annotations"] = annotations.clone();
    }
    json!({
        "kind": "Pod", "apiVersion": "v1", "metadata": metadata,
        "spec": template::pod_spec(&set["spec"]["template"], &token),
        "status": { "phase": "Pending", "qosClass": qos(&set["spec"]["template"]) },
    })
}

/// The reference to a controller.
pub(super) fn owner(of: &Value) -> Value {
    json!({
        "apiVersion": of["apiVersion"], "kind": of["kind"], "name": of["metadata"]["name"],
        "uid": of["metadata"]["uid"], "controller": true, "blockOwnerDeletion": true,
    })
}

fn qos(template: &Value) -> &'static str {
    let resources = |c: &Value, part: &str| c.pointer(&format!("/resources/{part}")).cloned();
    let containers = list(template, "/spec/containers");
    if containers.iter().all(|c| resources(c, "requests").or(resources(c, "limits")).is_none()) {
        "BestEffort"
    } else if containers.iter().all(|c| {
        let limits = resources(c, "limits");
        limits.is_some() && resources(c, "requests").is_none_or(|r| Some(r) == limits)
    }) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// The name of a new pod of a replica set.
pub(super) fn name(state: &mut State, set: &str) -> String {
    format!("{set}-{}", state.store.suffix())
}

/// An address for the next pod.
pub(super) fn address(state: &mut State) -> String {
    state.addresses += 1;
    format!("10.0.{}.{}", 16 + state.addresses / 250, 2 + state.addresses % 250)
}

/// Whether a pod's condition is true.
pub(super) fn is(pod: &Value, condition: &str) -> bool {
    list(pod, "/status/conditions")
        .iter()
        .any(|c| text(c, "/type") == condition && text(c, "/status") == "True")
}

/// Whether a pod counts for its replica set: it is not on its way out and has not ended.
pub(super) fn is_active(pod: &Value) -> bool {
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && !matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
}

/// Makes a status fit the pod: every container of its own, with the images and digests that it asked for.
pub(super) fn fit(state: &State, pod: &Value, mut status: Value) -> Value {
    let token = list(pod, "/spec/volumes").last().map_or("", |volume| text(volume, "/name"));
    let is_fake = nodes::is_fake(state, text(pod, "/spec/nodeName"));
    for (field, containers) in [
        ("initContainerStatuses", "/spec/initContainers"),
        ("containerStatuses", "/spec/containers"),
    ] {
        if status.get("containerStatuses").is_none() {
            continue;
        }
        let played: Vec<Value> = list(&status, &format!("/{field}")).to_vec();
        let fitted: Vec<Value> = list(pod, containers)
            .iter()
            .map(|spec| {
                let name = text(spec, "/name");
                let own = played.iter().find(|s| text(s, "/name") == name).cloned();
                let mut one =
                    own.unwrap_or_else(|| beside(&status, name, field.starts_with("init")));
                dress(state, &mut one, text(spec, "/image"));
                if is_fake {
                    one["imageID"] = "".into();
                    unset(&mut one, &["containerID"]);
                }
                if let Some(mounted) = one.pointer_mut("/volumeMounts/0/name") {
                    *mounted = token.into();
                }
                one
            })
            .collect();
        if !fitted.is_empty() {
            status[field] = fitted.into();
        } else {
            unset(&mut status, &[field]);
        }
    }
    unready(&mut status);
    status
}

/// A container that the recording did not have: it runs as soon as the pod's sandbox does.
fn beside(status: &Value, name: &str, init: bool) -> Value {
    let up = status.get("podIP").is_some();
    let failing = !init && status.get("initContainerStatuses").is_some();
    let since = status.get("startTime").cloned().unwrap_or_default();
    let id = format!(
        "containerd://{}",
        hex::encode(<sha2::Sha256 as sha2::Digest>::digest(format!(
            "{name}{}",
            text(status, "/podIP")
        ),))
    );
    let done = up && init;
    let state = if done {
        json!({ "terminated": { "exitCode": 0, "reason": "Completed", "startedAt": since,
            "finishedAt": since, "containerID": id } })
    } else if up && !failing {
        json!({ "running": { "startedAt": since } })
    } else if failing || init {
        json!({ "waiting": { "reason": "PodInitializing" } })
    } else {
        json!({ "waiting": { "reason": "ContainerCreating" } })
    };
    let runs = state.get("waiting").is_none();
    let mut one = json!({
        "name": name, "state": state, "lastState": {}, "ready": runs, "restartCount": 0,
        "image": "", "imageID": if runs { "known" } else { "" }, "started": runs && !done,
    });
    if runs {
        one["containerID"] = id.into();
    }
    one
}

fn dress(state: &State, status: &mut Value, image: &str) {
    let pulled = !text(status, "/imageID").is_empty();
    status["image"] = if pulled { template::resolved(image) } else { image.to_owned() }.into();
    if pulled {
        let id = template::image_id(image, |tag| state.resolve(tag));
        status["imageID"] = state.reported(id).into();
    }
}

/// The conditions' messages name the containers that are not ready.
fn unready(status: &mut Value) {
    let names: Vec<String> = list(status, "/containerStatuses")
        .iter()
        .filter(|c| c["ready"] != true)
        .map(|c| text(c, "/name").to_owned())
        .collect();
    let message = format!("containers with unready status: [{}]", names.join(" "));
    for condition in
        status.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if text(condition, "/message").starts_with("containers with unready status") {
            condition["message"] = message.clone().into();
        }
    }
}

/// Begins the end of a pod: marked, its containers stopped after the grace, then gone.
pub(super) fn terminate(state: &mut State, key: &Key) {
    let Some(pod) = state.store.get(key).cloned() else { return };
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        return;
    }
    if text(&pod, "/spec/nodeName").is_empty() {
        state.store.remove(key);
        return;
    }
    let grace = number(&pod, "/spec/terminationGracePeriodSeconds").max(1);
    let mut marked = pod.clone();
    let deadline = jiff::SignedDuration::from_secs(grace);
    let due = state.clock.wall().checked_add(deadline).unwrap_or(state.clock.wall());
    set(&mut marked, &["metadata", "deletionTimestamp"], seconds(due));
    set(&mut marked, &["metadata", "deletionGracePeriodSeconds"], grace);
    set(&mut marked, &["metadata", "generation"], number(&pod, "/metadata/generation") + 1);
    state.store.put(marked);
    let running: Vec<String> = list(&pod, "/status/containerStatuses")
        .iter()
        .filter(|c| c.pointer("/state/running").is_some())
        .map(|c| text(c, "/name").to_owned())
        .collect();
    for name in &running {
        let message = format!("Stopping container {name}");
        events::emit(state, &pod, &Event::kubelet("Killing", &message, Some(name)));
    }
    // A process that minds SIGTERM ends at once, one that does not at the end of the grace; recorded were 2 s of 1 s grace.
    let stop = if running.is_empty() { 100 } else { 2100 };
    let (at, uid) = (key.clone(), text(&pod, "/metadata/uid").to_owned());
    state.clock.after(Duration::from_millis(stop), move |state| ended(state, &at, &uid));
    let (at, uid) = (key.clone(), text(&pod, "/metadata/uid").to_owned());
    state.clock.after(Duration::from_millis(stop + 900), move |state| {
        if state.store.get(&at).is_some_and(|pod| text(pod, "/metadata/uid") == uid) {
            state.store.remove(&at);
            state.poke_owner(&at.namespace, &pod);
        }
    });
}

fn ended(state: &mut State, key: &Key, uid: &str) {
    let Some(mut pod) = state.store.get(key).filter(|p| text(p, "/metadata/uid") == uid).cloned()
    else {
        return;
    };
    let now = seconds(state.clock.wall());
    let statuses = pod.pointer_mut("/status/containerStatuses").and_then(Value::as_array_mut);
    for status in statuses.into_iter().flatten() {
        if let Some(since) = status.pointer("/state/running/startedAt").cloned() {
            status["state"] = json!({ "terminated": {
                "exitCode": 137, "reason": "Error", "startedAt": since, "finishedAt": now,
                "containerID": status["containerID"],
            } });
        } else if let Some(last) = status.pointer("/lastState/terminated").cloned() {
            status["state"] = json!({ "terminated": last });
        }
        status["ready"] = false.into();
        status["started"] = false.into();
    }
    pod["status"]["phase"] = "Failed".into();
    let conditions = pod.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        let kind = text(condition, "/type").to_owned();
        if matches!(kind.as_str(), "Ready" | "ContainersReady" | "PodReadyToStartContainers")
            && text(condition, "/status") == "True"
        {
            condition["status"] = "False".into();
            condition["lastTransitionTime"] = now.clone().into();
            if kind != "PodReadyToStartContainers" {
                condition["reason"] = "PodFailed".into();
            }
        }
    }
    let owner = pod.clone();
    state.store.put(pod);
    state.poke_owner(&key.namespace, &owner);
}
