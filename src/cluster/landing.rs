//! Where a pod can land, and thereby what its image must be built for.
//!
//! Pure, and only as far as platforms go: room, ports and spreading are the scheduler's affair.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint};

use crate::names::Platform;

/// A node, or a group of nodes, that a pod can land on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The node's or the group's name.
    pub node: String,
    /// What an image must be built for to run there.
    pub platform: Platform,
}

/// A node group, as EKS describes it: what its nodes will look like when there are some.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The labels it gives to its nodes.
    pub labels: BTreeMap<String, String>,
    /// The taints it gives to its nodes, effects as Kubernetes writes them.
    pub taints: Vec<Taint>,
    /// `amd64` or `arm64`, where its AMI type says so.
    pub architecture: Option<String>,
}

/// The nodes that the pod can land on.
#[must_use]
pub fn landing(_spec: &PodSpec, _nodes: &[Node]) -> Vec<Landing> {
    Vec::new()
}

/// The node groups whose nodes the pod could land on; a group of unknown architecture is left out.
#[must_use]
pub fn landing_groups(_spec: &PodSpec, _groups: &[Group]) -> Vec<Landing> {
    Vec::new()
}

/// The platforms that the pod itself asks for by `kubernetes.io/arch`; `None` where it does not.
#[must_use]
pub fn constrained(_spec: &PodSpec) -> Option<Vec<Platform>> {
    None
}

/// Whether these pods run on Fargate, which is amd64 and not told by the nodes.
#[must_use]
pub fn on_fargate(_pods: &[Pod]) -> bool {
    false
}

/// The platforms of these landings, each once.
#[must_use]
pub fn platforms(landings: &[Landing]) -> Vec<Platform> {
    landings.iter().map(|l| l.platform.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}
