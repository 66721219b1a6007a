//! The builder before BuildKit: the context is one tar, and its words are all that tells of its steps.
//!
//! What it cannot do is refused before anything is sent, and what it made is looked at afterwards: it may answer with
//! another architecture than it was asked for.

mod wrong;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bollard::errors::Error;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};

use super::buildkit::lines::{LONGEST, Masks};
use super::engine::Engine;
use super::order::{Built, Heard, Listener, Order, StepState};
use super::push::credentials;
use super::told::USE_BUILDKIT;
use crate::error::{Code, Failure, one_line, quoted, visible};
use wrong::Ended;

/// Lines of a step that are kept for when it fails.
const KEPT: usize = 10;

/// Docker Hub's name in logins, which is older than its host.
const HUB: &str = "https://index.docker.io/v1/";

/// Builds with the builder before BuildKit. `file` is the Dockerfile's name inside the tar.
///
/// Dropping the future ends the build in the engine too.
///
/// # Errors
/// `SW-BUILD-FEATURE` for what it cannot do, `SW-BUILD-STEP` where a step failed, `SW-BUILD-BASE`, `SW-BUILD-FILE`
/// and `SW-BUILD-PLATFORM` by what the engine says, and whatever the tar's stream says.
pub(super) async fn build(
    engine: &Engine,
    order: &Order,
    file: &str,
    tar: impl Stream<Item = Result<Bytes, Failure>> + Send + 'static,
    hear: Listener<'_>,
) -> Result<Built, Failure> {
    refuse(engine, order)?;
    let broken: Arc<Mutex<Option<Failure>>> = Arc::default();
    let keep = Arc::clone(&broken);
    let body = bollard::body_try_stream(tar.map(move |piece| {
        piece.map_err(|failure| {
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
            io::Error::other("the context was not read to its end")
        })
    }));
    let api = engine.api()?;
    let logins = (!order.logins.is_empty()).then(|| logins(order));
    let mut lines = std::pin::pin!(api.build_image(options(order, file), logins, Some(body)));
    let mut steps = Steps::new(Masks::of(order), hear);
    while let Some(line) = lines.next().await {
        let error = match line {
            Ok(line) => {
                steps.hear(line.stream.as_deref().unwrap_or_default());
                steps.id = line.aux.and_then(|aux| aux.id).or(steps.id);
                line.error_detail.and_then(|detail| detail.message)
            }
            // What ended the context is the cause of what the engine says of it.
            Err(_) if is_some(&broken) => None,
            Err(Error::DockerStreamError { error }) => Some(error),
            Err(Error::DockerResponseServerError { status_code: 400, message }) => Some(message),
            Err(other) => return Err(engine.failed("the build did not end", &other)),
        };
        if let Some(failure) = broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(failure);
        }
        if let Some(words) = error {
            return Err(steps.failed(engine, order, &words));
        }
    }
    steps.end(true);
    let id = steps.id.ok_or_else(|| {
        let error = Error::DockerStreamError { error: "no image's ID at the end".into() };
        engine.failed("the build did not end", &error)
    })?;
    check(engine, order, &id).await?;
    Ok(Built { id })
}

fn is_some(broken: &Mutex<Option<Failure>>) -> bool {
    broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// What this builder cannot do is said, never left out.
fn refuse(engine: &Engine, order: &Order) -> Result<(), Failure> {
    let product = &engine.facts.product;
    let lacks = |what: &str| {
        Failure::new(Code::BuildFeature, format!("{product} cannot build with {what}"))
            .why("it has no BuildKit: its builder is the one before it")
    };
    if let Some(secret) = order.secrets.keys().next() {
        return Err(lacks(&format!("secret `{secret}`")).next(USE_BUILDKIT));
    }
    if order.epoch.is_some() {
        return Err(lacks("a time of its own: SOURCE_DATE_EPOCH").next(USE_BUILDKIT));
    }
    if order.platforms.len() > 1 {
        let next = "build each platform on its own, and join them: slipway index";
        return Err(lacks("several platforms at once").next(next));
    }
    if let Some(cache) = order.cache_from.iter().chain(&order.cache_to).next() {
        let what = format!("a cache of type `{}`", one_line(&cache.kind, 40));
        return Err(lacks(&what).next("leave the cache out: the engine keeps its own steps"));
    }
    match order.platforms.first() {
        // It would run the steps of one machine and call the image another's.
        Some(platform) if !platform.runs_on(&engine.facts.native) => {
            Err(lacks(&format!("platform {platform} on {}", engine.facts.native))
                .next(USE_BUILDKIT))
        }
        _ => Ok(()),
    }
}

fn options(order: &Order, file: &str) -> BuildImageOptions {
    let pairs = |map: &std::collections::BTreeMap<String, String>| {
        let pairs: HashMap<_, _> = map.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        (!pairs.is_empty()).then_some(pairs)
    };
    BuildImageOptions {
        dockerfile: file.into(),
        t: order.name.clone(),
        nocache: order.no_cache,
        pull: order.pull.then(|| "1".into()),
        rm: true,
        forcerm: true,
        buildargs: pairs(&order.args),
        labels: pairs(&order.labels),
        target: order.target.clone().unwrap_or_default(),
        platform: order.platforms.first().map(ToString::to_string).unwrap_or_default(),
        version: BuilderVersion::BuilderV1,
        ..BuildImageOptions::default()
    }
}

fn logins(order: &Order) -> HashMap<String, bollard::auth::DockerCredentials> {
    let host = |host: &str| match host {
        "docker.io" | "index.docker.io" => HUB.to_owned(),
        other => other.to_owned(),
    };
    // The first for a host counts, as for BuildKit.
    order.logins.iter().rev().map(|login| (host(&login.host), credentials(login))).collect()
}

/// An engine of 20.10 may take a step of another architecture from its cache.
async fn check(engine: &Engine, order: &Order, id: &str) -> Result<(), Failure> {
    let made = engine.inspect(id).await?;
    let Some(asked) = order.platforms.first() else { return Ok(()) };
    match made {
        Some(made) if made.platform.runs_on(asked) => Ok(()),
        Some(made) => {
            let what = format!("the engine built for {}, not for {asked}", made.platform);
            Err(Failure::new(Code::BuildPlatform, what)
                .why(format!("{} says so of {}", engine.facts.product, made.id.short()))
                .next("build it again with `no-cache`, or on a runner of that platform"))
        }
        None => {
            let error = Error::DockerStreamError { error: format!("no image {}", quoted(id)) };
            Err(engine.failed("the image is gone after its build", &error))
        }
    }
}

/// The steps, as the builder's words tell them.
struct Steps<'a> {
    masks: Masks,
    hear: Listener<'a>,
    /// What has come of a line.
    half: String,
    /// Number, how many, its text, and when it began.
    step: Option<(usize, String, String, Instant)>,
    is_cached: bool,
    last: VecDeque<String>,
    id: Option<String>,
}

