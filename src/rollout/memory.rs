//! What the fold remembers: the newest word about each object, and what objects forget (the pull
//! error before the back-off, when a trouble began, whether a new pod was ever ready). It absorbs,
//! it does not judge. Observations may come in any order, twice, or again after a relist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use super::pods::{self, Seat};
use super::words::{self, Said};
use super::{
    Cause, Kin, Observation, Ours, Patience, Progress, Seen, Stranger, Verdict, ready, template,
    trouble,
};

/// How long a trouble must last before it is believed: some heal by themselves.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Grace {
    /// A refused pull (403, no login): a new right needs a moment to reach ECR.
    pub refused: Duration,
    /// A registry that does not answer, a disk that is full.
    pub unreachable: Duration,
    /// A Secret, ConfigMap or service account that is not there: somebody may be creating it.
    pub config: Duration,
    /// A volume of a Secret or ConfigMap that is not there: the kubelet tries again ever more slowly.
    pub mount: Duration,
    /// A node without a free address: one may come free as old pods go.
    pub address: Duration,
    /// A full quota, where old pods cannot make room.
    pub quota: Duration,
}

impl Grace {
    /// Graces in proportion to the patience: nobody who waits a minute in all wants to wait one for a
    /// right to arrive. Ten minutes, the default, and more give the usual ones.
    #[must_use]
    pub fn within(timeout: Duration) -> Self {
        let usual = Self::default();
        Self {
            refused: usual.refused.min(timeout / 10),
            unreachable: usual.unreachable.min(timeout / 5),
            config: usual.config.min(timeout / 20),
            mount: usual.mount.min(timeout / 10),
            address: usual.address.min(timeout / 5),
            quota: usual.quota.min(timeout / 60),
        }
    }
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            refused: Duration::from_secs(60),
            unreachable: Duration::from_secs(120),
            config: Duration::from_secs(30),
            mount: Duration::from_secs(60),
            address: Duration::from_secs(120),
            quota: Duration::from_secs(10),
        }
    }
}

/// The moment when all replicas were ready, and how often each container had ended by then.
#[derive(Clone, Debug)]
pub(super) struct Baking {
    pub(super) since: Duration,
    pub(super) wanted: i32,
    pub(super) set: Option<String>,
    pub(super) exits: BTreeMap<(String, String), u32>,
}

/// Everything seen of one rollout so far.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(super) ours: Ours,
    pub(super) patience: Patience,
    pub(super) grace: Grace,
    pub(super) now: Duration,
    pub(super) gone: bool,
    pub(super) workload: Option<Deployment>,
    pub(super) sets: BTreeMap<String, ReplicaSet>,
    pub(super) pods: BTreeMap<String, Pod>,
    /// Some pod was seen: what is not there then is not there.
    pub(super) pods_listed: bool,
    /// The images that the workload had at our own generation.
    pub(super) written: Option<BTreeMap<String, String>>,
    /// Some pod of our ReplicaSet was ready at some time.
    pub(super) ever_ready: bool,
    pub(super) baking: Option<Baking>,
    /// The rollout is no more late before this: a bake that began gets its time.
    pub(super) late_at: Duration,
    pub(super) verdict: Option<Verdict>,
    /// A verdict waits for everything to be read anew.
    pub(super) doubts: bool,
    /// What the registry made of digests that pods report and we did not ship.
    pub(super) met: BTreeMap<Stranger, Kin>,
    /// Objects that are gone: a late word about them does not bring them back.
    buried: BTreeSet<String>,
    events: BTreeMap<String, Said>,
    /// Pods that were ready at some time.
    was_ready: BTreeSet<String>,
    /// How often the containers of pods older than the PATCH had ended when they were first seen.
    before: BTreeMap<(String, String), u32>,
    /// The last pull error of a container, in its own words.
    pulls: BTreeMap<(String, String), String>,
    /// Since when an object has had a kind of trouble.
    since: BTreeMap<(String, String), Duration>,
}

impl Memory {
    /// Begins to remember a rollout, at its PATCH.
    #[must_use]
    pub fn new(ours: Ours, patience: Patience, grace: Grace) -> Self {
        Self {
            ours,
            patience,
            grace,
            now: Duration::ZERO,
            gone: false,
            workload: None,
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            pods_listed: false,
            written: None,
            ever_ready: false,
            baking: None,
            late_at: patience.timeout,
            verdict: None,
            doubts: false,
            met: BTreeMap::new(),
            buried: BTreeSet::new(),
            events: BTreeMap::new(),
            was_ready: BTreeSet::new(),
            before: BTreeMap::new(),
            pulls: BTreeMap::new(),
            since: BTreeMap::new(),
        }
    }

