//! Every recording, replayed: the store passes through the recorded states, in their order, but for the names.

use serde_json::{Value, json};

use super::super::json::{list, number, text};
use super::super::replay::is_the_patch;
use super::super::rollout::manifest_path;
use super::super::store::Change;
use super::super::tape::{Happened, Row, Tape};
use super::super::{Kube, Play, Speed, recordings, template};
use super::{WEB, cluster, image, json_patch, set_image, settle};

/// Names that differ from cluster to cluster, by what they stand for.
struct Masks(Vec<(String, String)>);

impl Masks {
    fn of<'a>(objects: impl Iterator<Item = &'a Value>, old_set: &str) -> Self {
        let mut pairs = Vec::new();
        for object in objects {
            let (name, uid) = (text(object, "/metadata/name"), text(object, "/metadata/uid"));
            let kind = match text(object, "/kind") {
                "ReplicaSet" if name == old_set => "OLD",
                "ReplicaSet" => "NEW",
                "Pod" if name.starts_with(old_set) => "OLD-POD",
                "Pod" => "NEW-POD",
                _ => "WEB",
            };
            if kind != "WEB" {
                pairs.push((name.to_owned(), kind.to_owned()));
            }
            pairs.push((uid.to_owned(), "UID".to_owned()));
            pairs.push((text(object, "/status/podIP").to_owned(), "IP".to_owned()));
            pairs.push((text(object, "/metadata/namespace").to_owned(), "NAMESPACE".to_owned()));
            pairs.push((text(object, "/spec/nodeName").to_owned(), "NODE".to_owned()));
        }
        pairs.retain(|(name, _)| !name.is_empty());
        pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self(pairs)
    }

    fn hide(&self, line: &str, image: &str) -> String {
        let line = line.replace(image, "IMAGE").replace(&manifest_path(image), "MANIFEST");
        self.0.iter().fold(line, |line, (name, mask)| line.replace(name, mask))
    }
}

/// What a user can see of an object, with its place; lines of one object are comparable.
fn seen(object: &Value) -> (String, Value) {
    let name = text(object, "/metadata/name");
    let conditions: Vec<Value> = list(object, "/status/conditions")
        .iter()
        .map(|c| json!([c["type"], c["status"], c["reason"], c["message"]]))
        .collect();
    let of = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    match text(object, "/kind") {
        "Event" => {
            let subject = name.rsplit_once('.').map_or(name, |(subject, _)| subject);
            let place = format!("Event {subject} {}", text(object, "/reason"));
            let fields = [
                "/type",
                "/message",
                "/count",
                "/involvedObject/fieldPath",
                "/source/host",
                "/involvedObject/uid",
            ];
            (place, fields.map(of).to_vec().into())
        }
        "Pod" => {
            let all = |p: &str| list(object, p).iter().map(container).collect::<Vec<_>>();
            let leaving = object.pointer("/metadata/deletionTimestamp").is_some();
            let (init, app) =
                (all("/status/initContainerStatuses"), all("/status/containerStatuses"));
            let pod =
                json!([of("/status/phase"), leaving, of("/spec/nodeName"), conditions, init, app]);
            (format!("Pod {name}"), pod)
        }
        kind => {
            let mut counts = object["status"].clone();
            counts.as_object_mut().unwrap().shift_remove("conditions");
            let revision = of("/metadata/annotations/deployment.kubernetes.io~1revision");
            let spec = (of("/spec/replicas"), of("/metadata/generation"));
            (format!("{kind} {name}"), json!([spec.0, spec.1, revision, counts, conditions]))
        }
    }
}

fn container(status: &Value) -> Value {
    let state = |of: &str| {
        let (kind, state) = status[of].as_object()?.iter().next()?;
        let said = (text(state, "/reason"), text(state, "/message"));
        Some(json!([kind, said.0, said.1, number(state, "/exitCode")]))
    };
    let id = text(status, "/imageID").split('@').next();
    let counts = (&status["ready"], &status["restartCount"]);
    json!([
        status["name"],
        counts.0,
        counts.1,
        state("state"),
        state("lastState"),
        status["image"],
        id
    ])
}

/// The changes as lines in their order, without those in which nothing can be seen to change.
fn lines<'a>(
    rows: impl Iterator<Item = (&'static str, &'a Value)>,
    masks: &Masks,
    image: &str,
) -> Vec<String> {
    let mut last = std::collections::BTreeMap::new();
    let mut lines = Vec::new();
    for (happened, object) in rows {
        let (place, seen) = seen(object);
        let seen = if happened == "DELETED" { Value::Null } else { seen };
        let key = (text(object, "/kind").to_owned(), text(object, "/metadata/name").to_owned());
        if last.insert(key, seen.clone()).as_ref() != Some(&seen) {
            lines.push(masks.hide(&format!("{happened} {place} {seen}"), image));
        }
    }
    lines
}

