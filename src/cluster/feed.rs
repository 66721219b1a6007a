//! What the API server says during a rollout, as one stream: the workload, its ReplicaSets, its
//! pods, warning events.
//!
//! It only reports. It survives cut and garbled streams, expired tokens and old resource versions;
//! dropping it ends every request.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::Resource;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::{Failure, Unseen};
use crate::rollout::Seen;

use super::follow::{Follow, Source};
use super::rights::{WATCH_DEPLOYMENTS, WATCH_EVENTS, WATCH_PODS, WATCH_REPLICA_SETS};
use super::{Cluster, Live};

/// What may be said and not yet heard, before reading waits: a rollout of hundreds of pods.
const UNHEARD: usize = 512;

/// One thing that the feed says.
#[derive(Clone, Debug)]
pub enum Fed {
    /// The API server said something.
    Seen(Seen),
    /// Something cannot be read for a while: "pods cannot be read since 12 s: connection refused". It goes on trying.
    Trouble(String),
    /// After trouble, it can be read again: "pods".
    Again(String),
    /// Something optional cannot be read at all; the rest goes on.
    Unseen(Unseen),
    /// Something needed can no longer be read, and trying again is useless: 401 twice, 403.
    Ended(Failure),
}

/// The stream of a rollout. Dropping it ends its requests.
#[derive(Debug)]
pub struct Feed {
    said: mpsc::Receiver<Fed>,
    // Held for its drop, which ends them.
    _follows: JoinSet<()>,
}

impl Feed {
    /// The next thing that was said; `None` when every watch has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Fed> {
        self.said.recv().await
    }
}

impl Stream for Feed {
    type Item = Fed;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Fed>> {
        self.said.poll_recv(context)
    }
}

impl Cluster {
    /// Watches a workload from the answer of its PATCH on. Must be called within the runtime.
    #[must_use]
    pub fn watch(&self, patched: &Deployment) -> Feed {
        let live = Live::of(patched.clone());
        let (to, said) = mpsc::channel(UNHEARD);
        let mut follows = JoinSet::new();
        let mut workload = self.follow(workload(&live), &to);
        workload.known = BTreeSet::from([live.uid.clone()]);
        workload.version =
            Some(live.resource_version.clone()).filter(|version| !version.is_empty());
        follows.spawn(workload.run());
        follows.spawn(self.follow(replica_sets(&live), &to).run());
        follows.spawn(self.follow(pods(&live), &to).run());
        follows.spawn(self.follow(events(&live, "type!=Normal"), &to).run());
        // What an autoscaler and a kubelet do on purpose are ordinary events. Only those from the
        // PATCH on can say anything, so that a busy namespace's old ones are never listed.
        let mut ordinary = self.follow(events(&live, "type=Normal"), &to);
        ordinary.version =
            Some(live.resource_version.clone()).filter(|version| !version.is_empty());
        follows.spawn(ordinary.run());
        Feed { said, _follows: follows }
    }

    fn follow<K: Clone + DeserializeOwned>(
        &self,
        source: Source<K>,
        to: &mpsc::Sender<Fed>,
    ) -> Follow<K> {
        let known = BTreeSet::new();
        Follow { cluster: self.clone(), source, said: to.clone(), version: None, known }
    }
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
