//! Where a pod can land, and thereby what its image must be built for.
//!
//! Pure, and only as far as platforms go: room, ports and spreading are the scheduler's affair.
//! Windows is left out: slipway ships Linux images.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Node, NodeSelectorTerm, Pod, PodSpec, Taint};

use crate::names::Platform;

use super::fit::{Place, fits, meets, terms};

const ARCH: &str = "kubernetes.io/arch";
const OLD_ARCH: &str = "beta.kubernetes.io/arch";
const OS: &str = "kubernetes.io/os";
const COMPUTE: &str = "eks.amazonaws.com/compute-type";
/// What EKS runs on Linux.
const KNOWN: [&str; 2] = ["amd64", "arm64"];

/// A node, or a group of nodes, that a pod can land on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// The node's or the group's name.
    pub node: String,
    /// What an image must be built for to run there.
    pub platform: Platform,
}

/// A node group, as EKS describes it: what its nodes will look like when there are some.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The labels it gives to its nodes.
    pub labels: BTreeMap<String, String>,
    /// The taints it gives to its nodes, effects as Kubernetes writes them.
    pub taints: Vec<Taint>,
    /// `amd64` or `arm64`, where its AMI type says so.
    pub architecture: Option<String>,
}

/// The nodes that the pod can land on.
///
/// A Fargate node is made for one pod and takes no other. It counts only where there is nothing
/// else, that is in a cluster where every pod gets one.
#[must_use]
pub fn landing(spec: &PodSpec, nodes: &[Node]) -> Vec<Landing> {
    let fargate_only = !nodes.is_empty() && nodes.iter().all(is_fargate);
    nodes
        .iter()
        .filter_map(|node| if fargate_only { on_its_own(node) } else { land(spec, node) })
        .collect()
}

fn land(spec: &PodSpec, node: &Node) -> Option<Landing> {
    let platform = platform(node)?;
    let (name, labels) =
        (node.metadata.name.as_deref()?, node.metadata.labels.clone().unwrap_or_default());
    let node_spec = node.spec.as_ref();
    let place = Place {
        name,
        labels: &labels,
        taints: node_spec.and_then(|s| s.taints.as_deref()).unwrap_or_default(),
        closed: node_spec.and_then(|s| s.unschedulable).unwrap_or_default(),
    };
    let here = !is_fargate(node) && fits(spec, place);
    here.then(|| Landing { node: name.into(), platform })
}

fn on_its_own(node: &Node) -> Option<Landing> {
    Some(Landing { node: node.metadata.name.clone()?, platform: platform(node)? })
}

fn is_fargate(node: &Node) -> bool {
    label(node, COMPUTE) == Some("fargate")
}

fn label<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// What the node says of itself; `None` for Windows and for a node that has not said it yet.
#[must_use]
pub fn platform(node: &Node) -> Option<Platform> {
    let info = node.status.as_ref().and_then(|s| s.node_info.as_ref());
    let os = label(node, OS).or(info.map(|i| i.operating_system.as_str())).unwrap_or("linux");
    let labelled = label(node, ARCH).or_else(|| label(node, OLD_ARCH));
    let arch = labelled.or(info.map(|i| i.architecture.as_str())).filter(|a| !a.is_empty())?;
    (os == "linux").then(|| Platform::new("linux", arch, None))
}

/// The node groups whose nodes the pod could land on; a group of unknown architecture is left out.
#[must_use]
pub fn landing_groups(spec: &PodSpec, groups: &[Group]) -> Vec<Landing> {
    groups.iter().filter_map(|group| land_group(spec, group)).collect()
}

fn land_group(spec: &PodSpec, group: &Group) -> Option<Landing> {
    let architecture = group.architecture.as_deref()?;
    let mut labels = group.labels.clone();
    // What EKS and the kubelet add to every node of a managed group.
    let given = [
        ("eks.amazonaws.com/nodegroup", group.name.as_str()),
        (ARCH, architecture),
        (OLD_ARCH, architecture),
        (OS, "linux"),
    ];
    for (key, value) in given {
        labels.entry(key.into()).or_insert_with(|| value.into());
    }
    let place = Place { name: "", labels: &labels, taints: &group.taints, closed: false };
    let platform = Platform::new("linux", architecture, None);
    fits(spec, place).then(|| Landing { node: group.name.clone(), platform })
}

