//! What would leave with an image that was given, and what an engine would leave out without a word.

use slipway_sandbox::engine::{Kind, Version};

use crate::stage::Stage;

/// Ships and tells what is said, and what serves then.
async fn told(stage: &Stage) -> String {
    let told = stage.run("ship").await;
    assert_eq!(stage.writes(), Vec::<String>::new());
    format!("{}{}", told.words(), stage.serves())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_environment_of_an_archive_is_found_before_it_leaves() {
    let image = Stage::new_image().variable("DB_PASSWORD", "kX8!vv2_Lq0z");
    let stage = Stage::new().await.serving().layout(&image).input("bake", "0s");
    let refused = stage.input("forbid-secrets", "true");
    insta::assert_snapshot!(told(&refused).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-SECRET]: nothing was written: a secret is in the image, for all who may pull it
      why:  the image's environment: `DB_PASSWORD` has a value
      now:  3f2a91c serves, 3/3 ready
      next: give steps what they need by `build-secrets`, and pods by a Secret
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_for_ssh_that_nobody_hands_in_is_said_before_the_build() {
    let mut stage = Stage::new().await.serving().input("image", "").input("bake", "0s");
    stage.bring_engine(Kind::default()).await;
    let file = |mount: &str| format!("FROM scratch AS a\nRUN --mount=type=ssh{mount} [\"/x\"]\n");
    let stage = stage.holding("Dockerfile", &file(",required=true"));
    insta::assert_snapshot!(stage.run("plan").await.refusal(), @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-FEATURE]: nothing would be written: a step mounts an agent for SSH, and slipway hands none in
      why:  `./Dockerfile` line 2: `--mount=type=ssh`
      now:  3f2a91c serves, 3/3 ready
      next: give it the key, or a token for HTTPS, by `build-secrets`
            or build with buildx, and give its archive as `image`
    ");
    let stage = stage.holding("Dockerfile", &file(""));
    insta::assert_snapshot!(stage.run("plan").await.refusal(), @"
    -> 0
    warning[SW-BUILD-FEATURE]: a step mounts an agent for SSH, and slipway hands none in
      why:  `./Dockerfile` line 2: `--mount=type=ssh`
      next: give it the key, or a token for HTTPS, by `build-secrets`
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    ");
    // No step on the way to the target mounts one.
    let stage = stage.holding("Dockerfile", &format!("{}FROM scratch\nCOPY . /\n", file("")));
    insta::assert_snapshot!(stage.run("plan").await.refusal(), @"
    -> 0
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    ");
}

/// A stage that builds with a time of its own.
async fn dated(engine: Kind) -> Stage {
    let stage = Stage::new().await.serving().holding("Dockerfile", "FROM scratch\nCOPY . .\n");
    let mut stage = stage.variable("SOURCE_DATE_EPOCH", "1795219200");
    stage.bring_engine(engine).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_the_builder_would_not_write_is_refused() {
    let old = Kind { version: Version::V20, ..Kind::default() };
    let stage = dated(old).await;
    insta::assert_snapshot!(told(&stage).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-FEATURE]: nothing was written: SOURCE_DATE_EPOCH needs Docker Engine 24, which is not there
      why:  Docker Engine 20.10.24+dfsg1, at unix://@FOLDER@/docker.sock
      now:  3f2a91c serves, 3/3 ready
      next: use Docker Engine 24 or later, or leave it out
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
    let before_buildkit = dated(Kind::default()).await.variable("DOCKER_BUILDKIT", "0");
    insta::assert_snapshot!(told(&before_buildkit).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-FEATURE]: nothing was written: SOURCE_DATE_EPOCH needs BuildKit, which is not there
      why:  Docker Engine 28.5.2+dfsg4, at unix://@FOLDER@/docker.sock; DOCKER_BUILDKIT is 0
      now:  3f2a91c serves, 3/3 ready
      next: leave DOCKER_BUILDKIT out of the environment
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
}

/// A stage that builds from a heredoc.
async fn with_heredoc(engine: Kind, first: &str) -> Stage {
    let file = format!("{first}FROM scratch\nCOPY <<end /page\nhello\nend\n");
    let mut stage = Stage::new().await.serving().holding("Dockerfile", &file);
    stage.bring_engine(engine).await;
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heredoc_that_the_engine_would_take_for_instructions_is_refused() {
    let old = || Kind { version: Version::V20, ..Kind::default() };
    insta::assert_snapshot!(told(&with_heredoc(old(), "").await).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-FEATURE]: nothing was written: line 2 of `./Dockerfile` opens a heredoc, which this engine cannot read
      why:  Docker Engine 20.10.24+dfsg1, at unix://@FOLDER@/docker.sock; Docker Engine 23 is the first that reads them by itself
      now:  3f2a91c serves, 3/3 ready
      next: begin `./Dockerfile` with the line `# syntax=docker/dockerfile:1`, or use Docker Engine 23 or later
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
    let off = with_heredoc(old(), "").await.variable("DOCKER_BUILDKIT", "0");
    insta::assert_snapshot!(told(&off).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-FEATURE]: nothing was written: line 2 of `./Dockerfile` opens a heredoc, which this engine cannot read
      why:  Docker Engine 20.10.24+dfsg1, at unix://@FOLDER@/docker.sock; Docker Engine 23 is the first that reads them by itself
      now:  3f2a91c serves, 3/3 ready
      next: leave DOCKER_BUILDKIT out of the environment, and begin `./Dockerfile` with the line `# syntax=docker/dockerfile:1`
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
    let new = with_heredoc(Kind::default(), "").await.variable("DOCKER_BUILDKIT", "0");
    insta::assert_snapshot!(told(&new).await, @"
    -> 3
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    error[SW-BUILD-FEATURE]: nothing was written: line 2 of `./Dockerfile` needs BuildKit, which is not there
      why:  Docker Engine 28.5.2+dfsg4, at unix://@FOLDER@/docker.sock; DOCKER_BUILDKIT is 0
      now:  3f2a91c serves, 3/3 ready
      next: leave DOCKER_BUILDKIT out of the environment
    web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready
    ");
    let fetched = with_heredoc(old(), "# syntax=docker/dockerfile:1\n").await;
    assert!(!told(&fetched).await.contains("heredoc"));
}
