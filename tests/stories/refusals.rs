//! What speaks against a write, told before anything is written: the workload's own state, who else
//! sets it, what failed here before, names that are nobody's.

use serde_json::json;

use crate::stage::{NEW, OLD, Stage};

/// Ships, and checks that nothing was written and the old commit serves.
async fn refused(stage: &Stage) -> String {
    let told = stage.run("ship").await;
    assert_eq!(stage.writes(), [""; 0], "{}", told.err);
    told.refusal()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_serves_already_is_unchanged_and_nothing_is_written() {
    let stage = Stage::new().await.serving().input("commit", OLD);
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.talk(), @"
    slipway 0.1.0: ship 3f2a91c to shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    survey   @s  24 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:3f2a91c is in ECR: sha256:17d4954971da
      platform  linux/amd64: both nodes its pods can land on
      change    none: container `app` already runs 3f2a91c
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    unchanged: 3f2a91c already serves in shop/web, 3/3 ready
    ");
    assert_eq!((told.exit, stage.writes()), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_workload_is_refused() {
    let stage = Stage::new().await.serving().ships("good");
    let stage = stage.written_by("kubectl", &json!({ "spec": { "paused": true } }));
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-WORKLOAD-PAUSED]: nothing was written: `shop/web` is paused, no pod would change
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop rollout resume deployment/web
    ");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helm_release_is_warned_of_in_the_plan_of_a_paused_workload() {
    let stage = Stage::new().await.serving().ships("good");
    let helm = json!({ "metadata": { "annotations": { "meta.helm.sh/release-name": "web" } } });
    let stage = stage.written_by("helm", &helm);
    let stage = stage.written_by("kubectl", &json!({ "spec": { "paused": true } }));
    insta::assert_snapshot!(stage.run("plan").await.refusal(), @"
    -> 3
    warning[SW-WORKLOAD-OWNED]: Helm release `web` sets this image too; its next upgrade puts its own back
      why:  the Deployment's own metadata says so
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-WORKLOAD-PAUSED]: nothing would be written: `shop/web` is paused, no pod would change
      now:  3f2a91c serves, 3/3 ready
      next: kubectl -n shop rollout resume deployment/web
    ");
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_argo_cd_owns_is_refused_until_it_is_allowed() {
    let stage = Stage::new().await.serving().ships("good");
    let id = "shop:apps/Deployment:shop/web";
    let argo = json!({ "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": id } } });
    let stage = stage.written_by("argocd-controller", &argo);
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-WORKLOAD-OWNED]: nothing was written: Argo CD application `shop` sets this image too; its next sync puts its own back
      why:  the Deployment's own metadata says so
      now:  3f2a91c serves, 3/3 ready
      next: change the image where it is kept, or `allow: SW-WORKLOAD-OWNED`
    ");
    let stage = stage.input("allow", "SW-WORKLOAD-OWNED").input("bake", "0s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.refusal(), @"
    -> 0
    warning[SW-WORKLOAD-OWNED]: Argo CD application `shop` sets this image too; its next sync puts its own back
      why:  the Deployment's own metadata says so
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17 -> 18
    watch
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gitops_field_manager_is_an_owner_without_any_label() {
    let stage = Stage::new().await;
    stage.kube().node("ip-10-0-1-12", "amd64");
    let image = stage.reference(OLD, &Stage::old_image().digest());
    stage.kube().deployment("shop", "web", "app", &image, 3).by("kustomize-controller").seed();
    let stage = stage.ships("good");
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-WORKLOAD-OWNED]: nothing was written: field manager `kustomize-controller` sets this image too and puts its own back by itself
      why:  the Deployment's own metadata says so
      now:  3f2a91c serves, 3/3 ready
      next: change the image where it is kept, or `allow: SW-WORKLOAD-OWNED`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_scaled_to_nothing_is_said_and_nothing_is_proven() {
    let stage = Stage::new().await;
    stage.kube().node("ip-10-0-1-12", "amd64");
    let image = stage.reference(OLD, &Stage::old_image().digest());
    stage.kube().deployment("shop", "web", "app", &image, 0).by("slipway").seed();
    let stage = stage.ships("good").input("bake", "0s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.talk(), @"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    survey   @s  24 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   nothing: no revision is healthy
      watch     20s at most
    notice[SW-WORKLOAD-SCALED]: `shop/web` asks for 0 replicas: nothing will run, so nothing is proven
      next: kubectl -n shop scale deployment/web --replicas=1
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 1 -> 2
    watch
      +@s   0/0 new, baking
    shipped 9f2c1e4 to shop/web in @s
    ");
    assert_eq!(told.exit, 0);
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 0 updated, 0 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_are_not_ready_before_are_said_before() {
    let stage = Stage::new().await.serving().ships("good");
    for mut pod in stage.kube().objects("Pod", "shop") {
        for condition in pod["status"]["conditions"].as_array_mut().unwrap() {
            condition["status"] = "False".into();
        }
        pod["status"]["containerStatuses"][0]["ready"] = false.into();
        stage.kube().seed(pod);
    }
    let told = stage.run("plan").await;
    insta::assert_snapshot!(format!("{}{}", told.out, told.words()), @"
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: both nodes its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   nothing: no revision is healthy
      watch     20s at most, then 1s without a restart
    -> 0
    warning[SW-WORKLOAD-UNHEALTHY]: `shop/web` is not healthy now: 0/3 ready
      next: nothing: there is no healthy revision, so a failure would not be rolled back
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    ");
    assert_eq!((told.exit, stage.writes()), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_was_rolled_back_ships_again_only_on_purpose() {
    let stage = Stage::new().await.serving().ships("crash");
    let first = stage.run("ship").await;
    assert_eq!(first.exit, 5, "{}", first.err);
    let before = stage.writes().len();
    let again = stage.run("ship").await;
    insta::assert_snapshot!(again.refusal(), @"
    -> 3
    error[SW-IMAGE-WITHDRAWN]: nothing was written: 9f2c1e4 was rolled back here before
      why:  it ended with SW-CRASH-EXIT; the workload's annotations say so
      now:  3f2a91c serves, 3/3 ready
      next: push a fix; the same image ships again only with `allow: SW-IMAGE-WITHDRAWN`
    ");
    assert_eq!(stage.writes().len(), before);
    let stage = stage.input("allow", "SW-IMAGE-WITHDRAWN").input("bake", "0s").ships("good");
    let allowed = stage.run("ship").await;
    insta::assert_snapshot!(allowed.refusal(), @"
    -> 0
    warning[SW-IMAGE-WITHDRAWN]: 9f2c1e4 was rolled back here before
      why:  it ended with SW-CRASH-EXIT; the workload's annotations say so
      next: nothing: it is allowed
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 19 -> 20
    watch
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_nobodys_are_told_with_the_nearest_that_is() {
    let wrong = [
        ("cluster", "prdo"),
        ("namespace", "shpo"),
        ("workload", "deployment/wbe"),
        ("workload", "statefulset/web"),
        ("container", "ap"),
        ("repository", "wbe"),
    ];
    let mut all = String::new();
    for (name, value) in wrong {
        let stage = Stage::new().await.serving().ships("good").input(name, value);
        all += &format!("{name}: {value} {}\n", refused(&stage).await);
    }
    insta::assert_snapshot!(all, @"
    cluster: prdo -> 3
    error[SW-EKS-MISSING]: nothing was written: EKS has no cluster `prdo` in ap-northeast-2
      why:  there are `prod`
      now:  not visible
      next: set `cluster: prod`

    namespace: shpo -> 3
    error[SW-WORKLOAD-MISSING]: nothing was written: `prod` has no Deployment `web` in `shpo`
      why:  namespace `shpo` has none, or is not there
      now:  not visible
      next: kubectl get deployments --all-namespaces

    workload: deployment/wbe -> 3
    error[SW-WORKLOAD-MISSING]: nothing was written: `prod` has no Deployment `wbe` in `shop`
      why:  it has `web`
      now:  not visible
      next: `workload: deployment/web`, if that is meant

    workload: statefulset/web -> 3
    error[SW-WORKLOAD-KIND]: nothing was written: `statefulset/web` is no Deployment
      why:  only a Deployment is watched to its end and rolled back as a whole
      now:  not looked at
      next: name one: `workload: deployment/NAME`

    container: ap -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing was written: `shop/web` has no container `ap`
      why:  `app` runs 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc
      now:  3f2a91c serves, 3/3 ready
      next: set `container: app`

    repository: wbe -> 3
    error[SW-ECR-MISSING]: nothing was written: ECR has no repository `wbe` in ap-northeast-2
      why:  the nearest that is there: `web`
      now:  3f2a91c serves, 3/3 ready
      next: set `repository: web`, or aws ecr create-repository --region ap-northeast-2 --image-tag-mutability IMMUTABLE --repository-name wbe
            or `create-repository: true`: immutable tags, scan on push
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_containers_of_one_repository_both_get_the_image() {
    let stage = Stage::new().await;
    let image = stage.reference(OLD, &Stage::old_image().digest());
    stage.kube().node("ip-10-0-1-12", "amd64");
    let web = stage.kube().deployment("shop", "web", "app", &image, 3).by("slipway");
    web.container("worker", &image).container("proxy", "envoyproxy/envoy:v1.30").seed();
    let stage = stage.ships("good");
    let told = stage.run("plan").await;
    insta::assert_snapshot!(format!("{}{}", told.out, told.words()), @"
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: the one node its pods can land on
      change    containers `app`, `worker`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    -> 0
    ");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_of_another_image_altogether_is_refused() {
    let stage = Stage::new().await;
    stage.kube().node("ip-10-0-1-12", "amd64");
    stage.kube().deployment("shop", "web", "app", "nginx:1.24.0", 3).seed();
    let stage = stage.ships("good");
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing was written: no container of `shop/web` runs an image of `123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web`
      why:  `app` runs nginx:1.24.0
      now:  nginx:1.24.0 serves, 3/3 ready
      next: `container: app`, if its image is to be replaced
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_speaks_against_a_write_is_told_at_once() {
    let stage = Stage::new().await.serving().layout(&crate::stories::platform::arm());
    let both = json!({
        "metadata": { "annotations": { "argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web" } },
        "spec": { "paused": true },
    });
    let stage = stage.written_by("kubectl", &both).input("commit", NEW);
    insta::assert_snapshot!(refused(&stage).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-WORKLOAD-PAUSED]: nothing was written: `shop/web` is paused, no pod would change
      next: kubectl -n shop rollout resume deployment/web
    error[SW-WORKLOAD-OWNED]: nothing was written: Argo CD application `shop` sets this image too; its next sync puts its own back
      why:  the Deployment's own metadata says so
      next: change the image where it is kept, or `allow: SW-WORKLOAD-OWNED`
    error[SW-PLATFORM-MISSING]: nothing was written: image `image` cannot run on these nodes
      why:  it is linux/arm64; its pods can land on ip-10-0-1-12, ip-10-0-2-7, both linux/amd64
      now:  3f2a91c serves, 3/3 ready
      next: docker buildx build --platform linux/amd64 --output type=oci,tar=false,dest=image .
    ");
}
