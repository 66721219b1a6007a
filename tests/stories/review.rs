//! Moments in which a wrong word would be believed: a PATCH without an answer, a gate that is shut
//! behind it, a webhook that takes no dry run, a sidecar that stands first.

use serde_json::json;
use slipway_sandbox::Fault;
use slipway_sandbox::kube::Speed;

use crate::stage::{Stage, Told};

/// What the API server says in a `Status` of its own.
fn refused(code: u16, reason: &str, message: &str) -> Fault {
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message });
    let json = ("Content-Type".to_owned(), "application/json".to_owned());
    Fault::Status { code, headers: vec![json], body: status.to_string() }
}

/// The PATCH: the first is the dry run, the second the write.
const WRITE: &str = "patch deployments";

/// From the error on.
fn error(told: &Told) -> String {
    told.err.find("error[").map_or_else(|| told.err.clone(), |at| told.err[at..].to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_while_the_patch_has_no_answer_is_told_as_unknown() {
    let stage = Stage::new().await.serving().ships("good");
    stage.sandbox.fault_after(1, WRITE, 1, Fault::Stall);
    let mut going = stage.start("ship");
    going.until("clear ").await;
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(error(&told), @"
    error[SW-RUN-UNKNOWN]: `shop/web` may run 9f2c1e4 or 3f2a91c: the answer to the patch was lost
      why:  SIGINT (job cancelled, or Ctrl-C), before its answer came
      now:  not visible
      next: a person is needed: slipway status, once the cluster answers
    ");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_behind_a_lost_patch_does_not_say_that_nothing_was_written() {
    let stage = Stage::new().await.serving().ships("good");
    stage.sandbox.fault_after(1, WRITE, 1, Fault::status(504));
    let listed = "list replicasets";
    stage.sandbox.fault_after(2, listed, 1, refused(403, "Forbidden", "replicasets is forbidden"));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(error(&told), @r#"
    error[SW-RUN-UNKNOWN]: `shop/web` may run 9f2c1e4 or 3f2a91c: the answer to the patch was lost
      why:  it answered 504: ""; it was not sent again: user `demo` may not list replicasets.apps in `shop`
      now:  not visible
      next: a person is needed: slipway status, once the cluster answers
    "#);
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_takes_no_dry_run_is_asked_at_the_write() {
    let stage = Stage::new().await.serving().ships("good");
    let words = "admission webhook \"notes.example.com\" does not support dry run";
    stage.sandbox.fault(WRITE, 1, refused(400, "BadRequest", words));
    let told = stage.run("ship").await;
    assert_eq!(told.exit, 0, "{}", told.err);
    insta::assert_snapshot!(told.err.lines().find(|line| line.starts_with("clear")).unwrap(), @"clear    @s  unchanged since the plan, no dry run: an admission webhook does not support one");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serves_is_the_programs_image_and_not_that_of_the_sidecar_before_it() {
    let stage = Stage::new().await;
    let image = stage.reference(crate::stage::OLD, &Stage::old_image().digest());
    let kube = stage.kube();
    kube.node("ip-10-0-1-12", "amd64");
    let pod = json!({ "containers": [{ "name": "proxy", "image": "envoyproxy/envoy:v1.31.0" }, { "name": "app", "image": image }] });
    kube.deployment("shop", "web", "app", &image, 3)
        .with(json!({ "spec": { "paused": true, "template": { "spec": pod } } }))
        .seed();
    let web = kube.object("Deployment", "shop", "web").unwrap();
    assert_eq!(web["spec"]["template"]["spec"]["containers"][0]["name"], "proxy");
    let told = stage.ships("good").run("plan").await;
    insta::assert_snapshot!(told.err.lines().find(|line| line.contains("now:")).unwrap_or(&told.err), @"  now:  3f2a91c serves, 3/3 ready");
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_of_the_same_name_on_another_registry_is_not_what_serves() {
    let stage = Stage::new().await;
    let image = stage.reference(crate::stage::OLD, &Stage::old_image().digest());
    let kube = stage.kube();
    kube.node("ip-10-0-1-12", "amd64");
    let pod = json!({ "containers": [{ "name": "proxy", "image": "ghcr.io/web:v1.31.0" }, { "name": "app", "image": image }] });
    kube.deployment("shop", "web", "app", &image, 3)
        .with(json!({ "metadata": { "annotations": Stage::shipped(crate::stage::OLD, &Stage::old_image().digest(), 4710) },
            "spec": { "template": { "spec": pod } } }))
        .seed();
    let told = stage.run("status").await;
    insta::assert_snapshot!(told.out, @"
    shop/web in prod
      serves   3f2a91c  sha256:17d4954971da  linux/amd64  3/3 ready, 0 restarts
      shipped  2026-11-20 17:02 UTC by run 4710
      restore  nothing: no earlier healthy commit is known
    ");
    assert_eq!((told.exit, told.err.as_str()), (0, ""));
    // The container that a ship would take.
    let planned = stage.ships("good").run("plan").await;
    let change = planned.out.lines().find(|line| line.trim_start().starts_with("change"));
    insta::assert_snapshot!(change.unwrap_or(&planned.err), @"  change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations");
    assert_eq!(planned.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_that_somebody_pauses_is_left_to_them() {
    let stage = Stage::new().await.serving().ships("never-ready").input("timeout", "3s");
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    let paused = json!({ "spec": { "paused": true } });
    stage.kube().write("kubectl-rollout", "Deployment", "shop", "web", &paused).unwrap();
    let told = going.end(&stage).await;
    insta::assert_snapshot!(error(&told), @"
    error[SW-WORKLOAD-PAUSED]: `shop/web` was taken over: somebody paused it while 9f2c1e4 rolled out
      why:  it still @ after 3s
      now:  9f2c1e4 is set, 0/3 new, 3 old ready
      next: kubectl -n shop rollout resume deployment/web
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 1 updated, 3 ready");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_rollout_whose_pods_fail_is_not_put_back_to_where_it_would_not_move() {
    let stage = Stage::new().await.serving().ships("crash").on_github(12);
    // It is slow until somebody has paused it.
    stage.kube().go_on_at(Speed::Times(1.0));
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    let paused = json!({ "spec": { "paused": true } });
    stage.kube().write("kubectl-rollout", "Deployment", "shop", "web", &paused).unwrap();
    stage.kube().go_on_at(Speed::Times(20.0));
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-WORKLOAD-PAUSED]: `shop/web` was taken over: somebody paused it while 9f2c1e4 rolled out
      why:  9f2c1e4 fails (SW-CRASH-EXIT): container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  9f2c1e4 is set and stays paused, 0/3 new, 3 old ready; nothing was rolled back
      next: kubectl -n shop rollout resume deployment/web
            slipway rollback --to 3f2a91c
    "#);
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_rollout_that_is_paused_is_left_as_it_is() {
    let stage = Stage::new().await.serving().ships("never-ready").input("on-cancel", "rollback");
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    let paused = json!({ "spec": { "paused": true } });
    stage.kube().write("kubectl-rollout", "Deployment", "shop", "web", &paused).unwrap();
    going.signal("INT").await;
    let told = going.end(&stage).await;
    insta::assert_snapshot!(error(&told), @"
    error[SW-RUN-CANCELLED]: `shop/web` was not watched to the end: cancelled @ after the patch to 9f2c1e4
      why:  SIGINT (job cancelled, or Ctrl-C)
            `on-cancel` is rollback: it is paused, and no pod would change
      now:  9f2c1e4 is set and stays paused, unwatched: not rolled back
      next: slipway status
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 7);
}
