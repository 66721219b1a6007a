//! Rollouts recorded from a real API server and kubelet, and hand-made ones for what has no
//! recording. This file plays them; the tests are beside it. What slipway wrote is read from the
//! recording itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use serde::Deserialize;
use serde_json::Value;

use crate::error::Failure;

use super::{
    Cause, Evidence, Grace, Logs, Memory, Observation, Ours, Patience, Progress, Seen, Verdict,
    diagnose, judge, pods, template,
};

mod doom;
mod made;
mod recorded;
mod rows;
mod rules;

#[derive(Deserialize)]
struct Line {
    t: i64,
    kind: String,
    #[serde(rename = "type")]
    change: String,
    object: Value,
}

/// A recording, from the PATCH that is judged.
struct Recording {
    folder: PathBuf,
    name: String,
    ours: Ours,
    seen: Vec<Observation>,
}

/// Where the recordings are that the sandbox plays: `NAME`, and `NAME-VERSION` where another version of
/// Kubernetes has other words or fields.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sandbox/timelines")
}

impl Recording {
    /// The rollout that the first PATCH of a recording began.
    fn of(name: &str) -> Self {
        Self::of_patch(folder(), name, 1)
    }

    /// The rollout that the n-th PATCH began; what was before is what a first list would show.
    fn of_patch(folder: PathBuf, name: &str, n: usize) -> Self {
        let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
        let lines: Vec<Line> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let mut known = BTreeMap::new();
        let mut patches = Vec::new();
        for line in lines.iter().filter(|line| line.kind == "Deployment") {
            let workload: Deployment = serde_json::from_value(line.object.clone()).unwrap();
            let images = template::workload_images(&workload);
            if !known.is_empty() && known != images {
                patches.push((line.t, workload));
            }
            known = images;
        }
        let (patched, workload) = &patches[n - 1];
        let at = |t: i64| Duration::from_millis(u64::try_from(t - patched).unwrap_or(0));
        let seen = lines.iter().map(|l| Observation { at: at(l.t), seen: l.seen() }).collect();
        Self { folder, name: name.into(), ours: ours(workload, &lines), seen }
    }

    /// Plays it to its end or to the verdict, with a tick each quarter of a second.
    fn play(&self, memory: &mut Memory) -> Played {
        let mut played = Played::default();
        for observation in &self.seen {
            while played.at + TICK < observation.at && played.verdict == Verdict::Waiting {
                let tick = Observation { at: played.at + TICK, seen: Seen::Tick };
                played.step(memory, &tick);
            }
            if played.verdict == Verdict::Waiting {
                played.step(memory, observation);
            }
        }
        played
    }

    /// Its verdict, when it came, and what a user would read.
    fn told(&self, patience: Patience) -> String {
        let mut memory = self.memory(patience);
        let played = self.play(&mut memory);
        let said = match &played.verdict {
            Verdict::Failed(cause) => format!("failed\n{}", self.diagnosed(&memory, cause)),
            Verdict::Late(cause) => format!("late\n{}", self.diagnosed(&memory, cause)),
            Verdict::Ready(proof) => {
                format!("{} ready since {}", proof.pods, seconds(proof.ready_at))
            }
            Verdict::Changed(change) => {
                let manager = change.manager.as_deref().unwrap_or("somebody");
                format!("changed by {manager} in generation {}", change.generation)
            }
            Verdict::Waiting => "waiting".into(),
            Verdict::Gone => "gone".into(),
        };
        format!("{}: {said}", seconds(played.at))
    }

    fn diagnosed(&self, memory: &Memory, cause: &Cause) -> String {
        told(&diagnose(&self.evidence(memory, cause)))
    }

    fn memory(&self, patience: Patience) -> Memory {
        Memory::new(self.ours.clone(), patience, Grace::default())
    }

    /// What the steps would collect for the diagnosis.
    fn evidence(&self, memory: &Memory, cause: &Cause) -> Evidence {
        let container = cause.container.clone().unwrap_or_default();
        let (node, image) = match self.name.as_str() {
            "permission-denied" | "wrong-platform" | "no-platform-in-index" => {
                ("linux/amd64", "linux/arm64")
            }
            _ => ("linux/amd64", "linux/amd64"),
        };
        Evidence {
            namespace: self.ours.namespace.clone(),
            workload: self.ours.name.clone(),
            logs: cause.pod.as_deref().and_then(|pod| self.logs(pod, &container)),
            node_platform: Some(node.parse().unwrap()),
            image_platforms: vec![image.parse().unwrap()],
            image: self.ours.images.values().next().cloned().unwrap_or_default(),
            same_account: Some(true),
            pod: cause.pod.as_deref().and_then(|name| memory.pod(name)).cloned().map(Box::new),
            warnings: memory.warnings(cause),
            node_role: None,
            cause: cause.clone(),
        }
    }

