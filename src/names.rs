//! Values that cannot be wrong: each parses or says in one clause what it should look like.
//!
//! Nothing after `inputs` takes a plain string for a commit, tag, digest, reference, platform or
//! workload. No I/O here, and nothing of the other rooms.

mod ecr;
mod nearest;
#[cfg(test)]
mod tests;
mod typed;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use ecr::EcrRef;
pub use nearest::nearest;
pub use typed::CommitPrefix;
use typed::{DIRTY, undirtied};

/// What is wrong with a name, as the clause after "`x` is …": for example "not 40 hex digits".
pub type Malformed = String;

/// Gives a string newtype its accessors, its `Display` and its serde form.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as it is written everywhere.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let parse: fn(&str) -> Result<String, Malformed> = $parse;
                parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Malformed;
            fn try_from(text: String) -> Result<Self, Malformed> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A whole Git commit id, lower case: 40 hex digits, or 64 in a SHA-256 repository.
    CommitSha,
    |text| {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        match text.len() {
            40 | 64 if hex => Ok(text.to_ascii_lowercase()),
            _ => Err("a commit is 40 hex digits".into()),
        }
    }
);

impl CommitSha {
    /// The first seven digits, as people read them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..7]
    }
}

/// A commit and whether the tree it is built from differs from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The commit that is checked out.
    pub sha: CommitSha,
    /// The tree that is built differs from it: such an image is never reused.
    pub dirty: bool,
}

impl Commit {
    /// The image tag of this commit: its whole id, with `-dirty` where the tree differs.
    #[must_use]
    pub fn tag(&self) -> Tag {
        let dirty = if self.dirty { DIRTY } else { "" };
        Tag(format!("{}{dirty}", self.sha))
    }

    /// The tag of this commit's image for one platform, until an index joins them:
    /// `COMMIT-linux-arm64`, `COMMIT-linux-arm-v7`.
    #[must_use]
    pub fn tag_for(&self, platform: &Platform) -> Tag {
        Tag(format!("{}-{}", self.tag(), platform.to_string().replace('/', "-")))
    }

    /// Seven digits, with `-dirty` where the tree differs.
    #[must_use]
    pub fn short(&self) -> String {
        let dirty = if self.dirty { DIRTY } else { "" };
        format!("{}{dirty}", self.sha.short())
    }

    /// The commit that a tag names, if it names one.
    #[must_use]
    pub fn tagged(tag: &str) -> Option<Self> {
        let (digits, dirty) = undirtied(tag);
        Some(Self { sha: digits.parse().ok()?, dirty })
    }
}

name!(
    /// An image tag.
    Tag,
    |text| {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if first && rest && text.len() <= 128 {
            Ok(text.into())
        } else {
            Err("a tag is letters, digits, `_`, `.` and `-`, at most 128".into())
        }
    }
);

name!(
    /// A SHA-256 content digest, `sha256:` and 64 hex digits.
    Digest,
    |text| {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(text.into())
        } else {
            Err("a digest is `sha256:` and 64 hex digits".into())
        }
    }
);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha256::new_with_prefix(bytes))
    }

    /// The digest of everything that was fed to this hash.
    #[must_use]
    pub fn finish(hash: Sha256) -> Self {
        Self(format!("sha256:{}", hex::encode(hash.finalize())))
    }

    /// The 64 hex digits alone.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// `sha256:` and twelve digits, as people read them.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[.."sha256:".len() + 12]
    }
}

name!(
    /// The name of an ECR repository, without the registry's host.
    Repository,
    |text| {
        let part = |p: &str| {
            let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            ends(p.bytes().next())
                && ends(p.bytes().last())
                && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        if (2..=256).contains(&text.len()) && text.split('/').all(part) {
            Ok(text.into())
        } else {
            Err("an ECR repository is lower-case letters, digits, `.`, `_`, `-` and `/`, without the registry's host".into())
        }
    }
);

name!(
    /// A twelve-digit AWS account id.
    Account,
    |text| {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
            Ok(text.into())
        } else {
            Err("an account id is 12 digits".into())
        }
    }
);

name!(
    /// An AWS region such as `ap-northeast-2`.
    Region,
    |text| {
        let parts: Vec<_> = text.split('-').collect();
        let ends_in_number = parts.last().is_some_and(|p| p.parse::<u8>().is_ok());
        if parts.len() >= 3 && ends_in_number && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
            Ok(text.into())
        } else {
            Err("a region looks like `ap-northeast-2`".into())
        }
    }
);

name!(
    /// The name of an EKS cluster.
    Cluster,
    |text| {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first && text.len() <= 100 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            Ok(text.into())
        } else {
            Err("a cluster is named by letters, digits, `-` and `_`, at most 100: its name, not its ARN".into())
        }
    }
);

name!(
    /// A Kubernetes namespace.
    Namespace,
    |text| dns_label(text).then(|| text.into()).ok_or_else(|| "a namespace is lower-case letters, digits and `-`, at most 63".into())
);