/// The platforms that the pod itself asks for by `kubernetes.io/arch`; `None` where it does not ask,
/// or where what it asks for leaves both.
#[must_use]
pub fn constrained(spec: &PodSpec) -> Option<Vec<Platform>> {
    let selected = |arch: &str| {
        let wanted = [ARCH, OLD_ARCH].map(|key| spec.node_selector.as_ref()?.get(key));
        wanted.into_iter().flatten().all(|wanted| wanted == arch)
    };
    let allowed =
        |arch: &str| terms(spec).is_none_or(|terms| terms.iter().any(|term| allows(term, arch)));
    let left: Vec<&str> =
        KNOWN.into_iter().filter(|arch| selected(arch) && allowed(arch)).collect();
    let some = !left.is_empty() && left.len() < KNOWN.len();
    some.then(|| left.into_iter().map(|arch| Platform::new("linux", arch, None)).collect())
}

/// Whether a term leaves this architecture, whatever else it asks for.
fn allows(term: &NodeSelectorTerm, arch: &str) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    expressions.iter().filter(|r| r.key == ARCH || r.key == OLD_ARCH).all(|r| meets(r, Some(arch)))
}

/// Whether these pods run on Fargate, which is amd64 and not told by the other nodes: EKS labels
/// each pod that a Fargate profile takes.
#[must_use]
pub fn on_fargate(pods: &[Pod]) -> bool {
    let taken = |pod: &Pod| {
        pod.metadata
            .labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key("eks.amazonaws.com/fargate-profile"))
    };
    !pods.is_empty() && pods.iter().all(taken)
}

