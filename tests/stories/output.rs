//! Standard output that takes nothing, as on a full disk, and readers that go away.

use std::fs::File;
use std::process::{Command, Stdio};

use crate::stage::{OLD, Stage, program};

/// A device that is always full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone away.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// The exit code of a command that needs no AWS, and what is said on standard error.
fn alone(words: &[&str], out: Stdio) -> String {
    let mut run = Command::new(program());
    run.args(words).env_clear().stdin(Stdio::null()).stdout(out).stderr(Stdio::piped());
    let output = run.spawn().unwrap().wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    format!("{} -> {}\n{err}", words.join(" "), output.status.code().unwrap_or(-1))
}

const ALONE: [&[&str]; 6] = [
    &["explain"],
    &["explain", "SW-ECR-403"],
    &["completions", "bash"],
    &["--help"],
    &["--version"],
    &["demo"],
];

#[test]
fn an_answer_that_cannot_be_written_is_no_good_end() {
    let said: Vec<_> = ALONE.iter().map(|words| alone(words, full())).collect();
    insta::assert_snapshot!(said[0], @r#"
    explain -> 2
    error[SW-RUN-OUTPUT]: the answer was not written to standard output
      why:  "No space left on device (os error 28)"
      now:  nothing was changed
      next: make room where standard output goes, then run it again
    "#);
    // All the same, but for their names.
    let block = said[0].strip_prefix("explain").unwrap();
    for (said, words) in said.iter().zip(ALONE) {
        assert_eq!(*said, format!("{}{block}", words.join(" ")));
    }
}

#[test]
fn a_reader_that_went_away_had_what_it_wanted() {
    // The demo goes on to its end, which other tests see.
    for words in &ALONE[..5] {
        assert_eq!(alone(words, closed()), format!("{} -> 0\n", words.join(" ")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_cannot_be_written_is_no_good_end() {
    let stage = Stage::new().await.serving().ships("good");
    let mut all = String::new();
    for (command, json) in
        [("status", ""), ("status", "true"), ("history", ""), ("plan", ""), ("plan", "true")]
    {
        let stage = Stage::new().await.serving().ships("good").input("json", json);
        let told = stage.run_into(command, full()).await;
        let block = told.err.find("error[").map_or(told.err.as_str(), |at| &told.err[at..]);
        all += &format!("{command} {json} -> {}\n{block}", told.exit);
        assert_eq!(stage.writes(), [""; 0], "{command}");
    }
    insta::assert_snapshot!(all, @r#"
    status  -> 2
    error[SW-RUN-OUTPUT]: the answer was not written to standard output
      why:  "No space left on device (os error 28)"
      now:  nothing was changed
      next: make room where standard output goes, then run it again
    status true -> 2
    error[SW-RUN-OUTPUT]: the answer was not written to standard output
      why:  "No space left on device (os error 28)"
      now:  nothing was changed
      next: make room where standard output goes, then run it again
    history  -> 2
    error[SW-RUN-OUTPUT]: the answer was not written to standard output
      why:  "No space left on device (os error 28)"
      now:  nothing was changed
      next: make room where standard output goes, then run it again
    plan  -> 2
    error[SW-RUN-OUTPUT]: the answer was not written to standard output
      why:  "No space left on device (os error 28)"
      now:  nothing was changed
      next: make room where standard output goes, then run it again
    plan true -> 2
    error[SW-RUN-OUTPUT]: the answer was not written to standard output
      why:  "No space left on device (os error 28)"
      now:  nothing was changed
      next: make room where standard output goes, then run it again
    "#);
    for command in ["status", "history", "plan"] {
        let told = stage.run_into(command, closed()).await;
        assert_eq!((told.exit, told.err.contains("SW-RUN-OUTPUT")), (0, false), "{}", told.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_plan_keeps_its_exit_code_and_warns() {
    let stage = Stage::new().await.serving().ships("good").input("container", "nobody");
    let told = stage.run_into("plan", full()).await;
    insta::assert_snapshot!(told.words(), @r#"
    -> 3
    error[SW-WORKLOAD-CONTAINER]: nothing would be written: `shop/web` has no container `nobody`
      why:  `app` runs 123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:3f2a91c000000000000000000000000000000000@sha256:17d4954971da511e303d71bfb380d7bc346b98095106307c9dc0afa2583042bc
      now:  3f2a91c serves, 3/3 ready
      next: set `container: app`
    warning[SW-RUN-OUTPUT]: not everything was written to standard output
      why:  "No space left on device (os error 28)"
      next: make room where standard output goes; the exit code is the run's own
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ship_and_its_rollback_keep_their_exit_codes_and_warn_once() {
    let stage = Stage::new().await.serving().ships("good").input("json", "true");
    let told = stage.run_into("ship", full()).await;
    insta::assert_snapshot!(told.words(), @r#"
    -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    shipped 9f2c1e4 to shop/web in @s
    warning[SW-RUN-OUTPUT]: not everything was written to standard output
      why:  "No space left on device (os error 28)"
      next: make room where standard output goes; the exit code is the run's own
    "#);
    insta::assert_snapshot!(stage.set(), @"web:9f2c1e4@sha256:406c22a70f42");
    let stage = stage.input("commit", "").input("image", "").input("to", &OLD[..7]);
    let told = stage.run_into("rollback", full()).await;
    insta::assert_snapshot!(told.words(), @r#"
    -> 0
    warning[SW-RUN-OUTPUT]: not everything was written to standard output
      why:  "No space left on device (os error 28)"
      next: make room where standard output goes; the exit code is the run's own
    "#);
    insta::assert_snapshot!(stage.set(), @"web:3f2a91c@sha256:17d4954971da");
    let told = stage.run_into("rollback", closed()).await;
    insta::assert_snapshot!(told.words(), @"
    -> 0
    unchanged: 3f2a91c already serves in shop/web, 3/3 ready
    ");
}
