//! Faults over healthy services, the cluster's door, GitHub, and what the log says of it all.

use std::time::{Duration, SystemTime};

use crate::client::{Reply, Signer, send};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use slipway_sandbox::{Fault, Sandbox, World};
use tokio::time::timeout;

async fn demo() -> (Sandbox, Signer) {
    let sandbox = Sandbox::start(World::default()).await.unwrap();
    let signer = Signer::of(&sandbox);
    (sandbox, signer)
}

async fn github(sandbox: &Sandbox, token: &str, path: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    send(sandbox, "GET", path, &[("authorization", &bearer)], "").await.unwrap()
}

#[tokio::test]
async fn a_status_fault_strikes_as_often_as_asked_and_applies_nothing() {
    let (sandbox, signer) = demo().await;
    sandbox.fault("ecr:CreateRepository", 2, Fault::throttled());
    let ask = json!({ "repositoryName": "team/api" });
    for _ in 0..2 {
        let reply = signer.ecr(&sandbox, "CreateRepository", &ask).await;
        assert_eq!(reply.json()["__type"], "ThrottlingException");
    }
    assert!(sandbox.writes().is_empty());
    assert_eq!(signer.ecr(&sandbox, "CreateRepository", &ask).await.status, 200);
    let seen: Vec<_> = sandbox.log().into_iter().map(|r| (r.status, r.wrote)).collect();
    assert_eq!(seen, [(400, false), (400, false), (200, true)]);
}

#[tokio::test]
async fn a_dropped_answer_is_applied_and_noted_without_a_status() {
    let (sandbox, signer) = demo().await;
    sandbox.fault("ecr:CreateRepository", 1, Fault::DropAnswer);
    let body = json!({ "repositoryName": "team/api" }).to_string();
    let target = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    let sent = signer.send(&sandbox, "ecr", "POST", "/", &[("x-amz-target", target)], &body).await;
    assert!(sent.is_err());
    assert!(sandbox.world(|world| world.repositories.contains_key("team/api")));
    let writes = sandbox.writes();
    assert_eq!((writes.len(), writes[0].status), (1, 0));
}

#[tokio::test]
async fn an_answer_is_cut_delayed_replaced_or_never_comes() {
    let (sandbox, signer) = demo().await;
    let ask = || signer.send(&sandbox, "eks", "GET", "/clusters/demo", &[], "");
    sandbox.fault("eks:", 1, Fault::CutAnswer { after: 10 });
    assert!(ask().await.is_err());
    sandbox.fault("eks:", 1, Fault::WrongBody("<html>".into()));
    assert_eq!(ask().await.unwrap().text(), "<html>");
    sandbox.fault("eks:", 1, Fault::Stall);
    assert!(timeout(Duration::from_millis(100), ask()).await.is_err());
    sandbox.fault("eks:", 1, Fault::StallAnswer { after: 10 });
    assert!(timeout(Duration::from_millis(100), ask()).await.is_err());
    sandbox.fault("eks:", 1, Fault::Delay(Duration::from_millis(100)));
    assert!(timeout(Duration::from_millis(50), ask()).await.is_err());
    assert_eq!(ask().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_fault_waits_for_those_it_lets_pass_and_is_healed() {
    let (sandbox, signer) = demo().await;
    let ask = || signer.send(&sandbox, "eks", "GET", "/clusters", &[], "");
    sandbox.fault_after(1, "GET /clusters", 5, Fault::status(503));
    assert_eq!(ask().await.unwrap().status, 200);
    assert_eq!(ask().await.unwrap().status, 503);
    sandbox.heal();
    assert_eq!(ask().await.unwrap().status, 200);
}

/// A token as `aws eks get-token` makes it, for this host and cluster and this much later.
fn token(signer: &Signer, host: &str, cluster: &str, ahead: Duration) -> String {
    let identity = Credentials::new(&signer.key, &signer.secret, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(60));
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&signer.region)
        .name("sts")
        .time(SystemTime::now() - Duration::from_secs(3600) + ahead)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("https://{host}/?Action=GetCallerIdentity&Version=2011-06-15");
    let headers = [("x-k8s-aws-id", cluster)];
    let signable =
        SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(b"")).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let query: String =
        instructions.params().iter().map(|(k, v)| format!("&{k}={}", encoded(v))).collect();
    format!("k8s-aws-v1.{}", BASE64_URL_SAFE_NO_PAD.encode(format!("{url}{query}")))
}

