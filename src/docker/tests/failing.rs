//! What users read of a build that the builder before BuildKit ends: the words are recorded from engines 28 and 20.10,
//! and from Podman.

use super::build::{built, order};
use super::{Reply, told};
use crate::docker::{Heard, Order, StepState};

const MAKING: &str =
    r#"{"stream":"Step 3/4 : RUN make   all\n1\n2\n3\n4\n\u001b[91mno rule\n\u001b[0mlast words"}"#;
const COPYING: &str = r#"{"stream":"Step 2/4 : COPY no.txt /\n"}"#;

/// What is told where a step says this and the engine then that: as 20.10 and 28 say it, and Podman.
async fn failing(cases: &[(&str, &str)]) -> String {
    let mut all = String::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("Dockerfile");
    let text = "FROM scratch\nCOPY no.txt /\nRUN make \\\n  all\nCOPY --from=0 /nix /\nFROM scratch AS base\nFROM scratch\nCOPY --from=bsae /bin/sh /\n";
    std::fs::write(&file, text).unwrap();
    let order = Order { context: folder.path().into(), file, ..order() };
    for (step, words) in cases {
        let error = serde_json::json!({ "errorDetail": { "message": words }, "error": words });
        let reply = Reply::lines(&[step, &error.to_string()]);
        let (server, built, heard) = built(&order, reply).await;
        if *step != "{}" {
            assert!(matches!(heard.last(), Some(Heard::Step { state: StepState::Failed, .. })));
        }
        let here = folder.path().display().to_string();
        all.push_str(&told(built.unwrap_err(), &server.address).replace(&here, "@@CONTEXT@@"));
        all.push_str("\n\n");
    }
    all
}

