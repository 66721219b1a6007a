//! STS, ECR's API and EKS over loopback, asked with real signatures.

use std::time::Duration;

use crate::client::{Reply, Signer, send};
use serde_json::{Value, json};
use slipway_sandbox::{Image, Sandbox, World};

async fn demo() -> (Sandbox, Signer) {
    let mut world = World::default();
    world.image("demo/web", "one", &Image::new("linux/arm64", "one"));
    let sandbox = Sandbox::start(world).await.unwrap();
    let signer = Signer::of(&sandbox);
    (sandbox, signer)
}

fn refusal(reply: &Reply) -> String {
    let body = reply.json();
    let (code, said) = match &body["Error"] {
        Value::Null => (&body["__type"], &body["message"]),
        error => (&error["Code"], &error["Message"]),
    };
    format!("{} {}: {}", reply.status, code.as_str().unwrap(), said.as_str().unwrap())
}

#[tokio::test]
async fn a_signed_caller_is_named_and_an_unknown_or_wrong_key_is_not() {
    let (sandbox, signer) = demo().await;
    let reply = signer.sts(&sandbox, "Action=GetCallerIdentity").await;
    let result = &reply.json()["GetCallerIdentityResponse"]["GetCallerIdentityResult"];
    assert_eq!(result["Arn"], "arn:aws:iam::123456789012:user/demo");
    let id = result["UserId"].as_str().unwrap();
    assert_eq!((&id[..4], id.len()), ("AIDA", 21));
    let unknown = Signer { key: "AKIANOBODY".into(), ..signer.clone() };
    insta::assert_snapshot!(
        refusal(&unknown.sts(&sandbox, "Action=GetCallerIdentity").await),
        @"403 InvalidClientTokenId: The security token included in the request is invalid."
    );
    let wrong = Signer { secret: "wrong".into(), ..signer.clone() };
    insta::assert_snapshot!(
        refusal(&wrong.ecr(&sandbox, "DescribeRepositories", &json!({})).await),
        @"400 InvalidSignatureException: The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
    );
    let elsewhere = Signer { region: "us-east-1".into(), ..signer };
    insta::assert_snapshot!(
        refusal(&elsewhere.sts(&sandbox, "Action=GetCallerIdentity").await),
        @"403 SignatureDoesNotMatch: Credential should be scoped to a valid region, not 'us-east-1'. "
    );
}

#[tokio::test]
async fn a_body_that_was_changed_after_signing_is_refused() {
    let (sandbox, signer) = demo().await;
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let signed = signer.signed(&sandbox, "sts", "POST", "/", &[], form);
    let headers: Vec<_> =
        signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(send(&sandbox, "POST", "/", &headers, form).await.unwrap().status, 200);
    let other = format!("{form}&Other=1");
    let refused = send(&sandbox, "POST", "/", &headers, other).await.unwrap();
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("<Code>SignatureDoesNotMatch</Code>"), "{}", refused.text());
}

#[tokio::test]
async fn a_clock_that_is_off_is_refused_and_shows_in_the_date() {
    let (sandbox, signer) = demo().await;
    sandbox.world(|world| world.clock_skew = jiff::SignedDuration::from_mins(20));
    let reply = signer.sts(&sandbox, "Action=GetCallerIdentity").await;
    assert!(refusal(&reply).starts_with("403 SignatureDoesNotMatch: Signature expired: "));
    let date = jiff::fmt::rfc2822::parse(&reply.header("date")).unwrap().timestamp();
    assert!(date.duration_since(jiff::Timestamp::now()).as_secs() > 19 * 60);
    let ahead = Signer { ahead: Duration::from_secs(20 * 60), ..signer };
    assert_eq!(ahead.sts(&sandbox, "Action=GetCallerIdentity").await.status, 200);
}

