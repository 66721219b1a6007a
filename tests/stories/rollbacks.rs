//! What a failed rollout is undone to, by what served before; and going back on purpose.

use serde_json::{Value, json};
use slipway_sandbox::kube::Play;

use crate::stage::{NEW, NEWER, OLD, Stage, Told};

/// A stage whose workload runs this image, changed by this patch before its pods are made.
async fn running(image: &str, patch: Value) -> Stage {
    let stage = Stage::new().await;
    let kube = stage.kube();
    kube.node("ip-10-0-1-12", "amd64");
    kube.node("ip-10-0-2-7", "amd64");
    kube.script(|_| true, Play::Recording("good"));
    let old = Stage::old_image().digest();
    kube.resolver(move |_| Some(old.clone()));
    let image = image.replace("ECR", &stage.sandbox.world(|world| world.repository_uri("web")));
    kube.deployment("shop", "web", "app", &image, 3).with(patch).revision(17).seed();
    stage
}

/// The strategy that ends the old pods first.
fn recreate() -> Value {
    json!({ "spec": { "strategy": { "type": "Recreate", "rollingUpdate": null } } })
}

/// A workload that serves, and a new image that crashes.
async fn crashing() -> Stage {
    Stage::new().await.serving().ships("crash").input("allow", "SW-COMMIT-UNKNOWN")
}

/// ECR forgets the image that serves.
fn forget_old(stage: &Stage) {
    let digest = Stage::old_image().digest();
    stage.sandbox.world(|world| {
        let web = world.repositories.get_mut("web").unwrap();
        web.tags.retain(|_, named| *named != digest);
        web.manifests.remove(&digest);
    });
}

