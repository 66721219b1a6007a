//! The stage of a story: a sandbox with a workload that serves, and the program run against it as a
//! process of its own, with nothing of this machine's environment.

mod into;
mod runner;
pub mod scrub;
mod told;

use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::engine::{Engine, Kind};
use slipway_sandbox::kube::{Kube, Play, Speed};
use slipway_sandbox::{Image, Request, Sandbox, World};

pub use runner::{Runner, program};
pub use told::{Going, Told};

/// The commit that serves when a story begins, shipped by run 4710.
pub const OLD: &str = "3f2a91c000000000000000000000000000000000";
/// The commit that most stories ship.
pub const NEW: &str = "9f2c1e4000000000000000000000000000000000";
/// A commit after that.
pub const NEWER: &str = "c77d0be000000000000000000000000000000000";

/// How much faster than the recorded clusters a story's cluster is.
const SPEED: f64 = 20.0;

/// A story's surroundings.
pub struct Stage {
    /// The services.
    pub sandbox: Sandbox,
    engine: Option<Engine>,
    runner: Runner,
}

impl std::ops::Deref for Stage {
    type Target = Runner;

    fn deref(&self) -> &Runner {
        &self.runner
    }
}

impl std::ops::DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut Runner {
        &mut self.runner
    }
}

impl Stage {
    /// `shop/web` in cluster `prod`: 3 pods of [`OLD`] on two amd64 nodes, in repository `web`.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with the world changed before it starts.
    pub async fn with(change: impl FnOnce(&mut World)) -> Self {
        let mut world = World { kube: Kube::new(Speed::Times(SPEED)), ..World::default() };
        world.cluster.name = "prod".into();
        world.repositories.clear();
        world.image("web", OLD, &Self::old_image());
        world.github.line(&[OLD, NEW, NEWER]);
        change(&mut world);
        let sandbox = Sandbox::start(world).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Not this machine's engine.
        let nowhere = ("DOCKER_HOST".to_owned(), "unix:///nowhere/docker.sock".to_owned());
        let environment = sandbox
            .environment()
            .into_iter()
            .filter(|(name, _)| !name.starts_with("GITHUB_"))
            .chain([nowhere])
            .collect();
        let inputs = Self::inputs().map(|(name, value)| (name, value.to_owned())).into();
        let (wrapper, url) = (Vec::new(), sandbox.url());
        let runner = Runner { folder, wrapper, environment, inputs, url };
        Self { sandbox, engine: None, runner }
    }

    /// Brings an engine of this kind up; names of ECR lead it to the sandbox.
    pub async fn bring_engine(&mut self, kind: Kind) {
        let engine = Engine::start(self.folder.path(), kind, &self.sandbox.url()).await.unwrap();
        self.runner.variable("DOCKER_HOST", &engine.host());
        self.engine = Some(engine);
    }

    /// The engine, which the story has to have.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// What every run is given unless its story says otherwise.
    pub fn inputs() -> [(&'static str, &'static str); 7] {
        [
            ("repository", "web"),
            ("cluster", "prod"),
            ("namespace", "shop"),
            ("workload", "deployment/web"),
            ("timeout", "20s"),
            ("bake", "1s"),
            ("commit", NEW),
        ]
    }

    /// Puts the usual workload there: call it unless the story has one of its own.
    pub fn serving(self) -> Self {
        self.serving_on(&["ip-10-0-1-12", "ip-10-0-2-7"])
    }

    /// The same on these nodes, which are amd64.
    pub fn serving_on(self, nodes: &[&str]) -> Self {
        let kube = self.kube();
        for node in nodes {
            kube.node(node, "amd64");
        }
        kube.script(|_| true, Play::Recording("good"));
        let image = self.reference(OLD, &Self::old_image().digest());
        kube.deployment("shop", "web", "app", &image, 3)
            .with(json!({ "metadata": { "annotations": Self::shipped(OLD, &Self::old_image().digest(), 4710) } }))
            .by("slipway")
            .revision(17)
            .seed();
        self
    }

    /// The image that serves when a story begins.
    pub fn old_image() -> Image {
        Image::new("linux/amd64", "old")
    }

    /// The image that most stories ship.
    pub fn new_image() -> Image {
        Image::new("linux/amd64", "new")
    }

