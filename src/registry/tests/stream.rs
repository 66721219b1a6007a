//! Images that come out of an engine as a stream: whole, cut, wrong and hostile.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::json;

use super::forms::{Entry, blob, new_form, old_form, podman_form, tar_of};
use super::server::Fault;
use super::{PACE, Server, client};
use crate::error::{Code, Failure};
use crate::image::samples::{config, layer, noise};
use crate::image::{Image, Manifest, Saved, open};
use crate::names::Digest;
use crate::registry::{Pace, Pushed, Reference, Registry};

/// What one asking for the tar yields.
#[derive(Clone)]
struct Feed {
    tar: Vec<u8>,
    failure: Option<Failure>,
}

/// An engine's image, and how often its tar was asked for.
struct Source {
    saved: Saved,
    asked: Arc<AtomicUsize>,
}

impl Source {
    /// The first asking gets the first feed, all after the last one that.
    fn of(config: &[u8], layers: &[Vec<u8>], feeds: Vec<Feed>) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let again = move || {
            let at = count.fetch_add(1, Ordering::SeqCst).min(feeds.len() - 1);
            let Feed { tar, failure } = feeds[at].clone();
            let pieces: Vec<_> =
                tar.chunks(10_000).map(|p| Ok(Bytes::copy_from_slice(p))).collect();
            futures_util::stream::iter(pieces.into_iter().chain(failure.map(Err))).boxed()
        };
        let saved = Saved {
            shown: "web:v1".into(),
            config: Digest::of(config),
            diff_ids: layers.iter().map(|layer| Digest::of(layer)).collect(),
            again: Arc::new(again),
        };
        Self { saved, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn push(&self, registry: &Registry) -> Result<Pushed, Failure> {
        registry.push_saved(&self.saved, &"v1".parse().unwrap(), &BTreeMap::new(), &|_| {}).await
    }
}

/// The client that sends one layer after the other, so that faults meet the first.
fn in_turn(url: &str) -> (Registry, Arc<AtomicUsize>) {
    let (registry, logins) = client(url, "shop/web");
    (registry.paced(Pace { at_once: 1, ..PACE }), logins)
}

/// Three layers, one of them of several blocks and partly dense.
fn layers() -> Vec<Vec<u8>> {
    let large = [noise(1_500_000, 1), b"and text, and text".repeat(100_000)].concat();
    vec![large, layer(b"small"), layer(b"app")]
}

fn config_of(layers: &[Vec<u8>]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    config("linux/amd64", &diff_ids)
}

fn whole(tar: Vec<u8>) -> Feed {
    Feed { tar, failure: None }
}

/// The usual image in the new form.
fn source(feeds: impl Fn(Vec<u8>) -> Vec<Feed>) -> Source {
    let layers = layers();
    let config = config_of(&layers);
    Source::of(&config, &layers, feeds(new_form(&config, &layers)))
}

fn good() -> Source {
    source(|tar| vec![whole(tar)])
}

/// What the server has of a manifest's layers, unpacked.
fn unpacked(server: &Server, name: &str) -> Vec<Vec<u8>> {
    let state = server.state.lock().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&state.manifests[name].1).unwrap();
    let digests = manifest["layers"].as_array().unwrap().iter();
    digests
        .map(|layer| {
            let mut plain = Vec::new();
            let bytes = &state.blobs[layer["digest"].as_str().unwrap()];
            assert_eq!(layer["size"], bytes.len());
            flate2::bufread::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
            plain
        })
        .collect()
}

/// The whole message, without the digests of this image.
fn told(failure: Failure, source: &Source) -> String {
    let lines = [vec![failure.code.to_string(), failure.what], failure.why, failure.next].concat();
    let text = lines.join("\n").replace(source.saved.config.short(), "@@CONFIG@@");
    source.saved.diff_ids.iter().enumerate().fold(text, |text, (at, id)| {
        text.replace(id.as_str(), &format!("@@{at}@@")).replace(id.short(), &format!("@{at}@"))
    })
}

async fn opened(tar: &[u8]) -> (tempfile::TempDir, Image) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    std::fs::write(&path, tar).unwrap();
    let image = open(path.to_str().unwrap()).await.unwrap();
    (folder, image)
}

