//! The ground that `testbed/` gives: a real API server, kubelet, registry and STS. What a story needs is
//! set up by other programs than the one under test, as the cluster's administrator.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::stage::{OLD, Runner, Stage};

use super::{Trouble, image};

const REGISTRY: &str = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com";

pub(super) struct Real {
    pub(super) runner: Runner,
    testbed: PathBuf,
    has_engine: bool,
}

impl Real {
    /// Nothing of an earlier story, then the workload that serves.
    pub(super) async fn serving(testbed: PathBuf) -> Self {
        let wrapper = vec![testbed.join("as").display().to_string(), "ship".into()];
        let kept = ["PATH", "HOME", "SLIPWAY_TESTBED_CACHE", "SLIPWAY_TESTBED_STATE"];
        let environment: BTreeMap<_, _> = kept
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect();
        let inputs = Stage::inputs().map(|(name, value)| (name, value.to_owned())).into();
        let folder = tempfile::tempdir().unwrap();
        let runner = Runner { folder, wrapper, environment, inputs, url: String::new() };
        let real = Self { runner, testbed, has_engine: false };
        real.script("clear", &[]);
        real.serve();
        real
    }

    /// Brings up the engine that the testbed's environment says.
    pub(super) fn bring_engine(&mut self) {
        self.script("parts/engine", &["up"]);
        self.has_engine = true;
    }

    /// Looks for these words in all that the engine's images are made of.
    pub(super) fn no_image_holds(&self, words: &str) {
        let docker = |arguments: &[&str]| {
            let host = engine_host();
            let output = Command::new("docker").args(["--host", &host]).args(arguments).output();
            output.unwrap().stdout
        };
        let ids = String::from_utf8(docker(&["images", "--no-trunc", "--quiet"])).unwrap();
        assert!(!ids.trim().is_empty());
        for id in ids.lines() {
            let archive = docker(&["save", id]);
            assert!(!archive.is_empty());
            let is_there = archive.windows(words.len()).any(|part| part == words.as_bytes());
            assert!(!is_there, "{id} holds it");
        }
    }

    /// Whether a program runs that was called by exactly these words.
    pub(super) fn runs(&self, words: &str) -> bool {
        Command::new("pgrep").args(["-xf", words]).stdout(Stdio::null()).status().unwrap().success()
    }

    /// Runs the program as one of the testbed's principals.
    pub(super) fn become_one(&mut self, words: &[&str]) {
        self.runner.wrapper.truncate(1);
        self.runner.wrapper.extend(words.iter().map(|&word| word.to_owned()));
    }

