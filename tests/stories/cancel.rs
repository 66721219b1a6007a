//! Cancelled: before the write, in the push, after the patch, in the rollback; by either signal.

use slipway_sandbox::Fault;

use crate::stage::Stage;

/// A workload that serves, and run 12 of a workflow that ships an image whose rollout plays this.
async fn story(recording: &'static str) -> Stage {
    Stage::new().await.serving().ships(recording).on_github(12)
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_is_written_nothing_is() {
    let stage = story("good").await;
    stage.sandbox.fault("get deployments", 1, Fault::Stall);
    let going = stage.start("ship");
    stage.asked("get deployments").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: nothing was written: cancelled before the patch
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  not looked at
      next: run again
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert!(stage.writes().is_empty());
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_push_nothing_is_deployed() {
    let stage = story("good").await;
    stage.sandbox.fault("registry PATCH upload", 9, Fault::Stall);
    let going = stage.start("ship");
    stage.asked("registry PATCH upload").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: nothing was deployed: cancelled before the patch
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  3f2a91c serves, 3/3 ready
      next: run again
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert!(stage.sandbox.tags("web").len() == 1, "no new tag");
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_gate_nothing_is_deployed() {
    let stage = story("good").await;
    stage.sandbox.fault("patch deployments", 1, Fault::Stall);
    let going = stage.start("ship");
    stage.asked("patch deployments").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: nothing was deployed: cancelled before the patch
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  3f2a91c serves, 3/3 ready
      next: run again
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_patch_the_rollout_goes_on() {
    let stage = story("never-ready").await;
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  9f2c1e4 goes on rolling out, unwatched: 0/3 new, 3 old ready
      next: slipway status; to go back: slipway rollback --to 3f2a91c   (by itself: `on-cancel: rollback`)
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    let history = stage.note("history").unwrap_or_default();
    assert!(history.contains(r#""fate":"unwatched""#), "{history}");
    assert_eq!(told.exit, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_bake_what_is_left_is_the_bake() {
    let stage = story("good").await.input("bake", "15s").on_github(12);
    let mut going = stage.start("ship");
    going.until("3/3 new, baking").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  9f2c1e4 serves, 3/3 ready, its bake unwatched
      next: slipway status; to go back: slipway rollback --to 3f2a91c   (by itself: `on-cancel: rollback`)
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
    assert_eq!(told.exit, 7);
    // Whoever runs it again hears that nobody saw its bake end.
    let stage = stage.on_github(13);
    let again = stage.run("ship").await;
    insta::assert_snapshot!(again.words(), @"
    -> 0
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready; run 4712 was cancelled before its bake was over
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
    assert_eq!(again.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_run_ends_the_same_way() {
    let stage = story("never-ready").await;
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    going.signal("TERM").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGTERM (job cancelled or timed out)
      now:  9f2c1e4 goes on rolling out, unwatched: 0/3 new, 3 old ready
      next: slipway status; to go back: slipway rollback --to 3f2a91c   (by itself: `on-cancel: rollback`)
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_rollout_is_undone_where_that_is_asked_for() {
    let stage = story("never-ready").await.input("on-cancel", "rollback");
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  rolled back: 3f2a91c serves, 3/3 ready
      next: nothing: `on-cancel` is rollback
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_watch_of_the_rollback() {
    let stage = story("never-ready").await.input("on-cancel", "rollback");
    stage.sandbox.fault_after(5, "watch ", 99, Fault::Stall);
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    going.signal("INT").await;
    stage.patched(2).await;
    going.signal("TERM").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  3f2a91c is set again, unwatched: its pods were not looked at
      next: slipway status
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_a_failed_rollout_is_undone_leaves_the_way_back_going() {
    let stage = story("crash").await;
    let mut going = stage.start("ship");
    going.until("exited 3").await;
    stage.patched(2).await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    assert!(told.ending().contains("SW-CRASH-EXIT"), "{}", told.err);
    assert!(stage.serves().contains("3f2a91c"));
    assert!([5, 7].contains(&told.exit), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_is_ended_leaves_nothing_behind() {
    for signal in ["TERM", "INT"] {
        let stage = Stage::new().await.holding("tmp/kept", "");
        let tmp = stage.folder.path().join("tmp");
        let stage = stage.variable("TMPDIR", &tmp.display().to_string());
        let mut going = stage.start("sandbox");
        going.until("slipway rollback").await;
        assert!(std::fs::read_dir(&tmp).unwrap().count() > 1, "it keeps its things there");
        going.signal(signal).await;
        let told = going.end(&stage).await;
        let left: Vec<_> =
            std::fs::read_dir(&tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!((left, told.exit), (vec!["kept".into()], 0), "SIG{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_hangs_in_a_cancel_is_not_waited_for_longer_than_a_runner_waits() {
    let stage = story("never-ready").await;
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    stage.sandbox.fault("get deployments", 99, Fault::Stall);
    let began = std::time::Instant::now();
    going.signal("INT").await;
    let told = going.end(&stage).await;
    assert!(began.elapsed().as_secs() < 7, "a runner kills after 7.5 s: {:?}", began.elapsed());
    insta::assert_snapshot!(told.words(), @"
    -> 7
    not seen: history (how this rollout ended was not written: no answer in 2s)
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  9f2c1e4 goes on rolling out, unwatched: 0/3 new, 3 old ready
      next: slipway status; to go back: slipway rollback --to 3f2a91c   (by itself: `on-cancel: rollback`)
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 7);
}
