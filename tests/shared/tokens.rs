//! What ends while a run goes on, and services that fail for a while: who asks, and with what.

use crate::scene::{Scene, Strike, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_between_push_and_deploy_is_taken_anew_once() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("main");
    scene.strikes("ecr:PutImage", 1, Strike::Late);
    let mut going = scene.start("ship");
    going.until("  watch ").await;
    scene.ends_sessions();
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    assert_eq!(scene.answered("sts:AssumeRoleWithWebIdentity"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_in_the_watch_is_taken_anew_for_the_rollback() {
    let scene = Scene::serving().await.ships(Trouble::LateCrash).await.by_job("main");
    let scene = scene.input("timeout", "60s").input("bake", "9s");
    let mut going = scene.start("ship");
    going.until("deploy ").await;
    scene.ends_sessions();
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
      why:  its last line: "lost the database"; @ new pods, @ @ after it was ready
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
    assert_eq!(scene.answered("sts:AssumeRoleWithWebIdentity"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_deactivated_before_the_deploy_deploys_nothing() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.strikes("ecr:PutImage", 1, Strike::Late);
    let mut going = scene.start("ship");
    going.until("  watch ").await;
    scene.deactivates_key();
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-AWS-KEY]: nothing was deployed: AWS took the access key at first, and now does not know it
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid."
      now:  3f2a91c serves, 3/3 ready
      next: it was deactivated or deleted in this run: set both `aws-access-key-id` and `aws-secret-access-key` of an active one; no stored key: `role-to-assume`
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_deactivated_in_the_watch_leaves_what_was_set() {
    let scene = Scene::serving().await.ships(Trouble::NeverReady).await;
    let scene = scene.input("timeout", "15s");
    let mut going = scene.start("ship");
    going.until("0/3 new").await;
    scene.deactivates_key();
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-RUN-UNKNOWN]: `shop/web` may run 9f2c1e4 or 3f2a91c: AWS took the access key at first, and now does not know it
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid."
      now:  not visible
      next: a person is needed: give an active key, then slipway status
    -> 6
    web:9f2c1e4@@NEW@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_ends_in_the_push_is_asked_for_again() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.strikes("ecr:InitiateLayerUpload", 1, Strike::Late);
    let going = scene.start("ship");
    // Of its configuration and its one layer; a HEAD that is refused has no words to tell why.
    scene.until_answered(2, "ecr:BatchCheckLayerAvailability").await;
    scene.ends_passwords();
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    assert_eq!(scene.answered("ecr:GetAuthorizationToken"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_cluster_does_not_take_is_followed_by_a_new_one() {
    let scene = Scene::serving().await.ships(Trouble::LateCrash).await;
    let scene = scene.input("timeout", "60s").input("bake", "9s");
    let mut going = scene.start("ship");
    going.until("deploy ").await;
    scene.refuses_next_token();
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 1
      why:  its last line: "lost the database"; @ new pods, @ @ after it was ready
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
    assert_eq!(scene.refused_tokens(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_fail_twice_are_asked_until_they_answer() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("main");
    scene.strikes("sts:AssumeRoleWithWebIdentity", 2, Strike::Throttled);
    scene.strikes("ecr:GetAuthorizationToken", 2, Strike::Throttled);
    scene.strikes("eks:DescribeCluster", 2, Strike::Broken);
    scene.strikes("ecr:BatchGetImage", 2, Strike::Throttled);
    scene.strikes("ecr:PutImage", 2, Strike::Broken);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    assert_eq!(scene.answered("ecr:GetAuthorizationToken"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_throttles_to_the_end_is_told_with_the_limit() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.strikes("ecr:GetAuthorizationToken", 99, Strike::Throttled);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-ECR-429]: nothing was written: AWS throttled `ecr:GetAuthorizationToken`, 5 times
      why:  `ecr:GetAuthorizationToken` answered 400 ThrottlingException: "Rate exceeded", in ap-northeast-2
      now:  not visible
      next: run it again in a minute; the limit is one of the account and region
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stays_broken_is_told_in_its_own_words() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    scene.strikes("eks:DescribeCluster", 99, Strike::Broken);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-AWS-ANSWER]: nothing was written: AWS did not do `eks:DescribeCluster`
      why:  `eks:DescribeCluster` answered 503 ServiceUnavailableException: "Service Unavailable"
      now:  not visible
      next: run it again; if it stays: https://health.aws.amazon.com for ap-northeast-2
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
