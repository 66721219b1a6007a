//! The image's platform against what its pods can land on: never a default, never a pod that cannot
//! start.

use serde_json::{Value, json};
use slipway_sandbox::{Image, NodeGroup};

use crate::stage::{OLD, Stage};

/// An image that amd64 nodes cannot run.
pub fn arm() -> Image {
    Image::new("linux/arm64", "new")
}

/// Plans, and tells exit and everything but the line of reads.
async fn planned(stage: &Stage) -> String {
    let told = stage.run("plan").await;
    assert_eq!(stage.writes(), [""; 0]);
    let line = |line: &&str| line.starts_with("  platform") || line.starts_with("not seen");
    let rows = told.err.lines().chain(told.out.lines()).filter(line).map(|row| format!("{row}\n"));
    format!(
        "{}{}",
        rows.collect::<String>(),
        if told.exit == 0 { "-> 0\n".into() } else { told.refusal() }
    )
}

/// A cluster with these nodes and groups, and a workload changed by this patch.
async fn cluster(nodes: &[(&str, &str)], groups: &[NodeGroup], patch: Value) -> Stage {
    let groups = groups.to_vec();
    let stage = Stage::with(|world| world.cluster.node_groups = groups).await;
    for (name, architecture) in nodes {
        stage.kube().node(name, architecture);
    }
    let image = stage.reference(OLD, &Stage::old_image().digest());
    stage.kube().deployment("shop", "web", "app", &image, 3).with(patch).by("slipway").seed();
    stage
}

fn group(name: &str, ami_type: &str) -> NodeGroup {
    NodeGroup {
        name: name.into(),
        ami_type: ami_type.into(),
        size: (0, 4),
        role: "eks-node".into(),
    }
}

fn asks(architecture: &str) -> Value {
    let selector = json!({ "kubernetes.io/arch": architecture });
    json!({ "spec": { "template": { "spec": { "nodeSelector": selector } } } })
}

