//! What `index` refuses to join, and why: nothing is written then.

use serde_json::json;
use slipway::names::Digest;
use slipway_sandbox::Fault;

use super::index::{
    both, entry, holding, image, put_index, refused, tag, with, without_annotations,
};
use crate::stage::{NEW, NEWER, Stage};

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
async fn parts_that_nobody_joined_are_not_built_a_second_time() {
    let one = holding(&[("linux/amd64", image("linux/amd64"))]).await;
    let one = one.input("image", "");
    insta::assert_snapshot!(one.run("ship").await.words(), @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing was written: the images of 9f2c1e4 for each platform are not joined
      why:  ECR `web` has 9f2c1e4-linux-amd64, and no 9f2c1e4
      now:  3f2a91c serves, 3/3 ready
      next: run `command: index` before this step, once all of them are pushed
            or, to ship that one alone, `image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000-linux-amd64`
    ");
    let two = [("linux/amd64", image("linux/amd64")), ("linux/arm64", image("linux/arm64"))];
    let two = holding(&two).await.input("image", "");
    insta::assert_snapshot!(two.run("plan").await.words(), @"
    -> 3
    error[SW-PLATFORM-MISSING]: nothing would be written: the images of 9f2c1e4 for each platform are not joined
      why:  ECR `web` has 9f2c1e4-linux-amd64 and 9f2c1e4-linux-arm64, and no 9f2c1e4
      now:  3f2a91c serves, 3/3 ready
      next: run `command: index` before this step, once all of them are pushed
    ");
    let written: Vec<_> = [one, two].iter().flat_map(Stage::writes).collect();
    assert_eq!(written, [""; 0]);
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
