//! One story on two grounds: the sandbox, and the real parts that `testbed/` brings up. What is there,
//! what is run, what is read and what is there afterwards is said once; the text has to be the same.
//!
//! The real ground is taken where `SLIPWAY_TESTBED` names the testbed's folder; the stories share its
//! one cluster, so they are run one after the other then.

mod admission;
mod autoscaler;
mod before;
mod engine;
mod faults;
mod github;
mod image;
mod nodes;
mod real;
mod sandboxed;
mod tokens;
mod trouble;

use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::Image;
use slipway_sandbox::kube::Play;

use crate::stage::{Going, NEW, NEWER, OLD, Runner, Stage, Told, scrub};

pub use admission::Rule;
pub use engine::{SERVES, WAITS};
pub use faults::Strike;
use real::Real;
pub use tokens::Token;
pub use trouble::Trouble;

/// A workload that serves, and a program that is run against it.
pub struct Scene {
    ground: Ground,
    /// Digests of this story, by what they are called in its text.
    named: Vec<(String, &'static str)>,
}

enum Ground {
    Sandbox(Box<Stage>),
    Real(Box<Real>),
}

/// What stands and falls with the ground.
fn ground() -> Option<std::path::PathBuf> {
    std::env::var_os("SLIPWAY_TESTBED").map(Into::into)
}

impl Scene {
    /// `shop/web` in cluster `prod`: 3 pods of [`OLD`] on one amd64 node, in repository `web`; a user with
    /// the least rights that the documentation tells to grant.
    pub async fn serving() -> Self {
        let ground = match ground() {
            None => Ground::Sandbox(Box::new(sandboxed::serving().await)),
            Some(testbed) => Ground::Real(Box::new(Real::serving(testbed).await)),
        };
        let mut scene = Self { ground, named: Vec::new() };
        let old = scene.old_image().digest();
        scene.named.push((old, "@OLD@"));
        scene.input("allow", "SW-COMMIT-UNKNOWN")
    }

    fn old_image(&self) -> Image {
        image::serves("old", self.is_real())
    }

    fn is_real(&self) -> bool {
        matches!(self.ground, Ground::Real(_))
    }

    fn runner(&self) -> &Runner {
        match &self.ground {
            Ground::Sandbox(stage) => stage,
            Ground::Real(real) => &real.runner,
        }
    }

    fn runner_mut(&mut self) -> &mut Runner {
        match &mut self.ground {
            Ground::Sandbox(stage) => stage,
            Ground::Real(real) => &mut real.runner,
        }
    }

    /// Gives an input; an empty value takes it away.
    pub fn input(mut self, name: &'static str, value: &str) -> Self {
        self.runner_mut().input(name, value);
        self
    }

    /// The new commit's image as a layout beside the program; what its rollout comes to.
    pub async fn ships(mut self, trouble: Trouble) -> Self {
        let image = image::of(trouble, self.is_real());
        self.named.push((image.digest(), "@NEW@"));
        image.layout(&self.runner().folder.path().join("image")).unwrap();
        match &self.ground {
            Ground::Sandbox(stage) => sandboxed::comes_to(stage, trouble, &image).await,
            Ground::Real(real) => real.comes_to(trouble).await,
        }
        self.input("image", "image")
    }

    /// An image for another platform as the new commit's, and nothing that its rollout comes to.
    pub fn ships_for(mut self, platforms: &[&str]) -> Self {
        let (first, more) = platforms.split_first().unwrap();
        let image = Image::new(first, "new");
        let image = more.iter().fold(image, |image, platform| image.platform(platform));
        self.named.push((image.digest(), "@NEW@"));
        image.layout(&self.runner().folder.path().join("image")).unwrap();
        self.input("image", "image")
    }

