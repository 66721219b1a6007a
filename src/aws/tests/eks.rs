//! EKS's API against a server on loopback: the cluster, its node groups, its access entries.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::server::{Reply, calls, reply, serve};
use super::*;

#[tokio::test]
async fn a_cluster_is_read_with_its_authority() {
    let (url, _) = serve(|_| {
        let cluster = json!({ "cluster": {
            "name": "prod",
            "arn": "arn:aws:eks:ap-northeast-2:123456789012:cluster/prod",
            "endpoint": "https://ABC.gr7.ap-northeast-2.eks.amazonaws.com",
            "certificateAuthority": { "data": BASE64_STANDARD.encode("PEM") },
            "status": "UPDATING",
            "version": "1.33",
            "resourcesVpcConfig": { "endpointPublicAccess": false, "endpointPrivateAccess": true },
            "accessConfig": { "authenticationMode": "API" },
        } });
        reply(200, cluster.to_string())
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    let cluster = aws.cluster(&prod()).await.unwrap();
    assert_eq!(cluster.ca, b"PEM");
    assert_eq!(cluster.account.as_str(), "123456789012");
    assert_eq!((cluster.access.public, cluster.access.private), (false, true));
    assert_eq!(cluster.authentication_mode.as_deref(), Some("API"));
}

#[tokio::test]
async fn node_groups_are_read_and_one_that_went_meanwhile_is_left_out() {
    let (url, _) = serve(|asked| match asked.call.as_str() {
        "/clusters/prod/node-groups" => reply(200, r#"{"nodegroups":["ng-1","gone"]}"#),
        "/clusters/prod/node-groups/ng-1" => {
            let group = json!({ "nodegroup": {
                "nodegroupName": "ng-1",
                "amiType": "AL2023_ARM_64_STANDARD",
                "scalingConfig": { "minSize": 1, "maxSize": 3, "desiredSize": 2 },
                "labels": { "pool": "web" },
                "taints": [{ "key": "spot", "effect": "NO_SCHEDULE" }],
                "nodeRole": "arn:aws:iam::123456789012:role/eks-node",
            } });
            reply(200, group.to_string())
        }
        _ => eks_error(404, "ResourceNotFoundException"),
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    let groups = aws.node_groups(&prod()).await.unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!(
        groups[0].platform.as_ref().map(ToString::to_string).as_deref(),
        Some("linux/arm64")
    );
    assert_eq!((groups[0].desired, groups[0].max), (Some(2), Some(3)));
    assert_eq!(groups[0].taints[0].effect, "NoSchedule");
}

fn eks_error(status: u16, code: &str) -> Reply {
    reply(status, json!({ "__type": code, "message": code }).to_string())
}

#[tokio::test]
async fn an_access_entry_is_found_under_the_role_s_whole_name() {
    let (url, log) = serve(|asked| match asked.call.as_str() {
        "/clusters/prod/access-entries" => reply(
            200,
            json!({ "accessEntries": ["arn:aws:iam::123456789012:role/team/dev"] }).to_string(),
        ),
        call if call.contains("role%2Fteam%2Fdev") => {
            reply(200, json!({ "accessEntry": { "kubernetesGroups": ["slipway"] } }).to_string())
        }
        _ => eks_error(404, "ResourceNotFoundException"),
    })
    .await;
    let (aws, _) = aws(keys(), &url);
    let assumed = "arn:aws:sts::123456789012:assumed-role/dev/me";
    assert_eq!(aws.access_entry(&prod(), assumed).await, Ok(Some(vec!["slipway".to_owned()])));
    let user = "arn:aws:iam::123456789012:user/ci";
    assert_eq!(aws.access_entry(&prod(), user).await, Ok(None));
    let asked = calls(&log);
    assert!(asked[0].contains("role%2Fdev"), "{asked:?}");
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn access_entries_that_may_not_be_read_are_one_line() {
    let (url, _) = serve(|_| eks_error(403, "AccessDeniedException")).await;
    let (aws, _) = aws(keys(), &url);
    let unseen = aws.access_entry(&prod(), "arn:aws:iam::123456789012:user/ci").await.unwrap_err();
    assert_eq!(
        (unseen.what.as_str(), unseen.because.as_str()),
        ("access entries", "may not describe")
    );
}
