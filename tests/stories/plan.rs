//! The plan and the other commands that only look; JSON lines, outputs, and a stop after the push.

use serde_json::{Value, json};

use crate::stage::{NEW, OLD, Stage, Told, program};

/// Everything that is printed on a runner, without the masks: each run has secrets of its own.
fn unmasked(told: &Told) -> String {
    let lines = told.out.lines().chain(told.err.lines());
    lines.filter(|l| !l.starts_with("::add-mask::")).map(|l| format!("{l}\n")).collect()
}

/// An event file of this kind, read as GitHub hands it on.
fn event(stage: Stage, name: &str, payload: &Value) -> Stage {
    let stage = stage.holding("event.json", &payload.to_string());
    let path = stage.folder.path().join("event.json").display().to_string();
    stage.variable("GITHUB_EVENT_PATH", &path).variable("GITHUB_EVENT_NAME", name)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_prints_itself_and_writes_nothing() {
    let stage =
        Stage::new().await.serving().ships("good").on_github(11).variable("GITHUB_ACTIONS", "");
    let told = stage.run("plan").await;
    insta::assert_snapshot!(told.out, @"
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: both nodes its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    ");
    assert_eq!((told.exit, stage.writes()), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_planned_as_its_merge() {
    let stage = Stage::new().await.serving().ships("good").on_github(11);
    let pull = json!({ "number": 42, "pull_request": { "number": 42, "head": { "sha": OLD, "repo": { "full_name": "demo/web" } } } });
    let stage = event(stage, "pull_request", &pull).variable("GITHUB_SHA", NEW);
    let told = stage.run("plan").await;
    insta::assert_snapshot!(unmasked(&told), @"
    slipway 0.1.0: plan 9f2c1e4 (merge of pull request 42) for shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    override GITHUB_API_URL: http://127.0.0.1:@PORT@
    survey   @s  25 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: both nodes its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most, then 1s without a restart
    ");
    assert_eq!(told.exit, 0);
    insta::assert_snapshot!(stage.file("summary"), @"
    ### plan `9f2c1e4` for `shop/web`: nothing was written
    | | |
    |---|---|
    | who | user demo by access key, account 123456789012 |
    | image | web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB |
    | platform | linux/amd64: both nodes its pods can land on |
    | change | container `app`: 3f2a91c -&gt; 9f2c1e4, and slipway's own annotations |
    | restore | 3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR |
    | watch | 20s at most, then 1s without a restart |
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_gets_a_plan_of_what_can_be_seen() {
    let stage = Stage::new().await.serving().ships("good").on_github(11);
    let pull = json!({ "number": 42, "pull_request": { "number": 42, "head": { "sha": OLD, "repo": { "full_name": "mallory/web" } } } });
    let stage = event(stage, "pull_request", &pull).variable("GITHUB_SHA", NEW);
    let stage = stage.variable("AWS_ACCESS_KEY_ID", "").variable("AWS_SECRET_ACCESS_KEY", "");
    let told = stage.run("plan").await;
    insta::assert_snapshot!(unmasked(&told), @"
    slipway 0.1.0: plan 9f2c1e4 (merge of pull request 42) for shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    override GITHUB_API_URL: http://127.0.0.1:@PORT@
    not seen: AWS, cluster (no secrets)
    plan
      commit    9f2c1e4
      image     `image` is sha256:406c22a70f42, 2 kB, linux/amd64
      change    shop/web in prod, as far as can be said here
    ");
    assert_eq!(told.exit, 0);
    // A fork that tries to ship has no credentials, and no plan to fall back on.
    assert_eq!(stage.run("ship").await.exit, 2);
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn until_push_needs_no_cluster_and_touches_none() {
    let stage = Stage::new().await.serving().ships("good").on_github(11).input("until", "push");
    let stage = stage.input("cluster", "").input("namespace", "").input("workload", "");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(unmasked(&told), @"
    slipway 0.1.0: ship 9f2c1e4
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    override GITHUB_API_URL: http://127.0.0.1:@PORT@
    survey   @s  4 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      until     the push: no rollout
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    outputs  outcome=shipped tag=9f2c1e4... digest=sha256:406c22a70f42...
    pushed web:9f2c1e4 in @s, no rollout was asked for
    ::notice title=shipped::pushed web:9f2c1e4 in @s, no rollout was asked for
    ");
    assert_eq!((told.exit, stage.sandbox.tags("web").contains_key(NEW)), (0, true));
    insta::assert_snapshot!(stage.run("ship").await.out.lines().last().unwrap_or_default(), @"::notice title=unchanged::ECR already has web:9f2c1e4 in @s, no rollout was asked for");
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn until_push_says_of_every_failure_that_nobody_looked_at_the_cluster() {
    let mut all = String::new();
    // Refused by two reads, by the plan, by the push; with the cluster given or left out.
    let actions = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "", "ecr:InitiateLayerUpload"];
    for (action, cluster) in actions.into_iter().flat_map(|action| [(action, ""), (action, "prod")])
    {
        let stage = Stage::with(|world| {
            world.deny(action);
        })
        .await;
        let stage = stage.serving().ships("good").on_github(11).input("until", "push");
        let stage = stage.input("cluster", cluster);
        let stage = match action {
            "" => stage.input("repository", "wbe"),
            _ => stage,
        };
        let told = stage.run("ship").await.words();
        let now: Vec<_> =
            told.lines().filter(|l| l.starts_with("->") || l.contains("now:")).collect();
        all += &format!("{action} {cluster} {}\n", now.join(""));
    }
    insta::assert_snapshot!(all, @"
    ecr:GetAuthorizationToken  -> 3  now:  not looked at
    ecr:GetAuthorizationToken prod -> 3  now:  not looked at
    ecr:BatchGetImage  -> 3  now:  not looked at
    ecr:BatchGetImage prod -> 3  now:  not looked at
      -> 3  now:  not looked at
     prod -> 3  now:  not looked at
    ecr:InitiateLayerUpload  -> 4  now:  not looked at
    ecr:InitiateLayerUpload prod -> 4  now:  not looked at
    ");
}

/// JSON lines with what varies taken out.
fn lines(text: &str) -> String {
    let line = |line: &str| {
        let mut event: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let event = event.as_object_mut().unwrap();
        for name in ["at", "seconds", "took", "plan", "reads", "value", "since_patch"] {
            if event.contains_key(name) {
                event.insert(name.into(), json!("@"));
            }
        }
        Value::Object(event.clone()).to_string()
    };
    text.lines()
        .filter(|line| !line.contains(r#""event":"rollout""#))
        .map(|l| line(l) + "\n")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ship_in_json_is_one_object_a_line_and_ends_with_its_outcome() {
    let stage =
        Stage::new().await.serving().ships("good").input("json", "true").input("bake", "0s");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(lines(&told.out), @r#"
    {"v":1,"at":"@","event":"started","version":"0.1.0","command":"ship","commit":"9f2c1e4","target":"shop/web","cluster":"prod"}
    {"v":1,"at":"@","event":"overridden","name":"AWS_ENDPOINT_URL","value":"@"}
    {"v":1,"at":"@","event":"surveyed","seconds":"@","reads":"@"}
    {"v":1,"at":"@","event":"planned","rows":[["who","user demo by access key, account 123456789012"],["image","web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB"],["platform","linux/amd64: both nodes its pods can land on"],["change","container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations"],["restore","3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR"],["watch","20s at most"]]}
    {"v":1,"at":"@","event":"told","severity":"warning","code":"SW-COMMIT-UNKNOWN","what":"nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here","why":["no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago"],"now":null,"next":["nothing, if it is newer; `github-token` with `contents: read` lets the next run tell"]}
    {"v":1,"at":"@","event":"step-done","step":"push","seconds":"@","text":"sha256:406c22a70f42, 1 layer new (2 kB)"}
    {"v":1,"at":"@","event":"step-done","step":"clear","seconds":"@","text":"unchanged since the plan, dry run accepted"}
    {"v":1,"at":"@","event":"step-done","step":"deploy","seconds":"@","text":"generation 17 -> 18"}
    {"v":1,"at":"@","event":"deployed","image":"web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560","cluster":"prod","platforms":["linux/amd64"],"commit":"9f2c1e4","before":"3f2a91c","returnable":true,"revisions":[17,18]}
    {"v":1,"at":"@","event":"baked","since_patch":"@","bake":0.0,"restarts":0,"pods":3,"unseen":0,"wanted":3,"digest":"sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560"}
    {"v":1,"at":"@","event":"outcome","exit":0,"outcome":"shipped","code":null,"what":"shipped 9f2c1e4 to shop/web in @s","why":[],"now":null,"next":[],"serving":"9f2c1e4000000000000000000000000000000000","image":"123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560","platforms":["linux/amd64"]}
    "#);
    insta::assert_snapshot!(told.talk(), @"
    slipway 0.1.0: ship 9f2c1e4 to shop/web in prod
    override AWS_ENDPOINT_URL: http://127.0.0.1:@PORT@
    survey   @s  24 reads, nothing written
    plan
      who       user demo by access key, account 123456789012
      image     web:9f2c1e4 is not in ECR: push `image`, sha256:406c22a70f42, 2 kB
      platform  linux/amd64: both nodes its pods can land on
      change    container `app`: 3f2a91c -> 9f2c1e4, and slipway's own annotations
      restore   3f2a91c sha256:17d4954971da: 3/3 ready now, in ECR
      watch     20s at most
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17 -> 18
    watch
      +@s   baked 0s: 0 restarts, 3/3 pods run sha256:406c22a70f42
    shipped 9f2c1e4 to shop/web in @s
    ");
    assert_eq!(told.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_in_json_has_the_same_words() {
    let stage = Stage::new().await.serving().input("json", "true").input("cluster", "prdo");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.out.lines().last().map(lines).unwrap_or_default(), @r#"{"v":1,"at":"@","event":"outcome","exit":3,"outcome":"refused","code":"SW-EKS-MISSING","what":"nothing was written: EKS has no cluster `prdo` in ap-northeast-2","why":["there are `prod`"],"now":"not visible","next":["set `cluster: prod`"],"serving":null,"image":null,"platforms":[]}"#);
    assert_eq!(told.exit, 3);
    let stage = stage.input("timeout", "soon");
    insta::assert_snapshot!(stage.run("ship").await.out.lines().last().map(lines).unwrap_or_default(), @r#"{"v":1,"at":"@","event":"outcome","exit":2,"outcome":"bad-input","code":"SW-INPUT-INVALID","what":"nothing was read or written: 1 input cannot be used","why":["`timeout` is \"soon\": write it as `30s`, `10m` or `1h`"],"now":"not looked at","next":["correct them on the command line, or in the environment"],"serving":null,"image":null,"platforms":[]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_history_tell_what_was_shipped() {
    let stage = Stage::new().await.serving();
    insta::assert_snapshot!(stage.run("status").await.out, @"
    shop/web in prod
      serves   3f2a91c  sha256:17d4954971da  linux/amd64  3/3 ready, 0 restarts
      shipped  2026-11-20 17:02 UTC by run 4710
      restore  nothing: no earlier healthy commit is known
    ");
    insta::assert_snapshot!(stage.run("history").await.out, @"
    commit   rev  shipped (UTC)     ECR  ended
    3f2a91c  17   2026-11-20 17:02  yes  serves
    ");
    let stage = stage.ships("good").input("bake", "0s");
    assert_eq!(stage.run("ship").await.exit, 0);
    let before = stage.writes().len();
    let status = stage.run("status").await;
    insta::assert_snapshot!(today(&status.out), @"
    shop/web in prod
      serves   9f2c1e4  sha256:406c22a70f42  linux/amd64  3/3 ready, 0 restarts
      shipped  @TODAY@ UTC by cli-@
      restore  3f2a91c  in ECR
    ");
    insta::assert_snapshot!(today(&stage.run("history").await.out), @"
    commit   rev  shipped (UTC)     ECR  ended
    9f2c1e4  18   @TODAY@  yes  serves
    3f2a91c  17   2026-11-20 17:02  yes  healthy, restore point
    ");
    assert_eq!((status.exit, stage.writes().len()), (0, before));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_summary_of_status_and_history_is_their_answer() {
    let stage = Stage::new().await.serving().input("commit", "").on_github(12);
    assert_eq!(stage.run("status").await.exit, 0);
    insta::assert_snapshot!(stage.file("summary"), @"
    ### status

    <pre>shop/web in prod
      serves   3f2a91c  sha256:17d4954971da  linux/amd64  3/3 ready, 0 restarts
      shipped  2026-11-20 17:02 UTC by run 4710
      restore  nothing: no earlier healthy commit is known</pre>
    ");
    std::fs::remove_file(stage.folder.path().join("summary")).unwrap();
    assert_eq!(stage.run("history").await.exit, 0);
    insta::assert_snapshot!(stage.file("summary"), @"
    ### history

    <pre>commit   rev  shipped (UTC)     ECR  ended
    3f2a91c  17   2026-11-20 17:02  yes  serves</pre>
    ");
    assert_eq!(stage.writes(), [""; 0]);
}

/// The text without the date and the time of this minute.
fn today(text: &str) -> String {
    let date = jiff::Timestamp::now().to_string()[..10].to_owned();
    let line = |line: &str| match line.split_once(&date) {
        Some((before, after)) => format!("{before}@TODAY@{}\n", &after[6..]),
        None => format!("{line}\n"),
    };
    let word =
        |word: &str| if word.starts_with("cli-") { "cli-@\n".into() } else { word.to_owned() };
    let text: String = text.lines().map(line).collect();
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn before_any_ship_status_and_history_say_so() {
    let stage = Stage::new().await;
    stage.kube().node("ip-10-0-1-12", "amd64");
    stage.kube().deployment("shop", "web", "app", "nginx:1.24.0", 3).seed();
    let stage = stage.input("repository", "");
    insta::assert_snapshot!(stage.run("status").await.out, @"
    shop/web in prod
      serves   nginx:1.24.0  sha256:84300eb0bc18  linux/amd64  3/3 ready, 0 restarts
      shipped  not by slipway
      restore  nothing: no earlier healthy commit is known
    ");
    insta::assert_snapshot!(stage.run("history").await.out, @"slipway shipped nothing to shop/web yet");
    assert_eq!(stage.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_a_ship_name_the_image_without_and_with_its_host() {
    let stage = Stage::new().await.serving().ships("good").on_github(11).input("bake", "0s");
    assert_eq!(stage.run("ship").await.exit, 0);
    let outputs = stage.file("output");
    // Each value stands between delimiters of its own, which nobody can guess.
    let mut ends = Vec::new();
    let line = |line: &str| match line.split_once("<<") {
        Some((name, end)) if !line.starts_with('{') => {
            ends.push(end.to_owned());
            format!("{name}: ")
        }
        _ if ends.iter().any(|end| end == line) => "\n".to_owned(),
        _ => line.to_owned(),
    };
    let values: String = outputs.lines().map(line).collect();
    let values: Vec<_> = values.lines().filter(|line| !line.starts_with("plan: ")).collect();
    insta::assert_snapshot!(values.join("\n"), @"
    outcome: shipped
    code: 
    serving: 9f2c1e4000000000000000000000000000000000
    image: 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:9f2c1e4000000000000000000000000000000000@sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    evidence: 
    services: 
    repository: web
    tag: 9f2c1e4000000000000000000000000000000000
    digest: sha256:406c22a70f421f342a4e9265cef9d8d9766c7c4554d1e9535dc603f213c0a560
    platforms: linux/amd64
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_a_refusal_say_why_and_what_serves() {
    let stage = Stage::new().await.serving().on_github(11).input("commit", OLD);
    let stage = stage.layout(&Stage::new_image());
    assert_eq!(stage.run("ship").await.exit, 3);
    let outputs = stage.file("output");
    assert!(outputs.contains("SW-IMAGE-CONFLICT") && outputs.contains("refused"), "{outputs}");
    insta::assert_snapshot!(stage.file("summary"), @"
    ### nothing was written: immutable tag 3f2a91c holds another image

    <pre>error[SW-IMAGE-CONFLICT]: nothing was written: immutable tag 3f2a91c holds another image
      why:  ECR has sha256:17d4954971da, `image` is sha256:406c22a70f42
      now:  3f2a91c serves, 3/3 ready
      next: leave out `image` to deploy the one in ECR, or ship a new commit</pre>
    ");
}

fn explain(code: &str) -> String {
    let mut run = std::process::Command::new(program());
    let output = run.args(["explain", code]).env_clear().output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    format!("-> {code}\n{}{}", text(output.stdout), text(output.stderr))
}

#[test]
fn a_page_is_explained_and_an_unknown_code_has_a_nearest() {
    insta::assert_snapshot!(explain("SW-PLATFORM-MISSING"), @r#"
    -> 0
    SW-PLATFORM-MISSING: the image cannot run on the nodes its pods can land on (exit 3 or 4)
      seen   the image's platforms do not cover those of the nodes, or those that `index` is to join
      means  mostly built on an arm64 laptop for amd64 nodes, or the other way round
      fix    build for the platform that is named, or for both

      example
        error[SW-PLATFORM-MISSING]: nothing was written: image `out/image` cannot run on these nodes
          why:  it is linux/arm64; its pods can land on ip-10-0-1-12, ip-10-0-2-7, both linux/amd64
          now:  3f2a91c serves, 3/3 ready
          next: build with `platforms: linux/amd64`, or docker build --platform linux/amd64 .

      more
        Looked at are only the nodes that the pod's nodeSelector, required affinity and tolerations
        admit. On a cluster with both architectures the image needs both, unless the pod keeps to one:

            nodeSelector: { kubernetes.io/arch: amd64 }

        This is found before the write, because the cluster would show it late: a single image of the
        wrong platform is pulled and then crashes with "exec format error", an index without the
        platform fails the pull.

        `slipway index` says it of a tag `COMMIT-linux-ARCH` that is not there, or that holds another
        platform's image.
    "#);
    insta::assert_snapshot!(explain("sw-workload-owned"), @"
    -> 0
    SW-WORKLOAD-OWNED: another tool sets this image too (exit 3)
      seen   labels, annotations or managed fields of Argo CD, Flux, Helm or another writer
      means  the next sync or upgrade puts its own image back, and the deploy is undone
      fix    change the image where that tool reads it; or `allow: SW-WORKLOAD-OWNED`

      example
        error[SW-WORKLOAD-OWNED]: nothing was written: Argo CD application `shop` sets this image too; its next sync puts its own back
          why:  the Deployment's own metadata says so
          now:  3f2a91c serves, 3/3 ready
          next: change the image where it is kept, or `allow: SW-WORKLOAD-OWNED`

      more
        Argo CD and Flux compare all the time and put their own state back within minutes, so they are
        refused. Helm writes only at the next `helm upgrade`, and so does a person with kubectl: these
        are warnings, and the run goes on.

        Overrule it where the tool leaves the image alone, for example with `ignoreDifferences` on the
        container's image in Argo CD. If the owner does put its image back during the watch, the run
        ends in SW-RUN-DISPLACED.
    ");
    insta::assert_snapshot!(explain("SW-PLATFROM-MISSING"), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: `SW-PLATFROM-MISSING` is no code
      why:  did you mean `SW-PLATFORM-MISSING`?
      now:  not looked at
      next: slipway explain SW-PLATFORM-MISSING
    ");
    insta::assert_snapshot!(explain("anything"), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: `anything` is no code
      now:  not looked at
      next: slipway explain   lists every code
    ");
}
