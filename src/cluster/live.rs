//! A workload as it is in the cluster, with everything resolved that a plan asks about.
//!
//! Pure: made from one object, no client. Says what is, never what to do about it.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::core::v1::{Container, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::owners::{self, Owner};

/// The annotation by which the Deployment controller numbers revisions.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";

/// A Deployment as it was read.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: a deleted and recreated workload is another one.
    pub uid: String,
    /// Where a watch may start.
    pub resource_version: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The generation that its controller has seen.
    pub observed: i64,
    /// The replicas it asks for.
    pub replicas: u32,
    /// A paused Deployment makes no pods, whatever is patched.
    pub paused: bool,
    /// How it replaces its pods.
    pub strategy: Strategy,
    /// Its label selector, as a list request writes it.
    pub selector: String,
    /// Its containers: init containers first, in the order of the pod.
    pub containers: Vec<LiveContainer>,
    /// Its own annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its pod template, whole.
    pub template: PodTemplateSpec,
    /// The number of its newest revision.
    pub revision: Option<i64>,
    /// Who else sets it.
    pub owners: Vec<Owner>,
    /// The object, whole.
    pub deployment: Box<Deployment>,
}

/// One container of the pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveContainer {
    /// Its name.
    pub name: String,
    /// Its image, byte for byte as written.
    pub image: String,
    /// It is in `initContainers`.
    pub init: bool,
    /// It is in `initContainers` and goes on running beside the others.
    pub sidecar: bool,
    /// Its index in its own list.
    pub index: usize,
}

/// How a Deployment replaces its pods, resolved to numbers for the replicas it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// All old pods end before a new one starts: a bad image is an outage.
    Recreate,
    /// Step by step.
    Rolling {
        /// Pods there may be above the replicas.
        surge: u32,
        /// Pods that may be missing below the replicas.
        unavailable: u32,
    },
}

impl Live {
    /// Reads a Deployment.
    #[must_use]
    pub fn of(deployment: Deployment) -> Self {
        let meta = &deployment.metadata;
        let spec = deployment.spec.clone().unwrap_or_default();
        let annotations = meta.annotations.clone().unwrap_or_default();
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            observed: deployment
                .status
                .as_ref()
                .and_then(|s| s.observed_generation)
                .unwrap_or_default(),
            replicas: wanted(&spec),
            paused: spec.paused.unwrap_or_default(),
            strategy: strategy(&spec),
            selector: selector(&spec.selector),
            containers: containers(&spec.template),
            revision: annotations.get(REVISION).and_then(|r| r.parse().ok()),
            owners: owners::of(meta),
            annotations,
            template: spec.template,
            deployment: Box::new(deployment),
        }
    }

    /// The container of that name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&LiveContainer> {
        self.containers.iter().find(|c| c.name == name)
    }

    /// `namespace/name`, as messages write it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

fn wanted(spec: &DeploymentSpec) -> u32 {
    u32::try_from(spec.replicas.unwrap_or(1)).unwrap_or_default()
}

/// The containers of a pod template, init containers first.
pub(super) fn containers(template: &PodTemplateSpec) -> Vec<LiveContainer> {
    let Some(spec) = &template.spec else { return Vec::new() };
    let init =
        spec.init_containers.iter().flatten().enumerate().map(|(i, c)| of_container(i, c, true));
    let main = spec.containers.iter().enumerate().map(|(i, c)| of_container(i, c, false));
    init.chain(main).collect()
}

fn of_container(index: usize, container: &Container, init: bool) -> LiveContainer {
    LiveContainer {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        init,
        sidecar: init && container.restart_policy.as_deref() == Some("Always"),
        index,
    }
}

/// Surge rounds up, unavailable rounds down, and both cannot be 0: as the controller resolves them.
fn strategy(spec: &DeploymentSpec) -> Strategy {
    let given = spec.strategy.as_ref();
    if given.and_then(|s| s.type_.as_deref()) == Some("Recreate") {
        return Strategy::Recreate;
    }
    let rolling = given.and_then(|s| s.rolling_update.as_ref());
    let quarter = IntOrString::String("25%".into());
    let surge = rolling.and_then(|r| r.max_surge.as_ref()).unwrap_or(&quarter);
    let unavailable = rolling.and_then(|r| r.max_unavailable.as_ref()).unwrap_or(&quarter);
    let replicas = wanted(spec);
    let surge = resolved(surge, replicas, u64::div_ceil);
    match resolved(unavailable, replicas, |a, b| a / b) {
        0 if surge == 0 => Strategy::Rolling { surge, unavailable: 1 },
        unavailable => Strategy::Rolling { surge, unavailable },
    }
}

