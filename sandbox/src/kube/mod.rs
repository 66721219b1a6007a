//! An in-memory Kubernetes API that plays rollouts: the objects of one cluster, their watches, and what a deployment's
//! controllers and kubelets would do, replayed from recordings of real ones.
//! It must not authenticate (whoever listens does, and says who calls) and must not log requests.

mod kinds;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::{Request, Response};
use serde_json::Value;

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

/// One cluster. A clone is the same cluster; when the last clone is dropped, its tasks end.
#[derive(Clone)]
pub struct Kube {}

impl Kube {
    /// Returns an empty cluster with the namespaces `default` and `kube-system` and no nodes.
    pub fn new(speed: Speed) -> Self {
        let _ = speed;
        Self {}
    }

    /// Answers one request of the Kubernetes API.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes>,
    {
        drop(request);
        Response::new(Body::default())
    }

    /// Puts an object into the store as it is, with what the API server would add (uid, resourceVersion, times).
    pub fn seed(&self, object: Value) {
        drop(object);
    }

    /// Puts a ready node of this architecture (`amd64`, `arm64`) into the store.
    pub fn node(&self, name: &str, architecture: &str) {
        let _ = (name, architecture);
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
        let _ = (namespace, name, container, image, replicas);
        Seeding {}
    }

    /// Says what is played when a deployment gets an image that `matches`; the latest script that matches wins.
    pub fn script(&self, matches: impl Fn(&str) -> bool + Send + Sync + 'static, play: Play) {
        let _ = (matches, play);
    }

    /// Sets how a reference without a digest becomes one (`sha256:…`), for the pods' `imageID`.
    pub fn resolver(&self, digest: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        let _ = digest;
    }

    /// Denies a verb (or `*`) on a resource (`deployments`, `pods/log`, or `*`) to everybody.
    pub fn deny(&self, verb: &str, resource: &str) {
        let _ = (verb, resource);
    }

    /// Applies a merge patch as another writer would, with this name as its field manager.
    pub fn write(&self, manager: &str, kind: &str, namespace: &str, name: &str, patch: Value) {
        let _ = (manager, kind, namespace, name, patch);
    }

    /// Reads one object.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let _ = (kind, namespace, name);
        None
    }

    /// Reads all objects of a kind in a namespace, ordered by name.
    pub fn objects(&self, kind: &str, namespace: &str) -> Vec<Value> {
        let _ = (kind, namespace);
        Vec::new()
    }
}

/// A deployment about to be put into the store.
#[must_use = "nothing is in the store before `seed`"]
pub struct Seeding {}

impl Seeding {
    /// Adds a container beside the first one.
    pub fn container(self, name: &str, image: &str) -> Self {
        let _ = (name, image);
        self
    }

    /// Adds an init container.
    pub fn init(self, name: &str, image: &str) -> Self {
        let _ = (name, image);
        self
    }

    /// Changes the deployment before its pods are made from it, by a merge patch.
    pub fn with(self, patch: Value) -> Self {
        drop(patch);
        self
    }

    /// Names the field manager that created it, `kubectl-client-side-apply` unless told.
    pub fn by(self, manager: &str) -> Self {
        let _ = manager;
        self
    }

    /// Puts the deployment, its replica set and its ready pods into the store.
    pub fn seed(self) {}
}
