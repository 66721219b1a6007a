//! A right that is missing, in the cluster or in AWS: told by its name before anything is written.

use crate::scene::{Scene, Trouble};

/// What a ship says without this right.
async fn without(verb: &str, resource: &str) -> String {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.without(verb, resource).await;
    let told = scene.run("ship").await;
    format!("{verb} {resource} {}{}", scene.words(&told), scene.serves())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_of_the_cluster_is_refused_by_its_name() {
    let needed = [
        ("patch", "deployments"),
        ("get", "deployments"),
        ("list", "deployments"),
        ("watch", "deployments"),
        ("list", "replicasets"),
        ("watch", "replicasets"),
        ("list", "pods"),
        ("watch", "pods"),
    ];
    let mut all = String::new();
    for (verb, resource) in needed {
        all += &without(verb, resource).await;
    }
    insta::assert_snapshot!(all, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_optional_right_of_the_cluster_is_only_not_seen() {
    let optional =
        [("get", "pods/log"), ("list", "events"), ("watch", "events"), ("list", "nodes")];
    let mut all = String::new();
    for (verb, resource) in optional {
        all += &without(verb, resource).await;
    }
    insta::assert_snapshot!(all, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_needed_right_in_aws_is_refused_by_its_name() {
    let mut all = String::new();
    for action in [
        "ecr:GetAuthorizationToken",
        "ecr:BatchGetImage",
        "ecr:BatchCheckLayerAvailability",
        "ecr:InitiateLayerUpload",
        "ecr:UploadLayerPart",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
        "eks:DescribeCluster",
    ] {
        let scene = Scene::serving().await.ships(Trouble::Nothing).await.without_action(action);
        let told = scene.run("ship").await;
        all += &format!("{action} {}{}", scene.words(&told), scene.serves());
    }
    insta::assert_snapshot!(all, @"");
}
