//! Who runs, as STS and the verifier of the cluster see it.

use crate::scene::{Scene, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_takes_the_role_by_its_token() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("main");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.talk(&told), @"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    survey   @s  24 reads, nothing written
    plan
      who       role ship by OIDC, account 123456789012
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
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_another_branch_is_not_trusted() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("other");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-OIDC-TRUST]: nothing was written: role `ship` did not accept this run
      why:  STS answered AccessDenied; the token's own aud is sts.amazonaws.com, its sub is below
      now:  not visible
      next: its trust policy, if the role exists, needs in StringEquals:
            "token.actions.githubusercontent.com:sub": "repo:acme/shop:ref:refs/heads/other"
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_access_entry_is_told_to_make_one() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_user("stranger");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r"
    error[SW-EKS-401]: nothing was written: `prod` does not know user `stranger`
      why:  401 twice, the second time to a new token; DescribeAccessEntry: not seen (may not describe)
      now:  not visible
      next: aws eks create-access-entry --cluster-name prod --kubernetes-groups slipway \
              --principal-arn arn:aws:iam::123456789012:user/stranger
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_an_entry_and_no_rights_is_told_which() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_user("guest");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-EKS-403]: nothing was written: user `guest` may not get deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/guest" cannot get resource "deployments" in API group "apps" in the namespace "shop""
      now:  not visible
      next: kubectl -n shop create role guest --verb=get --resource=deployments.apps
            kubectl -n shop create rolebinding guest --role=guest --group=GROUP
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_the_keys_own_is_told_apart() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.with_secret("not/the/secret");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-AWS-KEY]: nothing was written: the secret access key is not the one of this access key
      why:  `sts:GetCallerIdentity` answered 403 SignatureDoesNotMatch: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
      now:  not visible
      next: set both `aws-access-key-id` and `aws-secret-access-key` again, without spaces or line ends; no stored key: `role-to-assume`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
