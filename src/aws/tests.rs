//! The shipped clients against a server on loopback.

mod ecr;
mod eks;
mod ended;
mod server;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use serde_json::json;

use self::server::{Asked, Reply, calls, header, reply, serve};
use super::*;
use crate::names::{Cluster, Repository};

/// A failure as people read it, without the outcome's words.
pub(super) fn told(failure: &Failure) -> String {
    let mut text = format!("{}: {}\n", failure.code, failure.what);
    for (name, lines) in [("why", &failure.why), ("next", &failure.next)] {
        for (i, line) in lines.iter().enumerate() {
            let name = if i == 0 { format!("{name}:") } else { String::new() };
            text.push_str(&format!("  {name:5} {line}\n"));
        }
    }
    text
}

type Told = Arc<Mutex<Vec<String>>>;

fn aws(identity: Identity, url: &str) -> (Aws, Told) {
    let told = Told::default();
    let ears = told.clone();
    let url = || Some(url.to_owned());
    let endpoints = Endpoints { sts: url(), ecr: url(), eks: url() };
    let region = "ap-northeast-2".parse().unwrap();
    let secrets = move |secret: &str| ears.lock().unwrap().push(secret.to_owned());
    let aws = Aws::new(identity, region, endpoints, RunName::new("4711"), secrets).unwrap();
    (aws, told)
}

fn keys() -> Identity {
    Identity::Keys { id: "AKIAIOSFODNN7EXAMPLE".into(), secret: "hush-hush".into(), session: None }
}

fn role() -> RoleArn {
    "arn:aws:iam::123456789012:role/ci/ship".parse().unwrap()
}

fn oidc(url: &str) -> Identity {
    Identity::Oidc {
        role: role(),
        request_url: format!("{url}/oidc?run=1"),
        request_token: "bearer-of-the-run".into(),
        audience: "sts.amazonaws.com".into(),
    }
}

fn jwt() -> String {
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "sub": "repo:acme@4242/shop@880055:ref:refs/heads/main",
        "aud": "sts.amazonaws.com",
    });
    format!("head.{}.tail", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn assumed(by: &str, lasts: Duration) -> Reply {
    let end = jiff::Timestamp::now() + jiff::SignedDuration::try_from(lasts).unwrap();
    reply(
        200,
        format!(
            "<{by}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{by}Result><Credentials>\
         <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>born-secret</SecretAccessKey>\
         <SessionToken>born-session</SessionToken><Expiration>{end:.0}</Expiration>\
         </Credentials></{by}Result></{by}Response>"
        ),
    )
}

fn sts_error(status: u16, code: &str, message: &str) -> Reply {
    reply(
        status,
        format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
         <Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        ),
    )
}

fn identity(arn: &str) -> Reply {
    reply(
        200,
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>{arn}</Arn><UserId>X</UserId><Account>123456789012</Account>\
         </GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
    )
}

fn web() -> Repository {
    "web".parse().unwrap()
}

fn prod() -> Cluster {
    "prod".parse().unwrap()
}