/// Becomes the role `ship` by the runner's token.
async fn by_oidc(sandbox: &Sandbox) -> Reply {
    let audience = "/oidc/token?run=1&audience=sts.amazonaws.com";
    let bearer = [("authorization", "bearer sandbox-id-token-request")];
    let token = send(sandbox, "GET", audience, &bearer, "").await.unwrap().json();
    let form = format!(
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=slipway-1\
         &RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fship&WebIdentityToken={}",
        token["value"].as_str().unwrap()
    );
    send(sandbox, "POST", "/", &[("accept", "application/json")], form).await.unwrap()
}

#[tokio::test]
async fn a_run_becomes_its_role_until_the_session_ends() {
    let (sandbox, signer) = demo().await;
    let reply = by_oidc(&sandbox).await.json();
    let given = &reply["AssumeRoleWithWebIdentityResponse"]["AssumeRoleWithWebIdentityResult"]["Credentials"];
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    let role = Signer {
        key: text("AccessKeyId"),
        secret: text("SecretAccessKey"),
        token: Some(text("SessionToken")),
        ..signer
    };
    let who = role.sts(&sandbox, "Action=GetCallerIdentity").await.text();
    assert!(who.contains("arn:aws:sts::123456789012:assumed-role/ship/slipway-1"), "{who}");
    sandbox.expire_sessions();
    insta::assert_snapshot!(
        refusal(&role.ecr(&sandbox, "DescribeRepositories", &json!({})).await),
        @"400 ExpiredTokenException: The security token included in the request is expired"
    );
    let untokened = Signer { token: None, ..role };
    let reply = untokened.sts(&sandbox, "Action=GetCallerIdentity").await;
    assert!(refusal(&reply).contains("InvalidClientTokenId"));
}

#[tokio::test]
async fn a_token_is_judged_by_provider_key_time_audience_and_trust() {
    let (sandbox, _) = demo().await;
    sandbox.world(|world| world.oidc.subject = "repo:evil/fork:pull_request".into());
    insta::assert_snapshot!(
        refusal(&by_oidc(&sandbox).await),
        @"403 AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity"
    );
    sandbox.world(|world| world.oidc.audiences = vec!["sigstore".into()]);
    insta::assert_snapshot!(
        refusal(&by_oidc(&sandbox).await),
        @"400 InvalidIdentityToken: Incorrect token audience"
    );
    sandbox.world(|world| world.oidc.life = Duration::ZERO);
    assert!(
        refusal(&by_oidc(&sandbox).await).starts_with("400 ExpiredTokenException: Token expired")
    );
    sandbox.world(|world| world.oidc.published = false);
    insta::assert_snapshot!(
        refusal(&by_oidc(&sandbox).await),
        @"400 InvalidIdentityToken: Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
    );
    sandbox.world(|world| world.oidc.provider = false);
    insta::assert_snapshot!(
        refusal(&by_oidc(&sandbox).await),
        @"400 InvalidIdentityToken: No OpenIDConnect provider found in your account for https://token.actions.githubusercontent.com"
    );
}

#[tokio::test]
async fn a_denied_action_is_refused_in_the_words_of_iam() {
    let (sandbox, signer) = demo().await;
    sandbox.world(|world| {
        world.deny("ecr:BatchGetImage");
    });
    let ask = json!({ "repositoryName": "demo/web", "imageIds": [{ "imageTag": "one" }] });
    insta::assert_snapshot!(
        refusal(&signer.ecr(&sandbox, "BatchGetImage", &ask).await),
        @"400 AccessDeniedException: User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/demo/web because no identity-based policy allows the ecr:BatchGetImage action"
    );
    let other = json!({ "repositoryName": "demo/web" });
    assert_eq!(signer.ecr(&sandbox, "DescribeImages", &other).await.status, 200);
}

