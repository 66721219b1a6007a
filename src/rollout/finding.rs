//! What is wrong with one new pod, by its own object, and how far that can be believed yet. Events
//! only add words, but for what no object shows: volumes and addresses. The first container in the order of their start that has a trouble is the one to
//! name: the others wait for it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ContainerStateTerminated, Pod};

use super::kinds::{self, Config, Pull, Start};
use super::memory::Memory;
use super::pods::{self, Seat};
use super::words::Said;
use super::{Grace, Trouble};

/// Whether a trouble can still heal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It cannot.
    Certain,
    /// It has not, when it has lasted this long.
    After(Duration),
    /// It may, as far as can be known.
    Never,
}

/// A trouble of one pod.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) trouble: Trouble,
    pub(super) container: Option<String>,
    pub(super) init: bool,
    pub(super) belief: Belief,
}

impl Finding {
    fn of_pod(trouble: Trouble) -> Self {
        Self { trouble, container: None, init: false, belief: Belief::Never }
    }

    fn of_seat(trouble: Trouble, seat: &Seat<'_>, belief: Belief) -> Self {
        let container = Some(seat.status.name.clone());
        Self { trouble, container, init: seat.init, belief }
    }

    /// What must stay the same for the grace to go on: the container and the kind of trouble.
    pub(super) fn key(&self) -> String {
        let kind = match &self.trouble {
            Trouble::Pull { reason, message } => match kinds::pull(reason, message) {
                Pull::Refused => "refused",
                Pull::Login => "login",
                Pull::Reach => "reach",
                _ => "pull",
            },
            Trouble::Config { .. } => "config",
            Trouble::Start { .. } => "start",
            Trouble::NotCreated { .. } => "created",
            Trouble::NotReady { .. } => "ready",
            Trouble::Mount { .. } | Trouble::Node { .. } => "node",
            _ => "other",
        };
        format!("{kind}/{}", self.container.as_deref().unwrap_or_default())
    }
}

/// The trouble of a new pod, if it has one.
pub(super) fn of(memory: &Memory, pod: &Pod) -> Option<Finding> {
    if let Some((reason, message)) = pods::without_node(pod) {
        return Some(unscheduled(memory, pod, reason, message));
    }
    let seats = pods::seats(pod);
    let found: Vec<_> = seats.iter().filter_map(|seat| of_seat(memory, pod, seat)).collect();
    let worst = found.iter().position(|f| f.belief == Belief::Certain).unwrap_or(0);
    if let Some(finding) = found.into_iter().nth(worst) {
        return Some(finding);
    }
    if pods::is_ready(pod) {
        return other_image(memory, pod);
    }
    if let Some((gate, message)) = pods::closed_gate(pod) {
        return Some(Finding::of_pod(Trouble::NotReady { message, gate: Some(gate) }));
    }
    seats.iter().find_map(|seat| not_ready(memory, pod, seat)).or_else(|| not_begun(memory, pod))
}

fn unscheduled(memory: &Memory, pod: &Pod, reason: &str, message: &str) -> Finding {
    let autoscaler = memory.said(pods::uid(pod)).into_iter().rev().find_map(|said| {
        let own =
            said.reason == "FailedScheduling" && said.message.starts_with("Failed to schedule pod");
        let scaler = ["TriggeredScaleUp", "NotTriggerScaleUp", "Nominated"];
        (own || scaler.contains(&said.reason.as_str()))
            .then(|| format!("{}: {}", said.reason, said.message))
    });
    let message = if message.is_empty() { reason } else { message };
    Finding::of_pod(Trouble::Unschedulable { message: message.into(), autoscaler })
}

fn of_seat(memory: &Memory, pod: &Pod, seat: &Seat<'_>) -> Option<Finding> {
    let waiting = seat.waiting();
    let reason = waiting.and_then(|w| w.reason.as_deref()).unwrap_or_default();
    let message = waiting.and_then(|w| w.message.as_deref()).unwrap_or_default();
    match reason {
        "CreateContainerConfigError" => Some(config(memory.grace, seat, reason, message)),
        "CreateContainerError" => Some(create(memory.grace, seat, reason, message)),
        "ErrImagePull"
        | "ImagePullBackOff"
        | "InvalidImageName"
        | "ErrImageNeverPull"
        | "ImageInspectError"
        | "RegistryUnavailable"
        | "SignatureValidationFailed" => Some(pull(memory, pod, seat, reason)),
        _ => ended(memory, pod, seat),
    }
}

