//! Copies from `shop/base` into `shop/web` of the same registry: byte for byte, mounted or streamed, and each way
//! in which that goes wrong.

use std::time::Duration;

use serde_json::json;

use super::server::{Fault, Then};
use super::{PACE, Server, client, large, push, told};
use crate::error::{Code, Failure};
use crate::image::Image;
use crate::image::samples::{Files, GZIP, layer, noise, platform, with};
use crate::names::Digest;
use crate::registry::{Held, Pace, Pushed, Reference, Registry};

const INDEX: &str = "application/vnd.oci.image.manifest.v1+json";

/// An index as BuildKit writes it: two platforms, and what is attested of the first.
async fn attested() -> (tempfile::TempDir, Image) {
    let mut files = Files::layout();
    let shared = noise(700_000, 2);
    let amd = files.image("linux/amd64", &[(GZIP, shared.clone()), (GZIP, layer(b"amd"))]);
    let arm = files.image("linux/arm64", &[(GZIP, shared), (GZIP, layer(b"arm"))]);
    let config = files.descriptor("application/vnd.oci.image.config.v1+json", b"{}".to_vec());
    let statement = files.descriptor("application/vnd.in-toto+json", b"{\"a\":1}".to_vec());
    let attestation =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "config": config, "layers": [statement] });
    let attestation = files.descriptor(INDEX, attestation.to_string().into_bytes());
    let notes = json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": amd["digest"] });
    let attestation = with(platform(attestation, "unknown", "unknown"), "annotations", notes);
    let entries = [platform(amd, "linux", "amd64"), platform(arm, "linux", "arm64"), attestation];
    let root = files.index(&entries);
    super::opened(&files.root(&[root])).await
}

/// A registry whose `shop/base` holds this image under `v1`, and nothing else.
async fn holding(image: &Image) -> Server {
    let server = Server::start().await;
    push(&client(&server.url, "shop/web").0, image).await.unwrap();
    let mut state = server.state.lock().unwrap();
    state.blobs = std::mem::take(&mut state.blobs)
        .into_iter()
        .map(|(name, bytes)| (format!("base/{name}"), bytes))
        .collect();
    state.manifests = std::mem::take(&mut state.manifests)
        .into_iter()
        .map(|(name, manifest)| (format!("base/{name}"), manifest))
        .collect();
    state.log.clear();
    drop(state);
    server
}

async fn original(registry: &Registry, repository: &str) -> (Registry, Held) {
    let from = registry.beside(&repository.parse().unwrap());
    let held = from.held(&Reference::Tag("v1".parse().unwrap())).await.unwrap().unwrap();
    (from, held)
}

/// Copies `shop/base:v1` to `shop/web:v2`. The upload is patient, so that a busy machine is no silence.
async fn copied(server: &Server) -> Result<Pushed, Failure> {
    let (registry, _) = client(&server.url, "shop/web");
    let (from, held) = original(&registry, "shop/base").await;
    let registry = registry.paced(Pace { stall: Duration::from_secs(30), ..PACE });
    registry.copy(&from, &held, &"v2".parse().unwrap(), &|_| {}).await
}

/// What both repositories hold under their tags, and whether every byte is the same.
fn is_same(server: &Server, image: &Image) -> bool {
    let state = server.state.lock().unwrap();
    let blobs = image.blobs.iter().map(|blob| blob.digest.as_str());
    let manifests = image.children.iter().map(|child| child.digest.as_str());
    blobs.clone().all(|name| state.blobs.get(name) == state.blobs.get(&format!("base/{name}")))
        && blobs.count() == image.blobs.len()
        && manifests
            .chain([image.root.digest.as_str()])
            .all(|name| state.manifests.get(name) == state.manifests.get(&format!("base/{name}")))
        && state.manifests.get("v2") == state.manifests.get("base/v1")
}

#[tokio::test]
async fn an_index_with_attestations_is_mounted_and_keeps_its_digest() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    let copied = copied(&server).await.unwrap();
    assert_eq!(copied.digest, image.root.digest);
    // The shared layer, one of each platform, and what is attested.
    assert_eq!((copied.new, copied.reused), (0, 4));
    assert!(is_same(&server, &image));
    assert_eq!((server.count("PATCH"), server.count("GET /bucket/")), (0, 2), "configs are read");
    let log = server.state.lock().unwrap().log.clone();
    let puts: Vec<_> = log.iter().filter(|l| l.starts_with("PUT")).collect();
    assert!(puts.len() == 4 && puts[3].ends_with("/v2"), "{puts:?}");
}