#[tokio::test]
async fn every_form_of_the_tar_is_the_same_image_as_the_archive() {
    let layers = layers();
    let config = config_of(&layers);
    let (_folder, archive) = opened(&old_form(&config, &layers)).await;
    for form in [new_form, old_form, podman_form] {
        let source = Source::of(&config, &layers, vec![whole(form(&config, &layers))]);
        let server = Server::start().await;
        let (registry, logins) = client(&server.url, "shop/web");
        let pushed = source.push(&registry).await.unwrap();
        assert_eq!(pushed.digest, archive.root.digest);
        assert_eq!((pushed.new, pushed.reused, source.asked()), (3, 0, 1));
        assert_eq!(unpacked(&server, "v1"), layers);
        assert_eq!(logins.load(Ordering::SeqCst), 1);
        // Once more: the tag has this config, and nothing is exported.
        let again = source.push(&registry).await.unwrap();
        assert_eq!((again.digest, again.new, again.reused), (pushed.digest, 0, 3));
        assert_eq!(source.asked(), 1);
    }
}

#[tokio::test]
async fn equal_layers_are_sent_once_and_listed_as_often_as_they_are_there() {
    let mut layers = layers();
    layers.push(layers[0].clone());
    let config = config_of(&layers);
    for form in [new_form, old_form] {
        let source = Source::of(&config, &layers, vec![whole(form(&config, &layers))]);
        let server = Server::start().await;
        let pushed = source.push(&client(&server.url, "shop/web").0).await.unwrap();
        assert_eq!((pushed.new, pushed.reused), (3, 0));
        assert_eq!(unpacked(&server, "v1"), layers);
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_is_asked_for_again_and_what_is_stored_is_not_sent_again() {
    let lost = Failure::new(Code::BuildEngine, "the engine ended").why("connection reset");
    let source = source(|tar| {
        // Inside the last layer, before the config.
        let half = tar[..tar.len() - 5_000].to_vec();
        vec![Feed { tar: half, failure: Some(lost.clone()) }, whole(tar)]
    });
    let server = Server::start().await;
    let pushed = source.push(&in_turn(&server.url).0).await.unwrap();
    assert_eq!((pushed.new, source.asked()), (3, 2));
    assert_eq!(unpacked(&server, "v1"), layers());
    // Config and three layers, and the last of them, which was cut off, at most twice.
    assert!((4..=5).contains(&server.count("POST")), "{}", server.count("POST"));
}

#[tokio::test]
async fn an_upload_that_breaks_is_read_again_alone() {
    for fault in [Fault::Cut(100_000), Fault::Lose, Fault::Stall] {
        let source = good();
        let server = Server::start().await;
        server.fault("PATCH", "", fault.clone(), 1);
        let pushed = source.push(&in_turn(&server.url).0).await.unwrap();
        assert_eq!((pushed.new, source.asked()), (3, 2), "{fault:?}");
        assert_eq!(unpacked(&server, "v1"), layers());
        // Config and three layers, and one of them twice.
        assert_eq!(server.count("POST"), 5, "{fault:?}");
    }
}

#[tokio::test]
async fn what_fails_before_and_after_the_bytes_costs_no_second_reading() {
    let wait = || Fault::Answer(429, &[], String::new());
    for (method, fault) in [("POST", wait()), ("PUT", Fault::Lose), ("PUT", wait())] {
        let source = good();
        let server = Server::start().await;
        server.fault(method, "/blobs/", fault.clone(), 1);
        source.push(&in_turn(&server.url).0).await.unwrap();
        assert_eq!(source.asked(), 1, "{method} {fault:?}");
        assert_eq!(server.count("PATCH"), 4, "{method} {fault:?}");
    }
}

#[tokio::test]
async fn a_login_that_expires_in_the_middle_is_renewed() {
    let source = good();
    let server = Server::start().await;
    let (registry, logins) = in_turn(&server.url);
    let body = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
    server.fault("PATCH", "", Fault::Answer(403, &[], body.into()), 1);
    server.state.lock().unwrap().password.clear();
    source.push(&registry).await.unwrap();
    assert_eq!((logins.load(Ordering::SeqCst), source.asked()), (2, 2));
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_engine_said_is_never_completed() {
    let mut layers = layers();
    let config = config_of(&layers);
    let source = |tar| Source::of(&config, &self::layers(), vec![whole(tar)]);
    let right = Digest::of(&layers[0]);
    layers[0][700_000] ^= 1;
    let read = Digest::of(&layers[0]);
    let name = format!("blobs/sha256/{}", right.hex());
    let new = tar_of(&[blob(&config), Entry::File(name, &layers[0])]);
    let server = Server::start().await;
    let one = source(new);
    let failure = one.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    let text =
        told(failure, &one).replace(right.hex(), "@@HEX@@").replace(read.as_str(), "@@READ@@");
    insta::assert_snapshot!(text, @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    the engine's export of it: layer `blobs/sha256/@@HEX@@` should be @@0@@, its bytes are @@READ@@
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    assert_eq!((one.asked(), server.state.lock().unwrap().blobs.len()), (1, 1));
    assert_eq!(server.count("PUT /v2/shop/web/manifests"), 0);

    let server = Server::start().await;
    let one = source(old_form(&config, &layers));
    let failure = one.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    let text = told(failure, &one).replace(read.as_str(), "@@READ@@");
    insta::assert_snapshot!(text, @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    the engine's export of it: layer `0000000000000000000000000000000000000000000000000000000000000000/layer.tar` is none of the image's: its bytes are @@READ@@
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    assert!(!server.state.lock().unwrap().manifests.contains_key("v1"));
}

#[tokio::test]
async fn a_tar_that_is_never_whole_is_refused_after_a_few_readings() {
    let source_cut = source(|tar| vec![whole(tar[..1_000_000].to_vec())]);
    let server = Server::start().await;
    let failure = source_cut.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &source_cut), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    tried 4 times; at last:
    the engine's export of it: it ends inside a layer
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    assert_eq!(source_cut.asked(), 4);

    // An entry that says it is longer than all that comes, and one that is not there at all.
    let layers = layers();
    let config = config_of(&layers);
    let hex = Digest::of(&layers[0]);
    let name = format!("blobs/sha256/{}", hex.hex());
    let claims = tar_of(&[blob(&config), Entry::Claim(name, &layers[0], 1 << 40)]);
    let one = Source::of(&config, &layers, vec![whole(claims)]);
    let failure = one.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &one), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    tried 4 times; at last:
    the engine's export of it: it ends inside a layer
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    let lacks = tar_of(&[blob(&config), blob(&layers[0]), blob(&layers[1])]);
    let one = Source::of(&config, &layers, vec![whole(lacks)]);
    let failure = one.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &one), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    tried 4 times; at last:
    the engine's export of it: layer @2@ is missing in it
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    assert!(server.state.lock().unwrap().manifests.is_empty());
}

#[tokio::test]
async fn a_link_that_leads_outside_is_not_followed() {
    let layers = vec![layer(b"one")];
    let config = config_of(&layers);
    let tar = tar_of(&[
        Entry::Link("aa/layer.tar".into(), "../../../etc/passwd"),
        Entry::File(format!("{}.json", Digest::of(&config).hex()), &config),
    ]);
    let one = Source::of(&config, &layers, vec![whole(tar)]);
    let server = Server::start().await;
    let failure = one.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    insta::assert_snapshot!(told(failure, &one), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    tried 4 times; at last:
    the engine's export of it: layer @0@ is missing in it
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
}

#[tokio::test]
async fn a_config_that_does_not_match_is_refused() {
    let layers = layers();
    let config = config_of(&layers);
    let server = Server::start().await;
    let (registry, _) = client(&server.url, "shop/web");
    let name = format!("blobs/sha256/{}", Digest::of(&config).hex());
    let other = config_of(&layers[..1]);
    let tar = tar_of(&[Entry::File(name, &other)]);
    let one = Source::of(&config, &layers, vec![whole(tar)]);
    let text = told(one.push(&registry).await.unwrap_err(), &one);
    let text = text.replace(&one.saved.config.as_str()[19..], "");
    insta::assert_snapshot!(text.replace(Digest::of(&other).as_str(), "@@READ@@"), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    the engine's export of it: its config should be @@CONFIG@@, its bytes are @@READ@@
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    let one = Source::of(&other, &layers, vec![whole(tar_of(&[blob(&other)]))]);
    insta::assert_snapshot!(told(one.push(&registry).await.unwrap_err(), &one), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    the engine's export of it: its config names other layers than the engine does
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    let long = vec![b' '; 5 * 1024 * 1024];
    let one = Source::of(&long, &layers, vec![whole(tar_of(&[blob(&long)]))]);
    insta::assert_snapshot!(told(one.push(&registry).await.unwrap_err(), &one), @"
    SW-IMAGE-INVALID
    `web:v1` did not come out of the engine whole
    the engine's export of it: its config is longer than 4 MiB
    run it again; if it stays, build the image again: the engine's copy is broken
    ");
    assert_eq!((one.asked(), server.count("POST")), (1, 0));
}

#[tokio::test]
async fn an_engine_that_gives_nothing_is_asked_once() {
    let refused = Failure::new(Code::BuildEngine, "image sha256:0 did not come out of the engine");
    let source = source(|_| vec![Feed { tar: Vec::new(), failure: Some(refused.clone()) }]);
    let server = Server::start().await;
    let failure = source.push(&client(&server.url, "shop/web").0).await.unwrap_err();
    assert_eq!((failure, source.asked()), (refused, 1));
}

#[tokio::test]
async fn layers_that_are_known_are_neither_sent_nor_lost() {
    let one = good();
    let server = Server::start().await;
    let (registry, _) = client(&server.url, "shop/web");
    let first = registry.store_saved(&one.saved, &BTreeMap::new(), &|_| {}).await.unwrap();
    assert_eq!((first.new, first.reused), (3, 0));
    assert!(!server.state.lock().unwrap().manifests.contains_key("v1"));
    // The next image has two of these layers.
    let crate::image::Inspected::Image { layers: there, .. } =
        crate::image::inspect(&first.manifest.media_type, &first.manifest.bytes).unwrap()
    else {
        panic!("no image")
    };
    let known: BTreeMap<_, _> = one.saved.diff_ids.iter().cloned().zip(there).collect();
    let mut layers = layers();
    layers[2] = layer(b"another app");
    let config = config_of(&layers);
    for form in [new_form, podman_form] {
        let next = Source::of(&config, &layers, vec![whole(form(&config, &layers))]);
        let patches = server.count("PATCH");
        let stored = registry.store_saved(&next.saved, &known, &|_| {}).await.unwrap();
        assert_eq!((stored.new, stored.reused), (1, 2));
        // The layer, and the config the first time.
        assert!((1..=2).contains(&(server.count("PATCH") - patches)));
        assert_eq!(unpacked(&server, stored.manifest.digest.as_str()), layers);
    }
}

#[tokio::test]
async fn two_images_are_stored_without_a_tag_and_an_index_names_them() {
    let server = Server::start().await;
    let (registry, _) = client(&server.url, "shop/web");
    let mut children: Vec<Manifest> = Vec::new();
    for platform in ["linux/amd64", "linux/arm64"] {
        let layers = vec![layer(b"shared"), layer(platform.as_bytes())];
        let ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config = config(platform, &ids);
        let source = Source::of(&config, &layers, vec![whole(new_form(&config, &layers))]);
        let stored = registry.store_saved(&source.saved, &BTreeMap::new(), &|_| {}).await.unwrap();
        children.push(stored.manifest);
    }
    let entries: Vec<_> = children
        .iter()
        .map(|m| json!({ "mediaType": m.media_type, "digest": m.digest, "size": m.bytes.len() }))
        .collect();
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries });
    let bytes = Bytes::from(index.to_string());
    let root = Manifest { digest: Digest::of(&bytes), media_type: media_type.into(), bytes };
    let image = Image {
        shown: "both".into(),
        is_folder: false,
        root,
        children,
        blobs: Vec::new(),
        platforms: Vec::new(),
        configs: Vec::new(),
    };
    let pushed = registry.push(&image, &"v1".parse().unwrap(), &[], &|_| {}).await.unwrap();
    assert_eq!(pushed.digest, image.root.digest);
    let held = registry.held(&Reference::Tag("v1".parse().unwrap())).await.unwrap().unwrap();
    let platforms: Vec<_> = held.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
}

#[tokio::test]
async fn an_immutable_tag_of_another_image_is_a_conflict_and_a_lost_layer_is_read_again() {
    let server = Server::start().await;
    server.state.lock().unwrap().immutable = true;
    let (registry, _) = in_turn(&server.url);
    let one = good();
    let lost = {
        let layers = layers();
        let (_folder, archive) = opened(&old_form(&config_of(&layers), &layers)).await;
        archive.blobs.iter().max_by_key(|blob| blob.size).unwrap().digest.to_string()
    };
    server.fault("PUT", "/manifests/", Fault::Delete(lost), 1);
    let first = one.push(&registry).await.unwrap();
    assert_eq!((first.new, one.asked()), (3, 2));
    assert_eq!(server.count("PATCH"), 5);

    let layers = vec![layer(b"other")];
    let config = config_of(&layers);
    let other = Source::of(&config, &layers, vec![whole(new_form(&config, &layers))]);
    let failure = other.push(&registry).await.unwrap_err();
    assert_eq!(failure.code, Code::ImageConflict);
    assert!(failure.why[0].contains(first.digest.short()), "{failure:?}");
}

#[tokio::test]
async fn dropping_the_push_ends_the_reading_too() {
    struct Held(tokio::sync::mpsc::UnboundedSender<()>);
    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    let (to, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let mut source = good();
    source.saved.again = Arc::new(move || {
        let held = Held(to.clone());
        // As an engine that collects the image before its first byte.
        futures_util::stream::once(async move {
            let _held = held;
            std::future::pending().await
        })
        .boxed()
    });
    let server = Server::start().await;
    let (registry, _) = client(&server.url, "shop/web");
    let task = tokio::spawn(async move { source.push(&registry).await });
    while server.count("GET") == 0 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    // Either it was not asked for yet, or what was asked for is given up.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), ended.recv()).await.unwrap();
}
