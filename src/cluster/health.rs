//! How a workload was before anything was written: what serves, whether a rollout is under way, and
//! which revision was the last to complete.
//!
//! Pure: objects in, a value out. It is the ground of the restore point, so it prefers "none" to a guess.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodTemplateSpec};
use k8s_openapi::jiff::Timestamp;

use crate::names::Digest;

use super::live::{self, Live, REVISION};

const HASH: &str = "pod-template-hash";

/// A workload's health as it was read.
#[derive(Clone, Debug)]
pub struct Health {
    /// The revision that the workload's spec asks for, if it has a ReplicaSet yet.
    pub current: Option<Revision>,
    /// The last revision that completed: the current one where no rollout is under way, however its
    /// pods are now; else the one that the oldest ready pod belongs to, `None` without a ready pod.
    pub completed: Option<Revision>,
    /// Why it counts as a rollout under way, for example "revision 17 still has 2 pods".
    pub rolling: Option<String>,
    /// Pods that are ready, of any revision.
    pub ready: u32,
    /// Replicas the workload asks for.
    pub wanted: u32,
    /// Restarts of the current revision's pods.
    pub restarts: u32,
}

/// One ReplicaSet and what its pods do.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its number.
    pub number: i64,
    /// Its ReplicaSet's name.
    pub replica_set: String,
    /// Its `pod-template-hash`.
    pub hash: String,
    /// Container name (init containers too) to image, byte for byte.
    pub images: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its pod template, without the hash.
    pub template: Box<PodTemplateSpec>,
    /// Its ready pods.
    pub ready: u32,
    /// The replicas it is scaled to.
    pub wanted: u32,
    /// Restarts of its pods.
    pub restarts: u32,
    /// Container name to the digests that its ready pods really run.
    pub digests: BTreeMap<String, BTreeSet<Digest>>,
    /// When its oldest ready pod was made.
    oldest: Option<Timestamp>,
}

impl Health {
    /// Every replica that is asked for is ready, and no rollout is under way.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rolling.is_none() && self.ready >= self.wanted
    }

    /// With the controller's own numbers: for those who may not list its ReplicaSets or pods.
    #[must_use]
    pub fn as_counted_by(self, live: &Live) -> Self {
        let ready = live.deployment.status.as_ref().and_then(|status| status.ready_replicas);
        let ready = u32::try_from(ready.unwrap_or_default()).unwrap_or_default();
        Self { ready, rolling: None, ..self }
    }
}

/// Reads the health of a workload from its ReplicaSets and pods; those of others are left out.
#[must_use]
pub fn health(live: &Live, sets: &[ReplicaSet], pods: &[Pod]) -> Health {
    let owned = sets.iter().filter(|set| live::is_owned_by(&set.metadata, &live.uid));
    let mut revisions: Vec<Revision> = owned.map(|set| revision(set, pods)).collect();
    revisions.sort_by_key(|r| r.number);
    let current = current(live, &revisions).cloned();
    let rolling = rolling(live, current.as_ref(), &revisions);
    let completed = if rolling.is_none() { current.clone() } else { oldest(&revisions).cloned() };
    Health {
        ready: revisions.iter().map(|r| r.ready).sum(),
        wanted: live.replicas,
        restarts: current.as_ref().map_or(0, |r| r.restarts),
        current,
        completed,
        rolling,
    }
}

/// The ReplicaSet of this very template: as the controller finds it, by equality, lowest revision
/// first. The server fills the same defaults in both. By number only where none is equal, which an
/// API server older or newer than our types can cause.
fn current<'a>(live: &Live, revisions: &'a [Revision]) -> Option<&'a Revision> {
    let equal = revisions.iter().find(|r| *r.template == live.template);
    let numbered = || revisions.iter().find(|r| Some(r.number) == live.revision);
    equal.or_else(|| if live.observed >= live.generation { numbered() } else { None })
}

/// A rollout is over when no other revision has pods, whatever became of its own since.
fn rolling(live: &Live, current: Option<&Revision>, revisions: &[Revision]) -> Option<String> {
    if live.observed < live.generation {
        return Some("its controller has not seen the newest change yet".into());
    }
    let Some(current) = current else {
        return Some("its newest revision has no ReplicaSet yet".into());
    };
    let others = revisions.iter().filter(|r| r.replica_set != current.replica_set);
    if let Some(other) = others.into_iter().find(|r| r.wanted > 0 || r.ready > 0) {
        let pods = other.wanted.max(other.ready);
        let noun = if pods == 1 { "pod" } else { "pods" };
        return Some(format!("revision {} still has {pods} {noun}", other.number));
    }
    let unfinished = current.ready < live.replicas && !has_completed(&live.deployment);
    unfinished.then(|| {
        format!(
            "{} of {} pods of revision {} are ready",
            current.ready, live.replicas, current.number
        )
    })
}

/// The controller's own word, which it keeps when pods fail later.
fn has_completed(deployment: &Deployment) -> bool {
    let conditions = deployment.status.iter().flat_map(|s| s.conditions.iter().flatten());
    conditions.into_iter().any(|c| {
        c.type_ == "Progressing"
            && c.status == "True"
            && c.reason.as_deref() == Some("NewReplicaSetAvailable")
    })
}

