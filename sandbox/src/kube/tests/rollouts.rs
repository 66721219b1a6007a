//! The model, where something must react: checked against what the recordings show of the same situation.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::json::{number, text};
use super::super::tape::Tape;
use super::super::{Kube, Play, Speed, pods};
use super::{WEB, cluster, get, image, json_patch, set_image, settle};

/// What of an object a user sees change during a rollout, or nothing for kinds that are not followed.
fn state_of(object: &Value) -> Option<String> {
    let of = |pointer: &str| number(object, pointer);
    let kind = text(object, "/kind");
    Some(match kind {
        "ReplicaSet" => format!("asks for {}", of("/spec/replicas")),
        "Pod" if object.pointer("/metadata/deletionTimestamp").is_some() => "leaving".to_owned(),
        "Pod" if pods::is(object, "Ready") => "ready".to_owned(),
        "Pod" => "coming".to_owned(),
        "Deployment" => {
            let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
            let counts = counts.map(|c| of(&format!("/status/{c}")).to_string()).join(" ");
            let behind = of("/metadata/generation") - of("/status/observedGeneration");
            format!("{counts}{}", if behind > 0 { " behind" } else { "" })
        }
        _ => return None,
    })
}

/// The states that each object passed through, without repetitions, by what it is: a set, or a set's nth pod.
#[derive(Default)]
struct Story {
    roles: BTreeMap<String, String>,
    states: BTreeMap<String, Vec<String>>,
    whole: Vec<String>,
}

impl Story {
    fn see(&mut self, object: &Value) {
        let Some(state) = state_of(object) else { return };
        let (kind, name) = (text(object, "/kind"), text(object, "/metadata/name"));
        let owner = text(object, "/metadata/ownerReferences/0/name");
        let family = match kind {
            "Pod" => self.roles.get(owner).map_or("the old set's pod", |role| {
                if role == "replica set 1" { "the old set's pod" } else { "the new set's pod" }
            }),
            "ReplicaSet" => "replica set",
            _ => "deployment",
        };
        let next = self.roles.values().filter(|role| role.starts_with(family)).count() + 1;
        let role = self.roles.entry(name.to_owned()).or_insert(format!("{family} {next}")).clone();
        let states = self.states.entry(role.clone()).or_default();
        if states.last() != Some(&state) {
            states.push(state.clone());
            self.whole.push(format!("{role}: {state}"));
        }
    }

    /// The order in which sets were scaled, and pods of the new set became ready and old ones left.
    fn milestones(&self) -> Vec<&str> {
        let told = |line: &&String| !line.starts_with("deployment") && !line.ends_with("coming");
        // Old pods are told apart by nothing that a user can see.
        self.whole
            .iter()
            .filter(told)
            .map(
                |line| {
                    if line.starts_with("the old") { "an old pod leaves" } else { line.as_str() }
                },
            )
            .collect()
    }

    /// The deployment's counts, in their order, without what only lasted until the controller's next look.
    fn counts(&self) -> Vec<&str> {
        let all = self.states.get("deployment 1").map(Vec::as_slice).unwrap_or_default();
        all.iter().map(String::as_str).filter(|counts| !counts.ends_with("behind")).collect()
    }
}

fn recorded(name: &str) -> Story {
    let tape = Tape::named(name).unwrap();
    let mut story = Story::default();
    story
        .roles
        .insert(text(&tape.old_set, "/metadata/name").to_owned(), "replica set 1".to_owned());
    tape.rows.iter().for_each(|row| story.see(&row.object));
    story
}

struct Watched {
    kube: Kube,
    version: u64,
    old_set: String,
}

impl Watched {
    fn new(kube: Kube) -> Self {
        let version = kube.inner.lock().store.version();
        let old_set = text(&kube.objects("ReplicaSet", "shop")[0], "/metadata/name").to_owned();
        Self { kube, version, old_set }
    }

    fn story(&self) -> Story {
        let mut story = Story::default();
        story.roles.insert(self.old_set.clone(), "replica set 1".to_owned());
        for change in self.kube.inner.lock().store.since(self.version).unwrap() {
            story.see(&change.after);
        }
        story
    }
}

fn image_owner(deployment: &Value) -> &str {
    let entries = deployment["metadata"]["managedFields"].as_array().unwrap();
    let owns = |e: &&Value| e["fieldsV1"].to_string().contains("\"f:image\":");
    text(entries.iter().find(owns).unwrap(), "/manager")
}

fn after(seconds: f64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_secs_f64(seconds))
}

