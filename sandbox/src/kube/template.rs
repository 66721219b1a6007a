//! What a pod template means: the server's defaults, its hash, and the pod specification made from it.
//! It must not read the store.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::json::{list, object, set, text};
use super::store::readable;

/// Fills in what the API server would default in a deployment.
pub(super) fn default_deployment(deployment: &mut Value) {
    let defaults = json!({
        "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
        "strategy": { "type": "RollingUpdate" },
    });
    absent(&mut deployment["spec"], &defaults);
    let strategy = &mut deployment["spec"]["strategy"];
    if text(strategy, "/type") == "RollingUpdate" {
        let rolling = json!({ "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%" } });
        absent(strategy, &rolling);
    }
    default_template(&mut deployment["spec"]["template"]);
    if deployment.get("status").is_none() {
        deployment["status"] = json!({});
    }
}

fn default_template(template: &mut Value) {
    let spec = json!({
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "securityContext": {}, "schedulerName": "default-scheduler",
    });
    absent(&mut template["spec"], &spec);
    for list in ["initContainers", "containers"] {
        let Some(containers) = template["spec"].get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        for container in containers {
            let image = text(container, "/image");
            let moving =
                !image.contains('@') && (image.ends_with(":latest") || tag(image).is_none());
            absent(
                container,
                &json!({
                    "resources": {}, "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "imagePullPolicy": if moving { "Always" } else { "IfNotPresent" },
                }),
            );
        }
    }
}

/// Sets what is absent.
fn absent(value: &mut Value, defaults: &Value) {
    let map = object(value);
    for (key, default) in defaults.as_object().into_iter().flatten() {
        let entry = map.entry(key.clone()).or_insert(Value::Null);
        if entry.is_null() {
            *entry = default.clone();
        } else if entry.is_object() && default.is_object() {
            absent(entry, default);
        }
    }
}

/// The name of a template among the replica sets of a deployment.
pub(super) fn hash(template: &Value) -> String {
    readable(&Sha256::digest(template.to_string()), 9)
}

/// Whether two templates are the same to the deployment controller, which ignores the hash label.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    let bare = |template: &Value| {
        let mut template = template.clone();
        super::json::unset(&mut template, &["metadata", "labels", "pod-template-hash"]);
        template
    };
    bare(a) == bare(b)
}

/// The specification of a pod made from a template, with what admission adds.
pub(super) fn pod_spec(template: &Value, token_volume: &str) -> Value {
    let mut spec = template["spec"].clone();
    let mount = json!({
        "name": token_volume, "readOnly": true,
        "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    });
    for containers in ["initContainers", "containers"] {
        for container in
            spec.get_mut(containers).and_then(Value::as_array_mut).into_iter().flatten()
        {
            let mut mounts = list(container, "/volumeMounts").to_vec();
            mounts.push(mount.clone());
            set(container, &["volumeMounts"], mounts);
            // Of what is limited and not asked for, the limit is asked for.
            if let Some(limits) = container.pointer("/resources/limits").cloned() {
                absent(&mut container["resources"], &json!({ "requests": limits }));
            }
        }
    }
    let mut volumes = list(&spec, "/volumes").to_vec();
    volumes.push(json!({ "name": token_volume, "projected": { "defaultMode": 420, "sources": [
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [{ "key": "ca.crt", "path": "ca.crt" }] } },
        { "downwardAPI": { "items": [{ "path": "namespace",
            "fieldRef": { "apiVersion": "v1", "fieldPath": "metadata.namespace" } }] } },
    ] } }));
    set(&mut spec, &["volumes"], volumes);
    let toleration = |key| json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 });
    let mut tolerations = list(&spec, "/tolerations").to_vec();
    tolerations.push(toleration("node.kubernetes.io/not-ready"));
    tolerations.push(toleration("node.kubernetes.io/unreachable"));
    set(&mut spec, &["tolerations"], tolerations);
    absent(
        &mut spec,
        &json!({
            "serviceAccountName": "default", "serviceAccount": "default", "priority": 0,
            "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority",
        }),
    );
    spec
}

/// The tag of a reference, if it has one.
fn tag(image: &str) -> Option<&str> {
    let last = image.rsplit('/').next()?;
    last.split('@').next()?.split_once(':').map(|(_, tag)| tag)
}

/// `HOST/REPO` of a reference.
pub(super) fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    }
}

/// The reference as the container runtime repeats it: without the tag when there is a digest.
pub(super) fn resolved(image: &str) -> String {
    match image.split_once('@') {
        Some((_, digest)) => format!("{}@{digest}", repository(image)),
        None => image.to_owned(),
    }
}

/// `HOST/REPO@sha256:…`: what a pod's status says it runs. A tag is resolved, or stands for a digest of its own text.
pub(super) fn image_id(image: &str, resolve: impl Fn(&str) -> Option<String>) -> String {
    let digest = match image.split_once('@') {
        Some((_, digest)) => digest.to_owned(),
        None => resolve(image)
            .unwrap_or_else(|| format!("sha256:{}", hex::encode(Sha256::digest(image)))),
    };
    format!("{}@{digest}", repository(image))
}

/// The images of a template, init containers first, by the containers' names.
pub(super) fn images(template: &Value) -> Vec<(&str, &str)> {
    let of =
        |pointer| list(template, pointer).iter().map(|c| (text(c, "/name"), text(c, "/image")));
    of("/spec/initContainers").chain(of("/spec/containers")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_split_where_the_runtime_splits_it() {
        let digest = "sha256:0123";
        for (image, repo, id) in [
            ("host:5000/a/b:1", "host:5000/a/b", "host:5000/a/b@sha256:tag"),
            ("host:5000/a", "host:5000/a", "host:5000/a@sha256:tag"),
            ("h/a:1@sha256:0123", "h/a", "h/a@sha256:0123"),
            ("h/a@sha256:0123", "h/a", "h/a@sha256:0123"),
        ] {
            assert_eq!(repository(image), repo, "{image}");
            assert_eq!(image_id(image, |_| Some("sha256:tag".to_owned())), id, "{image}");
        }
        assert_eq!(resolved(&format!("h/a:1@{digest}")), format!("h/a@{digest}"));
    }
}
