//! Each recorded rollout as a story: what its end is told as, and what serves afterwards.

use std::time::Duration;

use serde_json::json;
use slipway_sandbox::Fault;

use crate::stage::Stage;

/// A workload that serves, and a new image whose rollout plays this.
async fn story(recording: &'static str) -> Stage {
    Stage::new().await.serving().ships(recording).input("allow", "SW-COMMIT-UNKNOWN")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stops_is_explained_by_its_last_line_and_rolled_back() {
    let stage = story("crash").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_may_not_be_executed_is_named() {
    let stage = story("permission-denied").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-START-DENIED]: `shop/web` was not updated to 9f2c1e4: container `app` may not execute its program `/bin/busybox`
      why:  "exec: "/bin/busybox": permission denied"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: make it executable in the Dockerfile: COPY --chmod=755;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_without_the_platform_of_the_node_is_told_as_that() {
    // Nothing tells what the nodes are, and the platform that was asked for is another one.
    let stage = story("no-platform-in-index").await.input("timeout", "3s");
    let stage = stage.input("platform", "linux/amd64");
    stage.kube().deny("list", "nodes");
    stage.sandbox.world(|world| world.cluster.node_groups.clear());
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-PULL-PLATFORM]: `shop/web` was not updated to 9f2c1e4: image `web:9f2c1e4` has nothing for the platform of its node
      why:  kubelet on @NODE@: "get image config descriptor: no match for platform in manifest sha256:d35bffbeab9aa37e0c4e24dba3edb64ef9fa44618e08ba0d37276440452d051a: not found"
            it has linux/amd64
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: leave out `platform`: the nodes decide what is built;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there_is_told_as_that() {
    let stage = story("tag-not-found").await.input("timeout", "3s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-PULL-MISSING]: `shop/web` was not updated to 9f2c1e4: image `web:9f2c1e4` is not in ECR `web`
      why:  kubelet on @NODE@: "...to resolve image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560: not found"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: aws ecr describe-images --repository-name web --image-ids imageDigest=sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_becomes_ready_ends_with_the_time() {
    let stage = story("never-ready").await.input("timeout", "3s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-PROBE-READY]: `shop/web` was not updated to 9f2c1e4 in 3s: container `app` runs, but its readiness probe does not pass
      why:  kubelet on @NODE@, for @s: "Readiness probe failed: Get "http://10.0.16.8:8080/": dial tcp 10.0.16.8:8080: connect: connection refused"; 1/1 new pods
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: let it listen on all addresses for the probe's port, or correct the probe;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_for_its_memory_is_told_as_that() {
    let stage = story("out-of-memory").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-CRASH-MEMORY]: `shop/web` was not updated to 9f2c1e4: container `app` ran out of its node's memory
      why:  it has no memory limit of its own
            OOMKilled; @ new pods, @ exits; it logged nothing
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: set `resources.requests.memory` of container `app` to what it needs;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named() {
    let stage = story("missing-secret").await.input("timeout", "3s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-START-CONFIG]: `shop/web` was not updated to 9f2c1e4: Secret `missing` does not exist in `shop`
      why:  kubelet on @NODE@: "secret "missing" not found"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: create Secret `missing` in `shop`, or take it out of the workload, then ship again
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_a_node_quotes_the_scheduler() {
    let stage = story("unschedulable").await.input("timeout", "3s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-SCHED-ROOM]: `shop/web` was not updated to 9f2c1e4 in 3s: its new pod found no node
      why:  scheduler: "0/1 nodes are available: 1 Insufficient cpu"; no autoscaler event seen
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: lower `resources.requests.cpu`, or add a node
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_container_that_fails_is_named() {
    let stage = story("init-fails").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: init container `migrate` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_bake_is_rolled_back() {
    let stage = story("crash-after-ready").await.input("bake", "3s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
      why:  its last line: "lost the database"; @ new pods, @ @ after it was ready
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_refuses_pods_is_quoted() {
    let stage = story("quota").await.input("timeout", "3s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-ADMIT-QUOTA]: `shop/web` was not updated to 9f2c1e4: quota `q` leaves no room for a new pod
      why:  API server: "exceeded quota: q, requested: pods=1, used: pods=3, limited: pods=3"
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: raise quota `q` in `shop`, or let old pods go first: `maxUnavailable: 1`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

/// The summary down to its chart and table, whose times differ from run to run.
fn summary(stage: &Stage) -> String {
    let all = stage.file("summary");
    let steps = |line: &&str| !line.starts_with("  ") || !line.contains(" : ");
    let rows = |line: &&str| !["| 1", "| ready", "|--"].iter().any(|row| line.starts_with(row));
    let lines: Vec<_> = all.lines().filter(steps).filter(rows).collect();
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_commit_is_told_whole_on_github() {
    let stage = Stage::new().await.serving().ships("good").on_github(12);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.log(), @"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    override GITHUB_API_URL: http://127.0.0.1:@PORT@
    survey   @s  25 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: both nodes its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17 -> 18
    watch
      +@s   baked 1s: 0 restarts, 3/3 pods run sha256:406c22a70f42
    outputs  outcome=shipped tag=9f2c1e4... digest=sha256:406c22a70f42...
    shipped 9f2c1e4 to shop/web in @s
    ::notice title=shipped::9f2c1e4 to shop/web in @s
    ");
    assert_eq!(told.err, "", "a log has one stream");
    insta::assert_snapshot!(stage.outputs(), @"
    outcome = shipped
    code =
    serving = 9f2c1e4000000000000000000000000000000000
    image = 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    evidence =
    plan = {...}
    services =
    repository = web
    tag = 9f2c1e4000000000000000000000000000000000
    digest = sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    platforms = linux/amd64
    ");
    insta::assert_snapshot!(summary(&stage), @"
    ### shipped `9f2c1e4` to `shop/web` in @s
    | | |
    | image | `web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560` |
    | cluster | prod, linux/amd64, revision 17 -> 18 |
    | back | `slipway rollback --to 3f2a91c` |
    ```mermaid
    gantt
      dateFormat HH:mm:ss
      axisFormat %M:%S
    ```
    ");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_annotated_on_github() {
    let stage = Stage::new().await.serving().ships("crash").on_github(12);
    let told = stage.run("ship").await;
    let annotations: Vec<_> = told.out.lines().filter(|line| line.starts_with("::error")).collect();
    insta::assert_snapshot!(annotations.join("\n"), @"::error title=SW-CRASH-EXIT::`shop/web` was not updated to 9f2c1e4: container `app` exits with code 3; rolled back: 3f2a91c serves, 3/3 ready, digest checked");
    insta::assert_snapshot!(stage.outputs(), @"
    outcome = rolled-back
    code = SW-CRASH-EXIT
    serving = 3f2a91c000000000000000000000000000000000
    image = 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    evidence = slipway-evidence-@.txt
    plan = {...}
    services =
    repository = web
    tag = 9f2c1e4000000000000000000000000000000000
    digest = sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    platforms = linux/amd64
    ");
    insta::assert_snapshot!(summary(&stage), @r#"
    ### `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
    | | |
    | image | `web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560` |
    | cluster | prod, linux/amd64, revision 17 -> 18 |

    <pre>error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`</pre>
    ```mermaid
    gantt
      dateFormat HH:mm:ss
      axisFormat %M:%S
    ```

    <details open><summary>evidence: web-@HASH@-@POD@, previous container, last lines</summary>
    <pre>| boom: cannot connect to db</pre>
    </details>
    "#);
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_another_platform_than_a_node_that_came_later_is_told_as_that() {
    let stage = story("wrong-platform").await;
    // While the dry run waits, the amd64 nodes are drained and an autoscaler brings an arm64 one.
    let path = "PATCH /apis/apps/v1/namespaces/shop/deployments/web";
    stage.sandbox.fault(path, 1, Fault::Delay(Duration::from_secs(1)));
    let going = stage.start("ship");
    stage.patches(1).await;
    for name in ["ip-10-0-1-12", "ip-10-0-2-7"] {
        let closed = json!({ "spec": { "unschedulable": true } });
        stage.kube().write("kubectl", "Node", "", name, &closed).unwrap();
    }
    stage.kube().node("ip-10-0-3-17", "arm64");
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-START-PLATFORM]: `shop/web` was not updated to 9f2c1e4: container `app` cannot start on these nodes
      why:  "exec /bin/busybox: exec format error" on ip-10-0-3-17 (linux/arm64); the image is linux/amd64
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: build it for linux/arm64 too, or leave out `platform`: the nodes decide;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lies_about_its_platform_is_told_as_that() {
    let stage = story("wrong-architecture").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-START-FORMAT]: `shop/web` was not updated to 9f2c1e4: the program of container `app` cannot be executed
      why:  "exec /bin/busybox: exec format error"
            image and node both say linux/amd64
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: if it is a script, begin it with a line like `#!/bin/sh`; if it is a binary, it was
            built for another platform than the image says: build it for linux/amd64;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_may_not_pull_are_told_with_the_right_they_lack() {
    // A refused pull is given a tenth of the time: a new right needs a moment to reach ECR.
    let stage = story("pull-denied").await.input("timeout", "10s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-PULL-403]: `shop/web` was not updated to 9f2c1e4: the nodes may not pull from ECR `web`
      why:  kubelet on @NODE@, for @s: "...403 Forbidden"; one account for image and cluster
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: aws iam attach-role-policy --role-name eks-node \
              --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liveness_probe_that_never_passes_is_named() {
    let stage = story("never-alive").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-PROBE-LIVE]: `shop/web` was not updated to 9f2c1e4: container `app` is ended by its liveness probe
      why:  kubelet on @NODE@: "Liveness probe failed: Get "http://10.0.16.8:8080/": dial tcp 10.0.16.8:8080: connect: connection refused"; @ new pods, @ times
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: give it longer, or make it answer sooner;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_fails_is_named() {
    let stage = story("hook-fails").await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-START-HOOK]: `shop/web` was not updated to 9f2c1e4: the postStart hook of container `app` fails
      why:  kubelet on @NODE@: "Exec lifecycle hook ([/bin/busybox false]) failed: command '/bin/busybox false' exited with 1: , message: """
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: correct `lifecycle.postStart` in the workload, or what it calls;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_is_not_there_is_named_before_the_time_is_over() {
    let stage = story("missing-volume").await.input("timeout", "10s");
    let told = stage.run("ship").await;
    // Events have whole seconds: whether one has passed depends on when it began.
    insta::assert_snapshot!(told.ending().replace(", for @s", ""), @r#"
    error[SW-MOUNT-MISSING]: `shop/web` was not updated to 9f2c1e4: ConfigMap `missing`, which its pods mount, does not exist in `shop`
      why:  kubelet on @NODE@: "MountVolume.SetUp failed for volume "settings" : configmap "missing" not found"; 1/1 new pods
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: create ConfigMap `missing` in `shop`, then ship again
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}
