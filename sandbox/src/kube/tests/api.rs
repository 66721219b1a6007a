//! The API's manners: what is answered, and in which words it is refused.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use serde_json::{Value, json};

use super::super::{Kube, Rule, Speed};
use super::{WEB, ask, cluster, get, image, json_patch, set_image};

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let kube = cluster(Speed::Instant, 1);
    let (status, body) = get(&kube, "/apis/apps/v1/namespaces/shop/deployments/api").await;
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "deployments.apps \"api\" not found", "reason": "NotFound",
        "details": { "name": "api", "group": "apps", "kind": "deployments" }, "code": 404,
    });
    assert_eq!((status, body), (404, expected));
    let (status, body) = ask(&kube, "GET", "/apis/batch/v1/jobs", "", "").await;
    assert_eq!((status, body.as_str()), (404, "404 page not found\n"));
}

#[tokio::test]
async fn a_denied_verb_is_refused_and_told_by_the_review() {
    let kube = cluster(Speed::Instant, 1);
    kube.deny("patch", "deployments");
    kube.deny("list", "nodes");
    let (status, body) = json_patch(&kube, WEB, set_image("x")).await;
    assert_eq!(status, 403);
    assert_eq!(
        body["message"],
        "deployments.apps \"web\" is forbidden: User \"deployer\" cannot patch resource \"deployments\" in \
         API group \"apps\" in the namespace \"shop\""
    );
    let (_, body) = get(&kube, "/api/v1/nodes").await;
    assert_eq!(
        body["message"],
        "nodes is forbidden: User \"deployer\" cannot list resource \"nodes\" in API group \"\" at the \
         cluster scope"
    );
    for (verb, allowed) in [("patch", false), ("get", true)] {
        let attributes = json!({ "verb": verb, "group": "apps", "resource": "deployments", "namespace": "shop" });
        let review = json!({ "spec": { "resourceAttributes": attributes } }).to_string();
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let (status, body) = ask(&kube, "POST", path, "application/json", &review).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["status"]["allowed"]), (201, &json!(allowed)), "{verb}");
    }
}

#[tokio::test]
async fn a_rule_of_admission_refuses_dry_runs_and_writes_in_the_servers_words() {
    let kube = cluster(Speed::Instant, 1);
    let (_, before) = get(&kube, WEB).await;
    let failure = |body: Value| {
        let mut status =
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure" });
        status.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        status
    };
    let silent = "failed calling webhook \"policy.example.com\": failed to call webhook: \
                  Post \"https://policy.policy.svc:443/?timeout=5s\": service \"policy\" not found";
    let denied =
        "admission webhook \"policy.example.com\" denied the request: image must be signed";
    let policy = "ValidatingAdmissionPolicy 'story' with binding 'story' denied request: image must be signed";
    // As API server 1.34 answers.
    let rules = [
        (
            Rule::Silent("policy.example.com", "policy"),
            json!({ "message": format!("Internal error occurred: {silent}"), "reason": "InternalError",
                "details": { "causes": [{ "message": silent }] }, "code": 500 }),
        ),
        (
            Rule::Denies("policy.example.com", "image must be signed"),
            json!({ "message": denied, "code": 400 }),
        ),
        (
            Rule::Policy("story", "image must be signed"),
            json!({ "message": format!("deployments.apps \"web\" is forbidden: {policy}"), "reason": "Invalid",
                "details": { "name": "web", "group": "apps", "kind": "deployments",
                    "causes": [{ "message": policy }] }, "code": 422 }),
        ),
    ];
    for (rule, expected) in rules {
        kube.rule(Some(rule));
        for path in [format!("{WEB}?dryRun=All"), WEB.to_owned()] {
            let (_, body) = json_patch(&kube, &path, set_image("x")).await;
            assert_eq!(body, failure(expected.clone()));
        }
    }
    assert_eq!(get(&kube, WEB).await.1, before);
    kube.rule(None);
    assert_eq!(json_patch(&kube, WEB, set_image("x")).await.0, 200);
}

