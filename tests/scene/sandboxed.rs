//! The ground that the sandbox gives.

use std::time::Duration;

use serde_json::json;
use slipway_sandbox::kube::Play;
use slipway_sandbox::{AccessEntry, Image, User};

use crate::stage::Stage;

use super::Trouble;

/// What the stories' user may not do, though it would be of use: only the settings of the repository of all
/// optional rights, since without them the registry's own name is taken, which is not ECR's here.
const NOT_GRANTED: [&str; 4] =
    ["eks:ListNodegroups", "eks:DescribeNodegroup", "eks:DescribeAccessEntry", "eks:ListClusters"];

pub(super) async fn serving() -> Stage {
    let stage = Stage::with(|world| {
        world.users = ["ship", "guest", "stranger"].map(User::new).into();
        let entry = |principal: &str, group: &str| AccessEntry {
            principal: format!("arn:aws:iam::123456789012:{principal}"),
            groups: vec![group.into()],
        };
        world.cluster.access = vec![
            entry("user/ship", "slipway"),
            entry("user/guest", "guests"),
            entry("role/ship", "slipway"),
        ];
        world.github.repository = "acme/shop".into();
        world.roles[0].subjects = vec!["repo:acme/shop:ref:refs/heads/main".into()];
    })
    .await;
    for action in NOT_GRANTED {
        deny(&stage, action);
    }
    stage.serving_on(&["node-1"])
}

pub(super) fn deny(stage: &Stage, action: &str) {
    stage.sandbox.world(|world| _ = world.deny(action));
}

/// ECR has no image of this digest any more.
pub(super) fn forget(stage: &Stage, digest: &str) {
    stage.sandbox.world(|world| {
        let web = world.repositories.get_mut("web").unwrap();
        web.tags.retain(|_, named| named != digest);
        web.manifests.remove(digest);
    });
}

/// Another of the account's users.
pub(super) fn become_user(stage: &mut Stage, name: &str) {
    let user = stage
        .sandbox
        .world(|world| world.users.iter().find(|user| user.name == name).cloned().unwrap());
    if name == "guest" {
        for verb in ["get", "list", "watch", "patch"] {
            for resource in ["deployments", "replicasets", "pods", "pods/log", "events", "nodes"] {
                stage.kube().deny(verb, resource);
            }
        }
    }
    stage.export("AWS_ACCESS_KEY_ID", &user.key);
    stage.export("AWS_SECRET_ACCESS_KEY", &user.secret);
}

/// A job of `acme/shop` on this branch, with no keys and the right to ask for a token.
pub(super) fn become_job(stage: &mut Stage, branch: &str) {
    stage.sandbox.world(|world| {
        world.oidc.subject = format!("repo:acme/shop:ref:refs/heads/{branch}");
    });
    for (name, value) in stage.sandbox.oidc_environment() {
        if name.starts_with("ACTIONS_") {
            stage.export(&name, &value);
        }
    }
    for key in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        stage.export(key, "");
    }
}

/// The rollout of this image plays what was recorded of such a trouble.
pub(super) async fn comes_to(stage: &Stage, trouble: Trouble, image: &Image) {
    if let Some(template) = trouble.needs() {
        let patch = json!({ "spec": { "template": template } });
        stage.kube().write("kubectl-edit", "Deployment", "shop", "web", &patch).unwrap();
        settled(stage).await;
    }
    let digest = image.digest();
    let play = Play::Recording(trouble.recording());
    stage.kube().script(move |image| image.ends_with(&digest), play);
}

/// Waits until the workload is whole again and the old pods are gone.
pub(super) async fn settled(stage: &Stage) {
    for _ in 0..500 {
        let web = stage.kube().object("Deployment", "shop", "web").unwrap();
        let status = &web["status"];
        let is_whole = [&status["updatedReplicas"], &status["readyReplicas"], &status["replicas"]]
            .iter()
            .all(|count| **count == json!(3));
        let is_seen = status["observedGeneration"] == web["metadata"]["generation"];
        if is_whole && is_seen && stage.kube().objects("Pod", "shop").len() == 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the workload never settled");
}
