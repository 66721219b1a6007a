//! A session that is ended before its stated time: taken anew once, and never in a loop.

use super::server::{calls, serve};
use super::*;

fn refused() -> Reply {
    reply(400, json!({ "__type": "ExpiredTokenException", "message": "it has ended" }).to_string())
}

fn of_sts(code: &str) -> Reply {
    sts_error(403, code, "The security token included in the request is invalid")
}

fn exchanges(log: &server::Log, call: &str) -> usize {
    calls(log).iter().filter(|c| *c == call).count()
}

#[tokio::test]
async fn a_session_that_aws_ends_is_taken_anew_and_the_request_sent_again() {
    let asked = AtomicUsize::new(0);
    let (url, log) = serve(move |heard| match heard.call.as_str() {
        "DescribeRepositories" if asked.fetch_add(1, Ordering::SeqCst) == 0 => refused(),
        _ => well(heard, Duration::from_secs(3600)),
    })
    .await;
    let (aws, _) = aws(oidc(&url), &url);
    aws.caller().await.unwrap();
    assert_eq!(aws.repository(&web()).await, Ok(RepositoryState::Missing));
    assert_eq!(exchanges(&log, "AssumeRoleWithWebIdentity"), 2);
}

#[tokio::test]
async fn a_session_that_stays_refused_is_taken_anew_once() {
    for code in ["ExpiredToken", "InvalidClientTokenId"] {
        let (url, log) = serve(move |heard| match heard.call.as_str() {
            "GetCallerIdentity" => of_sts(code),
            _ => well(heard, Duration::from_secs(3600)),
        })
        .await;
        let (aws, _) = aws(oidc(&url), &url);
        for _ in 0..4 {
            aws.caller().await.unwrap_err();
        }
        aws.eks_token_after_401(&prod()).await.unwrap_err();
        assert_eq!(exchanges(&log, "AssumeRoleWithWebIdentity"), 2, "{code}");
    }
}

#[tokio::test]
async fn a_session_of_a_role_is_taken_anew_with_the_keys_it_began_from() {
    let asked = AtomicUsize::new(0);
    let (url, log) = serve(move |heard| match heard.call.as_str() {
        "GetCallerIdentity" if asked.fetch_add(1, Ordering::SeqCst) == 1 => of_sts("ExpiredToken"),
        _ => well(heard, Duration::from_secs(3600)),
    })
    .await;
    let (aws, _) = aws(Identity::Chain { base: Box::new(keys()), role: role() }, &url);
    for _ in 0..2 {
        assert_eq!(aws.caller().await.map(|c| c.who), Ok("role `ship`".into()));
    }
    assert_eq!(exchanges(&log, "AssumeRole"), 2);
}

#[tokio::test]
async fn a_cluster_that_refuses_gets_a_token_of_a_new_session() {
    let (url, log) = serve(|heard| well(heard, Duration::from_secs(3600))).await;
    let (aws, _) = aws(oidc(&url), &url);
    aws.eks_token(&prod()).await.unwrap();
    aws.eks_token_after_401(&prod()).await.unwrap();
    // A cluster that goes on refusing gets tokens of that session.
    aws.eks_token_after_401(&prod()).await.unwrap();
    assert_eq!(exchanges(&log, "AssumeRoleWithWebIdentity"), 2);
}

#[tokio::test]
async fn a_key_that_is_deactivated_in_the_run_is_told_apart_from_a_wrong_one() {
    let asked = AtomicUsize::new(0);
    let (url, _) = serve(move |heard| match heard.call.as_str() {
        "GetCallerIdentity" if asked.fetch_add(1, Ordering::SeqCst) > 0 => {
            of_sts("InvalidClientTokenId")
        }
        _ => well(heard, Duration::ZERO),
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    aws.caller().await.unwrap();
    assert_snapshot!(told(&aws.eks_token_after_401(&prod()).await.unwrap_err()), @r#"
    SW-AWS-KEY: AWS took the access key at first, and now does not know it
      why:  `sts:GetCallerIdentity` answered 403 InvalidClientTokenId: "The security token included in the request is invalid"
      next: it was deactivated or deleted in this run: set both `aws-access-key-id` and `aws-secret-access-key` of an active one; no stored key: `role-to-assume`
    "#);
}

#[tokio::test]
async fn keys_that_cannot_be_renewed_are_asked_about() {
    let (url, _) = serve(|heard| match heard.call.as_str() {
        "GetCallerIdentity" => of_sts("ExpiredToken"),
        _ => reply(404, ""),
    })
    .await;
    let session = Identity::Keys {
        id: "ASIAEXAMPLE".into(),
        secret: "hush-hush".into(),
        session: Some("hush-session".into()),
    };
    let (aws, _) = aws(session, &url);
    assert_snapshot!(told(&aws.eks_token_after_401(&prod()).await.unwrap_err()), @r#"
    SW-AWS-EXPIRED: the AWS session of these keys has ended
      why:  `sts:GetCallerIdentity` answered 403 ExpiredToken: "The security token included in the request is invalid"
      next: take fresh keys right before this step, or `role-to-assume` alone: slipway renews that by itself
    "#);
}
