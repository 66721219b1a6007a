//! What is refused before anything is written, and who else writes while a rollout goes.

use serde_json::json;

use crate::scene::{Scene, Trouble};
use crate::stage::{NEW, NEWER};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_node_can_run_is_refused() {
    let scene = Scene::serving().await.ships_for(&["linux/arm64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_the_nodes_platform_is_refused() {
    let scene = Scene::serving().await.ships_for(&["linux/arm64", "linux/s390x"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_holds_another_image_is_never_overwritten() {
    let scene = Scene::serving().await.in_ecr(NEW, "other").ships(Trouble::Nothing).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_in_ecr_is_not_pushed_again() {
    let scene = Scene::serving().await.in_ecr(NEW, "new").input("image", "");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
    assert!(!told.err.contains("\npush "), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_workload_is_refused() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.written_by("kubectl", &json!({ "spec": { "paused": true } }));
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_argo_cd_owns_is_refused() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    let id = "shop:apps/Deployment:shop/web";
    let argo = json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": id } } });
    scene.written_by("argocd-controller", &argo);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tool_that_sets_the_image_is_named() {
    let scene = Scene::serving().await.in_ecr("other", "other").ships(Trouble::NeverReady).await;
    let mut going = scene.start("ship");
    going.until("0/3 new").await;
    let image = scene.reference("other", "other");
    let pods = json!({ "containers": [{ "name": "app", "image": image }] });
    let patch = json!({ "spec": { "template": { "spec": pods } } });
    scene.written_by("kubectl-set", &patch);
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.called(&told.ending()), @"");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_an_autoscaler_changes_stay_its_own() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.written_by("horizontal-pod-autoscaler", &json!({ "spec": { "replicas": 4 } }));
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_run_of_the_same_workflow_is_refused() {
    let scene = Scene::serving().await.in_ecr(NEWER, "other").run_number(12);
    let newer = scene.run_with("ship", &[("commit", NEWER)]).await;
    assert_eq!(newer.exit, 0, "{}{}", newer.out, newer.err);
    let scene = scene.ships(Trouble::Nothing).await.input("allow", "").run_number(11);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.called(&told.ending()), @"");
    assert_eq!(told.exit, 3);
}
