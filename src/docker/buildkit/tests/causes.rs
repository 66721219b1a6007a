//! What users read of what builders said: the words are recorded from engines 28 and 20.10.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::protobuf::Any;
use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1::Vertex;
use insta::assert_snapshot;
use prost::Message as _;
use serde_json::json;
use tempfile::TempDir;
use tonic::{Code, Status};

use super::{order, told, vertex, wrote};
use crate::docker::Order;
use crate::docker::buildkit::lines::Masks;
use crate::docker::buildkit::progress::Progress;
use crate::docker::buildkit::wrong::Ended;

const DOCKERFILE: &str = "FROM scratch AS build\nCOPY pom.xml \\\n  /src/\nRUN mvn package\n";

/// A build that failed with these words, in the step of this name.
pub(super) struct Case {
    order: Order,
    step: &'static str,
    wrote: &'static str,
    missing: Vec<String>,
    /// As engine 28 tells it: the line of the Dockerfile, from and to.
    lines: Option<(u32, u32)>,
}

pub(super) fn case(step: &'static str) -> Case {
    Case { order: order(), step, wrote: "", missing: Vec::new(), lines: None }
}

impl Case {
    fn wrote(mut self, text: &'static str) -> Self {
        self.wrote = text;
        self
    }

    pub(super) fn lines(mut self, from: u32, to: u32) -> Self {
        self.lines = Some((from, to));
        self
    }

    pub(super) fn order(mut self, change: impl FnOnce(&mut Order)) -> Self {
        change(&mut self.order);
        self
    }

    /// The failure as lines.
    pub(super) fn reads(self, words: &str) -> String {
        let mut progress = Progress::new(Masks::of(&self.order));
        if !self.step.is_empty() {
            let began = vertex(self.step, Some(0), None);
            progress.take(told(vec![began.clone()]));
            progress.take(wrote(self.step, self.wrote));
            let failed = Vertex { error: words.into(), ..vertex(self.step, Some(0), Some(1)) };
            progress.take(told(vec![failed]));
        }
        let status = Status::with_details(Code::Unknown, words, self.details().into());
        let ended = Ended { order: &self.order, progress: &progress, missing: &self.missing };
        let failure = ended.failure(&status);
        let mut text = format!("[{}]: {}", failure.code, failure.what);
        let lines = failure.why.iter().map(|line| ("why", line));
        for (word, line) in lines.chain(failure.next.iter().map(|line| ("next", line))) {
            write!(text, "\n  {word}: {line}").unwrap();
        }
        text
    }

    fn details(&self) -> Vec<u8> {
        let Some((from, to)) = self.lines else { return Vec::new() };
        let any = |kind: &str, value: serde_json::Value| Any {
            type_url: format!("github.com/moby/buildkit/errdefs.{kind}+json"),
            value: value.to_string().into_bytes(),
        };
        let source = json!({
            "info": {"filename": "Dockerfile", "data": STANDARD.encode(DOCKERFILE)},
            "ranges": [{"start": {"line": from}, "end": {"line": to}}],
        });
        let details = vec![any("Source", source), any("Vertex", json!({"digest": self.step}))];
        rpc::Status { code: 2, message: String::new(), details }.encode_to_vec()
    }
}

