//! The same client against the distribution server that people run: `apt-get install
//! docker-registry`.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{client, image, index, push};
use crate::image::samples::{Files, PLAIN, layer, noise};
use crate::image::{Image, open};
use crate::names::Digest;
use crate::registry::{Held, Reference, Registry};

/// A registry of its own, ended with the test.
struct Real {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Real {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let root = folder.path().join("data");
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage:\n  filesystem: {{ rootdirectory: {} }}\n  delete: {{ enabled: true }}\nhttp: {{ addr: 127.0.0.1:{port} }}\n",
            root.display()
        );
        let file = folder.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(10), "docker-registry did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder }
    }
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn the_distribution_server_takes_an_image_and_an_index() {
    let real = Real::start();
    for (_folder, image) in [image().await, index().await] {
        let (registry, _) = client(&real.url, "shop/web");
        let tag = Reference::Tag("v1".parse().unwrap());
        let pushed = push(&registry, &image).await.unwrap();
        assert_eq!(pushed.digest, image.root.digest);
        let held = registry.held(&tag).await.unwrap().unwrap();
        assert_eq!(held.manifest, image.root);
        assert_eq!(held.platforms, image.platforms);
        assert_eq!(push(&registry, &image).await.unwrap().new, 0);
    }
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn the_distribution_server_mounts_from_another_repository() {
    let real = Real::start();
    let (_folder, image) = image().await;
    push(&client(&real.url, "shop/base").0, &image).await.unwrap();
    let (registry, _) = client(&real.url, "shop/web");
    let from = ["shop/gone".parse().unwrap(), "shop/base".parse().unwrap()];
    let pushed = registry.push(&image, &"v1".parse().unwrap(), &from, &|_| {}).await.unwrap();
    assert_eq!((pushed.new, pushed.reused), (0, 2));
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn the_distribution_server_takes_what_docker_save_wrote() {
    let real = Real::start();
    let mut files = Files::layout();
    let root = files.image("linux/arm64", &[(PLAIN, noise(5_000_000, 4)), (PLAIN, layer(b"x"))]);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.tar");
    std::fs::write(&path, files.root(&[root]).to_tar()).unwrap();
    let image = open(path.to_str().unwrap()).await.unwrap();
    let (registry, _) = client(&real.url, "shop/web");
    let pushed = push(&registry, &image).await.unwrap();
    assert_eq!(pushed.new, 2);
    for blob in &image.blobs {
        assert!(registry.has_blob(&blob.digest).await.unwrap());
    }
}

#[tokio::test]
#[ignore = "needs docker-registry, a Docker Engine on the classic store at DOCKER_HOST, and an image in SLIPWAY_REAL_IMAGE"]
async fn the_distribution_server_takes_an_image_as_it_leaves_an_engine() {
    let read = |name: &str| std::env::var(name).unwrap();
    let (host, name) = (Some(read("DOCKER_HOST")), read("SLIPWAY_REAL_IMAGE"));
    let whereabouts = crate::docker::Whereabouts { host, ..Default::default() };
    let engine = crate::docker::Engine::find(&whereabouts).await.unwrap();
    let found = engine.inspect(&name).await.unwrap().unwrap();
    let (asked, id) = (engine.clone(), found.id.clone());
    let saved = crate::image::Saved {
        shown: name,
        config: found.id.clone(),
        diff_ids: found.diff_ids.clone(),
        again: std::sync::Arc::new(move || asked.save(&id)),
    };
    let real = Real::start();
    let (registry, _) = client(&real.url, "shop/web");
    let tag = "v1".parse().unwrap();
    let pushed = registry.push_saved(&saved, &tag, &Default::default(), &|_| {}).await.unwrap();
    let held = registry.held(&Reference::Tag(tag.clone())).await.unwrap().unwrap();
    assert_eq!(held.manifest.digest, pushed.digest);
    assert_eq!(held.configs[0].digest, found.id);
    let again = registry.push_saved(&saved, &tag, &Default::default(), &|_| {}).await.unwrap();
    assert_eq!((again.digest, again.new), (pushed.digest, 0));
}

/// The most memory this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// An image of one layer of zeros, as long as it says without being on the disk or in memory.
async fn zeros(folder: &std::path::Path, size: u64) -> Image {
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(PLAIN, Vec::new())]);
    let files = files.root(&[root]);
    let zeros = std::fs::File::create(folder.join("zeros")).unwrap();
    zeros.set_len(size).unwrap();
    let mut hash = sha2::Sha256::default();
    let mut reader = std::fs::File::open(folder.join("zeros")).unwrap();
    std::io::copy(&mut reader, &mut hash).unwrap();
    let digest = Digest::finish(hash);
    let empty = Digest::of(b"");
    let named = |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.replace(empty.as_str(), digest.as_str())
            .replace("\"size\":0", &format!("\"size\":{size}"))
    };
    let old: serde_json::Value = serde_json::from_slice(&files.0["index.json"]).unwrap();
    let path = |digest: &str| format!("blobs/sha256/{}", digest.trim_start_matches("sha256:"));
    let manifest = files.0[&path(old["manifests"][0]["digest"].as_str().unwrap())].clone();
    let said: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let old_config = said["config"]["digest"].as_str().unwrap();
    let mut made = Files::layout();
    let config = made.blob(named(&files.0[&path(old_config)]).into_bytes());
    let manifest = named(&manifest).replace(old_config, config.as_str());
    let root = made.descriptor("application/vnd.oci.image.manifest.v1+json", manifest.into_bytes());
    let image_folder = folder.join("image");
    made.root(&[root]).to_folder(&image_folder);
    let place = image_folder.join(path(digest.as_str()));
    std::fs::rename(folder.join("zeros"), place).unwrap();
    open(image_folder.to_str().unwrap()).await.unwrap()
}

