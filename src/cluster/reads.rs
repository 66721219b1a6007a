//! What is read from the cluster: the workload, its ReplicaSets and pods, nodes, logs, events.
//!
//! What a run needs fails with a sentence; what is optional comes back as unseen. Lists are read in
//! pages, since a namespace may hold thousands.

use http::StatusCode;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::Resource;
use kube::core::ObjectList;
use kube::core::params::{GetParams, ListParams};
use kube::core::request;
use kube::core::subresource::LogParams;
use serde::de::DeserializeOwned;

use crate::error::{Code, Failure, Unseen, one_line};
use crate::names::{Kind, Namespace, Workload, nearest};

use super::rights::{GET_DEPLOYMENTS, LIST_PODS, LIST_REPLICA_SETS, Right};
use super::wire::{Ask, Repeat};
use super::wrong::{Doing, Wrong};
use super::{Cluster, Live};

/// Objects of a page. The API server answers 500 pods in well under a second.
const PAGE: u32 = 500;
/// A log is read up to here; a container that writes longer lines is cut in them.
const LOG_BYTES: i64 = 1 << 20;
/// Of one line of a log.
const LINE: usize = 4096;

impl Cluster {
    /// The workload as it is now.
    pub async fn workload(
        &self,
        namespace: &Namespace,
        workload: &Workload,
    ) -> Result<Live, Failure> {
        if workload.kind != Kind::Deployment {
            return Err(Failure::new(Code::WorkloadKind, format!("`{workload}` is no Deployment"))
                .why("only a Deployment is watched to its end and rolled back as a whole")
                .next("name one: `workload: deployment/NAME`"));
        }
        match self.deployment(namespace.as_str(), &workload.name).await {
            Ok(found) => Ok(Live::of(found)),
            Err(wrong) if wrong.code() == Some(404) => Err(self.missing(namespace, workload).await),
            Err(wrong) => Err(self.failure(wrong, GET_DEPLOYMENTS, Some(namespace.as_str()))),
        }
    }

    async fn deployment(&self, namespace: &str, name: &str) -> Result<Deployment, Wrong> {
        let request = request::Request::new(Deployment::url_path(&(), Some(namespace)));
        self.wire.read(&built(request.get(name, &GetParams::default()))?).await
    }

    /// Why there is no such workload: what is there instead, as far as it may be listed.
    async fn missing(&self, namespace: &Namespace, workload: &Workload) -> Failure {
        let what =
            format!("`{}` has no Deployment `{}` in `{namespace}`", self.name(), workload.name);
        let failure = Failure::new(Code::WorkloadMissing, what);
        let listed = self
            .list::<Deployment>(Deployment::url_path(&(), Some(namespace.as_str())), None, None)
            .await;
        let names: Vec<String> = match listed {
            Ok((found, _)) => found.into_iter().filter_map(|d| d.metadata.name).collect(),
            Err(wrong) => {
                return failure
                    .why(wrong.unseen("deployments", "list").to_string())
                    .next(format!("kubectl -n {namespace} get deployments"));
            }
        };
        if names.is_empty() {
            return failure
                .why(format!("namespace `{namespace}` has none, or is not there"))
                .next("kubectl get deployments --all-namespaces");
        }
        let close = nearest(&workload.name, names.iter().map(String::as_str));
        let shown: Vec<_> = names.iter().take(10).map(|n| format!("`{n}`")).collect();
        let more = if names.len() > shown.len() { ", ..." } else { "" };
        let failure = failure.why(format!("it has {}{more}", shown.join(", ")));
        match close {
            Some(name) => failure.next(format!("`workload: deployment/{name}`, if that is meant")),
            None => failure.next(format!("kubectl -n {namespace} get deployments")),
        }
    }

    /// The ReplicaSets that the workload owns.
    pub async fn replica_sets(&self, live: &Live) -> Result<Vec<ReplicaSet>, Failure> {
        let mut found: Vec<ReplicaSet> = self.selected(live, LIST_REPLICA_SETS).await?;
        found.retain(|set| super::live::is_owned_by(&set.metadata, &live.uid));
        Ok(found)
    }

    /// The pods that the workload's selector matches.
    pub async fn pods(&self, live: &Live) -> Result<Vec<Pod>, Failure> {
        self.selected(live, LIST_PODS).await
    }

