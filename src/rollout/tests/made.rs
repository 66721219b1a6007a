//! Hand-made objects for what no recording shows: a Deployment `shop/web` whose container `app` was
//! set to a new image in generation 2, its ReplicaSets `web-new` and `web-old`, and their pods.

use serde_json::{Value, json};

use super::*;

pub(super) const NEW: &str =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(super) const OTHER: &str =
    "sha256:2222222222222222222222222222222222222222222222222222222222222222";
const HOST: &str = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web";

/// Our PATCH, at 09:00:00.
pub(super) fn patched() -> Ours {
    Ours {
        namespace: "shop".into(),
        name: "web".into(),
        uid: "u-web".into(),
        generation: 2,
        images: [("app".into(), format!("{HOST}:new@{NEW}"))].into(),
        digests: [("app".into(), vec![NEW.parse().unwrap()])].into(),
        run: "4711/1".into(),
        patched_at: "2026-11-21T09:00:00.4Z".parse().unwrap(),
    }
}

fn template(image: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "app", "image": image }] },
    })
}

/// The workload; `more` is merged over it.
pub(super) fn workload(replicas: i32, status: Value, more: Value) -> Seen {
    let mut object = json!({
        "metadata": { "name": "web", "namespace": "shop", "uid": "u-web", "generation": 2 },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": "web" } },
            "template": template(&format!("{HOST}:new@{NEW}")),
            "progressDeadlineSeconds": 600,
            "strategy": { "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
        },
        "status": status,
    });
    merge(&mut object, more);
    Seen::Workload(serde_json::from_value(object).unwrap())
}

/// The status of a workload whose replicas are all new and available.
pub(super) fn all(replicas: i32) -> Value {
    json!({
        "observedGeneration": 2, "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": replicas, "availableReplicas": replicas,
    })
}

/// The status while the first new pod comes.
pub(super) fn under_way() -> Value {
    json!({
        "observedGeneration": 2, "replicas": 4, "updatedReplicas": 1,
        "readyReplicas": 3, "availableReplicas": 3,
    })
}

/// A ReplicaSet with one pod.
pub(super) fn set(name: &str, conditions: Value) -> Seen {
    set_of(name, 1, conditions)
}

/// A ReplicaSet: `new` has our template, any other name an older one.
pub(super) fn set_of(name: &str, replicas: i32, conditions: Value) -> Seen {
    let image = if name == "new" { format!("{HOST}:new@{NEW}") } else { format!("{HOST}:{name}") };
    let mut template = template(&image);
    template["metadata"]["labels"]["pod-template-hash"] = json!(name);
    let object = json!({
        "metadata": {
            "name": format!("web-{name}"), "uid": format!("s-{name}"),
            "ownerReferences": [owner("Deployment", "web", "u-web")],
        },
        "spec": { "selector": { "matchLabels": { "app": "web" } }, "template": template },
        "status": { "replicas": replicas, "conditions": conditions },
    });
    Seen::ReplicaSet(serde_json::from_value(object).unwrap())
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true })
}

/// A pod of a ReplicaSet, on a node, with one state of its container; `more` is merged over it.
pub(super) fn pod(set: &str, name: &str, container: Value, more: Value) -> Seen {
    let ready = container["ready"] == json!(true);
    let mut status = json!({
        "name": "app", "image": "web", "imageID": format!("{HOST}@{NEW}"), "ready": false,
        "restartCount": 0, "state": { "running": {} },
    });
    merge(&mut status, container);
    let mut object = json!({
        "metadata": {
            "name": format!("web-{set}-{name}"), "uid": format!("p-{name}"),
            "creationTimestamp": "2026-11-21T09:00:01Z",
            "ownerReferences": [owner("ReplicaSet", &format!("web-{set}"), &format!("s-{set}"))],
        },
        "spec": { "nodeName": "ip-10-0-1-12.internal", "containers": [{ "name": "app" }] },
        "status": {
            "phase": "Running",
            "conditions": [{ "type": "Ready", "status": if ready { "True" } else { "False" } }],
            "containerStatuses": [status],
        },
    });
    merge(&mut object, more);
    Seen::Pod(serde_json::from_value(object).unwrap())
}

/// A new pod that is ready.
pub(super) fn ready(name: &str) -> Seen {
    pod("new", name, json!({ "ready": true }), json!({}))
}

/// A container that waits.
pub(super) fn waiting(reason: &str, message: &str) -> Value {
    json!({ "imageID": "", "state": { "waiting": { "reason": reason, "message": message } } })
}

/// A container that ended for the `times`-th time.
pub(super) fn ended(code: i32, times: i32) -> Value {
    let end = json!({ "terminated": {
        "exitCode": code, "reason": "Error",
        "startedAt": "2026-11-21T09:00:05Z", "finishedAt": "2026-11-21T09:00:09Z",
    } });
    json!({ "restartCount": times - 1, "state": end })
}

/// A warning about a pod.
pub(super) fn event(pod: &str, reason: &str, message: &str) -> Seen {
    let object = json!({
        "metadata": { "name": format!("{pod}.{reason}") }, "type": "Warning",
        "involvedObject": {
            "kind": "Pod", "name": format!("web-new-{pod}"), "uid": format!("p-{pod}"),
            "fieldPath": "spec.containers{app}",
        },
        "reason": reason, "message": message, "lastTimestamp": "2026-11-21T09:00:08Z",
    });
    Seen::Event(serde_json::from_value(object).unwrap())
}

fn merge(base: &mut Value, more: Value) {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => {
            for (key, value) in more {
                if key == "state" {
                    // A container is in one state at a time.
                    base.insert(key, value);
                    continue;
                }
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, more) => *base = more,
    }
}

/// What the fold says in the end: each observation at its second.
pub(super) fn judged(seen: Vec<(u64, Seen)>) -> Verdict {
    judged_by(&mut Memory::new(patched(), PATIENCE, Grace::default()), seen)
}

/// The same, with the memory to look at afterwards.
pub(super) fn judged_by(memory: &mut Memory, seen: Vec<(u64, Seen)>) -> Verdict {
    let mut verdict = Verdict::Waiting;
    for (second, seen) in seen {
        verdict = confirmed(memory, &Observation { at: Duration::from_secs(second), seen });
    }
    verdict
}

/// What the fold says once everything was read anew, where it asks for that: nothing was missed.
pub(super) fn confirmed(memory: &mut Memory, seen: &Observation) -> Verdict {
    let verdict = judge(memory, seen);
    if !memory.doubts() {
        return verdict;
    }
    judge(memory, &Observation { at: seen.at, seen: Seen::Confirmed })
}

/// The trouble of a verdict that has a cause.
pub(super) fn cause(verdict: Verdict) -> Option<Cause> {
    match verdict {
        Verdict::Failed(cause) | Verdict::Late(cause) => Some(cause),
        _ => None,
    }
}
