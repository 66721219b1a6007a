//! The image that a copy begins from: what is said of it, and where there is none.

use super::server::{Fault, refused};
use super::{Server, client, index, push};
use crate::error::Failure;
use crate::names::EcrRef;
use crate::registry::Original;

const HOST: &str = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com";

/// Asks `server` for what is named, as account 123456789012 in ap-northeast-2.
async fn asked(server: &Server, named: &str) -> Result<Original, Failure> {
    let (registry, _) = client(&server.url, "shop/prod");
    let named: EcrRef = named.parse().unwrap();
    let (account, region) = ("123456789012".parse().unwrap(), "ap-northeast-2".parse().unwrap());
    registry.original(&named, &account, &region).await
}

async fn told(server: &Server, named: &str) -> String {
    let failure = asked(server, named).await.err().unwrap();
    let lines = [vec![failure.code.to_string(), failure.what], failure.why, failure.next].concat();
    lines.join("\n").replace(server.url.trim_start_matches("http://"), "@@HOST@@")
}

#[tokio::test]
async fn it_is_read_by_tag_and_by_digest_down_to_its_labels() {
    let server = Server::start().await;
    let (_folder, image) = index().await;
    push(&client(&server.url, "shop/web").0, &image).await.unwrap();
    let digest = &image.root.digest;
    // A tag beside a digest says nothing.
    for end in [":v1".to_owned(), format!("@{digest}"), format!(":gone@{digest}")] {
        let named = format!("{HOST}/shop/web{end}");
        let original = asked(&server, &named).await.unwrap();
        assert_eq!(original.held.manifest, image.root);
        assert_eq!(original.held.platforms, image.platforms);
        assert_eq!(original.held.configs[0].labels["dev.slipway.recipe"], "r1");
        assert_eq!(original.shown, named);
    }
}

#[tokio::test]
async fn another_registry_is_refused_before_it_is_asked() {
    let server = Server::start().await;
    insta::assert_snapshot!(told(&server, "999999999999.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v1").await, @"
    SW-IMAGE-INVALID
    `999999999999.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v1` is in another account, 999999999999
    this run works in 123456789012, ap-northeast-2: an image is copied within one registry
    let ECR replicate that repository to 123456789012, ap-northeast-2, then give
    `image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v1`
    ");
    insta::assert_snapshot!(told(&server, "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web:v1").await, @"
    SW-IMAGE-INVALID
    `123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web:v1` is in another region, us-east-1
    this run works in 123456789012, ap-northeast-2: an image is copied within one registry
    let ECR replicate that repository to 123456789012, ap-northeast-2, then give
    `image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v1`
    ");
    insta::assert_snapshot!(told(&server, "999999999999.dkr-ecr.us-east-1.on.aws/shop/web:v1").await, @"
    SW-IMAGE-INVALID
    `999999999999.dkr-ecr.us-east-1.on.aws/shop/web:v1` is in another account and region, 999999999999, us-east-1
    this run works in 123456789012, ap-northeast-2: an image is copied within one registry
    let ECR replicate that repository to 123456789012, ap-northeast-2, then give
    `image: 123456789012.dkr-ecr.ap-northeast-2.on.aws/shop/web:v1`
    ");
    assert_eq!(server.count(""), 0);
}

#[tokio::test]
async fn what_is_not_there_is_said_with_how_to_look() {
    let server = Server::start().await;
    insta::assert_snapshot!(told(&server, &format!("{HOST}/shop/web:v9")).await, @"
    SW-IMAGE-MISSING
    image `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v9` is not there
    ECR `shop/web` has no tag `v9`
    aws ecr describe-images --region ap-northeast-2 --repository-name shop/web
    ");
    let digest = format!("sha256:{}", "a".repeat(64));
    insta::assert_snapshot!(told(&server, &format!("{HOST}/shop/web@{digest}")).await, @"
    SW-IMAGE-MISSING
    image `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is not there
    ECR `shop/web` has no sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    aws ecr describe-images --region ap-northeast-2 --repository-name shop/web
    ");
    insta::assert_snapshot!(told(&server, &format!("{HOST}/shop/gone:v1")).await, @r#"
    SW-ECR-MISSING
    repository `shop/gone` is not in this registry
    `@@HOST@@` answered 404 NAME_UNKNOWN: "The repository with name 'shop/gone' does not exist in the registry with id '123456789012'"
    correct `image`: aws ecr describe-repositories --region ap-northeast-2
    "#);
}

#[tokio::test]
async fn an_original_that_may_not_be_read_is_said_with_the_right() {
    let server = Server::start().await;
    let said = "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/web";
    let body = String::from_utf8(refused(403, "DENIED", said).2).unwrap();
    server.fault("GET", "/manifests/", Fault::Answer(403, &[], body), 1);
    insta::assert_snapshot!(told(&server, &format!("{HOST}/shop/web:v1")).await, @r#"
    SW-ECR-403
    these credentials may not read ECR `shop/web`
    `@@HOST@@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/web"
    the right that was missing: ecr:BatchGetImage
    see that `image` is spelled right; if it is, add this statement to the policy of the role or user:
    { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/web" }
    "#);
}

#[tokio::test]
async fn an_artifact_is_no_original() {
    let server = Server::start().await;
    let index = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let kept = ("application/vnd.oci.image.index.v1+json".to_owned(), index.as_bytes().to_vec());
    server.state.lock().unwrap().manifests.insert("v1".into(), kept);
    insta::assert_snapshot!(told(&server, &format!("{HOST}/shop/web:v1")).await, @"
    SW-IMAGE-INVALID
    `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/shop/web:v1` holds no image
    nothing in it has the config of an image: it is an artifact, or its parts are gone
    name an image in `image`
    ");
}