/// GitHub and STS as they are when all is well.
fn well(asked: &Asked, lasts: Duration) -> Reply {
    match asked.call.as_str() {
        path if path.starts_with("/oidc") => reply(200, json!({ "value": jwt() }).to_string()),
        "AssumeRoleWithWebIdentity" => assumed("AssumeRoleWithWebIdentity", lasts),
        "AssumeRole" => assumed("AssumeRole", lasts),
        "GetCallerIdentity" => identity("arn:aws:sts::123456789012:assumed-role/ship/slipway-4711"),
        "DescribeRepositories" => reply(200, r#"{"repositories":[]}"#),
        _ => reply(200, "{}"),
    }
}

#[tokio::test]
async fn one_token_and_one_exchange_serve_every_client() {
    let tries = AtomicUsize::new(0);
    let (url, log) = serve(move |asked| {
        let first = asked.call.starts_with("/oidc") && tries.fetch_add(1, Ordering::SeqCst) == 0;
        if first { reply(503, "") } else { well(asked, Duration::from_secs(3600)) }
    })
    .await;
    let (aws, told) = aws(oidc(&url), &url);
    let (web, prod) = (web(), prod());
    let (caller, repository, clusters, token) =
        tokio::join!(aws.caller(), aws.repository(&web), aws.clusters(), aws.eks_token(&prod));
    let caller = caller.unwrap();
    assert_eq!(caller.who, "role `ship`");
    assert_eq!(caller.principal, role().to_string());
    assert_eq!(caller.how, How::Oidc);
    assert_eq!(repository, Ok(RepositoryState::Missing));
    assert_eq!(clusters, Ok(vec![]));
    let token = token.unwrap().token.expose_secret().to_owned();
    let mut calls = calls(&log);
    calls[3..].sort();
    let jwt_request = "/oidc?run=1&audience=sts.amazonaws.com";
    assert_eq!(calls[..3], [jwt_request, jwt_request, "AssumeRoleWithWebIdentity"]);
    assert_eq!(calls[3..], ["/clusters", "DescribeRepositories", "GetCallerIdentity"]);
    let told = told.lock().unwrap().clone();
    assert_eq!(
        told,
        [jwt(), "born-secret".into(), "born-session".into(), "ASIAEXAMPLE".into(), token]
    );
}

#[tokio::test]
async fn the_bearer_goes_to_github_and_the_exchange_is_not_signed() {
    let (url, log) = serve(|asked| well(asked, Duration::from_secs(3600))).await;
    let (aws, _) = aws(oidc(&url), &url);
    aws.caller().await.unwrap();
    let log = log.lock().unwrap().clone();
    assert_eq!(header(&log[0].head, "authorization"), Some("bearer bearer-of-the-run"));
    assert_eq!(header(&log[1].head, "authorization"), None);
    assert!(log[1].body.contains("RoleSessionName=slipway-4711"), "{}", log[1].body);
    assert!(header(&log[2].head, "authorization").unwrap().starts_with("AWS4-HMAC-SHA256"));
}

#[tokio::test]
async fn credentials_that_are_about_to_end_are_renewed_with_a_fresh_token() {
    let (url, log) = serve(|asked| well(asked, Duration::from_secs(120))).await;
    let (aws, _) = aws(oidc(&url), &url);
    aws.caller().await.unwrap();
    aws.caller().await.unwrap();
    let exchanges = calls(&log).iter().filter(|c| *c == "AssumeRoleWithWebIdentity").count();
    assert_eq!(exchanges, 2);
}

#[tokio::test]
async fn a_renewal_that_is_refused_leaves_the_credentials_that_still_last() {
    let exchanges = AtomicUsize::new(0);
    let (url, _) = serve(move |asked| match asked.call.as_str() {
        "AssumeRoleWithWebIdentity" if exchanges.fetch_add(1, Ordering::SeqCst) > 0 => {
            sts_error(403, "AccessDenied", "no")
        }
        _ => well(asked, Duration::from_secs(120)),
    })
    .await;
    let (aws, _) = aws(oidc(&url), &url);
    for _ in 0..3 {
        assert_eq!(aws.caller().await.map(|c| c.who), Ok("role `ship`".into()));
    }
}

#[tokio::test]
async fn a_role_that_refuses_is_asked_once_and_every_read_says_why() {
    let (url, log) = serve(|asked| match asked.call.as_str() {
        "AssumeRoleWithWebIdentity" => sts_error(
            403,
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        ),
        _ => well(asked, Duration::ZERO),
    })
    .await;
    let (aws, _) = aws(oidc(&url), &url);
    let (web, prod) = (web(), prod());
    let (caller, repository, cluster, nodes) = tokio::join!(
        aws.caller(),
        aws.repository(&web),
        aws.cluster(&prod),
        aws.node_groups(&prod)
    );
    let failure = caller.unwrap_err();
    assert_snapshot!(told(&failure), @r#"
    SW-OIDC-TRUST: role `ship` did not accept this run
      why:  STS answered AccessDenied; the token's own aud is sts.amazonaws.com, its sub is below
      next: its trust policy, if the role exists, needs in StringEquals (without the @ids it does not match):
            "token.actions.githubusercontent.com:sub": "repo:acme@4242/shop@880055:ref:refs/heads/main"
    "#);
    assert_eq!(repository.unwrap_err(), failure);
    assert_eq!(cluster.unwrap_err(), failure);
    assert_eq!(nodes.unwrap_err().because, "role `ship` did not accept this run");
    assert_eq!(calls(&log).iter().filter(|c| *c == "AssumeRoleWithWebIdentity").count(), 1);
}

#[tokio::test]
async fn sts_that_could_not_read_github_s_keys_is_asked_again() {
    let exchanges = AtomicUsize::new(0);
    let (url, _) = serve(move |asked| match asked.call.as_str() {
        "AssumeRoleWithWebIdentity" if exchanges.fetch_add(1, Ordering::SeqCst) == 0 => sts_error(
            400,
            "InvalidIdentityToken",
            "Couldn't retrieve verification key from your identity provider",
        ),
        _ => well(asked, Duration::from_secs(3600)),
    })
    .await;
    let (aws, _) = aws(oidc(&url), &url);
    assert_eq!(aws.caller().await.map(|c| c.who), Ok("role `ship`".into()));
}

#[tokio::test]
async fn a_job_without_the_permission_is_told_which_one() {
    let (url, _) = serve(|_| reply(403, "{}")).await;
    let (aws, _) = aws(oidc(&url), &url);
    let text = told(&aws.caller().await.unwrap_err());
    assert_snapshot!(text.replace(&host_of(&url), "@@HOST@@"), @"
    SW-OIDC-TOKEN: GitHub gave this job no OIDC token
      why:  `@@HOST@@` answered 403
      next: give the job `permissions: { contents: read, id-token: write }`; a run from a fork gets none
    ");
}

/// What is told when `user/ci` of this account may not become a role of 123456789012.
async fn not_assumed(account: &'static str) -> (String, server::Log) {
    let (url, log) = serve(move |asked| match asked.call.as_str() {
        "AssumeRole" => sts_error(
            403,
            "AccessDenied",
            &format!(
                "User: arn:aws:iam::{account}:user/ci is not authorized to perform: sts:AssumeRole \
                 on resource: arn:aws:iam::123456789012:role/ci/ship"
            ),
        ),
        _ => well(asked, Duration::ZERO),
    })
    .await;
    let chain = Identity::Chain { base: Box::new(keys()), role: role() };
    let (aws, _) = aws(chain, &url);
    (told(&aws.caller().await.unwrap_err()), log)
}

/// Where the trust policy names the user itself, its own policy need not say anything.
#[tokio::test]
async fn a_role_after_keys_is_told_by_its_trust_policy() {
    let (told, log) = not_assumed("123456789012").await;
    assert_snapshot!(told, @r#"
    SW-AWS-ROLE: user `ci` may not become role `ship`
      why:  STS answered AccessDenied: "User: arn:aws:iam::123456789012:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/ci/ship"
      next: name `arn:aws:iam::123456789012:user/ci` in the trust policy of `ship`;
            if it names the account instead, user `ci` needs {"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::123456789012:role/ci/ship"}
    "#);
    let asked = log.lock().unwrap()[0].clone();
    assert!(header(&asked.head, "authorization").unwrap().contains("AKIAIOSFODNN7EXAMPLE"));
}

#[tokio::test]
async fn a_role_of_another_account_is_told_on_both_sides() {
    let (told, _) = not_assumed("210987654321").await;
    assert_snapshot!(told, @r#"
    SW-AWS-ROLE: user `ci` may not become role `ship`
      why:  STS answered AccessDenied: "User: arn:aws:iam::210987654321:user/ci is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/ci/ship"
      next: allow it on both sides: `arn:aws:iam::210987654321:user/ci` in the trust policy of `ship`,
            and to user `ci`: {"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::123456789012:role/ci/ship"}
    "#);
}

#[tokio::test]
async fn nobody_at_the_door_is_told_with_the_host() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let (aws, _) = aws(keys(), &format!("http://{host}"));
    let text = told(&aws.caller().await.unwrap_err());
    assert_snapshot!(text.replace(&host, "@@HOST@@"), @r#"
    SW-AWS-REACH: no connection to `@@HOST@@`
      why:  "Connection refused (os error 111)"
      next: let the runner reach @@HOST@@; behind a proxy, set HTTPS_PROXY
    "#);
}

#[tokio::test]
async fn a_clock_that_is_off_corrects_the_token_of_the_cluster() {
    let (url, _) = serve(|asked| Reply {
        date: Some("Sat, 21 Nov 2020 10:30:00 GMT".into()),
        ..well(asked, Duration::ZERO)
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    aws.caller().await.unwrap();
    let token = aws.eks_token(&prod()).await.unwrap().token.expose_secret().to_owned();
    let url = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.").unwrap()).unwrap();
    let url = String::from_utf8(url).unwrap();
    assert!(url.contains("X-Amz-Date=20201121T10"), "{url}");
}

#[test]
fn the_name_of_a_run_is_what_sts_takes() {
    assert_eq!(RunName::new("4711").as_str(), "slipway-4711");
    assert_eq!(RunName::new("jürgen o'neill").as_str(), "slipway-j-rgen-o-neill");
    assert_eq!(RunName::new(&"x".repeat(99)).as_str().len(), 64);
}

#[test]
fn debugging_an_identity_shows_no_secret() {
    let shown = format!("{:?}", Identity::Chain { base: Box::new(keys()), role: role() });
    assert!(!shown.contains("hush-hush"), "{shown}");
}

#[tokio::test]
async fn a_page_that_is_not_aws_s_is_no_denial() {
    let (url, _) = serve(|_| reply(403, "<html>blocked by the proxy</html>")).await;
    let (aws, _) = aws(keys(), &url);
    assert_snapshot!(told(&aws.cluster(&prod()).await.unwrap_err()), @"
    SW-AWS-ANSWER: AWS did not do `eks:DescribeCluster`
      why:  `eks:DescribeCluster` answered 403
      next: slipway explain SW-AWS-ANSWER
    ");
}
