//! The kinds that the store holds, as one table: discovery, paths and messages are read from it.
//! It must not know what a kind means; a new kind is one row.

/// A resource as discovery lists it.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) singular: &'static str,
    pub(super) short: &'static [&'static str],
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) namespaced: bool,
}

/// A reference into the table; two are the same resource when their kinds are equal.
pub(super) type Kind = &'static Resource;

macro_rules! resources {
    ($($kind:literal $plural:literal $singular:literal $short:expr, $group:literal $version:literal $namespaced:literal;)*) => {
        &[$(Resource {
            kind: $kind, plural: $plural, singular: $singular, short: &$short, group: $group,
            version: $version, namespaced: $namespaced,
        }),*]
    };
}

/// Every resource that can be read and written.
pub(super) static RESOURCES: &[Resource] = resources! {
    "Namespace" "namespaces" "namespace" ["ns"], "" "v1" false;
    "Node" "nodes" "node" ["no"], "" "v1" false;
    "Pod" "pods" "pod" ["po"], "" "v1" true;
    "Event" "events" "event" ["ev"], "" "v1" true;
    "ServiceAccount" "serviceaccounts" "serviceaccount" ["sa"], "" "v1" true;
    "Secret" "secrets" "secret" [], "" "v1" true;
    "ConfigMap" "configmaps" "configmap" ["cm"], "" "v1" true;
    "Deployment" "deployments" "deployment" ["deploy"], "apps" "v1" true;
    "ReplicaSet" "replicasets" "replicaset" ["rs"], "apps" "v1" true;
    "StatefulSet" "statefulsets" "statefulset" ["sts"], "apps" "v1" true;
    "DaemonSet" "daemonsets" "daemonset" ["ds"], "apps" "v1" true;
    "HorizontalPodAutoscaler" "horizontalpodautoscalers" "horizontalpodautoscaler" ["hpa"], "autoscaling" "v2" true;
};

/// The resource of a kind's name.
pub(super) fn by_kind(kind: &str) -> Option<Kind> {
    RESOURCES.iter().find(|r| r.kind == kind)
}

/// The resource at a path's group, version and plural.
pub(super) fn by_path(group: &str, version: &str, plural: &str) -> Option<Kind> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

impl Resource {
    /// `apps/v1`, or `v1` for the core group.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `deployments.apps`, or `pods` for the core group: how the API server's messages name it.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}
