//! Builds what the plan says, by the engine's own builder, and reads back what came of it: a builder
//! is believed for nothing that can be looked at.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::docker::{Engine, EngineImage, Heard, Login, Order, StepState, Store};
use crate::error::{Code, Failure};
use crate::inputs::Inputs;
use crate::names::Platform;
use crate::plan::build::Building;
use crate::plan::image::{EVENT, RECIPE, REVISION};
use crate::recipe;
use crate::report::{Event, Reporter, Source, Step, figures};
use crate::survey::bench::{Bench, Materials, Workshop};
use crate::survey::platforms::list;

/// Lines of a failing step that are kept.
const KEPT: usize = 40;

/// How often it is told what the builder is at; a log prints a line in 30 s.
const TICK: Duration = Duration::from_secs(1);

/// Where and when a build belongs to, for the labels of its image.
pub struct Origin<'a> {
    /// The whole commit.
    pub revision: &'a str,
    /// The repository's address.
    pub source: Option<&'a str>,
    /// The event that it is built for.
    pub event: Option<&'a str>,
    /// When the commit was made, in seconds since 1970.
    pub made: Option<i64>,
    /// For the repository's own registry.
    pub own: Option<Login>,
    /// What the image is called in the engine, where it is one.
    pub name: Option<String>,
}

/// Builds for every platform of the plan: images in the engine, one for each, or one for all where
/// its store holds such images.
///
/// # Errors
/// A step that failed, or an image that is not what was asked for.
pub async fn build(
    inputs: &Inputs,
    building: &Building,
    bench: &Bench,
    origin: &Origin<'_>,
    report: &Reporter,
) -> Result<Vec<EngineImage>, Failure> {
    let lost = || Failure::new(Code::RunBug, "the plan builds without an engine or a Dockerfile");
    let (Ok(shop), Ok(materials)) = (&bench.engine, &bench.materials) else { return Err(lost()) };
    if building.platforms.is_empty() {
        return Err(lost());
    }
    let at_once = match shop.engine.facts.store {
        Store::Containerd => building.platforms.len().max(1),
        Store::Classic => 1,
    };
    let mut images = Vec::new();
    for platforms in building.platforms.chunks(at_once) {
        let order = order(inputs, building, materials, platforms, origin);
        images.push(one(&order, shop, building, report).await?);
    }
    for image in &images {
        config_leaks(inputs, image, report)?;
    }
    Ok(images)
}

/// One run of the builder, with everything it says.
async fn one(
    order: &Order,
    shop: &Workshop,
    building: &Building,
    report: &Reporter,
) -> Result<EngineImage, Failure> {
    let begun = Instant::now();
    let title = format!("{} for {}", building.file, list(&order.platforms));
    let log = Mutex::new(Log::default());
    let mut said = Said { log: &log, report, title, told: false };
    let hear = |heard: Heard| {
        let mut log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(text) = log.hear(heard) {
            report.say(Event::Working { step: Step::Build, took: begun.elapsed(), text });
        }
    };
    let building_it = shop.engine.build(order, &hear);
    let built = telling(building_it, || {
        let log = log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(text) = log.at() {
            report.say(Event::Working { step: Step::Build, took: begun.elapsed(), text });
        }
    })
    .await;
    let failed = built.is_err();
    said.tell(failed);
    let built = built?;
    let image = shop.engine.inspect(&built.id).await?.ok_or_else(|| {
        Failure::new(Code::BuildPlatform, "the engine has no image of what it built")
            .why(format!("{} names {}", shop.engine.facts.product, built.id))
            .next("run it again; another job may remove images on this engine")
    })?;
    is_what_was_asked_for(&image, order, &shop.engine)?;
    report.say(Event::StepDone {
        step: Step::Build,
        took: begun.elapsed(),
        text: format!("{}, {}", list(&order.platforms), figures::size(image.size)),
    });
    Ok(image)
}

/// What was heard, told once: by a build that is dropped, too, whose reader wants to know where it stood.
struct Said<'a> {
    log: &'a Mutex<Log>,
    report: &'a Reporter,
    title: String,
    told: bool,
}

