//! The world that the sandbox plays: accounts, keys, roles, repositories, the cluster's face and a
//! commit graph. Plain data, open to tests before the start and, by `Sandbox::world`, after it.
//!
//! No wire format here: each emulator reads what it needs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::image::Image;
use crate::kube::Kube;

/// Everything there is.
#[derive(Clone)]
pub struct World {
    /// The account id.
    pub account: String,
    /// The only region.
    pub region: String,
    /// IAM users and their keys.
    pub users: Vec<User>,
    /// IAM roles, with who may take them.
    pub roles: Vec<Role>,
    /// Actions that no policy allows.
    pub denied: Vec<Denial>,
    /// ECR repositories by name.
    pub repositories: BTreeMap<String, Repository>,
    /// Contents of seeded blobs by digest; pushed ones are files.
    pub blobs: BTreeMap<String, Bytes>,
    /// Whether `BLOB_MOUNTING` is enabled in the account.
    pub mounting: bool,
    /// How long a password of GetAuthorizationToken holds.
    pub password_life: Duration,
    /// Whether repository URIs name this listener instead of the ECR host, for `docker push`.
    pub loopback_uris: bool,
    /// Another registry that GetAuthorizationToken names in this one's place: scheme and host.
    pub registry: Option<String>,
    /// The EKS cluster as AWS sees it.
    pub cluster: Cluster,
    /// The Kubernetes API behind it.
    pub kube: Kube,
    /// What GitHub knows.
    pub github: GitHub,
    /// The token endpoint of the runner.
    pub oidc: Oidc,
    /// How far the services' clocks are ahead of this machine's.
    pub clock_skew: SignedDuration,
}

/// An IAM user with one access key.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// The access key id.
    pub key: String,
    /// The secret of that key.
    pub secret: String,
}

/// An IAM role.
#[derive(Clone, Debug)]
pub struct Role {
    /// The role's name.
    pub name: String,
    /// Subjects of GitHub's tokens that may take it; a `*` matches anything.
    pub subjects: Vec<String>,
    /// ARNs of users and roles that may take it by AssumeRole.
    pub principals: Vec<String>,
    /// How long its credentials hold; less than a minute is possible, to see a renewal.
    pub session: Duration,
}

/// An action that is not allowed.
#[derive(Clone, Debug)]
pub struct Denial {
    /// The action, for example `ecr:BatchGetImage`; `ecr:*` is possible.
    pub action: String,
    /// Only for the principal with this ARN (of the role, for its sessions); else for everyone.
    pub principal: Option<String>,
    /// Only on what this pattern names: `*:repository/staging/web`; else on everything.
    pub resource: Option<String>,
}

/// An ECR repository.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Whether tags can be overwritten.
    pub immutable: bool,
    /// Whether images are scanned when they arrive.
    pub scan_on_push: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Tag to digest.
    pub tags: BTreeMap<String, String>,
    /// Manifests by digest.
    pub manifests: BTreeMap<String, Manifest>,
    /// Sizes of its blobs by digest.
    pub blobs: BTreeMap<String, u64>,
}

/// A manifest or an index in a repository.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Its media type, as it was pushed.
    pub media_type: String,
    /// Its bytes, as they were pushed.
    pub bytes: Bytes,
    /// When it arrived.
    pub pushed: Timestamp,
}

/// The cluster as EKS describes it.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// `ACTIVE`, `CREATING`, `UPDATING`, ...
    pub status: String,
    /// Its Kubernetes version.
    pub version: String,
    /// Whether its endpoint is open to the internet.
    pub public: bool,
    /// Its node groups.
    pub node_groups: Vec<NodeGroup>,
    /// Who may enter.
    pub access: Vec<AccessEntry>,
    /// Whether its endpoint is `https`, as with EKS; the port speaks both.
    pub tls: bool,
    /// A static bearer token for `kubectl`; its user is `sandbox-admin` of `system:masters`.
    pub token: String,
}

/// A managed node group.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// Its name.
    pub name: String,
    /// Its AMI type, for example `AL2023_ARM_64_STANDARD`.
    pub ami_type: String,
    /// Nodes it wants now, and at most.
    pub size: (u32, u32),
    /// The name of its node role.
    pub role: String,
}

/// An access entry of the cluster.
#[derive(Clone, Debug)]
pub struct AccessEntry {
    /// The ARN of a user or a role.
    pub principal: String,
    /// Its Kubernetes groups.
    pub groups: Vec<String>,
}

/// What GitHub's API knows about one repository.
#[derive(Clone, Debug)]
pub struct GitHub {
    /// `owner/name`.
    pub repository: String,
    /// The only token that is good.
    pub token: String,
    /// Commits and their parents.
    pub commits: BTreeMap<String, Vec<String>>,
    /// Whether the rate limit is used up.
    pub exhausted: bool,
    /// The statuses that were posted: commit and body, in order.
    pub statuses: Vec<(String, serde_json::Value)>,
}

/// The runner's token endpoint, and what its tokens claim.
#[derive(Clone, Debug)]
pub struct Oidc {
    /// The bearer token that the runner gives to steps with `id-token: write`.
    pub request_token: String,
    /// The `sub` claim.
    pub subject: String,
    /// How long a token holds.
    pub life: Duration,
    /// Whether IAM has an OIDC provider for GitHub.
    pub provider: bool,
    /// The audiences that this provider takes.
    pub audiences: Vec<String>,
    /// Whether GitHub publishes the key that signs the tokens.
    pub published: bool,
}