    /// Where the rollout stands: printed when it differs from the last one.
    #[must_use]
    pub fn progress(&self) -> Progress {
        super::progress::of(self)
    }

    /// Whether only a [`Seen::Confirmed`] is missing for a verdict: time alone proves nothing, since a
    /// stream that is dead looks like one that is quiet.
    #[must_use]
    pub fn doubts(&self) -> bool {
        self.doubts
    }

    /// The workload as it was last seen.
    #[must_use]
    pub fn workload(&self) -> Option<&Deployment> {
        self.workload.as_ref()
    }

    /// The pod of a cause, whole, while it is remembered: for the evidence.
    #[must_use]
    pub fn pod(&self, name: &str) -> Option<&Pod> {
        self.pods.values().find(|pod| pod.metadata.name.as_deref() == Some(name))
    }

    /// Warning events about the cause's pod, our ReplicaSet and the workload since the PATCH:
    /// reason and message, oldest first.
    #[must_use]
    pub fn warnings(&self, cause: &Cause) -> Vec<(String, String)> {
        let pod = cause.pod.as_deref().and_then(|name| self.pod(name)).map(pods::uid);
        let set = self.our_set().and_then(|set| set.metadata.uid.as_deref());
        let about = [pod, set, Some(self.ours.uid.as_str())];
        let mut said: Vec<_> = self.events.values().filter(|s| s.warning).collect();
        said.retain(|s| about.contains(&Some(&s.about)));
        said.sort_by_key(|s| s.at);
        said.into_iter().map(|s| (s.reason.clone(), s.message.clone())).collect()
    }

    /// Takes in one observation.
    pub(super) fn absorb(&mut self, seen: &Observation) {
        self.now = self.now.max(seen.at);
        match &seen.seen {
            Seen::Workload(workload) => self.see_workload(workload),
            Seen::WorkloadGone => self.gone = true,
            Seen::ReplicaSet(set) => {
                let uid = set.metadata.uid.clone().unwrap_or_default();
                let known = self.sets.get(&uid).map(|known| &known.metadata);
                if !self.buried.contains(&uid) && is_news(known, &set.metadata) {
                    self.sets.insert(uid, (**set).clone());
                }
            }
            Seen::Pod(pod) => self.see_pod(pod),
            Seen::ReplicaSetGone(uid) | Seen::PodGone(uid) => {
                self.sets.remove(uid);
                self.pods.remove(uid);
                self.buried.insert(uid.clone());
            }
            Seen::Event(event) => self.see_event(event),
            Seen::Met(stranger, kin) => _ = self.met.insert(stranger.clone(), *kin),
            Seen::Tick | Seen::Confirmed => {}
        }
        self.settle();
    }

    fn see_workload(&mut self, workload: &Deployment) {
        if workload.metadata.uid.as_ref().is_some_and(|uid| *uid != self.ours.uid)
            || workload.metadata.deletion_timestamp.is_some()
        {
            self.gone = true;
            return;
        }
        if !is_news(self.workload.as_ref().map(|w| &w.metadata), &workload.metadata) {
            return;
        }
        if workload.metadata.generation == Some(self.ours.generation) {
            self.written = Some(template::workload_images(workload));
        }
        self.workload = Some(workload.clone());
    }

    fn see_pod(&mut self, pod: &Pod) {
        self.pods_listed = true;
        let uid = pods::uid(pod).to_owned();
        let known = self.pods.get(&uid).map(|known| &known.metadata);
        if self.buried.contains(&uid) || !is_news(known, &pod.metadata) {
            return;
        }
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
        let older = created.is_some_and(|second| second < self.ours.patched_at.as_second());
        for seat in pods::seats(pod) {
            let key = (uid.clone(), seat.status.name.clone());
            self.before.entry(key.clone()).or_insert(if older { seat.exits() } else { 0 });
            let waiting = seat.waiting().filter(|w| w.message.is_some());
            let words = waiting
                .and_then(|w| words::pull_error(w.reason.as_deref()?, w.message.as_deref()?));
            if let Some(words) = words {
                self.pulls.insert(key, words.to_owned());
            }
        }
        if pods::is_ready(pod) {
            self.was_ready.insert(uid.clone());
        }
        self.pods.insert(uid, pod.clone());
    }

    fn see_event(&mut self, event: &Event) {
        let Some(said) = words::read(event, &self.ours.name) else { return };
        // The server's clock has seconds here: an event of the PATCH's own second is ours to read.
        let stale = |at: jiff::Timestamp| at.as_second() < self.ours.patched_at.as_second();
        if said.at.is_some_and(stale) {
            return;
        }
        let key = event.metadata.name.clone().unwrap_or_default();
        if self.events.get(&key).is_none_or(|known| known.at <= said.at) {
            self.events.insert(key, said);
        }
    }