impl<'a> Steps<'a> {
    fn new(masks: Masks, hear: Listener<'a>) -> Self {
        let (half, last) = (String::new(), VecDeque::new());
        Self { masks, hear, half, step: None, is_cached: false, last, id: None }
    }

    /// A piece of the builder's words, which need not be a whole line.
    fn hear(&mut self, text: &str) {
        self.half.push_str(text);
        while let Some(at) = self.half.find('\n') {
            let line: String = self.half.drain(..=at).collect();
            self.line(line.trim_end());
        }
        // A step that never ends a line cannot fill the memory.
        if self.half.len() >= LONGEST {
            let line = std::mem::take(&mut self.half);
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        // What a step writes as errors is coloured, and the next line begins with the colour's end.
        let line = self.masks.apply(visible(line).collect());
        let line = line.trim_end();
        let warnings = ["[Warning] ", "[WARNING]: "];
        if let Some(text) = warnings.iter().find_map(|begin| line.strip_prefix(begin)) {
            return (self.hear)(Heard::Warning { text: text.into() });
        }
        if let Some((number, of, text)) = begun(line) {
            self.end(true);
            self.last.clear();
            self.is_cached = false;
            let name = format!("[{number}/{of}] {text}");
            (self.hear)(Heard::Step { number, name, state: StepState::Begun });
            self.step = Some((number, of.into(), text.into(), Instant::now()));
            return;
        }
        if line == " ---> Using cache" || line.starts_with("--> Using cache ") {
            self.is_cached = true;
        }
        // Its own notes: the images and containers between the steps.
        let own = [" --->", "Removing intermediate container ", "Successfully ", "--> ", "COMMIT "];
        let Some((number, ..)) = self.step else { return };
        if line.is_empty() || own.iter().any(|own| line.starts_with(own)) {
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line.into());
        (self.hear)(Heard::Line { number, text: line.into() });
    }

    /// The step that was going on has ended.
    fn end(&mut self, well: bool) {
        let Some((number, of, text, since)) = self.step.take() else { return };
        let state = match (well, self.is_cached) {
            (true, true) => StepState::Cached,
            (true, false) => StepState::Done(since.elapsed()),
            (false, _) => StepState::Failed,
        };
        (self.hear)(Heard::Step { number, name: format!("[{number}/{of}] {text}"), state });
    }

    /// Why it failed, by the engine's last words.
    fn failed(&mut self, engine: &Engine, order: &Order, words: &str) -> Failure {
        let rest = std::mem::take(&mut self.half);
        self.line(rest.trim_end());
        let step = self.step.as_ref();
        let step = step.map(|(number, of, text, _)| (format!("{number}/{of}"), text.clone()));
        self.end(false);
        let product = engine.facts.product.as_str();
        let words = &self.masks.apply(words.to_owned());
        Ended { order, product, step, last: &self.last }.failure(words)
    }
}

/// `Step 2/3 : RUN make`, or as Podman says it, `STEP 2/3: RUN make`.
fn begun(line: &str) -> Option<(usize, &str, &str)> {
    let docker = line.strip_prefix("Step ").and_then(|rest| rest.split_once(" : "));
    let podman = || line.strip_prefix("STEP ").and_then(|rest| rest.split_once(": "));
    let (count, text) = docker.or_else(podman)?;
    let (number, of) = count.split_once('/')?;
    Some((number.parse().ok()?, of.parse::<usize>().ok().map(|_| of)?, text))
}
