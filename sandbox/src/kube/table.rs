//! Answers as `kubectl get` asks for them: a `Table` with the columns that its users know.
//! It must not change what is shown; a kind without columns here is answered as the object it is.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::json::{list, number, text};
use super::kinds::Kind;

/// How a client asks for one.
const ASKED: &str = "as=Table;v=v1;g=meta.k8s.io";

/// Whether these are the words of a client that takes tables.
pub(super) fn is_asked(accept: &str) -> bool {
    accept.split(',').any(|one| one.trim() == format!("application/json;{ASKED}"))
}

/// What stands in a row beside the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

impl Include {
    pub(super) fn read(asked: &str) -> Self {
        match asked {
            "None" => Self::Nothing,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// What fills a row, from an object and the time of day.
type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// Cells, of which the first few are shown without `-o wide`.
struct Columns {
    narrow: &'static [&'static str],
    wide: &'static [&'static str],
    cells: Cells,
}

fn columns(kind: &str) -> Option<Columns> {
    let (narrow, wide, cells): (&[&str], &[&str], Cells) = match kind {
        "Deployment" => (
            &["Name", "Ready", "Up-to-date", "Available", "Age"],
            &["Containers", "Images", "Selector"],
            deployment,
        ),
        "ReplicaSet" => (
            &["Name", "Desired", "Current", "Ready", "Age"],
            &["Containers", "Images", "Selector"],
            replica_set,
        ),
        "Pod" => (
            &["Name", "Ready", "Status", "Restarts", "Age"],
            &["IP", "Node"],
            super::table_pod::cells,
        ),
        "Node" => (&["Name", "Status", "Roles", "Age", "Version"], &["Internal-IP"], node),
        "Namespace" => (&["Name", "Status", "Age"], &[], namespace),
        "Event" => (&["Last Seen", "Type", "Reason", "Object", "Message"], &["Name"], event),
        _ => return None,
    };
    Some(Columns { narrow, wide, cells })
}

/// The table of an object or of a list of this kind; nothing where the kind has no columns.
pub(super) fn of(kind: Kind, found: &Value, include: Include, now: Timestamp) -> Option<Value> {
    let columns = columns(kind.kind)?;
    let one = [found.clone()];
    let objects = if found.get("items").is_some() { list(found, "/items") } else { &one };
    let defined = |names: &[&str], priority: u8| -> Vec<Value> {
        let column = |name: &&str| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({
                "name": name, "type": "string", "format": format, "description": "",
                "priority": priority,
            })
        };
        names.iter().map(column).collect()
    };
    let definitions = [defined(columns.narrow, 0), defined(columns.wide, 1)].concat();
    let row = |object: &Value| {
        let mut row = json!({ "cells": (columns.cells)(object, now) });
        match include {
            Include::Nothing => {}
            Include::Metadata => {
                row["object"] = json!({
                    "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object["metadata"],
                });
            }
            Include::Object => {
                row["object"] = object.clone();
                // The items of a list do not say it, and a row stands alone.
                row["object"]["kind"] = kind.kind.into();
                row["object"]["apiVersion"] = kind.api_version().into();
            }
        }
        row
    };
    let metadata = match found.get("items") {
        Some(_) => found["metadata"].clone(),
        None => json!({ "resourceVersion": found["metadata"]["resourceVersion"] }),
    };
    Some(json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": objects.iter().map(row).collect::<Vec<_>>(),
    }))
}

fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let count = |field: &str| number(object, &format!("/status/{field}"));
    let ready = format!("{}/{}", count("readyReplicas"), number(object, "/spec/replicas"));
    let mut cells = vec![
        name(object),
        ready.into(),
        count("updatedReplicas").into(),
        count("availableReplicas").into(),
        age(object, now),
    ];
    cells.extend(of_template(object));
    cells
}

fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![
        name(object),
        number(object, "/spec/replicas").into(),
        number(object, "/status/replicas").into(),
        number(object, "/status/readyReplicas").into(),
        age(object, now),
    ];
    cells.extend(of_template(object));
    cells
}

/// Containers, images and selector of a workload.
fn of_template(object: &Value) -> [Value; 3] {
    let containers = list(object, "/spec/template/spec/containers");
    let of = |field: &str| containers.iter().map(|c| text(c, field)).collect::<Vec<_>>().join(",");
    let labels = object.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let selector = pairs(labels.unwrap_or(&Map::new()));
    [of("/name").into(), of("/image").into(), selector.into()]
}

fn pairs(labels: &Map<String, Value>) -> String {
    let pair =
        |(key, value): (&String, &Value)| format!("{key}={}", value.as_str().unwrap_or_default());
    labels.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let of_type = |place: &str, wanted: &str, field: &str| {
        let found = list(object, place).iter().find(|one| text(one, "/type") == wanted);
        found.map(|one| text(one, field)).unwrap_or_default().to_owned()
    };
    let mut status = match of_type("/status/conditions", "Ready", "/status").as_str() {
        "True" => "Ready",
        "False" => "NotReady",
        _ => "Unknown",
    }
    .to_owned();
    if object.pointer("/spec/unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    vec![
        name(object),
        status.into(),
        "<none>".into(),
        age(object, now),
        text(object, "/status/nodeInfo/kubeletVersion").into(),
        of_type("/status/addresses", "InternalIP", "/address").into(),
    ]
}

fn namespace(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, "/status/phase").into(), age(object, now)]
}

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let seen = ["/lastTimestamp", "/eventTime", "/firstTimestamp", "/metadata/creationTimestamp"];
    let seen = seen.into_iter().map(|at| text(object, at)).find(|time| !time.is_empty());
    let kind = text(object, "/involvedObject/kind").to_lowercase();
    let about = format!("{kind}/{}", text(object, "/involvedObject/name"));
    vec![
        since(seen.unwrap_or_default(), now).into(),
        text(object, "/type").into(),
        text(object, "/reason").into(),
        about.into(),
        text(object, "/message").trim().into(),
        name(object),
    ]
}

pub(super) fn name(object: &Value) -> Value {
    text(object, "/metadata/name").into()
}

pub(super) fn age(object: &Value, now: Timestamp) -> Value {
    since(text(object, "/metadata/creationTimestamp"), now).into()
}

/// How long ago a time was, in the two units that tell most: `45s`, `3m20s`, `5h`, `2d4h`.
pub(super) fn since(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    let seconds = now.duration_since(time).as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let two = |first: i64, unit: char, second: i64, smaller: char| match second {
        0 => format!("{first}{unit}"),
        _ => format!("{first}{unit}{second}{smaller}"),
    };
    match (minutes, hours, days) {
        (0..2, ..) => format!("{seconds}s"),
        (2..10, ..) => two(minutes, 'm', seconds % 60, 's'),
        (_, 0..3, _) => format!("{minutes}m"),
        (_, 3..8, _) => two(hours, 'h', minutes % 60, 'm'),
        (_, 8..48, _) => format!("{hours}h"),
        (.., 2..8) => two(days, 'd', hours % 24, 'h'),
        _ => format!("{days}d"),
    }
}
