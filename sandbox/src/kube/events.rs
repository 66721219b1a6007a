//! Events, as the controllers and kubelets of the model emit them.
//! It must not be what anything decides on: events are lossy.

use serde_json::{Value, json};

use super::State;
use super::fill::seconds;
use super::json::text;

/// An event about to be emitted.
pub(super) struct Event<'a> {
    kind: &'a str,
    reason: &'a str,
    message: &'a str,
    component: &'a str,
    container: Option<&'a str>,
}

impl<'a> Event<'a> {
    /// A normal event of a controller.
    pub(super) fn controller(component: &'a str, reason: &'a str, message: &'a str) -> Self {
        Self { kind: "Normal", reason, message, component, container: None }
    }

    /// Makes it a warning.
    pub(super) fn warn(&mut self) {
        self.kind = "Warning";
    }

    /// A normal event of the pod's kubelet.
    pub(super) fn kubelet(reason: &'a str, message: &'a str, container: Option<&'a str>) -> Self {
        Self { kind: "Normal", reason, message, component: "kubelet", container }
    }
}

/// Puts an event about an object into the store.
pub(super) fn emit(state: &mut State, about: &Value, event: &Event<'_>) {
    let now = seconds(state.clock.wall());
    let metadata = &about["metadata"];
    let mut involved = json!({
        "kind": about["kind"], "namespace": metadata["namespace"], "name": metadata["name"],
        "uid": metadata["uid"], "apiVersion": about["apiVersion"],
        "resourceVersion": metadata["resourceVersion"],
    });
    if let Some(container) = event.container {
        involved["fieldPath"] = format!("spec.containers{{{container}}}").into();
    }
    let host = text(about, "/spec/nodeName");
    let (source, instance) = if event.component == "kubelet" {
        (json!({ "component": event.component, "host": host }), host)
    } else {
        (json!({ "component": event.component }), "")
    };
    let name = format!("{}.{}", text(about, "/metadata/name"), state.store.event_suffix());
    let event = json!({
        "kind": "Event", "apiVersion": "v1",
        "metadata": {
            "name": name, "namespace": metadata["namespace"], "uid": state.store.uid(),
            "creationTimestamp": now,
        },
        "involvedObject": involved, "reason": event.reason, "message": event.message,
        "source": source, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        "type": event.kind, "eventTime": null, "reportingComponent": event.component,
        "reportingInstance": instance,
    });
    state.store.put(event);
}
