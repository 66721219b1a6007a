//! What a rollout is, judged: a pure fold over observations, the causes it can end with, and the
//! diagnosis of a cause. No client, no clock, no colour here: time comes with each observation.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Event, Pod};
use serde::Serialize;

use crate::names::{Digest, Platform};

mod change;
mod diagnosis;
mod finding;
mod judge;
mod kin;
mod kinds;
mod memory;
mod pods;
mod progress;
mod ready;
mod template;
#[cfg(test)]
mod tests;
mod trouble;
mod words;

pub use diagnosis::{diagnose, scrub};
pub use judge::judge;
pub use kin::{Kin, Stranger};
pub use memory::{Grace, Memory};

/// What slipway wrote, and what was there just before: the watch is pinned to it.
#[derive(Clone, Debug)]
pub struct Ours {
    /// The namespace of the workload.
    pub namespace: String,
    /// The workload's name.
    pub name: String,
    /// Its uid: a deleted and recreated workload is another one.
    pub uid: String,
    /// The generation that the PATCH answered.
    pub generation: i64,
    /// Container name to the image reference we set.
    pub images: BTreeMap<String, String>,
    /// Container name to the digests a pod may report as its imageID for it: the pushed digest, and
    /// where that is an index, its manifests.
    pub digests: BTreeMap<String, Vec<Digest>>,
    /// The value of the `slipway.dev/run` annotation that our PATCH wrote: its change shows another
    /// slipway.
    pub run: String,
    /// The server's clock at the PATCH, to tell a stale `ProgressDeadlineExceeded` from a fresh
    /// one.
    pub patched_at: jiff::Timestamp,
}

/// One thing the API server said, and when.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Time since the PATCH.
    pub at: Duration,
    /// What was said.
    pub seen: Seen,
}

/// What the API server can say during a rollout.
#[derive(Clone, Debug)]
pub enum Seen {
    /// The workload as it is now.
    Workload(Box<Deployment>),
    /// The workload was deleted.
    WorkloadGone,
    /// A ReplicaSet that the workload's selector matches.
    ReplicaSet(Box<ReplicaSet>),
    /// A ReplicaSet is gone, by uid.
    ReplicaSetGone(String),
    /// A pod that the workload's selector matches.
    Pod(Box<Pod>),
    /// A pod is gone, by uid.
    PodGone(String),
    /// An event of the namespace, of any type: `Killing`, `TriggeredScaleUp` and Karpenter's
    /// `Nominated` are `Normal`. Events explain; they never decide.
    Event(Box<Event>),
    /// What the registry makes of a digest that a pod reports and we did not ship.
    Met(Stranger, Kin),
    /// Nothing was said, but time has passed.
    Tick,
    /// Workload, ReplicaSets and pods were read anew, and what was news in them was said before this.
    Confirmed,
}

/// How long to wait, as the plan says.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Patience {
    /// The whole rollout, from the PATCH to all replicas available.
    pub timeout: Duration,
    /// After that, without a restart.
    pub bake: Duration,
}

/// What the fold says after an observation.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Not decided yet.
    Waiting,
    /// Every replica runs our digest, is available, and stayed so through the bake.
    Ready(Proof),
    /// It cannot become ready any more.
    Failed(Cause),
    /// The patience, or the workload's own progress deadline, ended; the cause is the best that is
    /// known.
    Late(Cause),
    /// The image was changed again, by a slipway with a newer commit or not: the step above reads
    /// the annotations.
    Changed(Change),
    /// The workload was deleted, or deleted and recreated.
    Gone,
}

/// What was true when it became ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Pods of our template, all ready and available, none of which visibly runs another image.
    pub pods: usize,
    /// Those of them whose node does not say what digest they run.
    pub unseen: usize,
    /// When all of them were.
    pub ready_at: Duration,
    /// Restarts of new pods during the bake: 0, or it is no proof.
    pub restarts: u32,
}

