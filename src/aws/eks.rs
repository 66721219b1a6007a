//! EKS's API: the cluster's endpoint and authority, its node groups, its access entries.
//!
//! Only `cluster` is a must; everything else is an optional right and never fails a run.

use std::collections::BTreeMap;

use aws_sdk_eks::types::{
    Cluster as Described, ClusterStatus, Nodegroup, Taint as DescribedTaint, TaintEffect,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::{Aws, arn};
use crate::error::{Code, Failure, Unseen};
use crate::names::{Account, Cluster, Platform, nearest};

/// Node groups that are described at a time: EKS allows few requests a second.
const AT_ONCE: usize = 4;

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
        let request = self.0.eks.describe_cluster().name(cluster.as_str());
        match self.ask("eks:DescribeCluster", || request.clone().send()).await {
            Ok(answer) => usable(cluster, answer.cluster),
            Err(fault) => {
                if fault.code() == "ResourceNotFoundException" {
                    let region = self.region().as_str();
                    return Err(missing(cluster, region, &self.clusters().await));
                }
                Err(fault.failure(&self.eks_place(self.arn("eks", &format!("cluster/{cluster}")))))
            }
        }
    }

    /// The names of the clusters, for a did-you-mean.
    ///
    /// # Errors
    /// When they may not be listed.
    pub async fn clusters(&self) -> Result<Vec<String>, Unseen> {
        let request = self.0.eks.list_clusters();
        let pages = || request.clone().into_paginator().items().send().collect();
        self.ask("eks:ListClusters", pages).await.map_err(|fault| fault.unseen("clusters"))
    }

    /// The managed node groups of the cluster.
    ///
    /// # Errors
    /// When they may not be listed or described.
    pub async fn node_groups(&self, cluster: &Cluster) -> Result<Vec<NodeGroup>, Unseen> {
        let request = self.0.eks.list_nodegroups().cluster_name(cluster.as_str());
        let pages =
            || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let names = self.ask("eks:ListNodegroups", pages).await;
        let names = names.map_err(|fault| fault.unseen("node groups"))?;
        let groups = stream::iter(names.into_iter().map(|name| self.node_group(cluster, name)));
        let groups: Vec<Option<NodeGroup>> = groups.buffered(AT_ONCE).try_collect().await?;
        Ok(groups.into_iter().flatten().collect())
    }

    /// One node group, unless it went between the listing and now.
    async fn node_group(
        &self,
        cluster: &Cluster,
        name: String,
    ) -> Result<Option<NodeGroup>, Unseen> {
        let request =
            self.0.eks.describe_nodegroup().cluster_name(cluster.as_str()).nodegroup_name(&name);
        match self.ask("eks:DescribeNodegroup", || request.clone().send()).await {
            Ok(answer) => Ok(answer.nodegroup.map(|group| node_group(name, group))),
            Err(fault) if fault.code() == "ResourceNotFoundException" => Ok(None),
            Err(fault) => Err(fault.unseen("node groups")),
        }
    }

    /// The Kubernetes groups of this principal's access entry; `None` where the cluster has no entry
    /// for it. An assumed role counts as its role.
    ///
    /// # Errors
    /// When entries may not be read, or the cluster has none by its authentication mode.
    pub async fn access_entry(
        &self,
        cluster: &Cluster,
        principal: &str,
    ) -> Result<Option<Vec<String>>, Unseen> {
        let assumed = principal.contains(":assumed-role/");
        let principal = self.principal(principal);
        let pathless = assumed && self.0.role.as_ref().is_none_or(|r| r.as_str() != principal);
        match self.entry(cluster, &principal).await? {
            // STS leaves a role's path out, so the entry may be there under the role's whole ARN.
            None if pathless => match self.role_with_a_path(cluster, &principal).await? {
                Some(whole) => self.entry(cluster, &whole).await,
                None => Ok(None),
            },
            found => Ok(found),
        }
    }

    async fn entry(
        &self,
        cluster: &Cluster,
        principal: &str,
    ) -> Result<Option<Vec<String>>, Unseen> {
        let request = self.0.eks.describe_access_entry();
        let request = request.cluster_name(cluster.as_str()).principal_arn(principal);
        match self.ask("eks:DescribeAccessEntry", || request.clone().send()).await {
            Ok(answer) => {
                let entry = answer.access_entry;
                Ok(Some(entry.and_then(|entry| entry.kubernetes_groups).unwrap_or_default()))
            }
            Err(fault) if fault.code() == "ResourceNotFoundException" => Ok(None),
            Err(fault) => Err(fault.unseen("access entries")),
        }
    }

    async fn role_with_a_path(
        &self,
        cluster: &Cluster,
        principal: &str,
    ) -> Result<Option<String>, Unseen> {
        let request = self.0.eks.list_access_entries().cluster_name(cluster.as_str());
        let pages =
            || request.clone().into_paginator().items().send().collect::<Result<Vec<_>, _>>();
        let entries = self.ask("eks:ListAccessEntries", pages).await;
        let entries = entries.map_err(|fault| fault.unseen("access entries"))?;
        Ok(entries.into_iter().find(|entry| arn::same_role(entry, principal)))
    }
}

