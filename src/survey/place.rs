//! The workload's side of the facts: the cluster, the workload and its health, what its pods can
//! land on, what slipway wrote there before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec, Taint};

use crate::aws::{self, Aws, Caller, ClusterInfo};
use crate::cluster::{
    self, Access, Cluster, EksToken, Group, Health, Live, LiveContainer, Mint, Token,
};
use crate::error::{Code, Failure, Unseen};
use crate::github::api::{Ancestry, Github};
use crate::inputs::{Inputs, Target};
use crate::names::{Commit, CommitSha, Container, Digest, ImageRef, Repository};
use crate::record::Record;
use crate::registry::{Reference, Registry};
use crate::restore::Resolved;

use super::Reads;
use super::platforms::Evidence;

/// What was found around the workload.
pub struct Place {
    /// The cluster as EKS describes it.
    pub info: ClusterInfo,
    /// The workload.
    pub live: Live,
    /// Its health before anything is written.
    pub health: Health,
    /// Its ReplicaSets: earlier revisions with their images as they were spelled.
    pub sets: Vec<ReplicaSet>,
    /// ReplicaSets and pods were read; else `health` says nothing.
    pub sees_pods: bool,
    /// The refusal that missing rights make, all of them at once.
    pub lacking: Option<Failure>,
    /// What tells the platform.
    pub evidence: Evidence,
    /// What slipway wrote there.
    pub record: Record,
    /// How our commit stands to the newest one, by GitHub.
    pub compared: Option<Ancestry>,
    /// What tags of ours that stand in the workload name now.
    pub resolved: Resolved,
    /// The digests of the live image that ECR still has; absent where that was not seen.
    pub present: Option<Vec<Digest>>,
    /// The role that a node group's nodes pull with.
    pub node_role: Option<String>,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    /// The container that the inputs name.
    pub named: Option<Container>,
    /// The repository whose image the run is about.
    pub repository: Option<Repository>,
    /// The host of its registry; empty while there is no such repository.
    pub registry: String,
}

/// What serves in the container that a run is about.
pub struct Serving {
    /// The commit, where slipway shipped it.
    pub commit: Option<String>,
    /// The image as it is written.
    pub image: String,
    /// The digest that its pods run, or that it names.
    pub digest: Option<Digest>,
}

impl Serving {
    /// As people read it.
    #[must_use]
    pub fn label(&self) -> String {
        crate::restore::label(self.commit.as_deref(), &self.image, self.digest.as_ref())
    }
}

/// Reads the workload's side; none where the run has no target.
///
/// # Errors
/// No such cluster, no way in, no such workload.
pub async fn look(
    inputs: &Inputs,
    commit: Option<&Commit>,
    aws: &Aws,
    caller: &Caller,
    github: Option<&Github>,
    reads: &Reads,
) -> Result<Option<(Place, Cluster)>, Failure> {
    let Some(target) = &inputs.target else { return Ok(None) };
    reads.add(1);
    let info = aws.cluster(&target.cluster).await?;
    let cluster = connect(aws, caller, target, &info)?;
    reads.add(1);
    let live = match cluster.workload(&target.namespace, &target.workload).await {
        Ok(live) => live,
        Err(failure) => return Err(way_in(aws, caller, target, failure).await),
    };
    let (mut place, record) = around(aws, &cluster, target, info, live, reads).await?;
    if let Some(failure) = place.lacking.take() {
        place.lacking = Some(with_groups(aws, caller, target, failure).await);
    }
    place.named.clone_from(&target.container);
    place.repository.clone_from(&inputs.repository);
    place.compared = compare(commit, &record, github, &mut place.unseen, reads).await;
    place.record = record;
    Ok(Some((place, cluster)))
}