/// A pull's own words may be hidden behind "Back-off pulling image": the memory has them.
fn pull(memory: &Memory, pod: &Pod, seat: &Seat<'_>, reason: &str) -> Finding {
    let message = memory.pull_words(pod, &seat.status.name).unwrap_or_default();
    let Grace { refused, unreachable, .. } = memory.grace;
    let belief = match kinds::pull(reason, &message) {
        Pull::Name | Pull::Never | Pull::Platform | Pull::Missing | Pull::Signature => {
            Belief::Certain
        }
        Pull::Expired | Pull::Login | Pull::Refused | Pull::Key | Pull::Trust => {
            Belief::After(refused)
        }
        Pull::Reach | Pull::Disk => Belief::After(unreachable),
        Pull::Rate | Pull::Other => Belief::Never,
    };
    Finding::of_seat(Trouble::Pull { reason: reason.into(), message }, seat, belief)
}

fn config(grace: Grace, seat: &Seat<'_>, reason: &str, message: &str) -> Finding {
    let belief = match kinds::config(message) {
        Config::Root => Belief::Certain,
        Config::Missing | Config::Other => Belief::After(grace.config),
        Config::Lag => Belief::Never,
    };
    let trouble = Trouble::Config { reason: reason.into(), message: message.into() };
    Finding::of_seat(trouble, seat, belief)
}

fn create(grace: Grace, seat: &Seat<'_>, reason: &str, message: &str) -> Finding {
    let belief = match kinds::start(reason, message) {
        Start::Nothing => Belief::After(grace.config),
        _ => Belief::Never,
    };
    let trouble = Trouble::Start { reason: reason.into(), message: message.into() };
    Finding::of_seat(trouble, seat, belief)
}

/// A container that ended, or could not be started, at least once. Twice is proof; a third try that
/// runs at this moment is not disproved yet.
fn ended(memory: &Memory, pod: &Pod, seat: &Seat<'_>) -> Option<Finding> {
    let times = memory.exits(pod, seat);
    let last = seat.last_exit()?;
    if times == 0 || seat.status.ready {
        return None;
    }
    let trouble = exit(memory, pod, seat, last, times);
    let healing = match &trouble {
        Trouble::Start { reason, message } => kinds::start(reason, message) == Start::Other,
        // The runtime lost the container: that is the node's story.
        Trouble::Exit { reason, .. } => reason == "Unknown" || reason == "ContainerStatusUnknown",
        _ => false,
    };
    let proven = times >= 2 && !seat.is_running() && !healing;
    let belief = if proven { Belief::Certain } else { Belief::Never };
    Some(Finding::of_seat(trouble, seat, belief))
}

/// What an ended container ended by.
pub(super) fn exit(
    memory: &Memory,
    pod: &Pod,
    seat: &Seat<'_>,
    last: &ContainerStateTerminated,
    times: u32,
) -> Trouble {
    let reason = last.reason.clone().unwrap_or_default();
    let waits = seat.waiting().and_then(|w| Some((w.reason.clone()?, w.message.clone()?)));
    if let Some((reason, message)) = waits.filter(|(reason, _)| reason.contains("PostStartHook")) {
        return Trouble::Start { reason, message };
    }
    if reason == "StartError" || reason == "ContainerCannotRun" {
        return Trouble::Start { reason, message: last.message.clone().unwrap_or_default() };
    }
    if let Some((probe, message)) = killed(memory, pod, &seat.status.name, last) {
        return Trouble::Killed { probe, message, times };
    }
    let signal = last.signal.filter(|s| *s > 0).or_else(|| signal(last.exit_code));
    Trouble::Exit { code: last.exit_code, signal, reason, times }
}

/// The signal that a shell and a runtime encode into the exit code.
fn signal(code: i32) -> Option<i32> {
    (129..=159).contains(&code).then_some(code - 128)
}

/// The probe that ended it: the kubelet says so in `Killing`; without that event, SIGKILL or
/// SIGTERM after a failed probe in the same run says it too.
fn killed(
    memory: &Memory,
    pod: &Pod,
    container: &str,
    last: &ContainerStateTerminated,
) -> Option<(String, String)> {
    if last.reason.as_deref() == Some("OOMKilled") {
        return None;
    }
    let began = last.started_at.as_ref().map(|time| time.0);
    let said = memory.said(pods::uid(pod));
    let mut said = said.into_iter().rev().filter(|s| s.concerns(container) && s.at >= began);
    let forced = matches!(last.exit_code, 137 | 143);
    let (probe, killing) = said.clone().find_map(|s| {
        let probe = ["liveness", "startup"].into_iter().find(|probe| {
            let kill =
                s.reason == "Killing" && s.message.contains(&format!("failed {probe} probe"));
            kill || (forced && is_probe_failure(s, probe))
        })?;
        Some((probe, s.message.clone()))
    })?;
    let words = said.find(|s| is_probe_failure(s, probe)).map(|s| s.message.clone());
    Some((probe.into(), words.unwrap_or(killing)))
}

