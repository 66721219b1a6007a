//! What becomes of the image that serves before a ship, and how its workload makes room for a new one.

use serde_json::json;
use slipway_sandbox::kube::Play;

use super::{Ground, Scene, sandboxed};

impl Scene {
    /// The workload ends its old pods before it makes new ones.
    pub fn recreating(self) -> Self {
        let strategy = json!({ "type": "Recreate", "rollingUpdate": null });
        self.written_by("kubectl-edit", &json!({ "spec": { "strategy": strategy } }));
        self
    }

    /// ECR forgets the image that serves.
    pub fn gone_from_ecr(self) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => sandboxed::forget(stage, &self.old_image().digest()),
            Ground::Real(real) => real.forget("registry"),
        }
        self
    }

    /// The nodes forget the image that serves: who starts it again has to pull it, which comes to this.
    pub fn gone_from_nodes(self, recording: &'static str) -> Self {
        let old = self.old_image().digest();
        match &self.ground {
            Ground::Sandbox(stage) => {
                stage.kube().script(move |image| image.ends_with(&old), Play::Recording(recording));
            }
            Ground::Real(real) => real.forget("node"),
        }
        self
    }

    /// Nothing serves any more: every pod is of an image that is in no repository.
    pub async fn down(self) -> Self {
        let scene = self.recreating();
        scene.sets_nothing();
        for _ in 0..200 {
            let pods = scene.objects("Pod");
            let old = |pod: &serde_json::Value| {
                pod["status"]["containerStatuses"][0]["imageID"]
                    .as_str()
                    .is_some_and(|id| !id.is_empty())
            };
            if pods.len() == 3 && !pods.iter().any(old) {
                return scene;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("old pods stay");
    }
}
