//! What a failed rollout is undone to, by what served before; and going back on purpose.

use serde_json::json;

use crate::scene::{Scene, Trouble};
use crate::stage::OLD;

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_still_means_what_runs_is_put_back_as_it_was() {
    let scene = Scene::serving().await.in_ecr("v1", "old").runs("v1").await;
    let scene = scene.ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_goes_back_to_the_digest_that_ran() {
    let scene = Scene::serving().await.in_ecr("latest", "old").runs("latest").await;
    let scene = scene.in_ecr("latest", "moved").ships(Trouble::Crash).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_rollout_the_last_whole_revision_is_put_back() {
    let scene = Scene::serving().await.ships(Trouble::Crash).await;
    let missing = format!(
        "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web@sha256:{}",
        "b".repeat(64)
    );
    let pods = json!({ "containers": [{ "name": "app", "image": missing }] });
    scene.written_by("kubectl-set", &json!({ "spec": { "template": { "spec": pods } } }));
    scene.until_pods(4).await;
    let told = scene.run("ship").await;
    insta::assert_snapshot!(scene.ends(&told), @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_goes_back_to_the_commit_before() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await;
    assert_eq!(scene.run("ship").await.exit, 0);
    let inputs = [("to", OLD), ("commit", ""), ("image", ""), ("allow", "")];
    let told = scene.run_with("rollback", &inputs).await;
    insta::assert_snapshot!(scene.talk(&told), @"");
    insta::assert_snapshot!(scene.serves(), @"");
    assert_eq!(told.exit, 0);
}