    async fn selected<K>(&self, live: &Live, right: Right) -> Result<Vec<K>, Failure>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned,
    {
        let path = K::url_path(&(), Some(&live.namespace));
        let listed = self.list::<K>(path, Some(&live.selector), None).await;
        listed
            .map(|(found, _)| found)
            .map_err(|wrong| self.failure(wrong, right, Some(&live.namespace)))
    }

    /// The nodes of the cluster.
    pub async fn nodes(&self) -> Result<Vec<Node>, Unseen> {
        let listed = self.list::<Node>(Node::url_path(&(), None), None, None).await;
        listed.map(|(found, _)| found).map_err(|wrong| wrong.unseen("nodes", "list"))
    }

    /// The warning events of the namespace.
    pub async fn warnings(&self, namespace: &Namespace) -> Result<Vec<Event>, Unseen> {
        let path = Event::url_path(&(), Some(namespace.as_str()));
        let listed = self.list::<Event>(path, None, Some("type!=Normal")).await;
        listed.map(|(found, _)| found).map_err(|wrong| wrong.unseen("events", "list"))
    }

    /// The last `tail` lines of a container, oldest first, each cut at 4096 characters.
    pub async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        tail: u32,
    ) -> Result<Vec<String>, Unseen> {
        let params = LogParams {
            container: Some(container.into()),
            previous,
            tail_lines: Some(i64::from(tail)),
            limit_bytes: Some(LOG_BYTES),
            ..LogParams::default()
        };
        let what = format!("logs of {pod}");
        let unseen = |wrong: Wrong| wrong.unseen(&what, "read");
        let request = request::Request::new(Pod::url_path(&(), Some(namespace)));
        let ask = built(request.logs(pod, &params)).map_err(unseen)?;
        let body = self.wire.ask(&ask, Repeat::Free).await.map_err(unseen)?;
        let text = String::from_utf8_lossy(&body);
        if is_thrown_away(&text) {
            return Err(Unseen::new(what, format!("the kubelet: \"{}\"", text.trim())));
        }
        Ok(text.lines().map(|line| line.chars().take(LINE).collect()).collect())
    }

    /// All objects of a list, in pages, and the resource version they are of.
    pub(super) async fn list<K: Clone + DeserializeOwned>(
        &self,
        path: String,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<(Vec<K>, String), Wrong> {
        self.list_as(path, labels, fields, Repeat::Free).await
    }

    /// The same, with a say in whether a page is asked for again.
    pub(super) async fn list_as<K: Clone + DeserializeOwned>(
        &self,
        path: String,
        labels: Option<&str>,
        fields: Option<&str>,
        repeat: Repeat,
    ) -> Result<(Vec<K>, String), Wrong> {
        let request = request::Request::new(path);
        let mut params = ListParams { limit: Some(PAGE), ..ListParams::default() };
        params.label_selector = labels.map(Into::into);
        params.field_selector = fields.map(Into::into);
        let mut found = Vec::new();
        loop {
            let page: Result<ObjectList<K>, Wrong> =
                self.wire.read_as(&built(request.list(&params))?, repeat).await;
            let page = match page {
                // The pages' own version has expired: once more, in one piece.
                Err(Wrong::Status(StatusCode::GONE, _)) if params.continue_token.is_some() => {
                    found.clear();
                    (params.continue_token, params.limit) = (None, None);
                    continue;
                }
                other => other?,
            };
            found.extend(page.items);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => return Ok((found, page.metadata.resource_version.unwrap_or_default())),
            }
        }
    }

    /// The failure of something needed.
    pub(super) fn failure(&self, wrong: Wrong, right: Right, namespace: Option<&str>) -> Failure {
        wrong.failure(&self.wire.access, Doing { right, namespace })
    }
}

/// kube's builders refuse nothing that our names allow; if one does, it is not sent.
pub(super) fn built(built: Result<Ask, request::Error>) -> Result<Ask, Wrong> {
    built.map_err(|error| {
        Wrong::Garbled(format!("the request cannot be made: {}", one_line(&error.to_string(), 80)))
    })
}

/// Whether this is no log, but what the kubelet says with status 200 for one that it has thrown away: it keeps
/// one container that ended, and the one before it is gone at the second exit. It looks for the container,
/// then for its file, and may lose either.
fn is_thrown_away(text: &str) -> bool {
    const EXCUSES: [&str; 3] = [
        "unable to retrieve container logs for containerd://",
        "failed to try resolving symlinks in path \"",
        "failed to open log file \"",
    ];
    text.trim().lines().count() == 1 && EXCUSES.iter().any(|excuse| text.starts_with(excuse))
}