const LARGE: u64 = 600_000_000;

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn a_large_layer_is_pushed_in_little_memory() {
    let real = Real::start();
    let folder = TempDir::new().unwrap();
    let image = zeros(folder.path(), LARGE).await;
    let before = peak();
    let pushed = push(&client(&real.url, "shop/web").0, &image).await.unwrap();
    assert_eq!(pushed.new_bytes, LARGE);
    assert!(peak() < before + 40, "{before} MiB before, {} after", peak());
}

/// What `shop/base` of this registry has under `v1`.
async fn original(real: &Real) -> (Registry, Held) {
    let from = client(&real.url, "shop/base").0;
    let held = from.held(&Reference::Tag("v1".parse().unwrap())).await.unwrap().unwrap();
    (from, held)
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn the_distribution_server_copies_from_another_repository_and_in_one() {
    let real = Real::start();
    let (_folder, image) = index().await;
    push(&client(&real.url, "shop/base").0, &image).await.unwrap();
    let (from, held) = original(&real).await;
    let tag = Reference::Tag("v2".parse().unwrap());
    for name in ["shop/web", "shop/base"] {
        let registry = from.beside(&name.parse().unwrap());
        let copied = registry.copy(&from, &held, &"v2".parse().unwrap(), &|_| {}).await.unwrap();
        assert_eq!((copied.digest, copied.new, copied.reused), (image.root.digest.clone(), 0, 3));
        let found = registry.held(&tag).await.unwrap().unwrap();
        assert_eq!((found.manifest, found.configs), (held.manifest.clone(), held.configs.clone()));
        for blob in &image.blobs {
            assert!(registry.has_blob(&blob.digest).await.unwrap());
        }
    }
}

#[tokio::test]
#[ignore = "needs docker-registry"]
async fn a_large_layer_is_copied_in_little_memory() {
    // Another server mounts nothing from this one: all bytes pass through.
    let (here, there) = (Real::start(), Real::start());
    let folder = TempDir::new().unwrap();
    let image = zeros(folder.path(), LARGE).await;
    push(&client(&there.url, "shop/base").0, &image).await.unwrap();
    let (from, held) = original(&there).await;
    let (registry, _) = client(&here.url, "shop/web");
    let before = peak();
    let copied = registry.copy(&from, &held, &"v2".parse().unwrap(), &|_| {}).await.unwrap();
    assert_eq!((copied.digest, copied.new_bytes), (image.root.digest, LARGE));
    assert!(peak() < before + 40, "{before} MiB before, {} after", peak());
}
