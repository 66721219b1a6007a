//! Rollouts that fail, each told with its cause and put back.

use crate::scene::{Scene, Trouble};

/// Ships an image that comes to this, within so much time, and tells the end.
async fn ends(trouble: Trouble, timeout: &str, bake: &str) -> String {
    let scene = Scene::serving().await.ships(trouble).await;
    let scene = scene.input("timeout", timeout).input("bake", bake);
    let told = scene.run("ship").await;
    scene.ends(&told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stops_is_explained_by_its_last_line() {
    insta::assert_snapshot!(ends(Trouble::Crash, "20s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_stops_in_the_bake_is_rolled_back() {
    insta::assert_snapshot!(ends(Trouble::LateCrash, "60s", "9s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_never_becomes_ready_ends_with_the_time() {
    insta::assert_snapshot!(ends(Trouble::NeverReady, "6s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_killed_for_its_memory_is_told_as_that() {
    insta::assert_snapshot!(ends(Trouble::Memory, "20s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_lies_about_its_platform_is_told_as_that() {
    insta::assert_snapshot!(ends(Trouble::LyingImage, "20s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_is_no_script_is_told_as_that() {
    insta::assert_snapshot!(ends(Trouble::NoFormat, "20s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_is_named() {
    insta::assert_snapshot!(ends(Trouble::MissingSecret, "10s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_volume_is_named() {
    insta::assert_snapshot!(ends(Trouble::MissingVolume, "20s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_refuses_pods_is_quoted() {
    insta::assert_snapshot!(ends(Trouble::Quota, "6s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_without_a_node_quotes_the_scheduler() {
    insta::assert_snapshot!(ends(Trouble::NoRoom, "6s", "1s").await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_may_not_pull_are_told_with_the_right_they_lack() {
    insta::assert_snapshot!(ends(Trouble::PullDenied, "10s", "1s").await, @"");
}