    /// Draws what follows from all objects together, whatever came last.
    fn settle(&mut self) {
        let troubles = trouble::keys(self);
        self.since.retain(|key, _| troubles.contains(key));
        for key in troubles {
            self.since.entry(key).or_insert(self.now);
        }
        let ready = self.new_pods().iter().any(|pod| self.was_ready.contains(pods::uid(pod)));
        self.ever_ready |= ready;
        let set = self.our_set().and_then(|set| set.metadata.uid.clone());
        if self.baking.as_ref().is_some_and(|baking| baking.set != set) {
            self.baking = None;
        }
        if self.baking.is_none()
            && let Some(wanted) = ready::complete(self)
        {
            self.late_at = self.late_at.max(self.now + self.patience.bake * 2);
            let exits = self.all_exits();
            self.baking = Some(Baking { since: self.now, wanted, set, exits });
        }
    }

    fn all_exits(&self) -> BTreeMap<(String, String), u32> {
        let mut exits = BTreeMap::new();
        for pod in self.new_pods() {
            for seat in pods::seats(pod) {
                let key = (pods::uid(pod).to_owned(), seat.status.name.clone());
                exits.insert(key, seat.exits());
            }
        }
        exits
    }

    /// The workload, once it carries our generation or a later one.
    pub(super) fn our_workload(&self) -> Option<&Deployment> {
        self.workload.as_ref().filter(|w| w.metadata.generation >= Some(self.ours.generation))
    }

    /// The ReplicaSet of the workload's present template.
    pub(super) fn our_set(&self) -> Option<&ReplicaSet> {
        template::current(self.our_workload()?, &self.sets)
    }

    /// The pods of our ReplicaSet that are neither ended nor on their way out.
    pub(super) fn new_pods(&self) -> Vec<&Pod> {
        let Some(set) = self.our_set() else { return Vec::new() };
        let own = self.pods.values().filter(|pod| template::is_owned(&pod.metadata, &set.metadata));
        own.filter(|pod| !pods::is_leaving(pod) && !pods::has_ended(pod)).collect()
    }

    /// The ready pods that the workload itself counts.
    pub(super) fn ready_before(&self) -> u32 {
        let status = self.our_workload().and_then(|workload| workload.status.as_ref());
        status.and_then(|s| s.ready_replicas).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
    }

    /// The replicas that the workload asks for at this moment: an autoscaler may change them.
    pub(super) fn wanted(&self) -> Option<i32> {
        Some(self.our_workload()?.spec.as_ref()?.replicas.unwrap_or(1))
    }

    /// What events said about an object, oldest first.
    pub(super) fn said(&self, uid: &str) -> Vec<&Said> {
        let mut said: Vec<_> = self.events.values().filter(|said| said.about == uid).collect();
        said.sort_by_key(|said| said.at);
        said
    }

    /// How often a container ended since the PATCH.
    pub(super) fn exits(&self, pod: &Pod, seat: &Seat<'_>) -> u32 {
        let key = (pods::uid(pod).to_owned(), seat.status.name.clone());
        seat.exits().saturating_sub(self.before.get(&key).copied().unwrap_or(0))
    }

    /// The pull error of a container in its own words: the pod's, else the last event's.
    pub(super) fn pull_words(&self, pod: &Pod, container: &str) -> Option<String> {
        let key = (pods::uid(pod).to_owned(), container.to_owned());
        if let Some(words) = self.pulls.get(&key) {
            return Some(words.clone());
        }
        let said = self.said(pods::uid(pod));
        let mut said = said.into_iter().rev().filter(|said| said.concerns(container));
        said.find_map(|said| words::pull_event(&said.message)).map(Into::into)
    }

    /// How long an object has had this kind of trouble.
    pub(super) fn lasted(&self, uid: &str, key: &str) -> Duration {
        let since = self.since.get(&(uid.to_owned(), key.to_owned()));
        since.map_or(Duration::ZERO, |since| self.now.saturating_sub(*since))
    }

    /// Whether a pod was ready at some time.
    pub(super) fn had_been_ready(&self, pod: &Pod) -> bool {
        self.was_ready.contains(pods::uid(pod))
    }
}

/// Whether an object is not older than the one that is known. Versions are numbers in every API
/// server there is; where they are not, the last word counts.
fn is_news(known: Option<&ObjectMeta>, new: &ObjectMeta) -> bool {
    let version = |meta: &ObjectMeta| meta.resource_version.as_deref()?.parse::<u64>().ok();
    match (known.and_then(version), version(new)) {
        (Some(known), Some(new)) => new >= known,
        _ => true,
    }
}
