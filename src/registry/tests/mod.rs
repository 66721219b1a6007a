//! Pushes against a small registry that fails as ECR does, and against the real one.

mod copying;
mod faults;
mod forms;
mod originals;
mod real;
mod server;
mod stream;
mod testbed;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::{Login, Pace, Pushed, Registry};
use crate::error::Failure;
use crate::http::retry::Patience;
use crate::http::{Surroundings, client_in};
use crate::image::samples::{Files, GZIP, layer, noise, platform};
use crate::image::{Image, open};
use crate::names::Repository;
use server::Server;

/// Patience in milliseconds.
const QUICK: Patience = Patience {
    attempts: 4,
    first: Duration::from_millis(5),
    most: Duration::from_millis(20),
    asked: Duration::from_secs(2),
    overall: Duration::from_secs(20),
};

const PACE: Pace = Pace {
    blob: QUICK,
    manifest: QUICK,
    stall: Duration::from_millis(400),
    answer: Duration::from_secs(5),
    settle: Duration::from_millis(300),
    at_once: 4,
};

/// The client of `repository` at `url`, and how many logins it has asked for: "one", then "two".
fn client(url: &str, repository: &str) -> (Registry, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let login = move || {
        let password = if count.fetch_add(1, Ordering::SeqCst) == 0 { "one" } else { "two" };
        async move { Ok(Login { user: "AWS".into(), password: password.into() }) }
    };
    let http = client_in(&Surroundings::default()).unwrap();
    let repository: Repository = repository.parse().unwrap();
    (Registry::new(http, url.parse().unwrap(), repository, login).unwrap().paced(PACE), asked)
}

/// An image of one large and one small layer, in a folder that lives as long as it is kept.
async fn image() -> (TempDir, Image) {
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(GZIP, noise(2_000_000, 1)), (GZIP, layer(b"small"))]);
    opened(&files.root(&[root])).await
}

/// An image of two platforms that share a layer.
async fn index() -> (TempDir, Image) {
    let mut files = Files::layout();
    let shared = noise(300_000, 2);
    let amd = files.image("linux/amd64", &[(GZIP, shared.clone()), (GZIP, layer(b"amd"))]);
    let arm = files.image("linux/arm64", &[(GZIP, shared), (GZIP, layer(b"arm"))]);
    let entries = [platform(amd, "linux", "amd64"), platform(arm, "linux", "arm64")];
    let root = files.index(&entries);
    opened(&files.root(&[root])).await
}

async fn opened(files: &Files) -> (TempDir, Image) {
    let folder = TempDir::new().unwrap();
    files.to_folder(folder.path());
    let image = open(folder.path().to_str().unwrap()).await.unwrap();
    (folder, image)
}

async fn push(registry: &Registry, image: &Image) -> Result<Pushed, Failure> {
    registry.push(image, &"v1".parse().unwrap(), &[], &|_| {}).await
}

/// The whole message, with what differs from run to run replaced.
fn told(failure: Failure, url: &str, image: &Image) -> String {
    let lines = [vec![failure.code.to_string(), failure.what], failure.why, failure.next].concat();
    let host = url.trim_start_matches("http://");
    let text = lines.join("\n").replace(host, "@@HOST@@").replace(&image.shown, "@@IMAGE@@");
    image.blobs.iter().map(|b| &b.digest).chain([&image.root.digest]).fold(text, |text, digest| {
        text.replace(digest.as_str(), "@@DIGEST@@").replace(digest.short(), "@@SHORT@@")
    })
}

/// The digest of the large layer.
fn large(image: &Image) -> &crate::image::Blob {
    image.blobs.iter().max_by_key(|blob| blob.size).unwrap()
}
