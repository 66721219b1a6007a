//! Whether a commit may follow the newest one that was shipped here, by GitHub's comparison.

use crate::scene::{Scene, Trouble};
use crate::stage::OLD;

/// A run with a token that ships a commit of which GitHub says this.
async fn that_is(word: &str) -> Scene {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.on_github(12);
    scene.compares(word);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_ahead_ships_without_a_word() {
    let scene = that_is("ahead").await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 3 ready, run @NEW@
    ");
    assert!(!told.out.contains("warning["), "{}", told.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_behind_is_refused_and_ships_on_purpose() {
    let scene = that_is("behind").await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    error[SW-COMMIT-BEHIND]: nothing was written: 9f2c1e4 is behind 3f2a91c, the newest commit shipped here
      why:  by 1 commit (GitHub compare); run 4710 shipped 3f2a91c @ ago
      now:  3f2a91c serves, 3/3 ready
      next: nothing, if an old run was re-run; to go back: slipway rollback --to 9f2c1e4
    -> 3
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
    let scene = scene.input("allow", "SW-COMMIT-BEHIND");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.called(&told.words()), @"
    -> 0
    warning[SW-COMMIT-BEHIND]: 9f2c1e4 is behind 3f2a91c, the newest commit shipped here
      why:  by 1 commit (GitHub compare); run 4710 shipped 3f2a91c @ ago
      next: nothing: it is allowed
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(scene.serves(), @"web:9f2c1e4@@NEW@, 3 ready, run @NEW@");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_another_branch_is_warned_of() {
    let scene = that_is("diverged").await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.called(&told.words()), @"
    -> 0
    warning[SW-COMMIT-DIVERGED]: 9f2c1e4 and 3f2a91c, the newest commit shipped here, are on different branches
      why:  GitHub compare: diverged; run 4710 shipped 3f2a91c @ ago
      next: nothing, if 9f2c1e4 is meant to replace it
    shipped 9f2c1e4 to shop/web in @s
    ");
    insta::assert_snapshot!(scene.serves(), @"web:9f2c1e4@@NEW@, 3 ready, run @NEW@");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commit_that_serves_is_no_older_one() {
    let scene = that_is("identical").await.input("commit", OLD).input("image", "");
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"
    unchanged: 3f2a91c already serves in shop/web, 3/3 ready
    -> 0
    web:3f2a91c@@OLD@, 3 ready, run @OLD@
    ");
}
