//! Where a rollout stands, in numbers and one note about the pod that is furthest behind. The note
//! is slipway's own words only: others' words belong to the diagnosis.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;

use super::finding::{self, Finding};
use super::memory::Memory;
use super::{Progress, Trouble, Verdict, pods, template};

/// The progress as of the last observation.
pub(super) fn of(memory: &Memory) -> Progress {
    let set = memory.our_set();
    let is_ours = |pod: &Pod| set.is_some_and(|s| template::is_owned(&pod.metadata, &s.metadata));
    let count = |wanted: &dyn Fn(&Pod) -> bool| {
        let pods = memory.pods.values().filter(|pod| !pods::has_ended(pod) && wanted(pod));
        u32::try_from(pods.count()).unwrap_or(u32::MAX)
    };
    let serves = |pod: &Pod| pods::is_ready(pod) && !pods::is_leaving(pod);
    Progress {
        new_ready: count(&|pod| is_ours(pod) && serves(pod)),
        // Before any pod was listed the workload's own count is what is known: all of them are old ones.
        old_ready: if memory.pods_listed {
            count(&|pod| !is_ours(pod) && serves(pod))
        } else {
            memory.ready_before()
        },
        draining: count(&|pod| !is_ours(pod) && pods::is_leaving(pod)),
        wanted: memory.wanted().and_then(|wanted| u32::try_from(wanted).ok()).unwrap_or(0),
        note: note(memory),
        baking_since: memory.baking.as_ref().map(|baking| baking.since),
    }
}

/// What most pods go through for a moment is not worth a line before this.
const QUIET: Duration = Duration::from_secs(30);

/// About the pod in the deepest trouble, else about the first one that starts.
fn note(memory: &Memory) -> Option<String> {
    let pods = memory.new_pods();
    let (ready, behind): (Vec<_>, Vec<_>) = pods.into_iter().partition(|pod| pods::is_ready(pod));
    let found = behind.iter().filter_map(|pod| Some((*pod, finding::of(memory, pod)?)));
    let loud = found.filter(|(pod, finding)| is_loud(memory, pod, finding));
    let Some((pod, finding)) = loud.max_by_key(|(_, finding)| depth(&finding.trouble)) else {
        if let Some(pod) = behind.first() {
            return ready.is_empty().then(|| starts(pod)).flatten();
        }
        let refused = matches!(super::trouble::best(memory).trouble, Trouble::NotCreated { .. });
        return refused.then(|| "no new pod can be created".into());
    };
    let end = match &memory.verdict {
        Some(Verdict::Failed(cause)) if cause.was_ready => " after it was ready",
        Some(Verdict::Failed(_)) => ": no new pod can become ready",
        _ => "",
    };
    Some(format!("{} {}{end}", pods::short_name(pods::name(pod)), words(&finding)?))
}

fn is_loud(memory: &Memory, pod: &Pod, finding: &Finding) -> bool {
    let common = matches!(
        finding.trouble,
        Trouble::NotReady { gate: None, .. } | Trouble::Mount { .. } | Trouble::Node { .. }
    );
    !common || memory.lasted(pods::uid(pod), &finding.key()) >= QUIET
}

fn starts(pod: &Pod) -> Option<String> {
    let name = pods::short_name(pods::name(pod));
    Some(format!("{name} starts on {}", pods::short_node(pods::node(pod)?)))
}

fn depth(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::NotReady { .. } | Trouble::OtherImage { .. } | Trouble::Nothing => 0,
        Trouble::Unschedulable { .. } => 1,
        _ => 2,
    }
}

/// What is said after the pod's name.
fn words(finding: &Finding) -> Option<String> {
    let place = match (&finding.container, finding.init) {
        (Some(container), true) => format!(" in init container `{container}`"),
        _ => String::new(),
    };
    Some(match &finding.trouble {
        Trouble::Pull { .. } => "cannot pull its image".into(),
        Trouble::Start { .. } => "cannot start its program".into(),
        Trouble::Config { .. } => "lacks part of its configuration".into(),
        Trouble::Exit { reason, times, .. } if reason == "OOMKilled" => {
            format!("ran out of memory{place}{}", often(*times))
        }
        Trouble::Exit { code, times, .. } => format!("exited {code}{place}{}", often(*times)),
        Trouble::Killed { probe, times, .. } => {
            format!("was ended by its {probe} probe{}", often(*times))
        }
        Trouble::NotReady { gate: Some(_), .. } => "waits for its readiness gate".into(),
        Trouble::NotReady { .. } => "runs, not ready".into(),
        Trouble::Unschedulable { autoscaler, .. } => match autoscaler {
            Some(said) if is_adding(said) => "has no node, one is being added".into(),
            _ => "has no node".into(),
        },
        Trouble::Mount { .. } => "waits for a volume".into(),
        Trouble::Node { .. } => "waits for its node".into(),
        Trouble::OtherImage { .. } => "runs another image".into(),
        Trouble::NotCreated { .. } | Trouble::Nothing => return None,
    })
}

/// Whether the autoscaler's words say that a node is on its way.
pub(super) fn is_adding(said: &str) -> bool {
    said.starts_with("TriggeredScaleUp") || said.starts_with("Nominated")
}

fn often(times: u32) -> String {
    match times {
        0 | 1 => String::new(),
        2 => ", twice".into(),
        more => format!(", {more} times"),
    }
}
