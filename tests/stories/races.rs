//! Two writers at once: newer runs of slipway, other tools, autoscalers.

use std::time::Duration;

use serde_json::json;
use slipway_sandbox::kube::Play;
use slipway_sandbox::{Fault, Image};

use crate::stage::{NEWER, Stage, Told};

/// A workload that serves, and run 12 of a workflow that ships the new image, whose pods never become ready.
async fn slow() -> Stage {
    Stage::new().await.serving().ships("never-ready").on_github(12)
}

/// Run 13 of the same workflow ships a newer commit beside the story's own run.
async fn newer(stage: &Stage) -> Told {
    let image = Image::new("linux/amd64", "newer");
    image.layout(&stage.folder.path().join("newer")).unwrap();
    let inputs = [("commit", NEWER), ("image", "newer"), ("bake", "0s")];
    let run = [
        ("GITHUB_RUN_ID", "4713"),
        ("GITHUB_RUN_NUMBER", "13"),
        ("GITHUB_OUTPUT", "/dev/null"),
        ("GITHUB_STEP_SUMMARY", "/dev/null"),
    ];
    stage.run_with("ship", &inputs, &run).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_run_takes_over_and_the_older_one_ends_well() {
    let stage = slow().await;
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    let second = newer(&stage).await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    notice[SW-RUN-SUPERSEDED]: 9f2c1e4 was superseded: run 4713 set c77d0be, which is newer, @ after this patch
      now:  c77d0be rolls out under run 4713; nothing was rolled back
    ");
    insta::assert_snapshot!(stage.serves(), @"web:c77d0be@sha256:32ec3fd5cfb0, 3 updated, 3 ready");
    insta::assert_snapshot!(second.ending(), @"shipped c77d0be to shop/web in @s");
    assert_eq!((told.exit, second.exit), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_run_is_stopped_at_the_gate_by_a_newer_one() {
    let stage = Stage::new().await.serving().ships("good").on_github(12);
    stage.sandbox.fault("PUT /v2/web/manifests", 1, Fault::Delay(Duration::from_secs(3)));
    let mut going = stage.start("ship");
    going.until("watch  ").await;
    let second = newer(&stage).await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-COMMIT-BEHIND]: nothing was deployed: 9f2c1e4 is behind c77d0be, the newest commit shipped here
      why:  by 1 commit (GitHub compare); run 4713 shipped c77d0be @ ago
      now:  c77d0be serves, 3/3 ready
      next: nothing, if an old run was re-run; to go back: slipway rollback --to 9f2c1e4
    ");
    insta::assert_snapshot!(stage.serves(), @"web:c77d0be@sha256:32ec3fd5cfb0, 3 updated, 3 ready");
    assert_eq!((told.exit, second.exit), (4, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tool_that_sets_the_image_is_named() {
    let stage = slow().await;
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    let image = stage.reference("other", &Image::new("linux/amd64", "other").digest());
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } } });
    stage.kube().write("kubectl-set", "Deployment", "shop", "web", &patch).unwrap();
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-DISPLACED]: `shop/web` was taken over: field manager `kubectl-set` set other, @ after the patch to 9f2c1e4
      why:  the image is 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:other@sha256:e462de78529b6e0c01660c4962deb67cf3dda32f75b57ae41553c53b4fc04fbc; no annotation of slipway proves that it is newer
      now:  other rolls out; nothing was rolled back
      next: find out who runs `kubectl-set`, or ship again
    ");
    insta::assert_snapshot!(stage.set(), @"web:other@sha256:e462de78529b");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn argo_putting_the_old_image_back_is_not_green() {
    let stage = Stage::new().await.serving().ships("taken-over").on_github(12);
    let mut going = stage.start("ship");
    going.until("/3 new").await;
    let image = stage.reference(crate::stage::OLD, &Stage::old_image().digest());
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } } });
    stage.kube().write("argocd-controller", "Deployment", "shop", "web", &patch).unwrap();
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-DISPLACED]: `shop/web` was taken over: field manager `argocd-controller` set 3f2a91c, @ after the patch to 9f2c1e4
      why:  the image is 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc; no annotation of slipway proves that it is newer
      now:  3f2a91c rolls out; nothing was rolled back
      next: find out who runs `argocd-controller`, or ship again
    ");
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_belong_to_the_autoscaler() {
    let stage = Stage::new().await.serving().ships("good").on_github(12);
    stage.kube().script(|_| true, Play::Model);
    let mut going = stage.start("ship");
    going.until("deploy ").await;
    stage
        .kube()
        .write(
            "kube-controller-manager",
            "Deployment",
            "shop",
            "web",
            &json!({ "spec": { "replicas": 5 } }),
        )
        .unwrap();
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 5 updated, 5 ready");
    assert_eq!(stage.kube().object("Deployment", "shop", "web").unwrap()["spec"]["replicas"], 5);
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leaves_the_replicas_of_the_autoscaler() {
    let stage = Stage::new().await.serving().ships("crash").on_github(12);
    let mut going = stage.start("ship");
    going.until("deploy ").await;
    stage
        .kube()
        .write(
            "kube-controller-manager",
            "Deployment",
            "shop",
            "web",
            &json!({ "spec": { "replicas": 5 } }),
        )
        .unwrap();
    let told = going.end(&stage).await;
    // How many pods had crashed by then is a matter of time.
    assert!(told.ending().contains("now:  rolled back: 3f2a91c serves, 5/5 ready"), "{}", told.err);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 5 updated, 5 ready");
    assert_eq!(stage.kube().object("Deployment", "shop", "web").unwrap()["spec"]["replicas"], 5);
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_deleted_in_the_rollout_is_told_as_gone() {
    let stage = slow().await;
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    stage.delete().await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-WORKLOAD-GONE]: `shop/web` was taken over: it was deleted while 9f2c1e4 rolled out
      now:  it is not there
      next: run again, once it is back
    ");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_run_between_our_failure_and_our_rollback_is_not_undone() {
    let stage = Stage::new().await.serving().ships("crash").on_github(12);
    // The failing container's words take their time, and the newer run does not wait for them.
    stage.sandbox.fault("pods/log", 1, Fault::Delay(Duration::from_secs(6)));
    let going = stage.start("ship");
    stage.asked("pods/log").await;
    let second = newer(&stage).await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    notice[SW-RUN-SUPERSEDED]: 9f2c1e4 was superseded: run 4713 set c77d0be, which is newer, @ after this patch
      now:  c77d0be rolls out under run 4713; nothing was rolled back
    ");
    insta::assert_snapshot!(stage.serves(), @"web:c77d0be@sha256:32ec3fd5cfb0, 3 updated, 3 ready");
    assert_eq!((told.exit, second.exit), (0, 0));
}
