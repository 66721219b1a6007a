//! An in-memory Kubernetes API that plays rollouts: the objects of one cluster, their watches, and what a deployment's
//! controllers and kubelets would do, replayed from recordings of real ones.
//! It must not authenticate (whoever listens does, and says who calls) and must not log requests.

mod access;
mod admission;
mod clock;
mod conditions;
mod discovery;
mod events;
mod fill;
mod json;
mod kinds;
mod logs;
mod managed;
mod model;
mod nodes;
mod patch;
mod pods;
mod protobuf;
mod read;
mod replay;
mod replicas;
mod rollout;
mod route;
mod seed;
mod selectors;
mod status;
mod store;
mod table;
mod table_pod;
mod tape;
mod template;
#[cfg(test)]
mod tests;
mod watch;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::{Request, Response};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use admission::Rule;
pub use seed::Seeding;
pub use tape::recordings;

use clock::Clock;
use store::{Key, Store};

/// The body of every answer; a watch is a stream that stays open.
pub type Body = BoxBody<Bytes, Infallible>;

/// Who calls: put into the request's extensions by whoever checked the bearer token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user's name as the API server's messages quote it.
    pub name: String,
    /// The user's groups.
    pub groups: Vec<String>,
}

impl Default for Caller {
    /// The cluster's administrator.
    fn default() -> Self {
        let groups = ["system:masters", "system:authenticated"].map(str::to_owned).to_vec();
        Self { name: "kubernetes-admin".to_owned(), groups }
    }
}

/// What happens after a deployment's pod template changed to an image that a script matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// The rollout recorded under this name in `sandbox/timelines`.
    Recording(&'static str),
    /// The small model of controllers and kubelet: new pods become ready, old ones go.
    Model,
}

/// How fast scheduled things happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// This many times as fast as it was recorded; 1.0 is real time.
    Times(f64),
    /// Everything that is scheduled happens at once, in its order.
    Instant,
}

type Matcher = Box<dyn Fn(&str) -> bool + Send + Sync>;
type Resolver = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Everything that the cluster is, behind one lock.
struct State {
    store: Store,
    clock: Clock,
    rules: access::Rules,
    /// What stands against every write of a deployment.
    rule: Option<Rule>,
    scripts: Vec<(Matcher, Play)>,
    resolver: Option<Resolver>,
    /// By digest, which one a runtime reports for it.
    reporter: Option<Resolver>,
    /// The deployments that are on a recording, with the number of the play.
    playing: BTreeMap<Key, u64>,
    plays: u64,
    /// The deployments that the model will look at soon.
    poked: BTreeSet<Key>,
    /// When each deployment last made progress, on the clock.
    progress: BTreeMap<Key, Duration>,
    /// How often the watches of a kind were silenced.
    silenced: BTreeMap<String, u64>,
    /// What containers wrote, by pod and container; true for the run before the last.
    logs: BTreeMap<((String, String), String, bool), String>,
    placed: usize,
    addresses: usize,
}

impl State {
    fn resolve(&self, reference: &str) -> Option<String> {
        self.resolver.as_ref().and_then(|resolve| resolve(reference))
    }

    /// An imageID as the nodes' runtime writes it.
    fn reported(&self, id: String) -> String {
        let Some((name, digest)) = id.split_once('@') else { return id };
        let other = self.reporter.as_ref().and_then(|report| report(digest));
        other.map_or_else(|| id.clone(), |other| format!("{name}@{other}"))
    }

    fn silenced(&self, kind: &str) -> u64 {
        self.silenced.get(kind).copied().unwrap_or_default()
    }
}

struct Inner {
    state: Mutex<State>,
    woken: Arc<Notify>,
    task: OnceLock<AbortHandle>,
}

impl Inner {
    /// The state; a panic elsewhere while it was held leaves it as it was then.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// One cluster. A clone is the same cluster; when the last clone is dropped, its tasks end.
#[derive(Clone)]
pub struct Kube {
    inner: Arc<Inner>,
}

impl Kube {
    /// Returns a cluster with the namespaces `default` and `kube-system` and no nodes.
    pub fn new(speed: Speed) -> Self {
        let clock = Clock::new(speed);
        let state = State {
            store: Store::new(clock.wall().as_nanosecond().to_string()),
            clock,
            rules: access::Rules::default(),
            rule: None,
            scripts: Vec::new(),
            resolver: None,
            reporter: None,
            playing: BTreeMap::new(),
            plays: 0,
            poked: BTreeSet::new(),
            progress: BTreeMap::new(),
            silenced: BTreeMap::new(),
            logs: BTreeMap::new(),
            placed: 0,
            addresses: 0,
        };
        let (woken, task) = (Arc::new(Notify::new()), OnceLock::new());
        let kube = Self { inner: Arc::new(Inner { state: Mutex::new(state), woken, task }) };
        kube.with(|state| ["default", "kube-system"].map(|name| seed::namespace(state, name)));
        kube
    }

