//! What a run says: one stream of events that every view is made from.
//!
//! Events hold facts, not layout. Serialised they are the lines of `--json`, so a field that is
//! renamed here changes a public format. Nothing is written here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::error::{Ending, Told, Unseen};
use crate::names::{Digest, ImageRef, Platform};
use crate::rollout::Progress;

/// One thing that happened, as every view gets it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first line: what was asked.
    Started(Started),
    /// An endpoint that is not the provider's own is in force.
    Overridden {
        /// The variable or input that says so.
        name: String,
        /// The address; a user and password in it are not shown.
        value: String,
    },
    /// An optional right is missing.
    NotSeen(Unseen),
    /// All reads are done.
    Surveyed {
        /// How long they took.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
        /// How many there were.
        reads: usize,
    },
    /// The plan, as its rows: label and text. Goes to stdout when the command is `plan`.
    Planned {
        /// Label and text, in order.
        rows: Vec<(String, String)>,
    },
    /// Others' words, folded on a runner.
    Foreign {
        /// Whose.
        source: Source,
        /// What they are about: `./Dockerfile for linux/amd64`.
        title: String,
        /// The lines, oldest first; the last fifty are shown.
        lines: Vec<String>,
        /// How many lines before these the caller did not keep.
        left_out: usize,
    },
    /// The beginning of others' words that are told as they come.
    Opened {
        /// Whose.
        source: Source,
        /// What they are about.
        title: String,
    },
    /// Some of them.
    Lines {
        /// Whose.
        source: Source,
        /// The lines, oldest first; the last fifty are shown.
        lines: Vec<String>,
        /// How many lines before these the caller did not keep.
        left_out: usize,
    },
    /// Their end.
    Closed {
        /// Whose.
        source: Source,
    },
    /// A step ended well.
    StepDone {
        /// Which.
        step: Step,
        /// How long it took.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
        /// What it did: `linux/amd64, 182 MB`.
        text: String,
    },
    /// A step goes on. May be said often: a log gets a line every 30 s, a terminal a live one.
    Working {
        /// Which.
        step: Step,
        /// For how long.
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
        /// What it is at, others' words or not: `#7 [3/5] RUN mvn package`.
        text: String,
    },
    /// What a rollout moves, for the summary: said after the patch, printed nowhere in the log.
    Deployed(Deployed),
    /// Where a rollout stands. May be said on every tick: a line is printed on change, and as a
    /// heartbeat after 30 s without one.
    Rollout {
        /// Time since the patch.
        #[serde(rename = "since_patch", serialize_with = "seconds")]
        at: Duration,
        /// The numbers.
        #[serde(flatten, serialize_with = "numbers")]
        progress: Progress,
    },
    /// A sentence of the watch: `x2kqp exited 1, twice: no new pod can become ready`.
    Watched {
        /// Time since the patch.
        #[serde(rename = "since_patch", serialize_with = "seconds")]
        at: Duration,
        /// The sentence.
        text: String,
    },
    /// All new pods stayed ready through the bake.
    Baked {
        /// Time since the patch.
        #[serde(rename = "since_patch", serialize_with = "seconds")]
        at: Duration,
        /// How long it was.
        #[serde(serialize_with = "seconds")]
        bake: Duration,
        /// Restarts of new pods in that time.
        restarts: u32,
        /// Pods that run the digest.
        pods: usize,
        /// Ready pods whose node does not say what digest they run.
        unseen: usize,
        /// Pods that were asked for.
        wanted: u32,
        /// What they run.
        digest: Digest,
    },
    /// An error, a warning or a notice, with its lines.
    Told(Told),
    /// The same about a line of a file of the checkout, such as `slipway.yml`.
    Placed {
        /// What is said.
        #[serde(flatten)]
        told: Told,
        /// The file's path in the checkout.
        file: String,
        /// Its line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
    },
    /// A line of `doctor`.
    Checked {
        /// How it went.
        result: Check,
        /// What was looked at: `identity`.
        subject: String,
        /// What was found.
        text: String,
    },
    /// The answer of a command that only reads: `status`, `history`, the count of `doctor`.
    Answered {
        /// The command.
        command: String,
        /// For people, on stdout.
        lines: Vec<String>,
        /// For programs, with `--json`.
        answer: serde_json::Value,
    },
    /// The end of the run, said once and last.
    Outcome(Box<Outcome>),
}

/// What was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Started {
    /// The version of slipway.
    pub version: String,
    /// The sub-command.
    pub command: String,
    /// The commit, seven digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// What is special about it: `merge of pull request 42`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// `shop/web`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The output of a build.
    Build,
    /// What a failing container said: kept for the summary and the evidence file.
    Evidence,
}