#[test]
fn a_step_that_fails_is_named_with_its_line_and_its_last_words() {
    let case = case("[build 2/2] RUN mvn package")
        .wrote("[INFO] a\n\n[ERROR] Failed to execute goal\n[ERROR] -> [Help 1]\n")
        .lines(4, 4);
    assert_snapshot!(case.reads("process \"/bin/sh -c mvn package\" did not complete successfully: exit code: 1"), @r#"
    [SW-BUILD-STEP]: step 2/2 of stage `build` of `Dockerfile` exits with code 1
      why: `Dockerfile` line 4: "RUN mvn package"
      why: its last 3 lines:
      why: "[INFO] a"
      why: "[ERROR] Failed to execute goal"
      why: "[ERROR] -> [Help 1]"
      next: correct line 4 of `Dockerfile`, or what it runs
    "#);
}

#[test]
fn an_old_builder_names_no_line_and_it_is_looked_up() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("Dockerfile");
    std::fs::write(&file, DOCKERFILE).unwrap();
    let case = case("[build 2/2] RUN mvn package").order(|order| {
        order.context = folder.path().into();
        order.file = file;
    });
    assert_snapshot!(case.reads("executor failed running [/bin/sh -c mvn package]: exit code: 137"), @r#"
    [SW-BUILD-STEP]: step 2/2 of stage `build` of `Dockerfile` exits with code 137
      why: `Dockerfile` line 4: "RUN mvn package"
      why: it wrote nothing
      next: code 137 is a process that was killed: if its memory ran out, use a larger runner
    "#);
}

#[test]
fn a_program_that_is_not_in_the_image_is_named() {
    let case = case("[linux/arm64 2/2] RUN [\"/bin/x\"]").wrote(
        "runc run failed: unable to start container process: exec: \"/bin/x\": stat /bin/x: no such file or directory\n",
    );
    assert_snapshot!(case.reads("process \"/bin/x\" did not complete successfully: exit code: 1"), @r#"
    [SW-BUILD-STEP]: step 2/2 of `Dockerfile` for linux/arm64 cannot start `/bin/x`: it is not in its image
      why: its last line: "runc run failed: unable to start container process: exec: "/bin/x": stat /bin/x: no such file or directory"
      next: correct `Dockerfile`, or what it runs
    "#);
}

#[test]
fn emulation_that_is_missing_has_its_own_sentence() {
    let case = case("[2/2] RUN echo").wrote("exec /bin/sh: exec format error\n").lines(4, 4);
    let case = case.order(|order| order.platforms = vec!["linux/arm64".parse().unwrap()]);
    assert_snapshot!(case.reads("process \"/bin/sh -c echo\" did not complete successfully: exit code: 1"), @r#"
    [SW-PLATFORM-EMULATION]: step 2/2 of `Dockerfile` runs a program that is not for this engine's machine
      why: `Dockerfile` line 4: "RUN mvn package"
      why: its last line: "exec /bin/sh: exec format error"
      why: the image is built for linux/arm64
      next: build it on a runner of that platform, then slipway index; or add docker/setup-qemu-action before this step
    "#);
}

#[test]
fn a_secret_that_a_step_needs_is_named() {
    let given = |order: &mut Order| {
        order.secrets.insert("npm".into(), "hunter22".into());
    };
    let new = case("[2/2] RUN --mount=type=secret,id=token,required=true x").order(given);
    assert_snapshot!(new.reads("secret token: not found"), @"
    [SW-BUILD-STEP]: step 2/2 of `Dockerfile` needs secret `token`, which was not given
      why: given by `build-secrets`: `npm`
      next: build-secrets: token=VARIABLE   where VARIABLE holds it
    ");
    let old = case("[2/2] RUN --mount=type=secret,id=token,required=true x").order(given);
    assert_snapshot!(old.reads("secret token not found: not found"), @"
    [SW-BUILD-STEP]: step 2/2 of `Dockerfile` needs secret `token`, which was not given
      why: given by `build-secrets`: `npm`
      next: build-secrets: token=VARIABLE   where VARIABLE holds it
    ");
    let mut optional = case("[2/2] RUN --mount=type=secret,id=token cat /run/secrets/token")
        .wrote("cat: can't open '/run/secrets/token'\nhunter22\n")
        .order(given);
    optional.missing = vec!["token".into()];
    assert_snapshot!(optional.reads("process \"cat hunter22\" did not complete successfully: exit code: 1"), @r#"
    [SW-BUILD-STEP]: step 2/2 of `Dockerfile` exits with code 1
      why: its last 2 lines:
      why: "cat: can't open '/run/secrets/token'"
      why: "***"
      why: it may have looked for secret `token`, which is not in `build-secrets`
      next: give it to the step: `build-secrets: token=VARIABLE`
    "#);
}

#[test]
fn a_file_that_is_not_sent_is_named() {
    let new = case("[1/2] COPY pom.xml /src/").lines(2, 3);
    assert_snapshot!(new.reads("failed to compute cache key: failed to calculate checksum of ref a::b: \"/pom.xml\": not found"), @r#"
    [SW-BUILD-CONTEXT]: step 1/2 of `Dockerfile` finds no `pom.xml` in the context
      why: `Dockerfile` line 2: "COPY pom.xml /src/"
      why: the context is `/src`, which has no such file
      next: correct the path, which begins at the context, or make `pom.xml` before the build
    "#);
    let old = case("[1/2] COPY pom.xml /src/");
    assert_snapshot!(old.reads("failed to compute cache key: \"/pom.xml\" not found: not found"), @"
    [SW-BUILD-CONTEXT]: step 1/2 of `Dockerfile` finds no `pom.xml` in the context
      why: the context is `/src`, which has no such file
      next: correct the path, which begins at the context, or make `pom.xml` before the build
    ");
    let other = case("[stage-1 1/2] COPY --from=build /app /");
    assert_snapshot!(other.reads("failed to compute cache key: failed to calculate checksum of ref a::b: \"/app\": not found"), @"
    [SW-BUILD-STEP]: step 1/2 of `Dockerfile` finds no `/app` in `build`
      next: correct the path, or let `build` make it
    ");
}

#[test]
fn a_frontend_that_cannot_be_had_may_be_left_out() {
    let case = case("resolve image config for docker-image://docker.io/docker/dockerfile:1");
    let words = "failed to resolve source metadata for docker.io/docker/dockerfile:1: failed to do request: Head \"https://registry-1.docker.io/v2/docker/dockerfile/manifests/1\": dial tcp: lookup registry-1.docker.io: no such host";
    assert_snapshot!(case.reads(words), @r#"
    [SW-BUILD-BASE]: the frontend `docker.io/docker/dockerfile:1` cannot be pulled
      why: the engine did not reach docker.io
      why: the builder: "failed to do request: Head "https://registry-1.docker.io/v2/docker/dockerfile/manifests/1": dial tcp: lookup registry-1.docker.io: no such host"
      next: let the engine's machine reach docker.io, or name another registry in `# syntax=`
      next: or leave out `# syntax=`: the engine has a frontend of its own
    "#);
}

#[test]
fn a_dockerfile_that_cannot_be_used_is_told_with_its_line() {
    assert_snapshot!(case("").lines(4, 4).reads("dockerfile parse error on line 4: unknown instruction: RUNN (did you mean RUN?)"), @r#"
    [SW-BUILD-FILE]: `Dockerfile` line 4 cannot be used
      why: `Dockerfile` line 4: "RUN mvn package"
      why: the builder: "unknown instruction: RUNN (did you mean RUN?)"
      next: correct line 4 of `Dockerfile`
    "#);
    assert_snapshot!(case("").reads("failed to solve with frontend dockerfile.v0: failed to create LLB definition: the Dockerfile cannot be empty"), @"
    [SW-BUILD-FILE]: `Dockerfile` is empty
      next: write what the image is made of into it
    ");
    assert_snapshot!(case("").reads("failed to read dockerfile: open Dockerfile: no such file or directory"), @"
    [SW-BUILD-FILE]: `Dockerfile` is not there
      why: the context is `/src`
      next: write it, or say where it is: `file: PATH`
    ");
    let target = case("").order(|order| order.target = Some("fianl".into()));
    assert_snapshot!(target.reads("target stage \"fianl\" could not be found (did you mean final?)"), @r#"
    [SW-BUILD-FILE]: `Dockerfile` has no stage `fianl`
      why: the builder: "target stage "fianl" could not be found (did you mean final?)"
      next: correct `target`, or name a stage so: FROM ... AS fianl
    "#);
    assert_snapshot!(case("").reads("base name ($BASE) should not be blank"), @r#"
    [SW-BUILD-FILE]: `Dockerfile` cannot be used
      why: the builder: "base name ($BASE) should not be blank"
      next: correct `Dockerfile`
    "#);
}

#[test]
fn an_engine_that_goes_away_or_is_full_is_told_as_such() {
    assert_snapshot!(case("[2/2] RUN make").reads("failed to copy: write /var/lib/docker/x: no space left on device"), @r#"
    [SW-BUILD-ENGINE]: the engine's disk is full
      why: the builder: "failed to copy: write /var/lib/docker/x: no space left on device"
      next: make room where the engine keeps its images: docker system prune
    "#);
    let full = case("[2/2] RUN make").wrote("cc: No space left on device\n");
    assert_snapshot!(full.reads("process \"make\" did not complete successfully: exit code: 1"), @r#"
    [SW-BUILD-ENGINE]: step 2/2 of `Dockerfile` found the engine's disk full
      why: its last line: "cc: No space left on device"
      next: make room where the engine keeps its images: docker system prune
    "#);
    assert_snapshot!(case("[2/2] RUN make").reads("process \"make\": context canceled"), @r#"
    [SW-BUILD-ENGINE]: the engine ended the build before it was done
      why: the last that was heard: "process "make": context canceled"
      next: look why the engine stopped: journalctl -u docker; then run this again
    "#);
    assert_snapshot!(case("[2/2] RUN make").reads("something new"), @r#"
    [SW-BUILD-STEP]: step 2/2 of `Dockerfile` failed
      why: the builder: "something new"
      next: act on the builder's words; the lines before them are in the log of this step
    "#);
    assert_snapshot!(case("exporting to image").reads("something else"), @r#"
    [SW-BUILD-STEP]: step `exporting to image` failed
      why: the builder: "something else"
      next: act on the builder's words; the lines before them are in the log of this step
    "#);
}

#[test]
fn a_file_is_missed_in_what_its_own_mount_is_from() {
    let words = "failed to compute cache key: failed to calculate checksum of ref a::b: \"/gone\": not found";
    let mounts =
        "--mount=type=bind,from=build,source=/b,target=/b --mount=type=bind,source=gone,target=/x";
    let of_the_context =
        case(format!("[stage-1 1/2] RUN {mounts} tool --from=main").leak()).reads(words);
    assert!(of_the_context.contains("finds no `gone` in the context"), "{of_the_context}");
    let mounts =
        "--mount=type=bind,source=other --mount=type=bind,from=build,source=/gone,target=/x";
    let of_a_stage = case(format!("[stage-1 1/2] RUN {mounts} tool").leak()).reads(words);
    assert!(of_a_stage.contains("finds no `/gone` in `build`"), "{of_a_stage}");
}

#[test]
fn a_command_that_quotes_other_words_is_told_by_its_exit_code_alone() {
    let case = case("[2/2] RUN report").wrote("done\n");
    let words = "process \"/bin/sh -c report 'no space left on device' 'failed to compute cache key: \"a\"' 'context canceled'\" did not complete successfully: exit code: 3";
    assert_snapshot!(case.reads(words), @r#"
    [SW-BUILD-STEP]: step 2/2 of `Dockerfile` exits with code 3
      why: its last line: "done"
      next: correct `Dockerfile`, or what it runs
    "#);
}
