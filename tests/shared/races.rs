//! Who else writes while a run is under way: a second one, an autoscaler.

use crate::scene::{Scene, Trouble};

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_run_takes_over_and_the_older_one_ends_well() {
    let scene = Scene::serving().await.ships(Trouble::NeverReady).await.on_github(12).and_newer();
    let mut going = scene.start("ship");
    going.until("0/3 new").await;
    let newer = scene.newer_run().await;
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @"
    notice[SW-RUN-SUPERSEDED]: 9f2c1e4 was superseded: run 4713 set c77d0be, which is newer, @ after this patch
      now:  c77d0be rolls out under run 4713; nothing was rolled back
    -> 0
    web:c77d0be@@NEWER@, 3 ready, run @NEWER@
    ");
    insta::assert_snapshot!(scene.ends(&newer), @"
    shipped c77d0be to shop/web in @s
    -> 0
    web:c77d0be@@NEWER@, 3 ready, run @NEWER@
    ");
}

/// A run that is held still after its plan, while a newer one ships; what it says when it goes on.
async fn overtaken(scene: &Scene) -> String {
    // So that it is far from its clearance when it is stopped.
    scene.slow_push();
    let mut going = scene.start("ship");
    going.until("watch  ").await;
    going.signal("STOP").await;
    let newer = scene.newer_run().await;
    assert_eq!(newer.exit, 0, "{}{}", newer.out, newer.err);
    scene.compares("behind");
    going.signal("CONT").await;
    let told = scene.end(going).await;
    scene.ends(&told)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_run_is_stopped_at_the_gate_by_a_newer_one() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.on_github(12).and_newer();
    insta::assert_snapshot!(overtaken(&scene).await, @"
    error[SW-COMMIT-BEHIND]: nothing was deployed: 9f2c1e4 is behind c77d0be, the newest commit shipped here
      why:  by 1 commit (GitHub compare); run 4713 shipped c77d0be @ ago
      now:  c77d0be serves, 3/3 ready
      next: nothing, if an old run was re-run; to go back: slipway rollback --to 9f2c1e4
    -> 4
    web:c77d0be@@NEWER@, 3 ready, run @NEWER@
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_at_work_in_a_rollout_keeps_the_number_of_replicas() {
    let scene = Scene::serving().await.ships(Trouble::Nothing).await.input("bake", "5s");
    let mut going = scene.start("ship");
    going.until("deploy ").await;
    scene.autoscaled().await;
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @"
    shipped 9f2c1e4 to shop/web in @s
    -> 0
    web:9f2c1e4@@NEW@, 5 ready, run @NEW@
    ");
    insta::assert_snapshot!(scene.replicas(), @r#"5 by ["kube-controller-manager"]"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_leaves_the_number_of_replicas_to_the_autoscaler() {
    let scene = Scene::serving().await.ships(Trouble::NeverReady).await.input("timeout", "10s");
    let mut going = scene.start("ship");
    going.until("0/3 new").await;
    scene.autoscaled().await;
    let told = scene.end(going).await;
    insta::assert_snapshot!(scene.ends(&told), @r#"
    error[SW-PROBE-READY]: `shop/web` was not updated to 9f2c1e4 in 10s: container `app` runs, but its readiness probe does not pass
      why:  kubelet on node-1, for @s: "Readiness probe failed: Get "http://@ADDRESS@:8080/": dial tcp @ADDRESS@:8080: connect: connection refused"; @/3 new pods
      now:  rolled back: 3f2a91c serves, 5/5 ready, digest checked
      next: let it listen on all addresses for GET / on 8080, or correct the probe;
            9f2c1e4 ships again only with `allow: SW-IMAGE-WITHDRAWN`
    -> 5
    web:3f2a91c@@OLD@, 5 ready, run @OLD@
    "#);
    insta::assert_snapshot!(scene.replicas(), @r#"5 by ["kube-controller-manager"]"#);
}