#[tokio::test]
async fn a_failed_test_writes_nothing_and_a_dry_run_neither() {
    let kube = cluster(Speed::Instant, 1);
    let (_, before) = get(&kube, WEB).await;
    let patch = json!([{ "op": "test", "path": "/metadata/uid", "value": "another" },
        set_image("x")[0]]);
    let (status, body) = json_patch(&kube, WEB, patch).await;
    assert_eq!((status, &body["details"]), (422, &json!({})));
    let (status, body) = json_patch(&kube, &format!("{WEB}?dryRun=All"), set_image("x")).await;
    assert_eq!((status, &body["metadata"]["generation"]), (200, &json!(2)));
    assert_eq!(get(&kube, WEB).await.1, before);
}

#[tokio::test]
async fn a_patch_that_changes_nothing_makes_no_new_version() {
    let kube = cluster(Speed::Instant, 1);
    let (_, before) = get(&kube, WEB).await;
    let (status, after) = json_patch(&kube, WEB, set_image(&image("order-backend:v1"))).await;
    assert_eq!((status, after), (200, before));
}

#[tokio::test]
async fn an_annotation_makes_a_version_but_no_generation_and_names_its_manager() {
    let kube = cluster(Speed::Instant, 1);
    let patch =
        json!([{ "op": "add", "path": "/metadata/annotations/slipway~1commit", "value": "c" }]);
    let (_, after) = json_patch(&kube, &format!("{WEB}?fieldManager=slipway"), patch).await;
    assert_eq!(after["metadata"]["generation"], 1);
    let entries = after["metadata"]["managedFields"].as_array().unwrap();
    let mine = entries.iter().find(|e| e["manager"] == "slipway").unwrap();
    let fields = json!({ "f:metadata": { "f:annotations": { "f:slipway/commit": {} } } });
    assert_eq!((&mine["operation"], &mine["fieldsV1"]), (&json!("Update"), &fields));
}

#[tokio::test]
async fn an_update_from_an_old_version_conflicts() {
    let kube = cluster(Speed::Instant, 1);
    let (_, mut old) = get(&kube, WEB).await;
    json_patch(&kube, WEB, json!([{ "op": "add", "path": "/metadata/labels/a", "value": "b" }]))
        .await;
    old["spec"]["replicas"] = 2.into();
    let (status, body) = ask(&kube, "PUT", WEB, "application/json", &old.to_string()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 409);
    assert_eq!(
        body["message"],
        "Operation cannot be fulfilled on deployments.apps \"web\": the object has been modified; please \
         apply your changes to the latest version and try again"
    );
}

#[tokio::test]
async fn a_list_selects_and_pages() {
    let kube = cluster(Speed::Instant, 3);
    let pods = "/api/v1/namespaces/shop/pods";
    let (_, all) = get(&kube, &format!("{pods}?labelSelector=app%3Dweb")).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    let (_, none) = get(&kube, &format!("{pods}?labelSelector=app%20notin%20(web,api)")).await;
    assert_eq!(none["items"], json!([]));
    let (_, first) = get(&kube, &format!("{pods}?limit=2")).await;
    assert_eq!(first["metadata"]["remainingItemCount"], 1);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let (_, rest) = get(&kube, &format!("{pods}?limit=2&continue={token}")).await;
    assert_eq!(rest["items"][0]["metadata"]["name"], all["items"][2]["metadata"]["name"]);
    let (status, body) = get(&kube, &format!("{pods}?fieldSelector=spec.image%3Da")).await;
    assert_eq!(status, 400);
    assert!(body["message"].as_str().unwrap().ends_with("field label not supported: spec.image"));
    kube.compact();
    kube.seed(json!({ "kind": "ConfigMap", "metadata": { "name": "c", "namespace": "shop" } }));
    kube.compact();
    let (status, body) = get(&kube, &format!("{pods}?limit=2&continue={token}")).await;
    assert_eq!((status, &body["reason"]), (410, &json!("Expired")));
}

