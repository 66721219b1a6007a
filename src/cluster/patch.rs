//! The one PATCH: JSON Patch operations that first test what was seen, then set images and
//! slipway's own annotations.
//!
//! Pure: built from a [`Live`], it serialises to what is sent, and that is what a plan shows. It can
//! set nothing else: not the template's annotations, not replicas.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::error::Failure;

use super::containers::unknown;
use super::live::Live;

/// One operation of RFC 6902.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are RFC 6902's")]
pub enum Op {
    Test { path: String, value: Value },
    Add { path: String, value: Value },
    Replace { path: String, value: Value },
}

/// A PATCH of one workload. It serialises to its operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's name.
    pub name: String,
    operations: Vec<Op>,
}

impl Patch {
    /// Sets images (container name to reference, init containers too) and slipway's annotations, if
    /// uid, container names and images still are what was seen.
    pub fn images(
        live: &Live,
        images: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let mut tests = vec![same_uid(live)];
        let mut sets = Vec::new();
        for (name, image) in images {
            let found = live.container(name).ok_or_else(|| unknown(live, name))?;
            let list = if found.init { "initContainers" } else { "containers" };
            let path = format!("/spec/template/spec/{list}/{}", found.index);
            tests.push(Op::Test { path: format!("{path}/name"), value: json!(name) });
            let path = format!("{path}/image");
            tests.push(Op::Test { path: path.clone(), value: json!(found.image) });
            if *image != found.image {
                sets.push(Op::Replace { path, value: json!(image) });
            }
        }
        sets.extend(notes(live, annotations));
        tests.extend(sets);
        Ok(Self::of(live, tests))
    }

    /// Sets slipway's annotations alone, if uid and the annotation `guard` still are what was seen.
    #[must_use]
    pub fn annotations(live: &Live, guard: &str, annotations: &BTreeMap<String, String>) -> Self {
        let mut operations = vec![same_uid(live)];
        if has_annotations(live) {
            // The API server's JSON Patch takes null for "not there".
            let seen = live.annotations.get(guard).map_or(Value::Null, |value| json!(value));
            operations.push(Op::Test { path: pointer(guard), value: seen });
        }
        operations.extend(notes(live, annotations));
        Self::of(live, operations)
    }

    fn of(live: &Live, operations: Vec<Op>) -> Self {
        Self { namespace: live.namespace.clone(), name: live.name.clone(), operations }
    }

    /// What is sent, in order.
    #[must_use]
    pub fn operations(&self) -> &[Op] {
        &self.operations
    }

    /// Whether it sets an image: if not, no rollout follows.
    #[must_use]
    pub fn rolls(&self) -> bool {
        self.operations.iter().any(|op| matches!(op, Op::Replace { .. }))
    }
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.operations.serialize(serializer)
    }
}

fn same_uid(live: &Live) -> Op {
    Op::Test { path: "/metadata/uid".into(), value: json!(live.uid) }
}

fn has_annotations(live: &Live) -> bool {
    live.deployment.metadata.annotations.is_some()
}

/// `add` replaces a member that is there. The object that holds them is made only where there was
/// none, and only if there still is none: `add` would take somebody else's annotations away.
fn notes(live: &Live, annotations: &BTreeMap<String, String>) -> Vec<Op> {
    let mut operations = Vec::new();
    if !annotations.is_empty() && !has_annotations(live) {
        let path = "/metadata/annotations".to_owned();
        operations.push(Op::Test { path: path.clone(), value: Value::Null });
        operations.push(Op::Add { path, value: json!({}) });
    }
    operations
        .extend(annotations.iter().map(|(k, v)| Op::Add { path: pointer(k), value: json!(v) }));
    operations
}

/// The JSON pointer of an annotation: `~` and `/` in its key are escaped, in this order.
fn pointer(key: &str) -> String {
    format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::live::tests::{live, live_of};
    use insta::assert_snapshot;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    fn lines(patch: &Patch) -> String {
        let ops = patch.operations().iter().map(|op| serde_json::to_string(op).unwrap());
        ops.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn images_are_set_only_where_everything_is_as_it_was_seen() {
        let images = map(&[("app", "ecr/web:new@sha256:1"), ("migrate", "ecr/web:new@sha256:1")]);
        let patch =
            Patch::images(&live(), &images, &map(&[("slipway.dev/run", "4711~1")])).unwrap();
        assert!(patch.rolls());
        assert_snapshot!(lines(&patch), @r#"
        {"op":"test","path":"/metadata/uid","value":"u-1"}
        {"op":"test","path":"/spec/template/spec/containers/0/name","value":"app"}
        {"op":"test","path":"/spec/template/spec/containers/0/image","value":"ecr/web:old"}
        {"op":"test","path":"/spec/template/spec/initContainers/0/name","value":"migrate"}
        {"op":"test","path":"/spec/template/spec/initContainers/0/image","value":"ecr/web:old"}
        {"op":"replace","path":"/spec/template/spec/containers/0/image","value":"ecr/web:new@sha256:1"}
        {"op":"replace","path":"/spec/template/spec/initContainers/0/image","value":"ecr/web:new@sha256:1"}
        {"op":"add","path":"/metadata/annotations/slipway.dev~1run","value":"4711~1"}
        "#);
    }

    #[test]
    fn an_image_that_is_there_already_is_tested_but_not_set() {
        let patch = Patch::images(&live(), &map(&[("app", "ecr/web:old")]), &map(&[])).unwrap();
        assert!(!patch.rolls());
        assert_snapshot!(lines(&patch), @r#"
        {"op":"test","path":"/metadata/uid","value":"u-1"}
        {"op":"test","path":"/spec/template/spec/containers/0/name","value":"app"}
        {"op":"test","path":"/spec/template/spec/containers/0/image","value":"ecr/web:old"}
        "#);
    }

    #[test]
    fn a_container_that_is_not_there_is_refused_before_anything_is_sent() {
        let refused =
            Patch::images(&live(), &map(&[("ap", "ecr/web:new")]), &map(&[])).unwrap_err();
        assert_snapshot!(refused.what, @"`shop/web` has no container `ap`");
        assert_snapshot!(refused.why.join("\n"), @"
        `migrate` (init) runs ecr/web:old
        `proxy` (sidecar) runs envoy:1
        `app` runs ecr/web:old
        ");
    }

    #[test]
    fn annotations_alone_are_guarded_by_the_run_that_was_seen() {
        let patch = Patch::annotations(
            &live(),
            "slipway.dev/run",
            &map(&[("slipway.dev/outcome", "healthy")]),
        );
        assert!(!patch.rolls());
        assert_snapshot!(lines(&patch), @r#"
        {"op":"test","path":"/metadata/uid","value":"u-1"}
        {"op":"test","path":"/metadata/annotations/slipway.dev~1run","value":"4711"}
        {"op":"add","path":"/metadata/annotations/slipway.dev~1outcome","value":"healthy"}
        "#);
    }

    #[test]
    fn the_annotations_object_is_made_only_if_there_still_is_none() {
        let bare = live_of(|d| d.metadata.annotations = None);
        let patch = Patch::annotations(&bare, "slipway.dev/run", &map(&[("slipway.dev/run", "1")]));
        assert_snapshot!(lines(&patch), @r#"
        {"op":"test","path":"/metadata/uid","value":"u-1"}
        {"op":"test","path":"/metadata/annotations","value":null}
        {"op":"add","path":"/metadata/annotations","value":{}}
        {"op":"add","path":"/metadata/annotations/slipway.dev~1run","value":"1"}
        "#);
    }
}
