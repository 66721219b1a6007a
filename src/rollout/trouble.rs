//! What is wrong with the rollout as a whole: the findings about its new pods, weighed together,
//! and what keeps new pods from being made at all. One pod in trouble among healthy ones is not a
//! failure.

use std::collections::BTreeSet;
use std::mem::discriminant;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::finding::{self, Belief, Finding};
use super::kinds::{self, Admit};
use super::memory::Memory;
use super::{Cause, Trouble, pods};

/// Everything that is in trouble now, by object and kind: what the graces are counted for.
pub(super) fn keys(memory: &Memory) -> BTreeSet<(String, String)> {
    let pods = memory.new_pods();
    let pods = pods
        .iter()
        .filter_map(|pod| Some((pods::uid(pod).to_owned(), finding::of(memory, pod)?.key())));
    let set = not_created(memory).map(|(uid, finding)| (uid, finding.key()));
    pods.chain(set).collect()
}

/// A cause that is certain by now: no new pod can become ready.
pub(super) fn certain(memory: &Memory) -> Option<Cause> {
    let pods = memory.new_pods();
    if pods.is_empty() {
        let replicas = memory.our_set()?.status.as_ref().map_or(0, |status| status.replicas);
        let (uid, finding) = not_created(memory).filter(|_| replicas == 0)?;
        let believed = is_certain(memory, &uid, &finding) && !room_may_come(memory, &finding);
        return believed.then(|| cause(memory, None, finding.trouble, None, false));
    }
    let found: Vec<_> = pods.iter().map(|pod| (*pod, finding::of(memory, pod))).collect();
    let is_doomed = |(pod, finding): &&(&Pod, Option<Finding>)| {
        finding.as_ref().is_some_and(|f| is_certain(memory, pods::uid(pod), f))
    };
    // Those that wait for a node decide nothing: what dooms the others would doom them too.
    let placed = found.iter().filter(|(pod, _)| pods::without_node(pod).is_none());
    // A list comes pod by pod: those that are not known yet may be fine.
    let known = memory.our_set().and_then(|set| set.status.as_ref()).is_none_or(|status| {
        usize::try_from(status.replicas).is_ok_and(|replicas| pods.len() >= replicas)
    });
    let all = known && placed.clone().count() > 0 && placed.clone().all(|found| is_doomed(&found));
    let ended = |(_, finding): &&(&Pod, Option<Finding>)| {
        finding.as_ref().is_some_and(|f| is_ending(&f.trouble))
    };
    let one_ended = !memory.ever_ready && placed.clone().any(|f| is_doomed(&f) && ended(&f));
    if !all && !one_ended {
        return None;
    }
    worst(memory, &found)
}

/// The best cause there is when patience ends, certain or not.
pub(super) fn best(memory: &Memory) -> Cause {
    let pods = memory.new_pods();
    let found: Vec<_> = pods.iter().map(|pod| (*pod, finding::of(memory, pod))).collect();
    if let Some(cause) = worst(memory, &found) {
        return cause;
    }
    if let Some((_, finding)) = not_created(memory) {
        return cause(memory, None, finding.trouble, None, false);
    }
    let ended = memory.our_set().and_then(|set| {
        let mut own = memory.pods.values();
        own.find(|p| super::template::is_owned(&p.metadata, &set.metadata) && pods::has_ended(p))
    });
    match ended {
        Some(pod) => cause(memory, Some(pod), of_ended(pod), None, false),
        None => cause(memory, None, Trouble::Nothing, None, false),
    }
}

/// Evicted, preempted, refused by its node.
fn of_ended(pod: &Pod) -> Trouble {
    let status = pod.status.as_ref();
    let reason = status.and_then(|s| s.reason.clone()).unwrap_or_else(|| "Failed".into());
    let message = status.and_then(|s| s.message.clone()).unwrap_or_default();
    Trouble::Node { reason, message }
}

/// The most telling of the findings: what is certain before what may heal, what happened to a
/// program before what it waits for, the one that most pods share.
fn worst(memory: &Memory, found: &[(&Pod, Option<Finding>)]) -> Option<Cause> {
    let found = found.iter().filter_map(|(pod, finding)| Some((*pod, finding.as_ref()?)));
    let found: Vec<_> = found.collect();
    let same = |one: &Finding| {
        let kind = discriminant(&one.trouble);
        found.iter().filter(|(_, other)| discriminant(&other.trouble) == kind).count()
    };
    let (pod, finding) = found.iter().max_by_key(|(pod, finding)| {
        let certain = is_certain(memory, pods::uid(pod), finding);
        (certain, weight(&finding.trouble), same(finding), std::cmp::Reverse(pods::name(pod)))
    })?;
    let container = finding.container.clone();
    let told = cause(memory, Some(pod), finding.trouble.clone(), container, finding.init);
    let lasted = memory.lasted(pods::uid(pod), &finding.key());
    Some(Cause { affected: same(finding), lasted, ..told })
}