/// When a rollout completes, all other pods end; so of the ready pods that there are, the oldest is
/// of the revision that completed last. Numbers would not do: a rollback gives an old one a new number.
fn oldest(revisions: &[Revision]) -> Option<&Revision> {
    revisions.iter().filter(|r| r.oldest.is_some()).min_by_key(|r| (r.oldest, r.number))
}

fn revision(set: &ReplicaSet, pods: &[Pod]) -> Revision {
    let annotations = set.metadata.annotations.clone().unwrap_or_default();
    let spec = set.spec.clone().unwrap_or_default();
    let mut template = spec.template.unwrap_or_default();
    let labels = template.metadata.as_mut().and_then(|m| m.labels.as_mut());
    let hash = labels.and_then(|labels| labels.remove(HASH)).unwrap_or_default();
    let uid = set.metadata.uid.as_deref().unwrap_or_default();
    let pods: Vec<&Pod> = pods.iter().filter(|pod| live::is_owned_by(&pod.metadata, uid)).collect();
    let ready: Vec<&Pod> = pods.iter().copied().filter(|pod| is_ready(pod)).collect();
    Revision {
        number: annotations.get(REVISION).and_then(|n| n.parse().ok()).unwrap_or_default(),
        replica_set: set.metadata.name.clone().unwrap_or_default(),
        hash,
        images: live::containers(&template).into_iter().map(|c| (c.name, c.image)).collect(),
        annotations,
        template: Box::new(template),
        ready: u32::try_from(ready.len()).unwrap_or(u32::MAX),
        wanted: u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default(),
        restarts: pods.iter().map(|pod| restarts(pod)).sum(),
        digests: digests(&ready),
        oldest: ready
            .iter()
            .filter_map(|p| p.metadata.creation_timestamp.as_ref())
            .map(|t| t.0)
            .min(),
    }
}

/// Ready, and not on its way out: a pod that is being deleted serves for a moment only.
fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True");
    ready && pod.metadata.deletion_timestamp.is_none()
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let lists = pod.status.iter().flat_map(|s| [&s.init_container_statuses, &s.container_statuses]);
    lists.flat_map(|list| list.iter().flatten())
}

fn restarts(pod: &Pod) -> u32 {
    let counts =
        statuses(pod).map(|status| u32::try_from(status.restart_count).unwrap_or_default());
    counts.sum()
}

fn digests(pods: &[&Pod]) -> BTreeMap<String, BTreeSet<Digest>> {
    let mut digests: BTreeMap<String, BTreeSet<Digest>> = BTreeMap::new();
    for status in pods.iter().flat_map(|pod| statuses(pod)) {
        if let Some(digest) = pulled(&status.image_id) {
            digests.entry(status.name.clone()).or_default().insert(digest);
        }
    }
    digests
}