fn usable(cluster: &Cluster, described: Option<Described>) -> Result<ClusterInfo, Failure> {
    let described = described.ok_or_else(|| unclear(cluster, "the answer holds no cluster"))?;
    let status = described.status().map_or("of no status", ClusterStatus::as_str).to_owned();
    if !matches!(described.status(), Some(ClusterStatus::Active | ClusterStatus::Updating)) {
        return Err(inactive(cluster, &status));
    }
    let arn = described.arn().unwrap_or_default().to_owned();
    let account = arn::account(&arn).ok_or_else(|| unclear(cluster, "its ARN names no account"))?;
    let endpoint = described.endpoint().ok_or_else(|| unclear(cluster, "it has no endpoint"))?;
    let ca = described.certificate_authority().and_then(|c| c.data()).unwrap_or_default();
    let ca = BASE64_STANDARD.decode(ca).ok().filter(|ca| !ca.is_empty());
    let vpc = described.resources_vpc_config();
    let mode = described.access_config().and_then(|c| c.authentication_mode());
    Ok(ClusterInfo {
        account,
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        ca: ca.ok_or_else(|| unclear(cluster, "its certificate authority cannot be decoded"))?,
        version: described.version().unwrap_or_default().to_owned(),
        status,
        access: EndpointAccess {
            public: vpc.is_some_and(|v| v.endpoint_public_access()),
            private: vpc.is_some_and(|v| v.endpoint_private_access()),
            public_from: vpc.map(|v| v.public_access_cidrs().to_vec()).unwrap_or_default(),
        },
        authentication_mode: mode.map(|m| m.as_str().to_owned()),
        arn,
    })
}

fn unclear(cluster: &Cluster, why: &str) -> Failure {
    Failure::new(Code::EksAnswer, format!("what EKS says of `{cluster}` cannot be used"))
        .why(format!("`eks:DescribeCluster`: {why}"))
        .next("check the EKS endpoint, if one is set")
}

fn inactive(cluster: &Cluster, status: &str) -> Failure {
    let next = match status {
        "CREATING" => format!("aws eks wait cluster-active --name {cluster}"),
        _ => format!("aws eks describe-cluster --name {cluster} --query cluster.health"),
    };
    Failure::new(Code::EksAnswer, format!("cluster `{cluster}` is not active"))
        .why(format!("`eks:DescribeCluster` says {status}"))
        .next(next)
}

fn missing(cluster: &Cluster, region: &str, others: &Result<Vec<String>, Unseen>) -> Failure {
    let failure =
        Failure::new(Code::EksMissing, format!("EKS has no cluster `{cluster}` in {region}"));
    let names = match others {
        Err(unseen) => {
            return failure
                .why(format!("not seen: {} ({})", unseen.what, unseen.because))
                .next("check `cluster` and `aws-region`");
        }
        Ok(names) => names,
    };
    if names.is_empty() {
        return failure
            .why(format!("this account has no cluster in {region}"))
            .next("check `aws-region`, and the account that the credentials belong to");
    }
    let shown: Vec<_> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > 5 { ", ..." } else { "" };
    let failure = failure.why(format!("there are {}{more}", shown.join(", ")));
    match nearest(cluster.as_str(), names.iter().map(String::as_str)) {
        Some(near) => failure.next(format!("set `cluster: {near}`")),
        None => failure.next("check `cluster` and `aws-region`"),
    }
}