name!(
    /// The name of a container in a pod.
    Container,
    |text| dns_label(text).then(|| text.into()).ok_or_else(|| "a container name is lower-case letters, digits and `-`, at most 63".into())
);

name!(
    /// The ARN of an IAM role.
    RoleArn,
    |text| {
        let parts: Vec<_> = text.splitn(6, ':').collect();
        let good = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, role]
            if partition.starts_with("aws") && account.parse::<Account>().is_ok() && role.strip_prefix("role/").is_some_and(|r| !r.is_empty()));
        if good { Ok(text.into()) } else { Err("a role looks like `arn:aws:iam::123456789012:role/ship`".into()) }
    }
);

impl RoleArn {
    /// The role's name without its path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

fn dns_label(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// The kinds of workload that have pods of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
    /// `apps/v1` DaemonSet.
    DaemonSet,
    /// `batch/v1` CronJob.
    CronJob,
}

/// A workload as it is typed: `deployment/web`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// What it is.
    pub kind: Kind,
    /// What it is called.
    pub name: String,
}

impl FromStr for Workload {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let shape = || "a workload is KIND/NAME, for example `deployment/web`".to_owned();
        let (kind, name) = text.split_once('/').ok_or_else(shape)?;
        let kind = match kind.to_ascii_lowercase().as_str() {
            "deployment" | "deployments" | "deploy" => Kind::Deployment,
            "statefulset" | "statefulsets" | "sts" => Kind::StatefulSet,
            "daemonset" | "daemonsets" | "ds" => Kind::DaemonSet,
            "cronjob" | "cronjobs" | "cj" => Kind::CronJob,
            _ => return Err(shape()),
        };
        let named = !name.is_empty() && name.len() <= 253 && name.split('.').all(dns_label);
        if named { Ok(Self { kind, name: name.into() }) } else { Err(shape()) }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Deployment => "deployment",
            Kind::StatefulSet => "statefulset",
            Kind::DaemonSet => "daemonset",
            Kind::CronJob => "cronjob",
        };
        write!(f, "{kind}/{}", self.name)
    }
}

/// What an image is built for, normalised: arm64 is v8 and amd64 is v1 unless a variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// Only where it says more than the architecture does.
    pub variant: Option<String>,
}

impl Platform {
    /// Brings the spellings of uname, Docker and the OCI specification to one.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let architecture = match architecture {
            "x86_64" | "x86-64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let variant = variant.filter(|v| {
            !v.is_empty() && !matches!((architecture, *v), ("arm64", "v8" | "8") | ("amd64", "v1"))
        });
        Self { os: os.into(), architecture: architecture.into(), variant: variant.map(Into::into) }
    }

    /// What runners and nodes are there for, in order.
    #[must_use]
    pub fn usual() -> [Self; 2] {
        ["amd64", "arm64"].map(|architecture| Self::new("linux", architecture, None))
    }

    /// Whether a node of platform `node` can run an image of this platform. A node reports no
    /// variant, so a variant on our side is believed; an image without one runs on any.
    #[must_use]
    pub fn runs_on(&self, node: &Self) -> bool {
        self.os == node.os && self.architecture == node.architecture
    }
}

impl FromStr for Platform {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let parts: Vec<_> = text.split('/').collect();
        match parts.as_slice() {
            [os @ "linux", arch] if !arch.is_empty() => Ok(Self::new(os, arch, None)),
            [os @ "linux", arch, variant] if !arch.is_empty() && !variant.is_empty() => {
                Ok(Self::new(os, arch, Some(variant)))
            }
            _ => Err("a platform is `linux/amd64` or `linux/arm64`".into()),
        }
    }
}

impl TryFrom<String> for Platform {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> String {
        platform.to_string()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |v| write!(f, "/{v}"))
    }
}

/// An image reference, kept in its parts: `host/repository:tag@digest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageRef {
    /// The registry's host, with its port; absent in `nginx:1.24.0`.
    pub registry: Option<String>,
    /// The path below the host.
    pub repository: String,
    /// The tag, if one is written.
    pub tag: Option<Tag>,
    /// The digest, if one is written: it decides what is pulled.
    pub digest: Option<Digest>,
}

impl ImageRef {
    /// `host/repository` without tag and digest.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.registry {
            Some(host) => format!("{host}/{}", self.repository),
            None => self.repository.clone(),
        }
    }
}

impl FromStr for ImageRef {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag.parse()?)),
            _ => (rest, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
                (Some(host.to_owned()), path)
            }
            _ => (None, name),
        };
        let good = !repository.is_empty()
            && repository.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
        if good {
            Ok(Self { registry, repository: repository.into(), tag, digest })
        } else {
            Err("an image reference is HOST/REPOSITORY:TAG@DIGEST".into())
        }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        self.tag.as_ref().map_or(Ok(()), |tag| write!(f, ":{tag}"))?;
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}
