//! Who else sets a workload: GitOps controllers, Helm, and the field managers of its images.
//!
//! Pure: read from labels, annotations and managed fields. Whether to refuse is the plan's affair.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde::Serialize;
use serde_json::Value;

/// Our own field manager.
pub(super) const SLIPWAY: &str = "slipway";

/// Somebody who will set the image again, or who set it last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    /// An Argo CD application, by name.
    Argo(String),
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
        /// The containers whose image it owns, init containers too.
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
            Self::Manager { name, .. } => [
                "argocd-controller",
                "argocd-application-controller",
                "kustomize-controller",
                "helm-controller",
            ]
            .contains(&name.as_str()),
        }
    }
}

/// The owners that this metadata shows, those that act by themselves first.
pub(super) fn of(meta: &ObjectMeta) -> Vec<Owner> {
    let mut owners = Vec::new();
    owners.extend(argo(meta).map(Owner::Argo));
    owners.extend(flux(meta, "kustomize.toolkit.fluxcd.io").map(Owner::FluxKustomization));
    owners.extend(flux(meta, "helm.toolkit.fluxcd.io").map(Owner::FluxHelm));
    owners.extend(helm(meta).map(Owner::Helm));
    let managers = image_managers(meta);
    owners
        .extend(managers.into_iter().map(|(name, containers)| Owner::Manager { name, containers }));
    owners
}

/// By its tracking annotation `APP:GROUP/KIND:NS/NAME`. Its label, `app.kubernetes.io/instance`, is
/// also Helm's and everybody's, so that alone it proves nothing.
fn argo(meta: &ObjectMeta) -> Option<String> {
    if let Some(id) = annotation(meta, "argocd.argoproj.io/tracking-id") {
        return Some(id.split(':').next().unwrap_or(id).to_owned());
    }
    label(meta, "argocd.argoproj.io/instance").map(str::to_owned)
}

fn flux(meta: &ObjectMeta, prefix: &str) -> Option<String> {
    let name = label(meta, &format!("{prefix}/name"))?;
    let namespace = label(meta, &format!("{prefix}/namespace"));
    Some(namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}")))
}

/// A chart rendered by Argo CD or `helm template` carries the label but no release.
fn helm(meta: &ObjectMeta) -> Option<String> {
    annotation(meta, "meta.helm.sh/release-name").map(str::to_owned)
}

fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

/// The field managers of image fields but our own, with the containers: of the main resource only.
fn image_managers(meta: &ObjectMeta) -> BTreeMap<String, Vec<String>> {
    let mut managers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let entries = meta.managed_fields.iter().flatten().filter(|e| e.subresource.is_none());
    for entry in entries {
        let name = entry.manager.as_deref().unwrap_or("unknown");
        let containers = images_of(entry);
        if name != SLIPWAY && !containers.is_empty() {
            managers.entry(name.into()).or_default().extend(containers);
        }
    }
    managers
}

/// The containers whose `image` this entry owns: `f:spec` … `k:{"name":"app"}` … `f:image`.
fn images_of(entry: &ManagedFieldsEntry) -> Vec<String> {
    let Some(fields) = &entry.fields_v1 else { return Vec::new() };
    let pod = ["f:spec", "f:template", "f:spec"].iter().try_fold(&fields.0, |at, key| at.get(key));
    let lists = ["f:initContainers", "f:containers"];
    let containers = lists.iter().filter_map(|list| pod?.get(list)?.as_object()).flatten();
    containers
        .filter(|(_, owned)| owned.get("f:image").is_some())
        .filter_map(|(key, _)| {
            let key: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
            Some(key.get("name")?.as_str()?.to_owned())
        })
        .collect()
}

/// Who wrote the image of a container last, of those that managed fields still name.
#[must_use]
pub fn last_image_manager(meta: &ObjectMeta, container: &str) -> Option<String> {
    let entries = meta.managed_fields.iter().flatten();
    let of_it =
        entries.filter(|e| e.subresource.is_none() && images_of(e).iter().any(|c| c == container));
    of_it.max_by_key(|e| e.time.as_ref().map(|t| t.0)).and_then(|e| e.manager.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn meta(labels: Value, annotations: Value, managed: Value) -> ObjectMeta {
        let whole = json!({"labels": labels, "annotations": annotations, "managedFields": managed});
        serde_json::from_value(whole).unwrap()
    }

    fn managed(manager: &str, subresource: Option<&str>, time: &str, containers: &[&str]) -> Value {
        let owned: serde_json::Map<_, _> = containers
            .iter()
            .map(|c| (format!("k:{{\"name\":\"{c}\"}}"), json!({".": {}, "f:image": {}})))
            .collect();
        json!({"manager": manager, "operation": "Update", "subresource": subresource, "time": time, "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": owned}}}}})
    }

    #[test]
    fn owners_are_told_by_what_each_controller_leaves_behind() {
        let rows = [
            (
                json!({}),
                json!({"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/web"}),
                Owner::Argo("shop".into()),
                true,
            ),
            (
                json!({"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}),
                json!({}),
                Owner::FluxKustomization("flux-system/apps".into()),
                true,
            ),
            (
                json!({"helm.toolkit.fluxcd.io/name": "web"}),
                json!({}),
                Owner::FluxHelm("web".into()),
                true,
            ),
            (
                json!({"app.kubernetes.io/managed-by": "Helm"}),
                json!({"meta.helm.sh/release-name": "web"}),
                Owner::Helm("web".into()),
                false,
            ),
        ];
        for (labels, annotations, owner, gitops) in rows {
            assert_eq!(of(&meta(labels, annotations, json!([]))), std::slice::from_ref(&owner));
            assert_eq!(owner.is_gitops(), gitops, "{owner:?}");
        }
    }

    #[test]
    fn a_shared_instance_label_proves_no_argo_application() {
        let labels =
            json!({"app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "Helm"});
        assert_eq!(of(&meta(labels, json!({}), json!([]))), []);
    }

    #[test]
    fn other_managers_of_images_are_named_and_slipway_is_not() {
        let entries = json!([
            managed("slipway", None, "2026-11-21T09:00:00Z", &["app"]),
            managed("kubectl-edit", None, "2026-11-21T09:05:00Z", &["app", "log"]),
            managed("argocd-controller", None, "2026-11-21T09:01:00Z", &["log"]),
            managed("kube-controller-manager", Some("status"), "2026-11-21T09:09:00Z", &["app"]),
            managed("kubectl-scale", None, "2026-11-21T09:09:00Z", &[]),
        ]);
        let meta = meta(json!({}), json!({}), entries);
        let argo =
            Owner::Manager { name: "argocd-controller".into(), containers: vec!["log".into()] };
        let kubectl = Owner::Manager {
            name: "kubectl-edit".into(),
            containers: vec!["app".into(), "log".into()],
        };
        assert!(argo.is_gitops() && !kubectl.is_gitops());
        assert_eq!(of(&meta), [argo, kubectl]);
        assert_eq!(last_image_manager(&meta, "app").as_deref(), Some("kubectl-edit"));
        assert_eq!(last_image_manager(&meta, "none"), None);
    }
}
