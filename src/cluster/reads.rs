//! What is read from the cluster: the workload, its ReplicaSets and pods, nodes, logs, events.
//!
//! What a run needs fails with a sentence; what is optional comes back as unseen.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Event, Node, Pod};

use crate::error::{Code, Failure, Unseen};
use crate::names::{Namespace, Workload};

use super::{Cluster, Live};

impl Cluster {
    /// The workload as it is now.
    pub async fn workload(
        &self,
        namespace: &Namespace,
        workload: &Workload,
    ) -> Result<Live, Failure> {
        Err(Failure::new(Code::WorkloadMissing, format!("`{namespace}` has no `{workload}`")))
    }

    /// The ReplicaSets that the workload owns.
    pub async fn replica_sets(&self, live: &Live) -> Result<Vec<ReplicaSet>, Failure> {
        let _ = live;
        Ok(Vec::new())
    }

    /// The pods that the workload's selector matches.
    pub async fn pods(&self, live: &Live) -> Result<Vec<Pod>, Failure> {
        let _ = live;
        Ok(Vec::new())
    }

    /// The nodes of the cluster.
    pub async fn nodes(&self) -> Result<Vec<Node>, Unseen> {
        Err(Unseen::new("nodes", "not asked"))
    }

    /// The last `tail` lines of a container, oldest first.
    pub async fn logs(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        previous: bool,
        tail: u32,
    ) -> Result<Vec<String>, Unseen> {
        let _ = (namespace, pod, container, previous, tail);
        Err(Unseen::new("logs", "not asked"))
    }

    /// The warning events of the namespace.
    pub async fn warnings(&self, namespace: &Namespace) -> Result<Vec<Event>, Unseen> {
        let _ = namespace;
        Err(Unseen::new("events", "not asked"))
    }
}
