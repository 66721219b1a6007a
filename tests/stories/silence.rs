//! Watches that die without a word, and outages too short to be told: what is not heard is neither
//! believed nor held against the rollout.

use serde_json::{Value, json};
use slipway_sandbox::Fault;

use crate::stage::Stage;

/// A workload that serves, and run 12 of a workflow that ships an image whose rollout plays this.
async fn story(recording: &'static str) -> Stage {
    Stage::new().await.serving().ships(recording).on_github(12)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_that_a_dead_watch_did_not_tell_is_found_before_the_bake_is_believed() {
    let stage = story("good").await.input("bake", "2s");
    let mut going = stage.start("ship");
    going.until("3/3 new").await;
    let kube = stage.kube();
    kube.silence("Pod");
    // It fell and is ready again: its controller's numbers are as they were.
    let mut pods = kube.objects("Pod", "shop").into_iter();
    let is_new = |pod: &Value| pod.to_string().contains(&Stage::new_image().digest());
    let mut pod = pods.find(is_new).unwrap();
    let end = json!({ "exitCode": 3, "reason": "Error", "startedAt": null, "finishedAt": null });
    pod["status"]["containerStatuses"][0]["restartCount"] = 1.into();
    pod["status"]["containerStatuses"][0]["lastState"] = json!({ "terminated": end });
    kube.seed(pod);
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  it logged nothing; @ new pods, @ @ after it was ready
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_a_dead_watch_did_not_tell_of_are_found_before_the_time_is_up() {
    let stage = story("good").await.input("timeout", "3s");
    let going = stage.start("ship");
    stage.asked("watch pods").await;
    stage.kube().silence("Pod");
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_in_the_bake_is_waited_out() {
    let stage = story("good").await;
    let mut going = stage.start("ship");
    going.until("3/3 new").await;
    for kind in ["Deployment", "ReplicaSet", "Pod"] {
        stage.kube().silence(kind);
    }
    // Three lists, each tried four times: about two seconds.
    stage.sandbox.fault("list ", 9, Fault::status(503));
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    assert!(!told.err.contains("be read"), "too short to bother anybody: {}", told.err);
    assert_eq!(told.exit, 0);
}
