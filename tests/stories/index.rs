//! `index`: what native runners pushed for one commit becomes one index under its tag, or nothing is written.

use serde_json::{Value, json};
use slipway::names::Digest;
use slipway_sandbox::{Fault, Image, World};

use crate::stage::{NEW, NEWER, OLD, Stage, Told};

/// The tag of a platform's image.
fn tag(platform: &str) -> String {
    format!("{NEW}-{}", platform.replace('/', "-"))
}

/// The image of a platform.
fn image(platform: &str) -> Image {
    Image::new(platform, "new").label("org.opencontainers.image.revision", NEW)
}

/// A workload that serves, a workflow's run 12, and these images under the tags of these platforms.
async fn holding(parts: &[(&str, Image)]) -> Stage {
    with(|world| {
        for (platform, image) in parts {
            world.image("web", &tag(platform), image);
        }
    })
    .await
}

async fn with(change: impl FnOnce(&mut World)) -> Stage {
    Stage::with(change).await.serving().on_github(12)
}

/// The images of both usual platforms.
async fn both() -> Stage {
    let usual = ["linux/amd64", "linux/arm64"];
    holding(&usual.map(|platform| (platform, image(platform)))).await
}

/// What ECR has: each tag with its digest, the old commit's left out.
fn ecr(stage: &Stage) -> String {
    let tags = stage.sandbox.tags("web");
    let tags = tags.iter().filter(|(tag, _)| tag.as_str() != OLD);
    let line = |(tag, digest): (&String, &String)| {
        format!("{} {}\n", tag.replacen(NEW, "9f2c1e4", 1), &digest[..19])
    };
    tags.map(line).collect()
}

/// A refusal, what ECR holds after it, and that nothing was written.
async fn refused(stage: &Stage) -> String {
    let told = stage.run("index").await;
    let text = format!("{}{}", told.refusal(), ecr(stage));
    assert_eq!(stage.writes(), [""; 0], "{text}");
    without_annotations(&text)
}

fn without_annotations(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("::")).map(|line| format!("{line}\n")).collect()
}

/// All that is printed, but for masks and endpoints.
fn talk(told: &Told) -> String {
    let lines = told.out.lines().chain(told.err.lines());
    let shown = lines.filter(|l| !l.starts_with("::add-mask::") && !l.starts_with("override "));
    shown.map(|line| format!("{line}\n")).collect()
}

/// The manifest under a tag.
fn manifest(stage: &Stage, tag: &str) -> Value {
    stage.sandbox.world(|world| {
        let web = &world.repositories["web"];
        serde_json::from_slice(&web.manifests[&web.tags[tag]].bytes).unwrap()
    })
}

/// Puts these bytes into ECR as an index, under a tag.
fn put_index(world: &mut World, tag: &str, entries: &[Value]) {
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": entries }).to_string();
    let web = world.repositories.get_mut("web").unwrap();
    let mut manifest = web.manifests.values().next().unwrap().clone();
    let digest = Digest::of(index.as_bytes()).to_string();
    (manifest.media_type, manifest.bytes) = (kind.into(), index.into_bytes().into());
    web.manifests.insert(digest.clone(), manifest);
    web.tags.insert(tag.into(), digest);
}

