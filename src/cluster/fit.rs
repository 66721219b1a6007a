//! Whether a pod fits a node by its labels and taints, as the scheduler decides it.
//!
//! Pure. Only what is required counts: preferences do not keep a pod from a node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    NodeSelectorRequirement, NodeSelectorTerm, PodSpec, Taint, Toleration,
};

/// A place as the scheduler sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) taints: &'a [Taint],
    /// Cordoned.
    pub(super) closed: bool,
}

/// Taints that come and go with a node's condition: such a node is still one of the nodes.
const PASSING: &[&str] = &[
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
    "node.cloudprovider.kubernetes.io/uninitialized",
    "karpenter.sh/unregistered",
];

/// Whether the scheduler would let this pod onto this place.
pub(super) fn fits(spec: &PodSpec, place: Place<'_>) -> bool {
    selected(spec, place) && required(spec, place) && tolerated(spec, place)
}

fn selected(spec: &PodSpec, place: Place<'_>) -> bool {
    spec.node_selector.iter().flatten().all(|(key, value)| place.labels.get(key) == Some(value))
}

/// Terms are alternatives; within one, everything must hold, and an empty one holds nowhere.
fn required(spec: &PodSpec, place: Place<'_>) -> bool {
    terms(spec).is_none_or(|terms| terms.iter().any(|term| holds(term, place)))
}

/// The required node affinity, if there is one.
pub(super) fn terms(spec: &PodSpec) -> Option<&[NodeSelectorTerm]> {
    let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
    let required = affinity.required_during_scheduling_ignored_during_execution.as_ref()?;
    Some(&required.node_selector_terms)
}

fn holds(term: &NodeSelectorTerm, place: Place<'_>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    let by_label =
        |r: &NodeSelectorRequirement| meets(r, place.labels.get(&r.key).map(String::as_str));
    // The only field that there is.
    let by_field =
        |r: &NodeSelectorRequirement| r.key == "metadata.name" && meets(r, Some(place.name));
    let empty = expressions.is_empty() && fields.is_empty();
    !empty && expressions.iter().all(by_label) && fields.iter().all(by_field)
}

/// Whether a label's value, or its absence, meets a requirement.
pub(super) fn meets(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let among = |v: &str| values.iter().any(|wanted| wanted == v);
    let compared = |holds: fn(&i64, &i64) -> bool| {
        let bound = values.first().and_then(|b| b.parse::<i64>().ok());
        let number = value.and_then(|v| v.parse::<i64>().ok());
        number.zip(bound).is_some_and(|(number, bound)| holds(&number, &bound))
    };
    match requirement.operator.as_str() {
        "In" => value.is_some_and(among),
        "NotIn" => !value.is_some_and(among),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => compared(i64::gt),
        "Lt" => compared(i64::lt),
        _ => false,
    }
}

fn tolerated(spec: &PodSpec, place: Place<'_>) -> bool {
    let cordon = Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: "NoSchedule".into(),
        ..Taint::default()
    };
    let cordon = place.closed.then_some(&cordon);
    let mut taints = place.taints.iter().chain(cordon);
    taints.all(|taint| {
        !keeps_out(taint) || spec.tolerations.iter().flatten().any(|t| tolerates(t, taint))
    })
}

fn keeps_out(taint: &Taint) -> bool {
    let passing = PASSING.contains(&taint.key.as_str()) || taint.key.ends_with("/agent-not-ready");
    matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute") && !passing
}

/// An empty key with `Exists` tolerates all; an empty effect tolerates every effect of its key.
fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let key = toleration.key.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let exists = toleration.operator.as_deref() == Some("Exists");
    let same_value = || {
        toleration.value.as_deref().unwrap_or_default()
            == taint.value.as_deref().unwrap_or_default()
    };
    (effect.is_empty() || effect == taint.effect)
        && (key == taint.key || (key.is_empty() && exists))
        && (exists || same_value())
}
