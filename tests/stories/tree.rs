//! Whose commit an image is: the one that is checked out, unless something says another, and as it is in the
//! repository or not.

use std::path::Path;
use std::process::Command;

use slipway_sandbox::engine::Kind;

use super::image::told;
use crate::stage::{NEW, NEWER, Stage, scrub};

/// Runs git in the story's folder, at a fixed time by a fixed person, so that commits have the same
/// names everywhere.
fn git(at: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", at).current_dir(at);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "t").env(format!("GIT_{who}_EMAIL"), "t@t");
        command.env(format!("GIT_{who}_DATE"), "2026-11-21T08:00:00Z");
    }
    let output = command.args(["-c", "init.defaultBranch=main"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A checkout beside the program, and its commit.
fn checked_out(stage: &Stage) -> String {
    let at = stage.folder.path();
    std::fs::write(at.join("Dockerfile"), "FROM scratch\n").unwrap();
    git(at, &["init", "-q"]);
    committed(at)
}

/// Commits the Dockerfile, and what it knows.
fn committed(at: &Path) -> String {
    git(at, &["add", "Dockerfile"]);
    git(at, &["commit", "-qam", "one"]);
    git(at, &["rev-parse", "HEAD"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_tree_gets_a_tag_of_its_own_and_is_never_reused() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "").input("bake", "0s");
    checked_out(&stage);
    let stage = stage.holding("Dockerfile", "FROM scratch\nENV A=B\n");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 2281ad7-dirty is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped 2281ad7-dirty to shop/web in @s
    web:2281ad741bcd16ae3c3cfac26a4bd4fe753881a7-dirty@sha256:406c22a70f42, 3 updated, 3 ready
    written: patch deployments, registry PATCH upload, registry POST upload, registry PUT manifest, registry PUT upload
    ");
    let stage = stage.input("image", "");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-IMAGE-CONFLICT]: nothing was written: immutable tag 2281ad7-dirty holds an image already
      why:  ECR has sha256:406c22a70f42, and an image of a changed tree is never reused
      now:  2281ad7-dirty serves, 3/3 ready
      next: commit the change, and ship that commit
    web:2281ad741bcd16ae3c3cfac26a4bd4fe753881a7-dirty@sha256:406c22a70f42, 3 updated, 3 ready
    written: patch deployments, registry PATCH upload, registry POST upload, registry PUT manifest, registry PUT upload
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_checkout_says_the_commit_by_itself() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "").input("bake", "0s");
    checked_out(&stage);
    insta::assert_snapshot!(told(&stage).await, @"
    -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 2281ad7 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped 2281ad7 to shop/web in @s
    web:2281ad7@sha256:406c22a70f42, 3 updated, 3 ready
    written: patch deployments, registry PATCH upload, registry POST upload, registry PUT manifest, registry PUT upload
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_commit_than_the_events_is_refused_until_it_is_said() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "").input("bake", "0s");
    let head = checked_out(&stage);
    let stage =
        stage.on_github(11).variable("GITHUB_SHA", NEW).variable("GITHUB_EVENT_NAME", "push");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-COMMIT-MISMATCH]: nothing was written: 2281ad7 is checked out, but this run is of 9f2c1e4
      why:  HEAD is 2281ad741bcd16ae3c3cfac26a4bd4fe753881a7, `push` names 9f2c1e4000000000000000000000000000000000
      now:  not looked at
      next: drop `ref` from actions/checkout, or, to ship what is checked out, set `commit: 2281ad741bcd16ae3c3cfac26a4bd4fe753881a7`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written: github statuses
    ");
    let stage = stage.input("commit", NEWER);
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-COMMIT-MISMATCH]: nothing was written: 2281ad7 is checked out, but `commit` says c77d0be
      why:  HEAD is 2281ad741bcd16ae3c3cfac26a4bd4fe753881a7, `commit` is c77d0be000000000000000000000000000000000
      now:  not looked at
      next: check out c77d0be, or set `commit: 2281ad741bcd16ae3c3cfac26a4bd4fe753881a7`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written: github statuses
    ");
    let stage = stage.input("commit", &head);
    insta::assert_snapshot!(told(&stage).await, @r#"
    -> 0
    not seen: whether 2281ad7 follows 3f2a91c (GitHub answered 404 "Not Found"; the token may lack `contents: read`)
    shipped 2281ad7 to shop/web in @s
    web:2281ad7@sha256:406c22a70f42, 3 updated, 3 ready
    written: github statuses, patch deployments, registry PATCH upload, registry POST upload, registry PUT manifest, registry PUT upload
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_checkout_and_a_commit_nothing_is_shipped() {
    let stage = Stage::new().await.serving().ships("good").input("commit", "");
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    error[SW-COMMIT-MISSING]: nothing was written: no commit is checked out in `.`
      why:  no repository there or above
      now:  not looked at
      next: go to the checkout, or say which commit the image is of: `--commit`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    written:
    ");
}

/// What a plan says of the commit, the tree and the image.
async fn planned(stage: &Stage) -> String {
    let told = stage.run("plan").await;
    let rows = ["slipway ", "  tree ", "  image "];
    let all = format!("{}{}", told.out, told.err);
    let lines = all.lines().filter(|line| rows.iter().any(|row| line.starts_with(row)));
    let said = lines.map(|line| scrub::grounded(line) + "\n").collect::<String>() + &told.words();
    // When the files of the story were written is in what is built of them.
    let tags = stage.sandbox.tags("web");
    let built = tags.iter().filter(|(tag, _)| tag.contains("-dirty"));
    built.fold(said, |said, (_, digest)| said.replace(&digest[..19], "@BUILT@"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_that_is_built_in_makes_another_tree_and_is_named() {
    let stage = Stage::new().await.serving().input("commit", "").input("image", "");
    let mut stage = stage.input("until", "push").input("platform", "linux/amd64");
    stage.bring_engine(Kind::default()).await;
    checked_out(&stage);
    let stage = stage.holding("Dockerfile", "FROM scratch\nCOPY src /src\n");
    let stage = stage.holding("src/main.rs", "fn main() {}").holding("log.txt", "of a run");
    git(stage.folder.path(), &["add", "src/main.rs"]);
    committed(stage.folder.path());
    // Beside what is copied: no image gets it.
    insta::assert_snapshot!(planned(&stage).await, @"
      image     web:d647ab8-linux-amd64 is not in ECR: build ./Dockerfile
    slipway 0.1.0: plan d647ab8
    -> 0
    ");
    // It decides what is built in.
    let stage = stage.holding(".dockerignore", "**/*.md\n");
    insta::assert_snapshot!(planned(&stage).await, @"
      tree      differs from d647ab8: `.dockerignore` is new
      image     web:d647ab8-dirty-linux-amd64 is not in ECR: build ./Dockerfile
    slipway 0.1.0: plan d647ab8-dirty
    -> 0
    ");
    git(stage.folder.path(), &["add", ".dockerignore"]);
    committed(stage.folder.path());
    // What git ignores is made here on purpose, and what `.dockerignore` leaves out is not built in.
    let stage = stage.holding(".gitignore", "*.o\n").holding("src/main.o", "object");
    let stage = stage.holding("src/notes.md", "notes");
    insta::assert_snapshot!(planned(&stage).await, @"
      image     web:a482960-linux-amd64 is not in ECR: build ./Dockerfile
    slipway 0.1.0: plan a482960
    -> 0
    ");
    let stage = stage.holding("src/draft.rs", "mod draft;").holding("src/main.rs", "mod draft;");
    insta::assert_snapshot!(planned(&stage).await, @"
      tree      differs from a482960: `src/main.rs`, `src/draft.rs` is new
      image     web:a482960-dirty-linux-amd64 is not in ECR: build ./Dockerfile
    slipway 0.1.0: plan a482960-dirty
    -> 0
    ");
    let told = stage.run("ship").await;
    let tags = stage.sandbox.tags("web");
    let tags: Vec<_> = tags.keys().filter(|tag| tag.contains("dirty")).collect();
    insta::assert_snapshot!(format!("{}{tags:?}", told.words()), @r#"
    -> 0
    ["a482960c3c7045a921f2c6c938dfc9dc5a1364ce-dirty-linux-amd64"]
    "#);
    // What is there may be of other files.
    let stage = stage.holding("src/main.rs", "fn main() {}");
    insta::assert_snapshot!(planned(&stage).await, @"
      tree      differs from a482960: `src/draft.rs` is new
    slipway 0.1.0: plan a482960-dirty
    -> 3
    error[SW-IMAGE-CONFLICT]: nothing would be written: immutable tag a482960-dirty-linux-amd64 holds an image already
      why:  ECR has @BUILT@, and an image of a changed tree is never reused
      now:  not looked at
      next: commit the new files, or take them away
    ");
    std::fs::remove_file(stage.folder.path().join("src/draft.rs")).unwrap();
    insta::assert_snapshot!(planned(&stage).await, @"
      image     web:a482960-linux-amd64 is not in ECR: build ./Dockerfile
    slipway 0.1.0: plan a482960
    -> 0
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_may_make_files_before_it_builds() {
    let stage = Stage::new().await.serving().on_github(11).input("commit", "").input("image", "");
    let mut stage = stage.input("until", "push").input("platform", "linux/amd64");
    stage.bring_engine(Kind::default()).await;
    checked_out(&stage);
    let stage = stage.holding("Dockerfile", "FROM scratch\nCOPY dist.js /\n");
    let head = committed(stage.folder.path());
    let stage = stage.variable("GITHUB_SHA", &head).holding("dist.js", "made");
    insta::assert_snapshot!(planned(&stage).await, @"
    slipway 0.1.0: plan d18b7cd
      image     web:d18b7cd-linux-amd64 is not in ECR: build ./Dockerfile
    -> 0
    ");
}
