//! What a failed rollout is undone to, by what served before; and going back on purpose.

use crate::scene::{Scene, Trouble};
use crate::stage::OLD;

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_still_means_what_runs_is_put_back_as_it_was() {
    let scene = Scene::serving().await.in_ecr("v1", "old").runs("v1").await;
    let scene = scene.ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:v1, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_goes_back_to_the_digest_that_ran() {
    let scene = Scene::serving().await.in_ecr("latest", "old").runs("latest").await;
    let scene = scene.in_ecr("latest", "moved").ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_rollout_the_last_whole_revision_is_put_back() {
    let scene = Scene::serving().await.ships(Trouble::Crash).await;
    scene.rolls_to_nothing().await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
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
async fn a_person_goes_back_to_the_commit_before() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    assert_eq!(scene.run("ship").await.exit, 0);
    let inputs = [("to", OLD), ("commit", ""), ("image", ""), ("allow", "")];
    let told = scene.run_with("rollback", &inputs).await;
    insta::assert_snapshot!(scene.talk(&told), @"
    slipway 0.1.0: rollback to 3f2a91c of shop/web in prod
    survey   @s  24 reads, nothing written
    plan
      who       user ship by access key, account 123456789012
      image     web:3f2a91c is in ECR: @OLD@
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 9f2c1e4 -> 3f2a91c, and slipway's own annotations
      restore   9f2c1e4 @NEW@: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation @ -> @
    watch
      +@s   baked 1s: 0 restarts, 3/3 pods run @OLD@
    shop/web is back at 3f2a91c in @s; 9f2c1e4 is withdrawn, newer commits ship as usual
    ");
    insta::assert_snapshot!(scene.serves(), @"web:3f2a91c@@OLD@, 3 ready, run @OLD@");
    assert_eq!(told.exit, 0);
}
