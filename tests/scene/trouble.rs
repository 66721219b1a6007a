//! What a rollout of the stories comes to.

use serde_json::{Value, json};

use super::Rule;

/// Each has a recording that the sandbox plays, and an image or surroundings in which it really happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// None: it serves.
    Nothing,
    /// It prints a line and stops.
    Crash,
    /// It serves, and stops in the bake.
    LateCrash,
    /// It runs and never listens.
    NeverReady,
    /// It takes more memory than its limit.
    Memory,
    /// Its image says amd64, its program is for arm64.
    LyingImage,
    /// Its entrypoint is neither a program nor a script.
    NoFormat,
    /// A Secret that its environment needs is gone.
    MissingSecret,
    /// A ConfigMap that it mounts is gone.
    MissingVolume,
    /// The quota has no room for another pod.
    Quota,
    /// The nodes have no room for another pod.
    NoRoom,
    /// The nodes may not pull it.
    PullDenied,
    /// Its Deployment is taken, its pods are not.
    NoPods(Rule),
}

impl Trouble {
    /// What the sandbox plays.
    pub fn recording(self) -> &'static str {
        match self {
            Self::Nothing => "good",
            Self::Crash => "crash",
            Self::LateCrash => "crash-after-ready",
            Self::NeverReady => "never-ready",
            Self::Memory => "out-of-memory",
            Self::LyingImage => "wrong-architecture",
            Self::NoFormat => "no-format",
            Self::MissingSecret => "missing-secret",
            Self::MissingVolume => "missing-volume",
            Self::Quota => "quota",
            Self::NoRoom => "unschedulable",
            Self::PullDenied => "pull-denied",
            Self::NoPods(rule) => rule.recording(),
        }
    }
}

impl Trouble {
    /// What the pods' template must have for it, beside the image.
    pub(super) fn needs(self) -> Option<Value> {
        let container = match self {
            Self::NeverReady => {
                let get = json!({ "path": "/", "port": 8080 });
                json!({ "readinessProbe": { "httpGet": get, "periodSeconds": 1, "failureThreshold": 2 } })
            }
            Self::Memory => json!({ "resources": { "limits": { "memory": "16Mi" } } }),
            Self::NoRoom => json!({ "resources": { "requests": { "cpu": "600m" } } }),
            Self::MissingSecret => json!({ "envFrom": [{ "secretRef": { "name": "missing" } }] }),
            Self::MissingVolume => {
                json!({ "volumeMounts": [{ "name": "settings", "mountPath": "/settings" }] })
            }
            _ => return None,
        };
        let mut container = container;
        container["name"] = "app".into();
        let mut spec = json!({ "containers": [container] });
        if self == Self::MissingVolume {
            spec["volumes"] = json!([{ "name": "settings", "configMap": { "name": "missing" } }]);
        }
        Some(json!({ "spec": spec }))
    }
}