const BOTH: [(&str, &str); 2] = [("ip-10-0-1-12", "amd64"), ("ip-10-0-2-7", "arm64")];

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_no_node_can_run_is_refused_with_the_nodes() {
    let stage = Stage::new().await.serving().layout(&arm());
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.refusal(), @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/arm64; its pods can land on ip-10-0-1-12, ip-10-0-2-7, both linux/amd64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64 --output type=oci,tar=false,dest=image .
    ");
    assert_eq!(stage.writes(), [""; 0]);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_in_ecr_for_another_platform_is_refused_too() {
    let stage = Stage::with(|world| {
        world.image("web", crate::stage::NEW, &arm());
    });
    let told = stage.await.serving().run("ship").await;
    insta::assert_snapshot!(told.refusal(), @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-PLATFORM-MISSING]: nothing was written: image `web:9f2c1e4` cannot run on these nodes
      why:  it is linux/arm64; its pods can land on ip-10-0-1-12, ip-10-0-2-7, both linux/amd64
      now:  3f2a91c serves, 3/3 ready
      next: ship a new commit whose image is built for linux/amd64
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pods_ask_for_decides_before_the_nodes() {
    let stage = cluster(&BOTH, &[], asks("arm64")).await;
    insta::assert_snapshot!(planned(&stage.layout(&Stage::new_image())).await, @"
      platform  linux/arm64: its pods ask for it
    -> 3
    error[SW-PLATFORM-MISSING]: nothing would be written: image `image` cannot run on these nodes
      why:  it is linux/amd64; its pods can land on ip-10-0-2-7, linux/arm64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/arm64 --output type=oci,tar=false,dest=image .
    ");
    let stage = cluster(&BOTH, &[], asks("arm64")).await;
    insta::assert_snapshot!(planned(&stage.layout(&arm())).await, @"
      platform  linux/arm64: its pods ask for it
    -> 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_nodes_need_an_image_for_both() {
    let stage = cluster(&BOTH, &[], json!({})).await;
    insta::assert_snapshot!(planned(&stage.layout(&arm())).await, @"
      platform  linux/amd64, linux/arm64: both nodes its pods can land on
    -> 3
    error[SW-PLATFORM-MISSING]: nothing would be written: image `image` cannot run on these nodes
      why:  it is linux/arm64; its pods can land on ip-10-0-1-12 (linux/amd64), ip-10-0-2-7 (linux/arm64)
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64,linux/arm64 --output type=oci,tar=false,dest=image .
    ");
    let stage = cluster(&BOTH, &[], json!({})).await;
    insta::assert_snapshot!(planned(&stage.layout(&arm().platform("linux/amd64"))).await, @"
      platform  linux/amd64, linux/arm64: both nodes its pods can land on
    -> 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tainted_node_that_the_pods_do_not_tolerate_does_not_count() {
    let stage = cluster(&BOTH, &[], json!({})).await;
    let taint = json!({ "spec": { "taints": [{ "key": "arm", "value": "only", "effect": "NoSchedule" }] } });
    stage.kube().write("admin", "Node", "", "ip-10-0-2-7", &taint).unwrap();
    insta::assert_snapshot!(planned(&stage.layout(&Stage::new_image())).await, @"
      platform  linux/amd64: the one node its pods can land on
    -> 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_have_no_node_now_tell_where_there_is_none() {
    let groups = [group("ng-arm", "AL2023_ARM_64_STANDARD")];
    let stage = cluster(&[], &groups, json!({})).await;
    insta::assert_snapshot!(planned(&stage.layout(&Stage::new_image())).await, @"
      platform  linux/arm64: the one node group its pods can land on
    -> 3
    error[SW-PLATFORM-MISSING]: nothing would be written: image `image` cannot run on these nodes
      why:  it is linux/amd64; linux/arm64 is needed: the one node group its pods can land on
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/arm64 --output type=oci,tar=false,dest=image .
    ");
    let mixed =
        [group("ng-amd", "AL2023_x86_64_STANDARD"), group("ng-arm", "AL2023_ARM_64_STANDARD")];
    let stage = cluster(&[], &mixed, json!({})).await;
    insta::assert_snapshot!(planned(&stage.layout(&arm().platform("linux/amd64"))).await, @"
      platform  linux/amd64, linux/arm64: both node groups its pods can land on
    -> 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_that_serves_tells_where_neither_nodes_nor_groups_do() {
    let stage = cluster(&[], &[], json!({})).await;
    insta::assert_snapshot!(planned(&stage.layout(&arm())).await, @"
      platform  linux/amd64: the image that serves is
    -> 3
    error[SW-PLATFORM-MISSING]: nothing would be written: image `image` cannot run on these nodes
      why:  it is linux/arm64; linux/amd64 is needed: the image that serves is
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64 --output type=oci,tar=false,dest=image .
    ");
}

/// A workload whose image is not in this ECR, without a node or a node group.
async fn foreign() -> Stage {
    let stage = Stage::with(|world| world.cluster.node_groups.clear()).await;
    let image = stage.reference(OLD, &Image::new("linux/amd64", "gone").digest());
    stage.kube().deployment("shop", "web", "app", &image, 3).seed();
    stage.layout(&Stage::new_image())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_tells_nothing_is_assumed() {
    let stage = foreign().await;
    stage.kube().deny("list", "nodes");
    stage.sandbox.world(|world| world.deny("eks:ListNodegroups").denied.len());
    insta::assert_snapshot!(planned(&stage).await, @"
    not seen: nodes (may not list)
    not seen: node groups (may not list)
    -> 3
    error[SW-PLATFORM-UNKNOWN]: nothing would be written: nothing tells what platform the image has to be for
      why:  no architecture in the pod's nodeSelector or affinity; nodes not seen (may not list); node groups not seen (may not list); the live image is not in this ECR
      now:  3f2a91c serves, 3/3 ready
      next: give `platform: linux/amd64` or `linux/arm64`, or let the role list nodes
    ");
    let stage = stage.input("platform", "linux/amd64");
    insta::assert_snapshot!(planned(&stage).await, @"
    not seen: nodes (may not list)
    not seen: node groups (may not list)
      platform  linux/amd64: the `platform` input says so
    -> 0
    ");
    let stage = stage.input("platform", "linux/arm64");
    insta::assert_snapshot!(planned(&stage).await, @"
    not seen: nodes (may not list)
    not seen: node groups (may not list)
      platform  linux/arm64: the `platform` input says so
    -> 3
    error[SW-PLATFORM-MISSING]: nothing would be written: image `image` cannot run on these nodes
      why:  it is linux/amd64; linux/arm64 is needed: the `platform` input says so
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/arm64 --output type=oci,tar=false,dest=image .
    ");
}
