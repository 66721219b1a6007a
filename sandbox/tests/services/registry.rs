//! The registry's manners: its passwords, its one-shot uploads, its immutable tags, its bucket.

use crate::client::{Reply, Signer, send};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use slipway_sandbox::{Fault, Image, Sandbox, World};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

struct Registry {
    sandbox: Sandbox,
    login: String,
}

impl Registry {
    async fn of(world: World) -> Self {
        let sandbox = Sandbox::start(world).await.unwrap();
        let reply = Signer::of(&sandbox).ecr(&sandbox, "GetAuthorizationToken", &json!({})).await;
        let given = reply.json();
        let token = given["authorizationData"][0]["authorizationToken"].as_str().unwrap();
        assert_eq!(given["authorizationData"][0]["proxyEndpoint"], *sandbox.url());
        Self { login: format!("Basic {token}"), sandbox }
    }

    async fn ask(&self, method: &str, path: &str, body: impl Into<bytes::Bytes>) -> Reply {
        self.try_ask(method, path, body).await.unwrap()
    }

    async fn try_ask(
        &self,
        method: &str,
        path: &str,
        body: impl Into<bytes::Bytes>,
    ) -> Result<Reply, hyper::Error> {
        let headers = [("authorization", self.login.as_str()), ("content-type", MANIFEST)];
        send(&self.sandbox, method, &path.replace(&self.sandbox.url(), ""), &headers, body).await
    }

    /// A new upload session.
    async fn session(&self) -> String {
        let begun = self.ask("POST", "/v2/demo/web/blobs/uploads/", "").await;
        assert_eq!(begun.status, 202);
        assert!(!begun.header("docker-upload-uuid").is_empty());
        begun.header("location")
    }

    async fn blob(&self, content: &str) -> String {
        let place = self.session().await;
        assert_eq!(self.ask("PATCH", &place, content.to_owned()).await.status, 201);
        let digest = digest(content);
        let ended = self.ask("PUT", &format!("{place}?digest={digest}"), "").await;
        assert_eq!(ended.status, 201, "{}", ended.text());
        digest
    }
}

fn digest(content: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(content)))
}

fn error(reply: &Reply) -> String {
    let error = &reply.json()["errors"][0];
    let (code, said) = (error["code"].as_str().unwrap(), error["message"].as_str().unwrap());
    format!("{} {code}: {said}", reply.status)
}

#[tokio::test]
async fn the_login_names_another_registry_when_the_world_has_one() {
    let world = World { registry: Some("http://127.0.0.1:5000".into()), ..World::default() };
    let sandbox = Sandbox::start(world).await.unwrap();
    let reply = Signer::of(&sandbox).ecr(&sandbox, "GetAuthorizationToken", &json!({})).await;
    let named = &reply.json()["authorizationData"][0]["proxyEndpoint"];
    assert_eq!(*named, "http://127.0.0.1:5000");
}

#[tokio::test]
async fn an_image_is_pushed_and_read_back_byte_for_byte() {
    let registry = Registry::of(World::default()).await;
    let (config, layer) = (registry.blob("{}").await, registry.blob("layer").await);
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "digest": config, "size": 2, "mediaType": "c" },
        "layers": [{ "digest": layer, "size": 5, "mediaType": "l" }] })
    .to_string();
    let put = registry.ask("PUT", "/v2/demo/web/manifests/one", manifest.clone()).await;
    assert_eq!((put.status, put.header("docker-content-digest")), (201, digest(&manifest)));
    let head = registry.ask("HEAD", "/v2/demo/web/manifests/one", "").await;
    assert_eq!(head.header("content-length"), manifest.len().to_string());
    assert_eq!(head.header("content-type"), MANIFEST);
    let path = format!("/v2/demo/web/manifests/{}", digest(&manifest));
    assert_eq!(registry.ask("GET", &path, "").await.text(), manifest);
    assert_eq!(registry.sandbox.tags("demo/web")["one"], digest(&manifest));
}