/// Goes back by hand.
async fn back(stage: &Stage, to: &str, allow: &str) -> Told {
    let inputs = [("to", to), ("commit", ""), ("image", ""), ("allow", allow)];
    stage.run_with("rollback", &inputs, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_image_is_put_back_byte_for_byte() {
    let stage = crashing().await;
    let before = stage.kube().object("Deployment", "shop", "web").unwrap();
    let told = stage.run("ship").await;
    let after = stage.kube().object("Deployment", "shop", "web").unwrap();
    assert_eq!(before["spec"], after["spec"]);
    assert_eq!(stage.kube().objects("ReplicaSet", "shop").len(), 2, "no third ReplicaSet");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_still_means_what_runs_is_put_back_as_it_was() {
    let stage = running("ECR:v1", json!({})).await.ships("crash");
    stage.sandbox.world(|world| world.image("web", "v1", &Stage::old_image()));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: v1 serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:v1, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_no_node_tells_is_not_told_to_be_checked() {
    let stage = Stage::new().await.ships("crash");
    let (kube, old) = (stage.kube(), Stage::old_image().digest());
    kube.node("ip-10-0-1-12", "amd64");
    let fake = json!({ "metadata": { "annotations": { "kwok.x-k8s.io/node": "fake" } } });
    kube.write("admin", "Node", "", "ip-10-0-1-12", &fake).unwrap();
    let notes = json!({ "metadata": { "annotations": Stage::shipped(OLD, &old, 4710) } });
    let image = stage.reference(OLD, &old);
    kube.deployment("shop", "web", "app", &image, 3).with(notes).revision(17).seed();
    let told = stage.run("ship").await;
    let now = told.err.lines().find(|line| line.starts_with("  now:"));
    assert_eq!(now, Some("  now:  rolled back: 3f2a91c serves, 3/3 ready"));
    assert_eq!(told.exit, 5);
}

/// A workload whose image is an index of two platforms, on nodes whose runtime (CRI-O) reports the
/// manifest that the index led to; under slipway's annotations, or a tag that nobody pinned.
async fn on_cri_o(pinned: bool) -> Stage {
    let index = Stage::old_image().platform("linux/arm64");
    let (root, child) = (index.digest(), index.manifests()[0].clone());
    let stage = Stage::new().await.ships("crash").input("allow", "SW-COMMIT-UNKNOWN");
    stage.sandbox.world(|world| {
        world.image("web", if pinned { OLD } else { "v1" }, &index);
        let held = world.repositories.get_mut("web").unwrap();
        held.tags.retain(|tag, digest| tag != OLD || *digest == root);
    });
    let kube = stage.kube();
    kube.node("ip-10-0-1-12", "amd64");
    kube.node("ip-10-0-2-7", "amd64");
    kube.script(|image| !image.contains(NEW), Play::Recording("good"));
    let (of, tagged) = (root.clone(), root.clone());
    kube.resolver(move |_| Some(tagged.clone()));
    kube.reporter(move |digest| (digest == of).then(|| child.clone()));
    let image = if pinned {
        stage.reference(OLD, &root)
    } else {
        format!("{}:v1", stage.sandbox.world(|world| world.repository_uri("web")))
    };
    let notes = json!({ "metadata": { "annotations": Stage::shipped(OLD, &root, 4710) } });
    kube.deployment("shop", "web", "app", &image, 3).with(notes).revision(17).seed();
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_index_whose_pods_report_a_manifest_of_it_is_put_back_and_known() {
    let stage = on_cri_o(true).await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:b1dd0c7160c7, 3 updated, 3 ready");
    assert_eq!(stage.note("commit").as_deref(), Some(OLD));
    assert_eq!(told.exit, 5);
    let status =
        stage.run_with("status", &[("commit", ""), ("image", ""), ("allow", "")], &[]).await;
    insta::assert_snapshot!(status.out, @"
    shop/web in prod
      serves   3f2a91c  sha256:b1dd0c7160c7  linux/amd64  3/3 ready, 0 restarts
      shipped  2026-11-20 17:02 UTC by run 4710
      restore  nothing: no earlier healthy commit is known
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tagged_index_whose_pods_report_a_manifest_of_it_is_put_back_and_known() {
    let stage = on_cri_o(false).await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:v1, 3 updated, 3 ready");
    assert_eq!(stage.note("commit").as_deref(), Some(OLD));
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_goes_back_to_the_digest_that_ran() {
    let stage = running("ECR:latest", json!({})).await.ships("crash");
    stage.sandbox.world(|world| {
        world.image("web", "latest", &slipway_sandbox::Image::new("linux/amd64", "moved"))
    });
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: sha256:17d4954971da serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_registry_is_put_back_as_it_was() {
    let stage = running("nginx:1.24.0", json!({})).await.ships("crash").input("container", "app");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: nginx:1.24.0 serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"nginx:1.24.0, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_rollout_the_last_whole_revision_is_put_back() {
    let stage = crashing().await;
    let kube = stage.kube();
    let broken = stage.reference("broken", &format!("sha256:{}", "b".repeat(64)));
    kube.script(|image| image.contains(":broken@"), Play::Recording("crash"));
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": broken }] } } } });
    kube.write("kubectl-set", "Deployment", "shop", "web", &patch).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.blocks(), @r#"
    warning[SW-WORKLOAD-UNHEALTHY]: `shop/web` is not whole now: revision 17 still has 3 pods
      next: nothing: a rollback would restore the last revision that was
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 18 -> 19
    watch
    evidence: web-@HASH@-@POD@, previous container, last lines
    | boom: cannot connect to db
    restore  @s  3f2a91c serves again, 3/3 ready
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_healthy_to_go_back_to_the_new_image_stays() {
    let stage = running("ECR:v1", recreate()).await.ships("crash");
    let kube = stage.kube();
    let broken = stage.reference("broken", &format!("sha256:{}", "b".repeat(64)));
    kube.script(|image| image.contains(":broken@"), Play::Recording("crash"));
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": broken }] } } } });
    kube.write("kubectl-set", "Deployment", "shop", "web", &patch).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(800)).await;
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.blocks(), @r#"
    warning[SW-WORKLOAD-UNHEALTHY]: `shop/web` is not healthy now: 0 of 3 pods of revision 18 are ready
      next: nothing: there is no healthy revision, so a failure would not be rolled back
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 18 -> 19
    watch
    evidence: web-@HASH@-@POD@, previous container, last lines
    | boom: cannot connect to db
    error[SW-RESTORE-NONE]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), no earlier revision was healthy
      why:  9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  9f2c1e4 is set, 0/3 new, 0 old ready: nothing serves
      next: push a fix
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 0 ready");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_left_ecr_is_put_back_while_its_pods_serve_but_a_person_is_needed() {
    let stage = crashing().await;
    forget_old(&stage);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.blocks(), @r#"
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17 -> 18
    watch
    evidence: web-@HASH@-@POD@, previous container, last lines
    | boom: cannot connect to db
    restore  @s  3f2a91c serves again, 3/3 ready
    error[SW-RESTORE-GONE]: `shop/web` was rolled back, but 3f2a91c left ECR: 9f2c1e4 fails (SW-CRASH-EXIT)
      why:  BatchGetImage: ImageNotFound for sha256:17d4954971da
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  3f2a91c serves, 3/3 ready: these pods cannot move, no node can pull their image
      next: a person is needed: push a fix before these pods have to move to another node
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_recreate_the_old_image_is_started_again() {
    let digest = Stage::old_image().digest();
    let notes = json!({ "metadata": { "annotations": Stage::shipped(OLD, &digest, 4710) } });
    let mut patch = recreate();
    patch["metadata"] = notes["metadata"].clone();
    let stage = running(&format!("ECR:{OLD}@{digest}"), patch)
        .await
        .ships("crash")
        .input("allow", "SW-COMMIT-UNKNOWN");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_recreate_an_image_that_left_ecr_leaves_nothing_that_serves() {
    let digest = Stage::old_image().digest();
    let stage = running(&format!("ECR:{OLD}@{digest}"), recreate())
        .await
        .ships("crash")
        .input("timeout", "3s");
    stage.kube().script(move |image| image.ends_with(&digest), Play::Recording("tag-not-found"));
    forget_old(&stage);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-RESTORE-GONE]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), 3f2a91c left ECR
      why:  3f2a91c: image `web:3f2a91c` is not in ECR `web`
            kubelet on @NODE@: "...to resolve image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc: not found"
            BatchGetImage: ImageNotFound for sha256:17d4954971da
            strategy Recreate had ended its pods
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  3f2a91c is set, 0/3 ready: nothing serves
      next: a person is needed: slipway status, then push a fix
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 0 ready");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_does_not_become_ready_is_told_with_both_causes() {
    let digest = Stage::old_image().digest();
    let stage = running(&format!("ECR:{OLD}@{digest}"), recreate())
        .await
        .ships("crash")
        .input("timeout", "3s");
    stage.kube().script(move |image| image.ends_with(&digest), Play::Recording("missing-secret"));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-RESTORE-FAILED]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), 3f2a91c did not become ready again
      why:  3f2a91c: Secret `missing` does not exist in `shop`
            kubelet on @NODE@: "secret "missing" not found"
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  3f2a91c is set, 0/3 ready: nothing serves
      next: a person is needed: slipway status, then push a fix
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 0 ready");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_the_cluster_refuses_is_told_with_what_is_set() {
    let stage = crashing().await;
    let mut going = stage.start("ship");
    going.until("deploy ").await;
    stage.kube().deny("patch", "deployments");
    let told = going.end(&stage).await;
    insta::assert_snapshot!(told.ending(), @r#"
    error[SW-RESTORE-FAILED]: `shop/web` was not rolled back: 9f2c1e4 fails (SW-CRASH-EXIT), user `demo` may not patch deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden: User "arn:aws:iam::123456789012:user/demo" cannot patch resource "deployments" in API group "apps" in the namespace "shop""
            9f2c1e4: container `app` exits with code 3
            its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  9f2c1e4 is set, 0/3 new, 3 old ready
      next: a person is needed: slipway status, then push a fix
    "#);
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    assert_eq!(told.exit, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_image_failed_ships_again_only_on_purpose() {
    let stage = crashing().await;
    assert_eq!(stage.run("ship").await.exit, 5);
    let again = stage.run("ship").await;
    insta::assert_snapshot!(again.ending(), @"
    error[SW-IMAGE-WITHDRAWN]: nothing was written: 9f2c1e4 was rolled back here before
      why:  it ended with SW-CRASH-EXIT; the workload's annotations say so
      now:  3f2a91c serves, 3/3 ready
      next: push a fix; the same image ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    assert_eq!(again.exit, 3);
    let digest = Stage::new_image().digest();
    stage.kube().script(move |image| image.ends_with(&digest), Play::Recording("good"));
    let allowed = stage.input("allow", "SW-IMAGE-WITHDRAWN, SW-COMMIT-UNKNOWN");
    let told = allowed.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_failed_for_what_is_around_it_ships_again_as_it_is() {
    let stage = crashing().await.input("timeout", "4s");
    let digest = Stage::new_image().digest();
    let ours = digest.clone();
    stage.kube().script(move |image| image.ends_with(&ours), Play::Recording("missing-secret"));
    assert_eq!(stage.run("ship").await.exit, 5);
    stage.kube().script(move |image| image.ends_with(&digest), Play::Recording("good"));
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.ending(), @"shipped 9f2c1e4 to shop/web in @s");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_on_purpose_withdraws_the_commit_and_newer_ones_ship() {
    let stage = Stage::new().await.serving().ships("good").input("allow", "SW-COMMIT-UNKNOWN");
    assert_eq!(stage.run("ship").await.exit, 0);
    let told = back(&stage, "3f2a91c", "").await;
    insta::assert_snapshot!(told.talk(), @"
    slipway 0.1.0: rollback to 3f2a91c of shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    survey   @s  24 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:3f2a91c is in ECR: sha256:17d4954971da
      platform  linux/amd64: both nodes its pods can land on
      change    container `app`: 9f2c1e4 -> 3f2a91c, and slipway's own annotations
      restore   9f2c1e4 sha256:406c22a70f42: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 18 -> 19
    watch
      +@s   baked 1s: 0 restarts, 3/3 pods run sha256:17d4954971da
    shop/web is back at 3f2a91c in @s; 9f2c1e4 is withdrawn, newer commits ship as usual
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    insta::assert_snapshot!(stage.note("commit").unwrap_or_default(), @"3f2a91c000000000000000000000000000000000");
    let history: Value = serde_json::from_str(&stage.note("history").unwrap()).unwrap();
    let fates: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", &entry["commit"].as_str().unwrap()[..7], entry["fate"]))
        .collect();
    insta::assert_snapshot!(fates.join("\n"), @r#"
    3f2a91c "healthy"
    9f2c1e4 {"withdrawn":"by hand"}
    3f2a91c "healthy"
    "#);
    assert_eq!(told.exit, 0);
    let again = stage.run("ship").await;
    insta::assert_snapshot!(again.ending(), @"
    error[SW-IMAGE-WITHDRAWN]: nothing was written: 9f2c1e4 was rolled back here before
      why:  a person took it back; the workload's annotations say so
      now:  3f2a91c serves, 3/3 ready
      next: push a fix; the same image ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    assert_eq!(again.exit, 3);
    slipway_sandbox::Image::new("linux/amd64", "newer")
        .layout(&stage.folder.path().join("newer"))
        .unwrap();
    let newer = stage.run_with("ship", &[("commit", NEWER), ("image", "newer")], &[]).await;
    insta::assert_snapshot!(newer.ending(), @"shipped c77d0be to shop/web in @s");
    assert_eq!(newer.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_a_commit_that_failed_is_refused() {
    let stage = crashing().await;
    assert_eq!(stage.run("ship").await.exit, 5);
    let told = back(&stage, "9f2c1e4", "").await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-IMAGE-WITHDRAWN]: nothing was written: 9f2c1e4 was rolled back here before
      why:  it ended with SW-CRASH-EXIT; the workload's annotations say so
      now:  3f2a91c serves, 3/3 ready
      next: push a fix; the same image ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    assert_eq!(told.exit, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn going_back_to_what_ecr_lost_or_never_had_is_refused() {
    let stage = Stage::new().await.serving().ships("good").input("allow", "SW-COMMIT-UNKNOWN");
    assert_eq!(stage.run("ship").await.exit, 0);
    let writes = stage.writes().len();
    let unknown = back(&stage, "77ac012", "").await;
    insta::assert_snapshot!(unknown.ending(), @"
    error[SW-IMAGE-GONE]: nothing was written: no commit 77ac012 is known here
      why:  the workload's history has no such commit, or several
      now:  9f2c1e4 serves, 3/3 ready
      next: slipway history; any commit with a tag in ECR can be given with all of its 40 digits
    ");
    let short = back(&stage, "3f2a", "").await;
    insta::assert_snapshot!(short.ending(), @r#"
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `to` is "3f2a": a commit is 7 to 40 hex digits
      now:  not looked at
      next: correct them on the command line, or in the environment
    "#);
    forget_old(&stage);
    let gone = back(&stage, OLD, "").await;
    insta::assert_snapshot!(gone.ending(), @"
    error[SW-IMAGE-GONE]: nothing was written: 3f2a91c is no longer in ECR `web`
      why:  no image under its tag; a lifecycle policy may have expired it
      now:  9f2c1e4 serves, 3/3 ready
      next: slipway history shows which commits ECR still has
    ");
    assert_eq!((unknown.exit, short.exit, gone.exit), (3, 2, 3));
    assert_eq!(stage.writes().len(), writes, "nothing was written");
    assert!(stage.serves().contains(&NEW[..7]));
}
