//! Which way an image takes out of an engine into ECR, and what is said of it.

use slipway_sandbox::engine::{Kind, Store, Version};
use slipway_sandbox::{Fault, World};

use crate::stage::{Stage, scrub};

/// A stage that builds two layers and only pushes them, with an engine of this kind.
async fn building(kind: Kind, change: impl FnOnce(&mut World)) -> Stage {
    let stage = Stage::with(change).await.serving().holding("base", "base").holding("page", "1");
    let stage = stage.holding("Dockerfile", "FROM scratch\nCOPY base /base\nCOPY page /page\n");
    let mut stage = stage.input("until", "push").input("platform", "linux/amd64");
    stage.bring_engine(kind).await;
    stage
}

/// How the push of a commit of its own went, and whether it is in ECR.
async fn pushed(stage: Stage, number: usize) -> (Stage, String) {
    let commit = format!("{number:040x}");
    let stage = stage.holding("page", &commit).input("commit", &commit);
    let told = stage.run("ship").await;
    let lines = told.err.lines().map(scrub::grounded);
    let pushes = lines.filter(|line| line.starts_with("push "));
    let ways: String =
        pushes.filter_map(|line| Some(format!("push: {}\n", line.split_once(", ")?.1))).collect();
    let is_there = stage.sandbox.tags("web").contains_key(&format!("{commit}-linux-amd64"));
    (stage, format!("{}{ways}in ECR: {is_there}\n", told.words()))
}

async fn three(kind: Kind) -> String {
    let mut all = String::new();
    let mut stage = building(kind, |_| {}).await;
    for number in 1..=3 {
        let (after, told) = pushed(stage, number).await;
        stage = after;
        all += &told;
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_presses_slowly_is_read_until_it_may_remember_what_it_pushed() {
    let old = Kind { version: Version::V20, ..Kind::default() };
    insta::assert_snapshot!(three(old).await, @"
    -> 0
    push: 2 layers new (@ B)
    in ECR: true
    -> 0
    push: 2 layers new, by the engine
    in ECR: true
    -> 0
    push: 1 layer new, 1 reused, by the engine
    in ECR: true
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_presses_fast_pushes_by_itself() {
    insta::assert_snapshot!(three(Kind::default()).await, @"
    -> 0
    push: 2 layers new, by the engine
    in ECR: true
    -> 0
    push: 1 layer new, 1 reused, by the engine
    in ECR: true
    -> 0
    push: 1 layer new, 1 reused, by the engine
    in ECR: true
    ");
    let containerd = Kind { store: Store::Containerd, ..Kind::default() };
    insta::assert_snapshot!(three(containerd).await, @"
    -> 0
    push: 2 layers new, by the engine
    in ECR: true
    -> 0
    push: 1 layer new, 1 reused, by the engine
    in ECR: true
    -> 0
    push: 1 layer new, 1 reused, by the engine
    in ECR: true
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_cannot_bring_to_ecr_is_read_and_sent_by_us() {
    let stage = building(Kind::default(), |_| {}).await;
    stage.engine().cut_off();
    let (_, told) = pushed(stage, 1).await;
    insta::assert_snapshot!(told, @r#"
    -> 0
    warning[SW-ECR-REACH]: the engine could not push the image
      why:  the engine pushed, and quotes: "Get "https://127.0.0.1:@PORT@/v2/": dial tcp: lookup 127.0.0.1:@PORT@: no such host"
            this run read the image and sent it itself
      next: curl -sSI https://127.0.0.1:@PORT@/v2/ where the engine runs; 401 is a good answer
    push: 2 layers new (@ B)
    in ECR: true
    "#);
    let stage = building(Kind { store: Store::Containerd, ..Kind::default() }, |_| {}).await;
    stage.engine().cut_off();
    let (_, told) = pushed(stage, 1).await;
    let (before, digest) = told.split_once("sha256:").unwrap();
    insta::assert_snapshot!(format!("{before}@DIGEST@{}", &digest[64..]), @r#"
    -> 4
    error[SW-ECR-REACH]: nothing was deployed: the engine did not reach `127.0.0.1:@PORT@`
      why:  the engine pushed, and quotes: "failed to do request: Head "https://127.0.0.1:@PORT@/v2/web/blobs/@DIGEST@": dial tcp: lookup 127.0.0.1:@PORT@: no such host"
      now:  not looked at
      next: curl -sSI https://127.0.0.1:@PORT@/v2/ where the engine runs; 401 is a good answer
    in ECR: false
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_to_an_engine_is_no_conflict() {
    let mut all = String::new();
    for store in [Store::Classic, Store::Containerd] {
        let stage = building(Kind { store, ..Kind::default() }, |_| {}).await;
        stage.sandbox.fault("registry PUT manifest", 1, Fault::DropAnswer);
        all += &pushed(stage, 1).await.1;
    }
    insta::assert_snapshot!(all, @"
    -> 0
    push: 2 layers reused
    in ECR: true
    -> 0
    push: was there
    in ECR: true
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_another_run_named_is_not_taken_for_ours() {
    let (stage, _) = pushed(building(Kind::default(), |_| {}).await, 1).await;
    stage.engine().renames();
    let (_, told) = pushed(stage, 2).await;
    let parts = told.split("sha256:");
    let parts = parts.map(|part| part.trim_start_matches(|c: char| c.is_ascii_hexdigit()));
    let told = parts.collect::<Vec<_>>().join("@DIGEST@");
    insta::assert_snapshot!(told, @"
    -> 4
    error[SW-IMAGE-CONFLICT]: nothing was deployed: tag 0000000-linux-amd64 got an image of another run
      why:  ECR has @DIGEST@ under it, which is not @DIGEST@
            two runs gave its name to their images in one engine
      now:  not looked at
      next: let one run at a time push, remove tag 0000000-linux-amd64 from ECR, then run it again
    push: 2 layers reused, by the engine
    in ECR: true
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_an_engine_lacks_is_told_with_what_gives_it() {
    let stage = building(Kind::default(), |world| {
        world.deny("ecr:InitiateLayerUpload");
    });
    let (_, told) = pushed(stage.await, 1).await;
    insta::assert_snapshot!(told, @r#"
    -> 4
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:InitiateLayerUpload
      now:  not looked at
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    in ECR: false
    "#);
}
