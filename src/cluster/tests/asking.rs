//! Reads: tokens, retries, what is said when there is no answer.

use std::time::{Duration, Instant};

use insta::assert_snapshot;
use serde_json::json;

use super::server::{Say, Server, ok, status};
use super::{access, connect, tokens, told};
use crate::cluster::live::tests::deployment;
use crate::cluster::{Cluster, Live, RIGHTS};
use crate::error::Code;
use crate::names::Namespace;

fn shop() -> Namespace {
    "shop".parse().unwrap()
}

async fn web(cluster: &Cluster) -> Result<Live, crate::error::Failure> {
    cluster.workload(&shop(), &"deployment/web".parse().unwrap()).await
}

#[tokio::test]
async fn a_401_mints_once_more_and_asks_once_more() {
    let server = Server::start(|heard, _| {
        if heard.token == "Bearer t1" {
            status(401, "Unauthorized", "Unauthorized")
        } else {
            ok(&deployment())
        }
    })
    .await;
    let cluster = connect(&server);
    assert_eq!(web(&cluster).await.unwrap().uid, "u-1");
    web(&cluster).await.unwrap();
    let used: Vec<_> = server.heard().into_iter().map(|heard| heard.token).collect();
    assert_eq!(used, ["Bearer t1", "Bearer t2", "Bearer t2"]);
}