/// The platforms of these landings, each once.
#[must_use]
pub fn platforms(landings: &[Landing]) -> Vec<Platform> {
    landings.iter().map(|l| l.platform.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn node(name: &str, arch: &str, more: &Value) -> Node {
        let mut labels = json!({ARCH: arch, OS: "linux", "kubernetes.io/hostname": name});
        for (key, value) in more["labels"].as_object().into_iter().flatten() {
            labels[key] = value.clone();
        }
        serde_json::from_value(
            json!({"metadata": {"name": name, "labels": labels}, "spec": more["spec"]}),
        )
        .unwrap()
    }

    fn nodes() -> Vec<Node> {
        let taint = |key: &str, value: &str, effect: &str| json!({"taints": [{"key": key, "value": value, "effect": effect}]});
        vec![
            node("amd", "amd64", &json!({"labels": {"zone": "a", "disk": "4"}})),
            node("arm", "arm64", &json!({"labels": {"zone": "b", "disk": "16"}})),
            node("gpu", "amd64", &json!({"spec": taint("gpu", "yes", "NoSchedule")})),
            node("soft", "arm64", &json!({"spec": taint("spot", "yes", "PreferNoSchedule")})),
            node(
                "ill",
                "arm64",
                &json!({"spec": taint("node.kubernetes.io/not-ready", "", "NoExecute")}),
            ),
            node("shut", "amd64", &json!({"spec": {"unschedulable": true}})),
            node("win", "amd64", &json!({"labels": {OS: "windows"}})),
            node(
                "fargate-10",
                "amd64",
                &json!({"labels": {COMPUTE: "fargate"}, "spec": taint(COMPUTE, "fargate", "NoSchedule")}),
            ),
        ]
    }

    fn spec(more: &Value) -> PodSpec {
        let mut whole = json!({"containers": []});
        for (key, value) in more.as_object().into_iter().flatten() {
            whole[key] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    fn affinity(terms: &Value) -> Value {
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}})
    }

    fn asks(key: &str, operator: &str, values: &[&str]) -> Value {
        affinity(
            &json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]),
        )
    }

    #[test]
    fn a_pod_lands_where_the_scheduler_would_let_it() {
        let field = affinity(
            &json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["arm"]}]}]),
        );
        let either = affinity(&json!([
            {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]},
            {"matchExpressions": [{"key": "zone", "operator": "Exists"}, {"key": "disk", "operator": "Gt", "values": ["8"]}]}]));
        let tolerant = |t: Value| json!({"tolerations": [t]});
        let rows: &[(Value, &[&str])] = &[
            (json!({}), &["amd", "arm", "soft", "ill"]),
            (json!({"nodeSelector": {"zone": "a"}}), &["amd"]),
            (json!({"nodeSelector": {"zone": "c"}}), &[]),
            (asks("zone", "In", &["a", "b"]), &["amd", "arm"]),
            (asks("zone", "NotIn", &["a"]), &["arm", "soft", "ill"]),
            (asks("zone", "Exists", &[]), &["amd", "arm"]),
            (asks("zone", "DoesNotExist", &[]), &["soft", "ill"]),
            (asks("disk", "Gt", &["8"]), &["arm"]),
            (asks("disk", "Lt", &["8"]), &["amd"]),
            (asks("zone", "Like", &["a"]), &[]),
            (affinity(&json!([{}])), &[]),
            (field, &["arm"]),
            (either, &["amd", "arm"]),
            (
                tolerant(json!({"key": "gpu", "operator": "Exists"})),
                &["amd", "arm", "gpu", "soft", "ill"],
            ),
            (
                tolerant(json!({"key": "gpu", "value": "yes", "effect": "NoSchedule"})),
                &["amd", "arm", "gpu", "soft", "ill"],
            ),
            (tolerant(json!({"key": "gpu", "value": "no"})), &["amd", "arm", "soft", "ill"]),
            (
                tolerant(json!({"key": "gpu", "operator": "Exists", "effect": "NoExecute"})),
                &["amd", "arm", "soft", "ill"],
            ),
            (
                tolerant(json!({"operator": "Exists"})),
                &["amd", "arm", "gpu", "soft", "ill", "shut"],
            ),
        ];
        for (given, expected) in rows {
            let names: Vec<_> =
                landing(&spec(given), &nodes()).into_iter().map(|l| l.node).collect();
            assert_eq!(names, *expected, "{given}");
        }
    }

    #[test]
    fn both_architectures_are_wanted_where_both_can_take_the_pod() {
        let all = platforms(&landing(&spec(&json!({})), &nodes()));
        assert_eq!(
            all.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["linux/amd64", "linux/arm64"]
        );
    }

    #[test]
    fn where_there_is_nothing_but_fargate_its_nodes_count() {
        let only: Vec<_> = nodes().into_iter().filter(is_fargate).collect();
        assert_eq!(platforms(&landing(&spec(&json!({})), &only)), ["linux/amd64".parse().unwrap()]);
        let pod = |labels: Value| {
            serde_json::from_value::<Pod>(json!({"metadata": {"labels": labels}})).unwrap()
        };
        let taken = pod(json!({"eks.amazonaws.com/fargate-profile": "fp"}));
        assert!(on_fargate(std::slice::from_ref(&taken)));
        assert!(!on_fargate(&[taken, pod(json!({}))]) && !on_fargate(&[]));
    }

    #[test]
    fn the_pods_own_words_about_the_architecture_are_read() {
        let old = affinity(
            &json!([{"matchExpressions": [{"key": OLD_ARCH, "operator": "NotIn", "values": ["amd64"]}]}]),
        );
        let half = affinity(
            &json!([{"matchExpressions": [{"key": ARCH, "operator": "In", "values": ["arm64"]}]}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]),
        );
        let rows = [
            (json!({}), None),
            (json!({"nodeSelector": {ARCH: "arm64"}}), Some("linux/arm64")),
            (asks(ARCH, "In", &["amd64"]), Some("linux/amd64")),
            (asks(ARCH, "In", &["amd64", "arm64"]), None),
            (asks("zone", "In", &["a"]), None),
            (old, Some("linux/arm64")),
            (half, None),
        ];
        for (given, expected) in rows {
            let found = constrained(&spec(&given)).map(|p| p[0].to_string());
            assert_eq!(found.as_deref(), expected, "{given}");
        }
    }

    #[test]
    fn an_empty_group_is_known_by_its_labels_and_taints() {
        let taint = Taint { key: "gpu".into(), effect: "NoSchedule".into(), ..Taint::default() };
        let group = |name: &str, arch: Option<&str>, taints: Vec<Taint>| Group {
            name: name.into(),
            labels: [("zone".to_owned(), "a".to_owned())].into(),
            taints,
            architecture: arch.map(Into::into),
        };
        let groups = [
            group("ng-arm", Some("arm64"), vec![]),
            group("ng-gpu", Some("amd64"), vec![taint]),
            group("custom", None, vec![]),
        ];
        let found =
            landing_groups(&spec(&json!({"nodeSelector": {"zone": "a", OS: "linux"}})), &groups);
        assert_eq!(
            found,
            [Landing { node: "ng-arm".into(), platform: "linux/arm64".parse().unwrap() }]
        );
        let named = landing_groups(
            &spec(&json!({"nodeSelector": {"eks.amazonaws.com/nodegroup": "ng-arm"}})),
            &groups,
        );
        assert_eq!(named.len(), 1);
    }
}