/// A descriptor as indexes list it.
fn entry(digest: &str, platform: &str, annotations: &Value) -> Value {
    let (os, architecture) = platform.split_once('/').unwrap();
    json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
        "platform": { "os": os, "architecture": architecture }, "annotations": annotations,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parts_become_one_index_that_the_next_job_ships() {
    let stage = both().await;
    let told = stage.run("index").await;
    insta::assert_snapshot!(talk(&told), @"
    slipway 0.1.0: index 9f2c1e4
    survey   @s  6 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: join 2 images
      part      linux/amd64 sha256:5bed872540f3, tag 9f2c1e4-linux-amd64
      part      linux/arm64 sha256:f2e511bddd6a, tag 9f2c1e4-linux-arm64
    push     @s  sha256:23e60ddddc9b, an index of 2 images
    outputs  outcome=shipped tag=9f2c1e4... digest=sha256:23e60ddddc9b...
    joined web:9f2c1e4 for linux/amd64, linux/arm64 in @s
    ::notice title=shipped::joined web:9f2c1e4 for linux/amd64, linux/arm64 in @s
    ");
    assert_eq!(told.exit, 0);
    insta::assert_snapshot!(ecr(&stage), @"
    9f2c1e4 sha256:23e60ddddc9b
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:f2e511bddd6a
    ");
    insta::assert_snapshot!(format!("{:#}", manifest(&stage, NEW)), @r#"
    {
      "schemaVersion": 2,
      "mediaType": "application/vnd.oci.image.index.v1+json",
      "manifests": [
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": "sha256:5bed872540f38936cbad73efc7485298805da33e450a230d3ffff9f7805b040d",
          "size": 397,
          "platform": {
            "architecture": "amd64",
            "os": "linux"
          }
        },
        {
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "digest": "sha256:f2e511bddd6a79e759208a63a397b7cc50970ad24df76f089e551de3e14c7e48",
          "size": 397,
          "platform": {
            "architecture": "arm64",
            "os": "linux"
          }
        }
      ],
      "annotations": {
        "org.opencontainers.image.revision": "9f2c1e4000000000000000000000000000000000"
      }
    }
    "#);
    insta::assert_snapshot!(stage.outputs(), @"
    outcome = shipped
    code =
    serving =
    image = 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:23e60ddddc9b31ea336a0e47548cf2153e9c186395ac63d49ad6a86d2275f301
    evidence =
    plan = {...}
    services =
    repository = web
    tag = 9f2c1e4000000000000000000000000000000000
    digest = sha256:23e60ddddc9b31ea336a0e47548cf2153e9c186395ac63d49ad6a86d2275f301
    platforms = linux/amd64,linux/arm64
    ");
    // Where the time went is below.
    let summary = stage.file("summary");
    insta::assert_snapshot!(summary.split("```").next().unwrap_or_default(), @"
    ### joined web:9f2c1e4 for linux/amd64, linux/arm64 in @s
    | | |
    |---|---|
    | who | user demo by access key, account 123456789012 |
    | image | web:9f2c1e4 is not in ECR: join 2 images |
    | part | linux/amd64 sha256:5bed872540f3, tag 9f2c1e4-linux-amd64 |
    | part | linux/arm64 sha256:f2e511bddd6a, tag 9f2c1e4-linux-arm64 |
    ");
    assert_eq!(stage.writes(), ["registry PUT manifest"]);

    let again = stage.run("index").await;
    insta::assert_snapshot!(again.out.lines().last().unwrap_or_default(), @"::notice title=unchanged::ECR already has web:9f2c1e4 for linux/amd64, linux/arm64");
    assert_eq!((again.exit, stage.writes().len()), (0, 1));

    let shipped = stage.run("ship").await;
    insta::assert_snapshot!(shipped.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:23e60ddddc9b, 3 updated, 3 ready");
    assert_eq!(stage.writes().iter().filter(|write| write.starts_with("registry")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_json_the_outcome_names_image_and_platforms() {
    let stage = both().await.input("json", "true");
    let told = stage.run("index").await;
    let mut outcome: Value =
        serde_json::from_str(told.out.lines().last().unwrap_or_default()).unwrap();
    outcome["at"] = json!("@");
    insta::assert_snapshot!(format!("{:#}", outcome), @r#"
    {
      "v": 1,
      "at": "@",
      "event": "outcome",
      "exit": 0,
      "outcome": "shipped",
      "code": null,
      "what": "joined web:9f2c1e4 for linux/amd64, linux/arm64 in @s",
      "why": [],
      "now": null,
      "next": [],
      "serving": null,
      "image": "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:23e60ddddc9b31ea336a0e47548cf2153e9c186395ac63d49ad6a86d2275f301",
      "platforms": [
        "linux/amd64",
        "linux/arm64"
      ]
    }
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn attestations_come_along_with_the_image_they_speak_of() {
    let statement = Image::new("linux/amd64", "a statement");
    let stage = with(|world| {
        let amd = world.image("web", "amd", &image("linux/amd64"));
        let about = world.image("web", "about", &statement);
        let stray = world.image("web", "stray", &Image::new("linux/amd64", "of another"));
        let of = |digest: &str| json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest });
        let entries = [
            entry(&amd, "linux/amd64", &json!({})),
            entry(&about, "unknown/unknown", &of(&amd)),
            entry(&stray, "unknown/unknown", &of(&stray)),
            // It is listed, and was deleted since.
            entry(&Digest::of(b"gone").to_string(), "unknown/unknown", &of(&amd)),
        ];
        put_index(world, &tag("linux/amd64"), &entries);
        world.image("web", &tag("linux/arm64"), &image("linux/arm64"));
    })
    .await;
    let told = stage.run("index").await;
    let parts: Vec<_> = told.out.lines().filter(|line| line.starts_with("  part")).collect();
    insta::assert_snapshot!(parts.join("\n"), @"
    part      linux/amd64 sha256:5bed872540f3, tag 9f2c1e4-linux-amd64, with 1 attestation
    part      linux/arm64 sha256:f2e511bddd6a, tag 9f2c1e4-linux-arm64
    ");
    insta::assert_snapshot!(format!("{:#}", manifest(&stage, NEW)["manifests"]), @r#"
    [
      {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:5bed872540f38936cbad73efc7485298805da33e450a230d3ffff9f7805b040d",
        "size": 397,
        "platform": {
          "architecture": "amd64",
          "os": "linux"
        }
      },
      {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:f2e511bddd6a79e759208a63a397b7cc50970ad24df76f089e551de3e14c7e48",
        "size": 397,
        "platform": {
          "architecture": "arm64",
          "os": "linux"
        }
      },
      {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:155b571fec405d720ffaee601db007c5e30da4913256d44a0e3b6bd975735988",
        "size": 397,
        "platform": {
          "architecture": "unknown",
          "os": "unknown"
        },
        "annotations": {
          "vnd.docker.reference.digest": "sha256:5bed872540f38936cbad73efc7485298805da33e450a230d3ffff9f7805b040d",
          "vnd.docker.reference.type": "attestation-manifest"
        }
      }
    ]
    "#);
    assert_eq!(
        (told.exit, statement.digest()),
        (0, manifest(&stage, NEW)["manifests"][2]["digest"].as_str().unwrap().to_owned())
    );
    insta::assert_snapshot!(stage.run("ship").await.ending(), @"shipped 9f2c1e4 to shop/web in @s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_missing_is_named_with_what_is_there() {
    let stage = holding(&[("linux/amd64", image("linux/amd64"))]).await;
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: ECR `web` has no image of 9f2c1e4 for linux/arm64
      why:  no tag 9f2c1e4-linux-arm64
            there: linux/amd64 sha256:5bed872540f3, tag 9f2c1e4-linux-amd64
            `platform` is empty: linux/amd64, linux/arm64 are expected
      now:  not looked at
      next: run the job that pushes it, with `until: push` and `platform: linux/arm64`; or say `platform: linux/amd64` here
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    ");
    let stage = stage.input("platform", "linux/amd64,linux/arm64,linux/arm/v7");
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: ECR `web` has no image of 9f2c1e4 for linux/arm/v7, linux/arm64
      why:  no tag 9f2c1e4-linux-arm-v7, no tag 9f2c1e4-linux-arm64
            there: linux/amd64 sha256:5bed872540f3, tag 9f2c1e4-linux-amd64
      now:  not looked at
      next: run the jobs that push them, with `until: push` and `platform` linux/arm/v7, linux/arm64; or say `platform: linux/amd64` here
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    ");
    let stage = with(|_| {}).await;
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: ECR `web` has no image of 9f2c1e4 for linux/amd64, linux/arm64
      why:  no tag 9f2c1e4-linux-amd64, no tag 9f2c1e4-linux-arm64
            `platform` is empty: linux/amd64, linux/arm64 are expected
      now:  not looked at
      next: run the jobs that push them, with `until: push` and `platform` linux/amd64, linux/arm64
    ");
    // The commit was shipped without parts.
    let stage = with(|world| _ = world.image("web", NEW, &image("linux/amd64"))).await;
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: ECR `web` has no image of 9f2c1e4 for linux/amd64, linux/arm64
      why:  no tag 9f2c1e4-linux-amd64, no tag 9f2c1e4-linux-arm64
            tag 9f2c1e4 itself is there: sha256:5bed872540f3, linux/amd64
            `platform` is empty: linux/amd64, linux/arm64 are expected
      now:  not looked at
      next: leave `index` out to ship the one in ECR, or ship a new commit
    9f2c1e4 sha256:5bed872540f3
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_that_are_said_are_joined_and_no_others() {
    let stage = holding(&[
        ("linux/arm/v7", image("linux/arm/v7")),
        ("linux/arm64", image("linux/arm64/v8")),
        ("linux/amd64", image("linux/amd64")),
    ])
    .await;
    let stage = stage.input("platform", "linux/arm64/v8,linux/arm/v7,linux/arm64");
    let told = stage.run("index").await;
    insta::assert_snapshot!(told.out.lines().last().unwrap_or_default(), @"::notice title=shipped::joined web:9f2c1e4 for linux/arm/v7, linux/arm64 in @s");
    insta::assert_snapshot!(format!("{:#}", manifest(&stage, NEW)["manifests"]), @r#"
    [
      {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:9745b1184513d6f74ddc758300772c26be20ee22a9bbeba1481aeeadac0c4650",
        "size": 397,
        "platform": {
          "architecture": "arm",
          "os": "linux",
          "variant": "v7"
        }
      },
      {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": "sha256:d305238eb25217256ab234dc5138966053a9c359b8ae5abbf0fed977531be52d",
        "size": 397,
        "platform": {
          "architecture": "arm64",
          "os": "linux"
        }
      }
    ]
    "#);
    let stage = holding(&[("linux/arm64", image("linux/arm64"))]).await;
    let told = stage.input("platform", "linux/arm64").run("index").await;
    insta::assert_snapshot!(told.out.lines().last().unwrap_or_default(), @"::notice title=shipped::joined web:9f2c1e4 for linux/arm64 in @s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_holds_something_else_is_refused_with_what_it_holds() {
    let amd = ("linux/amd64", image("linux/amd64"));
    let stage = holding(&[amd.clone(), ("linux/arm64", image("linux/amd64"))]).await;
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: tag 9f2c1e4-linux-arm64 does not hold the image for linux/arm64
      why:  it holds an image for linux/amd64, sha256:5bed872540f3
      now:  not looked at
      next: ship a new commit, with `platform: linux/arm64` in the job that pushes this tag
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:5bed872540f3
    ");
    let two = image("linux/amd64").platform("linux/arm64");
    let stage = holding(&[amd, ("linux/arm64", two)]).await;
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: tag 9f2c1e4-linux-arm64 does not hold the image for linux/arm64
      why:  it holds an index of linux/amd64, linux/arm64, sha256:3b1bd67a2eac
      now:  not looked at
      next: ship a new commit, with `platform: linux/arm64` in the job that pushes this tag
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:3b1bd67a2eac
    ");
    let stage = with(|world| {
        let amd = world.image("web", &tag("linux/amd64"), &image("linux/amd64"));
        // An index calls it arm64: the config knows better. The other's image is gone.
        put_index(world, &tag("linux/arm64"), &[entry(&amd, "linux/arm64", &json!({}))]);
        let gone = Digest::of(b"gone").to_string();
        put_index(world, &tag("linux/386"), &[entry(&gone, "linux/386", &json!({}))]);
        put_index(world, &tag("linux/s390x"), &[]);
    })
    .await;
    let stage = stage.input("platform", "linux/arm64,linux/386,linux/s390x");
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: tag 9f2c1e4-linux-386 does not hold the image for linux/386
      why:  it holds an index whose image sha256:283bb9deef02 is gone, sha256:a0434204c9f6
      next: ship a new commit, with `platform: linux/386` in the job that pushes this tag
    error[SW-PLATFORM-MISSING]: nothing was written: tag 9f2c1e4-linux-arm64 does not hold the image for linux/arm64
      why:  it holds an image for linux/amd64, sha256:a2f73608d81a
      next: ship a new commit, with `platform: linux/arm64` in the job that pushes this tag
    error[SW-PLATFORM-MISSING]: nothing was written: tag 9f2c1e4-linux-s390x does not hold the image for linux/s390x
      why:  it holds an index of no image at all, sha256:dff9de109191
      now:  not looked at
      next: ship a new commit, with `platform: linux/s390x` in the job that pushes this tag
    9f2c1e4-linux-386 sha256:a0434204c9f6
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:a2f73608d81a
    9f2c1e4-linux-s390x sha256:dff9de109191
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_different_recipes_are_not_joined_until_allowed() {
    let recipe = |platform: &'static str, recipe: &str| {
        (platform, image(platform).label("dev.slipway.recipe", recipe))
    };
    let stage = holding(&[recipe("linux/amd64", "r1"), recipe("linux/arm64", "r2")]).await;
    insta::assert_snapshot!(refused(&stage).await, @r#"
    -> 3
    error[SW-IMAGE-RECIPE]: nothing was written: the images of 9f2c1e4 are of different recipes
      why:  linux/amd64: label dev.slipway.recipe is "r1"
            linux/arm64: label dev.slipway.recipe is "r2"
      now:  not looked at
      next: ship a new commit, built alike in all of its jobs, or `allow: SW-IMAGE-RECIPE` if they belong together
    9f2c1e4-linux-amd64 sha256:a0fe2a8c2349
    9f2c1e4-linux-arm64 sha256:5ec767ccee82
    "#);
    let told = stage.input("allow", "SW-IMAGE-RECIPE").run("index").await;
    insta::assert_snapshot!(without_annotations(&told.refusal()), @r#"
    -> 0
    warning[SW-IMAGE-RECIPE]: the images of 9f2c1e4 are of different recipes
      why:  linux/amd64: label dev.slipway.recipe is "r1"
            linux/arm64: label dev.slipway.recipe is "r2"
      next: nothing: it is allowed
    push     @s  sha256:03423e15b6e7, an index of 2 images
    outputs  outcome=shipped tag=9f2c1e4... digest=sha256:03423e15b6e7...
    joined web:9f2c1e4 for linux/amd64, linux/arm64 in @s
    "#);
    let stage = holding(&[recipe("linux/amd64", "r1"), recipe("linux/arm64", "r1")]).await;
    assert_eq!(stage.run("index").await.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_another_commit_or_of_a_pull_request_are_not_joined() {
    let revision = "org.opencontainers.image.revision";
    let parts = [
        ("linux/amd64", image("linux/amd64").label("dev.slipway.event", "pull_request")),
        ("linux/arm64", image("linux/arm64").label(revision, NEWER)),
    ];
    insta::assert_snapshot!(refused(&holding(&parts).await).await, @"
    -> 3
    error[SW-IMAGE-RECIPE]: nothing was written: tag 9f2c1e4-linux-amd64 holds an image of another recipe
      why:  it was built for a pull request, from code that nobody merged
      next: ship a new commit, or `allow: SW-IMAGE-RECIPE` if it is the right image all the same
    error[SW-IMAGE-RECIPE]: nothing was written: tag 9f2c1e4-linux-arm64 holds an image of another recipe
      why:  its label org.opencontainers.image.revision is c77d0be
      now:  not looked at
      next: ship a new commit, or `allow: SW-IMAGE-RECIPE` if it is the right image all the same
    9f2c1e4-linux-amd64 sha256:733fff7dde94
    9f2c1e4-linux-arm64 sha256:a0c0c7738c4d
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_names_another_image_is_never_moved() {
    for immutable in [true, false] {
        let stage = both().await;
        stage.sandbox.world(|world| {
            world.image("web", NEW, &image("linux/amd64"));
            world.repositories.get_mut("web").unwrap().immutable = immutable;
        });
        let said = refused(&stage).await;
        if immutable {
            insta::assert_snapshot!(said, @"
            -> 3
            error[SW-IMAGE-CONFLICT]: nothing was written: immutable tag 9f2c1e4 holds another image
              why:  ECR has sha256:5bed872540f3, linux/amd64; the index of linux/amd64, linux/arm64 is sha256:23e60ddddc9b
              now:  not looked at
              next: leave `index` out to ship the one in ECR, or ship a new commit
            9f2c1e4 sha256:5bed872540f3
            9f2c1e4-linux-amd64 sha256:5bed872540f3
            9f2c1e4-linux-arm64 sha256:f2e511bddd6a
            ");
        } else {
            assert!(
                said.contains("nothing was written: tag 9f2c1e4 holds another image"),
                "{said}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_was_faster_keeps_the_tag() {
    let stage = both().await;
    stage.sandbox.fault(
        "registry PUT manifest",
        1,
        Fault::Delay(std::time::Duration::from_millis(600)),
    );
    let going = stage.start("index");
    stage.asked("registry PUT manifest").await;
    stage.sandbox.world(|world| _ = world.image("web", NEW, &image("linux/amd64")));
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-IMAGE-CONFLICT]: nothing was deployed: immutable tag 9f2c1e4 holds another image
      why:  ECR has sha256:5bed872540f3, `index of linux/amd64, linux/arm64` is sha256:23e60ddddc9b
            ECR answered 400 TAG_INVALID: "The image tag '9f2c1e4000000000000000000000000000000000' already exists in the 'web' repository and cannot be overwritten because the tag is immutable."
      now:  not looked at
      next: leave `index` out to ship the one in ECR, or ship a new commit
    "#);
    assert_eq!(told.exit, 4);
    insta::assert_snapshot!(ecr(&stage), @"
    9f2c1e4 sha256:5bed872540f3
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:f2e511bddd6a
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_deleted_meanwhile_leaves_no_tag() {
    let stage = both().await;
    stage.sandbox.fault(
        "registry PUT manifest",
        1,
        Fault::Delay(std::time::Duration::from_millis(600)),
    );
    let going = stage.start("index");
    stage.asked("registry PUT manifest").await;
    stage.sandbox.world(|world| {
        let web = world.repositories.get_mut("web").unwrap();
        let digest = web.tags.remove(&tag("linux/arm64")).unwrap();
        web.manifests.remove(&digest);
    });
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-ECR-UPLOAD]: nothing was deployed: ECR repository `web` does not take this request
      why:  `127.0.0.1:@PORT@` answered 400 MANIFEST_BLOB_UNKNOWN: "Images with digests '[sha256:f2e511bddd6a79e759208a63a397b7cc50970ad24df76f089e551de3e14c7e48]' required for pushing image into repository with name 'web' in the registry with id '123456789012' do ..."
      now:  not looked at
      next: run it again: it says so if a part is gone since it was read
    "#);
    assert_eq!(told.exit, 4);
    insta::assert_snapshot!(ecr(&stage), @"9f2c1e4-linux-amd64 sha256:5bed872540f3");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_outlives_the_tags_of_its_parts() {
    let stage = both().await;
    assert_eq!(stage.run("index").await.exit, 0);
    stage.sandbox.world(|world| {
        world.repositories.get_mut("web").unwrap().tags.remove(&tag("linux/arm64"));
    });
    let told = stage.run("index").await;
    insta::assert_snapshot!(talk(&told), @"
    slipway 0.1.0: index 9f2c1e4
    survey   @s  6 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is in ECR: sha256:23e60ddddc9b
      part      linux/amd64 sha256:5bed872540f3, tag 9f2c1e4-linux-amd64
    outputs  outcome=unchanged tag=9f2c1e4... digest=sha256:23e60ddddc9b...
    unchanged: ECR already has web:9f2c1e4 for linux/amd64, linux/arm64
    ::notice title=unchanged::ECR already has web:9f2c1e4 for linux/amd64, linux/arm64
    ");
    // Another image for amd64 than the one in the index is a part of nothing.
    stage.sandbox.world(|world| {
        world.image("web", &tag("linux/amd64"), &Image::new("linux/amd64", "built again"));
    });
    insta::assert_snapshot!(without_annotations(&stage.run("index").await.refusal()), @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: ECR `web` has no image of 9f2c1e4 for linux/arm64
      why:  no tag 9f2c1e4-linux-arm64
            there: linux/amd64 sha256:43c6f0a2423c, tag 9f2c1e4-linux-amd64
            tag 9f2c1e4 itself is there: sha256:23e60ddddc9b, linux/amd64, linux/arm64
            `platform` is empty: linux/amd64, linux/arm64 are expected
      now:  not looked at
      next: leave `index` out to ship the one in ECR, or ship a new commit
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_right_that_is_missing_is_named() {
    let mut all = String::new();
    let actions = [
        "ecr:GetAuthorizationToken",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
        "ecr:PutImage",
    ];
    for action in actions {
        let stage = both().await;
        stage.sandbox.world(|world| _ = world.deny(action));
        all += &format!("{action} {}", without_annotations(&stage.run("index").await.refusal()));
        assert!(!stage.sandbox.tags("web").contains_key(NEW), "{action}");
    }
    insta::assert_snapshot!(all, @r#"
    ecr:GetAuthorizationToken -> 3
    error[SW-ECR-403]: nothing was written: user `demo` may not `ecr:GetAuthorizationToken`
      why:  `ecr:GetAuthorizationToken` answered 400 AccessDeniedException: "no identity-based policy allows the ecr:GetAuthorizationToken action"
      now:  not looked at
      next: add to the policies of user `demo`:
            {"Effect":"Allow","Action":"ecr:GetAuthorizationToken","Resource":"*"}
    ecr:BatchGetImage -> 3
    error[SW-ECR-403]: nothing was written: these credentials may not read ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows..."
            the right that was missing: ecr:BatchGetImage
      now:  not looked at
      next: see that `repository` is spelled right; if it is, add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    ecr:GetDownloadUrlForLayer -> 3
    error[SW-ECR-403]: nothing was written: these credentials may not read ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:GetDownloadUrlForLayer on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based poli..."
            the right that was missing: ecr:GetDownloadUrlForLayer
      now:  not looked at
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    ecr:PutImage -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows the ..."
            the right that was missing: ecr:PutImage
      now:  not looked at
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    "#);
    let stage = both().await;
    stage.sandbox.world(|world| _ = world.deny("ecr:DescribeRepositories"));
    insta::assert_snapshot!(stage.run("index").await.words(), @"
    -> 0
    not seen: repository settings (may not describe)
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_throttles_is_waited_for_and_at_last_left() {
    let headers = vec![("Retry-After".to_owned(), "0".to_owned())];
    let slow = Fault::Status { code: 429, headers, body: String::new() };
    let stage = both().await;
    stage.sandbox.fault("registry GET manifest", 2, slow.clone());
    stage.sandbox.fault("registry PUT manifest", 1, slow.clone());
    assert_eq!(stage.run("index").await.exit, 0);
    let stage = both().await;
    stage.sandbox.fault("registry GET blob", 99, slow);
    let said = refused(&stage).await;
    // Whichever part gives up first.
    let configs = stage.sandbox.world(|world| world.blobs.keys().cloned().collect::<Vec<_>>());
    let said = configs.iter().fold(said, |said, digest| said.replace(&digest[..19], "@CONFIG@"));
    insta::assert_snapshot!(said, @"
    -> 3
    error[SW-ECR-429]: nothing was written: `127.0.0.1:@PORT@` takes no more requests for now: blob @CONFIG@
      why:  tried 5 times; at last `127.0.0.1:@PORT@` answered 429
            ECR counts requests of a whole account and region, 10 manifests a second
      now:  not looked at
      next: run it again later, or ask for a higher ECR quota
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:f2e511bddd6a
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_said() {
    let stage = both().await.input("repository", "wbe");
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-ECR-MISSING]: nothing was written: ECR has no repository `wbe` in ap-northeast-2
      why:  the nearest that is there: `web`
      now:  not looked at
      next: set `repository: web`, or aws ecr create-repository --region ap-northeast-2 --image-tag-mutability IMMUTABLE --repository-name wbe
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:f2e511bddd6a
    ");
    // Without the right to look, the registry says it.
    stage.sandbox.world(|world| _ = world.deny("ecr:DescribeRepositories"));
    insta::assert_snapshot!(refused(&stage).await, @r#"
    -> 3
    error[SW-ECR-MISSING]: nothing was written: repository `wbe` is not in this registry
      why:  `127.0.0.1:@PORT@` answered 404 NAME_UNKNOWN: "The repository with name 'wbe' does not exist in the registry with id '123456789012'"
      now:  not looked at
      next: aws ecr create-repository --repository-name wbe
    9f2c1e4-linux-amd64 sha256:5bed872540f3
    9f2c1e4-linux-arm64 sha256:f2e511bddd6a
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_before_the_write_or_in_it() {
    let stage = both().await;
    stage.sandbox.fault("registry GET manifest", 9, Fault::Stall);
    let going = stage.start("index");
    stage.asked("registry GET manifest").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: nothing was written: cancelled before the index was seen in ECR
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  not looked at
      next: run again
    ");
    assert_eq!((told.exit, stage.writes()), (3, Vec::new()));

    let stage = both().await;
    stage.sandbox.fault("registry PUT manifest", 9, Fault::Stall);
    let going = stage.start("index");
    stage.asked("registry PUT manifest").await;
    going.signal("TERM").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: nothing was deployed: cancelled before the index was seen in ECR
      why:  SIGTERM (job cancelled or timed out)
      now:  not looked at
      next: run again
    ");
    assert_eq!(told.exit, 4);
    assert!(!stage.sandbox.tags("web").contains_key(NEW));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_do_without_is_said_at_once() {
    let stage = both().await.input("repository", "").variable("AWS_REGION", "");
    let stage = stage.input("platform", "linux/arm46");
    insta::assert_snapshot!(without_annotations(&stage.run("index").await.refusal()), @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 2 inputs cannot be used
      why:  `repository` is missing
            `platform` is "linux/arm46": did you mean `linux/arm64`?
      now:  not looked at
      next: correct them in the step's `with:`
    "#);
}