    fn logs(&self, pod: &str, container: &str) -> Option<Logs> {
        #[derive(Deserialize)]
        struct Answer {
            status: u16,
            body: String,
        }
        let text = std::fs::read_to_string(self.folder.join(format!("{}.logs.json", self.name)));
        let logs: BTreeMap<String, Answer> = serde_json::from_str(&text.unwrap()).unwrap();
        let read = |previous: bool| {
            let answer = logs.get(&format!("{pod}/{container}?previous={previous}"))?;
            let lines = answer.body.lines().map(Into::into).collect();
            (answer.status == 200).then(|| Logs {
                pod: pod.into(),
                container: container.into(),
                previous,
                lines,
            })
        };
        read(true).or_else(|| read(false))
    }
}

const TICK: Duration = Duration::from_millis(250);

const PATIENCE: Patience =
    Patience { timeout: Duration::from_secs(600), bake: Duration::from_secs(30) };

/// A failure as the report prints it, without the outcome and what runs now.
fn told(failure: &Failure) -> String {
    let why = failure.why.iter().map(|line| format!("\n  why:  {line}"));
    let next = failure.next.iter().map(|line| format!("\n  next: {line}"));
    let lines: String = why.chain(next).collect();
    format!("{}: {}{lines}", failure.code, failure.what)
}

/// To a tenth of a second: recordings have milliseconds.
fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// How a play ended.
struct Played {
    at: Duration,
    verdict: Verdict,
    progress: Progress,
    /// Every change of the progress.
    notes: Vec<String>,
}

impl Default for Played {
    fn default() -> Self {
        let (verdict, progress) = (Verdict::Waiting, Progress::default());
        Self { at: Duration::ZERO, verdict, progress, notes: Vec::new() }
    }
}

impl Played {
    fn step(&mut self, memory: &mut Memory, seen: &Observation) {
        self.at = seen.at;
        self.verdict = made::confirmed(memory, seen);
        let now = memory.progress();
        if now != self.progress {
            let note = now.note.as_ref().map(|note| format!("; {note}")).unwrap_or_default();
            let Progress { new_ready, old_ready, draining, wanted, .. } = now;
            let line = format!("{new_ready}/{wanted} new, {old_ready} old, {draining} leave{note}");
            self.notes.push(line);
            self.progress = now;
        }
    }
}

/// What the PATCH wrote, as the recording shows it.
fn ours(workload: &Deployment, lines: &[Line]) -> Ours {
    let meta = &workload.metadata;
    let images = template::workload_images(workload);
    let mut digests: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.kind == "Pod") {
        let pod: Pod = serde_json::from_value(line.object.clone()).unwrap();
        for seat in pods::seats(&pod) {
            let same = images.get(&seat.status.name) == Some(&seat.status.image);
            if let Some(digest) = seat.digest().filter(|_| same) {
                let known = digests.entry(seat.status.name.clone()).or_default();
                known.push(digest.parse().unwrap());
            }
        }
    }
    let written = meta.managed_fields.iter().flatten().filter(|f| f.subresource.is_none());
    Ours {
        namespace: meta.namespace.clone().unwrap(),
        name: meta.name.clone().unwrap(),
        uid: meta.uid.clone().unwrap(),
        generation: meta.generation.unwrap(),
        images,
        digests,
        run: "4711/1".into(),
        patched_at: written.filter_map(|f| f.time.as_ref()).map(|t| t.0).max().unwrap(),
    }
}

impl Line {
    fn seen(&self) -> Seen {
        let uid = || self.object["metadata"]["uid"].as_str().unwrap().to_owned();
        let object = self.object.clone();
        match (self.kind.as_str(), self.change.as_str()) {
            ("Deployment", "DELETED") => Seen::WorkloadGone,
            ("Deployment", _) => Seen::Workload(serde_json::from_value(object).unwrap()),
            ("ReplicaSet", "DELETED") => Seen::ReplicaSetGone(uid()),
            ("ReplicaSet", _) => Seen::ReplicaSet(serde_json::from_value(object).unwrap()),
            ("Pod", "DELETED") => Seen::PodGone(uid()),
            ("Pod", _) => Seen::Pod(serde_json::from_value(object).unwrap()),
            _ => Seen::Event(serde_json::from_value(object).unwrap()),
        }
    }
}
