//! EKS's API: the cluster's endpoint and authority, its node groups, its access entries.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Aws, unwritten};
use crate::error::{Failure, Unseen};
use crate::names::{Account, Cluster, Platform};

/// What DescribeCluster says of a cluster that can be talked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClusterInfo {
    /// Its ARN.
    pub arn: String,
    /// The account it is in.
    pub account: Account,
    /// `https://…`
    pub endpoint: String,
    /// The authority of its certificate, as PEM.
    #[serde(skip)]
    pub ca: Vec<u8>,
    /// Kubernetes version, `1.33`.
    pub version: String,
    /// `ACTIVE` or `UPDATING`.
    pub status: String,
    /// From where its endpoint answers.
    pub access: EndpointAccess,
    /// `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`: whether access entries exist at all.
    pub authentication_mode: Option<String>,
}

/// From where a cluster's endpoint answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointAccess {
    /// From the internet.
    pub public: bool,
    /// From inside its VPC.
    pub private: bool,
    /// If from the internet, from which addresses.
    pub public_from: Vec<String>,
}

/// A managed node group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// What its AMI type runs on; absent for custom AMIs and types that are not known yet.
    pub platform: Option<Platform>,
    /// The AMI type in AWS's words.
    pub ami_type: Option<String>,
    /// Labels its nodes carry.
    pub labels: BTreeMap<String, String>,
    /// Taints its nodes carry.
    pub taints: Vec<Taint>,
    /// Nodes it is asked to have.
    pub desired: Option<i32>,
    /// Nodes it may have.
    pub max: Option<i32>,
    /// The ARN of the role its nodes pull with.
    pub node_role: Option<String>,
}

/// A taint as Kubernetes spells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, if it has one.
    pub value: Option<String>,
    /// `NoSchedule`, `NoExecute` or `PreferNoSchedule`.
    pub effect: String,
}

impl Aws {
    /// Reads the cluster: it must be there and active.
    ///
    /// # Errors
    /// When it is missing (with near names), may not be described, or is not active.
    pub async fn cluster(&self, cluster: &Cluster) -> Result<ClusterInfo, Failure> {
        let _ = cluster;
        Err(unwritten())
    }

    /// The names of the clusters, for a did-you-mean.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn clusters(&self) -> Result<Vec<String>, Unseen> {
        Err(Unseen { what: "clusters".into(), because: "not written yet".into() })
    }

    /// The managed node groups of the cluster.
    ///
    /// # Errors
    /// When they may not be listed or described.
    pub async fn node_groups(&self, cluster: &Cluster) -> Result<Vec<NodeGroup>, Unseen> {
        let _ = cluster;
        Err(Unseen { what: "node groups".into(), because: "not written yet".into() })
    }

    /// Whether the cluster has an access entry for this principal; an assumed role counts as its role.
    ///
    /// # Errors
    /// When entries may not be read, or the cluster has none by its authentication mode.
    pub async fn access_entry(&self, cluster: &Cluster, principal: &str) -> Result<bool, Unseen> {
        let _ = (cluster, principal);
        Err(Unseen { what: "access entries".into(), because: "not written yet".into() })
    }
}
