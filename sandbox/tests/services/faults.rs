//! Faults over healthy services, the cluster's door, GitHub, and what the log says of it all.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::client::{Reply, Signer, send};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;
use slipway_sandbox::{Fault, Sandbox, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

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
async fn the_endpoint_is_tls_under_the_authority_that_eks_describes() {
    let (sandbox, signer) = demo().await;
    let reply = signer.send(&sandbox, "eks", "GET", "/clusters/demo", &[], "").await.unwrap();
    let cluster = reply.json()["cluster"].clone();
    let endpoint = cluster["endpoint"].as_str().unwrap().strip_prefix("https://").unwrap();
    let ca = cluster["certificateAuthority"]["data"].as_str().unwrap();
    let ca = BASE64_STANDARD.decode(ca).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca).unwrap()).unwrap();
    let connected = async |roots: RootCertStore| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(endpoint).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    let mut stream = connected(roots).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut said = String::new();
    // The end without a TLS goodbye is the server's; what it said before is what counts.
    let _ = stream.read_to_string(&mut said).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    let strange = Sandbox::start(World::default()).await.unwrap();
    let config = strange.kubeconfig();
    let other = config.split("data: ").nth(1).unwrap().lines().next().unwrap();
    let mut roots = RootCertStore::empty();
    let other = BASE64_STANDARD.decode(other).unwrap();
    roots.add(CertificateDer::from_pem_slice(&other).unwrap()).unwrap();
    assert!(connected(roots).await.is_err(), "another sandbox's authority is not this one's");
}

#[tokio::test]
async fn the_static_token_enters_and_nobody_enters_without_one() {
    let (sandbox, _) = demo().await;
    let bearer = format!("Bearer {}", sandbox.world(|world| world.cluster.token.clone()));
    let enter = async |headers: &[(&str, &str)]| {
        let reply = send(&sandbox, "GET", "/api", headers, "").await.unwrap();
        (reply.status, reply.json()["reason"].as_str().map(str::to_owned))
    };
    assert_eq!(enter(&[("authorization", &bearer)]).await.0, 200);
    assert_eq!(enter(&[]).await, (403, Some("Forbidden".into())));
    assert_eq!(
        enter(&[("authorization", "Bearer wrong")]).await,
        (401, Some("Unauthorized".into()))
    );
}

#[tokio::test]
async fn a_lost_patch_is_applied_and_a_dry_run_or_a_cut_one_is_not() {
    let world = World::default();
    world.kube.deployment("shop", "web", "app", "web:one", 3).seed();
    let sandbox = Sandbox::start(world).await.unwrap();
    let bearer = format!("Bearer {}", sandbox.world(|world| world.cluster.token.clone()));
    let headers =
        [("authorization", bearer.as_str()), ("content-type", "application/json-patch+json")];
    let image = "/spec/template/spec/containers/0/image";
    let patch = json!([{ "op": "replace", "path": image, "value": "web:two" }]).to_string();
    let path = "/apis/apps/v1/namespaces/shop/deployments/web";
    let set = || {
        let web = sandbox.kube().object("Deployment", "shop", "web").unwrap();
        web.pointer(image).unwrap().as_str().unwrap().to_owned()
    };
    let dry = format!("{path}?dryRun=All");
    assert_eq!(send(&sandbox, "PATCH", &dry, &headers, patch.clone()).await.unwrap().status, 200);
    sandbox.fault("patch deployments", 1, Fault::CutRequest { after: 5 });
    assert!(send(&sandbox, "PATCH", path, &headers, patch.clone()).await.is_err());
    assert_eq!((set().as_str(), sandbox.writes().len()), ("web:one", 0));
    sandbox.fault("patch deployments", 1, Fault::DropAnswer);
    assert!(send(&sandbox, "PATCH", path, &headers, patch).await.is_err());
    assert_eq!((set().as_str(), sandbox.writes().len()), ("web:two", 1));
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
