//! The table of rights that slipway uses, as messages name them. It knows nobody: asking the cluster
//! for them is `review`'s.

use serde::Serialize;

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