#[tokio::test]
async fn a_failing_step_is_told_with_its_line_and_what_it_wrote() {
    let all = failing(&[
        (MAKING, "The command '/bin/sh -c make   all' returned a non-zero code: 2"),
        (MAKING, "The command '/bin/sh -c make   all' returned a non-zero code: 137"),
        (MAKING, "Error response from daemon: something new"),
        (
            r#"{"stream":"STEP 3/4: RUN make all\nno rule\n"}"#,
            "error building at STEP \"RUN make all\": error while running runtime: exit status 2",
        ),
        (
            r#"{"stream":"Step 3/4 : RUN make   all\nlog: No space left on device\n"}"#,
            "The command '/bin/sh -c make   all' returned a non-zero code: 1",
        ),
    ]);
    insta::assert_snapshot!(all.await, @r#"
    SW-BUILD-STEP
    step 3/4 of `Dockerfile` exits with code 2
    `Dockerfile` line 3: "RUN make all"
    its last 5 lines:
    "2"
    "3"
    "4"
    "no rule"
    "last words"
    correct line 3 of `Dockerfile`, or what it runs

    SW-BUILD-STEP
    step 3/4 of `Dockerfile` exits with code 137
    `Dockerfile` line 3: "RUN make all"
    its last 5 lines:
    "2"
    "3"
    "4"
    "no rule"
    "last words"
    code 137 is a process that was killed: if its memory ran out, use a larger runner

    SW-BUILD-STEP
    step 3/4 of `Dockerfile` failed
    `Dockerfile` line 3: "RUN make all"
    Docker Engine 28.5.2 said: "Error response from daemon: something new"
    correct line 3 of `Dockerfile`, or what it runs

    SW-BUILD-STEP
    step 3/4 of `Dockerfile` exits with code 2
    `Dockerfile` line 3: "RUN make all"
    its last line: "no rule"
    correct line 3 of `Dockerfile`, or what it runs

    SW-BUILD-ENGINE
    step 3/4 of `Dockerfile` found the engine's disk full
    `Dockerfile` line 3: "RUN make all"
    its last line: "log: No space left on device"
    make room where the engine keeps its images: docker system prune
    "#);
}

#[tokio::test]
async fn colours_and_the_engines_own_notes_are_none_of_a_steps_words() {
    let all = failing(&[
        (
            r#"{"stream":"Step 3/4 : RUN make   all\n ---> Running in 0123\n\u001b[91moops\n\u001b[0mRemoving intermediate container 0123\n"}"#,
            "The command '/bin/sh -c make   all' returned a non-zero code: 1",
        ),
        (
            r#"{"stream":"\u001b[91m[WARNING]: Empty continuation line found in: RUN a\n\u001b[0mStep 1/2 : FROM ${HOST}/base\n"}"#,
            "Head \"https://h.example/v2/base/manifests/latest\": unauthorized: authentication required",
        ),
        (
            r#"{"stream":"Step 2/2 : ADD x.tar /\n"}"#,
            "ADD failed: Error processing tar file(exit status 1): archive/tar: invalid tar header",
        ),
        (
            r#"{"stream":"Step 2/2 : RUN apk add buildkit\n"}"#,
            "The command '/bin/sh -c apk add buildkit' returned a non-zero code: 4",
        ),
        (
            r#"{"stream":"Step 1/2 : from ghcr.io/acme/base\n"}"#,
            "net/http: request canceled while waiting for connection (Client.Timeout exceeded)",
        ),
    ]);
    insta::assert_snapshot!(all.await, @r#"
    SW-BUILD-STEP
    step 3/4 of `Dockerfile` exits with code 1
    `Dockerfile` line 3: "RUN make all"
    its last line: "oops"
    correct line 3 of `Dockerfile`, or what it runs

    SW-BUILD-BASE
    base image `${HOST}/base` cannot be pulled
    h.example asks for a login, or there is no such image
    Docker Engine 28.5.2 said: "Head "https://h.example/v2/base/manifests/latest": unauthorized: authentication required"
    add a login for h.example to the input `base-logins`

    SW-BUILD-STEP
    step 2/2 of `Dockerfile` failed
    "ADD x.tar /"
    Docker Engine 28.5.2 said: "ADD failed: Error processing tar file(exit status 1): archive/tar: invalid tar header"
    correct `Dockerfile`, or what it runs

    SW-BUILD-STEP
    step 2/2 of `Dockerfile` exits with code 4
    "RUN apk add buildkit"
    it wrote nothing
    Docker Engine 28.5.2 said: "The command '/bin/sh -c apk add buildkit' returned a non-zero code: 4"
    correct `Dockerfile`, or what it runs

    SW-BUILD-BASE
    base image `ghcr.io/acme/base` cannot be pulled
    the engine did not reach ghcr.io
    Docker Engine 28.5.2 said: "net/http: request canceled while waiting for connection (Client.Timeout exceeded)"
    let the engine's machine reach ghcr.io, or name another registry in FROM
    "#);
}

#[tokio::test]
async fn a_step_that_lacks_something_is_told_by_what() {
    let all = failing(&[
        (
            MAKING,
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"/bin/sh\": stat /bin/sh: no such file or directory: unknown",
        ),
        (
            COPYING,
            "COPY failed: file not found in build context or excluded by .dockerignore: stat no.txt: file does not exist",
        ),
        (
            r#"{"stream":"Step 2/4 : COPY ../x /\n"}"#,
            "COPY failed: forbidden path outside the build context: ../x ()",
        ),
        (
            r#"{"stream":"STEP 2/4: COPY no.txt /\n"}"#,
            "building at STEP \"COPY no.txt /\": checking on sources under \"/tmp/libpod_builder1731005890/build\": copier: stat: \"/no.txt\": no such file or directory",
        ),
        (
            r#"{"stream":"STEP 2/4: COPY *.jar /\n"}"#,
            "building at STEP \"COPY *.jar /\": checking on sources under \"/tmp/libpod_builder1731005890/build\": Rel: can't make relative to /tmp/libpod_builder1731005890/build; copier: stat: [\"/*.jar\"]: no such file or directory",
        ),
        (
            r#"{"stream":"Step 2/4 : COPY *.jar /\n"}"#,
            "COPY failed: no source files were specified",
        ),
        (
            r#"{"stream":"Step 4/4 : COPY --from=0 /nix /\n"}"#,
            "COPY failed: stat nix: file does not exist",
        ),
        (
            r#"{"stream":"Step 1/2 : FROM 127.0.0.1:1/no:1\n"}"#,
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused",
        ),
    ]);
    insta::assert_snapshot!(all.await, @r#"
    SW-BUILD-STEP
    step 3/4 of `Dockerfile` cannot start `/bin/sh`: it is not in its image
    `Dockerfile` line 3: "RUN make all"
    Docker Engine 28.5.2 said: "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown"
    correct line 3 of `Dockerfile`, or what it runs

    SW-BUILD-CONTEXT
    step 2/4 of `Dockerfile` finds no `no.txt` in the context
    `Dockerfile` line 2: "COPY no.txt /"
    the context is `@@CONTEXT@@`, which has no such file
    correct the path, which begins at the context, or make `no.txt` before the build

    SW-BUILD-CONTEXT
    step 2/4 of `Dockerfile` copies `../x`, which is outside of the context
    the context is `@@CONTEXT@@`, and nothing above it is sent
    move it into the context, or give a `context` that holds it and correct the paths in `Dockerfile`

    SW-BUILD-CONTEXT
    step 2/4 of `Dockerfile` finds no `no.txt` in the context
    `Dockerfile` line 2: "COPY no.txt /"
    the context is `@@CONTEXT@@`, which has no such file
    correct the path, which begins at the context, or make `no.txt` before the build

    SW-BUILD-CONTEXT
    step 2/4 of `Dockerfile` finds no `*.jar` in the context
    the context is `@@CONTEXT@@`, which has no such file
    correct the path, which begins at the context, or make `*.jar` before the build

    SW-BUILD-CONTEXT
    step 2/4 of `Dockerfile` finds no `*.jar` in the context
    the context is `@@CONTEXT@@`, which has no such file
    correct the path, which begins at the context, or make `*.jar` before the build

    SW-BUILD-STEP
    step 4/4 of `Dockerfile` failed
    `Dockerfile` line 5: "COPY --from=0 /nix /"
    Docker Engine 28.5.2 said: "COPY failed: stat nix: file does not exist"
    correct line 5 of `Dockerfile`, or what it runs

    SW-BUILD-BASE
    base image `127.0.0.1:1/no:1` cannot be pulled
    the engine did not reach 127.0.0.1:1
    Docker Engine 28.5.2 said: "Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused"
    let the engine's machine reach 127.0.0.1:1, or name another registry in FROM
    "#);
}

#[tokio::test]
async fn what_a_copy_takes_from_and_is_no_stage_is_told() {
    let copying = r#"{"stream":"Step 4/4 : COPY --from=0 /nix /\n"}"#;
    let slip = r#"{"stream":"Step 7/7 : COPY --from=bsae /bin/sh /\n"}"#;
    let cases = [
        (
            copying,
            "invalid from flag value ghcr.io/acme/tools:1: Get \"https://ghcr.io/v2/\": dial tcp: lookup ghcr.io: no such host",
        ),
        (
            slip,
            "invalid from flag value bsae: pull access denied for bsae, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
        ),
        (copying, "invalid from flag value 0: index out of bounds"),
    ];
    insta::assert_snapshot!(failing(&cases).await, @r#"
    SW-BUILD-BASE
    base image `ghcr.io/acme/tools:1` cannot be pulled
    `Dockerfile` line 5: "COPY --from=0 /nix /"
    the engine did not reach ghcr.io
    Docker Engine 28.5.2 said: "Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host"
    let the engine's machine reach ghcr.io, or name another registry in FROM

    SW-BUILD-BASE
    `bsae` is no stage of `Dockerfile`, and no image that can be pulled
    `Dockerfile` line 8: "COPY --from=bsae /bin/sh /"
    no stage is called `bsae`, so it was taken for an image: the login for docker.io in `base-logins` may not pull it, or there is no such image
    Docker Engine 28.5.2 said: "pull access denied for bsae, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
    did you mean `--from=base`?
    or, if an image is meant: correct the login for docker.io in `base-logins`

    SW-BUILD-FILE
    `Dockerfile` line 5 copies from stage 0, and there is none
    `Dockerfile` line 5: "COPY --from=0 /nix /"
    no stage is before it
    correct `--from`: stages are counted from 0
    "#);
}

#[tokio::test]
async fn what_is_wrong_with_a_build_as_a_whole_is_told() {
    let all = failing(&[
        (COPYING, "write /var/lib/docker/tmp/x: no space left on device"),
        (
            MAKING,
            "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/",
        ),
        (MAKING, "image with reference base was found but does not match the specified platform"),
        ("{}", "dockerfile parse error line 3: unknown instruction: RUM"),
    ]);
    insta::assert_snapshot!(all.await, @r#"
    SW-BUILD-ENGINE
    the engine's disk is full
    the builder: "write /var/lib/docker/tmp/x: no space left on device"
    make room where the engine keeps its images: docker system prune

    SW-BUILD-FEATURE
    this Dockerfile needs BuildKit
    Docker Engine 28.5.2 said: "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/"
    use a Docker Engine with BuildKit: every one since 18.09 has it

    SW-BUILD-PLATFORM
    the base is of another platform
    Docker Engine 28.5.2 said: "image with reference base was found but does not match the specified platform"
    name a base image that has this platform, and build with `pull`

    SW-BUILD-FILE
    `Dockerfile` cannot be used
    Docker Engine 28.5.2 said: "dockerfile parse error line 3: unknown instruction: RUM"
    correct `Dockerfile`
    "#);
}