#[tokio::test]
async fn two_401s_are_a_cluster_that_does_not_know_us() {
    let server = Server::start(|_, _| status(401, "Unauthorized", "Unauthorized")).await;
    let failure = web(&connect(&server)).await.unwrap_err();
    assert_eq!(server.heard().len(), 2);
    assert_snapshot!(told(&failure), @"
    SW-EKS-401: `prod` does not know role `ship`
      why:  401 twice, the second time to a new token
    ");
}

#[tokio::test]
async fn a_token_is_used_until_it_runs_out() {
    let server = Server::start(|_, _| ok(&deployment())).await;
    for (valid_for, expected) in
        [(Duration::from_mins(14), "Bearer t1"), (Duration::ZERO, "Bearer t2")]
    {
        let cluster = Cluster::connect(access(&server.endpoint), tokens(valid_for)).unwrap();
        web(&cluster).await.unwrap();
        web(&cluster).await.unwrap();
        assert_eq!(server.heard().last().unwrap().token, expected, "{valid_for:?}");
    }
}

#[tokio::test]
async fn a_read_is_tried_again_while_the_control_plane_is_away() {
    let server = Server::start(|_, before| match before {
        0 => Say::Close,
        1 => status(500, "InternalError", "etcdserver: leader changed"),
        2 => Say::With("retry-after: 3600\r\n", 429, String::new()),
        3 => Say::Answer(200, "{\"cut".into()),
        _ => ok(&deployment()),
    })
    .await;
    let cluster = connect(&server);
    let failure = web(&cluster).await.unwrap_err();
    assert_eq!(
        (server.heard().len(), failure.code),
        (4, Code::EksAnswer),
        "an hour is not waited for"
    );
    assert_snapshot!(told(&failure), @"
    SW-EKS-ANSWER: `prod` gave no usable answer
      why:  get deployments.apps in `shop`: its answer is not what was asked for
      next: run it again: it goes on from what is already there
    ");
    assert!(web(&cluster).await.is_ok());
}

#[tokio::test]
async fn a_server_that_stays_away_is_given_up_after_the_window() {
    let server = Server::start(|_, _| Say::Answer(503, "<html>upstream</html>".into())).await;
    let failure = web(&connect(&server)).await.unwrap_err();
    assert!(server.heard().len() > 5);
    assert_snapshot!(told(&failure), @r#"
    SW-EKS-ANSWER: `prod` gave no usable answer
      why:  get deployments.apps in `shop`: it answered 503: "<html>upstream</html>"
      next: run it again: it goes on from what is already there
    "#);
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_reached_is_named_with_what_to_check() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = format!("http://127.0.0.1:{port}");
    let cluster = Cluster::connect(access(&endpoint), tokens(Duration::from_mins(14))).unwrap();
    let began = Instant::now();
    let failure = web(&cluster).await.unwrap_err();
    let took = began.elapsed().as_secs_f32();
    // For as long as it was really asked, which is less than the window.
    let (_, asked) = failure.why[0].rsplit_once("asked for ").unwrap();
    let seconds: f32 = asked.strip_suffix(" s").unwrap().parse().unwrap();
    assert!(seconds > 0.0 && seconds <= took + 0.05, "{seconds} of {took}");
    assert_snapshot!(told(&failure).replace(&port, "@@PORT@@").replace(asked, "@@ s"), @"
    SW-EKS-REACH: the API server of `prod` was not reached: connection refused
      why:  its endpoint is 127.0.0.1:@@PORT@@, asked for @@ s
      next: aws eks describe-cluster --name prod --query cluster.resourcesVpcConfig
      next: a private endpoint needs a runner inside its network, a public one this runner's address in publicAccessCidrs
    ");
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_as_that() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let access = access("https://eks.invalid");
    let cluster = Cluster::connect(access, tokens(Duration::from_mins(14))).unwrap();
    let failure = web(&cluster).await.unwrap_err();
    let text = "the API server of `prod` was not reached: its name does not resolve";
    assert_eq!(failure.what, text);
}

#[tokio::test]
async fn a_token_never_leaves_in_the_clear() {
    let refused =
        Cluster::connect(access("http://10.0.0.1:8080"), tokens(Duration::ZERO)).unwrap_err();
    assert_snapshot!(told(&refused), @r#"
    SW-INPUT-ENDPOINT: the endpoint of `prod` cannot be used
      why:  "http://10.0.0.1:8080" would send the token in the clear
    "#);
    let shown = format!("{:?}", super::connect(&Server::start(|_, _| Say::Close).await));
    assert_eq!(shown, r#"Cluster { name: "prod", .. }"#);
}

#[tokio::test]
async fn a_missing_workload_is_answered_with_what_is_there() {
    let server = Server::start(|heard, _| match heard.path() {
        "/apis/apps/v1/namespaces/shop/deployments" => {
            ok(&json!({"metadata": {"resourceVersion": "1"}, "items": [{"metadata": {"name": "web-api"}}, {"metadata": {"name": "worker"}}]}))
        }
        "/apis/apps/v1/namespaces/empty/deployments" => ok(&json!({"metadata": {}, "items": []})),
        "/apis/apps/v1/namespaces/closed/deployments" => status(403, "Forbidden", "no"),
        _ => status(404, "NotFound", "deployments.apps \"web\" not found"),
    })
    .await;
    let cluster = connect(&server);
    let mut all = Vec::new();
    for namespace in ["shop", "empty", "closed"] {
        let workload = "deployment/web-ap".parse().unwrap();
        all.push(told(
            &cluster.workload(&namespace.parse().unwrap(), &workload).await.unwrap_err(),
        ));
    }
    let kind = cluster.workload(&shop(), &"statefulset/db".parse().unwrap()).await.unwrap_err();
    all.push(told(&kind));
    assert_snapshot!(all.join("\n"), @"
    SW-WORKLOAD-MISSING: `prod` has no Deployment `web-ap` in `shop`
      why:  it has `web-api`, `worker`
      next: `workload: deployment/web-api`, if that is meant
    SW-WORKLOAD-MISSING: `prod` has no Deployment `web-ap` in `empty`
      why:  namespace `empty` has none, or is not there
      next: kubectl get deployments --all-namespaces
    SW-WORKLOAD-MISSING: `prod` has no Deployment `web-ap` in `closed`
      why:  not seen: deployments (may not list)
      next: kubectl -n closed get deployments
    SW-WORKLOAD-KIND: `statefulset/db` is no Deployment
      why:  only a Deployment is watched to its end and rolled back as a whole
      next: name one: `workload: deployment/NAME`
    ");
}

#[tokio::test]
async fn a_right_that_is_missing_comes_with_the_commands_that_grant_it() {
    let server =
        Server::start(|_, _| status(403, "Forbidden", "deployments.apps \"web\" is forbidden"))
            .await;
    assert_snapshot!(told(&web(&connect(&server)).await.unwrap_err()), @r#"
    SW-EKS-403: role `ship` may not get deployments.apps in `shop`
      why:  `prod` answered 403: "deployments.apps "web" is forbidden"
      next: kubectl -n shop create role ship --verb=get --resource=deployments.apps
      next: kubectl -n shop create rolebinding ship --role=ship --group=slipway
    "#);
}

#[tokio::test]
async fn rights_are_reviewed_one_by_one_and_told_together() {
    let server = Server::start(|heard, _| {
        let asked: serde_json::Value = serde_json::from_str(&heard.body).unwrap();
        let of = &asked["spec"]["resourceAttributes"];
        let denied =
            of["verb"] == "patch" || of["resource"] == "nodes" || of["subresource"] == "log";
        assert!(of["namespace"] == "shop" || of["resource"] == "nodes");
        ok(&json!({"spec": {}, "status": {"allowed": !denied}}))
    })
    .await;
    let cluster = connect(&server);
    let rights = cluster.may(&shop(), RIGHTS).await.unwrap();
    let no: Vec<_> = rights
        .iter()
        .filter(|(_, may)| !may)
        .map(|(r, _)| format!("{} {}", r.verb, r.name()))
        .collect();
    assert_eq!(no, ["patch deployments.apps", "get pods/log", "list nodes"]);
    assert_snapshot!(told(&cluster.lacking(&shop(), &rights).unwrap()), @"
    SW-EKS-403: role `ship` may not patch deployments.apps in `shop`
      why:  access review: patch no; get, list, watch yes; groups: slipway
      next: kubectl -n shop create role ship --verb=patch --resource=deployments.apps
      next: kubectl -n shop create rolebinding ship --role=ship --group=slipway
    ");
    let optional: Vec<_> = rights.iter().filter(|(r, _)| !r.needed).copied().collect();
    assert_eq!(cluster.lacking(&shop(), &optional), None);
}

#[tokio::test]
async fn rights_on_several_resources_are_granted_each_by_its_own_role() {
    let server = Server::start(|_, _| Say::Close).await;
    let mut access = access(&server.endpoint);
    access.groups.clear();
    let cluster = Cluster::connect(access, tokens(Duration::ZERO)).unwrap();
    let rights: Vec<_> = RIGHTS.iter().map(|r| (*r, r.resource == "deployments")).collect();
    assert_snapshot!(told(&cluster.lacking(&shop(), &rights).unwrap()), @"
    SW-EKS-403: role `ship` may not list, watch replicasets.apps in `shop`
      why:  access review: replicasets.apps list, watch no; pods list, watch no; groups: not known
      next: kubectl -n shop create role ship --verb=list,watch --resource=replicasets.apps
      next: kubectl -n shop create rolebinding ship --role=ship --group=GROUP
      next: kubectl -n shop create role ship-pods --verb=list,watch --resource=pods
      next: kubectl -n shop create rolebinding ship-pods --role=ship-pods --group=GROUP
    ");
}

#[tokio::test]
async fn what_is_optional_is_unseen_and_fails_nothing() {
    let server = Server::start(|heard, _| match heard.path() {
        "/api/v1/nodes" => status(403, "Forbidden", "nodes is forbidden"),
        "/api/v1/namespaces/shop/events" => Say::Answer(503, String::new()),
        _ => status(
            400,
            "BadRequest",
            "previous terminated container \"app\" in pod \"web-1\" not found",
        ),
    })
    .await;
    let cluster = connect(&server);
    let nodes = cluster.nodes().await.unwrap_err().to_string();
    let events = cluster.warnings(&shop()).await.unwrap_err().to_string();
    let logs = cluster.logs("shop", "web-1", "app", true, 50).await.unwrap_err().to_string();
    assert_snapshot!([nodes, events, logs].join("\n"), @r#"
    not seen: nodes (may not list)
    not seen: events (it answered 503)
    not seen: logs of web-1 ("previous terminated container "app" in pod "web-1" not found")
    "#);
}

#[tokio::test]
async fn logs_are_asked_for_by_their_last_lines() {
    let server = Server::start(|_, _| {
        Say::Answer(200, format!("one\nDB_HOST is not set\n{}", "x".repeat(9000)))
    })
    .await;
    let lines = connect(&server).logs("shop", "web-1", "app", true, 50).await.unwrap();
    assert_eq!((lines[1].as_str(), lines[2].len()), ("DB_HOST is not set", 4096));
    let asked = &server.heard()[0];
    assert_eq!(asked.path(), "/api/v1/namespaces/shop/pods/web-1/log");
    assert_eq!((asked.query("previous"), asked.query("tailLines")), (Some("true"), Some("50")));
    assert_eq!(asked.query("container"), Some("app"));
}

/// What real kubelets say with status 200 in place of a log: the container is gone, or only its file.
const EXCUSES: [&str; 3] = [
    "unable to retrieve container logs for containerd://d336f",
    "failed to try resolving symlinks in path \"/var/log/pods/shop_web-1_5e4db/app/0.log\": lstat /var/log/pods/shop_web-1_5e4db/app/0.log: no such file or directory",
    "failed to open log file \"/var/log/pods/shop_web-1_5e4db/app/0.log\": open /var/log/pods/shop_web-1_5e4db/app/0.log: no such file or directory",
];

#[tokio::test]
async fn what_the_kubelet_says_of_a_log_it_threw_away_is_no_log() {
    for excuse in EXCUSES {
        let server = Server::start(move |heard, _| match heard.query("previous") {
            Some("true") => Say::Answer(200, excuse.into()),
            _ => Say::Answer(200, format!("{excuse}\nboom")),
        })
        .await;
        let cluster = connect(&server);
        let unseen = cluster.logs("shop", "web-1", "app", true, 50).await.unwrap_err();
        let said = format!("not seen: logs of web-1 (the kubelet: \"{excuse}\")");
        assert_eq!(unseen.to_string(), said);
        let said = cluster.logs("shop", "web-1", "app", false, 50).await.unwrap();
        assert_eq!(said.last().map(String::as_str), Some("boom"), "a program may say the same");
    }
}

#[tokio::test]
async fn a_list_is_read_in_pages_and_whole_when_its_pages_expire() {
    let item = |n: u32| json!({"metadata": {"name": format!("web-{n}"), "uid": format!("p{n}")}});
    let server = Server::start(move |heard, before| match (heard.query("continue"), before) {
        (None, 0) => ok(&json!({"metadata": {"continue": "two"}, "items": [item(1)]})),
        (Some("two"), 1) => ok(&json!({"metadata": {"resourceVersion": "9"}, "items": [item(2)]})),
        (None, 2) => ok(&json!({"metadata": {"continue": "two"}, "items": [item(1)]})),
        (Some("two"), 3) => status(410, "Expired", "the provided continue parameter is too old"),
        (None, _) if heard.query("limit").is_none() => {
            ok(&json!({"metadata": {}, "items": [item(1), item(2), item(3)]}))
        }
        _ => status(400, "BadRequest", "not expected"),
    })
    .await;
    let cluster = connect(&server);
    let live = crate::cluster::live::tests::live();
    assert_eq!(cluster.pods(&live).await.unwrap().len(), 2);
    assert_eq!(cluster.pods(&live).await.unwrap().len(), 3);
    assert_eq!(server.heard()[0].query("labelSelector"), Some("app%3Dweb"));
}
