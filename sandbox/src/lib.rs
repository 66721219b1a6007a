//! A sandbox: STS, ECR, EKS, an OCI registry, GitHub's API and the Kubernetes API on one loopback
//! port, with state, real signatures and AWS's own words. It ships in the CLI (`slipway demo`,
//! `slipway sandbox`) and carries the stories of the test suite.
//!
//! It shares no code with the product: a shared parser would share its mistakes. Emulators have no
//! "fail now" switches; failures are layers over them ([`Fault`]).

mod access;
mod answer;
mod call;
mod cluster;
mod ecr;
mod eks;
pub mod engine;
mod faults;
mod github;
mod image;
pub mod kube;
mod log;
mod oidc;
mod registry;
mod sandbox;
mod serve;
mod sigv4;
mod sts;
mod tls;
mod world;

pub use faults::Fault;
pub use image::Image;
pub use log::Request;
pub use sandbox::Sandbox;
pub use world::{
    AccessEntry, Cluster, Denial, GitHub, Manifest, NodeGroup, Oidc, Repository, Role, User, World,
};