/// The digest in an imageID: `host/repository@sha256:…`, with `docker-pullable://` on old runtimes.
/// A bare `sha256:…` is the id of a configuration, which no registry knows as an image.
fn pulled(image_id: &str) -> Option<Digest> {
    image_id.rsplit_once('@').and_then(|(_, digest)| digest.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::live::tests::live_of;
    use serde_json::{Value, json};

    fn set(name: &str, number: i64, image: &str, replicas: i32) -> ReplicaSet {
        let mut template = crate::cluster::live::tests::deployment()["spec"]["template"].take();
        template["metadata"]["labels"][HASH] = json!(name);
        template["spec"]["containers"][0]["image"] = json!(image);
        let object = json!({
            "metadata": {"name": format!("web-{name}"), "uid": name, "annotations": {REVISION: number.to_string()},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u-1", "controller": true}]},
            "spec": {"replicas": replicas, "selector": {}, "template": template}
        });
        serde_json::from_value(object).unwrap()
    }

    fn pod(set: &str, minute: u32, ready: bool, image_id: &str, restarts: i32) -> Pod {
        let object: Value = json!({
            "metadata": {"name": format!("web-{set}-{minute}"), "creationTimestamp": format!("2026-11-21T09:{minute:02}:00Z"),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": set, "controller": true}]},
            "status": {"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
                "containerStatuses": [{"name": "app", "image": "x", "imageID": image_id, "ready": ready, "restartCount": restarts}]}
        });
        serde_json::from_value(object).unwrap()
    }

    fn id(digit: char) -> String {
        format!("ecr/web@sha256:{}", digit.to_string().repeat(64))
    }

    fn asking_for(image: &str, number: i64) -> Live {
        live_of(|d| {
            let pod = d.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
            pod.containers[0].image = Some(image.into());
            d.metadata.annotations = Some([(REVISION.to_owned(), number.to_string())].into());
        })
    }

    fn number(revision: Option<&Revision>) -> Option<i64> {
        revision.map(|r| r.number)
    }

    #[test]
    fn a_finished_rollout_serves_its_own_revision_and_says_what_it_runs() {
        let sets = [set("new", 17, "ecr/web:old", 3), set("old", 16, "ecr/web:older", 0)];
        let pods: Vec<_> = (1..4).map(|m| pod("new", m, true, &id('a'), 1)).collect();
        let health = health(&asking_for("ecr/web:old", 17), &sets, &pods);
        assert!(health.is_well());
        assert_eq!((health.ready, health.wanted, health.restarts), (3, 3, 3));
        let completed = health.completed.unwrap();
        assert_eq!((completed.number, completed.hash.as_str()), (17, "new"));
        assert_eq!(completed.images["app"], "ecr/web:old");
        let digest: Digest = id('a').split_once('@').unwrap().1.parse().unwrap();
        assert_eq!(completed.digests["app"], [digest].into());
    }

    #[test]
    fn in_a_rollout_the_revision_of_the_oldest_ready_pod_completed_last() {
        let sets = [set("b", 18, "ecr/web:bad", 1), set("a", 17, "ecr/web:old", 3)];
        let mut pods: Vec<_> = (1..4).map(|m| pod("a", m, true, &id('a'), 0)).collect();
        pods.push(pod("b", 30, false, "", 4));
        let health = health(&asking_for("ecr/web:bad", 18), &sets, &pods);
        assert_eq!(health.rolling.as_deref(), Some("revision 17 still has 3 pods"));
        assert_eq!(
            (number(health.current.as_ref()), number(health.completed.as_ref())),
            (Some(18), Some(17))
        );
        assert_eq!(health.restarts, 4);
    }

    #[test]
    fn a_rollback_half_way_is_not_misread_by_its_new_number() {
        // 17 completed, 18 came to one ready pod, then 17 was put back and is numbered 19.
        let sets = [set("a", 19, "ecr/web:old", 3), set("b", 18, "ecr/web:bad", 1)];
        let mut pods: Vec<_> = (1..3).map(|m| pod("a", m, true, &id('a'), 0)).collect();
        pods.extend([pod("b", 20, true, &id('b'), 0), pod("a", 30, false, "", 0)]);
        let there = health(&asking_for("ecr/web:old", 19), &sets, &pods);
        assert_eq!(number(there.completed.as_ref()), Some(19));
        // 18 completed too, and 17 is put back: its pods are all new.
        let pods = [
            pod("b", 20, true, &id('b'), 0),
            pod("b", 21, true, &id('b'), 0),
            pod("a", 30, true, &id('a'), 0),
        ];
        let back = health(&asking_for("ecr/web:old", 19), &sets, &pods);
        assert_eq!(number(back.completed.as_ref()), Some(18));
    }

    #[test]
    fn a_pod_that_fails_after_the_rollout_is_no_rollout() {
        let sets = [set("a", 17, "ecr/web:old", 3)];
        let pods = [
            pod("a", 1, true, &id('a'), 0),
            pod("a", 2, true, &id('a'), 0),
            pod("a", 3, false, "", 9),
        ];
        let done = json!({"observedGeneration": 4, "conditions": [{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}]});
        let mut live = asking_for("ecr/web:old", 17);
        let unsaid = health(&live, &sets, &pods);
        assert_eq!(unsaid.rolling.as_deref(), Some("2 of 3 pods of revision 17 are ready"));
        live.deployment.status = serde_json::from_value(done).unwrap();
        let health = health(&live, &sets, &pods);
        assert_eq!((health.rolling.as_deref(), health.is_well(), health.ready), (None, false, 2));
    }

    #[test]
    fn nothing_ready_proves_no_completed_revision() {
        let sets = [set("b", 18, "ecr/web:bad", 1), set("a", 17, "ecr/web:old", 3)];
        let health = health(&asking_for("ecr/web:bad", 18), &sets, &[pod("a", 1, false, "", 0)]);
        assert_eq!(number(health.completed.as_ref()), None);
    }

    #[test]
    fn a_change_that_the_controller_has_not_seen_is_a_rollout() {
        let mut live = asking_for("ecr/web:new", 17);
        live.generation = 5;
        let health =
            health(&live, &[set("a", 17, "ecr/web:old", 3)], &[pod("a", 1, true, &id('a'), 0)]);
        assert!(health.rolling.is_some() && health.current.is_none());
        assert_eq!(number(health.completed.as_ref()), Some(17));
    }

    #[test]
    fn replica_sets_and_pods_of_others_do_not_count() {
        let mut stranger = set("s", 99, "ecr/web:old", 1);
        stranger.metadata.owner_references = None;
        let sets = [set("a", 17, "ecr/web:old", 3), stranger];
        let pods = [pod("a", 1, true, &id('a'), 0), pod("s", 0, true, &id('f'), 7)];
        let health = health(&asking_for("ecr/web:old", 17), &sets, &pods);
        assert_eq!(
            (health.ready, health.restarts, number(health.current.as_ref())),
            (1, 0, Some(17))
        );
    }

    #[test]
    fn only_a_pulled_digest_is_a_digest() {
        let hex = "a".repeat(64);
        assert!(pulled(&format!("docker-pullable://ecr/web@sha256:{hex}")).is_some());
        for other in [format!("sha256:{hex}"), String::new(), "ecr/web@sha256:abc".into()] {
            assert_eq!(pulled(&other), None, "{other}");
        }
    }
}
