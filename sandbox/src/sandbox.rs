//! The sandbox as its owner holds it: starts the listener, hands out what clients need, and ends
//! everything when dropped.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::sync::{Arc, atomic::AtomicU64};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::access::Sessions;
use crate::faults::{Fault, Faults};
use crate::kube::Kube;
use crate::log::{Log, Request};
use crate::registry::Uploads;
use crate::serve;
use crate::tls::Tls;
use crate::world::{World, hold};

/// A running sandbox. Dropping it ends the listener, every connection and the stored layers.
pub struct Sandbox {
    state: Arc<State>,
    listener: JoinHandle<()>,
}

/// What the emulators share.
pub(crate) struct State {
    pub(crate) world: Mutex<World>,
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Mutex<Sessions>,
    pub(crate) uploads: Mutex<Uploads>,
    pub(crate) folder: TempDir,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    pub(crate) tls: Tls,
    /// Numbers for request ids and names of uploads.
    pub(crate) next: AtomicU64,
}

impl Sandbox {
    /// Starts on a free loopback port.
    ///
    /// # Errors
    /// No loopback port or no temporary folder can be had.
    pub async fn start(world: World) -> io::Result<Self> {
        Self::start_at(world, 0).await
    }

    /// Starts on this loopback port.
    ///
    /// # Errors
    /// The port is taken, or no temporary folder can be had.
    pub async fn start_at(world: World, port: u16) -> io::Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let state = Arc::new(State {
            world: Mutex::new(world),
            address: socket.local_addr()?,
            sessions: Mutex::default(),
            uploads: Mutex::default(),
            folder: tempfile::Builder::new().prefix("slipway-sandbox-").tempdir()?,
            log: Log::default(),
            faults: Faults::default(),
            tls: Tls::made()?,
            next: AtomicU64::new(1),
        });
        let listener = tokio::spawn(serve::listen(socket, Arc::clone(&state)));
        Ok(Self { state, listener })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        self.state.url()
    }

    /// What slipway, `aws`, `curl --aws-sigv4` and GitHub's clients need: the first user's key.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let world = hold(&self.state.world);
        let (key, secret) = world
            .users
            .first()
            .map_or_else(Default::default, |u| (u.key.clone(), u.secret.clone()));
        let pairs = [
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", world.region.clone()),
            ("AWS_DEFAULT_REGION", world.region.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
            ("AWS_PAGER", String::new()),
            ("GITHUB_API_URL", self.url()),
            ("GITHUB_REPOSITORY", world.github.repository.clone()),
            ("GITHUB_TOKEN", world.github.token.clone()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// What a step with `id-token: write` sees besides; without the user's key.
    #[must_use]
    pub fn oidc_environment(&self) -> Vec<(String, String)> {
        let mut all = self.environment();
        all.retain(|(name, _)| !name.ends_with("_ACCESS_KEY_ID") && !name.contains("SECRET"));
        let token = hold(&self.state.world).oidc.request_token.clone();
        let url = format!("{}/oidc/token?run=1", self.url());
        all.push(("ACTIONS_ID_TOKEN_REQUEST_URL".into(), url));
        all.push(("ACTIONS_ID_TOKEN_REQUEST_TOKEN".into(), token));
        all
    }

    /// A kubeconfig for `kubectl`, with the cluster's authority and its static token. Always by TLS:
    /// `kubectl` sends no credentials without it.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        let cluster = hold(&self.state.world).cluster.clone();
        let (name, token) = (cluster.name, cluster.token);
        let (address, ca) = (self.state.address, BASE64_STANDARD.encode(&self.state.tls.ca));
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: {name}\n\
             clusters:\n- name: {name}\n  cluster:\n    server: https://{address}\n    \
             certificate-authority-data: {ca}\n\
             users:\n- name: {name}\n  user: {{ token: '{token}' }}\n\
             contexts:\n- name: {name}\n  context: {{ cluster: {name}, user: {name} }}\n"
        )
    }

    /// The cluster behind the Kubernetes API.
    #[must_use]
    pub fn kube(&self) -> Kube {
        hold(&self.state.world).kube.clone()
    }

    /// Reads or changes the world while it runs.
    pub fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut hold(&self.state.world))
    }

    /// Tags of a repository and the digests they name; empty if there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> BTreeMap<String, String> {
        let world = hold(&self.state.world);
        world.repositories.get(repository).map(|r| r.tags.clone()).unwrap_or_default()
    }

    /// The next `times` requests whose line (`PUT /v2/demo/web/manifests/x`) or action
    /// (`ecr:BatchGetImage`) contains `on` meet this fault; then the service is healthy again.
    pub fn fault(&self, on: &str, times: u32, fault: Fault) {
        self.fault_after(0, on, times, fault);
    }

    /// The same, after `skip` matching requests passed.
    pub fn fault_after(&self, skip: u32, on: &str, times: u32, fault: Fault) {
        self.state.faults.add(on.into(), skip, times, fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state.faults.clear();
    }

    /// Forgets all temporary credentials' lives: they are expired from now on.
    pub fn expire_sessions(&self) {
        hold(&self.state.sessions).expire_keys();
    }

    /// Every password of GetAuthorizationToken is expired from now on.
    pub fn expire_passwords(&self) {
        hold(&self.state.sessions).expire_passwords();
    }

    /// What was asked, in order of arrival.
    #[must_use]
    pub fn log(&self) -> Vec<Request> {
        self.state.log.all()
    }

    /// What was asked and changed something.
    #[must_use]
    pub fn writes(&self) -> Vec<Request> {
        self.log().into_iter().filter(|request| request.wrote).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.listener.abort();
        // A task that still runs holds the state too, and a process that ends drops no task.
        let _ = std::fs::remove_dir_all(self.state.folder.path());
    }
}

impl State {
    /// Where the listener is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The endpoint of the cluster.
    pub(crate) fn cluster_url(&self, world: &World) -> String {
        let scheme = if world.cluster.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// The next free number.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}
