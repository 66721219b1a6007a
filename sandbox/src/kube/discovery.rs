//! What the server says it serves, read from the table of kinds.
//! It must not promise a kind or a verb that the other files do not answer.

use serde_json::{Value, json};

use super::kinds::RESOURCES;

const GROUPS: [(&str, &str); 3] =
    [("apps", "v1"), ("autoscaling", "v2"), ("authorization.k8s.io", "v1")];

/// The answer to a discovery path, if it is one.
pub(super) fn answer(path: &str) -> Option<Value> {
    match path {
        "/version" => Some(version()),
        "/api" => Some(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        })),
        "/apis" => Some(json!({
            "kind": "APIGroupList", "apiVersion": "v1",
            "groups": GROUPS.map(|(name, version)| group(name, version)),
        })),
        "/api/v1" => Some(resources("", "v1")),
        _ => GROUPS.into_iter().find_map(|(name, version)| {
            let rest = path.strip_prefix("/apis/")?.strip_prefix(name)?;
            match rest.strip_prefix('/') {
                None if rest.is_empty() => {
                    let mut group = group(name, version);
                    group["kind"] = "APIGroup".into();
                    group["apiVersion"] = "v1".into();
                    Some(group)
                }
                Some(asked) if asked == version => Some(resources(name, version)),
                _ => None,
            }
        }),
    }
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.5-eks-sandbox", "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "2025-10-01T00:00:00Z", "goVersion": "go1.24.6",
        "compiler": "gc", "platform": "linux/amd64",
    })
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({ "name": name, "versions": [version], "preferredVersion": version })
}

fn resources(group: &str, version: &str) -> Value {
    let mut listed = Vec::new();
    for r in RESOURCES.iter().filter(|r| r.group == group && r.version == version) {
        listed.push(json!({
            "name": r.plural, "singularName": r.singular, "namespaced": r.namespaced, "kind": r.kind,
            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            "shortNames": r.short,
        }));
        if r.kind == "Pod" {
            listed.push(json!({
                "name": "pods/log", "singularName": "", "namespaced": true, "kind": "Pod",
                "verbs": ["get"],
            }));
        }
    }
    if group == "authorization.k8s.io" {
        for kind in ["SelfSubjectAccessReview", "SelfSubjectRulesReview"] {
            listed.push(json!({
                "name": format!("{}s", kind.to_lowercase()), "singularName": kind.to_lowercase(),
                "namespaced": false, "kind": kind, "verbs": ["create"],
            }));
        }
    }
    let full = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": full, "resources": listed,
    })
}
