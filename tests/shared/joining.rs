//! What native runners pushed for one commit, joined by `index` into what the next job ships.

use serde_json::Value;

use crate::scene::Scene;
use crate::stage::NEW;

/// The digest that the commit's tag has, by the outcome of joining again, which changes nothing.
async fn joined(scene: &Scene) -> String {
    let told = scene.run_with("index", &[("json", "true")]).await;
    let outcome: Value = serde_json::from_str(told.out.lines().last().unwrap_or_default()).unwrap();
    assert_eq!(outcome["outcome"], "unchanged");
    outcome["image"].as_str().unwrap().split_once('@').unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parts_become_one_index_that_is_shipped() {
    let mut scene = Scene::serving().await.part("linux/amd64").part("linux/arm64");
    let told = scene.run("index").await;
    let digest = joined(&scene).await;
    scene.names(&digest, "@INDEX@");
    insta::assert_snapshot!(scene.talk(&told), @"
    slipway 0.1.0: index 9f2c1e4
    survey   @s  6 reads, nothing written
    plan
      who       user ship by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: join 2 images
      part      linux/amd64 @AMD@, tag 9f2c1e4-linux-amd64
      part      linux/arm64 @ARM@, tag 9f2c1e4-linux-arm64
    push     @s  @INDEX@, an index of 2 images
    joined web:9f2c1e4 for linux/amd64, linux/arm64 in @s
    ");
    assert_eq!(told.exit, 0);
    let shipped = scene.run("ship").await;
    // A node that knows the image by both names may report either.
    let ends = scene.ends(&shipped).replace("run @AMD@", "run @INDEX@");
    insta::assert_snapshot!(ends, @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@INDEX@, 3 ready, run @INDEX@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_missing_or_of_another_platform_is_named() {
    let scene = Scene::serving().await.part("linux/amd64");
    let told = scene.run("index").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-PLATFORM-MISSING]: nothing was written: ECR `web` has no image of 9f2c1e4 for linux/arm64
      why:  no tag 9f2c1e4-linux-arm64
            there: linux/amd64 @AMD@, tag 9f2c1e4-linux-amd64
            `platform` is empty: linux/amd64, linux/arm64 are expected
      now:  not looked at
      next: run the job that pushes it, with `until: push` and `platform: linux/arm64`; or say `platform: linux/amd64` here
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
    let scene = scene.part_of("linux/arm64", "linux/amd64");
    let told = scene.run("index").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-PLATFORM-MISSING]: nothing was written: tag 9f2c1e4-linux-arm64 does not hold the image for linux/arm64
      why:  it holds an image for linux/amd64, @AMD@
      now:  not looked at
      next: ship a new commit, with `platform: linux/arm64` in the job that pushes this tag
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_names_another_image_is_never_moved() {
    let scene = Scene::serving().await.part("linux/amd64").part("linux/arm64").in_ecr(NEW, "other");
    let told = scene.run("index").await;
    let ends = scene.ends(&told);
    // The index depends on the images, which are others on each ground.
    let index = ends.split("linux/arm64 is ").nth(1).unwrap_or_default().lines().next();
    insta::assert_snapshot!(ends.replace(index.unwrap_or_default(), "@INDEX@"), @"
    error[SW-IMAGE-CONFLICT]: nothing was written: immutable tag 9f2c1e4 holds another image
      why:  ECR has @OTHER@, linux/amd64; the index of linux/amd64, linux/arm64 is @INDEX@
      now:  not looked at
      next: leave `index` out to ship the one in ECR, or ship a new commit
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_put_it_nothing_is_joined() {
    let scene = Scene::serving().await.part("linux/amd64").part("linux/arm64");
    let scene = scene.without_action("ecr:PutImage");
    let told = scene.run("index").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy allows the ..."
            the right that was missing: ecr:PutImage
      now:  not looked at
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}
