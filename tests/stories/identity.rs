//! Who runs: keys, a token of the job, a role on top; and what is told where that is refused.

use slipway_sandbox::World;
use slipway_sandbox::kube::Speed;

use crate::stage::Stage;

const ROLE: &str = "arn:aws:iam::123456789012:role/ship";

/// A run of a workflow that plans a good commit.
async fn planning(change: impl FnOnce(&mut World)) -> Stage {
    Stage::with(change).await.serving().ships("good").on_github(11)
}

/// The same, by the job's token.
async fn by_token(change: impl FnOnce(&mut World)) -> Stage {
    let mut stage = planning(change).await;
    for (name, value) in stage.sandbox.oidc_environment() {
        if name.starts_with("ACTIONS_") {
            stage = stage.variable(&name, &value);
        }
    }
    let stage = stage.variable("AWS_ACCESS_KEY_ID", "").variable("AWS_SECRET_ACCESS_KEY", "");
    stage.input("role-to-assume", ROLE)
}

/// Plans, and tells who it was and what was said.
async fn told(stage: &Stage) -> String {
    let told = stage.run("plan").await;
    assert_eq!(stage.writes(), [""; 0]);
    let who = told.out.lines().find(|line| line.starts_with("  who")).unwrap_or("  who       ?");
    format!("{who}\n{}", told.words())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expected_account_is_said_and_another_is_refused() {
    let stage = planning(|_| {}).await.input("expect-account", "123456789012");
    insta::assert_snapshot!(told(&stage).await, @"
      who       user demo by access key, account 123456789012 as expected
    -> 0
    ");
    let stage = stage.input("expect-account", "210987654321");
    insta::assert_snapshot!(told(&stage).await, @"
      who       ?
    -> 3
    error[SW-AWS-ACCOUNT]: nothing was written: these credentials belong to account 123456789012, not to 210987654321
      why:  GetCallerIdentity: user `demo` in 123456789012; `expect-account` is 210987654321
      now:  not visible
      next: give the secrets or the role of that account, or correct `expect-account`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_accepted_are_told_apart() {
    let stage = planning(|_| {}).await.variable("AWS_SECRET_ACCESS_KEY", "not/the/secret");
    let refused = told(&stage).await;
    assert!(!refused.contains("not/the/secret"));
    insta::assert_snapshot!(refused, @r#"
      who       ?
    -> 3
    error[SW-AWS-KEY]: nothing was written: the secret access key is not the one of this access key
      why:  `sts:GetCallerIdentity` answered 403 SignatureDoesNotMatch: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
      now:  not visible
      next: set both `aws-access-key-id` and `aws-secret-access-key` again, without spaces or line ends; no stored key: `role-to-assume`
    "#);
    let stage = planning(|_| {}).await.variable("AWS_ACCESS_KEY_ID", "AKIANOBODY0000000000");
    let refused = told(&stage).await;
    assert!(!refused.contains("AKIANOBODY0000000000"));
    insta::assert_snapshot!(refused, @r#"
      who       ?
    -> 3
    error[SW-AWS-KEY]: nothing was written: AWS does not know the access key
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid."
      now:  not visible
      next: set both `aws-access-key-id` and `aws-secret-access-key` again, without spaces or line ends; no stored key: `role-to-assume`
    "#);
    let stage = planning(|_| {}).await.variable("AWS_SESSION_TOKEN", "dG9rZW4=");
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 3
    error[SW-AWS-KEY]: nothing was written: AWS does not know these temporary keys
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid."
      now:  not visible
      next: set `aws-access-key-id`, `aws-secret-access-key` and `aws-session-token` from one answer of STS
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_by_an_hour_is_followed() {
    for hours in [-1, 1] {
        let stage = planning(|world| world.clock_skew = jiff::SignedDuration::from_hours(hours));
        let told = told(&stage.await).await;
        assert!(told.contains("-> 0"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_taken_by_the_jobs_token() {
    let stage = by_token(|_| {}).await;
    insta::assert_snapshot!(told(&stage).await, @"
      who       role ship by OIDC, account 123456789012
    -> 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_does_not_trust_this_run_is_told_with_the_runs_own_words() {
    let stage = by_token(|world| world.roles[0].subjects = vec!["repo:acme/other:*".into()]).await;
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 3
    error[SW-OIDC-TRUST]: nothing was written: role `ship` did not accept this run
      why:  STS answered AccessDenied; the token's own aud is sts.amazonaws.com, its sub is below
      now:  not visible
      next: its trust policy, if the role exists, needs in StringEquals:
            "token.actions.githubusercontent.com:sub": "repo:demo/web:ref:refs/heads/main"
    "#);
    let stage = by_token(|world| world.roles.clear()).await;
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 3
    error[SW-OIDC-TRUST]: nothing was written: role `ship` did not accept this run
      why:  STS answered AccessDenied; the token's own aud is sts.amazonaws.com, its sub is below
      now:  not visible
      next: its trust policy, if the role exists, needs in StringEquals:
            "token.actions.githubusercontent.com:sub": "repo:demo/web:ref:refs/heads/main"
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_the_provider_is_told_how_to_make_one() {
    let stage = by_token(|world| world.oidc.provider = false).await;
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 3
    error[SW-OIDC-PROVIDER]: nothing was written: account 123456789012 has no OIDC provider for `token.actions.githubusercontent.com`
      why:  STS answered InvalidIdentityToken: "No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com"
      now:  not visible
      next: aws iam create-open-id-connect-provider \
              --url https://token.actions.githubusercontent.com --client-id-list sts.amazonaws.com
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_may_not_ask_for_a_token_is_told_the_permission() {
    let stage = planning(|_| {}).await.input("role-to-assume", ROLE);
    let stage = stage.variable("AWS_ACCESS_KEY_ID", "").variable("AWS_SECRET_ACCESS_KEY", "");
    insta::assert_snapshot!(told(&stage).await, @"
      who       ?
    -> 2
    error[SW-OIDC-TOKEN]: nothing was read or written: this job may not ask for an OIDC token
      why:  `role-to-assume` is given without keys, and the runner gave no ACTIONS_ID_TOKEN_REQUEST_URL
      now:  not looked at
      next: give the job `permissions: { contents: read, id-token: write }`
    ");
    let stage = by_token(|_| {}).await.variable("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "stale");
    insta::assert_snapshot!(told(&stage).await, @"
      who       ?
    -> 3
    error[SW-OIDC-TOKEN]: nothing was written: GitHub gave this job no OIDC token
      why:  `127.0.0.1:@PORT@` answered 401
      now:  not visible
      next: give the job `permissions: { contents: read, id-token: write }`; a run from a fork gets none
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_taken_with_keys() {
    let stage = planning(|_| {}).await.input("role-to-assume", ROLE);
    insta::assert_snapshot!(told(&stage).await, @"
      who       role ship by AssumeRole, account 123456789012
    -> 0
    ");
    let stage = planning(|world| world.roles[0].principals.clear()).await;
    insta::assert_snapshot!(told(&stage.input("role-to-assume", ROLE)).await, @r#"
      who       ?
    -> 3
    error[SW-AWS-ROLE]: nothing was written: user `demo` may not become role `ship`
      why:  STS answered AccessDenied: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/ship"
      now:  not visible
      next: name `arn:aws:iam::123456789012:user/demo` in the trust policy of `ship`;
            if it names the account instead, user `demo` needs {"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::123456789012:role/ship"}
    "#);
}

/// Temporary keys, as a step before this one would hand them on.
async fn temporary(stage: Stage) -> Stage {
    let url = stage.sandbox.url();
    // The client of this test needs it too, though it only talks to loopback; a second time is no fault.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let request = client.get(format!("{url}/oidc/token?audience=sts.amazonaws.com"));
    let secret = stage.sandbox.world(|world| world.oidc.request_token.clone());
    let token: serde_json::Value = serde_json::from_str(
        &request.bearer_auth(secret).send().await.unwrap().text().await.unwrap(),
    )
    .unwrap();
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn={ROLE}&RoleSessionName=step&WebIdentityToken={}",
        token["value"].as_str().unwrap()
    );
    let request =
        client.post(format!("{url}/")).header("Content-Type", "application/x-www-form-urlencoded");
    let answer = request.body(form).send().await.unwrap().text().await.unwrap();
    let of = |name: &str| {
        let (_, rest) =
            answer.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{answer}"));
        rest.split('<').next().unwrap_or_default().to_owned()
    };
    stage
        .variable("AWS_ACCESS_KEY_ID", &of("AccessKeyId"))
        .variable("AWS_SECRET_ACCESS_KEY", &of("SecretAccessKey"))
        .variable("AWS_SESSION_TOKEN", &of("SessionToken"))
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_keys_serve_until_they_expire() {
    let stage = temporary(planning(|_| {}).await).await;
    insta::assert_snapshot!(told(&stage).await, @"
      who       role ship by temporary keys, account 123456789012
    -> 0
    ");
    stage.sandbox.expire_sessions();
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 3
    error[SW-AWS-EXPIRED]: nothing was written: the AWS session of these keys has ended
      why:  `sts:GetCallerIdentity` answered 403 ExpiredToken: "The security token included in the request is expired"
      now:  not visible
      next: take fresh keys right before this step, or `role-to-assume` alone: slipway renews that by itself
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_leaves_this_machine_in_plaintext() {
    let stage = planning(|_| {}).await.variable("AWS_ENDPOINT_URL", "http://192.0.2.1:4566");
    insta::assert_snapshot!(told(&stage).await, @"
      who       ?
    -> 2
    error[SW-INPUT-ENDPOINT]: nothing was read or written: `http://192.0.2.1:4566/` would be reached in plaintext
      why:  only an endpoint on this machine may be `http://`: a login is sent to it
            AWS_ENDPOINT_URL says so
      now:  not looked at
      next: write the endpoint with `https://`, or unset it
    ");
    let stage = stage.variable("AWS_ENDPOINT_URL", "no address");
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 2
    error[SW-INPUT-ENDPOINT]: nothing was read or written: AWS_ENDPOINT_URL is no address
      why:  it is "no address"
      now:  not looked at
      next: unset AWS_ENDPOINT_URL, or write it as https://HOST
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_is_told_with_its_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let stage =
        planning(|_| {}).await.variable("AWS_ENDPOINT_URL_STS", &format!("http://{address}"));
    insta::assert_snapshot!(told(&stage).await.replace(&address, "@ADDRESS@"), @r#"
      who       ?
    -> 3
    error[SW-AWS-REACH]: nothing was written: no connection to `@ADDRESS@`
      why:  "Connection refused (os error 111)"
      now:  not visible
      next: let the runner reach @ADDRESS@; behind a proxy, set HTTPS_PROXY
    "#);
}

/// Ships while the watch of pods is cut, so that it is opened again, and ends every session in
/// mid-watch: exit code, end, what is set afterwards. `taken`: how often a role is taken in all.
async fn ended_early(stage: Stage, taken: usize) -> String {
    stage.sandbox.fault("watch pods", 9999, slipway_sandbox::Fault::CutAnswer { after: 12_000 });
    // The rollout is slow meanwhile.
    stage.kube().go_on_at(Speed::Times(1.0));
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    stage.sandbox.expire_sessions();
    stage.asked_times(taken, "sts:AssumeRole").await;
    stage.kube().go_on_at(Speed::Times(20.0));
    if taken > 1 {
        stage.sandbox.heal();
    }
    let told = going.end(&stage).await;
    let took = |r: &&slipway_sandbox::Request| {
        r.action.as_deref().is_some_and(|action| action.starts_with("sts:AssumeRole"))
    };
    assert_eq!(stage.sandbox.log().iter().filter(took).count(), taken);
    format!("-> {}\n{}{}", told.exit, told.ending(), stage.set())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_revoked_in_the_watch_is_taken_anew_by_the_jobs_token() {
    let stage = by_token(|_| {}).await;
    insta::assert_snapshot!(ended_early(stage, 2).await, @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_revoked_in_the_watch_is_taken_anew_with_keys() {
    let stage = planning(|_| {}).await.input("role-to-assume", ROLE);
    insta::assert_snapshot!(ended_early(stage, 2).await, @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_keys_that_are_revoked_in_the_watch_end_it_with_the_reason() {
    // The step before took the role, and nobody takes it again.
    let stage = temporary(planning(|_| {}).await).await;
    insta::assert_snapshot!(ended_early(stage, 1).await, @r#"
    -> 6
    error[SW-RUN-UNKNOWN]: `shop/web` may run 9f2c1e4 or 3f2a91c: the AWS session of these keys has ended
      why:  `sts:GetCallerIdentity` answered 403 ExpiredToken: "The security token included in the request is expired"
      now:  not visible
      next: a person is needed: take fresh keys, then slipway status
    web:9f2c1e4@sha256:406c22a70f42
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_the_services_are_not_in_is_no_bad_key() {
    let stage = planning(|_| {}).await.input("aws-region", "us-east-1");
    insta::assert_snapshot!(told(&stage).await, @r#"
      who       ?
    -> 3
    error[SW-INPUT-INVALID]: nothing was written: `aws-region` is `us-east-1`, which is not where 127.0.0.1:@PORT@ is
      why:  `sts:GetCallerIdentity` answered 403 SignatureDoesNotMatch: "Credential should be scoped to a valid region, not 'us-east-1'."
      now:  not visible
      next: set `aws-region` to the region of the repository and the cluster, or mend the AWS_ENDPOINT_URL that is set
    "#);
}