/// EKS asks for every cluster there is, not for `*`.
#[tokio::test]
async fn a_denied_list_of_clusters_names_them_all() {
    let (sandbox, signer) = demo().await;
    sandbox.world(|world| {
        world.deny("eks:ListClusters");
    });
    let reply = signer.send(&sandbox, "eks", "GET", "/clusters", &[], "").await.unwrap();
    assert_eq!(
        (reply.status, reply.header("x-amzn-errortype").as_str()),
        (403, "AccessDeniedException")
    );
    insta::assert_snapshot!(reply.json()["message"].as_str().unwrap(), @"User: arn:aws:iam::123456789012:user/demo is not authorized to perform: eks:ListClusters on resource: arn:aws:eks:ap-northeast-2:123456789012:cluster/* because no identity-based policy allows the eks:ListClusters action");
}

#[tokio::test]
async fn images_are_got_by_tag_and_digest_and_failures_are_listed() {
    let (sandbox, signer) = demo().await;
    let digest = Image::new("linux/arm64", "one").digest();
    let ask = json!({ "repositoryName": "demo/web", "imageIds": [
        { "imageTag": "one" }, { "imageDigest": digest }, { "imageTag": "none" },
    ]});
    let got = signer.ecr(&sandbox, "BatchGetImage", &ask).await.json();
    assert_eq!(got["images"].as_array().unwrap().len(), 2);
    assert_eq!(got["images"][0]["imageId"]["imageDigest"], *digest);
    assert_eq!(got["failures"][0]["failureCode"], "ImageNotFound");
    let gone = json!({ "repositoryName": "demo/web", "imageIds": [{ "imageDigest": digest }] });
    signer.ecr(&sandbox, "BatchDeleteImage", &gone).await;
    assert!(sandbox.tags("demo/web").is_empty());
    let writes: Vec<_> = sandbox.writes().into_iter().filter_map(|r| r.action).collect();
    assert_eq!(writes, ["ecr:BatchDeleteImage"]);
}

#[tokio::test]
async fn a_repository_is_created_once_and_with_its_settings() {
    let (sandbox, signer) = demo().await;
    let ask = json!({ "repositoryName": "team/api", "imageTagMutability": "IMMUTABLE",
        "imageScanningConfiguration": { "scanOnPush": true } });
    let made = signer.ecr(&sandbox, "CreateRepository", &ask).await.json();
    assert_eq!(
        made["repository"]["repositoryUri"],
        "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/team/api"
    );
    insta::assert_snapshot!(
        refusal(&signer.ecr(&sandbox, "CreateRepository", &ask).await),
        @"400 RepositoryAlreadyExistsException: The repository with name 'team/api' already exists in the registry with id '123456789012'"
    );
    let bad = json!({ "repositoryName": "Team" });
    assert!(
        refusal(&signer.ecr(&sandbox, "CreateRepository", &bad).await).contains("InvalidParameter")
    );
    let kept = sandbox.world(|world| world.repositories["team/api"].clone());
    assert!(kept.immutable && kept.scan_on_push);
    assert_eq!(sandbox.writes().len(), 1, "a refused creation writes nothing");
}

#[tokio::test]
async fn eks_describes_the_cluster_its_node_groups_and_who_may_enter() {
    let (sandbox, signer) = demo().await;
    let ask = |path: &'static str| {
        let (signer, sandbox) = (&signer, &sandbox);
        async move { signer.send(sandbox, "eks", "GET", path, &[], "").await.unwrap() }
    };
    let cluster = ask("/clusters/demo").await.json();
    assert_eq!(cluster["cluster"]["endpoint"], *sandbox.url().replace("http", "https"));
    assert_eq!(cluster["cluster"]["status"], "ACTIVE");
    let group = ask("/clusters/demo/node-groups/ng-1").await.json();
    assert_eq!(group["nodegroup"]["amiType"], "AL2023_ARM_64_STANDARD");
    let role = "/clusters/demo/access-entries/arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fship";
    assert_eq!(ask(role).await.json()["accessEntry"]["type"], "STANDARD");
    let missing = ask("/clusters/nope").await;
    assert_eq!(
        (missing.status, missing.header("x-amzn-errortype").as_str()),
        (404, "ResourceNotFoundException")
    );
    assert_eq!(missing.json()["message"], "No cluster found for name: nope.");
}
