//! A Docker Engine on a socket: its images, its classic builder, and BuildKit over connections that it
//! gives away. It really asks a caller's session for files, secrets and logins, and builds images of
//! files; no command is ever run: `RUN` does what was recorded of a few commands, and every other
//! is refused, as is all that is not played.
//!
//! Its words are those of engines 20.10.24 and 28.5.2, recorded.

mod about;
mod classic;
mod control;
mod dockerfile;
mod frontend;
mod images;
mod progress;
mod push;
mod recorded;
mod root;
mod save;
mod serve;
mod session;
mod shelf;
mod solve;
mod stages;
mod tree;
mod wrong;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};

use crate::world::hold;
use progress::Progress;
use session::Session;
use shelf::Shelf;

/// Which engine speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 20.10.24, API 1.41.
    V20,
    /// 28.5.2, API 1.51.
    V28,
}

/// Where it keeps images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// In folders; an image's id is the digest of its configuration.
    Classic,
    /// As registries have them; an image's id is the digest of its manifest.
    Containerd,
}

/// What it builds with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// BuildKit, and the older builder where it is asked for.
    BuildKit,
    /// The older builder alone, as where somebody turned BuildKit off.
    Classic,
}

/// What kind of engine it is.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Which engine speaks.
    pub version: Version,
    /// Where it keeps images; 20.10 has the classic store alone.
    pub store: Store,
    /// What it builds with.
    pub builder: Builder,
    /// What it runs: `linux/amd64`.
    pub native: &'static str,
    /// What it runs besides, by emulation.
    pub emulated: &'static [&'static str],
}

impl Default for Kind {
    /// What runners of GitHub have: 28, the classic store, BuildKit, amd64 and nothing emulated.
    fn default() -> Self {
        Self {
            version: Version::V28,
            store: Store::Classic,
            builder: Builder::BuildKit,
            native: "linux/amd64",
            emulated: &[],
        }
    }
}

impl Kind {
    fn runs(&self, platform: &str) -> bool {
        let base = |platform: &str| platform.split('/').take(2).collect::<Vec<_>>().join("/");
        let mut all = self.emulated.iter().chain([&self.native]);
        all.any(|one| base(one) == base(platform))
    }
}

/// A build that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// `buildkit` or `classic`.
    pub builder: String,
    /// The name of its Dockerfile.
    pub file: String,
    /// The frontend's options as they came, or the query of the classic builder.
    pub attributes: BTreeMap<String, String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Labels that were asked for.
    pub labels: BTreeMap<String, String>,
    /// Platforms that were asked for.
    pub platforms: Vec<String>,
    /// Secrets that steps asked for, and whether they came.
    pub secrets: BTreeMap<String, bool>,
    /// Registries that a login was asked for, and the user that came; empty where none did.
    pub logins: BTreeMap<String, String>,
    /// What came from the context.
    pub files: Vec<String>,
    /// Whether it has come to a step that goes on until it is ended.
    pub waits: bool,
    /// Rights that the caller gives away.
    pub entitlements: Vec<String>,
    /// How it ended; nothing while it goes on.
    pub ended: Option<Ended>,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// An image was made.
    Built,
    /// It failed with these words.
    Failed(String),
    /// The caller went away, and the build with it.
    Cancelled,
}

/// A running engine. Dropping it ends every connection and every build.
pub struct Engine {
    state: Arc<State>,
    socket: PathBuf,
    address: SocketAddr,
    listener: JoinHandle<()>,
}

/// What the engine's parts share.
pub(crate) struct State {
    pub(crate) kind: Kind,
    /// The registry that ECR's names lead to, as `127.0.0.1:PORT`.
    registry: String,
    /// Whether a push reaches no registry from where the engine is.
    is_cut_off: AtomicBool,
    /// Whether names stand for the oldest image when it comes to a push.
    is_renamed: AtomicBool,
    shelf: Mutex<Shelf>,
    builds: Mutex<Vec<Build>>,
    sessions: Mutex<BTreeMap<String, Session>>,
    progress: Mutex<HashMap<String, Arc<Progress>>>,
    asked: Mutex<Vec<String>>,
    /// Connections that were given away.
    given: Mutex<JoinSet<()>>,
}

