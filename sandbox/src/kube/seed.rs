//! What is in the cluster before anything happens: nodes, and healthy deployments with their sets and pods.
//! It must not start controllers: what is seeded is at rest.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::fill::seconds;
use super::json::{merge, set, text};
use super::rollout::Names;
use super::store::Key;
use super::tape::Tape;
use super::{Kube, State, managed, model, nodes, pods, template};

/// How long ago the seeded things were made.
const AGE: SignedDuration = SignedDuration::from_hours(26);

/// A deployment about to be put into the store.
#[must_use = "nothing is in the store before `seed`"]
pub struct Seeding {
    kube: Kube,
    object: Value,
    manager: String,
    revision: u32,
}

impl Seeding {
    pub(super) fn new(
        kube: Kube,
        namespace: &str,
        name: &str,
        (container, image): (&str, &str),
        replicas: u32,
    ) -> Self {
        let labels = json!({ "app": name });
        let object = json!({
            "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": { "name": name, "namespace": namespace, "labels": labels, "annotations": {} },
            "spec": {
                "replicas": replicas, "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": container, "image": image }] },
                },
            },
        });
        Self { kube, object, manager: "kubectl-client-side-apply".to_owned(), revision: 1 }
    }

    /// Adds a container beside the first one.
    pub fn container(self, name: &str, image: &str) -> Self {
        self.add("containers", name, image)
    }

    /// Adds an init container.
    pub fn init(self, name: &str, image: &str) -> Self {
        self.add("initContainers", name, image)
    }

    fn add(mut self, list: &str, name: &str, image: &str) -> Self {
        let spec = &mut self.object["spec"]["template"]["spec"];
        let mut containers = spec[list].as_array().cloned().unwrap_or_default();
        containers.push(json!({ "name": name, "image": image }));
        spec[list] = containers.into();
        self
    }

    /// Changes the deployment before its pods are made from it, by a merge patch.
    pub fn with(mut self, patch: Value) -> Self {
        merge(&mut self.object, &patch);
        self
    }

    /// Names the field manager that created it, `kubectl-client-side-apply` unless told.
    pub fn by(mut self, manager: &str) -> Self {
        manager.clone_into(&mut self.manager);
        self
    }

    /// Sets its revision, 1 unless told.
    pub fn revision(mut self, revision: u32) -> Self {
        self.revision = revision;
        self
    }

    /// Puts the deployment, its replica set and its ready pods into the store.
    pub fn seed(self) {
        let kube = self.kube.clone();
        kube.with(|state| self.put(state));
    }

    fn put(mut self, state: &mut State) {
        template::default_deployment(&mut self.object);
        namespace(state, text(&self.object, "/metadata/namespace"));
        let made = state.clock.wall().checked_sub(AGE).unwrap_or(Timestamp::UNIX_EPOCH);
        let now = seconds(made);
        for (field, value) in [
            ("uid", Value::from(state.store.uid())),
            ("creationTimestamp", now.clone().into()),
            ("generation", self.revision.into()),
        ] {
            set(&mut self.object, &["metadata", field], value);
        }
        managed::record(&json!({}), &mut self.object, &self.manager, "apps/v1", &now);
        let revision = self.revision.to_string();
        set(&mut self.object, &["metadata", "annotations", model::REVISION], revision.clone());
        let replicas = self.object["spec"]["replicas"].clone();
        let name = text(&self.object, "/metadata/name");
        let name = format!("{name}-{}", template::hash(&self.object["spec"]["template"]));
        let mut of = model::new_set(state, &self.object, &name);
        set(&mut of, &["metadata", "annotations", model::REVISION], revision);
        set(&mut of, &["metadata", "creationTimestamp"], now.clone());
        of["spec"]["replicas"] = replicas.clone();
        of["status"] = counted(&replicas, &[("fullyLabeledReplicas", "observedGeneration")], 1);
        let paused = self.object.pointer("/spec/paused") == Some(&Value::Bool(true));
        let mut status =
            counted(&replicas, &[("updatedReplicas", "observedGeneration")], self.revision);
        let condition = |kind: &str, reason: &str, message: String| {
            json!({ "type": kind, "status": "True", "lastUpdateTime": now,
                "lastTransitionTime": now, "reason": reason, "message": message })
        };
        let available = "Deployment has minimum availability.".to_owned();
        let progressed = format!("ReplicaSet \"{name}\" has successfully progressed.");
        let mut conditions = vec![condition("Available", "MinimumReplicasAvailable", available)];
        if paused {
            let said = "Deployment is paused".to_owned();
            let mut condition = condition("Progressing", "DeploymentPaused", said);
            condition["status"] = "Unknown".into();
            conditions.push(condition);
        } else {
            conditions.push(condition("Progressing", "NewReplicaSetAvailable", progressed));
        }
        status["conditions"] = conditions.into();
        self.object["status"] = status;
        managed::controlled(&mut self.object, &now);
        let deployment = state.store.put(self.object);
        let of = state.store.put(of);
        for _ in 0..replicas.as_u64().unwrap_or(0) {
            pod(state, &deployment, &of, made);
        }
    }
}