impl Said<'_> {
    fn tell(&mut self, failed: bool) {
        self.told = true;
        let log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (lines, left_out) = log.told(failed);
        let title = std::mem::take(&mut self.title);
        self.report.say(Event::Foreign { source: Source::Build, title, lines, left_out });
    }
}

impl Drop for Said<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(true);
        }
    }
}

/// A step may be silent for minutes: that it still goes on is told now and then.
async fn telling<T>(work: impl Future<Output = T>, tell: impl Fn()) -> T {
    let mut ticks = tokio::time::interval(TICK);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => tell(),
        }
    }
}

/// Several platforms in one image are compared once it is in ECR, where each can be read.
fn is_what_was_asked_for(
    image: &EngineImage,
    order: &Order,
    engine: &Engine,
) -> Result<(), Failure> {
    let [wanted] = &order.platforms[..] else { return Ok(()) };
    if image.platform.runs_on(wanted) {
        return Ok(());
    }
    Err(Failure::new(
        Code::BuildPlatform,
        format!("the image that was built is {}, not {wanted}", image.platform),
    )
    .why(format!("{} was asked for {wanted} and says {}", engine.facts.product, image.platform))
    .next("use an engine with BuildKit, or a runner of that platform")
    .next("a `FROM --platform=` in the Dockerfile that names one decides, too"))
}

/// What the image itself would tell everybody who may pull it.
///
/// # Errors
/// `forbid-secrets` refuses it.
pub fn config_leaks(
    inputs: &Inputs,
    image: &EngineImage,
    report: &Reporter,
) -> Result<(), Failure> {
    let history: Vec<_> = image.history.iter().map(|made| made.by.clone()).collect();
    let leaks = recipe::leaks_in_config(&image.env, &history, &image.labels);
    if leaks.is_empty() {
        return Ok(());
    }
    let mut failure = recipe::refusal(&leaks);
    failure.what = "a secret is in the image, for all who may pull it".into();
    failure.next =
        vec!["give steps what they need by `build-secrets`, and pods by a Secret".into()];
    if inputs.build.forbid_secrets {
        return Err(failure);
    }
    report.warn(failure);
    Ok(())
}

fn order(
    inputs: &Inputs,
    building: &Building,
    materials: &Materials,
    platforms: &[Platform],
    origin: &Origin<'_>,
) -> Order {
    let build = &inputs.build;
    Order {
        context: inputs.context.clone(),
        file: materials.file.clone(),
        platforms: platforms.to_vec(),
        target: build.target.clone(),
        args: build.args.clone(),
        labels: labels(inputs, building, origin),
        secrets: build.secrets.clone(),
        logins: build.logins.iter().chain(&origin.own).cloned().collect(),
        cache_from: build.cache_from.clone(),
        cache_to: build.cache_to.clone(),
        no_cache: build.no_cache,
        pull: build.pull,
        // The commit's time is not sent: it is part of the cache's keys, and each commit would build anew.
        epoch: build.epoch.filter(|_| !build.args.contains_key("SOURCE_DATE_EPOCH")),
        name: origin.name.clone().filter(|_| platforms.len() == building.platforms.len()),
    }
}

/// slipway's own labels cannot be set by hand: they are what a later run believes.
fn labels(inputs: &Inputs, building: &Building, origin: &Origin<'_>) -> BTreeMap<String, String> {
    let mut labels = inputs.build.labels.clone();
    labels.insert(REVISION.into(), origin.revision.into());
    labels.insert(RECIPE.into(), building.recipe.clone());
    if let Some(source) = origin.source {
        labels.entry("org.opencontainers.image.source".into()).or_insert(source.into());
    }
    if let Some(event) = origin.event {
        labels.insert(EVENT.into(), event.into());
    }
    let made = inputs.build.epoch.or(origin.made);
    if let Some(made) = made.and_then(|made| jiff::Timestamp::from_second(made).ok()) {
        labels.entry("org.opencontainers.image.created".into()).or_insert(made.to_string());
    }
    labels
}

/// What a builder said, a line a step, and what its steps wrote last.
#[derive(Default)]
struct Log {
    steps: Vec<Told>,
    warnings: Vec<String>,
}