fn node_group(name: String, group: Nodegroup) -> NodeGroup {
    let ami_type = group.ami_type().map(|a| a.as_str().to_owned());
    let scaling = group.scaling_config();
    NodeGroup {
        name,
        platform: ami_type.as_deref().and_then(platform),
        ami_type,
        desired: scaling.and_then(|s| s.desired_size()),
        max: scaling.and_then(|s| s.max_size()),
        taints: group.taints().iter().filter_map(taint).collect(),
        labels: group.labels.unwrap_or_default().into_iter().collect(),
        node_role: group.node_role,
    }
}

/// AMI types spell their architecture out; one that does not (`CUSTOM`) is not guessed at.
fn platform(ami_type: &str) -> Option<Platform> {
    let os = if ami_type.starts_with("WINDOWS_") { "windows" } else { "linux" };
    let known = ["AL2_", "AL2023_", "BOTTLEROCKET_", "WINDOWS_"];
    if !known.iter().any(|family| ami_type.starts_with(family)) {
        return None;
    }
    let spells = |part: &str| ami_type.contains(part);
    match (spells("x86_64"), spells("ARM_64")) {
        (true, false) => Some(Platform::new(os, "amd64", None)),
        (false, true) => Some(Platform::new(os, "arm64", None)),
        _ => None,
    }
}

fn taint(taint: &DescribedTaint) -> Option<Taint> {
    let effect = match taint.effect()? {
        TaintEffect::NoExecute => "NoExecute",
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        other => other.as_str(),
    };
    Some(Taint {
        key: taint.key()?.to_owned(),
        value: taint.value().map(ToOwned::to_owned),
        effect: effect.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::AmiTypes;
    use insta::assert_snapshot;

    use super::*;
    use crate::aws::tests::told;

    #[test]
    fn every_ami_type_of_the_sdk_but_custom_has_a_platform() {
        for ami_type in AmiTypes::values() {
            let platform = platform(ami_type).map(|p| p.to_string());
            let expected = match *ami_type {
                "CUSTOM" => None,
                a if a.starts_with("WINDOWS") => Some("windows/amd64"),
                a if a.contains("ARM") => Some("linux/arm64"),
                _ => Some("linux/amd64"),
            };
            assert_eq!(platform.as_deref(), expected, "{ami_type}");
        }
        assert_eq!(platform("TALOS_x86_64"), None);
    }

    #[test]
    fn a_missing_cluster_is_told_with_those_that_are_there() {
        let asked: Cluster = "prdo".parse().unwrap();
        let names = |names: &[&str]| Ok(names.iter().map(|n| (*n).to_owned()).collect());
        assert_snapshot!(told(&missing(&asked, "eu-west-1", &names(&["prod", "dev"]))), @"
        SW-EKS-MISSING: EKS has no cluster `prdo` in eu-west-1
          why:  there are `prod`, `dev`
          next: set `cluster: prod`
        ");
        assert_snapshot!(told(&missing(&asked, "eu-west-1", &names(&[]))), @"
        SW-EKS-MISSING: EKS has no cluster `prdo` in eu-west-1
          why:  this account has no cluster in eu-west-1
          next: check `aws-region`, and the account that the credentials belong to
        ");
        let unseen = Err(Unseen { what: "clusters".into(), because: "may not list".into() });
        assert_snapshot!(told(&missing(&asked, "eu-west-1", &unseen)), @"
        SW-EKS-MISSING: EKS has no cluster `prdo` in eu-west-1
          why:  not seen: clusters (may not list)
          next: check `cluster` and `aws-region`
        ");
    }

    #[test]
    fn a_cluster_that_is_not_active_is_refused() {
        let cluster: Cluster = "prod".parse().unwrap();
        let failed = Described::builder().status(ClusterStatus::Failed).build();
        assert_snapshot!(told(&usable(&cluster, Some(failed)).unwrap_err()), @"
        SW-EKS-ANSWER: cluster `prod` is not active
          why:  `eks:DescribeCluster` says FAILED
          next: aws eks describe-cluster --name prod --query cluster.health
        ");
    }
}