fn is_probe_failure(said: &Said, probe: &str) -> bool {
    let begins = |text: &str| said.message.to_ascii_lowercase().starts_with(text);
    said.reason == "Unhealthy" && begins(&format!("{probe} probe"))
}

fn other_image(memory: &Memory, pod: &Pod) -> Option<Finding> {
    let seats = pods::seats(pod);
    let seat = seats.iter().find(|seat| memory.runs_another(pod, seat))?;
    let runs = seat.digest().unwrap_or_default().to_owned();
    Some(Finding::of_seat(Trouble::OtherImage { runs }, seat, Belief::Never))
}

/// A container that runs and is not ready, with what its probe last said.
fn not_ready(memory: &Memory, pod: &Pod, seat: &Seat<'_>) -> Option<Finding> {
    if seat.init || !seat.is_running() || seat.status.ready {
        return None;
    }
    let said = memory.said(pods::uid(pod));
    let said = said.into_iter().rev().filter(|s| s.concerns(&seat.status.name));
    let message = said.into_iter().find(|s| s.reason == "Unhealthy").map(|s| s.message.clone());
    Some(Finding::of_seat(Trouble::NotReady { message, gate: None }, seat, Belief::Never))
}

/// A pod with a node whose containers have not begun, or whose node is lost. Only events say so.
fn not_begun(memory: &Memory, pod: &Pod) -> Option<Finding> {
    // Once its volumes and its network are there, only its node can be lost.
    let begun =
        pods::condition(pod, "PodReadyToStartContainers").is_some_and(|c| c.status == "True");
    let mut said = memory.said(pods::uid(pod));
    said.retain(|s| !begun || s.reason == "NodeNotReady");
    let healed = said.iter().rposition(|s| matches!(s.reason.as_str(), "Pulling" | "Pulled"));
    let said = &said[healed.map_or(0, |at| at + 1)..];
    let waits = |s: &&&Said| waits_for(s).is_some();
    // "Timed out waiting for the condition" follows the words that say for what.
    let telling = said.iter().rev().find(|s| never_heals(memory.grace, s).is_some());
    let last = telling.or_else(|| said.iter().rev().find(waits))?;
    let trouble = waits_for(last)?;
    let Some(grace) = never_heals(memory.grace, last) else {
        return Some(Finding::of_pod(trouble));
    };
    let same = said.iter().filter(|s| s.reason == last.reason);
    let first =
        same.filter(|s| never_heals(memory.grace, s) == Some(grace)).filter_map(|s| s.first);
    // The kubelet tries ever more slowly: it has to have said so once more after the grace, since our
    // own clock cannot tell trouble from a pause between two tries.
    let lasted =
        first.min().zip(last.at).map(|(first, at)| at.duration_since(first).unsigned_abs());
    let proven = lasted.is_some_and(|lasted| lasted >= grace);
    let belief = if proven { Belief::Certain } else { Belief::Never };
    Some(Finding { belief, ..Finding::of_pod(trouble) })
}

fn waits_for(said: &Said) -> Option<Trouble> {
    let (reason, message) = (said.reason.clone(), said.message.clone());
    match reason.as_str() {
        "FailedMount" | "FailedAttachVolume" | "FailedMapVolume" => {
            Some(Trouble::Mount { message })
        }
        "FailedCreatePodSandBox" | "NetworkNotReady" | "NodeNotReady" => {
            Some(Trouble::Node { reason, message })
        }
        _ => None,
    }
}

/// How long a word of the kubelet must go on being said to be believed; none where it often heals.
fn never_heals(grace: Grace, said: &Said) -> Option<Duration> {
    let has = |words: &str| said.message.contains(words);
    let missing = (has("secret \"") || has("configmap \"")) && has("\" not found");
    match said.reason.as_str() {
        "FailedMount" if missing => Some(grace.mount),
        "FailedCreatePodSandBox" if has("failed to assign an IP address") => Some(grace.address),
        _ => None,
    }
}