#[tokio::test(start_paused = true)]
async fn the_model_rolls_out_as_recorded() {
    let watched = Watched::new(cluster(Speed::Times(1.0), 3));
    json_patch(&watched.kube, WEB, set_image(&image("case:new"))).await;
    settle().await;
    let (recorded, played) = (recorded("good"), watched.story());
    assert_eq!(played.milestones(), recorded.milestones());
    let end = ["4 3 4 4", "3 3 3 3"];
    assert_eq!(&played.counts()[played.counts().len() - 2..], end);
    assert_eq!(&recorded.counts()[recorded.counts().len() - 2..], end);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_in_the_middle_of_a_crash_goes_as_recorded() {
    let watched = Watched::new(cluster(Speed::Times(1.0), 3));
    watched.kube.script(|image| image.ends_with("case:new"), Play::Recording("crash"));
    json_patch(&watched.kube, WEB, set_image(&image("case:new"))).await;
    after(8.1).await;
    json_patch(&watched.kube, WEB, set_image(&image("order-backend:v1"))).await;
    settle().await;
    let (recorded, played) = (recorded("crash-then-rollback"), watched.story());
    assert_eq!(played.milestones(), recorded.milestones());
    assert_eq!(played.milestones().last(), Some(&"the new set's pod 1: leaving"));
    assert_eq!(played.counts().last(), Some(&"3 3 3 3"));
    let sets = watched.kube.objects("ReplicaSet", "shop");
    assert_eq!(sets.len(), 2, "the old set serves again, no third one is made");
    assert_eq!(watched.kube.objects("Pod", "shop").len(), 3);
    let web = watched.kube.object("Deployment", "shop", "web").unwrap();
    let revision = "/metadata/annotations/deployment.kubernetes.io~1revision";
    assert_eq!(text(&web, revision), "3");
}

#[tokio::test(start_paused = true)]
async fn a_second_writer_takes_over_as_recorded() {
    let watched = Watched::new(cluster(Speed::Times(1.0), 3));
    json_patch(&watched.kube, WEB, set_image(&image("case:new"))).await;
    after(0.9).await;
    let old = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "web", "image": image("order-backend:v1") }] } } } });
    watched.kube.write("argocd-controller", "Deployment", "shop", "web", &old).unwrap();
    settle().await;
    let (recorded, played) = (recorded("taken-over"), watched.story());
    assert_eq!(played.milestones(), recorded.milestones());
    assert_eq!(played.counts().last(), recorded.counts().last());
    let web = watched.kube.object("Deployment", "shop", "web").unwrap();
    assert_eq!(image_owner(&web), "argocd-controller");
}

