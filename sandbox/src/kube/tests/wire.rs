//! Over real connections: a client of a few lines, and the real kubectl where there is one.

use std::process::{Command, Output};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::super::{Kube, Play, Speed};
use super::{cluster, image};

async fn serve(kube: Kube, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let answer = service_fn(move |request| {
        let kube = kube.clone();
        async move { Ok::<_, std::convert::Infallible>(kube.answer(request).await) }
    });
    // A client that goes away in the middle of a watch is no failure of the server.
    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await;
}

#[tokio::test]
async fn a_watch_tells_of_a_patch_while_the_connection_is_open() {
    let kube = cluster(Speed::Times(1.0), 1);
    let (client, server) = tokio::io::duplex(1 << 16);
    let serving = tokio::spawn(serve(kube.clone(), server));
    let (reading, mut writing) = tokio::io::split(client);
    let ask = "GET /apis/apps/v1/namespaces/shop/deployments?watch=true HTTP/1.1\r\nhost: sandbox\r\n\r\n";
    writing.write_all(ask.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(reading).lines();
    let mut events = Vec::new();
    while events.len() < 2 {
        let line = lines.next_line().await.unwrap().unwrap();
        if let Ok(Value::Object(event)) = serde_json::from_str(&line) {
            if events.is_empty() {
                let patch = serde_json::json!({ "metadata": { "labels": { "seen": "yes" } } });
                kube.write("other", "Deployment", "shop", "web", &patch).unwrap();
            }
            events.push(event);
        }
    }
    assert_eq!((&events[0]["type"], &events[1]["type"]), (&"ADDED".into(), &"MODIFIED".into()));
    assert_eq!(events[1]["object"]["metadata"]["labels"]["seen"], "yes");
    serving.abort();
}

/// Runs kubectl against the cluster and returns what it said.
async fn kubectl(kube: &Kube, arguments: &str) -> (bool, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("--server=http://{}", listener.local_addr().unwrap());
    let cluster = kube.clone();
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(cluster.clone(), stream));
        }
    });
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    let run = move || -> Output {
        let mut command = Command::new("kubectl");
        let cache = format!("--cache-dir={}", std::env::temp_dir().join("kubectl-cache").display());
        command.args([server.as_str(), "-n", "shop", &cache]).args(&arguments);
        command.env("KUBECONFIG", "/dev/null").output().unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    serving.abort();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
#[ignore = "needs kubectl"]
async fn kubectl_sets_an_image_and_follows_the_rollout() {
    let kube = cluster(Speed::Times(20.0), 3);
    kube.script(|image| image.ends_with(":v2"), Play::Recording("good"));
    let set = format!("set image deployment/web web={}", image("order-backend:v2"));
    assert_eq!(
        kubectl(&kube, &set).await,
        (true, "deployment.apps/web image updated\n".to_owned())
    );
    let (done, said) = kubectl(&kube, "rollout status deployment/web --timeout=60s").await;
    assert!(done && said.ends_with("deployment \"web\" successfully rolled out\n"), "{said}");
    let (done, said) = kubectl(&kube, "annotate deployment web who=me").await;
    assert_eq!((done, said.as_str()), (true, "deployment.apps/web annotated\n"));
    let (done, said) = kubectl(&kube, "rollout history deployment/web").await;
    assert!(done && said.contains("REVISION") && said.contains("\n2 "), "{said}");
    let (done, said) = kubectl(&kube, "rollout undo deployment/web").await;
    assert_eq!((done, said.as_str()), (true, "deployment.apps/web rolled back\n"));
    let (done, said) = kubectl(&kube, "rollout status deployment/web --timeout=60s").await;
    assert!(done, "{said}");
}

#[tokio::test]
#[ignore = "needs kubectl"]
async fn kubectl_gets_describes_and_reads_the_log_of_a_crash() {
    let kube = cluster(Speed::Instant, 3);
    kube.script(|image| image.ends_with(":bad"), Play::Recording("crash"));
    kubectl(&kube, &format!("set image deployment/web web={}", image("order-backend:bad"))).await;
    let (_, name) = kubectl(
        &kube,
        "get pods --sort-by=.metadata.creationTimestamp -o jsonpath={.items[3].metadata.name}",
    )
    .await;
    let (done, said) = kubectl(&kube, &format!("describe pod {name}")).await;
    assert!(
        done && said.contains("CrashLoopBackOff") && said.contains("Back-off restarting"),
        "{said}"
    );
    let (done, said) = kubectl(&kube, "describe deployment web").await;
    assert!(done && said.contains("ProgressDeadlineExceeded"), "{said}");
    let (done, said) = kubectl(&kube, &format!("logs {name} --previous")).await;
    assert_eq!((done, said.as_str()), (true, "boom: cannot connect to db\n"));
    let (done, said) = kubectl(&kube, "get deployments,replicasets,pods,events,nodes").await;
    assert!(done && said.contains("deployment.apps/web"), "{said}");
    kube.deny("list", "nodes");
    let (done, said) = kubectl(&kube, "get nodes").await;
    let refused = "Error from server (Forbidden): nodes is forbidden: User \"kubernetes-admin\" cannot list \
                   resource \"nodes\" in API group \"\" at the cluster scope\n";
    assert_eq!((done, said.as_str()), (false, refused));
}

#[tokio::test]
#[ignore = "needs kubectl"]
async fn kubectl_shows_its_own_columns_and_is_told_its_rights() {
    let kube = cluster(Speed::Instant, 2);
    kube.script(|image| image.ends_with(":bad"), Play::Recording("crash"));
    let columns = |said: &str| said.lines().next().unwrap_or_default().split_whitespace().count();
    let (done, said) = kubectl(&kube, "get deployments").await;
    let words: Vec<_> = said.split_whitespace().collect();
    assert!(done, "{said}");
    assert_eq!(
        words[..9],
        ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "web", "2/2", "2", "2"]
    );
    let (_, said) = kubectl(&kube, "get deployment web -o wide").await;
    assert_eq!(columns(&said), 8, "{said}");
    let (_, said) = kubectl(&kube, "get nodes").await;
    assert!(said.contains("STATUS") && said.contains("Ready"), "{said}");
    kubectl(&kube, &format!("set image deployment/web web={}", image("order-backend:bad"))).await;
    let (_, said) = kubectl(&kube, "get pods -A --sort-by=.metadata.name").await;
    assert!(said.contains("NAMESPACE") && said.contains("CrashLoopBackOff"), "{said}");
    let (_, said) = kubectl(&kube, "get pods -w --request-timeout=2s").await;
    assert!(said.contains("RESTARTS"), "{said}");
    kube.deny("patch", "deployments");
    let told = |answer: &str| (answer == "yes", format!("{answer}\n"));
    assert_eq!(kubectl(&kube, "auth can-i get pods --subresource=log").await, told("yes"));
    assert_eq!(kubectl(&kube, "auth can-i patch deployments.apps").await, told("no"));
    let (done, said) = kubectl(&kube, "auth can-i --list").await;
    assert!(done && said.contains("deployments.apps"), "{said}");
}
