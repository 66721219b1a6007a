//! The stage of a story: a sandbox with a workload that serves, and the program run against it as a
//! process of its own, with nothing of this machine's environment.

mod scrub;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use slipway_sandbox::kube::{Kube, Play, Speed};
use slipway_sandbox::{Image, Request, Sandbox, World};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

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
    /// A folder of the story's own, which is also where the program starts.
    pub folder: TempDir,
    environment: BTreeMap<String, String>,
    inputs: BTreeMap<&'static str, String>,
}

/// A run that ended.
pub struct Told {
    /// Standard output, scrubbed.
    pub out: String,
    /// Standard error, scrubbed.
    pub err: String,
    /// The exit code.
    pub exit: i32,
}

/// A run that goes on.
pub struct Going {
    child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    seen: String,
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
        let environment = sandbox
            .environment()
            .into_iter()
            .filter(|(name, _)| !name.starts_with("GITHUB_"))
            .collect();
        let inputs = [
            ("repository", "web"),
            ("cluster", "prod"),
            ("namespace", "shop"),
            ("workload", "deployment/web"),
            ("timeout", "20s"),
            ("bake", "1s"),
            ("commit", NEW),
        ];
        let inputs = inputs.map(|(name, value)| (name, value.to_owned())).into();
        Self { sandbox, folder, environment, inputs }
    }

    /// Puts the usual workload there: call it unless the story has one of its own.
    pub fn serving(self) -> Self {
        let kube = self.kube();
        kube.node("ip-10-0-1-12", "amd64");
        kube.node("ip-10-0-2-7", "amd64");
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
        self.inputs.insert("image", "image".into());
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
        if value.is_empty() {
            self.inputs.remove(name);
        } else {
            self.inputs.insert(name, value.into());
        }
        self
    }

    /// Sets an environment variable; an empty value takes it away.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        if value.is_empty() {
            self.environment.remove(name);
        } else {
            self.environment.insert(name.into(), value.into());
        }
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
        self.environment.extend(variables.map(|(name, value)| (name.to_owned(), value)));
        self
    }

    /// The text of a file in the story's folder, scrubbed; empty if it is not there.
    pub fn file(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        scrub::text(&text, self.folder.path(), &self.sandbox.url())
    }

    /// The outputs, a line each: `name = value`; the plan, which is long, as `{...}`.
    pub fn outputs(&self) -> String {
        let file = self.file("output");
        let mut lines = file.lines();
        let mut outputs = String::new();
        while let Some((name, end)) = lines.next().and_then(|line| line.split_once("<<")) {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
            let value = if name == "plan" { "{...}".to_owned() } else { value.join(" ") };
            outputs.push_str(format!("{name} = {value}").trim_end());
            outputs.push('\n');
        }
        outputs
    }

    fn command(&self, command: &str) -> Command {
        self.command_with(command, &self.inputs)
    }

    fn command_with(&self, command: &str, inputs: &BTreeMap<&'static str, String>) -> Command {
        let mut run = Command::new(program());
        run.arg(command).current_dir(self.folder.path()).env_clear();
        run.envs(&self.environment).stdin(Stdio::null()).kill_on_drop(true);
        for (name, value) in inputs {
            run.arg(format!("--{name}={value}"));
        }
        run
    }

    /// Changes the running workload as another writer would.
    pub fn written_by(self, manager: &str, patch: &Value) -> Self {
        self.kube().write(manager, "Deployment", "shop", "web", patch).unwrap();
        self
    }

    /// Writes a file into the story's folder.
    pub fn holding(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// Runs a command with the story's inputs to its end.
    pub async fn run(&self, command: &str) -> Told {
        self.told(&mut self.command(command)).await
    }

    async fn told(&self, run: &mut Command) -> Told {
        let output = run.output().await.unwrap();
        let scrub = |bytes: &[u8]| {
            scrub::text(&String::from_utf8_lossy(bytes), self.folder.path(), &self.sandbox.url())
        };
        let exit = output.status.code().unwrap_or(-1);
        Told { out: scrub(&output.stdout), err: scrub(&output.stderr), exit }
    }

    /// Runs a command in a folder below the story's own, with these inputs besides.
    pub async fn run_in(
        &self,
        folder: &str,
        command: &str,
        inputs: &[(&'static str, &str)],
    ) -> Told {
        let mut beside = self.inputs.clone();
        beside.remove("timeout");
        beside.extend(inputs.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut run = self.command_with(command, &beside);
        self.told(run.current_dir(self.folder.path().join(folder))).await
    }

    /// Runs another command beside: with these inputs and variables instead of the story's own.
    pub async fn run_with(
        &self,
        command: &str,
        inputs: &[(&'static str, &str)],
        variables: &[(&str, &str)],
    ) -> Told {
        let mut beside = self.inputs.clone();
        for (name, value) in inputs {
            beside.remove(name);
            if !value.is_empty() {
                beside.insert(name, (*value).to_owned());
            }
        }
        let mut run = self.command_with(command, &beside);
        run.envs(variables.iter().copied());
        self.told(&mut run).await
    }

    /// Starts a command and leaves it going.
    pub fn start(&self, command: &str) -> Going {
        // Both outputs as one, in their order, as a log has them.
        let run = self.command(command);
        let run = run.as_std();
        let mut both = Command::new("/bin/sh");
        both.args(["-c", "exec \"$0\" \"$@\" 2>&1"]).arg(run.get_program()).args(run.get_args());
        both.current_dir(self.folder.path()).env_clear().envs(&self.environment);
        both.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = both.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Going { child, lines, seen: String::new() }
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

impl Told {
    /// What is printed to people, without the lines of the watch: how many there are depends on time.
    pub fn talk(&self) -> String {
        self.talk_of(&self.err)
    }

    fn talk_of(&self, text: &str) -> String {
        let watch = |line: &&str| !(line.starts_with("  +") && line.contains("/3 new"));
        text.lines().filter(watch).map(|line| format!("{line}\n")).collect()
    }

    /// Everything that is said beside the steps: blocks, what was not seen, the last line.
    pub fn words(&self) -> String {
        let said = |line: &&str| {
            ["error[", "warning[", "notice[", "  why:", "  now:", "  next:", "        "]
                .iter()
                .chain(&["not seen", "shipped ", "unchanged"])
                .any(|begin| line.starts_with(begin))
        };
        let all = format!("{}{}", self.out, self.err);
        let lines: String = all.lines().filter(said).map(|line| format!("{line}\n")).collect();
        format!("-> {}\n{lines}", self.exit)
    }

    /// The exit code and the blocks: what a refusal is to its reader.
    pub fn refusal(&self) -> String {
        format!("-> {}\n{}", self.exit, self.blocks())
    }

    /// The blocks alone: from the first `error[`, `warning[` or `notice[` on.
    pub fn blocks(&self) -> String {
        let all = format!("{}{}", self.out, self.err);
        let from = ["error[", "warning[", "notice["]
            .iter()
            .filter_map(|word| all.find(&format!("\n{word}")))
            .min();
        let blocks = from.map_or(all.as_str(), |at| &all[at + 1..]);
        // What the watch says on the way depends on time.
        blocks
            .lines()
            .filter(|line| !line.starts_with("  +"))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

impl Told {
    /// What GitHub's log shows: masks are heard by the runner and not shown.
    pub fn log(&self) -> String {
        let shown = self.talk_of(&self.out);
        shown.lines().filter(|l| !l.starts_with("::add-mask::")).map(|l| format!("{l}\n")).collect()
    }

    /// How it ended: the last block, or the last line where there is none.
    pub fn ending(&self) -> String {
        let words = ["error[", "notice["];
        let begins = |line: &&str| words.iter().any(|word| line.starts_with(word));
        let all = format!("{}{}", self.out, self.err);
        let lines: Vec<_> = all.lines().filter(|line| !line.starts_with("::")).collect();
        let from = lines.iter().rposition(begins).unwrap_or(lines.len().saturating_sub(1));
        let mut block: Vec<_> = lines[from..].to_vec();
        block.truncate(1 + block.iter().skip(1).take_while(|line| line.starts_with("  ")).count());
        let mut block: String = block.iter().map(|line| format!("{line}\n")).collect();
        // Which node a pod came to, and how many had failed by then, depends on time.
        for node in ["ip-10-0-1-12", "ip-10-0-2-7"] {
            block = block.replace(&format!("kubelet on {node}"), "kubelet on @NODE@");
        }
        for pods in ["1/3 new pods", "2/3 new pods", "3/3 new pods"] {
            block = block.replace(pods, "@/3 new pods");
        }
        block
    }
}

impl Going {
    /// Waits until a line that contains this is printed.
    pub async fn until(&mut self, text: &str) {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(text) {
                return;
            }
        }
        panic!("`{text}` was never printed:\n{}", self.seen);
    }

    /// Sends a signal: `INT` or `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([format!("-{name}"), pid]).status().await.unwrap();
        assert!(sent.success());
    }

    /// Reads to the end.
    pub async fn end(mut self, stage: &Stage) -> Told {
        while let Some(line) = self.lines.next_line().await.unwrap() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        let exit = self.child.wait().await.unwrap().code().unwrap_or(-1);
        Told {
            out: String::new(),
            err: scrub::text(&self.seen, stage.folder.path(), &stage.sandbox.url()),
            exit,
        }
    }
}

/// The program as cargo built it for these tests.
pub fn program() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_slipway")).to_owned()
}
