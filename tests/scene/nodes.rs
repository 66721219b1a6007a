//! Nodes beside the one that is real: groups of any architecture, whose pods are ready and run nothing.
//! kwok plays them on the real ground.

use serde_json::{Value, json};
use slipway_sandbox::NodeGroup;

use super::{Ground, Scene, sandboxed};

/// What a role needs to read node groups, and where it is needed.
const GROUP_RIGHTS: [(&str, &str); 2] =
    [("eks:ListNodegroups", "cluster/prod"), ("eks:DescribeNodegroup", "nodegroup/prod/*/*")];

impl Scene {
    /// Nodes of a group, `GROUP-1` and so on, with these taints (`key=value:effect`).
    pub fn nodes(self, group: &str, architecture: &str, count: usize, taints: &[&str]) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let taints: Vec<Value> = taints.iter().map(|taint| tainted(taint)).collect();
                for number in 1..=count {
                    let name = format!("{group}-{number}");
                    stage.kube().node(&name, architecture);
                    let metadata = json!({
                        "labels": { "eks.amazonaws.com/nodegroup": group },
                        "annotations": { "kwok.x-k8s.io/node": "fake" },
                    });
                    let patch = json!({ "metadata": metadata, "spec": { "taints": taints } });
                    stage.kube().write("admin", "Node", "", &name, &patch).unwrap();
                }
            }
            Ground::Real(real) => {
                let count = count.to_string();
                real.script("nodes", &[&[group, architecture, &count], taints].concat());
            }
        }
        self
    }

    /// No pod comes to the real node any more; those that are there stay.
    pub fn cordoned(self) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => {
                let closed = json!({ "spec": { "unschedulable": true } });
                stage.kube().write("admin", "Node", "", "node-1", &closed).unwrap();
            }
            Ground::Real(real) => _ = real.script("admin", &["cordon", "node-1"]),
        }
        self
    }

    /// The node groups that EKS knows, with their AMI types and no node at the moment.
    pub fn groups(self, groups: &[(&str, &str)]) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => stage.sandbox.world(|world| {
                let group = |&(name, ami_type): &(&str, &str)| NodeGroup {
                    name: name.into(),
                    ami_type: ami_type.into(),
                    size: (0, 2),
                    role: "eks-node".into(),
                };
                world.cluster.node_groups = groups.iter().map(group).collect();
            }),
            Ground::Real(real) => {
                let group = |&(name, ami_type): &(&str, &str)| {
                    let size = json!({ "minSize": 0, "maxSize": 2, "desiredSize": 0 });
                    (name.to_owned(), json!({ "amiType": ami_type, "scalingConfig": size }))
                };
                let groups: Value =
                    groups.iter().map(group).collect::<serde_json::Map<_, _>>().into();
                real.script("lab", &[&format!(".cluster.node_groups = {groups}")]);
            }
        }
        self
    }

    /// Gives the user the optional right to read node groups, as docs/permissions.md describes it.
    pub fn may_read_groups(self) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => stage.sandbox.world(|world| {
                for (action, _) in GROUP_RIGHTS {
                    world.allow(action);
                }
            }),
            Ground::Real(real) => {
                let rights = GROUP_RIGHTS.map(|(action, resource)| {
                    let resource = format!("arn:aws:eks:ap-northeast-2:123456789012:{resource}");
                    json!({ "Effect": "Allow", "Action": action, "Resource": resource })
                });
                let rights = json!(rights);
                real.script("lab", &[&format!(".policies[\"user/ship\"] += {rights}")]);
            }
        }
        self
    }

    /// The workload's pods are changed by its owner (`spec` of the template), and are whole again.
    pub async fn asks(self, spec: &Value) -> Self {
        self.written_by("kubectl-edit", &json!({ "spec": { "template": { "spec": spec } } }));
        match &self.ground {
            Ground::Sandbox(stage) => sandboxed::settled(stage).await,
            Ground::Real(real) => real.settled(),
        }
        self
    }

    /// The architectures of the nodes that the running pods came to.
    pub fn landed(&self) -> String {
        let nodes = self.objects("Node");
        let architecture = |pod: &Value| {
            let name = &pod["spec"]["nodeName"];
            let node = nodes.iter().find(|node| node["metadata"]["name"] == *name).unwrap();
            node["metadata"]["labels"]["kubernetes.io/arch"].as_str().unwrap().to_owned()
        };
        let pods = self.objects("Pod");
        let stays = |pod: &&Value| pod["metadata"].get("deletionTimestamp").is_none();
        let found: std::collections::BTreeSet<_> =
            pods.iter().filter(stays).map(architecture).collect();
        found.into_iter().collect::<Vec<_>>().join(" and ")
    }
}

/// `key=value:effect` as an object.
fn tainted(text: &str) -> Value {
    let (key, rest) = text.split_once('=').unwrap();
    let (value, effect) = rest.split_once(':').unwrap();
    json!({ "key": key, "value": value, "effect": effect })
}
