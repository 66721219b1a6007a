//! A scene in a workflow on GitHub: which run of it this is, how commits stand to each other, and the run of
//! a newer commit beside it.

use std::time::Duration;

use slipway_sandbox::Fault;

use crate::stage::{NEW, NEWER, OLD, Told};

use super::{Ground, Scene, image};

/// What is beside the line of the others.
const ROOT: &str = "51de000000000000000000000000000000000000";

impl Scene {
    /// Makes it run `number` of `ship.yml` on `main`, with a token.
    pub fn on_github(mut self, number: u64) -> Self {
        let given = match &self.ground {
            Ground::Sandbox(stage) => {
                vec![
                    ("GITHUB_API_URL", stage.sandbox.url()),
                    ("GITHUB_TOKEN", stage.sandbox.world(|world| world.github.token.clone())),
                ]
            }
            Ground::Real(_) => vec![("GITHUB_TOKEN", "any".to_owned())],
        };
        let folder = self.runner().folder.path();
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_REPOSITORY", "acme/shop".to_owned()),
            ("GITHUB_RUN_ID", (4700 + number).to_string()),
            ("GITHUB_RUN_NUMBER", number.to_string()),
            ("GITHUB_RUN_ATTEMPT", "1".into()),
            ("GITHUB_WORKFLOW_REF", "acme/shop/.github/workflows/ship.yml@refs/heads/main".into()),
            ("GITHUB_REF", "refs/heads/main".into()),
            ("GITHUB_OUTPUT", folder.join("output").display().to_string()),
            ("GITHUB_STEP_SUMMARY", folder.join("summary").display().to_string()),
            ("RUNNER_TEMP", folder.display().to_string()),
        ];
        for (name, value) in given.into_iter().chain(variables) {
            self.runner_mut().variable(name, &value);
        }
        // GitHub tells, so nothing has to be allowed.
        self.input("allow", "")
    }

    /// What GitHub's comparison says from now on: the commit to ship is `ahead` of the newest one that was
    /// shipped here, which it is unless this is said, `behind` it, `diverged` from it, or `identical`.
    pub fn compares(&self, word: &str) {
        match &self.ground {
            Ground::Real(real) => real.compares(word),
            Ground::Sandbox(stage) => stage.sandbox.world(|world| {
                world.github.commits.clear();
                match word {
                    "behind" => world.github.line(&[NEW, OLD]).line(&[NEW, NEWER]),
                    "diverged" => world.github.line(&[ROOT, OLD]).line(&[ROOT, NEW]),
                    // A commit is ahead, and the same as itself, as they stand in a line.
                    _ => world.github.line(&[OLD, NEW, NEWER]),
                };
            }),
        }
    }

    /// A newer commit's image beside the program, which a run of its own will ship.
    pub fn and_newer(mut self) -> Self {
        let newer = image::serves("newer", self.is_real());
        self.named.push((newer.digest(), "@NEWER@"));
        newer.layout(&self.runner().folder.path().join("newer")).unwrap();
        self
    }

    /// The next image takes this long until ECR says that it has it.
    pub fn slow_push(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let pause = Fault::Delay(Duration::from_secs(3));
                stage.sandbox.fault("PUT /v2/web/manifests", 1, pause);
            }
            Ground::Real(real) => real.slow_push(),
        }
    }

    /// Run 13 of the same workflow ships the newer commit, to its end.
    pub async fn newer_run(&self) -> Told {
        let inputs = [("commit", NEWER), ("image", "newer"), ("bake", "0s"), ("timeout", "30s")];
        let run = [
            ("GITHUB_RUN_ID", "4713"),
            ("GITHUB_RUN_NUMBER", "13"),
            ("GITHUB_OUTPUT", "/dev/null"),
            ("GITHUB_STEP_SUMMARY", "/dev/null"),
        ];
        self.runner().run_with("ship", &inputs, &run).await
    }
}
