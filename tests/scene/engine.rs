//! The engine of stories that build: the sandbox's, or one that `testbed/parts/engine` brings up, of the
//! version and with the store that the testbed's environment says.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use slipway_sandbox::engine::{Ended, Kind};

use super::{Ground, Scene};

/// What the pods run: a page, served by busybox.
pub const SERVES: &str = r#"FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "mkdir", "-p", "/www"]
COPY page /www/index.html
ENTRYPOINT ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"#;

/// What a step writes and waits for that is there to be ended.
pub const WAITS: &str = "echo waiting; sleep 600";

impl Scene {
    /// An engine is there.
    pub async fn engine(mut self) -> Self {
        match &mut self.ground {
            Ground::Sandbox(stage) => stage.bring_engine(Kind::default()).await,
            Ground::Real(real) => real.bring_engine(),
        }
        self
    }

    /// The folder `app` is what is built: this Dockerfile, a page and busybox.
    pub fn builds(self, dockerfile: &str) -> Self {
        let folder = self.runner().folder.path().join("app");
        std::fs::create_dir_all(&folder).unwrap();
        let busybox = match self.is_real() {
            true => std::fs::read("/bin/busybox").expect("the testbed installs busybox-static"),
            false => b"what is never run".to_vec(),
        };
        let program = folder.join("busybox");
        std::fs::write(&program, busybox).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        self.also("page", "new").also("Dockerfile", dockerfile).input("context", "app")
    }

    /// The same with a step after busybox is there.
    pub fn builds_with(self, step: &str) -> Self {
        let file = SERVES.replace("COPY page", &format!("{step}\nCOPY page"));
        self.builds(&file)
    }

    /// A file of the folder.
    pub fn also(self, path: &str, text: &str) -> Self {
        self.runner().holding(&format!("app/{path}"), text);
        self
    }

    /// A variable of the run's environment.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.runner_mut().variable(name, value);
        self
    }

    /// What was built and set is told as `@NEW@`.
    pub fn names_what_was_built(&mut self) {
        let web = self.workload();
        let image = web["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
        let digest = image.rsplit('@').next().unwrap().to_owned();
        self.names(&digest, "@NEW@");
    }

    /// The engine goes away, as one that is stopped.
    pub fn engine_goes(&self) {
        match &self.ground {
            Ground::Sandbox(stage) => stage.engine().stop(),
            Ground::Real(real) => _ = real.script("parts/engine", &["down"]),
        }
    }

    /// Waits until the build has come to the step that waits.
    pub async fn waits(&self) {
        let waits = || match &self.ground {
            Ground::Sandbox(stage) => {
                stage.engine().builds().last().is_some_and(|build| build.waits)
            }
            Ground::Real(real) => real.runs("sleep 600"),
        };
        until(waits).await;
    }

    /// Where the engine is looked for, when there is none.
    pub fn engine_address(&self) -> String {
        match &self.ground {
            Ground::Sandbox(_) => "unix:///nowhere/docker.sock".into(),
            Ground::Real(_) => super::real::engine_host(),
        }
    }

    /// Waits until nothing is built any more: the engine heard that nobody wants it.
    pub async fn nothing_is_built(&self) {
        let is_idle = || match &self.ground {
            Ground::Sandbox(stage) => {
                let builds = stage.engine().builds();
                builds.last().is_some_and(|build| build.ended == Some(Ended::Cancelled))
            }
            Ground::Real(real) => !real.runs("sleep 600"),
        };
        until(is_idle).await;
    }

    /// The image that was built holds these words nowhere: not in a layer, not in its history.
    pub fn is_nowhere_in_the_image(&self, words: &str) {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let images = stage.engine().images();
                assert!(!images.is_empty());
                for image in images {
                    assert!(!stage.engine().inside(&image).contains(words), "{image} holds it");
                }
            }
            Ground::Real(real) => real.no_image_holds(words),
        }
    }
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..400 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it never came to that");
}