impl Engine {
    /// Starts on the socket `docker.sock` in this folder, and on a loopback port. Names of ECR lead to
    /// `registry`: a sandbox's address.
    ///
    /// # Errors
    /// The socket or the port cannot be had.
    pub async fn start(folder: &Path, kind: Kind, registry: &str) -> io::Result<Self> {
        let socket = folder.join("docker.sock");
        let unix = UnixListener::bind(&socket)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = port.local_addr()?;
        let state = Arc::new(State {
            kind,
            registry: registry.trim_start_matches("http://").to_owned(),
            is_cut_off: AtomicBool::new(false),
            is_renamed: AtomicBool::new(false),
            shelf: Mutex::default(),
            builds: Mutex::default(),
            sessions: Mutex::default(),
            progress: Mutex::default(),
            asked: Mutex::default(),
            given: Mutex::default(),
        });
        let listener = tokio::spawn(serve::listen(unix, port, Arc::clone(&state)));
        Ok(Self { state, socket, address, listener })
    }

    /// What `DOCKER_HOST` has to be.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// The same by its port.
    #[must_use]
    pub fn tcp(&self) -> String {
        format!("tcp://{}", self.address)
    }

    /// The builds that were asked for, in their order.
    #[must_use]
    pub fn builds(&self) -> Vec<Build> {
        hold(&self.state.builds).clone()
    }

    /// How many builds go on.
    #[must_use]
    pub fn running(&self) -> usize {
        hold(&self.state.builds).iter().filter(|build| build.ended.is_none()).count()
    }

    /// How many callers have a session open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        hold(&self.state.sessions).len()
    }

    /// The names of its images, and what they name.
    #[must_use]
    pub fn names(&self) -> BTreeMap<String, String> {
        hold(&self.state.shelf).names()
    }

    /// The ids of its images, the newest first.
    #[must_use]
    pub fn images(&self) -> Vec<String> {
        hold(&self.state.shelf).images.iter().map(|image| image.id.clone()).collect()
    }

    /// An image's configuration and the archives of its layers, as text where a secret may be looked for.
    #[must_use]
    pub fn inside(&self, image: &str) -> String {
        let shelf = hold(&self.state.shelf);
        let platforms = shelf.find(image).map(|image| image.platforms.clone()).unwrap_or_default();
        let parts = platforms.iter().flat_map(|one| {
            one.layers.iter().map(|layer| &layer.tar).chain([&one.config]).collect::<Vec<_>>()
        });
        parts.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    /// What was asked, as `METHOD /path`, in order.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        hold(&self.state.asked).clone()
    }

    /// From now on somebody else gives each name to the oldest image, right before it is pushed.
    pub fn renames(&self) {
        self.state.is_renamed.store(true, Ordering::SeqCst);
    }

    /// From now on its pushes reach no registry, as those of one behind a proxy that nobody told it of.
    pub fn cut_off(&self) {
        self.state.is_cut_off.store(true, Ordering::SeqCst);
    }

    /// Goes away as an engine does that is stopped: connections end, nobody listens any more.
    pub fn stop(&self) {
        self.listener.abort();
        hold(&self.state.given).abort_all();
        hold(&self.state.sessions).clear();
        _ = std::fs::remove_file(&self.socket);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl State {
    /// Notes a build that was asked for; its number.
    fn begun(&self, build: Build) -> usize {
        let mut all = hold(&self.builds);
        all.push(build);
        all.len() - 1
    }

    /// Changes what is noted of a build.
    fn noted(&self, number: usize, change: impl FnOnce(&mut Build)) {
        if let Some(build) = hold(&self.builds).get_mut(number) {
            change(build);
        }
    }

    /// What a build says; whoever asks first makes it.
    fn progress(&self, reference: &str) -> Arc<Progress> {
        Arc::clone(hold(&self.progress).entry(reference.to_owned()).or_default())
    }
}

/// Notes how a build ended: that it was cancelled, unless something else was said before.
struct Guard<'a> {
    engine: &'a State,
    number: usize,
    progress: Arc<Progress>,
    ended: Ended,
}

impl<'a> Guard<'a> {
    fn new(engine: &'a State, number: usize, progress: Arc<Progress>) -> Self {
        Self { engine, number, progress, ended: Ended::Cancelled }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.progress.close();
        let ended = self.ended.clone();
        self.engine.noted(self.number, |build| build.ended = Some(ended));
    }
}
