//! What serves before a ship: by which name, what becomes of its image, how it makes room for a new one.

use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::Image;
use slipway_sandbox::kube::Play;

use crate::stage::Going;

use super::{Ground, Scene, image, sandboxed};

const ECR: &str = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com";

/// What a copy reads where the image lies.
const COPIES: [&str; 2] = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];

impl Scene {
    /// The workload runs the image that it ran by its digest by this tag instead.
    pub async fn runs(self, tag: &str) -> Self {
        let old = self.old_image();
        self.runs_as(&format!("{ECR}/web:{tag}"), &old).await
    }

    /// The workload runs an image for two platforms, by this tag.
    pub async fn runs_index(mut self, tag: &str) -> Self {
        // Another image, too: a node names one that it has twice by either digest.
        let index = image::serves("index", self.is_real()).platform("linux/arm64");
        self.named.push((index.digest(), "@INDEX@"));
        self.put(&index, "web", tag);
        self.runs_as(&format!("{ECR}/web:{tag}"), &index).await
    }

    /// The workload runs the image that it ran from another registry.
    pub async fn runs_from_elsewhere(self) -> Self {
        let old = self.old_image();
        let port = std::env::var("SLIPWAY_TESTBED_REGISTRY_PORT").unwrap_or("5000".into());
        if self.is_real() {
            self.put(&old, "nginx", "1.24.0");
        }
        self.runs_as(&format!("127.0.0.1:{port}/nginx:1.24.0"), &old)
            .await
            .input("container", "app")
    }

    /// The new commit's image is the one that serves, to whoever runs it, under another digest: as
    /// provenance beside it or another compression of its layers would make it. Nodes may report the one
    /// or the other; in the sandbox they report the old one.
    pub fn ships_the_same_under_another_digest(mut self) -> Self {
        let old = self.old_image();
        let image = old.clone().note("org.opencontainers.image.created", "2026-11-21T00:00:00Z");
        self.named.push((image.digest(), "@NEW@"));
        if let Ground::Sandbox(stage) = &self.ground {
            let (new, old) = (image.digest(), old.digest());
            stage.kube().reporter(move |digest| (digest == new).then(|| old.clone()));
        }
        image.layout(&self.runner().folder.path().join("image")).unwrap();
        self.input("image", "image")
    }

    /// The new commit's image is one that lies in another repository, or under another tag, as the job that
    /// tested it left it there; what its environment holds. Other repositories than `web` may not be read.
    pub fn promotes(mut self, repository: &str, tag: &str, variables: &[(&str, &str)]) -> Self {
        let image = image::serves("new", self.is_real());
        let image =
            variables.iter().fold(image, |image, (name, value)| image.variable(name, value));
        self.named.push((image.digest(), "@NEW@"));
        self.put(&image, repository, tag);
        if let Ground::Sandbox(stage) = &self.ground
            && repository != "web"
        {
            let resource = format!("*:repository/{repository}");
            stage.sandbox.world(|world| {
                COPIES.iter().for_each(|action| _ = world.deny_on(action, &resource));
            });
        }
        self.input("image", &format!("{ECR}/{repository}:{tag}"))
    }

    /// With the rights to read that repository, as docs/permissions.md has them.
    pub fn may_copy(self, repository: &str) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => stage.sandbox.world(|world| {
                COPIES.iter().for_each(|action| _ = world.allow(action));
            }),
            Ground::Real(real) => {
                let resource =
                    format!("arn:aws:ecr:ap-northeast-2:123456789012:repository/{repository}");
                let right = json!([{ "Effect": "Allow", "Action": COPIES, "Resource": resource }]);
                real.lab(&format!(".policies[\"user/ship\"] += {right}"));
            }
        }
        self
    }

    async fn runs_as(self, reference: &str, image: &Image) -> Self {
        let pods = json!({ "containers": [{ "name": "app", "image": reference }] });
        let digest = image.digest();
        if let Ground::Sandbox(stage) = &self.ground {
            stage.kube().resolver(move |_| Some(digest.clone()));
        }
        self.written_by("kubectl-set", &json!({ "spec": { "template": { "spec": pods } } }));
        match &self.ground {
            Ground::Sandbox(stage) => sandboxed::settled(stage).await,
            Ground::Real(real) => real.settled(),
        }
        self
    }

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

    /// Holds a run still until each of its new pods has crashed and the nodes may pull nothing any more.
    pub async fn pulls_end(&self, going: &Going) {
        // The sandbox's nodes refuse them anyway.
        let Ground::Real(real) = &self.ground else { return };
        going.signal("STOP").await;
        // The old ones end too, on their way out.
        let is_new = |pod: &&Value| pod["metadata"].get("deletionTimestamp").is_none();
        let has_ended = |pod: &Value| {
            let status = &pod["status"]["containerStatuses"][0];
            [&status["state"], &status["lastState"]].iter().any(|s| s.get("terminated").is_some())
        };
        self.until(|scene| {
            let pods = scene.objects("Pod");
            let new: Vec<_> = pods.iter().filter(is_new).collect();
            new.len() == 3 && new.into_iter().all(has_ended)
        })
        .await;
        real.refuses_pulls();
        going.signal("CONT").await;
    }

    /// Nothing serves any more: every pod is of an image that is in no repository.
    pub async fn down(self) -> Self {
        let scene = self.recreating();
        scene.sets_nothing();
        let is_old = |pod: &Value| {
            let id = pod["status"]["containerStatuses"][0]["imageID"].as_str();
            id.is_some_and(|id| !id.is_empty())
        };
        let is_down = |scene: &Self| {
            let pods = scene.objects("Pod");
            pods.len() == 3 && !pods.iter().any(is_old)
        };
        scene.until(is_down).await;
        scene
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..200 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came to that");
    }
}
