//! EKS as its REST API describes the cluster: the cluster, its node groups, its access entries.
//!
//! The cluster's endpoint is this listener, by TLS under an authority of its own.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::access::{self, Refusal, unique};
use crate::answer::{Answer, json as json_answer, set};
use crate::call::Asked;
use crate::sandbox::State;
use crate::world::{AccessEntry, NodeGroup, World, hold};

/// The operation that a path asks for.
pub(crate) fn action(parts: &[String]) -> Option<&'static str> {
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["clusters"] => Some("ListClusters"),
        ["clusters", _] => Some("DescribeCluster"),
        ["clusters", _, "node-groups"] => Some("ListNodegroups"),
        ["clusters", _, "node-groups", _] => Some("DescribeNodegroup"),
        ["clusters", _, "access-entries"] => Some("ListAccessEntries"),
        ["clusters", _, "access-entries", _] => Some("DescribeAccessEntry"),
        _ => None,
    }
}

/// Answers one call of EKS.
pub(crate) fn answered(state: &State, asked: &Asked) -> Answer {
    let mut answer = match result(state, asked) {
        Ok(body) => json_answer(200, &body),
        Err(no) => {
            let mut answer = json_answer(no.status, &json!({ "message": no.message }));
            set(&mut answer, "x-amzn-ErrorType", no.json_code());
            answer
        }
    };
    set(&mut answer, "x-amzn-RequestId", &crate::serve::request_id(state));
    answer
}

fn result(state: &State, asked: &Asked) -> Result<Value, Refusal> {
    let who = access::caller(state, asked, "eks")?;
    let parts = asked.parts();
    let action =
        action(&parts).filter(|_| asked.method == hyper::Method::GET).ok_or_else(|| {
            Refusal::new("UnsupportedOperation", "this sandbox does not play that operation", 400)
        })?;
    let world = hold(&state.world);
    let url = state.cluster_url(&world);
    let name = parts.get(1).map_or("", String::as_str);
    let item = parts.get(3).map_or("", String::as_str);
    let base = format!("arn:aws:eks:{}:{}", world.region, world.account);
    let resource = match action {
        "ListClusters" => format!("{base}:cluster/*"),
        "DescribeNodegroup" => format!("{base}:nodegroup/{name}/{item}/*"),
        "DescribeAccessEntry" => format!("{base}:access-entry/{name}/*"),
        _ => format!("{base}:cluster/{name}"),
    };
    access::allow(&world, &who, &format!("eks:{action}"), &resource)?;
    let cluster = &world.cluster;
    if action == "ListClusters" {
        return Ok(json!({ "clusters": [cluster.name] }));
    }
    if name != cluster.name {
        return Err(missing(&format!("No cluster found for name: {name}.")));
    }
    match action {
        "DescribeCluster" => {
            Ok(json!({ "cluster": described(&world, &base, &url, &state.tls.ca) }))
        }
        "ListNodegroups" => {
            let names: Vec<_> = cluster.node_groups.iter().map(|group| &group.name).collect();
            Ok(json!({ "nodegroups": names }))
        }
        "DescribeNodegroup" => {
            let group = cluster.node_groups.iter().find(|group| group.name == item);
            let said = format!("No node group found for name: {item}.");
            let group = group.ok_or_else(|| missing(&said))?;
            Ok(json!({ "nodegroup": node_group(&world, group, &base) }))
        }
        "ListAccessEntries" => {
            let all: Vec<_> = cluster.access.iter().map(|entry| &entry.principal).collect();
            Ok(json!({ "accessEntries": all }))
        }
        _ => {
            let entry = cluster.access.iter().find(|entry| entry.principal == item);
            let entry = entry.ok_or_else(|| {
                missing(
                    "The specified principalArn could not be found. \
                     You can view your available access entries with 'list-access-entries'.",
                )
            })?;
            Ok(json!({ "accessEntry": entry_shown(&world, entry, &base) }))
        }
    }
}

fn missing(said: &str) -> Refusal {
    Refusal::new("ResourceNotFoundException", said, 404)
}

fn described(world: &World, base: &str, url: &str, ca: &str) -> Value {
    let cluster = &world.cluster;
    json!({
        "name": cluster.name,
        "arn": format!("{base}:cluster/{}", cluster.name),
        "createdAt": 1_767_225_600.0,
        "version": cluster.version,
        "endpoint": url,
        "roleArn": world.role_arn("eks-cluster"),
        "resourcesVpcConfig": {
            "subnetIds": [],
            "securityGroupIds": [],
            "vpcId": "vpc-00000000000000000",
            "endpointPublicAccess": cluster.public,
            "endpointPrivateAccess": !cluster.public,
            "publicAccessCidrs": if cluster.public { json!(["0.0.0.0/0"]) } else { json!([]) },
        },
        "kubernetesNetworkConfig": { "serviceIpv4Cidr": "10.100.0.0/16", "ipFamily": "ipv4" },
        "identity": {
            "oidc": { "issuer": format!("https://oidc.eks.{}.amazonaws.com/id/{}", world.region, "0".repeat(32)) },
        },
        "status": cluster.status,
        "certificateAuthority": { "data": BASE64_STANDARD.encode(ca) },
        "platformVersion": "eks.1",
        "tags": {},
        "accessConfig": { "authenticationMode": "API" },
    })
}

fn node_group(world: &World, group: &NodeGroup, base: &str) -> Value {
    let cluster = &world.cluster;
    let id = unique("", 16, &group.name).to_lowercase();
    json!({
        "nodegroupName": group.name,
        "nodegroupArn": format!("{base}:nodegroup/{}/{}/{id}", cluster.name, group.name),
        "clusterName": cluster.name,
        "version": cluster.version,
        "status": "ACTIVE",
        "capacityType": "ON_DEMAND",
        "scalingConfig": { "minSize": 1, "maxSize": group.size.1, "desiredSize": group.size.0 },
        "instanceTypes": ["t4g.medium"],
        "subnets": [],
        "amiType": group.ami_type,
        "nodeRole": world.role_arn(&group.role),
        "labels": {},
        "health": { "issues": [] },
        "tags": {},
    })
}

fn entry_shown(world: &World, entry: &AccessEntry, base: &str) -> Value {
    let cluster = &world.cluster.name;
    // The user name of a role's sessions is a template.
    let username = match entry.principal.split_once(":role/") {
        Some((_, role)) => {
            format!("arn:aws:sts::{}:assumed-role/{role}/{{{{SessionName}}}}", world.account)
        }
        None => entry.principal.clone(),
    };
    json!({
        "clusterName": cluster,
        "principalArn": entry.principal,
        "kubernetesGroups": entry.groups,
        "accessEntryArn": format!("{base}:access-entry/{cluster}/{}", unique("", 16, &entry.principal).to_lowercase()),
        "createdAt": 1_767_225_600.0,
        "modifiedAt": 1_767_225_600.0,
        "tags": {},
        "username": username,
        "type": "STANDARD",
    })
}
