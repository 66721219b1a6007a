//! `index`: what native runners pushed for one commit becomes one index under its tag, or nothing is written.

use serde_json::{Value, json};
use slipway::names::Digest;
use slipway_sandbox::{Fault, Image, World};

use crate::stage::{NEW, OLD, Stage, Told};

/// The tag of a platform's image.
pub fn tag(platform: &str) -> String {
    format!("{NEW}-{}", platform.replace('/', "-"))
}

/// The image of a platform.
pub fn image(platform: &str) -> Image {
    Image::new(platform, "new").label("org.opencontainers.image.revision", NEW)
}

/// A workload that serves, a workflow's run 12, and these images under the tags of these platforms.
pub async fn holding(parts: &[(&str, Image)]) -> Stage {
    with(|world| {
        for (platform, image) in parts {
            world.image("web", &tag(platform), image);
        }
    })
    .await
}

pub async fn with(change: impl FnOnce(&mut World)) -> Stage {
    Stage::with(change).await.serving().on_github(12)
}

/// The images of both usual platforms.
pub async fn both() -> Stage {
    let usual = ["linux/amd64", "linux/arm64"];
    holding(&usual.map(|platform| (platform, image(platform)))).await
}

/// What ECR has: each tag with its digest, the old commit's left out.
pub fn ecr(stage: &Stage) -> String {
    let tags = stage.sandbox.tags("web");
    let tags = tags.iter().filter(|(tag, _)| tag.as_str() != OLD);
    let line = |(tag, digest): (&String, &String)| {
        format!("{} {}\n", tag.replacen(NEW, "9f2c1e4", 1), &digest[..19])
    };
    tags.map(line).collect()
}

/// A refusal, what ECR holds after it, and that nothing was written.
pub async fn refused(stage: &Stage) -> String {
    let told = stage.run("index").await;
    let text = format!("{}{}", told.refusal(), ecr(stage));
    assert_eq!(stage.writes(), [""; 0], "{text}");
    without_annotations(&text)
}

pub fn without_annotations(text: &str) -> String {
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
pub fn put_index(world: &mut World, tag: &str, entries: &[Value]) {
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
pub fn entry(digest: &str, platform: &str, annotations: &Value) -> Value {
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
async fn outputs_and_summary_name_the_index() {
    let stage = both().await;
    assert_eq!(stage.run("index").await.exit, 0);
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
    let manifests = manifest(&stage, NEW)["manifests"].clone();
    insta::assert_snapshot!(format!("{:#}", manifests[2]), @r#"
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
    "#);
    assert_eq!(manifests.as_array().unwrap().len(), 3);
    assert_eq!(
        (told.exit, statement.digest()),
        (0, manifests[2]["digest"].as_str().unwrap().to_owned())
    );
    insta::assert_snapshot!(stage.run("ship").await.ending(), @"shipped 9f2c1e4 to shop/web in @s");
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
