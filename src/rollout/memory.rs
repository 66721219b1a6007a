//! What the fold remembers: the newest word about each object, and what objects forget (the pull error
//! before the back-off, when a trouble began, whether a new pod was ever ready). It absorbs, it does not
//! judge. Observations may come in any order, twice, or again after a relist.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use super::{Cause, Observation, Ours, Patience, Progress};

/// How long a trouble must last before it is believed: some heal by themselves.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Grace {
    /// A refused pull (403, no login): a new right needs a moment to reach ECR.
    pub refused: Duration,
    /// A registry that does not answer.
    pub unreachable: Duration,
    /// A Secret, ConfigMap, service account or user that is not right: somebody may be creating it.
    pub config: Duration,
    /// A full quota, where old pods cannot make room.
    pub quota: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        Self {
            refused: Duration::from_secs(60),
            unreachable: Duration::from_secs(120),
            config: Duration::from_secs(30),
            quota: Duration::from_secs(10),
        }
    }
}

/// Everything seen of one rollout so far.
#[derive(Clone, Debug)]
pub struct Memory {
    pub(super) ours: Ours,
    pub(super) patience: Patience,
    pub(super) grace: Grace,
    pub(super) now: Duration,
    pub(super) workload: Option<Deployment>,
    pub(super) gone: bool,
    pub(super) sets: BTreeMap<String, ReplicaSet>,
    pub(super) pods: BTreeMap<String, Pod>,
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
            workload: None,
            gone: false,
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
        }
    }

    /// Where the rollout stands: printed when it differs from the last one.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::default()
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

    /// Warning events about the cause's pod, our ReplicaSet and the workload since the PATCH: reason and
    /// message, oldest first.
    #[must_use]
    pub fn warnings(&self, _cause: &Cause) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Takes in one observation.
    pub(super) fn absorb(&mut self, seen: &Observation) {
        self.now = self.now.max(seen.at);
    }
}
