//! What a builder tells about its steps, folded into what is heard of them. No clock, no connection.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{
    StatusResponse, Vertex, VertexLog, VertexWarning,
};

use super::super::{Heard, StepState};
use super::lines::{Masks, Partial};

/// How many lines of a step are kept for when it fails, and how much of each.
const KEPT: usize = 20;
const KEPT_OF_A_LINE: usize = 1000;

/// What a builder calls the reading of a cache in a registry.
const CACHE: &str = "importing cache manifest";

/// A step that ended sooner is not told of at once: builders take steps up again, first to see what they
/// are and then to do them. It is told of when a step begins that waited for it, with the next that begins
/// where none waits for it, or when the build ends.
const SOON: Duration = Duration::from_millis(200);

/// A step as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// 0 while it has not begun.
    number: usize,
    /// `[2/3] RUN make`.
    pub(super) name: String,
    /// What it failed with.
    pub(super) error: String,
    /// The last lines that it wrote.
    pub(super) last: VecDeque<String>,
    /// When it ran, by when it began: it may be taken up again.
    ran: BTreeMap<i128, Option<i128>>,
    /// How far it is, and what was last told of that.
    state: Option<StepState>,
    told: Option<StepState>,
    partial: Partial,
    /// Several that are shown as one, by their digests.
    members: HashMap<String, Vertex>,
}

/// Everything that was told so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    steps: HashMap<String, Step>,
    /// The step that a member of a group is shown as.
    groups: HashMap<String, String>,
    /// Steps that others wait for, by what they are shown as or will be.
    awaited: HashSet<String>,
    begun: usize,
    masks: Masks,
}

fn nanos(time: Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos)
}

/// Words of an end that somebody else's failure or ours brought about.
pub(super) fn is_cancelled(error: &str) -> bool {
    error.ends_with("context canceled")
}

impl Progress {
    pub(super) fn new(masks: Masks) -> Self {
        Self { masks, ..Self::default() }
    }

    /// What is new in a message.
    pub(super) fn take(&mut self, told: StatusResponse) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.awaited.extend(told.vertexes.iter().flat_map(|vertex| vertex.inputs.iter().cloned()));
        for vertex in told.vertexes {
            if vertex.started.is_some() {
                self.let_go(&vertex.inputs, &mut heard);
                self.let_go_unawaited(&vertex.digest, &mut heard);
            }
            self.vertex(vertex, &mut heard);
        }
        for warning in told.warnings {
            heard.push(Heard::Warning { text: self.masks.apply(words(&warning)) });
        }
        for log in told.logs {
            self.log(&log, &mut heard);
        }
        heard
    }

    /// What is left when nothing more is told.
    pub(super) fn end(&mut self) -> Vec<Heard> {
        let mut steps: Vec<_> = self.steps.values_mut().filter(|step| step.number > 0).collect();
        steps.sort_by_key(|step| step.number);
        let mut heard = Vec::new();
        for step in steps {
            let left = step.partial.end();
            step.heard(left, &self.masks, &mut heard);
            step.let_go(&mut heard);
        }
        heard
    }

    /// Tells of what was held back, now that something goes on from there.
    fn let_go(&mut self, digests: &[String], heard: &mut Vec<Heard>) {
        for digest in digests {
            let digest = self.groups.get(digest).unwrap_or(digest);
            if let Some(step) = self.steps.get_mut(digest) {
                step.let_go(heard);
            }
        }
    }

    /// The same of what nobody waits for, when the next step begins: lines come in the order of their numbers.
    fn let_go_unawaited(&mut self, next: &str, heard: &mut Vec<Heard>) {
        if self.step(next).is_some_and(|step| step.number > 0) {
            return;
        }
        let awaited: HashSet<_> =
            self.awaited.iter().map(|digest| self.groups.get(digest).unwrap_or(digest)).collect();
        let free = self.steps.iter_mut().filter(|(digest, _)| !awaited.contains(digest));
        let mut steps: Vec<_> = free.map(|(_, step)| step).collect();
        steps.sort_by_key(|step| step.number);
        steps.into_iter().filter(|step| step.number > 0).for_each(|step| step.let_go(heard));
    }

    /// A step by the digest that an error names.
    pub(super) fn step(&self, digest: &str) -> Option<&Step> {
        self.steps.get(self.groups.get(digest).map_or(digest, String::as_str))
    }

    /// The step that failed first, if one did and was not merely stopped.
    pub(super) fn failed(&self) -> Option<&Step> {
        // Without a cache the build goes on: it is never why one failed.
        let is_own = |step: &&Step| !step.name.starts_with(CACHE) && !is_cancelled(&step.error);
        let failed = self.steps.values().filter(|step| !step.error.is_empty()).filter(is_own);
        failed.min_by_key(|step| step.number)
    }

    /// A text without the secrets of this build.
    pub(super) fn masked(&self, text: String) -> String {
        self.masks.apply(text)
    }

    fn vertex(&mut self, vertex: Vertex, heard: &mut Vec<Heard>) {
        let step = match &vertex.progress_group {
            None => {
                let step = self.steps.entry(vertex.digest.clone()).or_default();
                step.name = self.masks.apply(vertex.name);
                step.error = self.masks.apply(vertex.error);
                step.run(vertex.started, vertex.completed);
                step.cached_or_done(vertex.cached);
                step
            }
            Some(group) => {
                self.groups.insert(vertex.digest.clone(), group.id.clone());
                let step = self.steps.entry(group.id.clone()).or_default();
                step.name = self.masks.apply(group.name.clone());
                step.join(vertex);
                step.error = self.masks.apply(std::mem::take(&mut step.error));
                step
            }
        };
        step.tell(&mut self.begun, &self.masks, heard);
    }

    fn log(&mut self, log: &VertexLog, heard: &mut Vec<Heard>) {
        let digest = self.groups.get(&log.vertex).unwrap_or(&log.vertex);
        let Some(step) = self.steps.get_mut(digest) else { return };
        let lines = step.partial.add(&log.msg);
        step.heard(lines, &self.masks, heard);
    }
}