#[tokio::test]
async fn where_nothing_is_mounted_it_is_streamed_without_the_login() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    server.state.lock().unwrap().mounts_nothing = true;
    let copied = copied(&server).await.unwrap();
    assert_eq!((copied.new, copied.reused), (4, 0));
    assert!(is_same(&server, &image));
    // Each blob by one request to each side: the bucket refuses a login.
    assert_eq!(server.count("PATCH"), image.blobs.len());
}

#[tokio::test]
async fn a_second_copy_writes_nothing() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    copied(&server).await.unwrap();
    let writes = || server.count("PUT") + server.count("POST") + server.count("PATCH");
    let before = writes();
    let again = copied(&server).await.unwrap();
    assert_eq!((again.new, again.reused, writes()), (0, 4, before));
}

#[tokio::test]
async fn within_one_repository_only_the_tag_is_new() {
    let server = Server::start().await;
    let (_folder, image) = attested().await;
    let (registry, _) = client(&server.url, "shop/web");
    push(&registry, &image).await.unwrap();
    let (from, held) = original(&registry, "shop/web").await;
    server.state.lock().unwrap().log.clear();
    let tag = "v2".parse().unwrap();
    let copied = registry.copy(&from, &held, &tag, &|_| {}).await.unwrap();
    assert_eq!((copied.digest, copied.new, copied.reused), (image.root.digest, 0, 4));
    let log = server.state.lock().unwrap().log.clone();
    let writes: Vec<_> =
        log.iter().filter(|l| !l.starts_with("GET") && !l.starts_with("HEAD")).collect();
    assert_eq!(writes, ["PUT /v2/shop/web/manifests/v2"]);
}