impl Source {
    /// The word before the title.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Evidence => "evidence",
        }
    }
}

/// The steps that have a line of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The image was built.
    Build,
    /// The image was taken from somewhere.
    Take,
    /// The image is in ECR.
    Push,
    /// The last gate was passed.
    Clear,
    /// The workload was patched.
    Deploy,
    /// The rollback is through.
    Restore,
}

impl Step {
    /// The word at the line's beginning.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Take => "take",
            Self::Push => "push",
            Self::Clear => "clear",
            Self::Deploy => "deploy",
            Self::Restore => "restore",
        }
    }
}

/// How a check of `doctor` went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// As it should be.
    Ok,
    /// Works, but should be changed.
    Warn,
    /// A ship would stop here.
    Fail,
}

impl Check {
    /// The word at the line's beginning.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What a rollout moves from and to.
#[derive(Clone, Debug, Serialize)]
pub struct Deployed {
    /// `repository:tag@digest`, whole but for the registry's host.
    pub image: String,
    /// The cluster.
    pub cluster: String,
    /// What the image was pushed for.
    pub platforms: Vec<Platform>,
    /// The new commit, seven digits.
    pub commit: String,
    /// The restore point, seven digits, or the image where that was no commit of slipway's.
    pub before: Option<String>,
    /// Whether `before` is a commit that `slipway rollback --to` takes.
    pub returnable: bool,
    /// The workload's revision before and now, where it has revisions.
    pub revisions: Option<(u64, u64)>,
}

/// How the run ended; its outputs are made from this.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The ending, and thereby the exit code.
    pub ending: Ending,
    /// The last line: `shipped 9f2c1e4 to shop/web in 1m 48s`. None where a told block has said it.
    pub line: Option<String>,
    /// The block that decided a bad ending, or the notice of a superseded one.
    pub told: Option<Told>,
    /// The whole commit that serves now, where it is known.
    pub serving: Option<String>,
    /// The whole image that was or would be set.
    pub image: Option<ImageRef>,
    /// What it was pushed for.
    pub platforms: Vec<Platform>,
    /// The plan, for the output of that name.
    pub plan: Option<serde_json::Value>,
    /// By service, where `slipway.yml` names several.
    pub services: BTreeMap<String, ServiceOutcome>,
}

/// How one service of several ended.
#[derive(Clone, Debug, Serialize)]
pub struct ServiceOutcome {
    /// Its ending.
    pub outcome: Ending,
    /// The cause of a bad one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<crate::error::Code>,
    /// The whole commit that serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serving: Option<String>,
    /// `repository:tag@digest`, without the registry's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line<'a> {
            exit: u8,
            outcome: Ending,
            code: Option<crate::error::Code>,
            what: Option<&'a str>,
            why: &'a [String],
            now: Option<&'a str>,
            next: &'a [String],
            serving: Option<&'a str>,
            image: Option<String>,
            platforms: &'a [Platform],
            #[serde(skip_serializing_if = "BTreeMap::is_empty")]
            services: &'a BTreeMap<String, ServiceOutcome>,
        }
        let told = self.told.as_ref();
        Line {
            exit: self.ending.exit(),
            outcome: self.ending,
            code: told.map(|t| t.code),
            what: told.map(|t| t.what.as_str()).or(self.line.as_deref()),
            why: told.map(|t| t.why.as_slice()).unwrap_or_default(),
            now: told.and_then(|t| t.now.as_deref()),
            next: told.map(|t| t.next.as_slice()).unwrap_or_default(),
            serving: self.serving.as_deref(),
            image: self.image.as_ref().map(ToString::to_string),
            platforms: &self.platforms,
            services: &self.services,
        }
        .serialize(serializer)
    }
}

/// Durations are numbers of seconds, to the millisecond.
fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run are far below 2^52")]
    serializer.serialize_f64(duration.as_millis() as f64 / 1000.0)
}

/// The numbers of a rollout without the shape that Rust gives a duration.
fn numbers<S: Serializer>(progress: &Progress, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line<'a> {
        new_ready: u32,
        old_ready: u32,
        wanted: u32,
        draining: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<&'a str>,
        baking: bool,
    }
    Line {
        new_ready: progress.new_ready,
        old_ready: progress.old_ready,
        wanted: progress.wanted,
        draining: progress.draining,
        note: progress.note.as_deref(),
        baking: progress.baking_since.is_some(),
    }
    .serialize(serializer)
}