fn weight(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::Nothing => 0,
        Trouble::OtherImage { .. } => 1,
        Trouble::NotReady { .. } => 2,
        Trouble::Unschedulable { .. } => 3,
        Trouble::Node { .. } => 4,
        Trouble::NotCreated { .. } | Trouble::Mount { .. } => 5,
        Trouble::Config { .. } | Trouble::Pull { .. } => 6,
        Trouble::Exit { .. } | Trouble::Killed { .. } | Trouble::Start { .. } => 7,
    }
}

fn is_ending(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Exit { .. } | Trouble::Killed { .. } | Trouble::Start { .. })
}

fn is_certain(memory: &Memory, uid: &str, finding: &Finding) -> bool {
    match finding.belief {
        Belief::Certain => true,
        Belief::After(grace) => memory.lasted(uid, &finding.key()) >= grace,
        Belief::Never => false,
    }
}

/// Why our own ReplicaSet has no pods. The workload's copy of the condition is not read: it may be
/// an old ReplicaSet's.
fn not_created(memory: &Memory) -> Option<(String, Finding)> {
    let set = memory.our_set()?;
    let mut conditions = set.status.as_ref()?.conditions.iter().flatten();
    let failure = conditions.find(|c| c.type_ == "ReplicaFailure" && c.status == "True")?;
    let message = failure.message.clone().unwrap_or_default();
    let belief = match kinds::admit(&message) {
        Admit::Security | Admit::Denied => Belief::Certain,
        Admit::Quota => Belief::After(memory.grace.quota),
        Admit::Account | Admit::Refused => Belief::After(memory.grace.config),
        Admit::Webhook | Admit::Other => Belief::Never,
    };
    let trouble = Trouble::NotCreated { message };
    let uid = set.metadata.uid.clone().unwrap_or_default();
    Some((uid, Finding { trouble, container: None, init: false, belief }))
}

/// Whether a full quota may still empty because old pods go first.
fn room_may_come(memory: &Memory, finding: &Finding) -> bool {
    let Trouble::NotCreated { message } = &finding.trouble else { return false };
    if kinds::admit(message) != Admit::Quota {
        return false;
    }
    let set = memory.our_set();
    let ours =
        |pod: &Pod| set.is_some_and(|set| super::template::is_owned(&pod.metadata, &set.metadata));
    let mut old = memory.pods.values().filter(|pod| !ours(pod) && !pods::has_ended(pod));
    let going_first = goes_first(memory).unwrap_or(true);
    old.any(|pod| going_first || pods::is_leaving(pod))
}

/// Whether the strategy ends old pods before new ones are ready.
fn goes_first(memory: &Memory) -> Option<bool> {
    let strategy = memory.our_workload()?.spec.as_ref()?.strategy.as_ref()?;
    if strategy.type_.as_deref() == Some("Recreate") {
        return Some(true);
    }
    let rolling = strategy.rolling_update.as_ref()?;
    let wanted = memory.wanted()?;
    let unavailable = count(rolling.max_unavailable.as_ref()?, wanted, false)?;
    let surge = count(rolling.max_surge.as_ref()?, wanted, true)?;
    // With both at zero the controller takes one away, or nothing could ever move.
    Some(unavailable > 0 || surge == 0)
}

/// A number of pods or a share of them: surges round up, absences down, as the controller does it.
fn count(value: &IntOrString, of: i32, up: bool) -> Option<i32> {
    match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent: i32 = text.strip_suffix('%')?.parse().ok()?;
            Some((of * percent + if up { 99 } else { 0 }) / 100)
        }
    }
}

/// A cause about one pod, or about none.
pub(super) fn cause(
    memory: &Memory,
    pod: Option<&Pod>,
    trouble: Trouble,
    container: Option<String>,
    init: bool,
) -> Cause {
    Cause {
        trouble,
        pod: pod.map(|pod| pods::name(pod).to_owned()),
        container,
        init,
        node: pod.and_then(pods::node).map(Into::into),
        affected: usize::from(pod.is_some()),
        new_pods: memory.new_pods().len(),
        was_ready: pod.is_some_and(|pod| memory.had_been_ready(pod)),
        lasted: std::time::Duration::ZERO,
        at: memory.now,
    }
}

/// The name of the ReplicaSet, as the controller's own messages use it.
pub(super) fn set_name(set: &ReplicaSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}