fn resolved(value: &IntOrString, replicas: u32, divide: fn(u64, u64) -> u64) -> u32 {
    match value {
        IntOrString::Int(number) => u32::try_from(*number).unwrap_or_default(),
        IntOrString::String(text) => {
            let percent: u64 = text.trim_end_matches('%').parse().unwrap_or_default();
            u32::try_from(divide(percent * u64::from(replicas), 100)).unwrap_or(u32::MAX)
        }
    }
}

/// A label selector in the form that list and watch requests take.
fn selector(selector: &LabelSelector) -> String {
    let labels =
        selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(|e| {
        let values = e.values.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(",");
        match e.operator.as_str() {
            "In" => format!("{} in ({values})", e.key),
            "NotIn" => format!("{} notin ({values})", e.key),
            "DoesNotExist" => format!("!{}", e.key),
            _ => e.key.clone(),
        }
    });
    labels.chain(expressions).collect::<Vec<_>>().join(",")
}

/// Whether that uid is the controlling owner of an object.
pub(super) fn is_owned_by(meta: &ObjectMeta, uid: &str) -> bool {
    let owners = meta.owner_references.iter().flatten();
    owners.into_iter().any(|o| o.uid == uid && o.controller != Some(false))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A Deployment of 3 with an init container, a sidecar and an app.
    pub(in crate::cluster) fn deployment() -> Value {
        json!({
            "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "100", "generation": 4,
                "annotations": {"deployment.kubernetes.io/revision": "17", "slipway.dev/run": "4711"}},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                    "initContainers": [{"name": "migrate", "image": "ecr/web:old"}, {"name": "proxy", "image": "envoy:1", "restartPolicy": "Always"}],
                    "containers": [{"name": "app", "image": "ecr/web:old"}]}}},
            "status": {"observedGeneration": 4, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
        })
    }

    pub(in crate::cluster) fn live_of(change: impl FnOnce(&mut Deployment)) -> Live {
        let mut object: Deployment = serde_json::from_value(deployment()).unwrap();
        change(&mut object);
        Live::of(object)
    }

    pub(in crate::cluster) fn live() -> Live {
        live_of(|_| ())
    }

    #[test]
    fn a_deployment_is_read_with_its_defaults() {
        let live = live();
        assert_eq!((live.replicas, live.generation, live.observed, live.paused), (3, 4, 4, false));
        assert_eq!((live.revision, live.selector.as_str()), (Some(17), "app=web"));
        let kinds: Vec<_> =
            live.containers.iter().map(|c| (c.name.as_str(), c.init, c.sidecar, c.index)).collect();
        assert_eq!(
            kinds,
            [("migrate", true, false, 0), ("proxy", true, true, 1), ("app", false, false, 0)]
        );
        let bare = live_of(|d| d.spec.as_mut().unwrap().replicas = None);
        assert_eq!(bare.replicas, 1);
    }

    #[test]
    fn the_strategy_is_resolved_as_the_controller_does() {
        let rows = [
            (json!(null), 3, Strategy::Rolling { surge: 1, unavailable: 0 }),
            (json!({"type": "Recreate"}), 3, Strategy::Recreate),
            (
                json!({"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
                10,
                Strategy::Rolling { surge: 3, unavailable: 2 },
            ),
            (
                json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
                3,
                Strategy::Rolling { surge: 0, unavailable: 1 },
            ),
            (
                json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "10%"}}),
                3,
                Strategy::Rolling { surge: 0, unavailable: 1 },
            ),
            (
                json!({"rollingUpdate": {"maxSurge": 2, "maxUnavailable": "100%"}}),
                3,
                Strategy::Rolling { surge: 2, unavailable: 3 },
            ),
        ];
        for (given, replicas, expected) in rows {
            let live = live_of(|d| {
                let spec = d.spec.as_mut().unwrap();
                (spec.strategy, spec.replicas) =
                    (serde_json::from_value(given.clone()).unwrap(), Some(replicas));
            });
            assert_eq!(live.strategy, expected, "{given}");
        }
    }

    #[test]
    fn a_selector_is_written_as_a_list_request_takes_it() {
        let given = json!({"matchLabels": {"app": "web", "tier": "front"}, "matchExpressions": [
            {"key": "zone", "operator": "In", "values": ["a", "b"]}, {"key": "old", "operator": "NotIn", "values": ["1"]},
            {"key": "team", "operator": "Exists"}, {"key": "canary", "operator": "DoesNotExist"}]});
        let selector: LabelSelector = serde_json::from_value(given).unwrap();
        assert_eq!(
            super::selector(&selector),
            "app=web,tier=front,zone in (a,b),old notin (1),team,!canary"
        );
    }
}
