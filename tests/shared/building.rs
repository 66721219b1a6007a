//! Commits that are built from their Dockerfile by the engine that is there, and those that are not.

use crate::scene::{SERVES, Scene, WAITS};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_built_shipped_and_then_unchanged() {
    let mut scene = Scene::serving().await.engine().await.builds(SERVES);
    let told = scene.run("ship").await;
    scene.names_what_was_built();
    insta::assert_snapshot!(scene.talk(&told), @r#"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    survey   @s  26 reads, nothing written
    plan
      who       user ship by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: build ./app/Dockerfile
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c @OLD@: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    build: ./app/Dockerfile for linux/amd64
    | #1 [internal] load build definition from Dockerfile
    | #2 [internal] load .dockerignore
    | #3 [internal] load build context
    | #4 [1/3] COPY busybox /bin/busybox
    | #5 [2/3] RUN ["/bin/busybox", "mkdir", "-p", "/www"]
    | #6 [3/3] COPY page /www/index.html
    | #7 exporting to image
    build    @s  linux/amd64, @ B
    push     @s  @NEW@, 3 layers new, by the engine
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation @ -> @
    watch
      +@s   baked 1s: 0 restarts, 3/3 pods run @NEW@
    shipped 9f2c1e4 to shop/web in @s
    "#);
    assert_eq!(told.exit, 0);
    let again = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&again), @"
    unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_recipe_under_the_same_commit_is_not_the_image_that_was_built() {
    let scene = Scene::serving().await.engine().await.builds(SERVES);
    let mut scene = scene.input("labels", "team=web");
    assert_eq!(scene.run("ship").await.exit, 0);
    scene.names_what_was_built();
    let scene = scene.input("labels", "team=shop\ntier=1");
    let other = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&other), @"
    notice[SW-IMAGE-RECIPE]: tag 9f2c1e4 holds an image with other labels, which is taken as it is
      why:  label `team` differs
            it was built without label `tier`
      next: ship a new commit, if it needs the labels of this run
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    let scene = scene.input("labels", "");
    let scene = scene.input("build-args", "VERSION=2");
    let other = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&other), @"
    error[SW-IMAGE-RECIPE]: nothing was written: tag 9f2c1e4 holds an image of another recipe
      why:  it was built without build arg `VERSION`
      now:  9f2c1e4 serves, 3/3 ready
      next: ship a new commit, or `allow: SW-IMAGE-RECIPE` if it is the right image all the same
    -> 3
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_builds_nothing() {
    let scene = Scene::serving().await.engine().await.builds(SERVES);
    let told = scene.run("plan").await;
    insta::assert_snapshot!(scene.called(&told.out), @"
    plan
      who       user ship by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: build ./app/Dockerfile
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c @OLD@: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    ");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_told_with_what_it_wrote() {
    let step = r#"RUN ["/bin/busybox", "sh", "-c", "echo compiling >&2; echo 'error: no such module' >&2; exit 1"]"#;
    let scene = Scene::serving().await.engine().await.builds_with(step);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.talk(&told), @r#"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    survey   @s  26 reads, nothing written
    plan
      who       user ship by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: build ./app/Dockerfile
      platform  linux/amd64: the one node its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c @OLD@: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    build: ./app/Dockerfile for linux/amd64
    | #1 [internal] load build definition from Dockerfile
    | #2 [internal] load .dockerignore
    | #3 [internal] load build context
    | #4 [1/4] COPY busybox /bin/busybox
    | #5 [2/4] RUN ["/bin/busybox", "mkdir", "-p", "/www"]
    | #6 [3/4] RUN ["/bin/busybox", "sh", "-c", "echo compiling >&2; echo 'error: no such module' >&2; exit 1"]  failed
    | #6 compiling
    | #6 error: no such module
    error[SW-BUILD-STEP]: nothing was deployed: step 3/4 of `Dockerfile` exits with code 1
      why:  `Dockerfile` line 4: "RUN ["/bin/busybox", "sh", "-c", "echo compiling >&2; echo 'error: no such module' >&2; exit 1"]"
            its last 2 lines:
            "compiling"
            "error: no such module"
      now:  3f2a91c serves, 3/3 ready
      next: correct line 4 of `Dockerfile`, or what it runs
    "#);
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-BUILD-STEP]: nothing was deployed: step 3/4 of `Dockerfile` exits with code 1
      why:  `Dockerfile` line 4: "RUN ["/bin/busybox", "sh", "-c", "echo compiling >&2; echo 'error: no such module' >&2; exit 1"]"
            its last 2 lines:
            "compiling"
            "error: no such module"
      now:  3f2a91c serves, 3/3 ready
      next: correct line 4 of `Dockerfile`, or what it runs
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
    assert_eq!(told.exit, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_writes_much_is_told_by_its_last_lines() {
    let step = r#"RUN ["/bin/busybox", "sh", "-c", "seq 1 300; exit 1"]"#;
    let scene = Scene::serving().await.engine().await.builds_with(step);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-BUILD-STEP]: nothing was deployed: step 3/4 of `Dockerfile` exits with code 1
      why:  `Dockerfile` line 4: "RUN ["/bin/busybox", "sh", "-c", "seq 1 300; exit 1"]"
            its last 5 lines:
            "296"
            "297"
            "298"
            "299"
            "300"
      now:  3f2a91c serves, 3/3 ready
      next: correct line 4 of `Dockerfile`, or what it runs
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
    // All of it is in the log: what failed first may stand far up.
    let lines = told.err.lines().filter_map(|line| line.strip_prefix("| #")?.split_once(' '));
    let wrote: Vec<u32> = lines.filter_map(|(_, text)| text.parse().ok()).collect();
    assert_eq!(wrote, (1..=300).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_in_the_context_is_named() {
    let scene = Scene::serving().await.engine().await.builds_with("COPY dist/app /app");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-BUILD-CONTEXT]: nothing was deployed: step 3/4 of `Dockerfile` finds no `dist/app` in the context
      why:  `Dockerfile` line 4: "COPY dist/app /app"
            the context is `./app`, which has no folder `dist`
      now:  3f2a91c serves, 3/3 ready
      next: correct the path, which begins at the context, or make `dist/app` before the build
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_that_is_none_is_told_by_its_line() {
    let scene = Scene::serving().await.engine().await.builds_with("COPPY page /page");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-BUILD-FILE]: nothing was deployed: `Dockerfile` line 4 cannot be used
      why:  `Dockerfile` line 4: "COPPY page /page"
            the builder: "unknown instruction: COPPY (did you mean COPY?)"
      now:  3f2a91c serves, 3/3 ready
      next: correct line 4 of `Dockerfile`
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
    let scene = scene.builds_with("COPY page");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-BUILD-FILE]: nothing was deployed: `Dockerfile` line 4 cannot be used
      why:  `Dockerfile` line 4: "COPY page"
            the builder: "COPY requires at least two arguments, but only one was provided. Destination could not be determined"
      now:  3f2a91c serves, 3/3 ready
      next: correct line 4 of `Dockerfile`
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_that_is_not_there_is_told() {
    let scene = Scene::serving().await.engine().await.builds(SERVES).input("target", "release");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-BUILD-FILE]: nothing was written: `./app/Dockerfile` has no stage `release`
      why:  none of its stages has a name: `FROM … AS NAME` gives one
      now:  3f2a91c serves, 3/3 ready
      next: correct `target`, or leave it out for the last stage
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_image_that_cannot_be_had_is_told() {
    let file = SERVES.replace("FROM scratch", "FROM 127.0.0.1:9/team/base:1.2");
    let scene = Scene::serving().await.engine().await.builds(&file);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-BUILD-BASE]: nothing was deployed: base image `127.0.0.1:9/team/base:1.2` cannot be pulled
      why:  `Dockerfile` line 1: "FROM 127.0.0.1:9/team/base:1.2"
            the engine did not reach 127.0.0.1:9
            the builder: "failed to do request: Head "https://127.0.0.1:9/v2/team/base/manifests/1.2": dial tcp 127.0.0.1:9: connect: connection refused"
      now:  3f2a91c serves, 3/3 ready
      next: let the engine's machine reach 127.0.0.1:9, or name another registry in FROM
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

const NEEDS_TOKEN: &str = r#"RUN --mount=type=secret,id=token ["/bin/busybox", "sh", "-c", "test -s /run/secrets/token"]"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_given_to_its_step_alone() {
    let mut scene = Scene::serving().await.engine().await.builds_with(NEEDS_TOKEN);
    scene = scene.variable("TOKEN", "tok-0123456789").input("build-secrets", "token=TOKEN");
    let told = scene.run("ship").await;
    scene.names_what_was_built();
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    assert!(!told.err.contains("tok-0123456789"), "{}", told.err);
    scene.is_nowhere_in_the_image("tok-0123456789");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_given_is_told() {
    let step = NEEDS_TOKEN.replace("id=token", "id=token,required=true");
    let scene = Scene::serving().await.engine().await.builds_with(&step);
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-BUILD-STEP]: nothing was written: a step needs the secret `token`, which is not given
      why:  `./app/Dockerfile` line 4 mounts it as required
      now:  3f2a91c serves, 3/3 ready
      next: give `build-secrets: token=VARIABLE`, and set that variable
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
    let scene = scene.input("build-secrets", "token=TOKEN");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-BUILD-STEP]: nothing was written: the secret `token` has no value
      why:  what `build-secrets` names for it is no variable of this step that has a value
      now:  3f2a91c serves, 3/3 ready
      next: `build-secrets: token=VARIABLE`, and VARIABLE in the step's `env:`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_no_step_asks_for_is_a_slip() {
    let step = r#"RUN --mount=type=secret,id=npm_token ["/bin/busybox", "true"]"#;
    let scene = Scene::serving().await.engine().await.builds_with(step);
    let scene =
        scene.variable("NPM_TOKEN", "s3cret-of-npm").input("build-secrets", "npm=NPM_TOKEN");
    let told = scene.run("plan").await;
    insta::assert_snapshot!(scene.called(&told.err), @"
    slipway 0.1.0: plan 9f2c1e4 for shop/web in prod
    survey   @s  26 reads, nothing written
    notice[SW-BUILD-FILE]: secret `npm` is mounted by no step of `./app/Dockerfile`
      next: `RUN --mount=type=secret,id=npm`, or leave it out of `build-secrets`
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    ");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_leave_with_the_context_is_refused() {
    let body = "MIIEowIBAAKCAQEAx4UbaDzY5xjW6hc9jwN0mX33XpTDVW8WqKfhIykQ2LwQbC1v\n".repeat(24);
    let (begin, end) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
    let key = format!("{begin} KEY-----\n{body}{end} KEY-----\n");
    let file = SERVES.replace("COPY page /www/index.html", "COPY . /www/");
    let scene = Scene::serving().await.engine().await.builds(&file).also("deploy.pem", &key);
    let scene = scene.input("forbid-secrets", "true");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-BUILD-SECRET]: nothing was written: a secret would leave with the build
      why:  `deploy.pem` line 1: a private key
      now:  3f2a91c serves, 3/3 ready
      next: add what is not needed to .dockerignore; hand a secret that is over in `build-secrets`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_an_argument_is_shown_nowhere_and_refused_before_the_build() {
    let step = "ARG NPM_TOKEN\nCOPY page /www/$NPM_TOKEN";
    let scene = Scene::serving().await.engine().await.builds_with(step);
    let token = "npm-kX8vv2Lq0zR7";
    let scene = scene.variable("NPM_TOKEN", token).input("build-args", "NPM_TOKEN");
    let forbidden = scene.run_with("ship", &[("forbid-secrets", "true")]).await;
    insta::assert_snapshot!(scene.ends(&forbidden), @"
    error[SW-BUILD-SECRET]: nothing was written: a secret would leave with the build
      why:  `build-args`: `NPM_TOKEN` has a value
      now:  3f2a91c serves, 3/3 ready
      next: give it by `build-secrets`, and mount it in the step: an image may keep its arguments
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
    let told = scene.run("ship").await;
    assert_eq!(told.exit, 0, "{}", told.err);
    let steps = told.err.lines().filter(|line| line.contains("COPY page /www/"));
    insta::assert_snapshot!(steps.collect::<Vec<_>>().join("\n"), @"
    | #6 [3/4] COPY page /www/***
    | #7 [4/4] COPY page /www/index.html
    ");
    assert!(!format!("{}{}", told.out, told.err).contains(token));
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_nothing_here_can_run_are_refused_in_the_plan() {
    let scene = Scene::serving().await.engine().await.builds(SERVES);
    let scene = scene.input("until", "push").input("platform", "linux/arm64");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-PLATFORM-EMULATION]: nothing was written: linux/arm64 cannot be built here: a step has to run its programs
      why:  `./app/Dockerfile` line 3: "RUN ["/bin/busybox", "mkdir", "-p", "/www"]"; Docker Engine 28.5.2+dfsg4 runs linux/amd64, linux/386
      now:  not looked at
      next: a native runner: `until: push` with `platform: linux/arm64` there, then `command: index`
            or emulation, which is slow: docker/setup-qemu-action before this step
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_is_cancelled_goes_on_nowhere() {
    let step = format!(r#"RUN ["/bin/busybox", "sh", "-c", "{WAITS}"]"#);
    let scene = Scene::serving().await.engine().await.builds_with(&step);
    let going = scene.start("ship");
    scene.waits().await;
    going.signal("INT").await;
    let told = scene.end(going).await;
    scene.nothing_is_built().await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-RUN-CANCELLED]: nothing was deployed: cancelled before the patch
      why:  SIGINT (job cancelled, or Ctrl-C)
      now:  3f2a91c serves, 3/3 ready
      next: run again
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_goes_away_in_a_build_is_told() {
    let step = format!(r#"RUN ["/bin/busybox", "sh", "-c", "{WAITS}"]"#);
    let scene = Scene::serving().await.engine().await.builds_with(&step);
    let going = scene.start("ship");
    scene.waits().await;
    scene.engine_goes();
    let told = scene.end(going).await;
    // How a connection ends, and what was heard before, is chance.
    let whole = scene.ends(&told);
    let is_chance = |line: &&str| line.starts_with("  why:") || line.starts_with("        ");
    let ends: Vec<_> = whole.lines().filter(|line| !is_chance(line)).collect();
    insta::assert_snapshot!(ends.join("\n"), @"
    error[SW-BUILD-ENGINE]: nothing was deployed: the engine ended the build before it was done
      now:  3f2a91c serves, 3/3 ready
      next: look why the engine stopped: journalctl -u docker; then run this again
    -> 4
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_engine_there_are_three_ways_on() {
    let scene = Scene::serving().await.builds(SERVES);
    let told = scene.run("ship").await;
    let ends = scene.ends(&told).replace(&scene.engine_address(), "unix:///nowhere/docker.sock");
    insta::assert_snapshot!(ends, @"
    error[SW-BUILD-ENGINE]: nothing was written: there is no image of 9f2c1e4, and no engine answers at `unix:///nowhere/docker.sock`
      why:  ECR `web` has no tag 9f2c1e4, and `image` is empty
            No such file or directory (os error 2)
            `DOCKER_HOST` names it
      now:  3f2a91c serves, 3/3 ready
      next: build in a step before and give `image`: an OCI layout, or a file of `docker save`;
            or name a remote engine: DOCKER_HOST=tcp://HOST:2376 with DOCKER_TLS_VERIFY=1;
            or run it where a Docker Engine is, such as the runner `ubuntu-24.04`
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_native_runner_pushes_its_own_platform() {
    let scene = Scene::serving().await.engine().await.builds(SERVES);
    let scene = scene.input("until", "push").input("platform", "linux/amd64");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    pushed web:9f2c1e4-linux-amd64 in @s, no rollout was asked for
    -> 0
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}
