//! Reads one pod: its containers in the order they start, how often they ended, whether it is
//! ready, on its way out, without a node. Says what the object says; it does not judge.

use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod,
    PodCondition,
};

/// A container of a pod: init containers that must end first, then everything that runs on.
pub(super) struct Seat<'a> {
    pub(super) status: &'a ContainerStatus,
    /// It must end before the others start. A native sidecar (an init container that restarts
    /// always) is none: it runs on like an app container.
    pub(super) init: bool,
}

/// The containers that have a status, init containers first.
pub(super) fn seats(pod: &Pod) -> Vec<Seat<'_>> {
    let Some(status) = &pod.status else { return Vec::new() };
    let sidecar = |name: &str| {
        let declared = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        declared
            .into_iter()
            .any(|c| c.name == name && c.restart_policy.as_deref() == Some("Always"))
    };
    let init = status.init_container_statuses.iter().flatten();
    let init = init.map(|status| Seat { status, init: !sidecar(&status.name) });
    let app = status.container_statuses.iter().flatten();
    init.chain(app.map(|status| Seat { status, init: false })).collect()
}

impl<'a> Seat<'a> {
    /// How often it ended badly. The restart count lags: it is that of the container which ended,
    /// until the next one runs.
    pub(super) fn exits(&self) -> u32 {
        let restarts = u32::try_from(self.status.restart_count).unwrap_or(0);
        if self.is_running() || self.is_done() {
            return restarts;
        }
        restarts + u32::from(self.last_exit().is_some())
    }

    /// An init container that did its work.
    fn is_done(&self) -> bool {
        let ended = self.status.state.as_ref().and_then(|s| s.terminated.as_ref());
        self.init && ended.is_some_and(|t| t.exit_code == 0)
    }

    pub(super) fn is_running(&self) -> bool {
        self.status.state.as_ref().is_some_and(|s| s.running.is_some())
    }

    pub(super) fn waiting(&self) -> Option<&ContainerStateWaiting> {
        self.status.state.as_ref()?.waiting.as_ref()
    }

    /// How it ended the last time, now or before it was started again.
    pub(super) fn last_exit(&self) -> Option<&'a ContainerStateTerminated> {
        let ended = |state: &'a Option<ContainerState>| state.as_ref()?.terminated.as_ref();
        ended(&self.status.state).or_else(|| ended(&self.status.last_state))
    }

    /// The digest it says it runs; a bare image id is not one of a manifest and counts as not
    /// visible.
    pub(super) fn digest(&self) -> Option<&str> {
        self.status.image_id.split_once('@').map(|(_, digest)| digest)
    }
}

/// A condition of the pod.
pub(super) fn condition<'a>(pod: &'a Pod, name: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.iter().flatten().find(|c| c.type_ == name)
}

/// Its `Ready` condition holds.
pub(super) fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|c| c.status == "True")
}

/// It is being deleted: what happens to it now says nothing about the image.
pub(super) fn is_leaving(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// It ended as a whole: evicted, preempted, refused by its node. Its ReplicaSet makes another.
pub(super) fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), Some("Failed" | "Succeeded"))
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// The scheduler's words, while it finds no node.
pub(super) fn without_node(pod: &Pod) -> Option<(&str, &str)> {
    let scheduled = condition(pod, "PodScheduled").filter(|c| c.status == "False")?;
    Some((scheduled.reason.as_deref()?, scheduled.message.as_deref().unwrap_or_default()))
}

/// The readiness gate that does not hold although all containers are ready, with its words.
pub(super) fn closed_gate(pod: &Pod) -> Option<(String, Option<String>)> {
    condition(pod, "ContainersReady").filter(|c| c.status == "True")?;
    let gates = pod.spec.as_ref()?.readiness_gates.iter().flatten();
    let closed = gates
        .filter(|gate| condition(pod, &gate.condition_type).is_none_or(|c| c.status != "True"));
    let name = &closed.into_iter().next()?.condition_type;
    let said = condition(pod, name).and_then(|c| c.message.clone().or_else(|| c.reason.clone()));
    Some((name.clone(), said))
}

/// The node it is on.
pub(super) fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

/// The node's name without its domain, as the watch shows it.
pub(super) fn short_node(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The pod's name.
pub(super) fn name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}

/// What tells pods of one ReplicaSet apart: the part after the last dash.
pub(super) fn short_name(name: &str) -> &str {
    name.rsplit('-').next().unwrap_or(name)
}

/// The key it is remembered by.
pub(super) fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_else(|| name(pod))
}
