//! The stale guard: whether a commit may follow the newest one that was shipped here, by GitHub's
//! compare, by the run's number, and where nothing tells.

use serde_json::json;
use slipway_sandbox::Image;
use slipway_sandbox::kube::Play;

use crate::stage::{NEW, NEWER, OLD, Stage};

/// A commit beside the line of the others.
const SIDE: &str = "51de000000000000000000000000000000000000";

/// A run of `ship.yml`, number 11, where the newest commit [`NEW`] was shipped by run 4711, its own
/// or the one that `theirs` says.
async fn after(theirs: u64, commit: &str) -> Stage {
    let stage = Stage::with(|world| {
        world.image("web", NEW, &Stage::new_image());
        world.github.line(&[OLD, SIDE]);
    })
    .await;
    stage.kube().node("ip-10-0-1-12", "amd64");
    stage.kube().script(|_| true, Play::Recording("good"));
    let digest = Stage::new_image().digest();
    let image = stage.reference(NEW, &digest);
    let notes = json!({ "metadata": { "annotations": Stage::shipped(NEW, &digest, theirs) } });
    stage.kube().deployment("shop", "web", "app", &image, 3).with(notes).by("slipway").seed();
    let stage = stage.layout(&Image::new("linux/amd64", "another")).on_github(11);
    let stage = stage.input("commit", commit).input("bake", "0s");
    if commit == OLD { stage.input("image", "") } else { stage }
}