    /// Answers one request of the Kubernetes API.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        let answer = route::answer(&self.inner, request).await;
        self.wake();
        answer
    }

    /// Lets the clock look at what is due. Its task begins with the first call inside a runtime.
    fn wake(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.inner.task.get_or_init(|| {
                runtime.spawn(clock::run(Arc::downgrade(&self.inner))).abort_handle()
            });
        }
        self.inner.woken.notify_one();
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let done = act(&mut self.inner.lock());
        self.wake();
        done
    }

    /// Puts an object into the store as it is, with what the API server would add (namespace, uid, times).
    /// A deployment put in this way is at rest until it is written to.
    pub fn seed(&self, object: Value) {
        self.with(|state| seed::object(state, object));
    }

    /// Puts a ready node of this architecture (`amd64`, `arm64`) into the store.
    pub fn node(&self, name: &str, architecture: &str) {
        self.with(|state| seed::node(state, name, architecture));
    }

    /// Begins a healthy deployment with its replica set and ready pods; `seed` on the builder puts them into the store.
    pub fn deployment(
        &self,
        namespace: &str,
        name: &str,
        container: &str,
        image: &str,
        replicas: u32,
    ) -> Seeding {
        Seeding::new(self.clone(), namespace, name, (container, image), replicas)
    }

    /// Says what is played when a deployment gets an image that `matches`; the latest script that matches wins.
    pub fn script(&self, matches: impl Fn(&str) -> bool + Send + Sync + 'static, play: Play) {
        self.with(|state| state.scripts.push((Box::new(matches), play)));
    }

    /// Sets how a reference without a digest becomes one (`sha256:…`), for the pods' `imageID`.
    pub fn resolver(&self, digest: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        self.with(|state| state.resolver = Some(Box::new(digest)));
    }

    /// Sets which digest the nodes' runtime reports for one that was pulled: CRI-O names the manifest
    /// that an index led to.
    pub fn reporter(&self, digest: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        self.with(|state| state.reporter = Some(Box::new(digest)));
    }

    /// Denies a verb (or `*`) on a resource (`deployments`, `pods/log`, or `*`) to everybody.
    pub fn deny(&self, verb: &str, resource: &str) {
        self.with(|state| state.rules.deny(verb, resource));
    }

    /// Puts a rule of admission against every write of a deployment, or takes it away.
    pub fn rule(&self, rule: Option<Rule>) {
        self.with(|state| state.rule = rule);
    }

    /// Applies a merge patch as another writer would, with this name as its field manager.
    /// Returns what is stored then, or nothing if there is no such object or the API would refuse the patch.
    pub fn write(
        &self,
        manager: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Option<Value> {
        let kind = kinds::by_kind(kind)?;
        let (media, body) = ("application/strategic-merge-patch+json", patch.to_string());
        let writer = write::Writer { manager, dry: false };
        let patch = (media, body.as_bytes());
        self.with(|state| write::patch(state, kind, (namespace, name), patch, &writer).ok())
    }

    /// Forgets the history of changes, as a compaction does: watches from before get `410 Gone`.
    pub fn compact(&self) {
        self.with(|state| state.store.compact());
    }

    /// Goes on at another speed. A story can hold a rollout for as long as something else takes.
    pub fn go_on_at(&self, speed: Speed) {
        self.with(|state| state.clock.go_on_at(speed));
    }

    /// Silences every watch of a kind (`Pod`) that is open: it says nothing more and does not end. Those that
    /// are opened later are well.
    pub fn silence(&self, kind: &str) {
        self.with(|state| *state.silenced.entry(kind.to_owned()).or_default() += 1);
    }

    /// Reads one object.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kinds::by_kind(kind)?;
        self.with(|state| state.store.get(&Key::new(kind.kind, namespace, name)).cloned())
    }

    /// Reads all objects of a kind in a namespace, ordered by name; the empty name stands for all namespaces.
    pub fn objects(&self, kind: &str, namespace: &str) -> Vec<Value> {
        self.with(|state| state.store.named(kind, namespace).into_iter().cloned().collect())
    }
}
