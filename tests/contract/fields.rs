//! What a real API server said and the product reads is in what the sandbox plays: every recording is played
//! here, and each of its fields is looked for. Which fields are read is not written down anywhere: a field
//! counts as read when all names on the way to it are names in the product's code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::{BodyExt as _, Empty};
use serde_json::{Map, Value, json};
use slipway_sandbox::kube::{Body, Kube, Play, Speed, recordings};

use super::rooms::{files, is_test, product};

const KINDS: [&str; 4] = [
    "/apis/apps/v1/namespaces/shop/deployments",
    "/apis/apps/v1/namespaces/shop/replicasets",
    "/api/v1/namespaces/shop/pods",
    "/api/v1/namespaces/shop/events",
];

/// The paths of fields, by the state in which their object has them.
type Fields = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names in the product's code: of fields and whatever else, and of keys in quotes.
struct Names {
    words: BTreeSet<String>,
    quoted: BTreeSet<String>,
}

impl Names {
    fn of_the_product() -> Self {
        let files = files(&root().join("src")).into_iter().filter(|path| !is_test(path));
        let read = |path: PathBuf| product(&std::fs::read_to_string(path).unwrap());
        Self::of(&files.map(read).collect::<Vec<_>>().join("\n"))
    }

    fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        // What is between two quotes, and what is between two texts: the latter are no keys.
        let quoted = text.split('"');
        let owned = |name: &str| name.to_owned();
        Self { words: words.map(owned).collect(), quoted: quoted.map(owned).collect() }
    }

    fn has(&self, key: &str) -> bool {
        self.words.contains(&in_rust(key)) || self.quoted.contains(key)
    }
}

/// How k8s-openapi names a field: `imageID` is `image_id`, `podIPs` is `pod_ips`.
fn in_rust(key: &str) -> String {
    let mut name = String::new();
    let mut after_capital = true;
    let letters: Vec<char> = key.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let plural = at + 2 == letters.len() && letters[at + 1] == 's';
        let word_begins = letters.get(at + 1).is_some_and(char::is_ascii_lowercase) && !plural;
        if letter.is_ascii_uppercase() && at > 0 && (!after_capital || word_begins) {
            name.push('_');
        }
        after_capital = letter.is_ascii_uppercase();
        name.push(letter.to_ascii_lowercase());
    }
    if name == "type" { "type_".into() } else { name }
}

/// Walks an object along the names that the product has.
fn walk(names: &Names, at: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (key, value) in map {
                let managed = key.starts_with("k:{");
                if managed || names.has(key) {
                    let key = if managed { "k:{}" } else { key };
                    walk(names, &format!("{at}.{key}"), value, found);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                // Of conditions, each type is a field of its own.
                let key = item["type"].as_str().unwrap_or_default();
                walk(names, &format!("{at}[{key}]"), item, found);
            }
        }
        _ => {
            found.insert(at.to_owned());
        }
    }
}

/// The state that an object is in, as far as other fields come with it.
fn state(object: &Value) -> String {
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&object["kind"]);
    let condition = |kind: &str| {
        let mut conditions = list("/status/conditions").into_iter().flatten();
        conditions.find(|c| c["type"] == kind).map(|c| text(&c["reason"])).unwrap_or_default()
    };
    let said = match kind.as_str() {
        "Event" => text(&object["reason"]),
        "Deployment" => condition("Progressing"),
        "ReplicaSet" => condition("ReplicaFailure"),
        _ => {
            let containers = list("/status/containerStatuses").and_then(|all| all.first());
            let state = containers.and_then(|c| c["state"].as_object()?.iter().next());
            let leaving = object.pointer("/metadata/deletionTimestamp").map_or("", |_| "leaving ");
            let (kind, state) = state.map_or(("no container", &Value::Null), |(k, v)| (k, v));
            format!("{leaving}{kind} {}", text(&state["reason"]))
        }
    };
    format!("{kind} {said}").trim().to_owned()
}

fn collect<'a>(names: &Names, objects: impl Iterator<Item = &'a Value>) -> Fields {
    let mut fields = Fields::new();
    for object in objects {
        walk(names, "", object, fields.entry(state(object)).or_default());
    }
    fields
}

