//! Going back to a commit that was shipped as it is, from a changed tree, or both.

use serde_json::{Value, json};
use slipway_sandbox::kube::Play;

use crate::stage::{NEW, NEWER, OLD, Stage, Told};

/// Goes back by hand.
async fn back(stage: &Stage, to: &str) -> Told {
    stage.run_with("rollback", &[("to", to), ("commit", "")], &[]).await
}

/// [`NEW`] serves, after these were shipped: commit as it was tagged, and its image's content.
async fn after(shipped: &[(&str, &str)]) -> Stage {
    let stage = Stage::with(|world| {
        world.image("web", NEW, &Stage::new_image());
        for (tagged, content) in shipped {
            world.image("web", tagged, &slipway_sandbox::Image::new("linux/amd64", content));
        }
    })
    .await;
    let digest = Stage::new_image().digest();
    let mut notes = Stage::shipped(NEW, &digest, 4711);
    let mut history: Vec<Value> =
        serde_json::from_str(notes["slipway.dev/history"].as_str().unwrap()).unwrap();
    for (n, (tagged, content)) in shipped.iter().enumerate() {
        let mut entry = history[0].clone();
        entry["commit"] = json!(tagged);
        entry["digest"] = json!(slipway_sandbox::Image::new("linux/amd64", content).digest());
        entry["run"] = json!(format!("47{n}.1"));
        history.push(entry);
    }
    notes["slipway.dev/history"] = json!(json!(history).to_string());
    let kube = stage.kube();
    kube.node("ip-10-0-1-12", "amd64");
    kube.script(|_| true, Play::Recording("good"));
    let image = stage.reference(NEW, &digest);
    kube.deployment("shop", "web", "app", &image, 3)
        .with(json!({ "metadata": { "annotations": notes } }))
        .revision(17)
        .seed();
    stage.input("bake", "0s")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_shipped_both_clean_and_dirty_is_put_back_by_its_own_name() {
    let dirty = format!("{OLD}-dirty");
    let both = [(dirty.as_str(), "changed"), (OLD, "old")];
    let whole = after(&both).await;
    let told = back(&whole, OLD).await;
    insta::assert_snapshot!(told.ending(), @"shop/web is back at 3f2a91c in @s; 9f2c1e4 is withdrawn, newer commits ship as usual");
    insta::assert_snapshot!(whole.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!((told.exit, whole.note("commit").as_deref()), (0, Some(OLD)));
    let short = after(&both).await;
    let told = back(&short, &OLD[..7]).await;
    insta::assert_snapshot!(told.ending(), @"shop/web is back at 3f2a91c in @s; 9f2c1e4 is withdrawn, newer commits ship as usual");
    insta::assert_snapshot!(short.serves(), @"web:3f2a91c@sha256:17d4954971da, 3 updated, 3 ready");
    assert_eq!((told.exit, short.note("commit").as_deref()), (0, Some(OLD)));
    let changed = after(&both).await;
    let told = back(&changed, "3f2a91c-dirty").await;
    insta::assert_snapshot!(told.ending(), @"shop/web is back at 3f2a91c-dirty in @s; 9f2c1e4 is withdrawn, newer commits ship as usual");
    insta::assert_snapshot!(changed.serves(), @"web:3f2a91c000000000000000000000000000000000-dirty@sha256:8f6451c11a0d, 3 updated, 3 ready");
    assert_eq!((told.exit, changed.note("commit").as_deref()), (0, Some(dirty.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_shipped_only_dirty_is_put_back_by_that_name_alone() {
    let (dirty, whole) = (format!("{NEWER}-dirty"), NEWER);
    let stage = after(&[(dirty.as_str(), "changed")]).await;
    let told = back(&stage, &whole[..7]).await;
    insta::assert_snapshot!(told.ending(), @"
    error[SW-IMAGE-GONE]: nothing was written: no image of c77d0be itself is known here
      why:  only c77d0be-dirty was shipped, from a tree that differed from the commit
      now:  9f2c1e4 serves, 3/3 ready
      next: slipway rollback --to c77d0be-dirty, if that one is meant
    ");
    let again = back(&stage, whole).await;
    assert_eq!((told.exit, again.ending()), (3, told.ending()));
    assert_eq!(stage.writes(), [""; 0]);
    insta::assert_snapshot!(stage.serves(), @"web:9f2c1e4@sha256:406c22a70f42, 3 updated, 3 ready");
    let meant = back(&stage, "c77d0be-dirty").await;
    insta::assert_snapshot!(meant.ending(), @"shop/web is back at c77d0be-dirty in @s; 9f2c1e4 is withdrawn, newer commits ship as usual");
    assert_eq!(meant.exit, 0);
}
