//! The thinnest line: a good commit, the same again, one that crashes.

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_commit_is_shipped_and_then_unchanged() {
    let stage = Stage::new().await.serving().ships("good");
    let told = stage.run("ship").await;
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
      watch     20s at most, then 1s without a restart
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17 -> 18
    watch
      +@s   baked 1s: 0 restarts, 3/3 pods run sha256:406c22a70f42
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
    assert_eq!(told.exit, 0);
    let again = stage.run("ship").await;
    insta::assert_snapshot!(again.err.lines().last().unwrap_or_default(), @"unchanged: 9f2c1e4 already serves in shop/web, 3/3 ready");
    assert_eq!(again.exit, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_commit_is_explained_and_rolled_back() {
    let stage = Stage::new().await.serving().ships("crash");
    let told = stage.run("ship").await;
    insta::assert_snapshot!(told.blocks(), @r#"
    warning[SW-COMMIT-UNKNOWN]: nothing tells whether 9f2c1e4 is newer than 3f2a91c, the newest commit shipped here
      why:  no answer from GitHub compare, no push @ after it, no run number of one workflow; run 4710 shipped 3f2a91c @ ago
      next: nothing, if it is newer; `github-token` with `contents: read` lets the next run tell
    push     @s  sha256:406c22a70f42, 1 layer new (2 kB)
    clear    @s  unchanged since the plan, dry run accepted
    deploy   @s  generation 17 -> 18
    watch
    evidence: web-@HASH@-@POD@, previous container, last lines
    | boom: cannot connect to db
    restore  @s  3f2a91c serves again, 3/3 ready
    error[SW-CRASH-EXIT]: `shop/web` was not updated to 9f2c1e4: container `app` exits with code 3
      why:  its last line: "boom: cannot connect to db"; @ new pods, @ exits
      now:  rolled back: 3f2a91c serves, 3/3 ready, digest checked
      next: push a fix;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    "#);
    insta::assert_snapshot!(stage.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!(told.exit, 5);
}