/// Ships and tells the exit, the blocks and what serves then.
async fn told(stage: &Stage) -> String {
    let told = stage.run("ship").await;
    if told.exit == 3 {
        assert_eq!(stage.writes(), [""; 0]);
    }
    format!("{}{}", told.words(), stage.serves())
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_is_refused_by_compare_and_allowed_on_purpose() {
    let stage = after(4711, OLD).await;
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-COMMIT-BEHIND]: nothing was written: 3f2a91c is behind 9f2c1e4, the newest commit shipped here
      why:  by 1 commit (GitHub compare); run 4711 shipped 9f2c1e4 @ ago
      now:  9f2c1e4 serves, 3/3 ready
      next: nothing, if an old run was re-run; to go back: slipway rollback --to 3f2a91c
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    ");
    let stage = stage.input("allow", "SW-COMMIT-BEHIND");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    warning[SW-COMMIT-BEHIND]: 3f2a91c is behind 9f2c1e4, the newest commit shipped here
      why:  by 1 commit (GitHub compare); run 4711 shipped 9f2c1e4 @ ago
      next: nothing: it is allowed
    shipped 3f2a91c to shop/web in @s
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
    // The mark stays where it was: what comes after it is still compared with the newest.
    insta::assert_snapshot!(stage.note("newest").unwrap(), @r#"{"run":"4711.1","number":11,"workflow":".github/workflows/ship.yml","ref":"refs/heads/main","at":"2026-11-20T17:02:00Z","commit":"9f2c1e4000000000000000000000000000000000"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn ahead_by_compare_passes_without_a_word_even_from_an_older_run() {
    let stage = after(4799, NEWER).await;
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    shipped c77d0be to shop/web in @s
    web:c77d0be@sha256:4d83dbf6cea6, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn diverged_is_warned_of() {
    let stage = after(4710, SIDE).await;
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    warning[SW-COMMIT-DIVERGED]: 51de000 and 9f2c1e4, the newest commit shipped here, are on different branches
      why:  GitHub compare: diverged; run 4710 shipped 9f2c1e4 @ ago
      next: nothing, if 51de000 is meant to replace it
    shipped 51de000 to shop/web in @s
    web:51de000@sha256:4d83dbf6cea6, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commit_passes_a_second_time() {
    let stage = after(4710, NEW).await.input("image", "");
    let again = stage.run("ship").await;
    assert_eq!(again.exit, 0, "{}", again.err);
    insta::assert_snapshot!(again.words(), @"
    -> 0
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_runs_of_one_workflow_tell() {
    let stage = after(4799, NEWER).await.variable("GITHUB_TOKEN", "");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    not seen: whether c77d0be follows 9f2c1e4 (no `github-token`)
    error[SW-COMMIT-BEHIND]: nothing was written: c77d0be is behind 9f2c1e4, the newest commit shipped here
      why:  this is run number 11 of its workflow, that was 99; run 4799 shipped 9f2c1e4 @ ago
      now:  9f2c1e4 serves, 3/3 ready
      next: nothing, if an old run was re-run; to go back: slipway rollback --to c77d0be
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    ");
    let stage = after(4710, NEWER).await.variable("GITHUB_TOKEN", "");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    not seen: whether c77d0be follows 9f2c1e4 (no `github-token`)
    shipped c77d0be to shop/web in @s
    web:c77d0be@sha256:4d83dbf6cea6, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_the_push_event_continues_is_ahead() {
    let event = json!({ "before": NEW, "after": NEWER, "forced": false }).to_string();
    let stage = after(4799, NEWER).await.variable("GITHUB_TOKEN", "").holding("event.json", &event);
    let path = stage.folder.path().join("event.json").display().to_string();
    let stage = stage.variable("GITHUB_EVENT_PATH", &path).variable("GITHUB_EVENT_NAME", "push");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    not seen: whether c77d0be follows 9f2c1e4 (no `github-token`)
    shipped c77d0be to shop/web in @s
    web:c77d0be@sha256:4d83dbf6cea6, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_tells_is_warned_of_in_a_first_run_and_refused_in_a_second() {
    let elsewhere = "acme/shop/.github/workflows/by-hand.yml@refs/heads/main";
    let blind = |stage: Stage| {
        stage.variable("GITHUB_TOKEN", "").variable("GITHUB_WORKFLOW_REF", elsewhere)
    };
    let stage = blind(after(4710, NEWER).await);
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    not seen: whether c77d0be follows 9f2c1e4 (no `github-token`)
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether c77d0be is newer than 9f2c1e4, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 9f2c1e4 @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped c77d0be to shop/web in @s
    web:c77d0be@sha256:4d83dbf6cea6, 3 updated, 3 ready
    ");
    let stage = blind(after(4710, NEWER).await).variable("GITHUB_RUN_ATTEMPT", "2");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    not seen: whether c77d0be follows 9f2c1e4 (no `github-token`)
    error[SW-COMMIT-UNKNOWN]: nothing was written: nothing tells whether c77d0be is newer than 9f2c1e4, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 9f2c1e4 @ ago
            this is a re-run, which is how old commits come back
      now:  9f2c1e4 serves, 3/3 ready
      next: `github-token` with `contents: read`, or `allow: SW-COMMIT-UNKNOWN`; to go back: slipway rollback --to c77d0be
    web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready
    ");
    let stage = stage.input("allow", "SW-COMMIT-UNKNOWN");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    not seen: whether c77d0be follows 9f2c1e4 (no `github-token`)
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether c77d0be is newer than 9f2c1e4, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 9f2c1e4 @ ago
            this is a re-run, which is how old commits come back
      next: nothing: it is allowed
    shipped c77d0be to shop/web in @s
    web:c77d0be@sha256:4d83dbf6cea6, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_rate_limit_is_not_seen_and_the_rest_tells() {
    let stage = after(4710, NEWER).await;
    stage.sandbox.world(|world| world.github.exhausted = true);
    let told = stage.run("plan").await;
    let seen = told.err.lines().chain(told.out.lines()).filter(|l| l.starts_with("not seen"));
    insta::assert_snapshot!(seen.collect::<Vec<_>>().join("\n"), @r#"not seen: whether c77d0be follows 9f2c1e4 (GitHub answered 403 "API rate limit exceeded for installation.")"#);
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_not_believed_where_somebody_deployed_past_it() {
    let stage = Stage::new().await;
    stage.kube().node("ip-10-0-1-12", "amd64");
    stage.kube().script(|_| true, Play::Recording("good"));
    let notes = Stage::shipped(NEW, &Stage::new_image().digest(), 4799);
    let web = stage.kube().deployment("shop", "web", "app", "nginx:1.24.0", 3);
    web.with(json!({ "metadata": { "annotations": notes } })).seed();
    let stage = stage.on_github(11).input("commit", OLD).input("container", "app");
    let stage = stage.input("bake", "0s");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    shipped 3f2a91c to shop/web in @s
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
}
