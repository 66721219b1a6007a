//! The whole of the Kubernetes half, asked as a client asks it: requests in, answers and watches out.
//! Nothing here reads a real cluster; what one did is in the recordings.

mod api;
mod nodes;
mod recorded;
mod rollouts;
mod wire;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use serde_json::{Value, json};

use super::{Caller, Kube, Speed};

const HOST: &str = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com";

fn image(name: &str) -> String {
    format!("{HOST}/{name}")
}

/// A cluster with `shop/web`: container `web`, image `order-backend:v1`, as many ready pods as asked.
fn cluster(speed: Speed, replicas: u32) -> Kube {
    let kube = Kube::new(speed);
    kube.node("ip-10-0-3-17", "amd64");
    kube.deployment("shop", "web", "web", &image("order-backend:v1"), replicas).seed();
    kube
}

/// A request as it is written on the wire: method, path, media type of the body, body.
async fn ask(kube: &Kube, method: &str, path: &str, media: &str, body: &str) -> (u16, String) {
    let caller = Caller { name: "deployer".to_owned(), groups: Vec::new() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", media)
        .header("user-agent", "slipway/0.1")
        .extension(caller)
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap();
    let answer = kube.answer(request).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn get(kube: &Kube, path: &str) -> (u16, Value) {
    let (status, body) = ask(kube, "GET", path, "", "").await;
    (status, serde_json::from_str(&body).unwrap())
}

const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

async fn json_patch(kube: &Kube, path: &str, operations: Value) -> (u16, Value) {
    let media = "application/json-patch+json";
    let (status, body) = ask(kube, "PATCH", path, media, &operations.to_string()).await;
    (status, serde_json::from_str(&body).unwrap())
}

fn set_image(image: &str) -> Value {
    json!([{ "op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image }])
}

/// Lets everything happen that is scheduled: the paused clock runs ahead when nobody else has work.
async fn settle() {
    tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
}