/// A client of the cluster whose token renews itself.
fn connect(
    aws: &Aws,
    caller: &Caller,
    target: &Target,
    info: &ClusterInfo,
) -> Result<Cluster, Failure> {
    let access = Access {
        endpoint: info.endpoint.clone(),
        ca_pem: Some(info.ca.clone()).filter(|pem| !pem.is_empty()),
        cluster: target.cluster.clone(),
        who: caller.who.clone(),
        groups: Vec::new(),
        pace: cluster::Pace::default(),
    };
    let (aws, name) = (aws.clone(), target.cluster.clone());
    let token: Token = Arc::new(move |why| {
        let (aws, name) = (aws.clone(), name.clone());
        Box::pin(async move {
            let minted = match why {
                Mint::Due => aws.eks_token(&name).await?,
                Mint::Refused => aws.eks_token_after_401(&name).await?,
            };
            let valid_for = minted.renew_at.saturating_duration_since(Instant::now());
            Ok(EksToken { token: minted.token, valid_for })
        })
    });
    Cluster::connect(access, token)
}

/// A refused way in is told with what EKS says about the access entry, and the command that makes one.
async fn way_in(aws: &Aws, caller: &Caller, target: &Target, mut failure: Failure) -> Failure {
    match failure.code {
        Code::Eks401 => {}
        Code::Eks403 => return with_groups(aws, caller, target, failure).await,
        _ => return failure,
    }
    let entry = match aws.access_entry(&target.cluster, &caller.principal).await {
        Ok(Some(_)) => "there is one, so its ARN or the token's account is another".to_owned(),
        Ok(None) => "not found".to_owned(),
        Err(unseen) => format!("not seen ({})", unseen.because),
    };
    if let Some(last) = failure.why.last_mut() {
        last.push_str("; DescribeAccessEntry: ");
        last.push_str(&entry);
    }
    failure.next = vec![
        format!(
            "aws eks create-access-entry --cluster-name {} --kubernetes-groups slipway \\",
            target.cluster
        ),
        format!("  --principal-arn {}", caller.principal),
    ];
    failure
}

/// A missing right is granted to a group of the caller's: where EKS names it, the placeholder is filled.
async fn with_groups(aws: &Aws, caller: &Caller, target: &Target, mut failure: Failure) -> Failure {
    let entry = aws.access_entry(&target.cluster, &caller.principal).await;
    let groups = entry.ok().flatten().unwrap_or_default();
    if let Some(first) = groups.first() {
        let known = format!("groups: {}", groups.join(", "));
        failure.why.iter_mut().for_each(|line| *line = line.replace("groups: not known", &known));
        let named = format!("--group={first}");
        failure.next.iter_mut().for_each(|line| *line = line.replace("--group=GROUP", &named));
    }
    failure
}

async fn around(
    aws: &Aws,
    cluster: &Cluster,
    target: &Target,
    info: ClusterInfo,
    live: Live,
    reads: &Reads,
) -> Result<(Place, Record), Failure> {
    let around = Around::read(aws, cluster, target, &live, reads).await?;
    let Around { sets, pods, sees_pods, nodes, groups, lacking, unseen } = around;
    let spec = live.template.spec.clone().unwrap_or_default();
    let evidence = landings(&spec, nodes.as_deref(), groups.as_deref(), &pods);
    let record = Record::read(&live.annotations);
    let health = cluster::health(&live, &sets, &pods);
    let place = Place {
        info,
        // Pods that may not be listed are not pods that are not ready: the workload counts its own.
        health: if sees_pods { health } else { health.as_counted_by(&live) },
        live,
        sets,
        sees_pods,
        lacking,
        evidence,
        record: Record::default(),
        compared: None,
        resolved: Resolved::new(),
        present: None,
        node_role: groups.and_then(|groups| groups.into_iter().find_map(|group| group.node_role)),
        unseen,
        named: None,
        repository: None,
        registry: String::new(),
    };
    Ok((place, record))
}

/// What the reads beside the workload told; what they could not see is in `unseen`.
struct Around {
    sets: Vec<ReplicaSet>,
    pods: Vec<Pod>,
    /// Both of them were read.
    sees_pods: bool,
    nodes: Option<Vec<Node>>,
    groups: Option<Vec<aws::NodeGroup>>,
    lacking: Option<Failure>,
    unseen: Vec<Unseen>,
}

