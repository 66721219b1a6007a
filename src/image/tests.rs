//! Images as the tools write them, and as they arrive when something went wrong on the way.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use super::samples::{
    Files, GZIP, PLAIN, config, gzip, layer, named, noise, platform, tarred, with,
};
use super::{Image, Kind, open};
use crate::error::Failure;
use crate::names::Digest;

/// A folder for one test, and its path in messages.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn folder(&self, name: &str, files: &Files) -> String {
        files.to_folder(Path::new(&self.path(name)));
        self.path(name)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// The whole message, with this test's folder as `@@HERE@@`.
    fn told(&self, opened: Result<Image, Failure>) -> String {
        let failure = opened.unwrap_err();
        let lines =
            [vec![failure.code.to_string(), failure.what], failure.why, failure.next].concat();
        lines.join("\n").replace(self.0.path().to_str().unwrap(), "@@HERE@@")
    }
}

async fn bytes_of(image: &Image, at: usize) -> Result<Vec<u8>, Failure> {
    let mut pieces = image.blobs[at].read();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

fn digest_of(descriptor: &serde_json::Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_layout_folder_is_kept_byte_for_byte() {
    let place = Place::new();
    let mut files = Files::layout();
    let root = files.image("linux/arm64", &[(GZIP, layer(b"one")), (PLAIN, layer(b"two"))]);
    let image = open(&place.folder("image", &files.clone().root(std::slice::from_ref(&root))))
        .await
        .unwrap();

    assert_eq!(image.root.digest, digest_of(&root));
    assert_eq!(image.platforms, ["linux/arm64".parse().unwrap()]);
    assert_eq!(image.configs[0].labels["dev.slipway.recipe"], "r1");
    assert_eq!(image.blobs.iter().filter(|b| b.kind == Kind::Layer).count(), 2);
    for at in 0..image.blobs.len() {
        let bytes = bytes_of(&image, at).await.unwrap();
        assert_eq!(Digest::of(&bytes), image.blobs[at].digest);
        assert_eq!(bytes.len() as u64, image.blobs[at].size);
    }
}

#[tokio::test]
async fn an_index_has_its_platforms_but_not_its_attestations_and_each_layer_once() {
    let place = Place::new();
    let mut files = Files::layout();
    let shared = layer(b"shared");
    let amd = platform(files.image("linux/amd64", &[(GZIP, shared.clone())]), "linux", "amd64");
    let arm = files.image("linux/arm64", &[(GZIP, shared), (GZIP, layer(b"arm"))]);
    let statement = files.descriptor("application/vnd.in-toto+json", b"{}".to_vec());
    let empty = files.descriptor("application/vnd.oci.empty.v1+json", b"{ }".to_vec());
    let said = json!({ "schemaVersion": 2, "config": empty, "layers": [statement] });
    let said = files.descriptor(super::inspect::OCI_MANIFEST, said.to_string().into_bytes());
    let said = platform(said, "unknown", "unknown");
    let root = files.index(&[amd.clone(), arm.clone(), said.clone()]);
    let image =
        open(&place.folder("image", &files.root(std::slice::from_ref(&root)))).await.unwrap();

    assert_eq!(image.root.digest, digest_of(&root));
    // The arm64 entry has no platform of its own: its config says it.
    let platforms: Vec<_> = image.platforms.iter().map(ToString::to_string).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    let children: Vec<_> = image.children.iter().map(|m| m.digest.clone()).collect();
    assert_eq!(children, [digest_of(&amd), digest_of(&arm), digest_of(&said)]);
    // Two configs, two layers, and the attestation's two blobs.
    assert_eq!(image.blobs.len(), 6);
}

#[tokio::test]
async fn an_index_json_of_one_nameless_image_a_platform_is_the_image() {
    let place = Place::new();
    let mut files = Files::layout();
    let amd = files.image("linux/amd64", &[(GZIP, layer(b"amd"))]);
    let arm = files.image("linux/arm64", &[(GZIP, layer(b"arm"))]);
    let files = files.root(&[amd, arm]);
    let image = open(&place.folder("image", &files)).await.unwrap();

    assert_eq!(image.root.digest, Digest::of(&files.0["index.json"]));
    assert_eq!(image.children.len(), 2);
    assert_eq!(image.platforms.len(), 2);
}

#[tokio::test]
async fn plain_layers_of_docker_save_are_compressed_the_same_way_every_time() {
    let place = Place::new();
    let mut files = Files::layout();
    let (small, large) = (layer(b"small"), noise(3_000_000, 7));
    let saved = files.image("linux/amd64", &[(PLAIN, small.clone()), (PLAIN, large.clone())]);
    let files = files.root(&[named(saved.clone(), "dev")]);
    let plain = open(&place.file("image.tar", &files.to_tar())).await.unwrap();
    let whole = open(&place.file("image.tar.gz", &gzip(&files.to_tar()))).await.unwrap();

    assert_eq!(plain.root, whole.root);
    assert_ne!(plain.root.digest, digest_of(&saved));
    let manifest: serde_json::Value = serde_json::from_slice(&plain.root.bytes).unwrap();
    for (at, was) in [(0, &small), (1, &large)] {
        let said = &manifest["layers"][at];
        assert_eq!(said["mediaType"], GZIP);
        let blob = plain.blobs.iter().position(|b| b.digest == digest_of(said)).unwrap();
        assert_eq!(gunzip(&bytes_of(&plain, blob).await.unwrap()), **was);
        assert_eq!(said["size"], plain.blobs[blob].size);
    }
    assert_eq!(plain.configs[0].manifest, plain.root.digest);
}

#[tokio::test]
async fn the_old_docker_archive_gets_a_manifest_and_keeps_gzipped_layers() {
    let place = Place::new();
    let (plain, zipped) = (layer(b"plain"), layer(b"zipped"));
    let diff_ids = [Digest::of(&plain), Digest::of(&zipped), Digest::of(&plain)];
    let config = config("linux/amd64", &diff_ids);
    let config_path = format!("{}.json", Digest::of(&config).hex());
    let saved = json!([{ "Config": config_path, "RepoTags": ["web:dev"], "Layers": ["a/layer.tar", "b/layer.tar", "c/layer.tar"] }]);
    let mut tar = tar::Builder::new(tarred(&[]));
    tar.get_mut().clear();
    for (path, bytes) in [
        (config_path.as_str(), config.clone()),
        ("a/layer.tar", plain.clone()),
        ("b/layer.tar", gzip(&zipped)),
        ("manifest.json", saved.to_string().into_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "c/layer.tar", "../a/layer.tar").unwrap();
    let image = open(&place.file("image.tar", &tar.into_inner().unwrap())).await.unwrap();

    let manifest: serde_json::Value = serde_json::from_slice(&image.root.bytes).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 3);
    assert_eq!(manifest["layers"][0], manifest["layers"][2]);
    assert_eq!(digest_of(&manifest["layers"][1]), Digest::of(&gzip(&zipped)));
    assert_eq!(image.blobs.len(), 3);
    assert_eq!(bytes_of(&image, 0).await.unwrap(), config);
    assert_eq!(gunzip(&bytes_of(&image, 1).await.unwrap()), plain);
}

#[tokio::test]
async fn an_archive_without_some_platforms_has_an_index_without_them() {
    let place = Place::new();
    let mut files = Files::layout();
    let here = platform(files.image("linux/amd64", &[(GZIP, layer(b"here"))]), "linux", "amd64");
    let mut gone = Files::layout();
    let gone = platform(gone.image("linux/arm64", &[(GZIP, layer(b"gone"))]), "linux", "arm64");
    let root = files.index(&[here.clone(), gone]);
    let files = files.root(&[root]);

    let image = open(&place.file("image.tar", &files.to_tar())).await.unwrap();
    let index: serde_json::Value = serde_json::from_slice(&image.root.bytes).unwrap();
    assert_eq!(index["manifests"], json!([here]));

    let refused = place.told(open(&place.folder("image", &files)).await);
    assert!(refused.contains("is not whole"), "{refused}");
}

#[tokio::test]
async fn one_of_several_images_is_picked_by_its_tag() {
    let place = Place::new();
    let mut files = Files::layout();
    let one = files.image("linux/amd64", &[(GZIP, layer(b"one"))]);
    let two = files.image("linux/amd64", &[(GZIP, layer(b"two"))]);
    let files = files.root(&[named(one, "v1"), named(two.clone(), "v2")]);
    let path = place.folder("image", &files);

    assert_eq!(open(&format!("{path}:v2")).await.unwrap().root.digest, digest_of(&two));
    insta::assert_snapshot!(place.told(open(&path).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/image` holds several images
    `v1`: sha256:a7772fc82cb0
    `v2`: sha256:358d79149d07
    name one of them: `@@HERE@@/image:v1`; or write one image only
    ");
    insta::assert_snapshot!(place.told(open(&format!("{path}:v3")).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/image` has no image `v3`
    `v1`: sha256:a7772fc82cb0
    `v2`: sha256:358d79149d07
    name one of them: `@@HERE@@/image:v1`; or write one image only
    ");
}

#[tokio::test]
async fn what_is_no_image_is_refused_with_what_was_looked_for() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    fs::create_dir(place.path("unpacked")).unwrap();
    place.file("unpacked/manifest.json", b"[]");
    insta::assert_snapshot!(place.told(open(&place.path("nowhere:v1")).await), @"
    SW-IMAGE-MISSING
    image `@@HERE@@/nowhere:v1` is not there
    looked for `@@HERE@@/nowhere:v1`, then `@@HERE@@/nowhere`: no such file or folder
    name a folder with an OCI layout, or a file of `docker save`
    ");
    insta::assert_snapshot!(place.told(open(&place.path("empty")).await), @"
    SW-IMAGE-INVALID
    folder `@@HERE@@/empty` is no OCI layout
    it has no `oci-layout` and no `index.json`
    docker buildx build --output type=oci,tar=false,dest=FOLDER, or docker save -o image.tar NAME
    ");
    insta::assert_snapshot!(place.told(open(&place.path("unpacked")).await), @"
    SW-IMAGE-INVALID
    folder `@@HERE@@/unpacked` is no OCI layout
    it has no `oci-layout` and no `index.json`
    it looks like an unpacked docker-archive: tar -C @@HERE@@/unpacked -cf image.tar . and give that
    ");
    let text = place.file("text", &b"hello ".repeat(200));
    insta::assert_snapshot!(place.told(open(&text).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/text` is neither an OCI layout nor a docker-archive
    it is a file, but no whole tar: numeric field was not a number: o hello  when getting cksum for hello hello hello hello hello hello hello hello hello hello hello hello hello hello hello hello hell
    give a folder with an OCI layout, or a file of `docker save`
    ");
    let nothing = place.file("nothing.tar", b"");
    insta::assert_snapshot!(place.told(open(&nothing).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/nothing.tar` is empty
    it is a file of 0 bytes
    see what the command that should have written it said
    ");
    let exported = place.file("exported.tar", &tarred(&[("etc/passwd", b"root")]));
    insta::assert_snapshot!(place.told(open(&exported).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/exported.tar` is neither an OCI layout nor a docker-archive
    it is a tar without `manifest.json`, and without `oci-layout` and `index.json`
    write it by `docker save -o image.tar NAME`; `docker export` writes no image
    ");
}

#[tokio::test]
async fn a_manifest_that_was_changed_or_lost_is_refused() {
    let place = Place::new();
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(GZIP, layer(b"one"))]);
    let path = format!("blobs/sha256/{}", digest_of(&root).hex());
    let mut changed = files.clone().root(std::slice::from_ref(&root));
    changed.put(&path, b"{}".to_vec());
    insta::assert_snapshot!(place.told(open(&place.folder("changed", &changed)).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/changed/blobs/sha256/a7772fc82cb00e392929ad519b263c0475a0ab288b5ebd65376814efe5f22039` does not hold what its name says
    it should be sha256:a7772fc82cb00e392929ad519b263c0475a0ab288b5ebd65376814efe5f22039, its bytes are sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
    write it again: `docker save -o image.tar NAME`, or `docker buildx build --output type=oci,dest=image.tar`
    ");
    let mut lost = files.root(&[root]);
    lost.0.remove(&path);
    insta::assert_snapshot!(place.told(open(&place.folder("lost", &lost)).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/lost` is not whole: `blobs/sha256/a7772fc82cb00e392929ad519b263c0475a0ab288b5ebd65376814efe5f22039` is missing
    `index.json` names it
    write it again: `docker save -o image.tar NAME`, or `docker buildx build --output type=oci,dest=image.tar`
    ");
}

#[tokio::test]
async fn a_layer_that_was_changed_is_found_out_before_its_end_is_sent() {
    let place = Place::new();
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(GZIP, noise(700_000, 1))]);
    let files = files.root(&[root]);
    let path = place.folder("image", &files);
    let image = open(&path).await.unwrap();
    let at = image.blobs.iter().position(|b| b.kind == Kind::Layer).unwrap();
    // Another byte in place, as a broken disk would have it: the open file is the same one.
    let inside = format!("{path}/blobs/sha256/{}", image.blobs[at].digest.hex());
    let mut bytes = fs::read(&inside).unwrap();
    bytes[500_000] ^= 1;
    fs::write(&inside, bytes).unwrap();

    let failure = bytes_of(&image, at).await.unwrap_err();
    assert_eq!(failure.code, crate::error::Code::ImageInvalid);
    assert!(failure.what.ends_with("does not hold what its name says"), "{}", failure.what);
}

#[tokio::test]
async fn a_plain_layer_that_is_not_what_the_config_says_is_refused() {
    let place = Place::new();
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(PLAIN, layer(b"right"))]);
    let path = format!("blobs/sha256/{}", Digest::of(&layer(b"right")).hex());
    let mut files = files.root(&[root]);
    files.put(&path, layer(b"wrong"));
    insta::assert_snapshot!(place.told(open(&place.file("image.tar", &files.to_tar())).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/image.tar: blobs/sha256/fbeb47345222cd39f92aabe07c6245f3ba9d7cee05f4e0f7bb87cc31f5e4d38c` does not hold what its name says
    it should be sha256:fbeb47345222cd39f92aabe07c6245f3ba9d7cee05f4e0f7bb87cc31f5e4d38c, its bytes are sha256:8bcb25053b050683971975cdc0a8cd624a8baaea36f8dc2b3d73c2c3638338ae
    write it again: `docker save -o image.tar NAME`, or `docker buildx build --output type=oci,dest=image.tar`
    ");
}

#[tokio::test]
async fn layers_that_a_registry_does_not_hold_are_refused() {
    let place = Place::new();
    for (name, media_type) in [
        ("foreign", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        ("encrypted", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
    ] {
        let mut files = Files::layout();
        let root = files.image("linux/amd64", &[(media_type, layer(b"base"))]);
        let told = place.told(open(&place.folder(name, &files.root(&[root]))).await);
        match name {
            "foreign" => insta::assert_snapshot!(told, @"
            SW-IMAGE-INVALID
            `@@HERE@@/foreign` has a layer that cannot be pushed: sha256:6e2085f59b3d
            `application/vnd.docker.image.rootfs.foreign.diff.tar.gzip`: its bytes are to be fetched elsewhere
            build on a base image whose layers may be distributed
            "),
            _ => insta::assert_snapshot!(told, @r#"
            SW-IMAGE-INVALID
            `@@HERE@@/encrypted` has a layer that cannot be pushed: sha256:6e2085f59b3d
            its media type is "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"
            build it with plain, gzip or zstd layers, not encrypted
            "#),
        }
    }
}

#[tokio::test]
async fn links_and_names_that_lead_outside_are_refused() {
    let place = Place::new();
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(GZIP, layer(b"one"))]);
    let files = files.root(std::slice::from_ref(&root));
    let path = place.folder("image", &files);
    let inside = format!("{path}/blobs/sha256/{}", digest_of(&root).hex());
    fs::rename(&inside, place.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(place.path("elsewhere"), &inside).unwrap();
    let told = place.told(open(&path).await).replace(digest_of(&root).hex(), "@@DIGEST@@");
    insta::assert_snapshot!(told, @"
    SW-IMAGE-INVALID
    `@@HERE@@/image` names a file outside itself
    `blobs/sha256/@@DIGEST@@` leads out of it; what is pushed must be in it
    copy it with what its links lead to: cp -rL @@HERE@@/image COPY
    ");

    let saved = json!([{ "Config": "../../etc/passwd", "Layers": [] }]).to_string();
    let archive = place.file("image.tar", &tarred(&[("manifest.json", saved.as_bytes())]));
    insta::assert_snapshot!(place.told(open(&archive).await), @"
    SW-IMAGE-INVALID
    `@@HERE@@/image.tar` names a file outside itself
    `../../etc/passwd` leads out of it; what is pushed must be in it
    copy it with what its links lead to: cp -rL @@HERE@@/image.tar COPY
    ");
}

#[tokio::test]
async fn an_index_that_lies_about_a_platform_is_refused() {
    let place = Place::new();
    let mut files = Files::layout();
    let amd = files.image("linux/amd64", &[(GZIP, layer(b"one"))]);
    let root = files.index(&[platform(amd, "linux", "arm64")]);
    let told = place.told(open(&place.folder("image", &files.root(&[root]))).await);
    assert!(told.contains("listed as linux/arm64, but built for linux/amd64"), "{told}");
}

#[tokio::test]
async fn a_cut_off_archive_is_refused() {
    let place = Place::new();
    let mut files = Files::layout();
    let root = files.image("linux/amd64", &[(GZIP, noise(100_000, 3))]);
    let tar = files.root(&[root]).to_tar();
    let cut = place.file("image.tar", &tar[..tar.len() / 2]);
    assert!(open(&cut).await.is_err());
    let cut = place.file("image.tar.gz", &gzip(&tar)[..50_000]);
    let told = place.told(open(&cut).await);
    assert!(told.contains("cannot be read"), "{told}");
}

#[tokio::test]
async fn an_artifact_is_no_image() {
    let place = Place::new();
    let mut files = Files::layout();
    let config = files.descriptor("application/vnd.cncf.helm.config.v1+json", b"{}".to_vec());
    let chart =
        files.descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", b"c".to_vec());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [chart] });
    let root = files.descriptor(super::inspect::OCI_MANIFEST, manifest.to_string().into_bytes());
    let root = with(root, "annotations", json!(null));
    let told = place.told(open(&place.folder("chart", &files.root(&[root]))).await);
    assert!(told.contains("holds no image"), "{told}");
}

#[test]
fn a_document_that_is_two_kinds_at_once_is_refused() {
    use super::inspect::{DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, inspect};
    let digest = Digest::of(b"");
    let config = json!({ "mediaType": "x", "digest": digest, "size": 0 });
    let both = json!({ "schemaVersion": 2, "config": config, "layers": [], "manifests": [config] });
    for media_type in [OCI_INDEX, OCI_MANIFEST] {
        assert!(inspect(media_type, both.to_string().as_bytes()).is_err());
    }
    let other = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config });
    assert!(inspect(OCI_MANIFEST, other.to_string().as_bytes()).is_ok());
    assert!(inspect(DOCKER_MANIFEST, other.to_string().as_bytes()).is_err());
}

#[test]
fn scratch_files_go_where_the_user_says_or_where_there_is_room() {
    use super::compress::scratch;
    let there = TempDir::new().unwrap();
    let (said, gone) = (there.path().to_owned(), there.path().join("gone"));
    let archive = Path::new("image.tar");
    assert_eq!(scratch([Some(said.clone()), None], archive), said);
    assert_eq!(scratch([Some(gone), Some(said.clone())], archive), said);
    assert_eq!(scratch([None, None], archive), Path::new("/tmp"));
}
