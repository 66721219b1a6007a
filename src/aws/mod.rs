//! AWS as slipway needs it: who we are, ECR, EKS, and the token that the cluster takes.
//!
//! Credentials live in memory only, are renewed in here, and are told to the caller's mask before
//! their first use. Nothing here reads profiles, files of credentials or instance metadata.
//! Leans on the AWS SDKs over one rustls client; every error leaves as a `Failure` (see `fault`).

mod credentials;
mod ecr;
mod eks;
mod sts;
mod token;

pub use credentials::Identity;
pub use ecr::{
    By, EcrImage, Encryption, FoundRepository, Mutability, RegistryLogin, RepositoryState,
};
pub use eks::{ClusterInfo, EndpointAccess, NodeGroup, Taint};
pub use sts::{Caller, How};
pub use token::EksToken;

use crate::error::{Code, Failure};
use crate::names::Region;

/// Where the services are, if not where AWS has them: already checked by `inputs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// STS.
    pub sts: Option<String>,
    /// The ECR API, not the registry.
    pub ecr: Option<String>,
    /// The EKS API, not a cluster.
    pub eks: Option<String>,
}

/// The name of this run in CloudTrail: `slipway-RUNID` or `slipway-USER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunName(String);

impl RunName {
    /// `slipway-` and the id of the run or the name of the user; what STS does not take becomes `-`.
    #[must_use]
    pub fn new(run_or_user: &str) -> Self {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
        let name = run_or_user.chars().map(|c| if allowed(c) { c } else { '-' });
        Self("slipway-".chars().chain(name).take(64).collect())
    }

    /// The name as STS takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Everything slipway asks of AWS, as one identity in one region. Cheap to clone.
#[derive(Clone)]
pub struct Aws {
    region: Region,
}

impl Aws {
    /// Makes the clients; nothing is asked yet. `secrets` is called with every secret the moment it
    /// is born, before its first use, so that the caller can mask it.
    ///
    /// # Errors
    /// When `AWS_CA_BUNDLE` or `SSL_CERT_FILE` names something that cannot be used.
    pub fn new(
        identity: Identity,
        region: Region,
        endpoints: Endpoints,
        run: RunName,
        secrets: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let _ = (identity, endpoints, run, secrets);
        Ok(Self { region })
    }

    /// The region all of this is in.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
}

fn unwritten() -> Failure {
    Failure::new(Code::RunBug, "this part of the aws room is not written yet")
}