impl Around {
    async fn read(
        aws: &Aws,
        cluster: &Cluster,
        target: &Target,
        live: &Live,
        reads: &Reads,
    ) -> Result<Self, Failure> {
        reads.add(5 + cluster::RIGHTS.len());
        let (sets, pods, nodes, groups, rights) = tokio::join!(
            cluster.replica_sets(live),
            cluster.pods(live),
            cluster.nodes(),
            aws.node_groups(&target.cluster),
            cluster.may(&target.namespace, cluster::RIGHTS),
        );
        let mut unseen = Vec::new();
        let mut seen = |what: &Unseen| unseen.push(what.clone());
        let nodes = nodes.inspect_err(&mut seen).ok();
        let rights = rights.inspect_err(&mut seen).ok();
        // Groups only matter where nodes told nothing: their absence is no news otherwise. Nodes that
        // the pods cannot land on tell nothing.
        let spec = live.template.spec.clone().unwrap_or_default();
        let nodes_told =
            nodes.as_ref().is_some_and(|nodes| !cluster::landing(&spec, nodes).is_empty());
        let groups = groups
            .inspect_err(|what| {
                if !nodes_told {
                    seen(what)
                }
            })
            .ok();
        let sees_pods = sets.is_ok() && pods.is_ok();
        // A missing right to read what a rollout needs is told by the rights, all at once, not by the first read.
        let lacking = rights.as_ref().and_then(|rights| cluster.lacking(&target.namespace, rights));
        let (sets, pods) = if lacking.is_some() {
            (sets.unwrap_or_default(), pods.unwrap_or_default())
        } else {
            (sets?, pods?)
        };
        Ok(Self { sets, pods, sees_pods, nodes, groups, lacking, unseen })
    }
}

/// Where the pod can land, by nodes and node groups.
fn landings(
    spec: &PodSpec,
    nodes: Option<&[Node]>,
    groups: Option<&[aws::NodeGroup]>,
    pods: &[Pod],
) -> Evidence {
    let of_groups = |groups: &[aws::NodeGroup]| {
        cluster::landing_groups(spec, &groups.iter().map(group).collect::<Vec<_>>())
    };
    Evidence {
        constrained: cluster::constrained(spec),
        nodes: nodes.map(|nodes| cluster::landing(spec, nodes)),
        fargate: cluster::on_fargate(pods),
        groups: groups.map(of_groups),
        ..Evidence::default()
    }
}

fn group(group: &aws::NodeGroup) -> Group {
    let taint = |t: &aws::Taint| Taint {
        key: t.key.clone(),
        value: t.value.clone(),
        effect: t.effect.clone(),
        time_added: None,
    };
    Group {
        name: group.name.clone(),
        labels: group.labels.clone(),
        taints: group.taints.iter().map(taint).collect(),
        architecture: group.platform.as_ref().map(|platform| platform.architecture.clone()),
    }
}

/// How a commit stands to the newest one that slipway shipped there, by GitHub's word.
pub async fn compare(
    commit: Option<&Commit>,
    record: &Record,
    github: Option<&Github>,
    unseen: &mut Vec<Unseen>,
    reads: &Reads,
) -> Option<Ancestry> {
    let (commit, newest, github) = (commit?, record.newest.as_ref()?, github?);
    if newest.commit == commit.sha.as_str() {
        return Some(Ancestry::Same);
    }
    // An annotation is anybody's text: only a commit goes into a request that carries our token. A
    // dirty tree is compared by the commit it began from.
    let base: CommitSha = newest.commit.trim_end_matches("-dirty").parse().ok()?;
    if base == commit.sha {
        return None;
    }
    reads.add(1);
    github
        .compare(base.as_str(), commit.sha.as_str())
        .await
        .inspect_err(|what| unseen.push(what.clone()))
        .ok()
}

impl Place {
    /// What serves: the last revision that completed, which is not what is set while a rollout is under
    /// way; what is set where that cannot be told.
    #[must_use]
    pub fn serving(&self) -> Serving {
        let revision = self.health.completed.as_ref().or(self.health.current.as_ref());
        let container = self.container();
        let image = container.and_then(|c| {
            revision.and_then(|revision| revision.images.get(&c.name)).or(Some(&c.image))
        });
        let runs = |c: &LiveContainer| revision?.digests.get(&c.name)?.iter().next().cloned();
        let digest = image.and_then(|image| {
            crate::restore::image_of(image, container.and_then(runs), &self.resolved)
        });
        let commit = digest.as_ref().and_then(|digest| self.record.commit_of(digest));
        Serving {
            commit: commit.map(str::to_owned),
            image: image.cloned().unwrap_or_default(),
            digest,
        }
    }