    /// The annotations of a healthy ship by a run of `ship.yml` on `main`.
    pub fn shipped(commit: &str, digest: &str, run: u64) -> Value {
        let mark = json!({ "run": format!("{run}.1"), "number": run - 4700, "workflow": ".github/workflows/ship.yml", "ref": "refs/heads/main", "at": "2026-11-20T17:02:00Z" });
        let with = |more: Value| {
            let mut all = mark.clone();
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        json!({
            "slipway.dev/commit": commit,
            "slipway.dev/digest": digest,
            "slipway.dev/run": format!("{run}.1"),
            "slipway.dev/newest": with(json!({ "commit": commit })).to_string(),
            "slipway.dev/history": json!([with(json!({ "commit": commit, "digest": digest, "fate": "healthy", "revision": "17" }))]).to_string(),
        })
    }

    /// The cluster behind the sandbox.
    pub fn kube(&self) -> Kube {
        self.sandbox.kube()
    }

    /// `host/web:tag@digest`.
    pub fn reference(&self, tag: &str, digest: &str) -> String {
        let uri = self.sandbox.world(|world| world.repository_uri("web"));
        format!("{uri}:{tag}@{digest}")
    }

    /// Writes an image as an OCI layout beside the program and gives it as `image`.
    pub fn layout(mut self, image: &Image) -> Self {
        image.layout(&self.folder.path().join("image")).unwrap();
        self.runner.input("image", "image");
        self
    }

    /// The usual story: the new image as a layout, and what its rollout plays.
    pub fn ships(self, recording: &'static str) -> Self {
        let digest = Self::new_image().digest();
        self.kube().script(move |image| image.ends_with(&digest), Play::Recording(recording));
        self.layout(&Self::new_image())
    }

    /// Gives an input; an empty value takes it away.
    pub fn input(mut self, name: &'static str, value: &str) -> Self {
        self.runner.input(name, value);
        self
    }

    /// Sets a variable, where the stage is kept.
    pub fn export(&mut self, name: &str, value: &str) {
        self.runner.variable(name, value);
    }

    /// Sets an environment variable; an empty value takes it away.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.runner.variable(name, value);
        self
    }

    /// Writes a file into the story's folder.
    pub fn holding(self, name: &str, text: &str) -> Self {
        self.runner.holding(name, text);
        self
    }

    /// Makes it run `number` of `ship.yml` on `main`, as GitHub runs the action: with files for
    /// outputs and summary in the story's folder.
    pub fn on_github(mut self, number: u64) -> Self {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_REPOSITORY", self.sandbox.world(|world| world.github.repository.clone())),
            ("GITHUB_API_URL", self.sandbox.url()),
            ("GITHUB_TOKEN", self.sandbox.world(|world| world.github.token.clone())),
            ("GITHUB_RUN_ID", (4700 + number).to_string()),
            ("GITHUB_RUN_NUMBER", number.to_string()),
            ("GITHUB_RUN_ATTEMPT", "1".into()),
            ("GITHUB_WORKFLOW_REF", "acme/shop/.github/workflows/ship.yml@refs/heads/main".into()),
            ("GITHUB_REF", "refs/heads/main".into()),
            ("GITHUB_OUTPUT", file("output")),
            ("GITHUB_STEP_SUMMARY", file("summary")),
            ("RUNNER_TEMP", self.folder.path().display().to_string()),
        ];
        self.runner.environment.extend(variables.map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// Changes the running workload as another writer would.
    pub fn written_by(self, manager: &str, patch: &Value) -> Self {
        self.kube().write(manager, "Deployment", "shop", "web", patch).unwrap();
        self
    }

    /// The image that the workload's container is set to now, as `tag sha256:…` in short.
    pub fn serves(&self) -> String {
        let web = self.kube().object("Deployment", "shop", "web").unwrap();
        let image = web["spec"]["template"]["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let ready = web["status"]["readyReplicas"].as_u64().unwrap_or_default();
        let updated = web["status"]["updatedReplicas"].as_u64().unwrap_or_default();
        let name = image.rsplit('/').next().unwrap_or_default();
        format!("{}, {updated} updated, {ready} ready", scrub::image(name))
    }

    /// Waits until a request whose action contains this has arrived.
    pub async fn asked(&self, action: &str) {
        self.counted(1, |request| request.action.as_deref().is_some_and(|a| a.contains(action)))
            .await;
    }

    /// The same, until there were this many.
    pub async fn asked_times(&self, times: usize, action: &str) {
        let matches =
            |request: &Request| request.action.as_deref().is_some_and(|a| a.contains(action));
        self.counted(times, matches).await;
    }

    /// Waits until the workload was patched this many times.
    pub async fn patched(&self, times: usize) {
        let patch = |request: &Request| {
            request.wrote && request.action.as_deref() == Some("patch deployments")
        };
        self.counted(times, patch).await;
    }

    /// Waits until this many patches of the workload have arrived, dry runs among them.
    pub async fn patches(&self, times: usize) {
        self.counted(times, |request| request.action.as_deref() == Some("patch deployments")).await;
    }

    async fn counted(&self, times: usize, matches: impl Fn(&Request) -> bool) {
        for _ in 0..1000 {
            if self.sandbox.log().iter().filter(|request| matches(request)).count() >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("that was never asked");
    }

    /// Deletes the workload, as `kubectl delete` does.
    pub async fn delete(&self) {
        let path = "/apis/apps/v1/namespaces/shop/deployments/web";
        let request = http::Request::delete(path).body(http_body_util::Empty::new()).unwrap();
        assert!(self.kube().answer(request).await.status().is_success());
    }

    /// The same without counts, which a rollout that goes on still changes.
    pub fn set(&self) -> String {
        self.serves().split(',').next().unwrap_or_default().to_owned()
    }

    /// The writes that were made, in order, by action: what a refusal must leave empty.
    pub fn writes(&self) -> Vec<String> {
        self.sandbox
            .writes()
            .into_iter()
            .map(|request| request.action.unwrap_or(request.method))
            .collect()
    }

    /// An annotation of slipway's on the workload.
    pub fn note(&self, name: &str) -> Option<String> {
        let web = self.kube().object("Deployment", "shop", "web")?;
        web["metadata"]["annotations"][format!("slipway.dev/{name}")].as_str().map(str::to_owned)
    }
}
