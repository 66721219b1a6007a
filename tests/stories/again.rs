//! The same image again: under another commit's name, back by hand, and back once more.

use slipway_sandbox::kube::{Kube, Speed};

use crate::stage::{NEW, NEWER, OLD, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_commit_with_the_image_that_serves_gets_its_tag() {
    let stage = Stage::new().await.serving().layout(&Stage::old_image());
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.err.lines().last().unwrap_or_default(), @"unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready");
    let tags = stage.sandbox.tags("web");
    assert_eq!(tags.get(NEW), tags.get(OLD));
    assert!(tags.contains_key(NEW));
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_took_back_a_person_may_put_back() {
    let stage = Stage::new().await.serving().ships("good").input("bake", "0s");
    assert_eq!(stage.run("ship").await.exit, 0);
    let stage = stage.input("image", "").input("commit", "");
    let back = stage.run_with("rollback", &[("to", OLD)], &[]).await;
    assert_eq!(back.exit, 0, "{}", back.err);
    let forth = stage.run_with("rollback", &[("to", NEW)], &[]).await;
    assert_eq!(forth.exit, 0, "{}", forth.err);
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_commit_with_an_image_that_failed_is_told_whose_it_was() {
    let stage = Stage::new().await.serving().ships("crash");
    assert_eq!(stage.run("ship").await.exit, 5);
    let told = stage.input("commit", NEWER).run("ship").await;
    assert!(told.err.contains("error[SW-IMAGE-WITHDRAWN]: nothing was written: the image of c77d0be was rolled back here before, as 9f2c1e4"), "{}", told.err);
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_goes_away_leaves_the_rollout_going_and_says_so() {
    let stage = Stage::new().await.serving().ships("good");
    let mut going = stage.start("ship");
    going.until("deploy ").await;
    going.signal("HUP").await;
    let told = going.end(&stage).await;
    assert!(told.err.contains("SIGHUP (the terminal was closed)"), "{}", told.err);
    assert_eq!(told.exit, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_the_same_commit_takes_the_watch_over_without_an_alarm() {
    // Slow enough for a whole second run to come in between.
    let stage = Stage::with(|world| world.kube = Kube::new(Speed::Times(2.0))).await;
    let stage = stage.serving().ships("good").on_github(12);
    let mut first = stage.start("ship");
    first.until("deploy ").await;
    let stage = stage.on_github(13);
    let second = stage.run("ship").await;
    let first = first.end(&stage).await;
    assert_eq!(second.exit, 0, "{}{}", second.out, second.err);
    let said = "9f2c1e4 was superseded: run 4713 set the same commit, ";
    assert!(first.err.contains(said), "{}", first.err);
    assert_eq!(first.exit, 0);
}
