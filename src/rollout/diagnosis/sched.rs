//! A pod that no node takes.

use super::super::Evidence;
use super::facts::{between, said};
use crate::error::{Code, Failure};

pub(super) fn diagnose(e: &Evidence, message: &str, autoscaler: Option<&str>) -> Failure {
    if let Some(volume) = volume(e, message) {
        return volume.why(scheduler(message));
    }
    // The nodes that would take it and have no room come before those that never would.
    if message.contains("Insufficient ") || message.contains("Too many pods") {
        return room(e, message, autoscaler);
    }
    let what = format!("{} found no node", e.its_pods());
    let (code, next) = if message.contains("untolerated taint") {
        (Code::SchedTaint, taint(message))
    } else if message.contains("node affinity/selector") || message.contains("node selector") {
        (
            Code::SchedLabels,
            "label a node as its `nodeSelector` or affinity asks, or correct that".into(),
        )
    } else if message.contains("free ports") {
        (
            Code::SchedOther,
            "drop `hostPort`, or set `maxSurge: 0`: one pod a node has the port".into(),
        )
    } else if message.contains("SchedulingGated") {
        (Code::SchedOther, "look at what holds its scheduling gate".into())
    } else {
        (
            Code::SchedOther,
            format!(
                "kubectl -n {} get events --field-selector reason=FailedScheduling",
                e.namespace
            ),
        )
    };
    let line = format!("{}; {}", scheduler(message), scaler(autoscaler));
    Failure::new(code, what).why(line).next(next)
}

fn room(e: &Evidence, message: &str, autoscaler: Option<&str>) -> Failure {
    let what = format!("{} found no node", e.its_pods());
    let failure = Failure::new(Code::SchedRoom, what);
    let Some(resource) = lacking(message) else {
        return failure
            .why(format!("{}; {}", scheduler(message), scaler(autoscaler)))
            .next("add a node, or let the nodes take more pods (prefix delegation)");
    };
    let asks = e.request(resource).map(|asked| format!("; it asks for {asked} {resource}"));
    failure
        .why(format!("{}{}; {}", scheduler(message), asks.unwrap_or_default(), scaler(autoscaler)))
        .next(format!("lower `resources.requests.{resource}`, or add a node"))
}

/// What there is too little of: `cpu`, `nvidia.com/gpu`. A comma or the end of the sentence follows it.
fn lacking(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Insufficient ")?;
    let word = rest.split([',', ' ']).next().unwrap_or(rest);
    Some(word.trim_end_matches('.'))
}

/// The scheduler's own first sentence; what preemption would not do says nothing more.
fn scheduler(message: &str) -> String {
    let short = message.split(" preemption: ").next().unwrap_or(message);
    let short = short.split(" no new claims").next().unwrap_or(short);
    format!("scheduler: {}", said(short.trim_end_matches(['.', ' '])))
}

fn scaler(autoscaler: Option<&str>) -> String {
    autoscaler.map_or_else(
        || "no autoscaler event seen".into(),
        |said| format!("autoscaler: {}", super::facts::said(said)),
    )
}

fn taint(message: &str) -> String {
    match between(message, "untolerated taint {", "}") {
        Some(taint) if !taint.trim().is_empty() => {
            format!("add a toleration for `{}`, or a node without it", taint.trim())
        }
        _ => "add a toleration for the nodes' taint, or a node without one".into(),
    }
}

fn volume(e: &Evidence, message: &str) -> Option<Failure> {
    let what = format!("{} found no node", e.its_pods());
    if let Some(claim) = between(message, "persistentvolumeclaim \"", "\" not found") {
        return Some(
            Failure::new(
                Code::MountMissing,
                format!("volume claim `{claim}` does not exist in `{}`", e.namespace),
            )
            .next(format!("create PersistentVolumeClaim `{claim}` in `{}`", e.namespace)),
        );
    }
    if message.contains("unbound immediate PersistentVolumeClaims") {
        return Some(Failure::new(Code::MountOther, "its volume claim has no volume").next(
            format!(
                "kubectl -n {} describe pvc   shows what its storage class waits for",
                e.namespace
            ),
        ));
    }
    message.contains("volume node affinity conflict").then(|| {
        Failure::new(Code::SchedOther, what)
            .next("its volume is in another zone: add a node in the volume's zone")
    })
}
