//! An autoscaler of the workload, which asks for more pods in the middle of a rollout.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Ground, Scene};

/// How many pods it asks for at least, where there were 3.
const LEAST: u64 = 5;

impl Scene {
    /// An autoscaler comes that wants 5 pods at least, and has said so to the workload when this returns.
    pub async fn autoscaled(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let more = json!({ "spec": { "replicas": LEAST } });
                let manager = "kube-controller-manager";
                stage.kube().write(manager, "Deployment", "shop", "web", &more).unwrap();
            }
            Ground::Real(real) => real.create(&json!({
                "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
                "metadata": { "name": "web" },
                "spec": {
                    "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" },
                    "minReplicas": LEAST, "maxReplicas": 2 * LEAST,
                },
            })),
        }
        for _ in 0..100 {
            if self.workload()["spec"]["replicas"] == LEAST {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the autoscaler never asked for more");
    }

    /// Whose the number of replicas is, as the API server keeps it, and what it is.
    pub fn replicas(&self) -> String {
        let web = self.workload();
        let managers = web["metadata"]["managedFields"].as_array().unwrap();
        let sets = |entry: &&Value| entry["fieldsV1"]["f:spec"].get("f:replicas").is_some();
        let owners: Vec<_> = managers.iter().filter(sets).map(|e| &e["manager"]).collect();
        format!("{} by {}", web["spec"]["replicas"], json!(owners))
    }
}
