//! A commit that becomes running pods, and one that is there already.

use crate::scene::{Scene, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_commit_is_shipped_and_then_unchanged() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.input("allow", "");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.talk(&told), @"");
    insta::assert_snapshot!(scene.serves(), @"");
    assert_eq!(told.exit, 0);
    let again = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&again), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    let told = scene.run("plan").await;
    insta::assert_snapshot!(scene.called(&told.out), @"");
    insta::assert_snapshot!(scene.serves(), @"");
    assert_eq!(told.exit, 0);
}
