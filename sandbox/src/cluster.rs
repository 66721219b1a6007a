//! The door of the Kubernetes API: finds out who calls, as EKS does, and hands the request on.
//!
//! A bearer token is either the world's static one or `k8s-aws-v1.` and a presigned address of
//! STS, which is judged as STS and its authenticator judge it. The only file that uses `Kube`.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request, Uri};
use serde_json::json;

use crate::access::{self, Principal};
use crate::answer::{Answer, json as json_answer};
use crate::call::{Asked, fields, header};
use crate::kube::Caller;
use crate::sandbox::State;
use crate::world::{World, hold};

/// Answers one request of the Kubernetes API.
pub(crate) async fn answered(state: &State, mut request: Request<Incoming>) -> Answer {
    let authorization = header(request.headers(), "authorization");
    let path = request.uri().path().to_owned();
    let open = matches!(path.as_str(), "/version" | "/healthz" | "/readyz" | "/livez");
    let caller = match authorization.strip_prefix("Bearer ") {
        Some(token) => match caller(state, token.trim()) {
            Some(caller) => caller,
            None => return refused(401, "Unauthorized", "Unauthorized"),
        },
        None if open => anonymous(),
        None => {
            let verb = request.method().as_str().to_lowercase();
            let said =
                format!("forbidden: User \"system:anonymous\" cannot {verb} path \"{path}\"");
            return refused(403, "Forbidden", &said);
        }
    };
    request.extensions_mut().insert(caller);
    let kube = hold(&state.world).kube.clone();
    kube.answer(request).await.map(|body| body.map_err(Into::into).boxed_unsync())
}

fn refused(code: u16, reason: &str, message: &str) -> Answer {
    json_answer(
        code,
        &json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        }),
    )
}

fn anonymous() -> Caller {
    Caller { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] }
}

fn caller(state: &State, token: &str) -> Option<Caller> {
    {
        let world = hold(&state.world);
        if token == world.cluster.token {
            let groups = vec!["system:masters".into(), "system:authenticated".into()];
            return Some(Caller { name: "sandbox-admin".into(), groups });
        }
    }
    let address = BASE64_URL_SAFE_NO_PAD.decode(token.strip_prefix("k8s-aws-v1.")?).ok()?;
    let asked = presigned(state, &String::from_utf8(address).ok()?)?;
    let who = access::caller(state, &asked, "sts").ok()?;
    entered(&hold(&state.world), &who)
}

/// The request that the token's address stands for: a GET of STS with the cluster's name in a
/// signed header. Anything else in it is refused before it is sent, as the authenticator does.
fn presigned(state: &State, address: &str) -> Option<Asked> {
    let uri: Uri = address.parse().ok()?;
    let world = hold(&state.world);
    let host = uri.authority()?.as_str();
    let regional = format!("sts.{}.amazonaws.com", world.region);
    let ours = host == state.address.to_string();
    let given = fields(uri.query()?);
    let expires = given.get("X-Amz-Expires").and_then(|e| e.parse::<u32>().ok());
    let signed = given.get("X-Amz-SignedHeaders").map_or("", String::as_str);
    let known = ours || host == regional || host == "sts.amazonaws.com";
    let fine = known
        && uri.path() == "/"
        && given.get("Action").is_some_and(|action| action == "GetCallerIdentity")
        && signed.split(';').any(|name| name == "x-k8s-aws-id")
        && expires.is_some_and(|seconds| seconds <= 900);
    if !fine {
        return None;
    }
    let mut headers = HeaderMap::new();
    headers.insert("host", host.parse().ok()?);
    headers.insert("x-k8s-aws-id", world.cluster.name.parse().ok()?);
    Some(Asked {
        method: Method::GET,
        path: "/".into(),
        query: uri.query()?.to_owned(),
        headers,
        body: Bytes::new(),
    })
}

/// Maps a principal by the access entries; a session enters by the entry of its role.
fn entered(world: &World, who: &Principal) -> Option<Caller> {
    let entry = world.cluster.access.iter().find(|entry| entry.principal == who.policy)?;
    let mut groups = entry.groups.clone();
    groups.push("system:authenticated".into());
    Some(Caller { name: who.arn.clone(), groups })
}
