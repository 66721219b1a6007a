//! What the API server says during a rollout, as one stream: the workload, its ReplicaSets, its
//! pods, warning events.
//!
//! It only reports. It survives cut and garbled streams, expired tokens and old resource versions;
//! dropping it ends every request.

use std::collections::BTreeMap;
use std::time::Instant;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Resource;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::rollout::Seen;

use super::fed::{Fed, Said};
use super::follow::{Follow, Source};
use super::rights::{WATCH_DEPLOYMENTS, WATCH_EVENTS, WATCH_PODS, WATCH_REPLICA_SETS};
use super::{Cluster, Live};

/// What may be said and not yet heard, before reading waits: a rollout of hundreds of pods.
const UNHEARD: usize = 512;

/// What a rollout cannot be judged without.
const NEEDED: usize = 3;

/// The stream of a rollout. Dropping it ends its requests.
#[derive(Debug)]
pub struct Feed {
    said: mpsc::Receiver<Said>,
    asks: watch::Sender<u64>,
    /// Up to which ask each kind was read anew.
    read: BTreeMap<&'static str, u64>,
    // Held for its drop, which ends them.
    _follows: JoinSet<()>,
}

impl Feed {
    /// The next thing that was said; `None` when every watch has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Fed> {
        loop {
            match self.said.recv().await? {
                Said::Fed(fed) => return Some(fed),
                Said::Read(what, ask) => {
                    self.read.insert(what, ask);
                    let newest = *self.asks.borrow();
                    let all = self.read.len() == NEEDED && self.read.values().all(|a| *a == newest);
                    if all && newest > 0 {
                        return Some(Fed::Confirmed);
                    }
                }
            }
        }
    }

    /// Asks that everything needed is read anew, whatever its streams say: [`Fed::Confirmed`] is the
    /// answer to the newest ask.
    pub fn ask(&mut self) {
        self.asks.send_modify(|ask| *ask += 1);
    }
}

impl Cluster {
    /// Watches a workload from the answer of its PATCH on. Must be called within the runtime.
    #[must_use]
    pub fn watch(&self, patched: &Deployment) -> Feed {
        let live = Live::of(patched.clone());
        let (to, said) = mpsc::channel(UNHEARD);
        let (asks, asked) = watch::channel(0);
        let to = To { said: to, asked };
        let mut follows = JoinSet::new();
        let from = Some(live.resource_version.clone()).filter(|version| !version.is_empty());
        let mut workload = self.follow(workload(&live), &to);
        workload.known = BTreeMap::from([(live.uid.clone(), live.resource_version.clone())]);
        workload.version.clone_from(&from);
        follows.spawn(workload.run());
        follows.spawn(self.follow(replica_sets(&live), &to).run());
        follows.spawn(self.follow(pods(&live), &to).run());
        follows.spawn(self.follow(events(&live, "type!=Normal"), &to).run());
        // What an autoscaler and a kubelet do on purpose are ordinary events. Only those from the
        // PATCH on can say anything, so that a busy namespace's old ones are never listed.
        let mut ordinary = self.follow(events(&live, "type=Normal"), &to);
        ordinary.version = from;
        follows.spawn(ordinary.run());
        Feed { said, asks, read: BTreeMap::new(), _follows: follows }
    }

    fn follow<K: Clone + DeserializeOwned>(&self, source: Source<K>, to: &To) -> Follow<K> {
        Follow {
            cluster: self.clone(),
            source,
            said: to.said.clone(),
            asked: to.asked.clone(),
            version: None,
            known: BTreeMap::new(),
            heard: Instant::now(),
            answered: 0,
            doubted: None,
        }
    }
}

/// Where those who follow say what they hear, and hear what is asked.
struct To {
    said: mpsc::Sender<Said>,
    asked: watch::Receiver<u64>,
}

fn workload(live: &Live) -> Source<Deployment> {
    Source {
        right: WATCH_DEPLOYMENTS,
        namespace: live.namespace.clone(),
        path: Deployment::url_path(&(), Some(&live.namespace)),
        labels: None,
        fields: Some(format!("metadata.name={}", live.name)),
        optional: false,
        meta: |d| &d.metadata,
        appeared: Seen::Workload,
        gone: |_| Some(Seen::WorkloadGone),
    }
}

fn replica_sets(live: &Live) -> Source<ReplicaSet> {
    Source {
        right: WATCH_REPLICA_SETS,
        namespace: live.namespace.clone(),
        path: ReplicaSet::url_path(&(), Some(&live.namespace)),
        labels: Some(live.selector.clone()),
        fields: None,
        optional: false,
        meta: |r| &r.metadata,
        appeared: Seen::ReplicaSet,
        gone: |uid| Some(Seen::ReplicaSetGone(uid)),
    }
}

fn pods(live: &Live) -> Source<Pod> {
    Source {
        right: WATCH_PODS,
        namespace: live.namespace.clone(),
        path: Pod::url_path(&(), Some(&live.namespace)),
        labels: Some(live.selector.clone()),
        fields: None,
        optional: false,
        meta: |p| &p.metadata,
        appeared: Seen::Pod,
        gone: |uid| Some(Seen::PodGone(uid)),
    }
}

/// Events carry no labels, so all of the namespace come; that one expires is no news.
fn events(live: &Live, kind: &str) -> Source<Event> {
    Source {
        right: WATCH_EVENTS,
        namespace: live.namespace.clone(),
        path: Event::url_path(&(), Some(&live.namespace)),
        labels: None,
        fields: Some(kind.into()),
        optional: true,
        meta: |e| &e.metadata,
        appeared: Seen::Event,
        gone: |_| None,
    }
}