impl Step {
    fn run(&mut self, started: Option<Timestamp>, completed: Option<Timestamp>) {
        if let Some(started) = started {
            self.ran.insert(nanos(started), completed.map(nanos));
        }
    }

    fn cached_or_done(&mut self, cached: bool) {
        self.state = if self.ran.is_empty() {
            None
        } else if is_cancelled(&self.error) {
            // Another step failed, and took this one with it.
            Some(StepState::Begun)
        } else if !self.error.is_empty() {
            Some(StepState::Failed)
        } else if self.ran.values().any(Option::is_none) {
            Some(StepState::Begun)
        } else if cached {
            Some(StepState::Cached)
        } else {
            Some(StepState::Done(self.lasted()))
        };
    }

    /// One of several: they are shown once one of them is for itself worth it, or fails.
    fn join(&mut self, vertex: Vertex) {
        self.run(vertex.started, vertex.completed);
        self.members.insert(vertex.digest.clone(), vertex);
        let members = self.members.values();
        let first = members.clone().map(|m| &m.error).find(|error| !error.is_empty());
        self.error = first.cloned().unwrap_or_default();
        let shown = members.clone().any(|member| {
            let weak = member.progress_group.as_ref().is_some_and(|group| group.weak);
            (member.started.is_some() && !weak) || !member.error.is_empty()
        });
        let cached = members.clone().all(|member| member.cached);
        self.cached_or_done(cached);
        if !shown {
            self.state = None;
        }
    }

    /// How long it ran, without the time in which it waited for others.
    fn lasted(&self) -> Duration {
        let mut sum = 0;
        let mut until = i128::MIN;
        for (from, to) in &self.ran {
            let to = to.unwrap_or(*from);
            sum += (to - (*from).max(until)).max(0);
            until = until.max(to);
        }
        Duration::from_nanos(u64::try_from(sum).unwrap_or_default())
    }

    /// Tells how far it is, if that is news.
    fn tell(&mut self, begun: &mut usize, masks: &Masks, heard: &mut Vec<Heard>) {
        let Some(state) = self.state else { return };
        if self.number == 0 {
            *begun += 1;
            self.number = *begun;
        }
        if self.told == Some(state) {
            return;
        }
        if state != StepState::Begun {
            let left = self.partial.end();
            self.heard(left, masks, heard);
        }
        if matches!(state, StepState::Done(lasted) if lasted < SOON) {
            if self.told != Some(StepState::Rests) {
                self.say(StepState::Rests, heard);
            }
            return;
        }
        self.say(state, heard);
    }

    fn let_go(&mut self, heard: &mut Vec<Heard>) {
        if let Some(state) = self.state.filter(|state| self.told != Some(*state)) {
            self.say(state, heard);
        }
    }

    fn say(&mut self, state: StepState, heard: &mut Vec<Heard>) {
        self.told = Some(state);
        heard.push(Heard::Step { number: self.number, name: self.name.clone(), state });
        // The build goes on without it, and nothing else will ever say why.
        if state == StepState::Failed && self.name.starts_with(CACHE) {
            let text = format!("the cache is not read, and the build goes on: {}", self.error);
            heard.push(Heard::Warning { text });
        }
    }

    fn heard(
        &mut self,
        lines: impl IntoIterator<Item = String>,
        masks: &Masks,
        heard: &mut Vec<Heard>,
    ) {
        for line in lines {
            let text = masks.apply(line);
            if self.last.len() == KEPT {
                self.last.pop_front();
            }
            self.last.push_back(text.chars().take(KEPT_OF_A_LINE).collect());
            heard.push(Heard::Line { number: self.number, text });
        }
    }
}

/// A warning on one line, with the line of the file that it is about.
fn words(warning: &VertexWarning) -> String {
    let short = String::from_utf8_lossy(&warning.short);
    let line = warning.ranges.iter().find_map(|range| range.start).map(|start| start.line);
    let file = warning.info.as_ref().map(|info| info.filename.as_str());
    match (file, line) {
        // Rules of style name the line themselves.
        (Some(file), Some(line)) if line > 0 && !short.ends_with(')') => {
            format!("{file}:{line}: {short}")
        }
        _ => short.into_owned(),
    }
}