async fn replayed(name: &'static str, speed: Speed) -> (Vec<String>, Vec<String>) {
    let tape = Tape::named(name).unwrap();
    let new = format!("{}:new", template::repository(tape.image()));
    let kube = cluster(speed, 3);
    kube.script(|image| image.ends_with(":new"), Play::Recording(name));
    let (old_set, version) = {
        let state = kube.inner.lock();
        let sets = state.store.named("ReplicaSet", "shop");
        (text(sets[0], "/metadata/name").to_owned(), state.store.version())
    };
    let before: Vec<Value> = ["Deployment", "ReplicaSet", "Pod"]
        .iter()
        .flat_map(|kind| kube.objects(kind, "shop"))
        .collect();
    if tape.init.is_some() {
        // The recorded patch brought an init container, and that is what failed.
        let init = json!([{ "name": "migrate", "image": new }]);
        let app = json!([{ "name": "web", "image": image("order-backend:v2") }]);
        let spec = json!({ "initContainers": init, "containers": app });
        let patch = json!({ "spec": { "template": { "spec": spec } } });
        kube.write("slipway", "Deployment", "shop", "web", &patch).unwrap();
    } else {
        json_patch(&kube, WEB, set_image(&new)).await;
    }
    settle().await;
    let state = kube.inner.lock();
    let changes: Vec<Change> = state.store.since(version).unwrap().skip(1).cloned().collect();
    let here = before.iter().chain(changes.iter().map(|c| &c.after));
    let masks = Masks::of(here.filter(|o| text(o, "/kind") != "Event"), &old_set);
    let rows = changes.iter().map(|c| {
        let happened = match (&c.before, c.removed) {
            (None, _) => "ADDED",
            (Some(_), false) => "MODIFIED",
            (Some(_), true) => "DELETED",
        };
        (happened, &c.after)
    });
    let played = lines(rows, &masks, &new);
    // Each kind was recorded by a watch of its own: the patch need not come first.
    let later = |row: &&Row| row.at >= 0 && !is_the_patch(row);
    let rows = || tape.rows.iter().filter(later);
    let people = rows().map(|r| &r.object).chain(&tape.old_pods).chain([&tape.old_set]);
    let masks = Masks::of(
        people.filter(|o| text(o, "/kind") != "Event"),
        text(&tape.old_set, "/metadata/name"),
    );
    let rows = rows().map(|row| {
        let happened = match row.happened {
            Happened::Added => "ADDED",
            Happened::Modified => "MODIFIED",
            Happened::Deleted => "DELETED",
        };
        (happened, &row.object)
    });
    (lines(rows, &masks, tape.image()), played)
}

fn compare(name: &str, recorded: &[String], played: &[String]) {
    assert!(recorded.len() > 9, "{name} has {} changes", recorded.len());
    for (at, (recorded, played)) in recorded.iter().zip(played).enumerate() {
        assert_eq!(recorded, played, "{name}, change {at}");
    }
    assert_eq!(recorded.len(), played.len(), "{name}");
}

#[tokio::test(start_paused = true)]
async fn every_recording_passes_through_its_states_in_their_order() {
    for name in recordings() {
        let (recorded, played) = replayed(name, Speed::Times(5.0)).await;
        compare(name, &recorded, &played);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instant_clock_leaves_no_state_out() {
    for name in ["good", "crash"] {
        let (recorded, played) = replayed(name, Speed::Instant).await;
        compare(name, &recorded, &played);
    }
}

#[tokio::test(start_paused = true)]
async fn the_logs_of_a_recording_are_those_of_its_pods() {
    let kube: Kube = cluster(Speed::Times(5.0), 3);
    kube.script(|image| image.ends_with(":new"), Play::Recording("crash"));
    json_patch(&kube, WEB, set_image(&image("case:new"))).await;
    settle().await;
    let pods = kube.objects("Pod", "shop");
    let crashing = |p: &&Value| number(p, "/status/containerStatuses/0/restartCount") > 0;
    let name = text(pods.iter().find(crashing).unwrap(), "/metadata/name").to_owned();
    let path = format!("/api/v1/namespaces/shop/pods/{name}/log?container=web&previous=true");
    let (status, log) = super::ask(&kube, "GET", &path, "", "").await;
    assert_eq!((status, log.as_str()), (200, "boom: cannot connect to db\n"));
}