/// A recording's lines.
fn recorded(name: &str) -> Vec<Value> {
    let path = root().join("sandbox/timelines").join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The workload of a recording at that generation, as its user would write it.
fn workload(lines: &[Value], generation: i64) -> Value {
    let is = |line: &&Value| {
        line["kind"] == "Deployment" && line["object"]["metadata"]["generation"] == generation
    };
    lines.iter().find(is).unwrap()["object"]["spec"].clone()
}

fn images(template: &Value) -> Vec<String> {
    let spec = &template["spec"];
    let lists = ["initContainers", "containers"].map(|list| spec[list].as_array().cloned());
    let containers = lists.into_iter().flatten().flatten();
    containers.map(|c| c["image"].as_str().unwrap().to_owned()).collect()
}

/// Everything that the sandbox says while it plays a recording, with what was there before it.
async fn played(name: &'static str, lines: &[Value], replicas: u32) -> Vec<Value> {
    let (before, after) = (workload(lines, 1), workload(lines, 2));
    let known = images(&before["template"]);
    let new = images(&after["template"]).into_iter().find(|image| !known.contains(image)).unwrap();
    let kube = Kube::new(Speed::Instant);
    kube.node("node-1", "amd64");
    kube.script(move |image| image == new, Play::Recording(name));
    let mut spec = before;
    spec["replicas"] = replicas.into();
    kube.deployment("shop", "web", "web", &known[0], replicas).with(json!({ "spec": spec })).seed();
    let mut watches = Vec::new();
    for path in KINDS {
        let ask = http::Request::get(format!("{path}?watch=1")).body(Empty::<Bytes>::new());
        watches.push(kube.answer(ask.unwrap()).await.into_body());
    }
    let mut said: Vec<Value> = watches.iter_mut().flat_map(lines_of).collect();
    let patch = json!({ "spec": { "template": after["template"] } });
    kube.write("slipway", "Deployment", "shop", "web", &patch).unwrap();
    // An instant clock does all that is scheduled in one go, once its task has its turn.
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
    said.extend(watches.iter_mut().flat_map(lines_of));
    said
}

/// The objects that a watch has to say now.
fn lines_of(watch: &mut Body) -> Vec<Value> {
    let mut text = Vec::new();
    while let Some(Some(Ok(frame))) = watch.frame().now_or_never() {
        text.extend(frame.into_data().unwrap());
    }
    let lines = serde_json::Deserializer::from_slice(&text).into_iter::<Map<String, Value>>();
    lines.map(|line| line.unwrap()["object"].take()).collect()
}

fn missing(name: &str, recorded: &Fields, played: &Fields) -> Vec<String> {
    let mut missing = Vec::new();
    for (state, fields) in recorded {
        let Some(there) = played.get(state) else {
            missing.push(format!("{name}: {state}: never"));
            continue;
        };
        missing.extend(fields.difference(there).map(|field| format!("{name}: {state}: {field}")));
    }
    missing
}

/// The objects that the sandbox has to say too. Events of before are not among them: real ones last an hour,
/// and a rollout is judged by its own.
fn objects(lines: &[Value]) -> impl Iterator<Item = &Value> {
    let old = |line: &&Value| line["kind"] == "Event" && line["t"].as_i64() < Some(0);
    lines.iter().filter(move |line| !old(line)).map(|line| &line["object"])
}

/// What of a recording is not said by the sandbox when it plays it for a workload of that many pods.
async fn gaps(names: &Names, name: &'static str, replicas: u32) -> Vec<String> {
    let lines = recorded(name);
    let recorded = collect(names, objects(&lines));
    let played = collect(names, played(name, &lines, replicas).await.iter());
    missing(name, &recorded, &played)
}

#[tokio::test]
async fn every_recorded_field_that_is_read_is_played() {
    let names = Names::of_the_product();
    let mut all = Vec::new();
    for name in recordings() {
        all.extend(gaps(&names, name, 3).await);
    }
    assert!(all.is_empty(), "{} are missing:\n{}", all.len(), all.join("\n"));
}

#[tokio::test]
async fn a_workload_of_another_size_has_the_same_fields() {
    let names = Names::of_the_product();
    let mut all = Vec::new();
    for name in recordings() {
        // What a second writer did is played for the recorded workload only.
        let second = |line: &Value| line["object"]["metadata"]["generation"].as_i64() > Some(2);
        let alone = !recorded(name).iter().any(|line| line["kind"] == "Deployment" && second(line));
        if alone {
            all.extend(gaps(&names, name, 2).await);
        }
    }
    assert!(all.is_empty(), "{} are missing:\n{}", all.len(), all.join("\n"));
}

#[test]
fn a_field_that_is_taken_away_is_missed() {
    let names = Names::of_the_product();
    let lines = recorded("crash");
    let whole = collect(&names, objects(&lines));
    let rows = [
        (
            "/status/containerStatuses/0/lastState",
            "Pod waiting CrashLoopBackOff: .status.containerStatuses[].lastState.terminated.exitCode",
        ),
        ("/involvedObject/fieldPath", "Event BackOff: .involvedObject.fieldPath"),
        (
            "/metadata/managedFields",
            "Deployment ReplicaSetUpdated: .metadata.managedFields[].manager",
        ),
        (
            "/status/observedGeneration",
            "Deployment NewReplicaSetCreated: .status.observedGeneration",
        ),
    ];
    for (field, missed) in rows {
        let mut poorer: Vec<Value> = objects(&lines).cloned().collect();
        for value in poorer.iter_mut().filter_map(|object| object.pointer_mut(field)) {
            *value = Value::Null;
        }
        let gaps = missing("crash", &whole, &collect(&names, poorer.iter()));
        assert!(gaps.contains(&format!("crash: {missed}")), "{field}: {gaps:?}");
    }
}

#[test]
fn a_field_is_found_by_its_name_in_rust() {
    for (key, name) in [
        ("observedGeneration", "observed_generation"),
        ("imageID", "image_id"),
        ("podIPs", "pod_ips"),
        ("hostIP", "host_ip"),
        ("fieldsV1", "fields_v1"),
        ("type", "type_"),
    ] {
        assert_eq!(in_rust(key), name);
    }
}
