//! Who runs, as STS and the verifier of the cluster see it.

use crate::scene::{Scene, Token, Trouble};

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
async fn a_provider_that_does_not_take_the_audience_is_told_to_add_it() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("main");
    let scene = scene.provider_takes("sigstore");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-OIDC-PROVIDER]: nothing was written: account 123456789012 does not take OIDC tokens for `sts.amazonaws.com`
      why:  STS answered InvalidIdentityToken: "Incorrect token audience"
      now:  not visible
      next: aws iam add-client-id-to-open-id-connect-provider \
              --open-id-connect-provider-arn arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com --client-id sts.amazonaws.com
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_ended_is_not_called_untrusted() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job_with(Token::Ended);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-OIDC-TOKEN]: nothing was written: GitHub's OIDC token had ended when STS read it
      why:  STS answered ExpiredTokenException: "Token expired: current date/time @SECOND@ must be before the expiration date/time @SECOND@"
      now:  not visible
      next: run the job again; with a GitHub server of your own, set its clock (NTP)
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_key_that_nobody_shows_is_no_missing_provider() {
    let scene =
        Scene::serving().await.ships(Trouble::Nothing).await.by_job_with(Token::Unpublished);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-OIDC-PROVIDER]: nothing was written: STS found no key of `token.actions.githubusercontent.com` to check this job's OIDC token with
      why:  STS answered InvalidIdentityToken: "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements"
      now:  not visible
      next: run the job again in a minute; AWS itself has to reach https://token.actions.githubusercontent.com/.well-known/openid-configuration
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_does_not_know_github_is_told_how_to() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job("main");
    let scene = scene.without_provider();
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-OIDC-PROVIDER]: nothing was written: account 123456789012 has no OIDC provider for `token.actions.githubusercontent.com`
      why:  STS answered InvalidIdentityToken: "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com"
      now:  not visible
      next: aws iam create-open-id-connect-provider \
              --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_may_not_ask_for_a_token_is_told_the_permission() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.by_job_without_tokens();
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-OIDC-TOKEN]: nothing was read or written: this job may not ask for an OIDC token
      why:  `role-to-assume` is given without keys, and the runner gave no ACTIONS_ID_TOKEN_REQUEST_URL
      now:  not looked at
      next: give the job `permissions: { contents: read, id-token: write }`
    -> 2
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
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
