//! Builds what the plan says, by the engine's own builder, and reads back what came of it: a builder
//! is believed for nothing that can be looked at.

mod fold;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::fold::Fold;
use crate::docker::{Engine, EngineImage, Heard, Login, Order, Store};
use crate::error::{Code, Failure};
use crate::inputs::Inputs;
use crate::names::Platform;
use crate::plan::{self, build::Building};
use crate::recipe::{CREATED, EVENT, RECIPE, REVISION};
use crate::report::{Event, Reporter, Step, figures};
use crate::survey::bench::{Bench, Materials, Workshop};
use crate::survey::platforms::list;

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
        Store::Containerd => building.platforms.len(),
        Store::Classic => 1,
    };
    let mut images = Vec::new();
    for platforms in building.platforms.chunks(at_once) {
        let order = order(inputs, building, materials, platforms, origin);
        images.push(one(&order, shop, building, report).await?);
    }
    leaks(inputs, &images, report)?;
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
    let fold = Fold::open(report, format!("{} for {}", building.file, list(&order.platforms)));
    let hear = |heard: Heard| fold.hear(heard);
    let built = telling(shop.engine.build(order, &hear), || fold.go_on()).await;
    fold.close(built.is_err());
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

/// What the images themselves would tell everybody who may pull them: refused by `forbid-secrets`.
fn leaks(inputs: &Inputs, images: &[EngineImage], report: &Reporter) -> Result<(), Failure> {
    match plan::leaks::in_image(images.iter().flat_map(plan::leaks::in_engine)) {
        Some(failure) if inputs.build.forbid_secrets => return Err(failure),
        Some(failure) => report.warn(failure),
        None => {}
    }
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

/// What a later run believes cannot be set by hand; what it does not believe can be.
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
        labels.entry(CREATED.into()).or_insert(made.to_string());
    }
    labels
}
