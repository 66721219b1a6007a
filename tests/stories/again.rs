//! The same image again: under another commit's name, back by hand, and back once more.

use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::kube::{Kube, Play, Speed};
use slipway_sandbox::{Fault, Image};

use crate::stage::{NEW, NEWER, OLD, Stage};

/// The names that slipway's annotations give to the image that serves.
fn named(stage: &Stage) -> String {
    let note = |name: &str| stage.note(name).unwrap_or_default();
    let newest: Value = serde_json::from_str(&note("newest")).unwrap();
    let history: Value = serde_json::from_str(&note("history")).unwrap();
    let entry = |entry: &Value| {
        let commit = &entry["commit"].as_str().unwrap_or_default()[..7];
        let digest = &entry["digest"].as_str().unwrap_or_default()[..19];
        format!("{commit} {digest} {} {}", entry["fate"], entry["revision"])
    };
    let entries: Vec<_> = history.as_array().unwrap().iter().map(entry).collect();
    let (commit, newest) = (&note("commit")[..7], &newest["commit"].as_str().unwrap()[..7]);
    let digest = &note("digest")[..19];
    format!("{commit} {digest}, newest {newest}\n{}", entries.join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_commit_with_the_image_that_serves_gets_its_tag_and_its_name() {
    let stage = Stage::new().await.serving().layout(&Stage::old_image()).on_github(11);
    let before = stage.kube().object("Deployment", "shop", "web").unwrap();
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.log(), @"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    override GITHUB_API_URL: http://127.0.0.1:@PORT@
    survey   @s  25 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:17d4954971da, 2 kB
      platform  linux/amd64: both nodes its pods can land on
      change    none: container `app` already runs this image; only slipway's own annotations
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    push     @s  sha256:17d4954971da, 1 layer reused
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17, unchanged: only annotations were set
    outputs  outcome=unchanged tag=9f2c1e4... digest=sha256:17d4954971da...
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready
    ::notice title=unchanged::9f2c1e4 already serves in shop/web, 3/3 ready
    ");
    let tags = stage.sandbox.tags("web");
    assert_eq!(tags.get(NEW), tags.get(OLD));
    assert!(tags.contains_key(NEW));
    let after = stage.kube().object("Deployment", "shop", "web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(before["metadata"]["generation"], after["metadata"]["generation"]);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    insta::assert_snapshot!(named(&stage), @r#"
    9f2c1e4 sha256:17d4954971da, newest 9f2c1e4
    9f2c1e4 sha256:17d4954971da "healthy" "17"
    3f2a91c sha256:17d4954971da "healthy" "17"
    "#);
    assert_eq!(stage.note("run").as_deref(), Some("4711.1"));
    assert_eq!(told.exit, 0);
    // It is known now, and is not written a second time.
    let writes = stage.writes().len();
    let again = stage.run("ship").await;
    insta::assert_snapshot!(again.ending(), @"unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready");
    assert_eq!((again.exit, stage.writes().len()), (0, writes));
    let history = stage.run_with("history", &[("commit", ""), ("image", "")], &[]).await;
    // Without the moment.
    let lines = history.log();
    let rows: Vec<_> = lines.lines().map(|l| format!("{}{}", &l[..14], &l[32..])).collect();
    insta::assert_snapshot!(rows.join("\n"), @"
    commit   rev  ECR  ended
    9f2c1e4  17   yes  serves
    3f2a91c  17   yes  healthy
    ");
    let stale = stage.run_with("ship", &[("commit", OLD), ("image", "")], &[]).await;
    insta::assert_snapshot!(stale.ending(), @"unchanged: 3f2a91c already serves in shop/web, 3/3 ready");
    assert_eq!((stale.exit, stage.writes().len()), (0, writes), "nothing older comes by it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_only_got_a_name_is_known_to_a_rollback() {
    let stage = Stage::new().await.serving().layout(&Stage::old_image()).on_github(11);
    assert_eq!(stage.run("ship").await.exit, 0);
    Image::new("linux/amd64", "newer").layout(&stage.folder.path().join("newer")).unwrap();
    let stage = stage.on_github(12);
    let newer = stage.run_with("ship", &[("commit", NEWER), ("image", "newer")], &[]).await;
    assert_eq!(newer.exit, 0, "{}", newer.out);
    let stage = stage.on_github(13);
    let back = [("commit", ""), ("image", ""), ("to", &NEW[..7])];
    let back = stage.run_with("rollback", &back, &[]).await;
    insta::assert_snapshot!(back.ending(), @"shop/web is back at 9f2c1e4 in @s; c77d0be is withdrawn, newer commits ship as usual");
    // The old spelling of its image, and so the old ReplicaSet.
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(stage.kube().objects("ReplicaSet", "shop").len(), 2);
    assert_eq!(stage.note("commit").as_deref(), Some(NEW));
    assert_eq!(back.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_cannot_be_written_is_told_and_fails_no_run() {
    let stage = Stage::new().await.serving().layout(&Stage::old_image()).on_github(11);
    let said = r#"admission webhook "notes.example.com" denied the request: no notes"#;
    let body = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden", "message": said });
    let denied = Fault::Status { code: 403, headers: Vec::new(), body: body.to_string() };
    stage.sandbox.fault("patch deployments", 1, denied);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.words(), @r#"
    -> 0
    warning[SW-ADMIT-POLICY]: 9f2c1e4 serves in `shop/web`, but its annotations may not say so: webhook `notes.example.com` refuses this change of `shop/web`
      why:  the API server: "admission webhook "notes.example.com" denied the request: no notes"
      next: run again, once that is mended: until then `status`, `history` and the stale guard know the old commit
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    insta::assert_snapshot!(named(&stage), @r#"
    3f2a91c sha256:17d4954971da, newest 3f2a91c
    3f2a91c sha256:17d4954971da "healthy" "17"
    "#);
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_for_an_image_that_somebody_replaced_meanwhile_is_not_written() {
    let stage = Stage::new().await.serving().layout(&Stage::old_image()).on_github(11);
    stage.kube().script(|image| image.starts_with("nginx"), Play::Recording("tag-not-found"));
    // Held up until somebody else was faster.
    stage.sandbox.fault("registry PUT manifest", 1, Fault::Delay(Duration::from_millis(1500)));
    let going = stage.start("ship");
    stage.asked("PUT manifest").await;
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "nginx:1.24.0" }] } } } });
    let stage = stage.written_by("kubectl-set", &patch);
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-WORKLOAD-CHANGED]: nothing was deployed: `shop/web` got another image since the plan
      now:  3f2a91c serves, 3/3 ready
      next: run again: the plan has to be made anew
    ");
    insta::assert_snapshot!(stage.set(), @"nginx:1.24.0");
    assert_eq!(stage.note("commit").as_deref(), Some(OLD));
    assert_eq!(told.exit, 4);
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
    // The rollout is held until the second run has come, however long that takes.
    let stage = Stage::with(|world| world.kube = Kube::new(Speed::Times(0.001))).await;
    let stage = stage.serving().ships("good").on_github(12).input("timeout", "5m");
    let mut first = stage.start("ship");
    first.until("deploy ").await;
    let stage = stage.on_github(13);
    let mut second = stage.start("ship");
    second.until("deploy ").await;
    stage.kube().go_on_at(Speed::Times(20.0));
    let (first, second) = (first.end(&stage).await, second.end(&stage).await);
    assert_eq!(second.exit, 0, "{}{}", second.out, second.err);
    let said = "9f2c1e4 was superseded: run 4713 set the same commit, ";
    assert!(first.err.contains(said), "{}", first.err);
    assert_eq!(first.exit, 0);
}