/// Opens a watch and reads its lines until it ends or nothing comes.
async fn watched(kube: &Kube, query: &str, lines: usize) -> Vec<Value> {
    let uri = format!("/api/v1/namespaces/shop/pods?watch=1&{query}");
    let request = Request::get(uri).body(crate::kube::Body::default()).unwrap();
    let mut body = kube.answer(request).await.into_body();
    let mut found = Vec::new();
    while found.len() < lines
        && let Some(frame) = body.frame().await
    {
        found.push(serde_json::from_slice(frame.unwrap().data_ref().unwrap()).unwrap());
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_watch_begins_with_what_is_there_and_ends_in_time_with_a_bookmark() {
    let kube = cluster(Speed::Instant, 1);
    let start = tokio::time::Instant::now();
    let lines = watched(&kube, "timeoutSeconds=90&allowWatchBookmarks=true", 9).await;
    let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ADDED", "BOOKMARK", "BOOKMARK"]);
    assert_eq!(start.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_version_sees_only_what_came_after() {
    let kube = cluster(Speed::Instant, 1);
    let version = get(&kube, "/api/v1/pods").await.1["metadata"]["resourceVersion"].clone();
    let name = kube.objects("Pod", "shop")[0]["metadata"]["name"].clone();
    let path = format!("/api/v1/namespaces/shop/pods/{}", name.as_str().unwrap());
    let body = r#"{"gracePeriodSeconds":0}"#;
    ask(&kube, "DELETE", &path, "application/json", body).await;
    let query = format!("resourceVersion={}", version.as_str().unwrap());
    let lines = watched(&kube, &query, 2).await;
    assert_eq!(
        (&lines[0]["type"], &lines[0]["object"]["metadata"]["name"]),
        (&json!("DELETED"), &name)
    );
    assert_eq!(lines[1]["type"], "ADDED", "the replica set made another");
}

#[tokio::test(start_paused = true)]
async fn a_silenced_watch_stays_open_and_says_nothing_and_a_new_one_is_well() {
    let kube = cluster(Speed::Instant, 1);
    let open = || Request::get("/api/v1/pods?watch=1").body(crate::kube::Body::default()).unwrap();
    let mut old = kube.answer(open()).await.into_body();
    assert!(old.frame().await.is_some(), "what is there");
    kube.silence("Pod");
    let never = tokio::time::timeout(Duration::from_secs(7200), old.frame()).await;
    assert!(never.is_err(), "neither a line nor an end");
    assert!(kube.answer(open()).await.into_body().frame().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_a_forgotten_version_is_gone() {
    let kube = cluster(Speed::Instant, 1);
    kube.compact();
    let lines = watched(&kube, "resourceVersion=7", 9).await;
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["type"], &lines[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
}

#[tokio::test]
async fn initial_events_are_refused_as_1_33_refuses_them() {
    let kube = cluster(Speed::Instant, 1);
    let path = "/api/v1/pods?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let (status, body) = get(&kube, path).await;
    assert_eq!(status, 422);
    assert_eq!(
        body["message"],
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is \
         forbidden for watch unless the WatchList feature gate is enabled"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_cluster_ends_its_watches_and_its_clock() {
    let kube = cluster(Speed::Times(1.0), 1);
    let request = Request::get("/api/v1/pods?watch=1").body(crate::kube::Body::default()).unwrap();
    let mut body = kube.answer(request).await.into_body();
    body.frame().await.unwrap().unwrap();
    let task = kube.inner.task.get().unwrap().clone();
    drop(kube);
    let end = tokio::time::timeout(Duration::from_secs(5), body.frame()).await;
    assert!(end.unwrap().is_none());
    tokio::task::yield_now().await;
    assert!(task.is_finished());
}

#[tokio::test]
async fn a_container_without_a_previous_run_has_no_previous_log() {
    let kube = cluster(Speed::Instant, 1);
    let pods = kube.objects("Pod", "shop");
    let name = pods[0]["metadata"]["name"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/shop/pods/{name}/log?previous=true");
    let (status, body) = get(&kube, &path).await;
    let expected = format!("previous terminated container \"web\" in pod \"{name}\" not found");
    assert_eq!((status, body["message"].as_str()), (400, Some(expected.as_str())));
}

/// What a client sees that asks for tables: the names of the columns and the cells of the rows.
async fn table(kube: &Kube, path: &str) -> (Vec<String>, Vec<Value>) {
    let request = Request::builder()
        .uri(path)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let body = kube.answer(request).await.into_body().collect().await.unwrap().to_bytes();
    let table: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(table["kind"], "Table", "{table}");
    let named = |c: &Value| c["name"].as_str().unwrap().to_owned();
    let columns = table["columnDefinitions"].as_array().unwrap().iter().map(named).collect();
    let rows = table["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect();
    (columns, rows)
}

#[tokio::test]
async fn a_table_has_the_columns_that_users_know() {
    let kube = cluster(Speed::Instant, 1);
    let own = image("order-backend:v1");
    let (columns, rows) = table(&kube, WEB).await;
    assert_eq!(columns[..5], ["Name", "Ready", "Up-to-date", "Available", "Age"]);
    assert_eq!(rows, [json!(["web", "1/1", 1, 1, "26h", "web", own, "app=web"])]);
    let (_, rows) = table(&kube, "/api/v1/nodes").await;
    assert_eq!(rows[0].as_array().unwrap()[..3], ["ip-10-0-3-17", "Ready", "<none>"]);
    let (_, rows) = table(&kube, "/apis/apps/v1/namespaces/shop/replicasets").await;
    assert_eq!(rows[0].as_array().unwrap()[1..4], [1, 1, 1]);
    let (columns, rows) = table(&kube, "/api/v1/namespaces/shop/pods").await;
    assert_eq!(columns[..5], ["Name", "Ready", "Status", "Restarts", "Age"]);
    assert_eq!(rows[0].as_array().unwrap()[1..4], ["1/1", "Running", "0"]);
}

#[tokio::test]
async fn a_pod_is_told_by_one_word() {
    let kube = Kube::new(Speed::Instant);
    let own =
        |state: Value| json!({ "containerStatuses": [{ "restartCount": 2, "state": state }] });
    let init = |state: Value| json!({ "initContainerStatuses": [{ "state": state }] });
    for (status, word, restarts) in [
        (json!({ "phase": "Pending" }), "Pending", "0"),
        (json!({ "phase": "Failed", "reason": "Evicted" }), "Evicted", "0"),
        (own(json!({ "waiting": { "reason": "ImagePullBackOff" } })), "ImagePullBackOff", "2"),
        (own(json!({ "terminated": { "reason": "OOMKilled" } })), "OOMKilled", "2"),
        (own(json!({ "terminated": { "exitCode": 3 } })), "ExitCode:3", "2"),
        (init(json!({ "waiting": { "reason": "PodInitializing" } })), "Init:0/1", "0"),
        (init(json!({ "terminated": { "reason": "Error", "exitCode": 1 } })), "Init:Error", "0"),
        (init(json!({ "terminated": { "reason": "Completed", "exitCode": 0 } })), "", "0"),
    ] {
        kube.seed(json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": { "name": "a", "namespace": "shop" },
            "spec": { "containers": [{}], "initContainers": [{}] }, "status": status,
        }));
        let (_, rows) = table(&kube, "/api/v1/namespaces/shop/pods/a").await;
        let told = (rows[0][2].clone(), rows[0][3].clone());
        assert_eq!(told, (word.into(), restarts.into()));
    }
}

#[tokio::test]
async fn a_kind_without_columns_is_answered_as_it_is() {
    let kube = cluster(Speed::Instant, 1);
    let request = Request::builder()
        .uri("/api/v1/serviceaccounts")
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let body = kube.answer(request).await.into_body().collect().await.unwrap().to_bytes();
    let list: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(list["kind"], "ServiceAccountList");
}

#[tokio::test]
async fn a_review_in_protobuf_is_read() {
    let kube = cluster(Speed::Instant, 1);
    kube.deny("patch", "deployments");
    // Envelope, review and attributes, as kubectl writes them: each field is a number, a length and bytes.
    let field = |number: u8, bytes: &[u8]| {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    for (verb, allowed) in [("patch", false), ("get", true)] {
        let attributes =
            [field(2, verb.as_bytes()), field(3, b"apps"), field(5, b"deployments")].concat();
        let review = [field(1, b""), field(2, &field(1, &attributes))].concat();
        let kind = field(2, b"SelfSubjectAccessReview");
        let body = [b"k8s\0".to_vec(), field(1, &kind), field(2, &review)].concat();
        let request = Request::builder()
            .method("POST")
            .uri("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .header("content-type", "application/vnd.kubernetes.protobuf")
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let answer = kube.answer(request).await;
        assert_eq!(answer.status(), 201);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let told: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(told["status"]["allowed"], allowed, "{verb}");
        assert_eq!(told["spec"]["resourceAttributes"]["resource"], "deployments");
    }
}