impl Default for World {
    /// The world of the demo: account 123456789012 in ap-northeast-2, user `demo`, role `ship`,
    /// repository `demo/web`, cluster `demo` with an arm64 node group.
    fn default() -> Self {
        let account = "123456789012".to_owned();
        Self {
            users: vec![User::new("demo")],
            roles: vec![Role::new("ship")],
            denied: Vec::new(),
            repositories: BTreeMap::from([("demo/web".into(), Repository::default())]),
            blobs: BTreeMap::new(),
            mounting: false,
            password_life: Duration::from_secs(12 * 60 * 60),
            loopback_uris: false,
            registry: None,
            cluster: Cluster::new("demo", &account),
            kube: crate::cluster::empty(),
            github: GitHub::new("demo/web"),
            oidc: Oidc::new("demo/web"),
            clock_skew: SignedDuration::ZERO,
            region: "ap-northeast-2".into(),
            account,
        }
    }
}

impl World {
    /// No action of this name is allowed to anyone from now on.
    pub fn deny(&mut self, action: &str) -> &mut Self {
        self.denied.push(Denial { action: action.into(), principal: None, resource: None });
        self
    }

    /// The same for what a pattern names.
    pub fn deny_on(&mut self, action: &str, resource: &str) -> &mut Self {
        let (action, resource) = (action.into(), Some(resource.into()));
        self.denied.push(Denial { action, principal: None, resource });
        self
    }

    /// An action that was denied to everybody is allowed again.
    pub fn allow(&mut self, action: &str) -> &mut Self {
        self.denied.retain(|denial| denial.action != action || denial.principal.is_some());
        self
    }

    /// Puts an image into a repository, which is created if it is missing, and says its digest.
    pub fn image(&mut self, repository: &str, tag: &str, image: &Image) -> String {
        let made = image.made();
        let repository = self.repositories.entry(repository.to_owned()).or_default();
        for (digest, bytes) in made.blobs {
            repository.blobs.insert(digest.clone(), bytes.len() as u64);
            self.blobs.insert(digest, bytes);
        }
        for (digest, media_type, bytes) in made.manifests {
            let manifest = Manifest { media_type, bytes, pushed: Timestamp::now() };
            repository.manifests.insert(digest, manifest);
        }
        repository.tags.insert(tag.into(), made.root.clone());
        made.root
    }

    /// What ECR calls the repository outside: host and name, as in a pod's image. With
    /// `loopback_uris` the host is this listener instead.
    #[must_use]
    pub fn repository_uri(&self, repository: &str) -> String {
        format!("{}.dkr.ecr.{}.amazonaws.com/{repository}", self.account, self.region)
    }

    /// The ARN of a user.
    #[must_use]
    pub fn user_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:user/{name}", self.account)
    }

    /// The ARN of a role.
    #[must_use]
    pub fn role_arn(&self, name: &str) -> String {
        format!("arn:aws:iam::{}:role/{name}", self.account)
    }

    /// The time as the services see it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.clock_skew).unwrap_or(Timestamp::MAX)
    }
}

impl User {
    /// A user with a key of its own, made from the name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let id: String =
            hex::encode_upper(name).chars().chain("0".repeat(16).chars()).take(16).collect();
        let secret = format!("sandbox/{name}/{}", "0".repeat(40));
        Self { name: name.into(), key: format!("AKIA{id}"), secret: secret[..40].to_owned() }
    }
}

impl Role {
    /// A role that the default workflow and the user `demo` of the default account may take.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            subjects: vec!["repo:demo/web:*".into()],
            principals: vec!["arn:aws:iam::123456789012:user/demo".into()],
            session: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for Repository {
    fn default() -> Self {
        Self {
            immutable: true,
            scan_on_push: false,
            created: Timestamp::now(),
            tags: BTreeMap::new(),
            manifests: BTreeMap::new(),
            blobs: BTreeMap::new(),
        }
    }
}

impl Cluster {
    /// An active cluster with one arm64 node group, open to user `demo` and role `ship`.
    #[must_use]
    pub fn new(name: &str, account: &str) -> Self {
        let entry = |who: &str| AccessEntry {
            principal: format!("arn:aws:iam::{account}:{who}"),
            groups: vec!["slipway".into()],
        };
        Self {
            name: name.into(),
            status: "ACTIVE".into(),
            version: "1.33".into(),
            public: true,
            tls: true,
            node_groups: vec![NodeGroup {
                name: "ng-1".into(),
                ami_type: "AL2023_ARM_64_STANDARD".into(),
                size: (2, 2),
                role: "eks-node".into(),
            }],
            access: vec![entry("user/demo"), entry("role/ship")],
            token: "sandbox-admin-token".into(),
        }
    }
}

impl GitHub {
    /// An empty repository.
    #[must_use]
    pub fn new(repository: &str) -> Self {
        Self {
            repository: repository.into(),
            token: "ghs_sandbox00000000000000000000000000000".into(),
            commits: BTreeMap::new(),
            exhausted: false,
            statuses: Vec::new(),
        }
    }

    /// Adds commits, each the parent of the next.
    pub fn line(&mut self, commits: &[&str]) -> &mut Self {
        let mut parents: Vec<String> = Vec::new();
        for commit in commits {
            let known = self.commits.entry((*commit).to_owned()).or_default();
            known
                .extend(parents.iter().filter(|p| !known.contains(p)).cloned().collect::<Vec<_>>());
            parents = vec![(*commit).to_owned()];
        }
        self
    }
}

impl Oidc {
    /// The tokens of a push to `main` of this repository.
    #[must_use]
    pub fn new(repository: &str) -> Self {
        Self {
            request_token: "sandbox-id-token-request".into(),
            subject: format!("repo:{repository}:ref:refs/heads/main"),
            life: Duration::from_secs(300),
            provider: true,
            audiences: vec!["sts.amazonaws.com".into()],
            published: true,
        }
    }
}

/// Locks, also after a panic elsewhere: a test that failed must not hide why.
pub(crate) fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
