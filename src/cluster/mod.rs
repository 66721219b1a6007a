//! One EKS cluster: a kube client that mints its own tokens, what it reads, what it patches, what it
//! feeds to the watch.
//!
//! It reports and never decides: whether a rollout is good is judged in `rollout`, what to write is
//! planned in the steps. Nothing here reads a kubeconfig or a file. Leans on `kube`'s transport
//! (TLS, proxy, connections) and does its own asking, so that every answer has our words.

pub mod access;
mod connect;
pub mod containers;
pub mod fed;
pub mod feed;
pub mod fit;
mod follow;
pub mod health;
pub mod landing;
mod lines;
pub mod live;
pub mod owners;
pub mod patch;
pub mod reads;
mod review;
pub mod rights;
mod wire;
pub mod write;
mod wrong;

use std::fmt;
use std::sync::Arc;

pub use access::{Access, EksToken, Mint, Pace, Token};
pub use containers::{container_for, named, of_ours};
pub use fed::Fed;
pub use feed::Feed;
pub use health::{Health, Revision, health};
pub use landing::{
    Group, Landing, constrained, landing, landing_groups, on_fargate, platform, platforms,
};
pub use live::{Live, LiveContainer, Strategy};
pub use owners::{Owner, last_image_manager};
pub use patch::{Op, Patch};
pub use rights::{RIGHTS, Right};
pub use write::PatchAnswer;

use crate::error::Failure;

/// A connection to one EKS cluster. Cloning it is cheap and shares the token.
#[derive(Clone)]
pub struct Cluster {
    wire: Arc<wire::Wire>,
}

impl Cluster {
    /// Prepares the connection; nothing is sent yet. Must be called within the runtime.
    pub fn connect(access: Access, token: Token) -> Result<Self, Failure> {
        Ok(Self { wire: Arc::new(wire::Wire::new(access, token)?) })
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.wire.access.cluster.as_str()
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("name", &self.name()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
