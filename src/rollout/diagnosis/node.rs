//! A node that does not hold the pod: its network, its health, its pressure.

use super::super::{Evidence, pods};
use super::facts::said_last;
use crate::error::{Code, Failure};

pub(super) fn diagnose(e: &Evidence, reason: &str, message: &str) -> Failure {
    let words = if message.is_empty() {
        reason.to_owned()
    } else {
        format!("{reason}: {}", said_last(message))
    };
    let why = format!("{}: {words}", e.kubelet());
    kind(e, reason, message).why(why)
}

fn kind(e: &Evidence, reason: &str, message: &str) -> Failure {
    let node = pods::short_node(e.node());
    let describe = format!("kubectl describe node {}", e.node());
    if message.contains("failed to assign an IP address") {
        return Failure::new(Code::NodeNetwork, format!("{node} has no free address for its pod"))
            .next("use larger subnets or prefix delegation: slipway explain SW-NODE-NETWORK");
    }
    if message.contains("127.0.0.1:50051") {
        return Failure::new(Code::NodeNetwork, format!("the VPC CNI does not answer on {node}"))
            .next("kubectl -n kube-system rollout status daemonset/aws-node");
    }
    let network = ["NetworkNotReady", "NetworkPluginNotReady", "cni plugin not initialized"];
    if network.iter().any(|word| reason.contains(word) || message.contains(word)) {
        return Failure::new(Code::NodeNetwork, format!("the network of {node} is not ready"))
            .next(describe);
    }
    match reason {
        "Evicted" => Failure::new(Code::NodeLost, format!("its new pod was evicted from {node}"))
            .next("set `resources.requests` to what it needs, or free the node"),
        "Preempting" | "Preempted" => {
            Failure::new(Code::NodeLost, format!("its new pod had to make room on {node}"))
                .next("give it a higher priority class, or add a node")
        }
        "FailedCreatePodSandBox" => {
            Failure::new(Code::NodeNetwork, format!("{node} could not set its pod up"))
                .next(describe)
        }
        _ => {
            Failure::new(Code::NodeLost, format!("{node} does not hold its new pod")).next(describe)
        }
    }
}
