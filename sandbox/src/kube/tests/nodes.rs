//! Which nodes pods come to, as the scheduler of a real cluster decides it, and what kwok's nodes tell of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::json::text;
use super::super::{Kube, Speed};
use super::image;

/// Two nodes of each kind: plain ones, those of a group, and tainted ones of another.
fn nodes() -> Kube {
    let kube = Kube::new(Speed::Instant);
    let taint = json!([{ "key": "arch", "value": "arm64", "effect": "NoSchedule" }]);
    for number in 1..=2 {
        for (group, architecture) in [("amd", "amd64"), ("arm", "arm64"), ("tainted", "arm64")] {
            let name = format!("{group}-{number}");
            kube.node(&name, architecture);
            let mut patch = json!({ "metadata": { "labels": { "group": group } } });
            if group == "tainted" {
                patch["spec"] = json!({ "taints": taint });
            }
            kube.write("admin", "Node", "", &name, &patch).unwrap();
        }
    }
    kube
}

/// The nodes of six pods whose template has this.
fn placed(spec: &Value) -> String {
    let kube = nodes();
    let patch = json!({ "spec": { "template": { "spec": spec } } });
    kube.deployment("shop", "web", "web", &image("web:v1"), 6).with(patch).seed();
    let pods = kube.objects("Pod", "shop");
    let names: BTreeSet<_> = pods.iter().map(|pod| text(pod, "/spec/nodeName")).collect();
    names.into_iter().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn pods_come_to_nodes_that_their_template_allows() {
    let asks = |operator: &str, values: &[&str]| {
        let one = json!({ "key": "group", "operator": operator, "values": values });
        let terms = json!({ "nodeSelectorTerms": [{ "matchExpressions": [one] }] });
        json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": terms } } })
    };
    let tolerates = |one: Value| json!({ "tolerations": [one] });
    let all = "amd-1 amd-2 arm-1 arm-2 tainted-1 tainted-2";
    for (spec, expected) in [
        (json!({}), "amd-1 amd-2 arm-1 arm-2"),
        (json!({ "nodeSelector": { "kubernetes.io/arch": "arm64" } }), "arm-1 arm-2"),
        (asks("In", &["amd"]), "amd-1 amd-2"),
        (asks("NotIn", &["amd"]), "arm-1 arm-2"),
        (asks("Exists", &[]), "amd-1 amd-2 arm-1 arm-2"),
        (tolerates(json!({ "operator": "Exists" })), all),
        (tolerates(json!({ "key": "arch", "value": "arm64", "effect": "NoSchedule" })), all),
        (tolerates(json!({ "key": "arch", "value": "amd64" })), "amd-1 amd-2 arm-1 arm-2"),
    ] {
        assert_eq!(placed(&spec), expected, "{spec}");
    }
}

#[tokio::test]
async fn a_node_of_kwok_tells_no_digest() {
    let kube = Kube::new(Speed::Instant);
    kube.node("amd-1", "amd64");
    let fake = json!({ "metadata": { "annotations": { "kwok.x-k8s.io/node": "fake" } } });
    kube.write("admin", "Node", "", "amd-1", &fake).unwrap();
    kube.deployment("shop", "web", "web", &image("web:v1"), 1).seed();
    let status = kube.objects("Pod", "shop")[0]["status"]["containerStatuses"][0].clone();
    assert_eq!((&status["ready"], &status["imageID"]), (&json!(true), &json!("")));
    assert_eq!(status.get("containerID"), None);
}
