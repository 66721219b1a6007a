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

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_left_ecr_is_put_back_while_its_pods_serve_but_a_person_is_needed() {
    let scene = Scene::serving().await.gone_from_ecr().ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-RESTORE-GONE]: `shop/web` was rolled back, but 3f2a91c left ECR: 9f2c1e4 fails (SW-CRASH-EXIT)
      why:  BatchGetImage: ImageNotFound for @OLD@
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  3f2a91c serves, 3/3 ready: these pods cannot move, no node can pull their image
      next: a person is needed: push a fix before these pods have to move to another node
    -> 6
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_recreate_the_old_image_is_started_again() {
    let scene = Scene::serving().await.recreating().ships(Trouble::Crash).await;
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
async fn after_recreate_an_image_that_left_ecr_leaves_nothing_that_serves() {
    let scene = Scene::serving().await.recreating().gone_from_nodes("tag-not-found");
    let scene = scene.gone_from_ecr().ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-RESTORE-GONE]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), 3f2a91c left ECR
      why:  3f2a91c: image `web:3f2a91c` is not in ECR `web`
            kubelet on node-1: "...to resolve image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web@@OLD@: not found"
            BatchGetImage: ImageNotFound for @OLD@
            strategy Recreate had ended its pods
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  3f2a91c is set, 0/3 ready: nothing serves
      next: a person is needed: slipway status, then push a fix
    -> 6
    web:3f2a91c@@OLD@, 0 ready, run
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_healthy_to_go_back_to_the_new_image_stays() {
    let scene = Scene::serving().await.down().await.ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-RESTORE-NONE]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), no earlier revision was healthy
      why:  9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  9f2c1e4 is set, 0/3 new, 0 old ready: nothing serves
      next: push a fix
    -> 6
    web:9f2c1e4@@NEW@, 0 ready, run
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_serves_a_good_commit_is_shipped_all_the_same() {
    let scene = Scene::serving().await.down().await.ships(Trouble::Nothing).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.called(&told.words()), @"
    -> 0
    warning[SW-WORKLOAD-UNHEALTHY]: `shop/web` is not healthy now: 0 of 3 pods of revision @ are ready
      next: nothing: there is no healthy revision, so a failure would not be rolled back
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(scene.serves(), @"web:9f2c1e4@@NEW@, 3 ready, run @NEW@");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_the_cluster_refuses_is_told_with_what_is_set() {
    let scene = Scene::serving().await.ships(Trouble::NeverReady).await.input("timeout", "6s");
    let mut going = scene.start("ship");
    going.until("0/3 new").await;
    scene.forbids("patch", "deployments");
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told).replace(", for @s", ""), @r#"
    error[SW-RESTORE-FAILED]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-PROBE-READY), user `ship` may not patch deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/ship" cannot patch resource "deployments" in API group "apps" in the namespace "shop""
            9f2c1e4: container `app` runs, but its readiness probe does not pass
            kubelet on node-1: "Readiness probe failed: Get "http://@ADDRESS@:8080/": dial tcp @ADDRESS@:8080: connect: connection refused"; 1/1 new pods
      now:  9f2c1e4 is set, 0/3 new, 3 old ready
      next: a person is needed: slipway status, then push a fix
    -> 6
    web:9f2c1e4@@NEW@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_does_not_become_ready_is_told_with_both_causes() {
    let scene = Scene::serving().await.recreating().gone_from_nodes("pull-denied");
    let scene = scene.ships(Trouble::Crash).await.input("timeout", "10s");
    let mut going = scene.start("ship");
    going.until("deploy ").await;
    scene.pulls_end(&going).await;
    let told = scene.end(going).await;
    // Whether a trouble has lasted a second when it is told depends on when its second began.
    insta::assert_snapshot!(scene.ends(&told).replace(", for @s", ""), @r#"
    error[SW-RESTORE-FAILED]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), 3f2a91c did not become ready again
      why:  3f2a91c: the nodes may not pull from ECR `web`
            kubelet on node-1: "...403 Forbidden"; one account for image and cluster
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  3f2a91c is set, 0/3 ready: nothing serves
      next: a person is needed: slipway status, then push a fix
    -> 6
    web:3f2a91c@@OLD@, 0 ready, run
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_of_an_index_is_put_back_as_it_was() {
    let scene = Scene::serving().await.runs_index("multi").await.ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: multi serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:multi, 3 ready, run @INDEX@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_registry_is_put_back_as_it_was() {
    let scene = Scene::serving().await.runs_from_elsewhere().await.ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    nginx:1.24.0, 3 ready, run @OLD@
    "#);
}