fn encoded(text: &str) -> String {
    text.replace('%', "%25")
        .replace('/', "%2F")
        .replace(';', "%3B")
        .replace('+', "%2B")
        .replace('=', "%3D")
}

#[tokio::test]
async fn the_cluster_takes_tokens_of_its_own_name_its_region_and_the_last_quarter_hour() {
    let (sandbox, signer) = demo().await;
    let sts = "sts.ap-northeast-2.amazonaws.com";
    let hour = Duration::from_secs(3600);
    let enter = async |signer: &Signer, host: &str, cluster: &str, ahead: Duration| {
        let bearer = format!("Bearer {}", token(signer, host, cluster, ahead));
        send(&sandbox, "GET", "/api", &[("authorization", &bearer)], "").await.unwrap().status
    };
    assert_eq!(enter(&signer, sts, "demo", hour).await, 200);
    assert_eq!(enter(&signer, sts, "other", hour).await, 401);
    assert_eq!(enter(&signer, "sts.evil.example", "demo", hour).await, 401);
    assert_eq!(enter(&signer, sts, "demo", hour - Duration::from_secs(16 * 60)).await, 401);
    let wrong = Signer { secret: "wrong".into(), ..signer.clone() };
    assert_eq!(enter(&wrong, sts, "demo", hour).await, 401);
    sandbox.world(|world| world.cluster.access.clear());
    assert_eq!(enter(&signer, sts, "demo", hour).await, 401);
}

#[tokio::test]
async fn kubectl_enters_by_the_address_of_its_kubeconfig_and_nobody_without_a_token() {
    let (sandbox, _) = demo().await;
    let config = sandbox.kubeconfig();
    let server = config.split('\'').nth(1).unwrap().replace(&sandbox.url(), "");
    let api = send(&sandbox, "GET", &format!("{server}/api"), &[], "").await.unwrap();
    assert_eq!(api.status, 200);
    assert_eq!(sandbox.log()[0].path, "/api");
    let nobody = send(&sandbox, "GET", "/api", &[], "").await.unwrap();
    assert_eq!((nobody.status, nobody.json()["reason"].as_str()), (403, Some("Forbidden")));
    let wrong = [("authorization", "Bearer wrong")];
    let wrong = send(&sandbox, "GET", "/api", &wrong, "").await.unwrap();
    assert_eq!((wrong.status, wrong.json()["kind"].as_str()), (401, Some("Status")));
}

#[tokio::test]
async fn github_compares_commits_of_a_graph_with_a_fork() {
    let (sandbox, _) = demo().await;
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|letter| letter.repeat(40));
    let token = sandbox.world(|world| {
        world.github.line(&[&a, &b, &c]).line(&[&b, &d]);
        world.github.token.clone()
    });
    let compared = async |base: &str, head: &str| {
        let path = format!("/repos/demo/web/compare/{base}...{head}");
        let body = github(&sandbox, &token, &path).await.json();
        let count = |key: &str| body[key].as_u64().unwrap();
        let status = body["status"].as_str().unwrap().to_owned();
        (status, count("ahead_by"), count("behind_by"))
    };
    assert_eq!(compared(&a, &c).await, ("ahead".into(), 2, 0));
    assert_eq!(compared(&c, &a).await, ("behind".into(), 0, 2));
    assert_eq!(compared(&c[..7], &c).await, ("identical".into(), 0, 0));
    assert_eq!(compared(&c, &d).await, ("diverged".into(), 1, 1));
    let unknown = format!("/repos/demo/web/compare/{a}...{}", "e".repeat(40));
    assert_eq!(github(&sandbox, &token, &unknown).await.status, 404);
    assert_eq!(github(&sandbox, "bad", &unknown).await.json()["message"], "Bad credentials");
    sandbox.world(|world| world.github.exhausted = true);
    let limited = github(&sandbox, &token, &unknown).await;
    assert_eq!((limited.status, limited.header("x-ratelimit-remaining").as_str()), (403, "0"));
}

#[tokio::test]
async fn what_nobody_answers_says_so() {
    let (sandbox, _) = demo().await;
    let reply =
        send(&sandbox, "GET", "/nothing?x=1", &[("user-agent", "test/1")], "").await.unwrap();
    assert_eq!(reply.status, 404);
    insta::assert_snapshot!(reply.text(), @r#"{"message":"this sandbox has no service for GET /nothing"}"#);
    let log = sandbox.log();
    assert_eq!(
        (log[0].from.as_str(), log[0].query.as_str(), log[0].status),
        ("test/1", "x=1", 404)
    );
}
