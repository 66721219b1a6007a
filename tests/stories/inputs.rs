//! What was typed, by every way in: all faults at once, with what was probably meant, before anything
//! is read or written.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use slipway::inputs::table::{INPUTS, Ways};

use crate::stage::{OLD, Stage, program};

/// Runs the program with nothing but these words and variables, in a folder of its own.
pub(super) fn typed(words: &[&str], variables: &[(&str, &str)], files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut run = Command::new(program());
    run.args(words).current_dir(folder.path()).env_clear().stdin(Stdio::null());
    let workspace = folder.path().display().to_string();
    run.env("GITHUB_WORKSPACE", &workspace).envs(variables.iter().copied());
    let output = run.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    format!("-> {}\n{}", output.status.code().unwrap_or(-1), text.replace(&workspace, "@FOLDER@"))
}

/// Enough for a run, but for what a story changes.
pub(super) const WHOLE: &[(&str, &str)] = &[
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_REGION", "ap-northeast-2"),
    ("SLIPWAY_REPOSITORY", "web"),
    ("SLIPWAY_CLUSTER", "prod"),
    ("SLIPWAY_NAMESPACE", "shop"),
    ("SLIPWAY_WORKLOAD", "deployment/web"),
];

#[test]
fn three_mistakes_of_a_workflow_are_told_at_once() {
    let with = [
        ("GITHUB_ACTIONS", "true"),
        ("INPUT_AWS-REGOIN", "ap-northeast-2"),
        ("INPUT_AWS-REGION", "ap-northeast-2"),
        ("INPUT_REPOSITORY", "web"),
        ("INPUT_CLUSTER", ""),
        ("INPUT_NAMESPACE", "shop"),
        ("INPUT_WORKLOAD", "deployment/web"),
        ("INPUT_TIMEOUT", "10 minutes"),
        ("INPUT_AWS-ACCESS-KEY-ID", "AKIAIOSFODNN7EXAMPLE"),
        ("INPUT_AWS-SECRET-ACCESS-KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ];
    insta::assert_snapshot!(typed(&[], &with, &[]), @r#"
    -> 2
    ::add-mask::AKIAIOSFODNN7EXAMPLE
    ::add-mask::wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
    error[SW-INPUT-INVALID]: nothing was read or written: 3 inputs cannot be used
      why:  `aws-regoin` is no input: did you mean `aws-region`?
            `cluster` is missing
            `timeout` is "10 minutes": write it as `10m`
      now:  not looked at
      next: correct them in the step's `with:`
    ::error title=SW-INPUT-INVALID::nothing was read or written: 3 inputs cannot be used; not looked at
    "#);
}

#[test]
fn mistakes_from_four_ways_in_are_told_at_once() {
    let words = ["ship", "--timout", "5m", "--to", OLD, "--allow", "SW-PLATFORM-MISSING", "prod"];
    let variables = [
        ("GITHUB_ACTIONS", "true"),
        ("INPUT_NAMESPACE", "Shop"),
        ("INPUT_METHOD", "POST"),
        ("INPUT_BAKE", "600"),
        ("SLIPWAY_WORKLOAD", "deploy/web"),
        ("AWS_REGION", "Seoul"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ];
    let file = [("slipway.yml", "repository: Web\nplatfrom: linux/amd64\non-cancel: undo\n")];
    insta::assert_snapshot!(typed(&words, &variables, &file), @r#"
    -> 2
    ::add-mask::AKIAIOSFODNN7EXAMPLE
    error[SW-INPUT-INVALID]: nothing was read or written: 13 inputs cannot be used
      why:  `timout` is no input: did you mean `timeout`?
            `prod` is a stray word: inputs are written `--name value`
            `method` is no input
            slipway.yml:2:1: `platfrom` is no input: did you mean `platform`?
            `cluster` is missing
            `aws-region` is "Seoul" (from AWS_REGION): a region looks like `ap-northeast-2`
            `namespace` is "Shop": a namespace is lower-case letters, digits and `-`, at most 63
            slipway.yml:1:1: `repository` is "Web": an ECR repository is lower-case letters, digits, `.`, `_`, `-` and `/`, without the registry's host
            `bake` is "600": write it with a unit, `600s` or `600m`
            slipway.yml:3:1: `on-cancel` is "undo": write `keep` or `rollback`
            `allow` is "SW-PLATFORM-MISSING": SW-PLATFORM-MISSING cannot be overruled; SW-COMMIT-BEHIND, SW-COMMIT-UNKNOWN, SW-IMAGE-RECIPE, SW-IMAGE-WITHDRAWN, SW-WORKLOAD-OWNED can
            `to` is given, but the command is `ship`: use `rollback`, or leave `to` empty
            `aws-secret-access-key` is missing beside `aws-access-key-id`
      now:  not looked at
      next: correct them where they stand
    ::error file=slipway.yml,line=2,col=1,title=SW-INPUT-INVALID::nothing was read or written: 13 inputs cannot be used; not looked at
    "#);
}

#[test]
fn each_input_tells_how_it_is_written() {
    // What no parser takes, or for free text what is not there.
    let bad = |input: &str| match input {
        "create-repository" | "json" => "yes",
        "timeout" | "bake" => "soon",
        "context"
        | "image"
        | "aws-access-key-id"
        | "aws-secret-access-key"
        | "aws-session-token"
        | "github-token"
        | "file"
        | "target"
        | "cache-from"
        | "cache-to" => "",
        "base-logins" => "two words",
        _ => "no such thing!",
    };
    let mut all = String::new();
    for input in INPUTS.iter().filter(|input| !bad(input.name).is_empty()) {
        let command = if input.name == "to" { "rollback" } else { "ship" };
        let variable = input.action_variable();
        let mut variables: Vec<_> = WHOLE.to_vec();
        variables.extend([("GITHUB_ACTIONS", "true"), (variable.as_str(), bad(input.name))]);
        let words: &[&str] = if input.ways == Ways::Action { &[] } else { &[command] };
        let told = typed(words, &variables, &[]);
        assert!(told.starts_with("-> 2\n"), "{}: {told}", input.name);
        let why = told.lines().find(|line| line.contains("why:")).unwrap_or_default();
        all += &format!("{}\n", why.trim_start().trim_start_matches("why:").trim_start());
    }
    insta::assert_snapshot!(all, @r#"
    `no such thing!` is no command: see `slipway -h`
    `role-to-assume` is "no such thing!": a role looks like `arn:aws:iam::123456789012:role/ship`
    `aws-region` is "no such thing!": a region looks like `ap-northeast-2`
    `expect-account` is "no such thing!": an account id is 12 digits
    `repository` is "no such thing!": an ECR repository is lower-case letters, digits, `.`, `_`, `-` and `/`, without the registry's host
    `commit` is "no such thing!": a commit is 40 hex digits
    `platform` is "no such thing!": a platform is `linux/amd64` or `linux/arm64`
    `create-repository` is "yes": write `true` or `false`
    `build-args`: line 1 is not `NAME=VALUE`
    `build-secrets`: line 1 is not `ID=VARIABLE`: the value is that of the variable
    `labels`: line 1 is not `NAME=VALUE`
    `base-logins`: line 1 is not `HOST USER PASSWORD`
    `no-cache` is "no such thing!": write `true` or `false`
    `pull` is "no such thing!": write `true` or `false`
    `forbid-secrets` is "no such thing!": write `true` or `false`
    `cluster` is "no such thing!": a cluster is named by letters, digits, `-` and `_`, at most 100: its name, not its ARN
    `namespace` is "no such thing!": a namespace is lower-case letters, digits and `-`, at most 63
    `workload` is "no such thing!": a workload is KIND/NAME, for example `deployment/web`
    `container` is "no such thing!": a container name is lower-case letters, digits and `-`, at most 63
    `reference` is "no such thing!": write `tag-and-digest` or `digest`
    `timeout` is "soon": write it as `30s`, `10m` or `1h`
    `bake` is "soon": write it as `30s`, `10m` or `1h`
    `on-cancel` is "no such thing!": write `keep` or `rollback`
    `to` is "no such thing!": a commit is 7 to 40 hex digits
    `until` is "no such thing!": write `rollout` or `push`
    `allow` is "no such thing!": the codes that can be overruled are SW-COMMIT-BEHIND, SW-COMMIT-UNKNOWN, SW-IMAGE-RECIPE, SW-IMAGE-WITHDRAWN, SW-WORKLOAD-OWNED
    `json` is "yes": write `true` or `false`
    `config` is "no such thing!", which cannot be read: there is no such file
    "#);
}

#[test]
fn secrets_have_no_flag_and_are_not_echoed() {
    let words = [
        "ship",
        "--aws-access-key-id=AKIAIOSFODNN7EXAMPLE",
        "--aws-secret-access-key",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "--aws-session-token=dG9rZW4tb2YtYS1zZXNzaW9u",
        "--github-token",
        "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    ];
    let told = typed(&words, WHOLE, &[]);
    for secret in ["AKIAIOSFODNN7EXAMPLE", "wJalr", "dG9rZW4", "ghp_"] {
        assert!(!told.contains(secret), "{told}");
    }
    insta::assert_snapshot!(told, @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 4 inputs cannot be used
      why:  `aws-access-key-id` has no flag, which the process list would show: set AWS_ACCESS_KEY_ID
            `aws-secret-access-key` has no flag, which the process list would show: set AWS_SECRET_ACCESS_KEY
            `aws-session-token` has no flag, which the process list would show: set AWS_SESSION_TOKEN
            `github-token` has no flag, which the process list would show: set GITHUB_TOKEN
      now:  not looked at
      next: correct them on the command line, or in the environment
    ");
}

#[test]
fn what_stands_behind_a_slip_in_the_name_of_a_secret_is_not_echoed() {
    let words = ["ship", "--aws-sesion-token", "dG9rZW4tb2YtYS1zZXNzaW9u", "--until=push"];
    let told = typed(&words, WHOLE, &[]);
    assert!(!told.contains("dG9rZW4"), "{told}");
    insta::assert_snapshot!(told, @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `aws-sesion-token` is no input: did you mean `aws-session-token`?
      now:  not looked at
      next: correct them on the command line, or in the environment
    ");
}

#[test]
fn secrets_in_a_file_are_refused_with_their_place() {
    let file = [("slipway.yml", "cluster: prod\naws-secret-access-key: wJalrXUtnFEMI/K7MDENG\n")];
    let told = typed(&["ship"], WHOLE, &file);
    assert!(!told.contains("wJalr"), "{told}");
    insta::assert_snapshot!(told, @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  slipway.yml:2:1: `aws-secret-access-key` is a secret, which no file may hold: set AWS_SECRET_ACCESS_KEY
      now:  not looked at
      next: correct them where they stand
    ");
}

#[test]
fn a_file_that_is_no_yaml_is_told_with_line_and_column() {
    insta::assert_snapshot!(typed(&["ship"], WHOLE, &[("slipway.yml", "cluster: prod\nnamespace: [shop\n")]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  slipway.yml:3:1: this is not YAML: did not find expected ',' or ']'
      now:  not looked at
      next: correct them where they stand
    ");
    let on_github: Vec<_> = WHOLE.iter().copied().chain([("GITHUB_ACTIONS", "true")]).collect();
    insta::assert_snapshot!(typed(&["ship"], &on_github, &[("slipway.yml", "cluster: prod\ntimeout: soon\n")]), @r#"
    -> 2
    ::add-mask::AKIAIOSFODNN7EXAMPLE
    ::add-mask::wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  slipway.yml:2:1: `timeout` is "soon": write it as `30s`, `10m` or `1h`
      now:  not looked at
      next: correct them where they stand
    ::error file=slipway.yml,line=2,col=1,title=SW-INPUT-INVALID::nothing was read or written: 1 input cannot be used; not looked at
    "#);
    insta::assert_snapshot!(typed(&["ship", "--config", "else.yml"], WHOLE, &[]), @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `config` is "else.yml", which cannot be read: there is no such file
      now:  not looked at
      next: correct them on the command line, or in the environment
    "#);
}

#[test]
fn without_credentials_the_workflow_is_read_for_their_names() {
    let workflow = "
      - uses: slipway/slipway@v1
        with:
          aws-access-key-id: ${{ secrets.AWS_KEY }}
          aws-secret-access-key: ${{ secrets.AWS_SECRET }}
";
    let mut variables: Vec<_> =
        WHOLE.iter().copied().filter(|(name, _)| !name.contains("KEY")).collect();
    variables.push(("GITHUB_ACTIONS", "true"));
    variables.push(("INPUT_AWS-ACCESS-KEY-ID", ""));
    variables.push(("GITHUB_WORKFLOW_REF", "acme/shop/.github/workflows/ship.yml@refs/heads/main"));
    let files = [(".github/workflows/ship.yml", workflow)];
    insta::assert_snapshot!(typed(&[], &variables, &files), @"
    -> 2
    error[SW-INPUT-MISSING]: nothing was read or written: no AWS credentials
      why:  `aws-access-key-id`, `aws-secret-access-key` are empty: ship.yml names secrets this job cannot see, `AWS_KEY`, `AWS_SECRET`
      now:  not looked at
      next: gh secret set AWS_KEY; gh secret set AWS_SECRET   or no stored key: `role-to-assume`
    ::error title=SW-INPUT-MISSING::nothing was read or written: no AWS credentials; not looked at
    ");
    insta::assert_snapshot!(typed(&[], &variables, &[]), @"
    -> 2
    error[SW-INPUT-MISSING]: nothing was read or written: no AWS credentials
      why:  `aws-access-key-id`, `aws-secret-access-key` are empty
      now:  not looked at
      next: give the step aws-access-key-id: ${{ secrets.AWS_KEY }} and aws-secret-access-key: ${{ secrets.AWS_SECRET }}, or `role-to-assume`
    ::error title=SW-INPUT-MISSING::nothing was read or written: no AWS credentials; not looked at
    ");
    let off: Vec<_> =
        variables.iter().copied().filter(|(name, _)| !name.starts_with("GITHUB")).collect();
    insta::assert_snapshot!(typed(&["ship"], &off, &[]), @"
    -> 2
    error[SW-INPUT-MISSING]: nothing was read or written: no AWS credentials
      why:  `aws-access-key-id`, `aws-secret-access-key` and `role-to-assume` are empty
      now:  not looked at
      next: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN with temporary keys)
    ");
}

#[test]
fn words_that_are_no_command_are_told_with_the_nearest() {
    insta::assert_snapshot!(typed(&["shpi"], WHOLE, &[]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `shpi` is no command: did you mean `ship`?
      now:  not looked at
      next: correct them on the command line, or in the environment
    ");
    insta::assert_snapshot!(typed(&["ship", "-x", "--json=maybe"], WHOLE, &[]), @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 2 inputs cannot be used
      why:  `-x` is no flag: inputs are written `--name value`
            `json` is "maybe": write `true` or `false`
      now:  not looked at
      next: correct them on the command line, or in the environment
    "#);
    insta::assert_snapshot!(typed(&["rollback"], WHOLE, &[]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `to` is missing
      now:  not looked at
      next: correct them on the command line, or in the environment
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_others_are_theirs_off_a_runner() {
    let stage = Stage::new().await.serving().ships("good").variable("INPUT_METHOD", "POST");
    let told = stage.run("plan").await;
    assert_eq!((told.exit, stage.writes()), (0, Vec::new()), "{}", told.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_is_before_an_input_before_the_environment_before_the_file() {
    let ways: BTreeMap<_, _> =
        [("flag", "11s"), ("input", "12s"), ("environment", "13s"), ("file", "14s")].into();
    let stage = Stage::new().await.serving().ships("good").on_github(11);
    let mut stage = stage
        .input("timeout", ways["flag"])
        .variable("INPUT_TIMEOUT", ways["input"])
        .variable("SLIPWAY_TIMEOUT", ways["environment"])
        .holding("slipway.yml", &format!("timeout: {}\n", ways["file"]));
    let mut seen = Vec::new();
    for (name, variable) in
        [("timeout", ""), ("", "INPUT_TIMEOUT"), ("", "SLIPWAY_TIMEOUT"), ("", "")]
    {
        let told = stage.run("plan").await;
        let row = told.out.lines().find(|line| line.starts_with("  watch")).map(str::to_owned);
        seen.extend(row.map(|row| row.split_whitespace().nth(1).unwrap_or_default().to_owned()));
        stage = if name.is_empty() { stage } else { stage.input(name, "") };
        stage = if variable.is_empty() { stage } else { stage.variable(variable, "") };
    }
    assert_eq!(seen, ["11s", "12s", "13s", "14s"]);
}

#[test]
fn a_file_that_cannot_be_read_is_told_without_what_it_may_have_said() {
    let some = &WHOLE[..3];
    let broken = [("slipway.yml", "cluster: prod\nnamespace: [shop\n")];
    let words = ["ship", "--bake", "soon", "--commit", "9f2c1e4"];
    insta::assert_snapshot!(typed(&words, some, &broken), @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 3 inputs cannot be used
      why:  slipway.yml:3:1: this is not YAML: did not find expected ',' or ']'
            `commit` is "9f2c1e4": write all 40 digits, as `git rev-parse 9f2c1e4` prints them
            `bake` is "soon": write it as `30s`, `10m` or `1h`
      now:  not looked at
      next: correct them where they stand
    "#);
    insta::assert_snapshot!(typed(&["ship", "--config", "else.yml"], some, &[]), @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `config` is "else.yml", which cannot be read: there is no such file
      now:  not looked at
      next: correct them on the command line, or in the environment
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_found_at_the_root_of_the_repository_and_said_in_the_plan() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "");
    let stage = stage.holding("slipway.yml", "timeout: 14s\ncontext: app\n");
    let stage = stage.holding("app/Dockerfile", "").holding("deep/down/here", "");
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]).args(words);
        assert!(
            git.current_dir(stage.folder.path()).stdout(Stdio::null()).status().unwrap().success()
        );
    };
    git(&["init", "-q"]);
    git(&["add", "app"]);
    git(&["commit", "-qm", "one"]);
    let told = stage.run_in("deep/down", "plan", &[("image", "../../image")]).await;
    let rows = ["  inputs", "  watch"];
    let said = |line: &&str| rows.iter().any(|row| line.starts_with(row));
    let lines: Vec<_> = told.out.lines().filter(said).collect();
    insta::assert_snapshot!(format!("-> {}\n{}", told.exit, lines.join("\n")), @"
    -> 0
      inputs    also from `../../slipway.yml`
      watch     14s at most, then 1s without a restart
    ");
    // `context` is meant from where the file is: here it would be nowhere.
    std::fs::write(stage.folder.path().join("slipway.yml"), "context: nowhere\n").unwrap();
    let told = stage.run_in("deep/down", "plan", &[("image", "../../image")]).await;
    insta::assert_snapshot!(told.refusal(), @"
    -> 3
    error[SW-COMMIT-MISSING]: nothing was written: no commit is checked out in `../../nowhere`
      why:  there is no such directory
      now:  not looked at
      next: set `context` to the directory that the Dockerfile builds in
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_is_told_what_a_shell_can_do() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "");
    insta::assert_snapshot!(stage.run("plan").await.refusal(), @"
    -> 3
    error[SW-COMMIT-MISSING]: nothing was written: no commit is checked out in `.`
      why:  no repository there or above
      now:  not looked at
      next: go to the checkout, or say which commit the image is of: `--commit`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_is_not_there_is_told_with_those_that_are() {
    let stage = Stage::new().await.serving().ships("good");
    let mut told = String::new();
    for (command, container) in [("plan", "wbe"), ("status", "ap"), ("history", "wbe")] {
        let with = [("container", container), ("commit", ""), ("image", "")];
        let with = if command == "plan" { &with[..1] } else { &with[..] };
        let blocks = stage.run_with(command, with, &[]).await.refusal();
        told.push_str(&format!("{command} --container {container} {blocks}"));
    }
    insta::assert_snapshot!(told, @"
    plan --container wbe -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing would be written: `shop/web` has no container `wbe`
      why:  `app` runs 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc
      now:  3f2a91c serves, 3/3 ready
      next: set `container: app`
    status --container ap -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing was written: `shop/web` has no container `ap`
      why:  `app` runs 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc
      now:  3f2a91c serves, 3/3 ready
      next: set `container: app`
    history --container wbe -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing was written: `shop/web` has no container `wbe`
      why:  `app` runs 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc
      now:  3f2a91c serves, 3/3 ready
      next: set `container: app`
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_that_cannot_be_compared_is_said() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "");
    let stage = stage.holding("work/.gitattributes", "*.bin filter=lfs\n");
    let stage = stage.holding("work/a.bin", "one");
    let at = stage.folder.path().join("work");
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "filter.lfs.required=false"]);
        assert!(git.args(words).current_dir(&at).stdout(Stdio::null()).status().unwrap().success());
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    std::fs::write(at.join("a.bin"), "other").unwrap();
    let told = stage.run_with("plan", &[("context", "work")], &[]).await;
    let said: Vec<_> = told.err.lines().filter(|line| line.starts_with("not seen")).collect();
    insta::assert_snapshot!(format!("-> {}\n{}", told.exit, said.join("\n")), @"
    -> 0
    not seen: changes in the checkout (`a.bin` goes through a filter, which is not run)
    ");
    assert!(told.err.starts_with("slipway "), "after the first line: {}", told.err);
}
