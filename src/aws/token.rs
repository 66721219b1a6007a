//! The token that an EKS cluster takes: a GetCallerIdentity request, signed and not sent.

use std::time::Instant;

use secrecy::SecretString;

use super::{Aws, unwritten};
use crate::error::Failure;
use crate::names::Cluster;

/// A token for a cluster.
#[derive(Clone, Debug)]
pub struct EksToken {
    /// `k8s-aws-v1.…`
    pub token: SecretString,
    /// Mint another after this: the cluster takes this one for some minutes more.
    pub renew_at: Instant,
}

impl Aws {
    /// Mints a token for this cluster; local, but for credentials that must be renewed first.
    ///
    /// # Errors
    /// When there are no credentials to sign with.
    pub async fn eks_token(&self, cluster: &Cluster) -> Result<EksToken, Failure> {
        let _ = cluster;
        Err(unwritten())
    }
}
