//! Names that were meant for a stage, in a Dockerfile that is there: the words are recorded from engines 28 and 20.10.

use insta::assert_snapshot;
use tempfile::TempDir;

use super::causes::case;

/// What is told of this Dockerfile where a step of this name fails with these words.
fn reads(text: &str, step: &'static str, words: &str) -> String {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("Dockerfile");
    std::fs::write(&file, text).unwrap();
    let case = case(step).order(|order| {
        order.context = folder.path().into();
        order.file = file;
    });
    case.reads(words)
}

const LOAD: &str = "[internal] load metadata for docker.io/library/bsae:latest";
const DENIED: &str = "bsae: failed to resolve source metadata for docker.io/library/bsae:latest: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed";

#[test]
fn a_stage_that_is_written_wrongly_is_told_with_the_one_that_is_there() {
    let copies = "FROM scratch AS base\nFROM scratch\nCOPY --from=bsae \\\n  /bin/sh /\n";
    assert_snapshot!(reads(copies, LOAD, DENIED), @r#"
    [SW-BUILD-BASE]: `bsae` is no stage of `Dockerfile`, and no image that can be pulled
      why: `Dockerfile` line 3: "COPY --from=bsae /bin/sh /"
      why: no stage is called `bsae`, so it was taken for an image: docker.io asks for a login, or there is no such image
      why: the builder: "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"
      next: did you mean `--from=base`?
      next: or, if an image is meant: add a login for docker.io to the input `base-logins`
    "#);
    let begins = "FROM scratch AS base\nFROM bsae\n";
    assert_snapshot!(reads(begins, LOAD, DENIED), @r#"
    [SW-BUILD-BASE]: `bsae` is no stage of `Dockerfile`, and no image that can be pulled
      why: `Dockerfile` line 2: "FROM bsae"
      why: no stage is called `bsae`, so it was taken for an image: docker.io asks for a login, or there is no such image
      why: the builder: "pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"
      next: did you mean `FROM base`?
      next: or, if an image is meant: add a login for docker.io to the input `base-logins`
    "#);
    let mounts = "FROM scratch AS base\nFROM scratch\nRUN --mount=from=bsae,target=/x true\n";
    let unreached = "failed to load cache key: failed to do request: Head \"https://registry-1.docker.io/v2/library/bsae/manifests/latest\": dial tcp: lookup registry-1.docker.io: no such host";
    assert_snapshot!(reads(mounts, LOAD, unreached), @r#"
    [SW-BUILD-BASE]: `bsae` is no stage of `Dockerfile`, and no image that can be pulled
      why: `Dockerfile` line 3: "RUN --mount=from=bsae,target=/x true"
      why: no stage is called `bsae`, so it was taken for an image: the engine did not reach docker.io
      why: the builder: "failed to load cache key: failed to do request: Head "https://registry-1.docker.io/v2/library/bsae/manifests/latest": dial tcp: lookup registry-1.docker.io: no such host"
      next: did you mean `from=base`?
      next: or, if an image is meant: let the engine's machine reach docker.io, or name another registry in `from` of the mount
    "#);
}

#[test]
fn an_image_that_is_none_of_the_stages_is_told_with_them_where_it_may_be_one() {
    let step = "[internal] load metadata for docker.io/library/nginx:latest";
    let unreached = "failed to do request: Head \"https://registry-1.docker.io/v2/library/nginx/manifests/latest\": dial tcp: lookup registry-1.docker.io: no such host";
    assert_snapshot!(reads("FROM scratch AS build\nFROM scratch\nCOPY --from=nginx /a /\n", step, unreached), @r#"
    [SW-BUILD-BASE]: image `docker.io/library/nginx:latest` cannot be pulled
      why: `Dockerfile` line 3: "COPY --from=nginx /a /"
      why: no stage is called `nginx` (there is `build`), so it was taken for an image: the engine did not reach docker.io
      why: the builder: "failed to do request: Head "https://registry-1.docker.io/v2/library/nginx/manifests/latest": dial tcp: lookup registry-1.docker.io: no such host"
      next: let the engine's machine reach docker.io, or name another registry in `--from`
    "#);
    assert_snapshot!(reads("FROM scratch AS build\nFROM nginx\n", step, unreached), @r#"
    [SW-BUILD-BASE]: base image `docker.io/library/nginx:latest` cannot be pulled
      why: `Dockerfile` line 2: "FROM nginx"
      why: the engine did not reach docker.io
      why: the builder: "failed to do request: Head "https://registry-1.docker.io/v2/library/nginx/manifests/latest": dial tcp: lookup registry-1.docker.io: no such host"
      next: let the engine's machine reach docker.io, or name another registry in FROM
    "#);
    assert_snapshot!(reads("FROM scratch\nCOPY --from=nginx:latest /a /\n", step, unreached), @r#"
    [SW-BUILD-BASE]: image `docker.io/library/nginx:latest` cannot be pulled
      why: `Dockerfile` line 2: "COPY --from=nginx:latest /a /"
      why: the engine did not reach docker.io
      why: the builder: "failed to do request: Head "https://registry-1.docker.io/v2/library/nginx/manifests/latest": dial tcp: lookup registry-1.docker.io: no such host"
      next: let the engine's machine reach docker.io, or name another registry in `--from`
    "#);
}

#[test]
fn a_stage_by_a_number_that_none_has_is_told_with_its_line() {
    let text = "FROM scratch AS base\nFROM scratch\nFROM scratch\nCOPY --from=3 /bin/sh /\n";
    assert_snapshot!(reads(text, "", "invalid stage index 3"), @r#"
    [SW-BUILD-FILE]: `Dockerfile` line 4 copies from stage 3, and there is none
      why: `Dockerfile` line 4: "COPY --from=3 /bin/sh /"
      why: the stages before it: 0 is `base`, 1 has no name
      next: correct `--from`: stages are counted from 0
    "#);
    assert_snapshot!(reads("FROM scratch\nCOPY --from=1 /bin/sh /\n", "", "failed to solve with frontend dockerfile.v0: failed to create LLB definition: invalid stage index 1"), @r#"
    [SW-BUILD-FILE]: `Dockerfile` line 2 copies from stage 1, and there is none
      why: `Dockerfile` line 2: "COPY --from=1 /bin/sh /"
      why: no stage is before it
      next: correct `--from`: stages are counted from 0
    "#);
}
