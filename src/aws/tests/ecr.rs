//! ECR's API against a server on loopback: settings, creation, images byte for byte.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use insta::assert_snapshot;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::server::{Log, Reply, calls, reply, serve};
use super::*;
use crate::names::{Digest, Tag};

fn json_error(code: &str, message: &str) -> Reply {
    reply(400, json!({ "__type": code, "message": message }).to_string())
}

fn described(log: &Log) -> Vec<Value> {
    log.lock().unwrap().iter().map(|a| serde_json::from_str(&a.body).unwrap()).collect()
}

fn repository_of(mutability: &str) -> Value {
    json!({
        "repositoryName": "web",
        "repositoryArn": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web",
        "repositoryUri": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web",
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": [{ "filterType": "WILDCARD", "filter": "dev-*" }],
        "imageScanningConfiguration": { "scanOnPush": true },
        "encryptionConfiguration": { "encryptionType": "KMS", "kmsKey": "arn:aws:kms:k" },
    })
}

#[tokio::test]
async fn a_repository_is_read_with_its_settings() {
    let (url, _) = serve(|_| {
        reply(
            200,
            json!({ "repositories": [repository_of("IMMUTABLE_WITH_EXCLUSION")] }).to_string(),
        )
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    let RepositoryState::Found(found) = aws.repository(&web()).await.unwrap() else {
        panic!("not found");
    };
    assert_eq!(found.uri.name(), "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web");
    assert!(found.mutability.may_overwrite(&"dev-1".parse().unwrap()));
    assert!(!found.mutability.may_overwrite(&"main".parse().unwrap()));
    assert!(found.scan_on_push);
    assert_eq!(found.encryption, Encryption::Kms { key: Some("arn:aws:kms:k".into()) });
}

#[tokio::test]
async fn a_repository_that_may_not_be_looked_at_fails_nothing() {
    let (url, _) = serve(|_| json_error("AccessDeniedException", "no")).await;
    let (aws, _) = aws(keys(), &url);
    let RepositoryState::NotSeen(unseen) = aws.repository(&web()).await.unwrap() else {
        panic!("seen");
    };
    assert_eq!(unseen.because, "may not describe");
}

#[tokio::test]
async fn a_repository_that_somebody_else_creates_first_is_taken() {
    let (url, log) = serve(|asked| match asked.call.as_str() {
        "CreateRepository" => json_error("RepositoryAlreadyExistsException", "there already"),
        _ => reply(200, json!({ "repositories": [repository_of("MUTABLE")] }).to_string()),
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    assert!(aws.create_repository(&web()).await.unwrap().mutability.mutable);
    assert_eq!(calls(&log), ["CreateRepository", "DescribeRepositories"]);
    let asked = &described(&log)[0];
    assert_eq!(asked["imageTagMutability"], "IMMUTABLE");
    assert_eq!(asked["imageScanningConfiguration"]["scanOnPush"], true);
}

const MANIFEST: &str =
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#;

fn image(digest: &Digest) -> Value {
    json!({
        "imageId": { "imageDigest": digest.as_str(), "imageTag": "main" },
        "imageManifest": MANIFEST,
        "imageManifestMediaType": "application/vnd.oci.image.manifest.v1+json",
    })
}

#[tokio::test]
async fn an_image_is_read_byte_for_byte() {
    let digest = Digest::of(MANIFEST.as_bytes());
    let body = json!({ "images": [image(&digest)], "failures": [] }).to_string();
    let (url, log) = serve(move |_| reply(200, body.clone())).await;
    let (aws, _) = aws(keys(), &url);
    let tag: Tag = "main".parse().unwrap();
    let read = aws.image(&web(), &tag).await.unwrap().unwrap();
    assert_eq!(read.manifest, MANIFEST.as_bytes());
    assert_eq!(read.digest, digest);
    assert_eq!(aws.image(&web(), &digest).await.unwrap(), Some(read));
    let asked = described(&log);
    assert_eq!(asked[0]["acceptedMediaTypes"].as_array().map(Vec::len), Some(4));
    assert_eq!(asked[1]["imageIds"][0]["imageDigest"], digest.as_str());
}

#[tokio::test]
async fn bytes_of_another_digest_are_refused() {
    let other = Digest::of(b"other");
    let body = json!({ "images": [image(&other)] }).to_string();
    let (url, _) = serve(move |_| reply(200, body.clone())).await;
    let (aws, _) = aws(keys(), &url);
    assert_snapshot!(told(&aws.image(&web(), &other).await.unwrap_err()), @r#"
    SW-AWS-ANSWER: the answer to `ecr:BatchGetImage` cannot be used
      why:  `web`: a manifest of sha256:b22c7289dd3b for "sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"
      next: check the ECR endpoint, if one is set
    "#);
}

#[tokio::test]
async fn an_image_that_is_not_there_is_none_and_a_key_that_refuses_is_told() {
    let failure = |code: &str| {
        json!({ "images": [], "failures": [{ "failureCode": code, "failureReason": "because" }] })
            .to_string()
    };
    let (missing, broken) = (failure("ImageNotFound"), failure("KmsError"));
    let (url, _) = serve(move |asked| {
        reply(200, if asked.body.contains("sha256") { broken.clone() } else { missing.clone() })
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    let tag: Tag = "main".parse().unwrap();
    assert_eq!(aws.image(&web(), &tag).await, Ok(None));
    let digest = Digest::of(b"x");
    assert_snapshot!(told(&aws.image(&web(), &digest).await.unwrap_err()), @r#"
    SW-AWS-ANSWER: an image of `web` cannot be read
      why:  `ecr:BatchGetImage` answered KmsError: "because"
      next: allow kms:Decrypt on the repository's key to the identity of this run
    "#);
    assert_eq!(aws.present(&web(), &[digest]).await.unwrap_err().because, "KmsError");
}

#[tokio::test]
async fn what_is_still_there_is_told_digest_by_digest() {
    let (here, gone) = (Digest::of(MANIFEST.as_bytes()), Digest::of(b"gone"));
    let body = json!({
        "images": [image(&here)],
        "failures": [{ "imageId": { "imageDigest": gone.as_str() }, "failureCode": "ImageNotFound" }],
    });
    let (url, _) = serve(move |_| reply(200, body.to_string())).await;
    let (aws, _) = aws(keys(), &url);
    assert_eq!(aws.present(&web(), &[gone, here.clone()]).await, Ok(vec![here]));
}

#[tokio::test]
async fn the_login_is_masked_in_both_of_its_forms() {
    let token = BASE64_STANDARD.encode("AWS:the-password");
    let body = json!({ "authorizationData": [{
        "authorizationToken": token,
        "expiresAt": 1_795_000_000,
        "proxyEndpoint": "https://123456789012.dkr.ecr.ap-northeast-2.amazonaws.com",
    }] });
    let (url, _) = serve(move |_| reply(200, body.to_string())).await;
    let (aws, told) = aws(keys(), &url);
    let login = aws.registry_login().await.unwrap();
    assert_eq!((login.user.as_str(), login.password.expose_secret()), ("AWS", "the-password"));
    assert_eq!(login.endpoint, "https://123456789012.dkr.ecr.ap-northeast-2.amazonaws.com");
    assert_eq!(login.expires.map(|t| t.as_second()), Some(1_795_000_000));
    assert_eq!(*told.lock().unwrap(), [token, "the-password".to_owned()]);
    assert!(!format!("{login:?}").contains("the-password"));
}
