//! slipway: from a commit to running pods on EKS, explained and undone when it fails.

pub mod aws;
pub mod checkout;
pub mod cluster;
pub mod docker;
pub mod error;
pub mod explain;
pub mod github;
pub mod guard;
pub mod http;
pub mod image;
pub mod inputs;
pub mod names;
pub mod plan;
pub mod record;
pub mod registry;
pub mod report;
pub mod restore;
pub mod rollout;
pub mod survey;