fn counted(replicas: &Value, names: &[(&str, &str)], generation: u32) -> Value {
    let mut status = json!({ "replicas": replicas });
    for (field, observed) in names {
        if replicas.as_u64() > Some(0) {
            status[*field] = replicas.clone();
            status["readyReplicas"] = replicas.clone();
            status["availableReplicas"] = replicas.clone();
        }
        status[*observed] = generation.into();
    }
    status
}

/// A ready pod, with the status of one that was recorded at rest.
fn pod(state: &mut State, deployment: &Value, of: &Value, made: Timestamp) {
    let Some((tape, recorded)) =
        Tape::named("good").and_then(|tape| Some((tape, tape.old_pods.first()?)))
    else {
        return;
    };
    let container = text(deployment, "/spec/template/spec/containers/0/name").to_owned();
    let name = pods::name(state, text(of, "/metadata/name"));
    let (uid, address) = (state.store.uid(), pods::address(state));
    let node = nodes::next(state, &of["spec"]["template"]);
    let mut names = Names::new(state, tape, deployment, &container);
    names.pod(recorded, (&name, &uid), &address, (&node.0, &node.1));
    let (_, named) = names.done();
    let Some(named) = named.into_values().next() else { return };
    let mut object = pods::make(state, of, &name, &uid);
    set(&mut object, &["metadata", "creationTimestamp"], seconds(made));
    object["spec"]["nodeName"] = node.0.into();
    let mut status = named.fill.value(&recorded["status"], &|_| made);
    status["containerStatuses"][0]["name"] = container.into();
    status["qosClass"] = object["status"]["qosClass"].clone();
    object["status"] = pods::fit(state, &object, status);
    state.store.put(object);
}

/// Makes a namespace if it is not there.
pub(super) fn namespace(state: &mut State, name: &str) {
    if name.is_empty() || state.store.get(&Key::new("Namespace", "", name)).is_some() {
        return;
    }
    object(
        state,
        json!({
            "kind": "Namespace", "apiVersion": "v1",
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
        }),
    );
    object(
        state,
        json!({
            "kind": "ServiceAccount", "apiVersion": "v1",
            "metadata": { "name": "default", "namespace": name },
        }),
    );
}

/// Puts any object into the store, with what the API server would add.
pub(super) fn object(state: &mut State, mut object: Value) {
    namespace(state, text(&object, "/metadata/namespace"));
    let made = seconds(state.clock.wall());
    for (field, value) in [("uid", state.store.uid()), ("creationTimestamp", made)] {
        if object["metadata"].get(field).is_none() {
            set(&mut object, &["metadata", field], value);
        }
    }
    state.store.put(object);
}

/// Puts a ready node of this architecture into the store.
pub(super) fn node(state: &mut State, name: &str, architecture: &str) {
    let address = pods::address(state);
    let resources = json!({ "cpu": "4", "memory": "16Gi", "pods": "58" });
    object(
        state,
        json!({
            "kind": "Node", "apiVersion": "v1",
            "metadata": { "name": name, "labels": {
                "kubernetes.io/arch": architecture, "kubernetes.io/os": "linux",
                "kubernetes.io/hostname": name,
            } },
            "spec": { "providerID": format!("aws:///sandbox/{name}") },
            "status": {
                "addresses": [
                    { "type": "InternalIP", "address": address }, { "type": "Hostname", "address": name },
                ],
                "capacity": resources, "allocatable": resources,
                "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady",
                    "message": "kubelet is posting ready status" }],
                "nodeInfo": { "architecture": architecture, "operatingSystem": "linux",
                    "kubeletVersion": "v1.33.5-eks-sandbox" },
            },
        }),
    );
}