    fn serve(&self) {
        let old = image::serves("old", true);
        let folder = self.runner.folder.path().join("old");
        old.layout(&folder).unwrap();
        self.script("put-image", &[&folder.display().to_string(), &format!("web:{OLD}")]);
        let image = format!("{REGISTRY}/web:{OLD}@{}", old.digest());
        let probe = json!({ "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 1, "failureThreshold": 2 });
        let web = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": "shop",
                "annotations": Stage::shipped(OLD, &old.digest(), 4710) },
            "spec": {
                "replicas": 3,
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": {
                        "terminationGracePeriodSeconds": 1, "dnsPolicy": "Default",
                        "containers": [{ "name": "app", "image": image, "readinessProbe": probe }],
                    },
                },
            },
        });
        self.feed(&["create", "--field-manager=slipway", "-f", "-"], &web);
        self.settled();
    }

    /// Makes the surroundings in which the new image comes to this.
    pub(super) async fn comes_to(&self, trouble: Trouble) {
        match trouble {
            Trouble::MissingSecret => {
                self.admin(&["create", "secret", "generic", "missing", "--from-literal=key=value"]);
            }
            Trouble::MissingVolume => {
                self.admin(&["create", "configmap", "missing", "--from-literal=key=value"]);
            }
            _ => {}
        }
        if let Some(template) = trouble.needs() {
            self.write("kubectl-edit", &json!({ "spec": { "template": template } }));
            self.settled();
        }
        match trouble {
            Trouble::MissingSecret => _ = self.admin(&["delete", "secret", "missing"]),
            Trouble::MissingVolume => _ = self.admin(&["delete", "configmap", "missing"]),
            Trouble::Quota => {
                self.admin(&["create", "quota", "q", "--hard=pods=3"]);
                let counted = "--for=jsonpath={.status.used.pods}=3";
                self.admin(&["wait", counted, "resourcequota/q", "--timeout=20s"]);
            }
            Trouble::PullDenied => self.refuses_pulls(),
            Trouble::NoPods(rule) => self.rule(rule.word(), "pods"),
            _ => {}
        }
    }

    pub(super) fn without(&self, verb: &str, resource: &str) {
        let (kind, name) = if resource == "nodes" {
            ("clusterrole", "slipway-nodes")
        } else {
            ("role", "slipway")
        };
        let text = self.admin(&["get", kind, name, "-o", "json"]);
        let mut role: Value = serde_json::from_str(&text).unwrap();
        for rule in role["rules"].as_array_mut().unwrap() {
            if rule["resources"].as_array().unwrap().contains(&json!(resource)) {
                rule["verbs"].as_array_mut().unwrap().retain(|known| known != verb);
            }
        }
        // A rule without a verb is refused, so it goes.
        let rules = role["rules"].as_array_mut().unwrap();
        rules.retain(|rule| rule["verbs"] != json!([]));
        self.feed(&["replace", "-f", "-"], &role);
    }

    pub(super) fn deny(&self, action: &str) {
        let without = format!(
            ".policies[\"user/ship\"][].Action |= \
             if type == \"array\" then map(select(. != \"{action}\")) \
             elif . == \"{action}\" then [] else . end"
        );
        self.lab(&without);
    }

    /// Changes the settings of the testbed's AWS.
    pub(super) fn lab(&self, filter: &str) {
        self.script("lab", &[filter]);
    }

    /// A rule of admission against writes of this resource.
    pub(super) fn rule(&self, kind: &str, resource: &str) {
        self.script("rule", &[kind, resource]);
    }

    pub(super) fn slow_push(&self) {
        self.script("lab", &[".faults = [{action: \"ecr:PutImage\", count: 1, delay: 3}]"]);
    }

    /// What GitHub's mock says of two commits.
    pub(super) fn compares(&self, word: &str) {
        self.script("parts/github", &["says", word]);
    }

    /// What AWS was asked in this story.
    pub(super) fn calls(&self) -> Vec<Value> {
        self.script("calls", &[])
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    pub(super) fn write(&self, manager: &str, patch: &Value) {
        let manager = format!("--field-manager={manager}");
        let patch = patch.to_string();
        self.admin(&["patch", "deployment", "web", "--type=strategic", &manager, "-p", &patch]);
    }

    pub(super) fn objects(&self, kind: &str) -> Vec<Value> {
        let text = self.admin(&["get", kind, "-o", "json", "--show-managed-fields"]);
        let mut list: Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    }

    /// An image of another commit, put into ECR without slipway.
    pub(super) fn put(&self, image: &slipway_sandbox::Image, repository: &str, tag: &str) {
        let folder = self.runner.folder.path().join(tag);
        image.layout(&folder).unwrap();
        self.script("put-image", &[&folder.display().to_string(), &format!("{repository}:{tag}")]);
    }

    pub(super) fn refuses_pulls(&self) {
        self.script("pulls", &["refused"]);
    }

    /// The registry, or the node, has the image that serves no more.
    pub(super) fn forget(&self, place: &str) {
        self.script("forget-image", &[place, &format!("web:{OLD}")]);
    }

    pub(super) fn settled(&self) {
        self.admin(&["rollout", "status", "deployment/web", "--timeout=60s"]);
        // The old pods are still going when that says so.
        let is_alone = || self.objects("Pod").len() == 3;
        for _ in 0..100 {
            if is_alone() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("old pods stay");
    }

    /// kubectl as the administrator, in the workload's namespace.
    fn admin(&self, arguments: &[&str]) -> String {
        self.script("admin", &[&["--namespace", "shop"], arguments].concat())
    }

    pub(super) fn create(&self, object: &Value) {
        self.feed(&["create", "-f", "-"], object);
    }

    fn feed(&self, arguments: &[&str], object: &Value) {
        let mut command = self.command("admin");
        command.args(["--namespace", "shop"]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(object.to_string().as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{arguments:?} of {object}");
    }

    /// A script of the testbed's; its output.
    pub(super) fn script(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.command(name).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn command(&self, name: &str) -> Command {
        Command::new(self.testbed.join(name))
    }
}

/// Where the testbed's engine listens, when it is up.
pub(super) fn engine_host() -> String {
    let state = std::env::var("SLIPWAY_TESTBED_STATE").unwrap_or("/tmp/slipway-testbed".into());
    format!("unix://{state}/engine/engine.sock")
}

impl Drop for Real {
    fn drop(&mut self) {
        if self.has_engine {
            _ = self.command("parts/engine").arg("down").status();
        }
        // A node that was led elsewhere would fail the next story, as would another word of GitHub's.
        _ = self.command("pulls").arg("allowed").status();
        _ = self.command("parts/github").args(["says", "ahead"]).status();
    }
}
