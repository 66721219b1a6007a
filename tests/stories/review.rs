//! Moments in which a wrong word would be believed: a PATCH without an answer, a gate that is shut
//! behind it, a webhook that takes no dry run, a sidecar that stands first.

use serde_json::json;
use slipway_sandbox::Fault;

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
