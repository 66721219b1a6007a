//! What is refused before anything is written, and who else writes while a rollout goes.

use serde_json::json;

use crate::scene::{Scene, Trouble};
use crate::stage::NEW;

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_node_can_run_is_refused() {
    let scene = Scene::serving().await.ships_for(&["linux/arm64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/arm64; its pods can land on node-1, linux/amd64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_the_nodes_platform_is_refused() {
    let scene = Scene::serving().await.ships_for(&["linux/arm64", "linux/s390x"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/arm64, linux/s390x; its pods can land on node-1, linux/amd64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_holds_another_image_is_never_overwritten() {
    let scene = Scene::serving().await.in_ecr(NEW, "other").ships(Trouble::Nothing).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-IMAGE-CONFLICT]: nothing was written: immutable tag 9f2c1e4 holds another image
      why:  ECR has @OTHER@, `image` is @NEW@
      now:  3f2a91c serves, 3/3 ready
      next: leave out `image` to deploy the one in ECR, or ship a new commit
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_in_ecr_is_not_pushed_again() {
    let scene = Scene::serving().await.in_ecr(NEW, "new").input("image", "");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@OTHER@, 3 ready, run @OTHER@
    ");
    assert!(!told.err.contains("\npush "), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_workload_is_refused() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.written_by("kubectl", &json!({ "spec": { "paused": true } }));
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-WORKLOAD-PAUSED]: nothing was written: `shop/web` is paused, no pod would change
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop rollout resume deployment/web
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_argo_cd_owns_is_refused() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    let id = "shop:apps/Deployment:shop/web";
    let argo = json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": id } } });
    scene.written_by("argocd-controller", &argo);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-WORKLOAD-OWNED]: nothing was written: Argo CD application `shop` sets this image too; its next sync puts its own back
      why:  the Deployment's own metadata says so
      now:  3f2a91c serves, 3/3 ready
      next: change the image where it is kept, or `allow: SW-WORKLOAD-OWNED`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
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
    insta::assert_snapshot!(scene.called(&told.ending()), @"
    error[SW-RUN-DISPLACED]: `shop/web` was taken over: field manager `kubectl-set` set other, @ after the patch to 9f2c1e4
      why:  the image is 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:other@@OTHER@; no annotation of slipway proves that it is newer
      now:  other rolls out; nothing was rolled back
      next: find out who runs `kubectl-set`, or ship again
    ");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_an_autoscaler_changes_stay_its_own() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.written_by("horizontal-pod-autoscaler", &json!({ "spec": { "replicas": 4 } }));
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 4 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_of_another_kind_is_refused() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    let mut all = String::new();
    for workload in ["statefulset/web", "daemonset/web"] {
        let told = scene.run_with("ship", &[("workload", workload)]).await;
        all += &scene.ends(&told);
    }
    insta::assert_snapshot!(all, @"
    error[SW-WORKLOAD-KIND]: nothing was written: `statefulset/web` is no Deployment
      why:  only a Deployment is watched to its end and rolled back as a whole
      now:  not looked at
      next: name one: `workload: deployment/NAME`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    error[SW-WORKLOAD-KIND]: nothing was written: `daemonset/web` is no Deployment
      why:  only a Deployment is watched to its end and rolled back as a whole
      now:  not looked at
      next: name one: `workload: deployment/NAME`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}
