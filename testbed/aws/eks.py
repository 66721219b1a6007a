"""EKS: the cluster that really runs, its node groups, and its access entries as its authenticator has them."""

import base64
import os
from urllib.parse import unquote

import yaml

from . import answers, policy, sessions, signature
from .call import Refusal

OPERATIONS = {
    ("clusters",): "ListClusters",
    ("clusters", "*"): "DescribeCluster",
    ("clusters", "*", "node-groups"): "ListNodegroups",
    ("clusters", "*", "node-groups", "*"): "DescribeNodegroup",
    ("clusters", "*", "access-entries"): "ListAccessEntries",
    ("clusters", "*", "access-entries", "*"): "DescribeAccessEntry",
}


def answered(lab, call):
    try:
        return answers.eks(result(lab, call))
    except Refusal as refusal:
        call.code = refusal.code
        return answers.eks_error(refusal)


def result(lab, call):
    # The name of an access entry is an ARN, with its own slash encoded.
    parts = [unquote(part) for part in call.path.strip("/").split("/")]
    operation = OPERATIONS.get(tuple("*" if place % 2 else part for place, part in enumerate(parts)))
    if call.method != "GET" or not operation:
        raise Refusal("UnsupportedOperation", f"not in the testbed: {call.method} {call.path}")
    call.action = f"eks:{operation}"
    cluster, item = (parts + ["", "", "", ""])[1:4:2]
    who = signature.caller(lab, call, "eks")
    policy.allow(lab, call, who, call.action, resource(lab, operation, cluster, item))
    if operation == "ListClusters":
        return {"clusters": [lab["cluster"]["name"]]}
    if cluster != lab["cluster"]["name"]:
        raise missing(f"No cluster found for name: {cluster}.")
    return ANSWERS[operation](lab, item)


def resource(lab, operation, cluster, item):
    """What the right has to be given on."""
    if operation == "DescribeNodegroup":
        return lab.arn("eks", f"nodegroup/{cluster}/{item}/{group_id(item)}")
    if operation == "DescribeAccessEntry":
        return entry_arn(lab, item)
    return lab.arn("eks", f"cluster/{cluster or '*'}")


def missing(said):
    return Refusal("ResourceNotFoundException", said, 404)


def describe_cluster(lab, _item):
    cluster = lab["cluster"]
    with open(cluster["ca"], "rb") as file:
        authority = base64.b64encode(file.read()).decode()
    issuer = f"https://oidc.eks.{lab['region']}.amazonaws.com/id/{'0' * 32}"
    return {"cluster": {
        "name": cluster["name"],
        "arn": lab.arn("eks", f"cluster/{cluster['name']}"),
        "createdAt": os.stat(cluster["ca"]).st_mtime,
        "version": cluster["version"],
        "endpoint": cluster["endpoint"],
        "roleArn": lab.arn("iam", "role/eks-cluster"),
        "resourcesVpcConfig": {
            "subnetIds": [],
            "securityGroupIds": [],
            "endpointPublicAccess": True,
            "endpointPrivateAccess": False,
            "publicAccessCidrs": ["0.0.0.0/0"],
        },
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.96.0.0/16", "ipFamily": "ipv4"},
        "identity": {"oidc": {"issuer": issuer}},
        "status": cluster["status"],
        "certificateAuthority": {"data": authority},
        "platformVersion": "eks.1",
        "tags": {},
        "accessConfig": {"authenticationMode": cluster["authentication_mode"]},
    }}


def list_node_groups(lab, _item):
    return {"nodegroups": sorted(lab["cluster"]["node_groups"])}


def describe_node_group(lab, name):
    cluster = lab["cluster"]
    group = cluster["node_groups"].get(name)
    if group is None:
        raise missing(f"No node group found for name: {name}.")
    return {"nodegroup": {
        "nodegroupName": name,
        "nodegroupArn": lab.arn("eks", f"nodegroup/{cluster['name']}/{name}/{group_id(name)}"),
        "clusterName": cluster["name"],
        "version": cluster["version"],
        "status": "ACTIVE",
        "capacityType": "ON_DEMAND",
        "nodeRole": lab.arn("iam", "role/eks-node"),
        "health": {"issues": []},
        "tags": {},
        **group,
    }}


def group_id(name):
    return sessions.unique("", f"node group {name}").lower()


def entries(lab):
    """The access entries by principal: what the cluster's authenticator reads, so that both say the same."""
    with open(lab["cluster"]["access_entries"], encoding="utf-8") as file:
        server = yaml.safe_load(file)["server"]
    mapped = [(one["userARN"], one) for one in server.get("mapUsers") or []]
    mapped += [(one["roleARN"], one) for one in server.get("mapRoles") or []]
    return dict(mapped)


def list_access_entries(lab, _item):
    return {"accessEntries": sorted(entries(lab))}


def describe_access_entry(lab, principal):
    entry = entries(lab).get(principal)
    if entry is None:
        raise missing(
            "The specified principalArn could not be found. You can view your available access entries with"
            " 'list-access-entries'."
        )
    return {"accessEntry": {
        "clusterName": lab["cluster"]["name"],
        "principalArn": principal,
        "kubernetesGroups": entry.get("groups") or [],
        "accessEntryArn": entry_arn(lab, principal),
        "createdAt": os.stat(lab["cluster"]["ca"]).st_mtime,
        "modifiedAt": os.stat(lab["cluster"]["ca"]).st_mtime,
        "tags": {},
        "username": entry["username"],
        "type": "STANDARD",
    }}


def entry_arn(lab, principal):
    kind, _, name = principal.rpartition(":")[2].partition("/")
    identity = sessions.unique("", principal).lower()
    cluster = lab["cluster"]["name"]
    return lab.arn("eks", f"access-entry/{cluster}/{kind}/{lab['account']}/{name}/{identity}")


ANSWERS = {
    "DescribeCluster": describe_cluster,
    "ListNodegroups": list_node_groups,
    "DescribeNodegroup": describe_node_group,
    "ListAccessEntries": list_access_entries,
    "DescribeAccessEntry": describe_access_entry,
}