/// Who set another image while we watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Container name to the image that is set now.
    pub images: BTreeMap<String, String>,
    /// The workload's annotations now.
    pub annotations: BTreeMap<String, String>,
    /// The field manager that last wrote the image, where managed fields say so.
    pub manager: Option<String>,
    /// The generation that carries it.
    pub generation: i64,
    /// When it was seen.
    pub at: Duration,
}

/// Where a rollout stands, for the lines of the watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// New pods that are ready.
    pub new_ready: u32,
    /// Old pods that are ready.
    pub old_ready: u32,
    /// Old pods on their way out.
    pub draining: u32,
    /// Replicas the workload asks for now.
    pub wanted: u32,
    /// The most telling thing about the pod that is furthest behind: "x2kqp starts on
    /// ip-10-0-1-12".
    pub note: Option<String>,
    /// All are ready: since when the bake runs.
    pub baking_since: Option<Duration>,
}

/// Why a rollout cannot end well: what the fold knows, before logs and nodes are read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cause {
    /// The kind of trouble, with what was said about it.
    pub trouble: Trouble,
    /// The most telling pod.
    pub pod: Option<String>,
    /// Its container.
    pub container: Option<String>,
    /// Whether that is an init container.
    pub init: bool,
    /// The node it is on.
    pub node: Option<String>,
    /// New pods with the same trouble.
    pub affected: usize,
    /// New pods there are.
    pub new_pods: usize,
    /// The pod had been ready before: it fell during the rollout or the bake.
    pub was_ready: bool,
    /// How long this pod has had it by then.
    pub lasted: Duration,
    /// When it became certain.
    pub at: Duration,
}

/// The kinds of trouble the fold can tell apart by objects alone. Logs, nodes and the image's
/// platforms refine them in the diagnosis.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the object's own words")]
pub enum Trouble {
    /// The image could not be pulled: the message of the pull itself, not of the back-off after it.
    Pull { reason: String, message: String },
    /// The runtime could not start the container.
    Start { reason: String, message: String },
    /// The kubelet could not put the container together: a Secret, a ConfigMap, a user.
    Config { reason: String, message: String },
    /// The program ended.
    Exit { code: i32, signal: Option<i32>, reason: String, times: u32 },
    /// It ran, but was ended by its liveness or startup probe.
    Killed { probe: String, message: String, times: u32 },
    /// It runs, but its readiness probe or a readiness gate does not pass.
    NotReady { message: Option<String>, gate: Option<String> },
    /// No node was found.
    Unschedulable { message: String, autoscaler: Option<String> },
    /// The ReplicaSet could not create its pods.
    NotCreated { message: String },
    /// A volume could not be mounted.
    Mount { message: String },
    /// The pod's sandbox or its node is in trouble.
    Node { reason: String, message: String },
    /// It is ready, but reports the digest of another image than ours.
    OtherImage { runs: String },
    /// Nothing certain was seen.
    Nothing,
}

/// Everything a diagnosis may look at. Taken before a rollback destroys it.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What the fold said.
    pub cause: Cause,
    /// `namespace/name`, for commands.
    pub namespace: String,
    /// The workload's name.
    pub workload: String,
    /// The last lines of the container that failed, newest last.
    pub logs: Option<Logs>,
    /// The platform of the node the pod was on.
    pub node_platform: Option<Platform>,
    /// The platforms of the image that was shipped.
    pub image_platforms: Vec<Platform>,
    /// The image reference that was set.
    pub image: String,
    /// Whether image and cluster are in one account, where both are known.
    pub same_account: Option<bool>,
    /// The most telling pod, whole.
    pub pod: Option<Box<Pod>>,
    /// Warning events of that pod, its ReplicaSet and the workload: reason and message, oldest
    /// first.
    pub warnings: Vec<(String, String)>,
    /// The name of the node role, if it could be read; else a placeholder is printed.
    pub node_role: Option<String>,
}

/// What a container said before it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
    /// Whether it is the previous container's.
    pub previous: bool,
    /// Its last lines, oldest first.
    pub lines: Vec<String>,
}
