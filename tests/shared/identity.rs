//! Who runs, as STS and the verifier of the cluster see it.

use crate::scene::{Scene, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_takes_the_role_by_its_token() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("main");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.talk(&told), @"");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_branch_is_not_trusted() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("other");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_access_entry_is_told_to_make_one() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_user("stranger");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_entry_and_no_rights_is_told_which() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_user("guest");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_the_keys_own_is_told_apart() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.with_secret("not/the/secret");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}