#[tokio::test]
async fn a_layer_is_fetched_from_a_bucket_that_takes_no_credentials() {
    let registry = Registry::of(World::default()).await;
    let layer = registry.blob("layer").await;
    let head = registry.ask("HEAD", &format!("/v2/demo/web/blobs/{layer}"), "").await;
    assert_eq!((head.status, head.header("content-length").as_str()), (200, "5"));
    let there = registry.ask("GET", &format!("/v2/demo/web/blobs/{layer}"), "").await;
    assert_eq!(there.status, 307);
    let place = there.header("location");
    let path = &place[place.find("/bucket").unwrap()..];
    assert_eq!(registry.ask("GET", path, "").await.status, 400);
    let got = send(&registry.sandbox, "GET", path, &[], "").await.unwrap();
    assert_eq!((got.status, got.text().as_str()), (200, "layer"));
    let other = path.replace("Signature=", "Signature=0");
    assert_eq!(send(&registry.sandbox, "GET", &other, &[], "").await.unwrap().status, 403);
}

#[tokio::test]
async fn an_immutable_tag_is_refused_even_with_the_same_digest() {
    let mut world = World::default();
    let image = Image::new("linux/arm64", "one");
    let digest = world.image("demo/web", "one", &image);
    let bytes = world.repositories["demo/web"].manifests[&digest].bytes.clone();
    let registry = Registry::of(world).await;
    let again = registry.ask("PUT", "/v2/demo/web/manifests/one", bytes.clone()).await;
    insta::assert_snapshot!(error(&again), @"400 TAG_INVALID: The image tag 'one' already exists in the 'demo/web' repository and cannot be overwritten because the tag is immutable.");
    registry.sandbox.world(|world| {
        if let Some(kept) = world.repositories.get_mut("demo/web") {
            kept.immutable = false;
        }
    });
    assert_eq!(registry.ask("PUT", "/v2/demo/web/manifests/one", bytes).await.status, 201);
}

#[tokio::test]
async fn a_manifest_needs_its_layers_and_its_repository() {
    let registry = Registry::of(World::default()).await;
    let missing = json!({ "schemaVersion": 2, "layers": [{ "digest": "sha256:00" }] }).to_string();
    let put = registry.ask("PUT", "/v2/demo/web/manifests/one", missing.clone()).await;
    insta::assert_snapshot!(error(&put), @"400 MANIFEST_BLOB_UNKNOWN: Layers with digests '[sha256:00]' required for pushing image into repository with name 'demo/web' in the registry with id '123456789012' do not exist");
    let index = "application/vnd.oci.image.index.v1+json";
    let missing_image = json!({ "schemaVersion": 2, "manifests": [{ "digest": "sha256:00" }] });
    let headers = [("authorization", registry.login.as_str()), ("content-type", index)];
    let path = "/v2/demo/web/manifests/one";
    let put = send(&registry.sandbox, "PUT", path, &headers, missing_image.to_string()).await;
    insta::assert_snapshot!(error(&put.unwrap()), @"400 MANIFEST_BLOB_UNKNOWN: Images with digests '[sha256:00]' required for pushing image into repository with name 'demo/web' in the registry with id '123456789012' do not exist");
    let put = registry.ask("PUT", "/v2/none/manifests/one", missing).await;
    insta::assert_snapshot!(error(&put), @"404 NAME_UNKNOWN: The repository with name 'none' does not exist in the registry with id '123456789012'");
    assert!(registry.sandbox.writes().is_empty());
}

#[tokio::test]
async fn a_broken_session_takes_nothing_from_the_beginning_again() {
    let registry = Registry::of(World::default()).await;
    let place = registry.session().await;
    registry.sandbox.fault("PATCH /v2/demo/web/blobs", 1, Fault::CutRequest { after: 3 });
    assert!(registry.try_ask("PATCH", &place, "layer").await.is_err());
    let again = registry.ask("PATCH", &place, "layer").await;
    insta::assert_snapshot!(error(&again), @"416 BLOB_UPLOAD_INVALID: First byte of the layer part is 0 instead of 3");
    registry.blob("layer").await;
}