    /// Puts an image that says this word into ECR under a tag, without slipway.
    pub fn in_ecr(mut self, tag: &str, word: &str) -> Self {
        let image = image::serves(word, self.is_real());
        let is_new = self.named.iter().all(|(digest, _)| *digest != image.digest());
        if is_new {
            self.named.push((image.digest(), "@OTHER@"));
        }
        self.put(&image, "web", tag);
        self
    }

    /// Puts the new commit's image for one platform into ECR, as a native runner pushes it.
    pub fn part(self, platform: &str) -> Self {
        self.part_of(platform, platform)
    }

    /// The same with an image of another platform than its tag says.
    pub fn part_of(mut self, platform: &str, really: &str) -> Self {
        let (image, name) = match really {
            "linux/amd64" => (image::serves("new", self.is_real()), "@AMD@"),
            _ => (Image::new(really, "new"), "@ARM@"),
        };
        self.named.push((image.digest(), name));
        self.put(&image, "web", &format!("{NEW}-{}", platform.replace('/', "-")));
        self
    }

    /// Gives a digest a name in everything that is read from now on.
    pub fn names(&mut self, digest: &str, name: &'static str) {
        self.named.push((digest.to_owned(), name));
    }

    fn put(&self, image: &Image, repository: &str, tag: &str) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                stage.sandbox.world(|world| world.image(repository, tag, image));
            }
            Ground::Real(real) => real.put(image, repository, tag),
        }
    }

    /// The reference of an image that says this word, under a tag.
    pub fn reference(&self, tag: &str, word: &str) -> String {
        let digest = image::serves(word, self.is_real()).digest();
        format!("123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web:{tag}@{digest}")
    }

    /// Sets an image that is in no repository, as another writer would, and waits for its first pod.
    pub async fn rolls_to_nothing(&self) {
        self.sets_nothing();
        self.until_pods(4).await;
    }

    /// Sets an image that is in no repository.
    fn sets_nothing(&self) {
        let nothing = format!("sha256:{}", "b".repeat(64));
        if let Ground::Sandbox(stage) = &self.ground {
            let play = Play::Recording("tag-not-found");
            let missing = nothing.clone();
            stage.kube().script(move |image| image.ends_with(&missing), play);
        }
        let image = format!("123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/web@{nothing}");
        let pods = json!({ "containers": [{ "name": "app", "image": image }] });
        self.written_by("kubectl-set", &json!({ "spec": { "template": { "spec": pods } } }));
    }

    /// Waits until there are this many pods.
    async fn until_pods(&self, count: usize) {
        for _ in 0..200 {
            if self.objects("Pod").len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("there never were {count} pods");
    }

    /// Runs with this secret, which is not the key's own.
    pub fn with_secret(mut self, secret: &str) -> Self {
        match &mut self.ground {
            Ground::Sandbox(stage) => stage.export("AWS_SECRET_ACCESS_KEY", secret),
            Ground::Real(real) => {
                real.become_one(&["ship", "env", &format!("AWS_SECRET_ACCESS_KEY={secret}")]);
            }
        }
        self
    }

    /// Runs as another user of the account: `guest` may enter the cluster and nothing there, `stranger`
    /// may not enter.
    pub fn by_user(mut self, name: &str) -> Self {
        match &mut self.ground {
            Ground::Sandbox(stage) => sandboxed::become_user(stage, name),
            Ground::Real(real) => real.become_one(&[name]),
        }
        self
    }

    /// Runs as a job of `acme/shop` on this branch, with no keys and the right to ask for a token.
    pub fn by_job(mut self, branch: &str) -> Self {
        match &mut self.ground {
            Ground::Sandbox(stage) => sandboxed::become_job(stage, branch),
            Ground::Real(real) => {
                let claim = format!("ref=refs/heads/{branch}");
                real.become_one(&["github", "repository=acme/shop", &claim, "--"]);
            }
        }
        self.input("role-to-assume", "arn:aws:iam::123456789012:role/ship")
    }

    /// Takes a right in the cluster away from the user.
    pub async fn without(self, verb: &str, resource: &str) -> Self {
        self.forbids(verb, resource);
        self
    }

    /// The same, while a run is under way.
    pub fn forbids(&self, verb: &str, resource: &str) {
        match &self.ground {
            Ground::Sandbox(stage) => stage.kube().deny(verb, resource),
            Ground::Real(real) => real.without(verb, resource),
        }
    }

    /// Takes a right in AWS away from the user.
    pub fn without_action(self, action: &str) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => sandboxed::deny(stage, action),
            Ground::Real(real) => real.deny(action),
        }
        self
    }

    /// Changes the workload as another writer would.
    pub fn written_by(&self, manager: &str, patch: &Value) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                stage.kube().write(manager, "Deployment", "shop", "web", patch).unwrap();
            }
            Ground::Real(real) => real.write(manager, patch),
        }
    }

    /// Runs a command to its end.
    pub async fn run(&self, command: &str) -> Told {
        self.runner().run(command).await
    }

    /// Runs another command beside, with these inputs besides or, where they are empty, without them.
    pub async fn run_with(&self, command: &str, inputs: &[(&'static str, &str)]) -> Told {
        self.runner().run_with(command, inputs, &[]).await
    }

    /// Starts a command and leaves it going.
    pub fn start(&self, command: &str) -> Going {
        self.runner().start(command)
    }

    /// Reads a run that was left going to its end.
    pub async fn end(&self, going: Going) -> Told {
        going.end(self.runner()).await
    }

    /// All objects of this kind in the workload's namespace, or all nodes.
    fn objects(&self, kind: &str) -> Vec<Value> {
        match &self.ground {
            // The empty name stands for what is in no namespace, too.
            Ground::Sandbox(stage) if kind == "Node" => stage.kube().objects(kind, ""),
            Ground::Sandbox(stage) => stage.kube().objects(kind, "shop"),
            Ground::Real(real) => real.objects(kind),
        }
    }

    /// The workload as it is.
    pub fn workload(&self) -> Value {
        self.objects("Deployment").swap_remove(0)
    }

    /// The image that is set, how many pods are ready, and which digests the running ones have.
    pub fn serves(&self) -> String {
        let web = self.workload();
        let image = web["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
        let ready = web["status"]["readyReplicas"].as_u64().unwrap_or_default();
        let mut runs: Vec<String> = Vec::new();
        for pod in self.objects("Pod") {
            let status = &pod["status"]["containerStatuses"][0];
            if pod["metadata"].get("deletionTimestamp").is_some() || status["ready"] != true {
                continue;
            }
            let id =
                status["imageID"].as_str().filter(|id| !id.is_empty()).unwrap_or("nothing told");
            runs.push(id.rsplit('@').next().unwrap_or_default().to_owned());
        }
        runs.sort();
        runs.dedup();
        let name = image.and_then(|image| image.rsplit('/').next()).unwrap_or_default();
        self.called(&format!("{name}, {ready} ready, run {}", runs.join(" and ")))
    }

    /// How a run ended, its exit code, and what serves afterwards: the whole of most stories.
    pub fn ends(&self, told: &Told) -> String {
        format!("{}-> {}\n{}", self.called(&told.ending()), told.exit, self.serves())
    }

    /// All that was printed to people, without the lines of the watch.
    pub fn talk(&self, told: &Told) -> String {
        self.called(&told.talk())
    }

    /// The text with everything that differs from ground to ground by a name of its own.
    pub fn called(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for commit in [OLD, NEW, NEWER] {
            text = text.replace(commit, &commit[..7]);
        }
        for (digest, name) in &self.named {
            text = text.replace(digest, name).replace(&digest[..19], name);
        }
        text.lines()
            .filter(|line| !line.starts_with("override "))
            .map(|line| format!("{}\n", scrub::grounded(line)))
            .collect()
    }
}