struct Told {
    number: usize,
    name: String,
    state: StepState,
    wrote: VecDeque<String>,
    left_out: usize,
}

impl Log {
    /// Takes it in, and says what a log shows of it now.
    fn hear(&mut self, heard: Heard) -> Option<String> {
        match heard {
            Heard::Step { number, name, state } => {
                let step = self.step(number);
                step.name = name;
                step.state = state;
                (state == StepState::Begun).then(|| format!("#{number} {}", step.name))
            }
            Heard::Line { number, text } => {
                let step = self.step(number);
                if step.wrote.len() == KEPT {
                    step.wrote.pop_front();
                    step.left_out += 1;
                }
                step.wrote.push_back(text);
                None
            }
            Heard::Warning { text } => {
                self.warnings.push(text);
                None
            }
        }
    }

    /// The step that goes on, the one that began last.
    fn at(&self) -> Option<String> {
        let going = self.steps.iter().rfind(|step| step.state == StepState::Begun)?;
        Some(format!("#{} {}", going.number, going.name))
    }

    fn step(&mut self, number: usize) -> &mut Told {
        let at = self.steps.iter().position(|step| step.number == number).unwrap_or_else(|| {
            self.steps.push(Told {
                number,
                name: String::new(),
                state: StepState::Begun,
                wrote: VecDeque::new(),
                left_out: 0,
            });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    /// A line a step; after a failure, what the failing step wrote, or the one that went on.
    fn told(&self, failed: bool) -> (Vec<String>, usize) {
        let mut lines: Vec<_> = self.steps.iter().map(Told::line).collect();
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        let mut left_out = 0;
        let is = |state| self.steps.iter().rfind(move |step| step.state == state);
        // One that was cancelled stands where it stands.
        let last = is(StepState::Failed).or_else(|| is(StepState::Begun));
        if let Some(step) = last.filter(|_| failed) {
            left_out = step.left_out;
            lines.extend(step.wrote.iter().map(|text| format!("#{} {text}", step.number)));
        }
        (lines, left_out)
    }
}

impl Told {
    fn line(&self) -> String {
        let Self { number, name, .. } = self;
        match self.state {
            StepState::Cached => format!("#{number} {name}  cached"),
            StepState::Done(took) if took >= Duration::from_secs(1) => {
                format!("#{number} {name}  {}", figures::took(took))
            }
            StepState::Failed => format!("#{number} {name}  failed"),
            StepState::Begun | StepState::Done(_) => format!("#{number} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: usize, name: &str, state: StepState) -> Heard {
        Heard::Step { number, name: name.into(), state }
    }

    #[test]
    fn a_line_a_step_and_after_a_failure_what_it_wrote() {
        let mut log = Log::default();
        assert_eq!(
            log.hear(step(1, "[1/2] FROM base", StepState::Begun)).as_deref(),
            Some("#1 [1/2] FROM base")
        );
        assert_eq!(log.at().as_deref(), Some("#1 [1/2] FROM base"));
        assert_eq!(log.hear(step(1, "[1/2] FROM base", StepState::Cached)), None);
        assert_eq!(log.at(), None);
        log.hear(step(2, "[2/2] RUN make", StepState::Begun));
        (0..KEPT + 2).for_each(|n| {
            log.hear(Heard::Line { number: 2, text: format!("line {n}") });
        });
        log.hear(step(2, "[2/2] RUN make", StepState::Done(Duration::from_millis(2400))));
        let (lines, left_out) = log.told(false);
        assert_eq!(lines, ["#1 [1/2] FROM base  cached", "#2 [2/2] RUN make  2.4 s"]);
        assert_eq!(left_out, 0);
        log.hear(step(2, "[2/2] RUN make", StepState::Failed));
        log.hear(Heard::Warning { text: "no such instruction".into() });
        let (lines, left_out) = log.told(true);
        assert_eq!(
            lines[1..4],
            ["#2 [2/2] RUN make  failed", "warning: no such instruction", "#2 line 2"]
        );
        assert_eq!((lines.len(), left_out), (3 + KEPT, 2));
    }
}
