//! What it takes to reach a cluster: where it is, whose CA signs it, who is asking, how patiently.
//!
//! Values only. The token is minted by whoever holds the AWS credentials and is never kept here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use crate::error::Failure;
use crate::names;

/// A bearer token of EKS, and how long it may be used.
#[derive(Clone, Debug)]
pub struct EksToken {
    /// The token, `k8s-aws-v1.…`.
    pub token: SecretString,
    /// How long from now the cluster accepts it.
    pub valid_for: Duration,
}

/// Why a token is minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mint {
    /// There is none yet, or it runs out.
    Due,
    /// The cluster answered 401 to one that should have been good.
    Refused,
}

/// Mints a token: called before the first request, before one runs out, and once after a 401.
pub type Token = Arc<dyn Fn(Mint) -> BoxFuture<'static, Result<EksToken, Failure>> + Send + Sync>;

/// Where a cluster is and who is asking.
#[derive(Clone)]
pub struct Access {
    /// The endpoint as DescribeCluster says it, or an override.
    pub endpoint: String,
    /// The cluster's own CA; without it the system's are trusted.
    pub ca_pem: Option<Vec<u8>>,
    /// Its name, for messages.
    pub cluster: names::Cluster,
    /// Who is asking, as messages say it: "role `ship`".
    pub who: String,
    /// The Kubernetes groups of its access entry, where they are known: for commands that fix rights.
    pub groups: Vec<String>,
    /// How patiently to ask.
    pub pace: Pace,
}

impl Access {
    /// The bare name in `who`: "ship" in "role `ship`".
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.who.split('`').nth(1).unwrap_or("slipway")
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, cluster, who, groups, .. } = self;
        f.debug_struct("Access")
            .field("endpoint", endpoint)
            .field("cluster", cluster)
            .field("who", who)
            .field("groups", groups)
            .finish_non_exhaustive()
    }
}

/// How patiently the API server is asked. Plan fields, so that tests can be quick.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For a connection.
    pub connect: Duration,
    /// For a whole answer that is no watch.
    pub answer: Duration,
    /// A read that does not get through is tried again for this long.
    pub window: Duration,
    /// The first wait between two tries; it doubles.
    pub first_wait: Duration,
    /// The longest wait between two tries, also of a watch.
    pub longest_wait: Duration,
    /// After this the server ends a watch by itself, and it is opened again.
    pub watch: Duration,
    /// A watch that says nothing for this long may be quiet or dead: a list shows which.
    pub idle: Duration,
    /// A watch that cannot be read for this long is said to be in trouble, and again each time it has passed.
    pub trouble: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(20),
            window: Duration::from_secs(30),
            first_wait: Duration::from_millis(300),
            longest_wait: Duration::from_secs(8),
            watch: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            trouble: Duration::from_secs(10),
        }
    }
}