#[tokio::test]
async fn a_reading_that_breaks_off_or_goes_silent_goes_on_where_it_was() {
    for (then, whole_only) in [(Then::End, false), (Then::Silence, false), (Then::End, true)] {
        let (_folder, image) = attested().await;
        let server = holding(&image).await;
        {
            let mut state = server.state.lock().unwrap();
            (state.mounts_nothing, state.whole_only) = (true, whole_only);
        }
        let path = format!("/bucket/{}", large(&image).digest);
        server.fault("GET", &path, Fault::Half(300_000, then), 2);
        copied(&server).await.unwrap();
        assert!(is_same(&server, &image), "{then:?}");
        assert_eq!(server.count(&format!("GET {path}")), 3, "{then:?}");
        // The upload never noticed.
        assert_eq!(server.count("PATCH"), image.blobs.len(), "{then:?}");
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_reads_the_original_again() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    server.state.lock().unwrap().mounts_nothing = true;
    server.fault("PATCH", "", Fault::Cut(200_000), 1);
    copied(&server).await.unwrap();
    assert!(is_same(&server, &image));
    assert_eq!(server.count("PATCH"), image.blobs.len() + 1);
}

#[tokio::test]
async fn a_reading_that_stays_broken_is_said_with_how_far_it_came() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    server.state.lock().unwrap().mounts_nothing = true;
    let path = format!("/bucket/{}", large(&image).digest);
    server.fault("GET", &path, Fault::Half(0, Then::End), 99);
    let failure = copied(&server).await.unwrap_err();
    let length = large(&image).size.to_string();
    let text = told(failure, &server.url, &image).replace(&length, "@SIZE@");
    insta::assert_snapshot!(text, @"
    SW-ECR-REACH
    `@@HOST@@` was not reached: blob @@SHORT@@
    tried 4 times; at last error decoding response body: error reading a body from connection: end of file before message length reached, after 0 of @SIZE@ bytes
    curl -sSI https://@@HOST@@/v2/ from the same runner; 401 is a good answer
    ");
    assert!(!server.state.lock().unwrap().manifests.contains_key("v2"));
}

#[tokio::test]
async fn a_blob_that_is_not_what_it_says_is_never_completed() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    let digest = large(&image).digest.clone();
    {
        let mut state = server.state.lock().unwrap();
        state.mounts_nothing = true;
        state.blobs.get_mut(&format!("base/{digest}")).unwrap()[99] ^= 1;
    }
    let failure = copied(&server).await.unwrap_err();
    let read = {
        let state = server.state.lock().unwrap();
        Digest::of(&state.blobs[&format!("base/{digest}")])
    };
    let text = told(failure, &server.url, &image).replace(read.short(), "@READ@");
    insta::assert_snapshot!(text, @"
    SW-IMAGE-INVALID
    blob @@SHORT@@ in the registry cannot be used
    its bytes are @READ@
    name another image: this one's repository does not hold what it says
    ");
    let state = server.state.lock().unwrap();
    assert!(!state.manifests.contains_key("v2") && !state.blobs.contains_key(digest.as_str()));
}

#[tokio::test]
async fn an_index_that_lacks_a_part_is_refused_before_any_write() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    let child = image.children.last().unwrap().digest.clone();
    server.state.lock().unwrap().manifests.remove(&format!("base/{child}"));
    let failure = copied(&server).await.unwrap_err();
    let text = told(failure, &server.url, &image).replace(child.as_str(), "@CHILD@");
    insta::assert_snapshot!(text, @"
    SW-IMAGE-INVALID
    index @@SHORT@@ in the registry cannot be used
    ECR `shop/base` lacks @CHILD@, which it lists
    name an image whose manifests are all there, or build it anew
    ");
    assert_eq!(server.count("POST") + server.count("PUT") + server.count("PATCH"), 0);
}

#[tokio::test]
async fn an_immutable_tag_that_holds_another_image_stays() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    let (_other_folder, other) = super::image().await;
    let (registry, _) = client(&server.url, "shop/web");
    registry.push(&other, &"v2".parse().unwrap(), &[], &|_| {}).await.unwrap();
    server.state.lock().unwrap().immutable = true;
    let failure = copied(&server).await.unwrap_err();
    let text = told(failure, &server.url, &image).replace(other.root.digest.short(), "@OTHER@");
    insta::assert_snapshot!(text, @r#"
    SW-IMAGE-CONFLICT
    immutable tag v2 holds another image
    ECR has @OTHER@, `shop/base@@@SHORT@@` is @@SHORT@@
    ECR answered 400 TAG_INVALID: "The image tag 'v1' already exists in the 'shop/web' repository and cannot be overwritten because the tag is immutable."
    leave out `image` to deploy the one in ECR, or ship a new commit
    "#);
    let state = server.state.lock().unwrap();
    assert_eq!(state.manifests["v2"].1, other.root.bytes);
}

#[tokio::test]
async fn a_right_that_is_missing_at_the_original_is_asked_for_there() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    server.state.lock().unwrap().mounts_nothing = true;
    let path = format!("/v2/shop/base/blobs/{}", large(&image).digest);
    let said = r#"{"errors":[{"code":"DENIED","message":"User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:GetDownloadUrlForLayer on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/base"}]}"#;
    server.fault("GET", &path, Fault::Answer(403, &[], said.into()), 9);
    let failure = copied(&server).await.unwrap_err();
    assert_eq!(failure.code, Code::Ecr403);
    insta::assert_snapshot!(told(failure, &server.url, &image), @r#"
    SW-ECR-403
    these credentials may not read ECR `shop/base`
    `@@HOST@@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:GetDownloadUrlForLayer on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/base"
    the right that was missing: ecr:GetDownloadUrlForLayer
    add this statement to the policy of the role or user:
    { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/shop/base" }
    "#);
    assert!(!server.state.lock().unwrap().manifests.contains_key("v2"));
}

#[tokio::test]
async fn a_throttled_original_is_waited_for() {
    let (_folder, image) = attested().await;
    let server = holding(&image).await;
    server.state.lock().unwrap().mounts_nothing = true;
    let slow = Fault::Answer(429, &[("Retry-After", "0")], String::new());
    server.fault("GET", "/v2/shop/base/", slow.clone(), 2);
    server.fault("GET", "/bucket/", slow, 2);
    copied(&server).await.unwrap();
    assert!(is_same(&server, &image));
}
