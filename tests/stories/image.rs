//! Which image serves: what ECR has under the commit's tag, what was given, or none.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use slipway_sandbox::Image;

use crate::stage::{NEW, NEWER, Stage};

/// A stage where ECR has this image under [`NEW`].
async fn held(image: &Image) -> Stage {
    Stage::with(|world| {
        world.image("web", NEW, image);
    })
    .await
    .serving()
    .on_github(11)
    .variable("GITHUB_EVENT_NAME", "")
    .input("bake", "0s")
}

/// Ships and tells what is said, what serves then and what was written.
pub(super) async fn told(stage: &Stage) -> String {
    let told = stage.run("ship").await;
    // Layers go up side by side: their order is nobody's.
    let writes: BTreeSet<_> = stage.writes().into_iter().collect();
    let writes: Vec<_> = writes.into_iter().collect();
    format!("{}{}\nwritten: {}", told.words(), stage.serves(), writes.join(", "))
}

fn labelled(name: &str, value: &str) -> Image {
    Stage::new_image().label(name, value)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_ecr_has_is_deployed_without_a_push() {
    let image = labelled("org.opencontainers.image.revision", NEW);
    insta::assert_snapshot!(told(&held(&image).await).await, @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:5bed872540f3, 3 updated, 3 ready
    written: patch deployments
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_image_given_again_is_not_pushed_again() {
    let stage = held(&Stage::new_image()).await.layout(&Stage::new_image());
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    written: patch deployments
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_holds_another_image_is_never_overwritten() {
    let stage = held(&Stage::new_image()).await.layout(&Image::new("linux/amd64", "mine"));
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-CONFLICT]: nothing was written: immutable tag 9f2c1e4 holds another image
      why:  ECR has sha256:406c22a70f42, `image` is sha256:aec5ffc20400
      now:  3f2a91c serves, 3/3 ready
      next: leave out `image` to deploy the one in ECR, or ship a new commit
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
    stage.sandbox.world(|world| {
        let repository = world.repositories.get_mut("web").unwrap();
        repository.immutable = false;
    });
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-CONFLICT]: nothing was written: tag 9f2c1e4 holds another image
      why:  ECR has sha256:406c22a70f42, `image` is sha256:aec5ffc20400
      now:  3f2a91c serves, 3/3 ready
      next: leave out `image` to deploy the one in ECR, or ship a new commit
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_commit_under_this_tag_is_refused_until_allowed() {
    let stage = held(&labelled("org.opencontainers.image.revision", NEWER)).await;
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-RECIPE]: nothing was written: tag 9f2c1e4 holds an image of another recipe
      why:  its label org.opencontainers.image.revision is c77d0be
      now:  3f2a91c serves, 3/3 ready
      next: ship a new commit, or `allow: SW-IMAGE-RECIPE` if it is the right image all the same
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
    let stage = stage.input("allow", "SW-IMAGE-RECIPE");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    warning[SW-IMAGE-RECIPE]: tag 9f2c1e4 holds an image of another recipe
      why:  its label org.opencontainers.image.revision is c77d0be
      next: nothing: it is allowed
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:3bf77bd79f96, 3 updated, 3 ready
    written: patch deployments
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_pull_request_is_refused() {
    let stage = held(&labelled("dev.slipway.event", "pull_request")).await;
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-RECIPE]: nothing was written: tag 9f2c1e4 holds an image of another recipe
      why:  it was built for a pull request, from code that nobody merged
      now:  3f2a91c serves, 3/3 ready
      next: ship a new commit, or `allow: SW-IMAGE-RECIPE` if it is the right image all the same
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_image_anywhere_it_is_said_how_to_make_one() {
    let stage = Stage::new().await.serving().on_github(11);
    let stage = stage.variable("DOCKER_HOST", "unix:///nowhere/docker.sock");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-BUILD-ENGINE]: nothing was written: there is no image of 9f2c1e4, and no engine answers at `unix:///nowhere/docker.sock`
      why:  ECR `web` has no tag 9f2c1e4, and `image` is empty
            No such file or directory (os error 2)
            `DOCKER_HOST` names it
      now:  3f2a91c serves, 3/3 ready
      next: build in a step before and give `image`: an OCI layout, or a file of `docker save`;
            or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
            or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_path_that_is_nothing_is_told_with_what_it_can_be() {
    let stage = Stage::new().await.serving().on_github(11).input("image", "out/image.tar");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-MISSING]: nothing was written: image `out/image.tar` is not there
      why:  looked for `out/image.tar` in `@FOLDER@`: no such file or folder
            as a name: no engine answers at `unix:///nowhere/docker.sock`
      now:  not looked at
      next: name a folder with an OCI layout, or a file of `docker save`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
    let stage = stage.holding("out/image.tar", "not a tar");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-INVALID]: nothing was written: `out/image.tar` is neither an OCI layout nor a docker-archive
      why:  it is a file, but no whole tar: failed to read entire block
      now:  not looked at
      next: give a folder with an OCI layout, or a file of `docker save`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
    let stage = stage.holding("folder/readme", "no layout").input("image", "folder");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-INVALID]: nothing was written: folder `folder` is no OCI layout
      why:  it has no `oci-layout` and no `index.json`
      now:  not looked at
      next: docker buildx build --output type=oci,tar=false,dest=FOLDER, or docker save -o image.tar NAME
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
    let stage = stage.input("image", "web:dev");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-MISSING]: nothing was written: image `web:dev` is not there
      why:  looked for `web:dev`, then `web` in `@FOLDER@`: no such file or folder
            as a name: no engine answers at `unix:///nowhere/docker.sock`
      now:  not looked at
      next: name a folder with an OCI layout, or a file of `docker save`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_with_a_damaged_layer_never_gets_the_tag() {
    let stage = Stage::new().await.serving().ships("good").on_github(11).input("bake", "0s");
    let blobs = stage.folder.path().join("image/blobs/sha256");
    let largest = std::fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
    let layer = largest.max_by_key(|path| std::fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&layer).unwrap();
    bytes[600] ^= 1;
    std::fs::write(&layer, bytes).unwrap();
    let told = stage.run("ship").await;
    let tags: Vec<_> = stage.sandbox.tags("web").into_keys().collect();
    let text = format!("{}{}\ntags: {}", told.words(), stage.serves(), tags.join(", "));
    insta::assert_snapshot!(text, @"
    -> 4
    error[SW-IMAGE-INVALID]: nothing was deployed: `image/blobs/sha256/a804b249c34c6173e3e19a71320d54d82200cff417476a189b70666f7ccb5192` does not hold what its name says
      why:  it should be sha256:a804b249c34c6173e3e19a71320d54d82200cff417476a189b70666f7ccb5192, its bytes are sha256:286e6744876ec5da352457c93fdbb8554fa0394673ce28a02e38b412abbda58e
      now:  3f2a91c serves, 3/3 ready
      next: write it again: `docker save -o image.tar NAME`, or `docker buildx build --output type=oci,dest=image.tar`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    tags: 3f2a91c000000000000000000000000000000000
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_created_only_where_it_is_asked_for() {
    let stage = Stage::new().await.serving().ships("good").on_github(11);
    let stage = stage.input("repository", "shop/web").input("container", "app").input("bake", "0s");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-ECR-MISSING]: nothing was written: ECR has no repository `shop/web` in ap-northeast-2
      why:  the nearest that is there: `web`
      now:  3f2a91c serves, 3/3 ready
      next: set `repository: web`, or aws ecr create-repository --region ap-northeast-2 --image-tag-mutability IMMUTABLE --repository-name shop/web
            or `create-repository: true`: immutable tags, scan on push
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
    let stage = stage.input("create-repository", "true");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    written: ecr:CreateRepository, patch deployments, registry PATCH upload, registry POST upload, registry PUT manifest, registry PUT upload
    ");
    let made = stage.sandbox.world(|world| {
        let made = &world.repositories["shop/web"];
        format!("immutable {}, scanned {}", made.immutable, made.scan_on_push)
    });
    insta::assert_snapshot!(made, @"immutable true, scanned true");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_repository_whose_image_nothing_runs_needs_the_container() {
    let stage = Stage::new().await.serving().ships("good").on_github(11);
    let stage = stage.input("repository", "shop/web").input("create-repository", "true");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing was written: no container of `shop/web` runs an image of `shop/web`
      why:  `app` runs 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc
      now:  3f2a91c serves, 3/3 ready
      next: `container: app`, if its image is to be replaced
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
}

/// The new image as `docker save` writes it: layers and config by path, named in `manifest.json`.
fn docker_archive(at: &Path, image: &Image, scratch: &Path) {
    image.layout(scratch).unwrap();
    let blob = |digest: &str| {
        std::fs::read(scratch.join("blobs/sha256").join(digest.trim_start_matches("sha256:")))
            .unwrap()
    };
    let parsed = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
    let index = parsed(&std::fs::read(scratch.join("index.json")).unwrap());
    let manifest = parsed(&blob(index["manifests"][0]["digest"].as_str().unwrap()));
    let config = blob(manifest["config"]["digest"].as_str().unwrap());
    let layer = blob(manifest["layers"][0]["digest"].as_str().unwrap());
    let list =
        json!([{ "Config": "config.json", "RepoTags": ["web:dev"], "Layers": ["one/layer.tar"] }]);
    let mut archive = tar::Builder::new(std::fs::File::create(at).unwrap());
    for (name, bytes) in [
        ("config.json", config),
        ("one/layer.tar", layer),
        ("manifest.json", list.to_string().into_bytes()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    archive.finish().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_docker_archive_is_shipped_like_a_layout() {
    let stage = Stage::new().await.serving().on_github(11).input("bake", "0s");
    let folder = stage.folder.path();
    docker_archive(&folder.join("image.tar"), &Stage::new_image(), &folder.join("scratch"));
    insta::assert_snapshot!(told(&stage.input("image", "image.tar")).await, @"
    -> 0
    shipped 9f2c1e4 to shop/web in @s
    web:9f2c1e4@sha256:52a3a4a3cb42, 3 updated, 3 ready
    written: patch deployments, registry PATCH upload, registry POST upload, registry PUT manifest, registry PUT upload
    ");
}
