//! The recordings, parsed once: who is who in each of them, and what happened when.
//! It must not touch the store; names, times and images are still those of the cluster that was recorded.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::ZlibDecoder;
use jiff::Timestamp;
use serde_json::Value;

use super::json::{list, text};

/// Name, rows and logs of each recording, as the build packed them.
static RECORDINGS: &[(&str, &[u8], &[u8])] = include!(concat!(env!("OUT_DIR"), "/recordings.rs"));

/// The text of a packed file.
fn unpacked(packed: &[u8]) -> Option<String> {
    let mut text = String::new();
    ZlibDecoder::new(packed).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The names of all recordings.
pub fn recordings() -> impl Iterator<Item = &'static str> {
    RECORDINGS.iter().map(|(name, ..)| *name)
}

/// What a row says happened to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Added,
    Modified,
    Deleted,
}

/// One recorded change.
pub(super) struct Row {
    /// Milliseconds since the patch.
    pub(super) at: i64,
    pub(super) happened: Happened,
    pub(super) object: Value,
}

impl Row {
    /// The kind of the row's object.
    pub(super) fn kind(&self) -> &str {
        text(&self.object, "/kind")
    }

    /// The name of the row's object.
    pub(super) fn name(&self) -> &str {
        text(&self.object, "/metadata/name")
    }

    /// The pod that the row is about: itself, or what an event is involved with.
    pub(super) fn pod(&self) -> Option<&str> {
        match self.kind() {
            "Pod" => Some(self.name()),
            "Event" if text(&self.object, "/involvedObject/kind") == "Pod" => {
                Some(text(&self.object, "/involvedObject/name"))
            }
            _ => None,
        }
    }
}

/// One recording.
pub(super) struct Tape {
    /// What happened since the patch.
    pub(super) rows: Vec<Row>,
    /// The second in which the patch was written.
    pub(super) patched: Timestamp,
    pub(super) namespace: String,
    pub(super) deployment_uid: String,
    /// The replica sets before and after the patch, as recorded at first.
    pub(super) old_set: Value,
    pub(super) new_set: Value,
    /// The old pods as they were at the patch, those that went first before those that stayed.
    pub(super) old_pods: Vec<Value>,
    /// The names of the new pods in the order of their creation.
    pub(super) new_pods: Vec<String>,
    /// Each pod's last recorded state: its uid, address and token volume are there.
    pub(super) pods: BTreeMap<String, Value>,
    /// The init container that fails, if that is what was recorded.
    pub(super) init: Option<String>,
    logs: BTreeMap<String, Value>,
}

impl Tape {
    /// The recording of this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        static TAPES: OnceLock<BTreeMap<&'static str, OnceLock<Option<Tape>>>> = OnceLock::new();
        let tapes = TAPES.get_or_init(|| recordings().map(|n| (n, OnceLock::new())).collect());
        let (_, lines, logs) = RECORDINGS.iter().find(|(known, ..)| *known == name)?;
        let read = || Self::parse(&unpacked(lines)?, &unpacked(logs)?);
        tapes.get(name)?.get_or_init(read).as_ref()
    }

    fn parse(lines: &str, logs: &str) -> Option<Self> {
        let rows: Vec<Row> = lines.lines().map(row).collect::<Option<_>>()?;
        let (before, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.at < 0);
        let first = |rows: &[Row], kind: &str| {
            rows.iter().find(|row| row.kind() == kind).map(|row| row.object.clone())
        };
        let deployment = first(&before, "Deployment")?;
        let new_set = rows
            .iter()
            .find(|row| row.kind() == "ReplicaSet" && row.happened == Happened::Added)
            .map(|row| row.object.clone())?;
        let mut pods = BTreeMap::new();
        for row in before.iter().chain(&rows).filter(|row| row.kind() == "Pod") {
            pods.insert(row.name().to_owned(), row.object.clone());
        }
        let new_pods: Vec<String> = rows
            .iter()
            .filter(|row| row.kind() == "Pod" && row.happened == Happened::Added)
            .map(|row| row.name().to_owned())
            .collect();
        let leaves = |pod: &Value| {
            let name = text(pod, "/metadata/name");
            let left = |row: &Row| {
                row.name() == name && row.object.pointer("/metadata/deletionTimestamp").is_some()
            };
            rows.iter().position(left).unwrap_or(usize::MAX)
        };
        let mut old_pods: Vec<Value> =
            before.iter().filter(|r| r.kind() == "Pod").map(|r| r.object.clone()).collect();
        old_pods.sort_by_key(leaves);
        let init = list(&new_set, "/spec/template/spec/initContainers").first();
        Some(Self {
            patched: text(&new_set, "/metadata/creationTimestamp").parse().ok()?,
            namespace: text(&deployment, "/metadata/namespace").to_owned(),
            deployment_uid: text(&deployment, "/metadata/uid").to_owned(),
            old_set: first(&before, "ReplicaSet")?,
            init: init.map(|container| text(container, "/name").to_owned()),
            logs: serde_json::from_str(logs).ok()?,
            new_set,
            old_pods,
            new_pods,
            pods,
            rows,
        })
    }

    /// What a recorded pod's container had written by the end; `previous` is the run before the last.
    pub(super) fn log(&self, pod: &str, container: &str, previous: bool) -> Option<&str> {
        let answer = self.logs.get(&format!("{pod}/{container}?previous={previous}"))?;
        (answer["status"] == 200).then(|| text(answer, "/body"))
    }

    /// The recorded name of the container that the recording is about.
    pub(super) fn container(&self) -> &str {
        self.init.as_deref().unwrap_or("web")
    }

    /// The image of that container in the new template.
    pub(super) fn image(&self) -> &str {
        let pointer = match self.init {
            Some(_) => "/spec/template/spec/initContainers/0/image",
            None => "/spec/template/spec/containers/0/image",
        };
        text(&self.new_set, pointer)
    }
}

fn row(line: &str) -> Option<Row> {
    let mut line: Value = serde_json::from_str(line).ok()?;
    let happened = match line["type"].as_str()? {
        "ADDED" => Happened::Added,
        "MODIFIED" => Happened::Modified,
        "DELETED" => Happened::Deleted,
        _ => return None,
    };
    Some(Row { at: line["t"].as_i64()?, happened, object: line["object"].take() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_is_understood_whole() {
        let without_pods = ["policy-denies", "quota", "webhook-denies", "webhook-silent"];
        for name in recordings() {
            let tape = Tape::named(name).unwrap();
            assert_eq!(tape.old_pods.len(), 3, "{name}");
            assert_eq!(tape.new_pods.is_empty(), without_pods.contains(&name), "{name}");
            assert!(tape.rows.len() > 10, "{name}");
            let known = |row: &Row| row.pod().is_none_or(|pod| tape.pods.contains_key(pod));
            assert!(tape.rows.iter().all(known), "{name}");
        }
    }
}
