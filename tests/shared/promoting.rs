//! An image that is in ECR already: copied under the commit's tag by its digest, never built again.

use crate::scene::Scene;

const STAGING: &str = "staging/web";

/// Neither the look of a secret nor an example: what somebody typed.
const PASSWORD: (&str, &str) = ("DB_PASSWORD", "kX8!vv2_Lq0z");

#[tokio::test(flavor = "multi_thread")]
async fn what_staging_ran_is_copied_and_ships_by_the_same_digest() {
    let scene = Scene::serving().await.promotes(STAGING, "candidate-7", &[]).may_copy(STAGING);
    let told = scene.run("ship").await;
    let talk = scene.talk(&told);
    let image = talk.lines().find(|line| line.starts_with("  image"));
    insta::assert_snapshot!(image.unwrap_or_default(), @"  image     web:9f2c1e4 is not in ECR: copy `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/staging/web:candidate-7`, @NEW@");
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_of_the_same_repository_gets_the_commits_tag_too() {
    let scene = Scene::serving().await.promotes("web", "release-7", &[]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named() {
    let scene = Scene::serving().await.promotes(STAGING, "candidate-7", &[]).may_copy(STAGING);
    let missing = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/staging/web:candidate-8";
    let told = scene.run_with("ship", &[("image", missing)]).await;
    // Which engine was asked for that name is the ground's.
    let ends = scene.ends(&told);
    let ends: Vec<_> = ends.lines().filter(|line| !line.contains("as a name:")).collect();
    insta::assert_snapshot!(ends.join("\n"), @"
    error[SW-IMAGE-MISSING]: nothing was written: image `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/staging/web:candidate-8` is not there
      why:  ECR `staging/web` has no tag `candidate-8`
      now:  not looked at
      next: aws ecr describe-images --region ap-northeast-2 --repository-name staging/web
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_rights_to_read_it_the_statement_is_given() {
    let scene = Scene::serving().await.promotes(STAGING, "candidate-7", &[]);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-ECR-403]: nothing was written: these credentials may not read ECR `staging/web`
      why:  `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/ship is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/staging/web because no identity-based polic..."
            the right that was missing: ecr:BatchGetImage
      now:  not visible
      next: see that `image` is spelled right; if it is, add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/staging/web" }
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_its_environment_is_warned_of_or_refused() {
    let scene =
        Scene::serving().await.promotes(STAGING, "candidate-7", &[PASSWORD]).may_copy(STAGING);
    let told = scene.run_with("ship", &[("forbid-secrets", "true")]).await;
    assert!(!format!("{}{}", told.out, told.err).contains(PASSWORD.1));
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-BUILD-SECRET]: nothing was written: a secret is in the image, for all who may pull it
      why:  the image's environment: `DB_PASSWORD` has a value
      now:  3f2a91c serves, 3/3 ready
      next: give steps what they need by `build-secrets`, and pods by a Secret
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
    let told = scene.run_with("ship", &[("target", "test"), ("pull", "true")]).await;
    assert!(!format!("{}{}", told.out, told.err).contains(PASSWORD.1));
    insta::assert_snapshot!(scene.called(&told.words()), @"
    -> 0
    warning[SW-BUILD-SECRET]: a secret is in the image, for all who may pull it
      why:  the image's environment: `DB_PASSWORD` has a value
      next: give steps what they need by `build-secrets`, and pods by a Secret
    notice[SW-INPUT-INVALID]: nothing is built, since `image` is given: `target`, `pull` not read
      next: leave out `image` to build, or the others
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(scene.serves(), @"web:9f2c1e4@@NEW@, 3 ready, run @NEW@");
}
