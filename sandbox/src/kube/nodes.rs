//! Which node a pod comes to: selectors, required affinity and taints are heeded, room is not.
//! It must not refuse: a pod that no node wants is placed all the same, for a recording says what becomes of it.

use serde_json::Value;

use super::State;
use super::json::{list, text};
use super::store::Key;

/// What nodes are annotated with whose kubelet is kwok: no container runs there, so no digest is reported.
const FAKE: &str = "/metadata/annotations/kwok.x-k8s.io~1node";

/// A node for the next pod of a template, in turn, of those that take it; its name and address.
pub(super) fn next(state: &mut State, template: &Value) -> (String, String) {
    let spec = &template["spec"];
    let all = state.store.named("Node", "");
    let open: Vec<_> = all.into_iter().filter(|node| is_open(node)).collect();
    let fitting: Vec<_> = open.iter().copied().filter(|node| takes(node, spec)).collect();
    let nodes = if fitting.is_empty() { open } else { fitting };
    state.placed += 1;
    let Some(node) = nodes.get(state.placed % nodes.len().max(1)) else {
        return ("node-1".to_owned(), "192.0.2.2".to_owned());
    };
    let address = list(node, "/status/addresses").first().map(|a| text(a, "/address"));
    (text(node, "/metadata/name").to_owned(), address.unwrap_or("192.0.2.2").to_owned())
}

/// Whether the node of this name is one of kwok's.
pub(super) fn is_fake(state: &State, name: &str) -> bool {
    let node = state.store.get(&Key::new("Node", "", name));
    node.is_some_and(|node| node.pointer(FAKE).is_some())
}

fn is_open(node: &Value) -> bool {
    node.pointer("/spec/unschedulable") != Some(&Value::Bool(true))
}

fn takes(node: &Value, spec: &Value) -> bool {
    let label = |name: &str| node["metadata"]["labels"][name].as_str();
    let selected = spec["nodeSelector"].as_object().into_iter().flatten();
    let mut selected = selected.map(|(name, value)| label(name) == value.as_str());
    let required = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    let terms = list(spec, &format!("{required}/nodeSelectorTerms"));
    let holds = |term: &Value| {
        list(term, "/matchExpressions").iter().all(|one| meets(one, label(text(one, "/key"))))
    };
    selected.all(|is| is)
        && (terms.is_empty() || terms.iter().any(holds))
        && list(node, "/spec/taints").iter().all(|taint| is_tolerated(taint, spec))
}

fn meets(expression: &Value, label: Option<&str>) -> bool {
    let is_in = || {
        list(expression, "/values").iter().any(|value| value.as_str() == label && label.is_some())
    };
    match text(expression, "/operator") {
        "In" => is_in(),
        "NotIn" => !is_in(),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        _ => false,
    }
}

fn is_tolerated(taint: &Value, spec: &Value) -> bool {
    let tolerates = |one: &Value| {
        let is_any = text(one, "/operator") == "Exists";
        let key = text(one, "/key") == text(taint, "/key") || (one.get("key").is_none() && is_any);
        let value = is_any || text(one, "/value") == text(taint, "/value");
        let effect = one.get("effect").is_none_or(|effect| *effect == taint["effect"]);
        key && value && effect
    };
    text(taint, "/effect") == "PreferNoSchedule" || list(spec, "/tolerations").iter().any(tolerates)
}
