//! A commit that becomes running pods, and one that is there already.

use crate::scene::{Scene, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_commit_is_shipped_and_then_unchanged() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.input("allow", "");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.talk(&told), @"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    survey   @s  24 reads, nothing written
    plan
      who       user ship by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, @NEW@, @ B
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c @OLD@: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    push     @s  @NEW@, 1 layer new (@ B)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation @ -> @
    watch
      +@s   baked 1s: 0 restarts, 3/3 pods run @NEW@
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(scene.serves(), @"web:9f2c1e4@@NEW@, 3 ready, run @NEW@");
    assert_eq!(told.exit, 0);
    let again = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&again), @"
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_writes_nothing() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    let told = scene.run("plan").await;
    insta::assert_snapshot!(scene.called(&told.out), @"
    plan
      who       user ship by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, @NEW@, @ B
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c @OLD@: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    ");
    insta::assert_snapshot!(scene.serves(), @"web:3f2a91c@@OLD@, 3 ready, run @OLD@");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_the_nodes_know_by_another_digest_is_shipped() {
    let scene = Scene::serving().await.ships_the_same_under_another_digest();
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.called(&told.ending()), @"shipped 9f2c1e4 to shop/web in @s");
    assert!(told.err.contains("3/3 pods run sha256:"), "{}", told.err);
    assert_eq!(told.exit, 0);
    let serves = scene.serves();
    assert!(serves.starts_with("web:9f2c1e4@@NEW@, 3 ready, run @"), "{serves}");
}
