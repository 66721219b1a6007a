//! The demo's world and its two stories: a good commit, and one whose program stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use slipway_sandbox::kube::{Play, Speed};
use slipway_sandbox::{Image, Sandbox, World};

use super::not_started;
use super::short::Short;
use crate::cancel;
use crate::cli::{self, voice::Voice};
use crate::error::{Ending, Failure};
use crate::guard::Push;
use crate::inputs::Inputs;
use crate::inputs::raw::Environment;
use crate::inputs::table::Command;
use crate::names::Digest;
use crate::pipeline;
use crate::pipeline::journey::Journey;
use crate::plan::Run;
use crate::record::{Fate, HighWater, Mark, Record};
use crate::report::{Look, Reporter, Settings};

/// The commit that serves at the beginning.
pub(super) const FIRST: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f9012345678";
/// The good commit.
pub(super) const GOOD: &str = "5e6f7a8b9c0d1e2f3041526374859607a8b9c0d1";
/// The commit whose program stops.
pub(super) const BAD: &str = "9c0d1e2f30415263748596a7b8c9d0e1f2a3b4c5";

const SPEED: f64 = 5.0;

/// The image of the good commit.
pub(super) fn new_image() -> Image {
    Image::new("linux/arm64", "two")
}

fn first_image() -> Image {
    Image::new("linux/arm64", "one")
}

/// The image of the commit whose program stops.
pub(super) fn bad_image() -> Image {
    Image::new("linux/arm64", "three")
}

/// What is in the sandbox before the first story.
#[derive(Default)]
pub(super) struct Scene;

impl Scene {
    /// The demo's account, with the first image under its commit's tag.
    pub(super) fn world(&self) -> World {
        let mut world = World {
            kube: slipway_sandbox::kube::Kube::new(Speed::Times(SPEED)),
            ..World::default()
        };
        world.image("demo/web", FIRST, &first_image());
        world.github.line(&[FIRST, GOOD, BAD]);
        world
    }

    /// Two arm64 nodes, and a workload that slipway shipped before.
    pub(super) fn seed(&self, sandbox: &Sandbox) {
        let kube = sandbox.kube();
        kube.node("ip-10-0-1-12", "arm64");
        kube.node("ip-10-0-2-7", "arm64");
        let uri = sandbox.world(|world| world.repository_uri("demo/web"));
        let digest = first_image().digest();
        let image = format!("{uri}:{FIRST}@{digest}");
        kube.deployment("demo", "web", "web", &image, 3)
            .with(serde_json::json!({ "metadata": { "annotations": history(&digest) } }))
            .by("slipway")
            .seed();
        let bad = bad_image().digest();
        kube.script(|_| true, Play::Recording("good"));
        kube.script(move |image| image.ends_with(&bad), Play::Recording("crash"));
    }
}

/// The annotations of an earlier, healthy ship.
fn history(digest: &str) -> std::collections::BTreeMap<String, String> {
    let Ok(digest) = digest.parse::<Digest>() else { return std::collections::BTreeMap::new() };
    let mark = mark("4710.1");
    let mut set = Record::default().setting(FIRST, &digest, &mark, HighWater::Proven);
    set.extend(Record::read(&set).ending(&mark.run, &Fate::Healthy, Some("1")));
    set
}

/// The marks of runs of one workflow on one branch, numbered as their ids are.
fn mark(run: &str) -> Mark {
    Mark {
        run: run.into(),
        number: run.split('.').next().and_then(|id| id.parse().ok()),
        workflow: Some(".github/workflows/ship.yml".into()),
        reference: Some("refs/heads/main".into()),
        at: format!("{:.0}", jiff::Timestamp::now()),
    }
}

/// Tells both stories.
///
/// # Errors
/// No loopback port, no temporary folder.
pub(super) async fn tell(voice: Voice) -> Result<u8, Failure> {
    let scene = Scene;
    let sandbox = Sandbox::start(scene.world()).await.map_err(|error| not_started(&error))?;
    scene.seed(&sandbox);
    let say = |text: &str| {
        let _ = voice.data(text);
    };
    say(
        "sandbox: ECR, EKS, 2 arm64 nodes, all in this process; it replays rollouts of a real kubelet 5 times faster\n",
    );
    let folder = tempfile::tempdir().map_err(|error| not_started(&error))?;
    say("one: a good commit\n");
    let first = story(&sandbox, folder.path(), "4711.1", GOOD, &new_image(), voice).await?;
    say("two: a commit whose program stops\n");
    let second = story(&sandbox, folder.path(), "4712.1", BAD, &bad_image(), voice).await?;
    let as_told = first == Ending::Shipped && second == Ending::RolledBack;
    if !as_told {
        say(&format!(
            "the stories ended {} and {}: this is a bug in slipway\n",
            first.word(),
            second.word()
        ));
        return Ok(Ending::Bug.exit());
    }
    say(
        "seen: platform from nodes, image by digest, log kept, rollback verified; a real run exits 5 here\n",
    );
    say("next: slipway ship -h\n");
    Ok(0)
}

/// Ships one commit for real, as far as the wire goes.
async fn story(
    sandbox: &Sandbox,
    folder: &std::path::Path,
    run: &str,
    commit: &str,
    image: &Image,
    voice: Voice,
) -> Result<Ending, Failure> {
    let layout = folder.join(&commit[..7]);
    image.layout(&layout).map_err(|error| not_started(&error))?;
    let inputs = inputs(sandbox, commit, &layout.display().to_string())?;
    let report = Arc::new(Reporter::new(
        Settings {
            look: Look::Lines,
            colour_data: false,
            json: true,
            runner: crate::github::door::Runner::default(),
            clock: jiff::Timestamp::now,
        },
        Box::new(Short::new(
            voice,
            inputs.repository.as_ref().map(ToString::to_string).unwrap_or_default(),
        )),
        Box::new(std::io::sink()),
    ));
    let (_canceller, cancel) = cancel::channel();
    let journey = Journey {
        inputs: &inputs,
        context: None,
        run: Run {
            mark: mark(run),
            push: Push { before: None, forced: false },
            is_rerun: false,
            now: jiff::Timestamp::now(),
        },
        github: None,
        report: &report,
        cancel: &cancel,
        secrets: Arc::new(|_: &str| {}),
        begun: Instant::now(),
    };
    let outcome = pipeline::run(&journey).await;
    let ending = outcome.ending;
    let _ = cli::conclude(outcome, &report);
    Ok(ending)
}

fn inputs(sandbox: &Sandbox, commit: &str, layout: &str) -> Result<Inputs, Failure> {
    let flags = [
        ("repository", "demo/web"),
        ("cluster", "demo"),
        ("namespace", "demo"),
        ("workload", "deployment/web"),
        ("commit", commit),
        ("image", layout),
        ("context", layout),
    ];
    let flags = flags.map(|(name, value)| (name, value.to_owned())).into();
    let environment: Environment = sandbox.environment().into_iter().collect();
    // The folder holds no slipway.yml: the demo is the same wherever it is started.
    let folder = std::path::Path::new(layout);
    let mut inputs = Inputs::read(Command::Ship, flags, Vec::new(), &environment, folder, false)
        .map_err(|refused| refused.failure)?;
    inputs.patience.timeout = Duration::from_secs(20);
    inputs.patience.bake = Duration::from_millis(500);
    Ok(inputs)
}
