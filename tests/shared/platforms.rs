//! What the image has to be for, in clusters with nodes of several architectures. All but `node-1` are played:
//! their pods are ready, and nobody can say what they run.

use serde_json::{Value, json};

use crate::scene::{Scene, Trouble};
use crate::stage::Told;

const GROUP: &str = "eks.amazonaws.com/nodegroup";

/// Which platform is needed and why, what was not seen, and how it ended.
fn decided(scene: &Scene, told: &Told) -> String {
    let all = format!("{}{}", told.err, told.out);
    let rows = all.lines().filter(|l| l.starts_with("  platform") || l.starts_with("not seen"));
    let rows: String = rows.map(|row| format!("{row}\n")).collect();
    format!("{rows}{}", scene.ends(told))
}

/// Pods that come to nodes of this group only, by a required affinity.
fn only(groups: &[&str]) -> Value {
    let among = json!({ "key": GROUP, "operator": "In", "values": groups });
    let terms = json!({ "nodeSelectorTerms": [{ "matchExpressions": [among] }] });
    json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": terms } } })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_one_of_two_architectures_is_refused_with_both() {
    let scene = Scene::serving().await.nodes("arm", "arm64", 2, &[]).ships(Trouble::Nothing).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/amd64, linux/arm64: all 3 nodes its pods can land on
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/amd64; its pods can land on arm-1 (linux/arm64), arm-2 (linux/arm64), node-1 (linux/amd64)
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64,linux/arm64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_for_both_architectures_ships_to_both() {
    let scene = Scene::serving().await.nodes("amd", "amd64", 1, &[]).nodes("arm", "arm64", 1, &[]);
    let evenly = json!({
        "maxSkew": 1, "topologyKey": "kubernetes.io/arch", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": "web" } }, "matchLabelKeys": ["pod-template-hash"],
    });
    let mut spec = only(&["amd", "arm"]);
    spec["topologySpreadConstraints"] = json!([evenly]);
    let scene = scene.asks(&spec).await.ships_for(&["linux/amd64", "linux/arm64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/amd64, linux/arm64: both nodes its pods can land on
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run nothing told
    ");
    let baked = scene.talk(&told);
    insta::assert_snapshot!(baked.lines().find(|line| line.contains("baked")).unwrap(), @"  +@s   baked 1s: 0 restarts, 0/3 pods run @NEW@, 3 do not say what they run");
    assert_eq!(scene.landed(), "amd64 and arm64");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_of_one_architecture_decides_what_the_image_is_for() {
    let scene = Scene::serving().await.nodes("arm", "arm64", 2, &[]);
    let selector = json!({ "nodeSelector": { "kubernetes.io/arch": "arm64" } });
    let scene = scene.asks(&selector).await.ships_for(&["linux/amd64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/arm64: its pods ask for it
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/amd64; its pods can land on arm-1, arm-2, both linux/arm64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/arm64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run nothing told
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_for_the_selected_architecture_ships_beside_other_nodes() {
    let scene = Scene::serving().await.nodes("arm", "arm64", 2, &[]);
    let selector = json!({ "nodeSelector": { "kubernetes.io/arch": "arm64" } });
    let scene = scene.asks(&selector).await.ships_for(&["linux/arm64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/arm64: its pods ask for it
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run nothing told
    ");
    assert_eq!(scene.landed(), "arm64");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_affinity_to_a_node_group_tells_by_its_nodes() {
    let scene = Scene::serving().await.nodes("arm", "arm64", 2, &[]);
    let scene = scene.asks(&only(&["arm"])).await.ships_for(&["linux/amd64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/arm64: both nodes its pods can land on
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/amd64; its pods can land on arm-1, arm-2, both linux/arm64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/arm64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run nothing told
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn tainted_nodes_do_not_count_and_get_no_pod() {
    let scene = Scene::serving().await.nodes("arm", "arm64", 2, &["arch=arm64:NoSchedule"]);
    let scene = scene.ships(Trouble::Nothing).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/amd64: the one node its pods can land on
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    assert_eq!(scene.landed(), "amd64");
}

#[tokio::test(flavor = "multi_thread")]
async fn tainted_nodes_count_for_pods_that_tolerate_them() {
    let scene = Scene::serving().await.nodes("arm", "arm64", 2, &["arch=arm64:NoSchedule"]);
    let toleration = json!({ "key": "arch", "value": "arm64", "effect": "NoSchedule" });
    let scene = scene.asks(&json!({ "tolerations": [toleration] })).await;
    let scene = scene.ships_for(&["linux/arm64"]);
    let told = scene.run("ship").await;
    // Which of the nodes run it meanwhile is the scheduler's affair.
    insta::assert_snapshot!(scene.called(&told.ending()), @"
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/arm64; its pods can land on arm-1 (linux/arm64), arm-2 (linux/arm64), node-1 (linux/amd64)
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64,linux/arm64 --output type=oci,tar=false,dest=image .
    ");
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_without_a_node_yet_tells_by_its_ami() {
    let scene = Scene::serving().await.cordoned().groups(&[("arm", "AL2023_ARM_64_STANDARD")]);
    let scene = scene.may_read_groups().ships(Trouble::Nothing).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/arm64: the one node group its pods can land on
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/amd64; linux/arm64 is needed: the one node group its pods can land on
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/arm64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_may_not_be_read_leaves_the_word_to_what_serves() {
    let scene = Scene::serving().await.cordoned().groups(&[("arm", "AL2023_ARM_64_STANDARD")]);
    let scene = scene.ships_for(&["linux/arm64"]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(decided(&scene, &told), @"
      platform  linux/amd64: the image that serves is
    not seen: node groups (may not list)
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/arm64; linux/amd64 is needed: the image that serves is
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64 --output type=oci,tar=false,dest=image .
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}
