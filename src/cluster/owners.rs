//! Who else sets a workload: GitOps controllers, Helm, and the field managers of its images.
//!
//! Pure: read from labels, annotations and managed fields. Whether to refuse is the plan's affair.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

/// Somebody who will set the image again, or who set it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// An Argo CD application, by name where it is said.
    Argo(Option<String>),
    /// A Flux Kustomization, `namespace/name`.
    FluxKustomization(String),
    /// A Flux HelmRelease, `namespace/name`.
    FluxHelm(String),
    /// A Helm release.
    Helm(String),
    /// Another field manager that owns an image field.
    Manager {
        /// Its name as managed fields have it.
        name: String,
        /// The containers whose image it owns.
        containers: Vec<String>,
    },
}

impl Owner {
    /// A controller that puts its own image back by itself, within minutes.
    #[must_use]
    pub fn is_gitops(&self) -> bool {
        match self {
            Self::Argo(_) | Self::FluxKustomization(_) | Self::FluxHelm(_) => true,
            Self::Helm(_) => false,
            Self::Manager { name, .. } => gitops_manager(name),
        }
    }
}

fn gitops_manager(_name: &str) -> bool {
    false
}

/// The owners that this metadata shows.
pub(super) fn of(_meta: &ObjectMeta) -> Vec<Owner> {
    Vec::new()
}
