//! Whether the rollout is complete, and whether it stays so through the bake. Every number is
//! compared with the present specification, because an autoscaler may change it at any time.

use k8s_openapi::api::apps::v1::DeploymentStatus;
use k8s_openapi::api::core::v1::Pod;

use super::memory::{Baking, Memory};
use super::{Cause, Proof, pods, template, trouble};

/// The replicas, if all of them are ours, ready, available, and seen by the controller.
///
/// The controller's numbers do not count pods on their way out, and lag behind; the pods' own words
/// lag in another way. Both must hold.
pub(super) fn complete(memory: &Memory) -> Option<i32> {
    let workload = memory.our_workload()?;
    let wanted = memory.wanted()?;
    let status = workload.status.as_ref()?;
    if !template::is_observed(workload) || !counts_are(status, wanted) {
        return None;
    }
    let pods = memory.new_pods();
    let all_ready = pods.iter().all(|pod| is_proven(memory, pod));
    let enough = usize::try_from(wanted).is_ok_and(|wanted| pods.len() == wanted);
    (enough && all_ready).then_some(wanted)
}

fn counts_are(status: &DeploymentStatus, wanted: i32) -> bool {
    let counts = [status.replicas, status.updated_replicas, status.available_replicas];
    counts.iter().all(|count| count.unwrap_or(0) == wanted)
}

fn is_proven(memory: &Memory, pod: &Pod) -> bool {
    pods::is_ready(pod) && !pods::seats(pod).iter().any(|seat| memory.runs_another(pod, seat))
}

/// The proof, once the bake is over and what was ready at its beginning still is. An autoscaler
/// that adds replicas meanwhile does not hold it up; one that takes some away lowers what is asked.
pub(super) fn proof(memory: &Memory, baking: &Baking) -> Option<Proof> {
    let wanted = memory.wanted()?;
    let baked = memory.now.saturating_sub(baking.since) >= memory.patience.bake;
    if !baked && wanted > 0 {
        return None;
    }
    let workload = memory.our_workload()?;
    let available = workload.status.as_ref().and_then(|s| s.available_replicas).unwrap_or(0);
    let needed = wanted.min(baking.wanted);
    let pods = memory.new_pods();
    let ready: Vec<_> = pods.into_iter().filter(|pod| is_proven(memory, pod)).collect();
    let enough = usize::try_from(needed).is_ok_and(|needed| ready.len() >= needed);
    let is_unseen =
        |pod: &&Pod| pods::seats(pod).iter().any(|seat| memory.hides_its_digest(pod, seat));
    (template::is_observed(workload) && available >= needed && enough).then_some(Proof {
        pods: ready.len(),
        unseen: ready.iter().copied().filter(is_unseen).count(),
        ready_at: baking.since,
        restarts: 0,
    })
}

/// The cause, if a container of a new pod ended since the bake began. Pods that are scaled down or
/// moved meanwhile do not count: their end is asked for.
pub(super) fn fell(memory: &Memory, baking: &Baking) -> Option<Cause> {
    let pods = memory.new_pods();
    let mut fallen = pods.iter().flat_map(|pod| {
        let uid = pods::uid(pod).to_owned();
        pods::seats(pod).into_iter().filter_map(move |seat| {
            let before = baking.exits.get(&(uid.clone(), seat.status.name.clone())).copied();
            // A node that was away reports containers it lost sight of: not the program's doing.
            let lost = seat
                .last_exit()
                .is_some_and(|exit| exit.reason.as_deref() == Some("ContainerStatusUnknown"));
            (!lost && seat.exits() > before.unwrap_or(0)).then_some((*pod, seat))
        })
    });
    let (pod, seat) = fallen.next()?;
    let affected = 1 + fallen.count();
    let times = memory.exits(pod, &seat).max(1);
    let trouble = super::finding::exit(memory, pod, &seat, seat.last_exit()?, times);
    let container = Some(seat.status.name.clone());
    Some(Cause { affected, ..trouble::cause(memory, Some(pod), trouble, container, seat.init) })
}