#[tokio::test(start_paused = true)]
async fn a_recorded_second_writer_takes_over_by_itself() {
    let kube = cluster(Speed::Times(5.0), 3);
    kube.script(|image| image.ends_with(":new"), Play::Recording("taken-over"));
    json_patch(&kube, WEB, set_image(&image("case:new"))).await;
    settle().await;
    let (_, web) = get(&kube, WEB).await;
    assert_eq!(text(&web, "/spec/template/spec/containers/0/image"), image("order-backend:v1"));
    assert_eq!(
        (&web["metadata"]["generation"], image_owner(&web)),
        (&json!(3), "argocd-controller")
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollback_under_recreate_brings_the_old_pods_back() {
    let kube = Kube::new(Speed::Times(1.0));
    let recreate = json!({ "spec": { "strategy": { "type": "Recreate", "rollingUpdate": null } } });
    kube.deployment("shop", "web", "web", &image("order-backend:v1"), 2).with(recreate).seed();
    kube.script(|image| image.ends_with(":bad"), Play::Recording("tag-not-found"));
    json_patch(&kube, WEB, set_image(&image("order-backend:bad"))).await;
    after(20.0).await;
    let pods = kube.objects("Pod", "shop");
    let waits = |p: &Value| text(p, "/status/containerStatuses/0/state/waiting/reason").to_owned();
    assert_eq!(pods.iter().map(waits).collect::<Vec<_>>(), ["ImagePullBackOff"; 2]);
    let (_, web) = get(&kube, WEB).await;
    assert_eq!(text(&web, "/status/conditions/0/status"), "False", "an outage: {}", web["status"]);
    json_patch(&kube, WEB, set_image(&image("order-backend:v1"))).await;
    settle().await;
    let (_, web) = get(&kube, WEB).await;
    assert_eq!(number(&web, "/status/availableReplicas"), 2);
    assert_eq!(number(&web, "/status/replicas"), 2);
    assert_eq!(kube.objects("Pod", "shop").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_was_held_goes_on_from_where_it_was() {
    let kube = cluster(Speed::Times(0.001), 2);
    json_patch(&kube, WEB, set_image(&image("order-backend:v2"))).await;
    after(60.0).await;
    let (_, web) = get(&kube, WEB).await;
    assert_eq!(number(&web, "/status/updatedReplicas"), 1, "{}", web["status"]);
    kube.go_on_at(Speed::Times(1.0));
    after(20.0).await;
    let (_, web) = get(&kube, WEB).await;
    assert_eq!(number(&web, "/status/readyReplicas"), 2);
    assert_eq!(number(&web, "/status/updatedReplicas"), 2);
}

#[tokio::test(start_paused = true)]
async fn two_replicas_fail_as_three_did() {
    let kube = cluster(Speed::Times(1.0), 2);
    kube.script(|image| image.ends_with(":bad"), Play::Recording("out-of-memory"));
    json_patch(&kube, WEB, set_image(&image("order-backend:bad"))).await;
    settle().await;
    let killed = |p: &&Value| {
        text(p, "/status/containerStatuses/0/lastState/terminated/reason") == "OOMKilled"
    };
    let pods = kube.objects("Pod", "shop");
    assert_eq!((pods.len(), pods.iter().filter(killed).count()), (3, 1));
    let (_, web) = get(&kube, WEB).await;
    let late = web["status"]["conditions"].as_array().unwrap().iter();
    let late: Vec<_> = late.map(|c| text(c, "/reason")).collect();
    assert_eq!(late, ["MinimumReplicasAvailable", "ProgressDeadlineExceeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_stops_two_replicas_too() {
    let kube = cluster(Speed::Times(1.0), 2);
    kube.script(|image| image.ends_with(":new"), Play::Recording("quota"));
    json_patch(&kube, WEB, set_image(&image("order-backend:new"))).await;
    after(5.0).await;
    let (_, web) = get(&kube, WEB).await;
    let failure = web["status"]["conditions"].as_array().unwrap().iter();
    let failure = failure.filter(|c| c["type"] == "ReplicaFailure").collect::<Vec<_>>();
    let [failure] = failure.as_slice() else { panic!("{}", web["status"]) };
    assert_eq!(failure["reason"], "FailedCreate");
    assert!(text(failure, "/message").contains("is forbidden: exceeded quota"), "{failure}");
    assert_eq!(kube.objects("Pod", "shop").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn more_replicas_asked_during_a_rollout_are_reached() {
    let kube = cluster(Speed::Times(1.0), 4);
    json_patch(&kube, WEB, set_image(&image("order-backend:v2"))).await;
    after(1.0).await;
    kube.write("hpa", "Deployment", "shop", "web", &json!({ "spec": { "replicas": 9 } })).unwrap();
    settle().await;
    let (_, web) = get(&kube, WEB).await;
    for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
        assert_eq!(number(&web, &format!("/status/{field}")), 9, "{field}");
    }
    assert_eq!(number(&web, "/metadata/generation"), number(&web, "/status/observedGeneration"));
}

#[tokio::test(start_paused = true)]
async fn a_paused_deployment_observes_the_patch_and_starts_nothing() {
    let kube = Kube::new(Speed::Times(1.0));
    let paused = json!({ "spec": { "paused": true } });
    kube.deployment("shop", "web", "web", &image("order-backend:v1"), 2).with(paused).seed();
    json_patch(&kube, WEB, set_image(&image("order-backend:v2"))).await;
    settle().await;
    let (_, web) = get(&kube, WEB).await;
    assert_eq!(
        (number(&web, "/metadata/generation"), number(&web, "/status/observedGeneration")),
        (2, 2)
    );
    assert_eq!(kube.objects("ReplicaSet", "shop").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_pods_of_a_digest_say_that_digest() {
    let kube = cluster(Speed::Times(5.0), 3);
    kube.script(|image| image.contains(":abc@"), Play::Recording("good"));
    let digest = format!("sha256:{}", "ab".repeat(32));
    let repository = image("order-backend");
    json_patch(&kube, WEB, set_image(&format!("{repository}:abc@{digest}"))).await;
    settle().await;
    for pod in kube.objects("Pod", "shop") {
        let id = text(&pod, "/status/containerStatuses/0/imageID");
        assert_eq!(id, format!("{repository}@{digest}"));
        assert_eq!(text(&pod, "/spec/nodeName"), "ip-10-0-3-17");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sidecar_runs_beside_the_container_that_fails() {
    let kube = Kube::new(Speed::Times(5.0));
    kube.deployment("shop", "web", "api", &image("order-backend:v1"), 3)
        .container("proxy", "proxy:1")
        .seed();
    kube.script(|image| image.ends_with(":bad"), Play::Recording("crash"));
    json_patch(&kube, WEB, set_image(&image("order-backend:bad"))).await;
    settle().await;
    let pods = kube.objects("Pod", "shop");
    let crashing = pods.iter().find(|p| !pods::is(p, "Ready")).unwrap();
    let statuses = crashing["status"]["containerStatuses"].as_array().unwrap();
    let seen: Vec<_> = statuses.iter().map(|s| (text(s, "/name"), s["ready"] == true)).collect();
    assert_eq!(seen, [("api", false), ("proxy", true)]);
    let events = kube.objects("Event", "shop");
    let back_off = events.iter().find(|e| text(e, "/reason") == "BackOff").unwrap();
    let message = text(back_off, "/message");
    let (name, uid) = (text(crashing, "/metadata/name"), text(crashing, "/metadata/uid"));
    assert_eq!(
        message,
        format!("Back-off restarting failed container api in pod {name}_shop({uid})")
    );
}
