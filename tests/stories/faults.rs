//! What goes wrong on the wire: lost and late answers, cut uploads and watches, throttling, expired
//! logins, garbage.

use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::Fault;

use crate::stage::Stage;

/// A workload that serves, and run 12 of a workflow that ships an image whose rollout plays this.
async fn story(recording: &'static str) -> Stage {
    Stage::new().await.serving().ships(recording).on_github(12)
}

/// An answer in the API server's form.
fn status(code: u16, reason: &str, message: &str, details: &Value) -> Fault {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code, "details": details,
    });
    let headers = vec![("Content-Type".to_owned(), "application/json".to_owned())];
    Fault::Status { code, headers, body: body.to_string() }
}

/// Sets another image than ours, as somebody else.
fn other(stage: &Stage) -> Value {
    let image = stage.reference("other", &Stage::old_image().digest());
    json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } } })
}

/// OIDC instead of keys, with a role that this workflow may take.
fn by_oidc(mut stage: Stage) -> Stage {
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        stage = stage.variable(name, "");
    }
    for (name, value) in stage.sandbox.oidc_environment() {
        if name.starts_with("ACTIONS_") {
            stage = stage.variable(&name, &value);
        }
    }
    let role = stage.sandbox.world(|world| world.role_arn("ship"));
    stage.input("role-to-assume", &role)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_whose_answer_was_lost_is_found_in_the_workload() {
    let stage = story("good").await;
    stage.sandbox.fault_after(1, "patch deployments", 1, Fault::DropAnswer);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_was_taken_and_answered_with_garbage_is_found_in_the_workload() {
    let stage = story("good").await;
    stage.sandbox.fault_after(1, "patch deployments", 1, Fault::WrongBody("<html>".into()));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_answered_with_500_and_not_taken_is_sent_again() {
    let stage = story("good").await;
    stage.sandbox.fault_after(1, "patch deployments", 1, Fault::status(500));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_answered_with_504_and_not_taken_is_sent_again() {
    let stage = story("good").await;
    stage.sandbox.fault_after(1, "patch deployments", 1, Fault::status(504));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_between_the_dry_run_and_the_write_is_seen() {
    let stage = story("good").await;
    let late = Fault::Delay(Duration::from_millis(600));
    stage.sandbox.fault_after(1, "patch deployments", 1, late);
    let going = stage.start("ship");
    stage.patches(2).await;
    stage.kube().write("kubectl-set", "Deployment", "shop", "web", &other(&stage)).unwrap();
    let told = going.end(&stage).await;
    let gate = |line: &&str| line.starts_with("clear ") || line.starts_with("deploy ");
    let gate: Vec<_> = told.err.lines().filter(gate).collect();
    insta::assert_snapshot!(gate.join("\n"), @"
    clear    @s  unchanged since the plan, dry run accepted
    clear    @s  changed since the plan, planned again, dry run accepted
    deploy   @s  generation 18 -> 19
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_denies_the_dry_run_stops_the_write() {
    let stage = story("good").await;
    let said = r#"admission webhook "policy.example.com" denied the request: image must be signed"#;
    stage.sandbox.fault("patch deployments", 1, status(403, "Forbidden", said, &json!({})));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-ADMIT-POLICY]: nothing was deployed: webhook `policy.example.com` refuses this change of `shop/web`
      why:  the API server: "admission webhook "policy.example.com" denied the request: image must be signed"
      now:  3f2a91c serves, 3/3 ready
      next: change what the rule names, or ask those who keep it
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_invalid_is_told_in_the_servers_words() {
    let stage = story("good").await;
    let field = "spec.template.spec.containers[0].image";
    let said = format!(r#"Deployment.apps "web" is invalid: {field}: Required value"#);
    let cause =
        json!({ "reason": "FieldValueRequired", "message": "Required value", "field": field });
    let details = json!({ "name": "web", "kind": "Deployment", "causes": [cause] });
    stage.sandbox.fault("patch deployments", 1, status(422, "Invalid", &said, &details));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-WORKLOAD-INVALID]: nothing was deployed: `shop/web` would not be valid with this image
      why:  the API server: "Deployment.apps "web" is invalid: spec.template.spec.containers[0].image: Required value"
            "spec.template.spec.containers[0].image: Required value"
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop edit deployment web
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_throttles_is_waited_for() {
    let stage = story("good").await;
    let headers = vec![("Retry-After".to_owned(), "1".to_owned())];
    let slow = Fault::Status { code: 429, headers, body: String::new() };
    stage.sandbox.fault("registry POST upload", 2, slow.clone());
    stage.sandbox.fault("registry PUT manifest", 1, slow);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_cut_begins_anew() {
    let stage = story("good").await;
    stage.sandbox.fault("registry PATCH upload", 2, Fault::CutRequest { after: 300 });
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stays_broken_ends_the_push() {
    let stage = story("good").await;
    stage.sandbox.fault("registry PATCH upload", 99, Fault::status(503));
    let told = stage.run("ship").await;
    // Config and layer are sent side by side: either may be the first to give up, and the last refusal may
    // come before a byte of it has gone.
    let mut ending = told
        .ending()
        .replace("config sha256:db90ab4ccbe1", "@BLOB@")
        .replace("layer sha256:a804b249c34c", "@BLOB@");
    for sent in ["0 of 193", "193 of 193", "0 of 2048", "2048 of 2048"] {
        ending = ending.replace(&format!("after {sent} bytes"), "after @BYTES@");
    }
    insta::assert_snapshot!(ending, @"
    error[SW-ECR-UPLOAD]: nothing was deployed: @BLOB@ did not get into ECR `web`
      why:  tried 5 times; at last `127.0.0.1:@PORT@` answered @ after @BYTES@
      now:  3f2a91c serves, 3/3 ready
      next: run it again: what is in ECR already is not sent twice
    ");
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert!(!stage.sandbox.tags("web").contains_key(crate::stage::NEW));
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_expires_in_the_push_is_renewed() {
    let stage = story("good").await;
    stage.sandbox.fault("registry POST upload", 1, Fault::Delay(Duration::from_millis(300)));
    let going = stage.start("ship");
    stage.asked("registry POST upload").await;
    stage.sandbox.expire_passwords();
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_has_ended_although_it_is_new_is_no_missing_right() {
    let stage = story("good").await;
    let said = r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#;
    let ended = Fault::Status { code: 403, headers: Vec::new(), body: said.into() };
    stage.sandbox.fault("/v2/web/manifests", 99, ended);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.refusal(), @r#"
    -> 3
    error[SW-ECR-403]: nothing was written: `127.0.0.1:@PORT@` does not accept the login for `web`
      why:  it answered 403 DENIED: "Your authorization token has expired. Reauthenticate and try again.", also to a new login
      now:  not visible
      next: run it again with fresh AWS credentials; if it stays, see what answers as `127.0.0.1:@PORT@`: a proxy may keep an old login
    ::error title=SW-ECR-403::nothing was written: `127.0.0.1:@PORT@` does not accept the login for `web`; not visible
    "#);
    assert_eq!(stage.writes(), [""; 0]);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_push_that_is_missing_is_told_before_the_cluster_is_touched() {
    let stage = story("good").await;
    stage.sandbox.world(|world| {
        world.deny("ecr:InitiateLayerUpload");
    });
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-ECR-403]: nothing was deployed: these credentials may not push to ECR `web`
      why:  `127.0.0.1:@PORT@` answered 403 DENIED: "User: arn:aws:iam::123456789012:user/demo is not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:ap-northeast-2:123456789012:repository/web because no identity-based policy ..."
            the right that was missing: ecr:InitiateLayerUpload
      now:  3f2a91c serves, 3/3 ready
      next: add this statement to the policy of the role or user:
            { "Effect": "Allow", "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"],
              "Resource": "arn:aws:ecr:ap-northeast-2:123456789012:repository/web" }
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_cut_goes_on() {
    let stage = story("good").await;
    stage.sandbox.fault("watch ", 9, Fault::CutAnswer { after: 1500 });
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_whose_past_is_forgotten_reads_anew() {
    let stage = story("crash").await;
    stage.sandbox.fault("watch ", 6, Fault::CutAnswer { after: 1500 });
    let mut going = stage.start("ship");
    going.until("deploy ").await;
    for _ in 0..20 {
        stage.kube().compact();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_for_a_while_is_waited_for() {
    let stage = story("good").await;
    let mut going = stage.start("ship");
    going.until("clear ").await;
    stage.sandbox.fault("watch ", 8, Fault::status(503));
    stage.sandbox.fault("list pods", 2, Fault::status(503));
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_gone_after_the_patch_is_told_as_unknown() {
    let stage = story("good").await.input("timeout", "3s");
    // The answer to the PATCH itself is late, so that nothing is read between it and the outage.
    stage.sandbox.fault_after(1, "patch deployments", 1, Fault::Delay(Duration::from_millis(800)));
    let mut going = stage.start("ship");
    going.until("clear ").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stage.sandbox.fault("/api", 9999, Fault::status(503));
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-UNKNOWN]: `shop/web` may run 9f2c1e4 or 3f2a91c: its pods could not be read
      why:  deployments cannot be read: it answered 503
      now:  not visible
      next: a person is needed: slipway status, once the cluster answers
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_in_the_rollout_is_renewed() {
    let stage = by_oidc(story("never-ready").await).input("timeout", "3s");
    stage.sandbox.world(|world| {
        let subject = world.oidc.subject.clone();
        world.roles[0].subjects = vec![subject];
        world.roles[0].session = Duration::from_secs(2);
    });
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-PROBE-READY]: `shop/web` was not updated to 9f2c1e4 in 3s: container `app` runs, but its readiness probe does not pass
      why:  kubelet on @NODE@, for @s: "Readiness probe failed: Get "http://10.0.16.8:8080/": dial tcp 10.0.16.8:8080: connect: connection refused"; 1/1 new pods
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: let it listen on all addresses for the probe's port, or correct the probe;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_from_ecr_is_told_as_that() {
    let stage = story("good").await;
    stage.sandbox.fault(
        "ecr:DescribeRepositories",
        99,
        Fault::WrongBody("<html>502</html>".into()),
    );
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-AWS-ANSWER]: nothing was written: AWS did not do `ecr:DescribeRepositories`
      why:  `ecr:DescribeRepositories` answered 200, but not with what AWS sends
      now:  not visible
      next: slipway explain SW-AWS-ANSWER
    ");
    assert!(stage.writes().is_empty());
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_from_eks_is_told_as_that() {
    let stage = story("good").await;
    stage.sandbox.fault("eks:DescribeCluster", 99, Fault::WrongBody("<html>502</html>".into()));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-AWS-ANSWER]: nothing was written: AWS did not do `eks:DescribeCluster`
      why:  `eks:DescribeCluster` answered 200, but not with what AWS sends
      now:  not visible
      next: slipway explain SW-AWS-ANSWER
    ");
    assert!(stage.writes().is_empty());
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_from_the_cluster_is_told_as_that() {
    let stage = story("good").await;
    stage.sandbox.fault("get deployments", 99, Fault::WrongBody("<html>502</html>".into()));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-EKS-ANSWER]: nothing was written: `prod` gave no usable answer
      why:  get deployments.apps in `shop`: its answer is not what was asked for
      now:  not visible
      next: run it again: it goes on from what is already there
    ");
    assert!(stage.writes().is_empty());
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_from_sts_is_told_as_that() {
    let stage = story("good").await;
    stage.sandbox.fault("sts:GetCallerIdentity", 99, Fault::WrongBody("<html>502</html>".into()));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-AWS-ANSWER]: nothing was written: AWS did not do `sts:GetCallerIdentity`
      why:  `sts:GetCallerIdentity` answered 200, but not with what AWS sends
      now:  not visible
      next: slipway explain SW-AWS-ANSWER
    ");
    assert!(stage.writes().is_empty());
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_from_github_is_no_answer() {
    let stage = story("good").await;
    stage.sandbox.fault("github compare", 99, Fault::WrongBody("<html>502</html>".into()));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_services_are_waited_for() {
    let stage = story("good").await;
    stage.sandbox.fault("ecr:", 2, Fault::throttled());
    stage.sandbox.fault("eks:DescribeCluster", 1, Fault::status(503));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_whose_answer_was_lost_is_found_in_ecr() {
    let stage = story("good").await;
    stage.sandbox.fault("registry PUT manifest", 1, Fault::DropAnswer);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_whose_answer_was_lost_is_found_in_the_workload() {
    let stage = story("crash").await;
    stage.sandbox.fault_after(2, "patch deployments", 1, Fault::DropAnswer);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_no_longer_knows_us_cannot_be_rolled_back() {
    let stage = story("crash").await;
    let unknown = status(401, "Unauthorized", "Unauthorized", &json!({}));
    stage.sandbox.fault_after(2, "patch deployments", 9, unknown);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-RESTORE-FAILED]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), `prod` does not know user `demo`
      why:  401 twice, the second time to a new token
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  9f2c1e4 is set, 0/3 new, 3 old ready
      next: a person is needed: slipway status, then push a fix
    "#);
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_no_longer_knows_us_when_the_time_is_up_is_told_as_unknown() {
    let stage = story("never-ready").await.input("timeout", "2s");
    stage.sandbox.fault("watch ", 9999, Fault::CutAnswer { after: 20_000 });
    let mut going = stage.start("ship");
    going.until("0/3 new").await;
    stage.sandbox.world(|world| world.cluster.access.clear());
    stage.sandbox.fault("/api", 9999, status(401, "Unauthorized", "Unauthorized", &json!({})));
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-RUN-UNKNOWN]: `shop/web` may run 9f2c1e4 or 3f2a91c: `prod` does not know user `demo`
      why:  401 twice, the second time to a new token
      now:  not visible
      next: a person is needed: slipway status, once the cluster answers
    ");
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 6);
}