#[tokio::test]
async fn a_digest_that_does_not_match_leaves_the_session_as_it_is() {
    let registry = Registry::of(World::default()).await;
    let place = registry.session().await;
    let put = async |digest: &str| {
        let path = format!("{place}?digest={digest}");
        let said = registry.ask("PUT", &path, "").await;
        if said.status == 201 { "201".to_owned() } else { error(&said) }
    };
    let empty = put(&digest("")).await;
    let shown = empty.replace(place.rsplit('/').next().unwrap(), "ID");
    insta::assert_snapshot!(shown, @"400 BLOB_UPLOAD_INVALID: The upload with id 'ID' in the repository with name 'demo/web' in registry with id '123456789012' cannot be completed because it does not have any parts.");
    registry.ask("PATCH", &place, "layer").await;
    insta::assert_snapshot!(put("").await, @"400 DIGEST_INVALID: provided digest did not match uploaded content");
    insta::assert_snapshot!(put("sha256:12").await, @"400 DIGEST_INVALID: provided digest did not match uploaded content");
    insta::assert_snapshot!(put(&digest("other")).await, @"400 BLOB_UPLOAD_INVALID: None of the provided layer digests match the calculated layer digest");
    assert_eq!(put(&digest("layer")).await, "201");
    let again = put(&digest("layer")).await.replace(place.rsplit('/').next().unwrap(), "ID");
    insta::assert_snapshot!(again, @"404 BLOB_UPLOAD_UNKNOWN: The upload with id 'ID' does not exist in the repository with name 'demo/web' in the registry with id '123456789012'");
}

#[tokio::test]
async fn a_manifest_is_what_it_is_sent_as_under_a_name_that_can_be_one() {
    let registry = Registry::of(World::default()).await;
    registry.blob("{}").await;
    let config = json!({ "digest": digest("{}"), "size": 2, "mediaType": "c" });
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let typed =
        |of: &str| json!({ "schemaVersion": 2, "mediaType": of, "config": config }).to_string();
    let other = registry.ask("PUT", "/v2/demo/web/manifests/one", typed(docker)).await;
    insta::assert_snapshot!(error(&other), @"400 MANIFEST_INVALID: manifest invalid");
    let none = registry.ask("PUT", "/v2/demo/web/manifests/-one", typed(MANIFEST)).await;
    insta::assert_snapshot!(error(&none), @"404 NOT_FOUND: page not found");
    let bare = json!({ "schemaVersion": 2, "config": config }).to_string();
    assert_eq!(registry.ask("PUT", "/v2/demo/web/manifests/one", bare).await.status, 201);
}

#[tokio::test]
async fn a_layer_is_mounted_only_where_the_account_allows_it() {
    let mut world = World::default();
    world.image("team/base", "one", &Image::new("linux/arm64", "base"));
    let layer = world.repositories["team/base"].blobs.keys().next().unwrap().clone();
    let registry = Registry::of(world).await;
    let mount = format!("/v2/demo/web/blobs/uploads/?mount={layer}&from=team/base");
    assert_eq!(registry.ask("POST", &mount, "").await.status, 202);
    registry.sandbox.world(|world| world.mounting = true);
    assert_eq!(registry.ask("POST", &mount, "").await.status, 201);
    let head = registry.ask("HEAD", &format!("/v2/demo/web/blobs/{layer}"), "").await;
    assert_eq!(head.status, 200);
}

#[tokio::test]
async fn no_password_a_wrong_one_an_expired_one_and_a_missing_right_differ() {
    let registry = Registry::of(World::default()).await;
    let none = send(&registry.sandbox, "GET", "/v2/", &[], "").await.unwrap();
    assert_eq!(none.status, 401);
    let realm =
        format!("Basic realm=\"{}/\",service=\"ecr.amazonaws.com\"", registry.sandbox.url());
    assert_eq!(none.header("www-authenticate"), realm);
    let wrong = format!("Basic {}", BASE64_STANDARD.encode("AWS:wrong"));
    let wrong = [("authorization", wrong.as_str())];
    assert_eq!(send(&registry.sandbox, "GET", "/v2/", &wrong, "").await.unwrap().status, 400);
    registry.sandbox.world(|world| {
        world.deny("ecr:InitiateLayerUpload");
    });
    let denied = registry.ask("POST", "/v2/demo/web/blobs/uploads/", "").await;
    assert!(error(&denied).starts_with("403 DENIED: User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:InitiateLayerUpload"));
    registry.sandbox.expire_passwords();
    insta::assert_snapshot!(
        error(&registry.ask("GET", "/v2/", "").await),
        @"403 DENIED: Your authorization token has expired. Reauthenticate and try again."
    );
}

#[tokio::test]
async fn the_layers_are_gone_with_the_sandbox() {
    let registry = Registry::of(World::default()).await;
    let host = registry.sandbox.url().replace("http://", "");
    registry.blob("layer").await;
    drop(registry.sandbox);
    // The listener ends with its task, which the runtime drops when it next runs.
    for _ in 0..1000 {
        if tokio::net::TcpStream::connect(&host).await.is_err() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the listener outlived the sandbox");
}
