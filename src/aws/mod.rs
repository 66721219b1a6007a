//! AWS as slipway needs it: who we are, ECR, EKS, and the token that the cluster takes.
//!
//! Credentials live in memory only, are renewed in here, and are told to the caller's mask before
//! their first use. Nothing here reads profiles, files of credentials or instance metadata.
//! Leans on the AWS SDKs over one rustls client; every error leaves as a `Failure` (see `fault`).

mod arn;
mod ask;
mod clock;
mod credentials;
mod ecr;
mod eks;
mod fault;
mod images;
mod oidc;
mod sts;
mod token;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

pub use credentials::Identity;
pub use ecr::{Encryption, FoundRepository, Mutability, RegistryLogin, RepositoryState};
pub use eks::{ClusterInfo, EndpointAccess, NodeGroup, Taint};
pub use images::{By, EcrImage};
pub use sts::{Caller, How};
pub use token::EksToken;

use crate::error::Failure;
use crate::names::{Region, RoleArn};
use clock::Clock;
use credentials::{Means, Provider};
use fault::Place;

/// How often a request is tried, throttling and server errors included.
const ATTEMPTS: u32 = 5;
/// The pause before the second attempt at most; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long one request may take with all its attempts.
const REQUEST_WITHIN: Duration = Duration::from_secs(120);

/// Told every secret the moment it is born.
type Secrets = Arc<dyn Fn(&str) + Send + Sync>;

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
pub struct Aws(Arc<Inner>);

struct Inner {
    region: Region,
    provider: Provider,
    how: How,
    role: Option<RoleArn>,
    secrets: Secrets,
    clock: Clock,
    sts: sts::Asker,
    sts_base: String,
    ecr: aws_sdk_ecr::Client,
    ecr_host: String,
    eks: aws_sdk_eks::Client,
    eks_host: String,
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
        let secrets: Secrets = Arc::new(secrets);
        let connector = wire::connector()?;
        let clock = Clock::default();
        let shared = sdk_config(&region, wire::client(&connector), &clock);
        let sts_base = endpoints.sts.clone().unwrap_or_else(|| sts_url(&region));
        let sts = |provider: Option<Provider>| {
            let mut config = aws_sdk_sts::config::Builder::from(&shared.signing(provider.clone()));
            config.set_endpoint_url(endpoints.sts.clone());
            config.push_interceptor(shared.clock());
            sts::Asker {
                base: provider,
                client: aws_sdk_sts::Client::from_conf(config.build()),
                host: host_of(&sts_base),
                region: region.to_string(),
            }
        };
        let means = Means { connector: &connector, secrets: &secrets, run: &run, sts: &sts };
        let provider = Provider::new(&identity, &means);
        let signing = shared.signing(Some(provider.clone()));
        let mut ecr = aws_sdk_ecr::config::Builder::from(&signing);
        ecr.set_endpoint_url(endpoints.ecr.clone());
        ecr.push_interceptor(shared.clock());
        let mut eks = aws_sdk_eks::config::Builder::from(&signing);
        eks.set_endpoint_url(endpoints.eks.clone());
        eks.push_interceptor(shared.clock());
        let host = |endpoint: &Option<String>, service: &str| {
            endpoint.as_deref().map_or_else(|| format!("{service}.{}", domain(&region)), host_of)
        };
        Ok(Self(Arc::new(Inner {
            how: identity.how(),
            role: identity.role().cloned(),
            sts: sts(Some(provider.clone())),
            sts_base,
            ecr: aws_sdk_ecr::Client::from_conf(ecr.build()),
            ecr_host: host(&endpoints.ecr, "api.ecr"),
            eks: aws_sdk_eks::Client::from_conf(eks.build()),
            eks_host: host(&endpoints.eks, "eks"),
            region,
            provider,
            secrets,
            clock,
        })))
    }

    /// The region all of this is in.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.0.region
    }

    fn how(&self) -> How {
        self.0.how.clone()
    }

    fn ecr_place(&self, resource: String) -> Place {
        self.place(&self.0.ecr_host, resource)
    }

    fn eks_place(&self, resource: String) -> Place {
        self.place(&self.0.eks_host, resource)
    }

    fn place(&self, host: &str, resource: String) -> Place {
        Place {
            host: host.into(),
            region: self.0.region.to_string(),
            resource,
            how: self.how(),
            was_accepted: self.0.provider.was_accepted(),
        }
    }

    /// An ARN of ours, with a placeholder where only AWS knows the account.
    fn arn(&self, service: &str, resource: &str) -> String {
        let account = self.0.role.as_ref().and_then(|r| arn::account(r.as_str()));
        let account = account.map_or_else(|| "ACCOUNT".into(), String::from);
        let partition = partition(&self.0.region);
        format!("arn:{partition}:{service}:{}:{account}:{resource}", self.0.region)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aws({})", self.0.region)
    }
}

/// What all clients have in common.
struct Shared {
    config: SdkConfig,
    clock: Clock,
}

fn sdk_config(region: &Region, client: SharedHttpClient, clock: &Clock) -> Shared {
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_PAUSE)
        .with_max_backoff(Duration::from_secs(10));
    let waiting = TimeoutConfig::builder()
        .connect_timeout(wire::CONNECT_WITHIN)
        .read_timeout(wire::ANSWER_WITHIN)
        .operation_timeout(REQUEST_WITHIN)
        .build();
    let config = SdkConfig::builder()
        .behavior_version(aws_sdk_sts::config::BehaviorVersion::latest())
        .region(aws_types::region::Region::new(region.to_string()))
        .retry_config(retries)
        .timeout_config(waiting)
        // The provider holds and renews the credentials itself, once for all clients.
        .identity_cache(aws_sdk_sts::config::IdentityCache::no_cache())
        .http_client(client)
        .build();
    Shared { config, clock: clock.clone() }
}

impl Shared {
    fn signing(&self, provider: Option<Provider>) -> SdkConfig {
        let mut config = self.config.clone().into_builder();
        config.set_credentials_provider(provider.map(SharedCredentialsProvider::new));
        config.build()
    }

    fn clock(&self) -> SharedInterceptor {
        SharedInterceptor::new(self.clock.clone())
    }
}

/// The region's own STS, as the SDK knows it for every partition.
fn sts_url(region: &Region) -> String {
    let resolved = Params::builder().region(region.as_str()).build().ok().and_then(|params| {
        let resolver = DefaultResolver::new();
        let future = resolver.resolve_endpoint(&params);
        futures_util::FutureExt::now_or_never(future)?.ok().map(|e| e.url().to_owned())
    });
    resolved.unwrap_or_else(|| format!("https://sts.{}", domain(region)))
}

/// `ap-northeast-2.amazonaws.com`, for naming a host that did not answer.
fn domain(region: &Region) -> String {
    let suffix = if region.as_str().starts_with("cn-") { ".cn" } else { "" };
    format!("{region}.amazonaws.com{suffix}")
}

fn partition(region: &Region) -> &'static str {
    match region.as_str() {
        r if r.starts_with("cn-") => "aws-cn",
        r if r.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn host_of(url: impl AsRef<str>) -> String {
    let url = url.as_ref();
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest).to_owned()
}

#[cfg(test)]
mod tests;
