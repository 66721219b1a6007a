//! What we may do in a namespace, asked of the cluster before anything is written.
//!
//! The table of rights is the one that `init` writes and messages name.

use serde::Serialize;

use crate::error::{Failure, Unseen};
use crate::names::Namespace;

use super::Cluster;

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

/// Every right that slipway uses.
pub const RIGHTS: &[Right] = &[];

impl Cluster {
    /// Asks by access reviews which of these rights we have.
    pub async fn may(
        &self,
        namespace: &Namespace,
        rights: &[Right],
    ) -> Result<Vec<(Right, bool)>, Unseen> {
        let _ = (namespace, rights);
        Err(Unseen::new("rights", "not asked"))
    }

    /// The failure that the missing rights among these make, if a needed one is missing.
    #[must_use]
    pub fn lacking(&self, namespace: &Namespace, rights: &[(Right, bool)]) -> Option<Failure> {
        let _ = (namespace, rights);
        None
    }
}
