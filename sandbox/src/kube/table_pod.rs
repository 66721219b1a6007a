//! The cells of a pod as `kubectl get` shows them: the one word of its status is folded from all of its containers.
//! It must not decide anything: what a pod is comes from its own status.

use jiff::Timestamp;
use serde_json::Value;

use super::json::{list, number, text};
use super::table::{age, name, since};

/// Name, ready, status, restarts and age; address and node for `-o wide`.
pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let own = list(pod, "/status/containerStatuses");
    let ready = own.iter().filter(|one| is_ready(one)).count();
    let all = list(pod, "/spec/containers").len();
    let or_none = |at: &str| match text(pod, at) {
        "" => "<none>".into(),
        told => told.into(),
    };
    vec![
        name(pod),
        format!("{ready}/{all}").into(),
        status(pod).into(),
        restarts(own, now).into(),
        age(pod, now),
        or_none("/status/podIP"),
        or_none("/spec/nodeName"),
    ]
}

/// One word, as upstream's printer folds it.
fn status(pod: &Value) -> String {
    if !text(pod, "/metadata/deletionTimestamp").is_empty() {
        return "Terminating".to_owned();
    }
    let told = match text(pod, "/status/reason") {
        "" => text(pod, "/status/phase"),
        reason => reason,
    };
    if let Some(first) = initialising(pod) {
        return first;
    }
    let own = list(pod, "/status/containerStatuses");
    // The first container that does not run is what is shown.
    let stopped = own.iter().find_map(|one| waiting(one).or_else(|| terminated(one)));
    let running = own.iter().any(is_ready);
    match stopped {
        Some(word) if word == "Completed" && running => "Running".to_owned(),
        Some(word) => word,
        None => told.to_owned(),
    }
}

/// The first init container that is not done.
fn initialising(pod: &Value) -> Option<String> {
    let inits = list(pod, "/status/initContainerStatuses");
    let done = |one: &Value| {
        one.pointer("/state/terminated").is_some() && number(one, "/state/terminated/exitCode") == 0
    };
    let at = inits.iter().position(|one| !done(one))?;
    let word = terminated(&inits[at])
        .or_else(|| waiting(&inits[at]).filter(|word| word != "PodInitializing"));
    let all = list(pod, "/spec/initContainers").len();
    Some(word.map_or_else(|| format!("Init:{at}/{all}"), |word| format!("Init:{word}")))
}

fn is_ready(container: &Value) -> bool {
    container["ready"] == true && container.pointer("/state/running").is_some()
}

fn waiting(container: &Value) -> Option<String> {
    let reason = text(container, "/state/waiting/reason");
    (!reason.is_empty()).then(|| reason.to_owned())
}

fn terminated(container: &Value) -> Option<String> {
    let ended = container.pointer("/state/terminated")?;
    Some(match (text(ended, "/reason"), number(ended, "/signal")) {
        ("", 0) => format!("ExitCode:{}", number(ended, "/exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    })
}

/// How often containers began again, and when the last of them ended.
fn restarts(own: &[Value], now: Timestamp) -> String {
    let count: i64 = own.iter().map(|one| number(one, "/restartCount")).sum();
    let last = own.iter().map(|one| text(one, "/lastState/terminated/finishedAt")).max();
    match last.filter(|last| !last.is_empty() && count > 0) {
        Some(last) => format!("{count} ({} ago)", since(last, now)),
        None => count.to_string(),
    }
}
