//! Rollouts that fail, each told with its cause and put back.

use crate::scene::{Scene, Trouble};

/// Ships an image that comes to this, within so much time, and tells the end.
async fn ends(trouble: Trouble, timeout: &str, bake: &str) -> String {
    let scene = Scene::serving().await.ships(trouble).await;
    let scene = scene.input("timeout", timeout).input("bake", bake);
    let told = scene.run("ship").await;
    // Whether a trouble has lasted a second when it is told depends on when its second began.
    scene.ends(&told).replace(", for @s", "")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stops_is_explained_by_its_last_line() {
    insta::assert_snapshot!(ends(Trouble::Crash, "20s", "1s").await, @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stops_in_the_bake_is_rolled_back() {
    insta::assert_snapshot!(ends(Trouble::LateCrash, "60s", "9s").await, @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
      why:  its last line: "lost the database"; @ new pods, @ @ after it was ready
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_becomes_ready_ends_with_the_time() {
    insta::assert_snapshot!(ends(Trouble::NeverReady, "6s", "1s").await, @r#"
    error[SW-PROBE-READY]: `shop/web` was not updated to 9f2c1e4 in 6s: container `app` runs, but its readiness probe does not pass
      why:  kubelet on node-1: "Readiness probe failed: Get "http://@ADDRESS@:8080/": dial tcp @ADDRESS@:8080: connect: connection refused"; 1/1 new pods
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: let it listen on all addresses for GET / on 8080, or correct the probe;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_for_its_memory_is_told_as_that() {
    insta::assert_snapshot!(ends(Trouble::Memory, "20s", "1s").await, @"
    error[SW-CRASH-MEMORY]: `shop/web` was not updated to 9f2c1e4: container `app` uses more memory than its limit of 16Mi
      why:  OOMKilled; @ new pods, @ exits; it logged nothing
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: raise `resources.limits.memory` of container `app`, or let the program use less;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lies_about_its_platform_is_told_as_that() {
    insta::assert_snapshot!(ends(Trouble::LyingImage, "20s", "1s").await, @r#"
    error[SW-START-FORMAT]: `shop/web` was not updated to 9f2c1e4: the program of container `app` cannot be executed
      why:  "exec /bin/busybox: exec format error"
            image and node both say linux/amd64
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was
            built for another platform than the image says: build it for linux/amd64;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_script_is_told_as_that() {
    insta::assert_snapshot!(ends(Trouble::NoFormat, "20s", "1s").await, @r#"
    error[SW-START-FORMAT]: `shop/web` was not updated to 9f2c1e4: the program of container `app` cannot be executed
      why:  "exec /bin/start: exec format error"
            image and node both say linux/amd64
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was
            built for another platform than the image says: build it for linux/amd64;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named() {
    insta::assert_snapshot!(ends(Trouble::MissingSecret, "10s", "1s").await, @r#"
    error[SW-START-CONFIG]: `shop/web` was not updated to 9f2c1e4: Secret `missing` does not exist in `shop`
      why:  kubelet on node-1: "secret "missing" not found"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: create Secret `missing` in `shop`, or take it out of the workload, then ship again
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_volume_is_named() {
    insta::assert_snapshot!(ends(Trouble::MissingVolume, "10s", "1s").await, @r#"
    error[SW-MOUNT-MISSING]: `shop/web` was not updated to 9f2c1e4: ConfigMap `missing`, which its pods mount, does not exist in `shop`
      why:  kubelet on node-1: "MountVolume.SetUp failed for volume "settings" : configmap "missing" not found"; 1/1 new pods
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: create ConfigMap `missing` in `shop`, then ship again
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_refuses_pods_is_quoted() {
    insta::assert_snapshot!(ends(Trouble::Quota, "6s", "1s").await, @r#"
    error[SW-ADMIT-QUOTA]: `shop/web` was not updated to 9f2c1e4: quota `q` leaves no room for a new pod
      why:  API server: "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: raise quota `q` in `shop`, or let old pods go first: `maxUnavailable: 1`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_a_node_quotes_the_scheduler() {
    insta::assert_snapshot!(ends(Trouble::NoRoom, "6s", "1s").await, @r#"
    error[SW-SCHED-ROOM]: `shop/web` was not updated to 9f2c1e4 in 6s: its new pod found no node
      why:  scheduler: "0/1 nodes are available: 1 Insufficient cpu"; it asks for 600m cpu; no autoscaler event seen
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: lower `resources.requests.cpu`, or add a node
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_may_not_pull_are_told_with_the_right_they_lack() {
    insta::assert_snapshot!(ends(Trouble::PullDenied, "10s", "1s").await, @r#"
    error[SW-PULL-403]: `shop/web` was not updated to 9f2c1e4: the nodes may not pull from ECR `web`
      why:  kubelet on node-1: "...403 Forbidden"; one account for image and cluster
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: aws iam attach-role-policy --role-name NODE-ROLE \
              --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