    /// The container that the run is about: the named one, else the one that runs an image of ours by
    /// the rule of a ship, else the first. A sidecar may well stand before it, also one that runs an
    /// image of the same name from another registry.
    #[must_use]
    pub fn container(&self) -> Option<&LiveContainer> {
        let named = self.named.as_ref().and_then(|name| self.live.container(name.as_str()));
        let ours = self.repository.as_ref().map(|repository| {
            let all = cluster::of_ours(&self.live, &self.registry, repository);
            all.iter().find(|container| !container.init).copied()
        });
        let mut main = self.live.containers.iter().filter(|container| !container.init);
        named.or(ours.flatten()).or_else(|| main.next())
    }

    /// Asks ECR about the images that stand in the workload: what their tags name now, what they run
    /// on, and whether they are still there.
    pub async fn look_at_live_images(
        &mut self,
        aws: &Aws,
        registry: Option<&Registry>,
        repository: Option<(&Repository, &ImageRef)>,
        unseen: &mut Vec<Unseen>,
        reads: &Reads,
    ) {
        let (Some(registry), Some((repository, uri))) = (registry, repository) else { return };
        let ours = self.images_of(uri);
        for (image, reference) in &ours {
            let asked = match (&reference.digest, &reference.tag) {
                (Some(digest), _) if self.reports_another(image, digest) => {
                    Reference::Digest(digest.clone())
                }
                (None, Some(tag)) => Reference::Tag(tag.clone()),
                _ => continue,
            };
            reads.add(1);
            if let Ok(Some(family)) = registry.family(&asked).await {
                self.resolved.insert(image.clone(), family);
            }
        }
        let digests = self.digests_of(&ours);
        if digests.is_empty() {
            return;
        }
        reads.add(1);
        match aws.present(repository, &digests).await {
            Ok(present) => self.present = Some(present),
            Err(what) => unseen.push(what),
        }
        if self.evidence.nodes.as_ref().is_none_or(Vec::is_empty)
            && self.evidence.groups.as_ref().is_none_or(Vec::is_empty)
        {
            reads.add(1);
            if let Ok(Some(held)) = registry.held(&Reference::Digest(digests[0].clone())).await {
                self.evidence.live = held.platforms;
            }
        }
    }

    /// Whether pods report another digest than the one that their image pins: CRI-O names the manifest
    /// that an index led to.
    fn reports_another(&self, image: &str, pinned: &Digest) -> bool {
        let containers = self.health.completed.iter().flat_map(|revision| {
            let of_it = revision.images.iter().filter(|(_, set)| *set == image);
            of_it.filter_map(|(name, _)| revision.digests.get(name)).flatten()
        });
        containers.into_iter().any(|reported| reported != pinned)
    }

    /// Images of this repository that stand in the workload or in the revision a rollback would restore.
    fn images_of(&self, uri: &ImageRef) -> BTreeMap<String, ImageRef> {
        let restore = self.health.completed.iter().flat_map(|revision| revision.images.values());
        let live = self.live.containers.iter().map(|container| &container.image);
        let ours = live.chain(restore).filter(|image| crate::restore::is_in(uri, image));
        ours.filter_map(|image| Some((image.clone(), image.parse().ok()?))).collect()
    }

    /// Their digests: pinned, run by ready pods, or resolved.
    fn digests_of(&self, ours: &BTreeMap<String, ImageRef>) -> Vec<Digest> {
        let mut digests: Vec<_> =
            ours.values().filter_map(|reference| reference.digest.clone()).collect();
        if let Some(revision) = &self.health.completed {
            let of_ours = revision.images.iter().filter(|(_, image)| ours.contains_key(*image));
            digests.extend(
                of_ours.filter_map(|(name, _)| revision.digests.get(name)).flatten().cloned(),
            );
        }
        digests.sort();
        digests.dedup();
        digests
    }
}
