//! What is written wrong of a build, where it stands: in the file, on the command line, in the
//! Dockerfile and the context.

use slipway_sandbox::engine::Kind;

use super::inputs::{WHOLE, typed};
use crate::stage::{NEW, OLD, Stage};

const REVISION: &str = "org.opencontainers.image.revision";

#[test]
fn a_value_of_several_lines_in_the_file_is_refused_where_it_stands() {
    let file = "cluster: prod\nbuild-args:\n  A: |\n    one\n    B=evil\n  C: x\n";
    insta::assert_snapshot!(typed(&["ship"], WHOLE, &[("slipway.yml", file)]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  slipway.yml:3:3: `build-args`: the value of `A` has a line break, where one line is one entry: write a list that names it alone, `- A`, and set A in the environment
      now:  not looked at
      next: correct them where they stand
    ");
}

#[test]
fn lines_that_stand_in_the_file_are_told_there() {
    let file = "build-args: |\n  A=1\n\n  two words\nlabels:\n- a=b\n- justone\nbuild-secrets:\n  npm: two words\n";
    insta::assert_snapshot!(typed(&["ship"], WHOLE, &[("slipway.yml", file)]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 3 inputs cannot be used
      why:  slipway.yml:9:3: `build-secrets`: line 1 is not `ID=VARIABLE`: the value is that of the variable
            slipway.yml:1:1: `build-args`: line 3 is not `NAME=VALUE`
            slipway.yml:7:3: `labels`: write `justone=VALUE`
      now:  not looked at
      next: correct them where they stand
    ");
}

#[test]
fn what_is_no_value_in_the_file_is_told_where_it_stands() {
    let file = "cluster: prod\nbuild-args:\n  VERSION: 1.10\n  B:\n  C: ~\n  D: [one, two]\n";
    insta::assert_snapshot!(typed(&["ship"], WHOLE, &[("slipway.yml", file)]), @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 4 inputs cannot be used
      why:  slipway.yml:3:3: `build-args`: write the value of `VERSION` in quotes
            slipway.yml:4:3: `build-args`: `B` has no value: write `""` for an empty one, or a list that names it alone, `- B`, for the environment's
            slipway.yml:5:3: `build-args`: `C` has no value: write `""` for an empty one, or a list that names it alone, `- C`, for the environment's
            slipway.yml:6:3: `build-args`: the value of `D` is a list, which is no value: write one text
      now:  not looked at
      next: correct them where they stand
    "#);
}

#[test]
fn a_label_that_later_runs_believe_is_not_set_by_hand() {
    let file = "labels:\n  team: web\n  dev.slipway.event: push\n";
    insta::assert_snapshot!(typed(&["ship"], WHOLE, &[("slipway.yml", file)]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  slipway.yml:3:3: `labels`: `dev.slipway.event` is for slipway to set, since later runs believe it: leave it out
      now:  not looked at
      next: correct them where they stand
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_another_commit_is_not_set_and_told() {
    let stage = Stage::new().await.serving().holding("Dockerfile", "FROM scratch\nCOPY a /\n");
    let stage = stage.holding("a", "a").input("platform", "linux/amd64").input("until", "push");
    let mut stage = stage.input("labels", &format!("{REVISION}={OLD}\nteam=web"));
    stage.bring_engine(Kind::default()).await;
    insta::assert_snapshot!(stage.run("ship").await.words(), @r#"
    -> 0
    warning[SW-INPUT-INVALID]: label `org.opencontainers.image.revision` is not set as `labels` says
      why:  `labels` says "3f2a91c000000000000000000000000000000000", and 9f2c1e4 is built
            later runs take an image for the commit that this label names
      next: leave `org.opencontainers.image.revision` out of `labels`: slipway sets it
    "#);
    let engine = stage.engine();
    let inside: String = engine.images().iter().map(|image| engine.inside(image)).collect();
    assert!(inside.contains(&format!(r#""{REVISION}":"{NEW}""#)), "{inside}");
    assert!(inside.contains(r#""team":"web""#), "{inside}");
}

#[test]
fn a_context_that_is_an_address_is_no_folder() {
    let mut told = String::new();
    for address in
        ["https://github.com/acme/x.git", "https://me:s3cret@a.b/c", "git@github.com:acme/x.git"]
    {
        told += &typed(&["ship", "--context", address], WHOLE, &[]);
    }
    insta::assert_snapshot!(told, @r#"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `context` is "https://github.com/acme/x.git": nothing is built from an address: check it out, and write that folder
      now:  not looked at
      next: correct them on the command line, or in the environment
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `context` is not usable: nothing is built from an address: check it out, and write that folder
      now:  not looked at
      next: correct them on the command line, or in the environment
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `context` is "git@github.com:acme/x.git": nothing is built from an address: check it out, and write that folder
      now:  not looked at
      next: correct them on the command line, or in the environment
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_is_no_folder_is_what_is_told() {
    let stage = Stage::new().await.serving().holding("file", "a").input("until", "push");
    let mut stage = stage.input("platform", "linux/amd64");
    stage.bring_engine(Kind::default()).await;
    let mut told = String::new();
    for context in ["file", "nowhere"] {
        told += &stage.run_with("ship", &[("context", context)], &[]).await.words();
    }
    insta::assert_snapshot!(told, @"
    -> 3
    error[SW-BUILD-CONTEXT]: nothing was written: `./file` is no folder
      why:  a build context is the folder that a Dockerfile copies from
      now:  not looked at
      next: give the folder that it is in as `context`
    -> 3
    error[SW-BUILD-CONTEXT]: nothing was written: the build context `./nowhere` is not there
      why:  No such file or directory (os error 2)
      now:  not looked at
      next: correct `context`, or check the repository out before this step
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_meant_to_begin_in_the_context_is_told_how_it_is_written() {
    let stage = Stage::new().await.serving().holding("sub/Df", "FROM scratch\n");
    let mut stage = stage.input("until", "push").input("platform", "linux/amd64");
    stage.bring_engine(Kind::default()).await;
    let with = [("context", "sub"), ("file", "Df")];
    insta::assert_snapshot!(stage.run_with("ship", &with, &[]).await.words(), @"
    -> 3
    error[SW-BUILD-FILE]: nothing was written: `./Df` is not there
      why:  `.` has no file that looks like one
            `./sub/Df` is there; `file` does not begin in `context`
      now:  not looked at
      next: did you mean `file: sub/Df`?
    ");
    let stage = stage.holding("slipway.yml", "context: sub\nfile: Df\n").holding(".git/HEAD", "");
    let stage = stage.holding("deep/here", "");
    insta::assert_snapshot!(stage.run_in("deep", "ship", &[]).await.words(), @"
    -> 3
    error[SW-BUILD-FILE]: nothing was written: `./../Df` is not there
      why:  `./..` has no file that looks like one
            `./../sub/Df` is there; `file` does not begin in `context`
      now:  not looked at
      next: did you mean `file: sub/Df`?
    ");
    let other = [("context", "sub"), ("file", "Dx")];
    insta::assert_snapshot!(stage.run_with("ship", &other, &[]).await.words(), @"
    -> 3
    error[SW-BUILD-FILE]: nothing was written: `./Dx` is not there
      why:  `.` has no file that looks like one
      now:  not looked at
      next: name it in `file`, or name an image that exists in `image`
    ");
}

#[test]
fn a_switch_is_written_alone_or_with_an_equals_sign() {
    insta::assert_snapshot!(typed(&["ship", "--no-cache", "true"], WHOLE, &[]), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 1 input cannot be used
      why:  `no-cache` is a switch, with no word after it: write `--no-cache` or `--no-cache=true`
      now:  not looked at
      next: correct them on the command line, or in the environment
    ");
}

#[test]
fn names_of_other_tools_lead_to_the_inputs_that_are_meant() {
    let names =
        ["dockerfile", "build-arg", "tags", "push", "platforms", "secrets", "label", "load"];
    let mut variables = WHOLE.to_vec();
    let inputs: Vec<_> =
        names.iter().map(|n| format!("INPUT_{}", n.to_ascii_uppercase())).collect();
    variables.extend(inputs.iter().map(|variable| (variable.as_str(), "x")));
    variables.push(("GITHUB_ACTIONS", "true"));
    insta::assert_snapshot!(typed(&["ship"], &variables, &[]), @"
    -> 2
    ::add-mask::AKIAIOSFODNN7EXAMPLE
    ::add-mask::wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
    error[SW-INPUT-INVALID]: nothing was read or written: 8 inputs cannot be used
      why:  `build-arg` is no input: did you mean `build-args`?
            `dockerfile` is no input: did you mean `file`?
            `label` is no input: did you mean `labels`?
            `load` is no input: an image that is built stays in the engine, too
            `platforms` is no input: did you mean `platform`?
            `push` is no input: an image is pushed always; `until: push` ends the run with that
            `secrets` is no input: did you mean `build-secrets`?
            `tags` is no input: an image's tag is its commit
      now:  not looked at
      next: correct them in the step's `with:`
    ::error title=SW-INPUT-INVALID::nothing was read or written: 8 inputs cannot be used; not looked at
    ");
    let words = ["ship", "--push", "--tags", "a/b:c", "--dockerfile=Df", "--build-arg", "A=1"];
    let file = [("slipway.yml", "dockerfile: Df\nplatforms: linux/amd64\ndeployment: web\n")];
    insta::assert_snapshot!(typed(&words, WHOLE, &file), @"
    -> 2
    error[SW-INPUT-INVALID]: nothing was read or written: 7 inputs cannot be used
      why:  `push` is no input: an image is pushed always; `until: push` ends the run with that
            `tags` is no input: an image's tag is its commit
            `dockerfile` is no input: did you mean `file`?
            `build-arg` is no input: did you mean `build-args`?
            slipway.yml:1:1: `dockerfile` is no input: did you mean `file`?
            slipway.yml:2:1: `platforms` is no input: did you mean `platform`?
            slipway.yml:3:1: `deployment` is no input: did you mean `workload`?
      now:  not looked at
      next: correct them where they stand
    ");
}
