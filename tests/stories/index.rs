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
    insta::assert_snapshot!(talk(&told), @"");
    assert_eq!(told.exit, 0);
    insta::assert_snapshot!(ecr(&stage), @"");
    insta::assert_snapshot!(format!("{:#}", manifest(&stage, NEW)), @"");
    insta::assert_snapshot!(stage.outputs(), @"");
    insta::assert_snapshot!(stage.file("summary"), @"");
    assert_eq!(stage.writes(), ["registry PUT manifest"]);

    let again = stage.run("index").await;
    insta::assert_snapshot!(again.out.lines().last().unwrap_or_default(), @"");
    assert_eq!((again.exit, stage.writes().len()), (0, 1));

    let shipped = stage.run("ship").await;
    insta::assert_snapshot!(shipped.ending(), @"");
    insta::assert_snapshot!(stage.serves(), @"");
    assert_eq!(stage.writes().iter().filter(|write| write.starts_with("registry")).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_json_the_outcome_names_image_and_platforms() {
    let stage = both().await.input("json", "true");
    let told = stage.run("index").await;
    let mut outcome: Value =
        serde_json::from_str(told.out.lines().last().unwrap_or_default()).unwrap();
    outcome["at"] = json!("@");
    insta::assert_snapshot!(format!("{:#}", outcome), @"");
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
    insta::assert_snapshot!(parts.join("\n"), @"");
    insta::assert_snapshot!(format!("{:#}", manifest(&stage, NEW)["manifests"]), @"");
    assert_eq!(
        (told.exit, statement.digest()),
        (0, manifest(&stage, NEW)["manifests"][2]["digest"].as_str().unwrap().to_owned())
    );
    insta::assert_snapshot!(stage.run("ship").await.ending(), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_missing_is_named_with_what_is_there() {
    let stage = holding(&[("linux/amd64", image("linux/amd64"))]).await;
    insta::assert_snapshot!(refused(&stage).await, @"");
    let stage = stage.input("platform", "linux/amd64,linux/arm64,linux/arm/v7");
    insta::assert_snapshot!(refused(&stage).await, @"");
    let stage = with(|_| {}).await;
    insta::assert_snapshot!(refused(&stage).await, @"");
    // The commit was shipped without parts.
    let stage = with(|world| _ = world.image("web", NEW, &image("linux/amd64"))).await;
    insta::assert_snapshot!(refused(&stage).await, @"");
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
    insta::assert_snapshot!(told.out.lines().last().unwrap_or_default(), @"");
    insta::assert_snapshot!(format!("{:#}", manifest(&stage, NEW)["manifests"]), @"");
    let stage = holding(&[("linux/arm64", image("linux/arm64"))]).await;
    let told = stage.input("platform", "linux/arm64").run("index").await;
    insta::assert_snapshot!(told.out.lines().last().unwrap_or_default(), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_holds_something_else_is_refused_with_what_it_holds() {
    let amd = ("linux/amd64", image("linux/amd64"));
    let stage = holding(&[amd.clone(), ("linux/arm64", image("linux/amd64"))]).await;
    insta::assert_snapshot!(refused(&stage).await, @"");
    let two = image("linux/amd64").platform("linux/arm64");
    let stage = holding(&[amd, ("linux/arm64", two)]).await;
    insta::assert_snapshot!(refused(&stage).await, @"");
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
    insta::assert_snapshot!(refused(&stage).await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_different_recipes_are_not_joined_until_allowed() {
    let recipe = |platform: &'static str, recipe: &str| {
        (platform, image(platform).label("dev.slipway.recipe", recipe))
    };
    let stage = holding(&[recipe("linux/amd64", "r1"), recipe("linux/arm64", "r2")]).await;
    insta::assert_snapshot!(refused(&stage).await, @"");
    let told = stage.input("allow", "SW-IMAGE-RECIPE").run("index").await;
    insta::assert_snapshot!(without_annotations(&told.refusal()), @"");
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
    insta::assert_snapshot!(refused(&holding(&parts).await).await, @"");
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
            insta::assert_snapshot!(said, @"");
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
    insta::assert_snapshot!(told.ending(), @"");
    assert_eq!(told.exit, 4);
    insta::assert_snapshot!(ecr(&stage), @"");
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
    insta::assert_snapshot!(told.ending(), @"");
    assert_eq!(told.exit, 4);
    insta::assert_snapshot!(ecr(&stage), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_outlives_the_tags_of_its_parts() {
    let stage = both().await;
    assert_eq!(stage.run("index").await.exit, 0);
    stage.sandbox.world(|world| {
        world.repositories.get_mut("web").unwrap().tags.remove(&tag("linux/arm64"));
    });
    let told = stage.run("index").await;
    insta::assert_snapshot!(talk(&told), @"");
    // Another image for amd64 than the one in the index is a part of nothing.
    stage.sandbox.world(|world| {
        world.image("web", &tag("linux/amd64"), &Image::new("linux/amd64", "built again"));
    });
    insta::assert_snapshot!(without_annotations(&stage.run("index").await.refusal()), @"");
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
    insta::assert_snapshot!(all, @"");
    let stage = both().await;
    stage.sandbox.world(|world| _ = world.deny("ecr:DescribeRepositories"));
    insta::assert_snapshot!(stage.run("index").await.words(), @"");
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
    insta::assert_snapshot!(said, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_said() {
    let stage = both().await.input("repository", "wbe");
    insta::assert_snapshot!(refused(&stage).await, @"");
    // Without the right to look, the registry says it.
    stage.sandbox.world(|world| _ = world.deny("ecr:DescribeRepositories"));
    insta::assert_snapshot!(refused(&stage).await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_before_the_write_or_in_it() {
    let stage = both().await;
    stage.sandbox.fault("registry GET manifest", 9, Fault::Stall);
    let going = stage.start("index");
    stage.asked("registry GET manifest").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"");
    assert_eq!((told.exit, stage.writes()), (3, Vec::new()));

    let stage = both().await;
    stage.sandbox.fault("registry PUT manifest", 9, Fault::Stall);
    let going = stage.start("index");
    stage.asked("registry PUT manifest").await;
    going.signal("TERM").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"");
    assert_eq!(told.exit, 4);
    assert!(!stage.sandbox.tags("web").contains_key(NEW));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_cannot_do_without_is_said_at_once() {
    let stage = both().await.input("repository", "").variable("AWS_REGION", "");
    let stage = stage.input("platform", "linux/arm46");
    insta::assert_snapshot!(without_annotations(&stage.run("index").await.refusal()), @"");
}
