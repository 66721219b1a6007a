//! The commit's status on GitHub.

use crate::stage::{NEW, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_ship_sets_the_commits_status_where_it_may() {
    let stage =
        Stage::new().await.serving().ships("good").on_github(12).variable("GITHUB_SHA", NEW);
    let told = stage.run("ship").await;
    assert_eq!(told.exit, 0, "{}{}", told.out, told.err);
    let statuses = stage.sandbox.world(|world| world.github.statuses.clone());
    let (sha, status) = statuses.first().unwrap();
    assert_eq!(
        (sha.as_str(), status["state"].as_str(), status["context"].as_str()),
        (NEW, Some("success"), Some("slipway"))
    );
    assert!(status["description"].as_str().unwrap().starts_with("shipped 9f2c1e4 to shop/web in "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_ship_is_a_failure_of_its_commit() {
    let stage =
        Stage::new().await.serving().ships("crash").on_github(12).variable("GITHUB_SHA", NEW);
    assert_eq!(stage.run("ship").await.exit, 5);
    let statuses = stage.sandbox.world(|world| world.github.statuses.clone());
    assert_eq!(statuses[0].1["state"], "failure");
    assert_eq!(
        statuses[0].1["description"],
        "`shop/web` was not updated to 9f2c1e4: container `app` exits with code 3"
    );
}
