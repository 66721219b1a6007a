//! What we may do in a namespace, asked of the cluster before anything is written.
//!
//! The table of rights is the one that `init` writes and messages name; an answer is a fact, what
//! follows from it is said by [`Cluster::lacking`] alone.

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use serde::Serialize;

use crate::error::{Code, Failure, Unseen};
use crate::names::Namespace;

use super::Cluster;
use super::wire::Ask;
use super::wrong::{Wrong, grant};

/// One verb on one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Right {
    /// `patch`, `get`, …
    pub verb: &'static str,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// `deployments`, `pods`, …
    pub resource: &'static str,
    /// `log` in `pods/log`.
    pub subresource: &'static str,
    /// It belongs to a namespace.
    pub namespaced: bool,
    /// A rollout cannot be done or watched without it.
    pub needed: bool,
}

const fn apps(verb: &'static str, resource: &'static str) -> Right {
    Right { verb, group: "apps", resource, subresource: "", namespaced: true, needed: true }
}

const fn core(verb: &'static str, resource: &'static str, needed: bool) -> Right {
    Right { verb, group: "", resource, subresource: "", namespaced: true, needed }
}

pub(super) const PATCH_DEPLOYMENTS: Right = apps("patch", "deployments");
pub(super) const GET_DEPLOYMENTS: Right = apps("get", "deployments");
pub(super) const LIST_DEPLOYMENTS: Right = apps("list", "deployments");
pub(super) const WATCH_DEPLOYMENTS: Right = apps("watch", "deployments");
pub(super) const LIST_REPLICA_SETS: Right = apps("list", "replicasets");
pub(super) const WATCH_REPLICA_SETS: Right = apps("watch", "replicasets");
pub(super) const LIST_PODS: Right = core("list", "pods", true);
pub(super) const WATCH_PODS: Right = core("watch", "pods", true);
pub(super) const GET_LOGS: Right = Right { subresource: "log", ..core("get", "pods", false) };
pub(super) const LIST_EVENTS: Right = core("list", "events", false);
pub(super) const WATCH_EVENTS: Right = core("watch", "events", false);
pub(super) const LIST_NODES: Right = Right { namespaced: false, ..core("list", "nodes", false) };

/// Every right that slipway uses.
pub const RIGHTS: &[Right] = &[
    PATCH_DEPLOYMENTS,
    GET_DEPLOYMENTS,
    LIST_DEPLOYMENTS,
    WATCH_DEPLOYMENTS,
    LIST_REPLICA_SETS,
    WATCH_REPLICA_SETS,
    LIST_PODS,
    WATCH_PODS,
    GET_LOGS,
    LIST_EVENTS,
    WATCH_EVENTS,
    LIST_NODES,
];

impl Right {
    /// The resource as kubectl writes it: `deployments.apps`, `pods/log`.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.group, self.subresource) {
            ("", "") => self.resource.into(),
            ("", sub) => format!("{}/{sub}", self.resource),
            (group, _) => format!("{}.{group}", self.resource),
        }
    }
}

impl Cluster {
    /// Asks by access reviews, all at once, which of these rights we have.
    pub async fn may(
        &self,
        namespace: &Namespace,
        rights: &[Right],
    ) -> Result<Vec<(Right, bool)>, Unseen> {
        let asked = rights.iter().map(|right| self.review(namespace, *right));
        let answers: Result<Vec<_>, _> = join_all(asked).await.into_iter().collect();
        answers.map_err(|wrong| wrong.unseen("rights", "review them"))
    }

    async fn review(&self, namespace: &Namespace, right: Right) -> Result<(Right, bool), Wrong> {
        let attributes = ResourceAttributes {
            verb: Some(right.verb.into()),
            group: Some(right.group.into()),
            resource: Some(right.resource.into()),
            subresource: (!right.subresource.is_empty()).then(|| right.subresource.into()),
            namespace: right.namespaced.then(|| namespace.to_string()),
            ..Default::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..Default::default()
        };
        let review = SelfSubjectAccessReview { spec, ..Default::default() };
        let body = serde_json::to_vec(&review)
            .map_err(|_| Wrong::Garbled("the review has no JSON".into()))?;
        let mut ask = Ask::new(body);
        *ask.method_mut() = http::Method::POST;
        *ask.uri_mut() =
            http::Uri::from_static("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews");
        ask.headers_mut()
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        let answer: SelfSubjectAccessReview = self.wire.read(&ask).await?;
        Ok((right, answer.status.is_some_and(|s| s.allowed)))
    }

    /// The failure that the missing rights among these make, if a needed one is missing.
    #[must_use]
    pub fn lacking(&self, namespace: &Namespace, rights: &[(Right, bool)]) -> Option<Failure> {
        let missing: Vec<Right> =
            rights.iter().filter(|(r, may)| r.needed && !may).map(|(r, _)| *r).collect();
        let first = missing.first()?;
        let access = &self.wire.access;
        let verbs = |resource: &str, wanted: bool| {
            let of_it = rights.iter().filter(|(r, may)| r.name() == resource && *may == wanted);
            of_it.map(|(r, _)| r.verb).collect::<Vec<_>>().join(", ")
        };
        let resource = first.name();
        let what = format!(
            "{} may not {} {resource} in `{namespace}`",
            access.who,
            verbs(&resource, false)
        );
        let groups =
            if access.groups.is_empty() { "not known".into() } else { access.groups.join(", ") };
        let mut names: Vec<String> = Vec::new();
        for name in missing.iter().map(Right::name) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let reviewed = names.iter().map(|name| {
            let (no, yes) = (verbs(name, false), verbs(name, true));
            let of = if names.len() > 1 { format!("{name} ") } else { String::new() };
            let yes = if yes.is_empty() { String::new() } else { format!("; {yes} yes") };
            format!("{of}{no} no{yes}")
        });
        let why =
            format!("access review: {}; groups: {groups}", reviewed.collect::<Vec<_>>().join("; "));
        let failure = Failure::new(Code::Eks403, what).why(why);
        Some(
            grant(access, Some(namespace.as_str()), &missing)
                .into_iter()
                .fold(failure, Failure::next),
        )
    }
}
