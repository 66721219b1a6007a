//! Which ReplicaSet is ours: the one whose pod template equals the workload's, as the Deployment
//! controller itself decides it. It may be an old one that the controller found again.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The label that tells the templates of one workload apart.
const HASH: &str = "pod-template-hash";

/// Container name to image of a pod's specification, init containers too.
pub(super) fn images(spec: Option<&PodSpec>) -> BTreeMap<String, String> {
    let init = spec.iter().flat_map(|s| s.init_containers.iter().flatten());
    let all = init.chain(spec.iter().flat_map(|s| s.containers.iter()));
    all.filter_map(|c| Some((c.name.clone(), c.image.clone()?))).collect()
}

/// Container name to image of a workload.
pub(super) fn workload_images(workload: &Deployment) -> BTreeMap<String, String> {
    images(workload.spec.as_ref().and_then(|s| s.template.spec.as_ref()))
}

/// The ReplicaSet that carries the workload's present template.
pub(super) fn current<'a>(
    workload: &Deployment,
    sets: &'a BTreeMap<String, ReplicaSet>,
) -> Option<&'a ReplicaSet> {
    let wanted = &workload.spec.as_ref()?.template;
    let owned = sets.values().filter(|set| is_owned(&set.metadata, &workload.metadata));
    let same = owned.clone().filter(|set| template(set).is_some_and(|t| equal(t, wanted)));
    // The controller takes the oldest of equal ones.
    if let Some(set) = same.min_by_key(|set| {
        (set.metadata.creation_timestamp.as_ref().map(|t| t.0), set.metadata.name.clone())
    }) {
        return Some(set);
    }
    // An API server of another version may have filled in other defaults. Once the controller has
    // seen the generation, the revision it wrote on both is as good.
    let revision = revision(&workload.metadata).filter(|_| is_observed(workload))?;
    let wanted = workload_images(workload);
    owned
        .filter(|set| images(template(set).and_then(|t| t.spec.as_ref())) == wanted)
        .find(|set| self::revision(&set.metadata) == Some(revision))
}

/// Whether the controller has seen this generation of the workload.
pub(super) fn is_observed(workload: &Deployment) -> bool {
    let seen = workload.status.as_ref().and_then(|s| s.observed_generation);
    seen.is_some() && seen >= workload.metadata.generation
}

/// Whether the owner controls the object.
pub(super) fn is_owned(object: &ObjectMeta, owner: &ObjectMeta) -> bool {
    let mut owners = object.owner_references.iter().flatten();
    owners.any(|reference: &OwnerReference| {
        reference.controller == Some(true) && Some(&reference.uid) == owner.uid.as_ref()
    })
}

fn template(set: &ReplicaSet) -> Option<&PodTemplateSpec> {
    set.spec.as_ref()?.template.as_ref()
}

fn revision(meta: &ObjectMeta) -> Option<&str> {
    let notes = meta.annotations.as_ref()?;
    notes.get("deployment.kubernetes.io/revision").map(String::as_str)
}

/// Equality of templates but for the hash that the controller adds.
fn equal(one: &PodTemplateSpec, other: &PodTemplateSpec) -> bool {
    let labels = |t: &PodTemplateSpec| -> BTreeMap<String, String> {
        let labels = t.metadata.iter().flat_map(|m| m.labels.iter().flatten());
        labels.filter(|(key, _)| *key != HASH).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let notes = |t: &PodTemplateSpec| -> BTreeMap<String, String> {
        let notes = t.metadata.iter().flat_map(|m| m.annotations.iter().flatten());
        notes.map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    one.spec == other.spec && labels(one) == labels(other) && notes(one) == notes(other)
}
