//! Which service a request is for and what it asks: read from the request line, the target header
//! and, for STS, the form. The log and the faults speak in these words.

use std::collections::BTreeMap;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Method, Request};

use crate::answer::Broken;

/// The prefix of ECR's operations in `X-Amz-Target`.
const ECR: &str = "AmazonEC2ContainerRegistry_V20150921.";

/// A request whose body is read.
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The path as it was sent, still encoded.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        header(&self.headers, name)
    }

    /// The parts of the path, decoded.
    pub(crate) fn parts(&self) -> Vec<String> {
        self.path.trim_matches('/').split('/').map(decoded).collect()
    }
}

/// A request on its way to its service.
pub(crate) enum Call {
    Sts(Asked, Fields),
    Ecr(Asked, String),
    Eks(Asked),
    GitHub(Asked),
    Oidc(Asked),
    Bucket(Asked),
    Registry(Request<Incoming>),
    Kube(Request<Incoming>),
    Nobody(Asked),
}

/// Parameters of a form or a query.
pub(crate) type Fields = BTreeMap<String, String>;

/// What a request asks, in the log's words.
pub(crate) struct Asking {
    pub(crate) action: Option<String>,
    /// Whether it changes something if it is accepted.
    pub(crate) writes: bool,
}

/// Reads a request as far as its service needs it whole.
pub(crate) async fn read(request: Request<Incoming>) -> Result<(Call, Asking), Broken> {
    let path = request.uri().path();
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default().to_owned();
    match first.as_str() {
        "v2" => {
            let asking = registry(request.method(), path);
            return Ok((Call::Registry(request), asking));
        }
        "api" | "apis" | "version" | "healthz" | "readyz" | "livez" | "openapi" => {
            let asking = kube(request.method(), path, request.uri().query().unwrap_or_default());
            return Ok((Call::Kube(request), asking));
        }
        _ => {}
    }
    let asked = collected(request).await?;
    Ok(match first.as_str() {
        "" => aws(asked),
        "clusters" => {
            let action = crate::eks::action(&asked.parts()).map(|a| format!("eks:{a}"));
            (Call::Eks(asked), Asking { action, writes: false })
        }
        "repos" | "rate_limit" => {
            let asking = github(&asked);
            (Call::GitHub(asked), asking)
        }
        "oidc" => (Call::Oidc(asked), reads("oidc token")),
        "bucket" => (Call::Bucket(asked), reads("s3:GetObject")),
        _ => (Call::Nobody(asked), Asking { action: None, writes: false }),
    })
}

async fn collected(request: Request<Incoming>) -> Result<Asked, Broken> {
    let (head, body) = request.into_parts();
    Ok(Asked {
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        method: head.method,
        headers: head.headers,
        body: body.collect().await?.to_bytes(),
    })
}

fn reads(action: &str) -> Asking {
    Asking { action: Some(action.to_owned()), writes: false }
}

/// ECR and STS share the path `/`: ECR names its operation in a header, STS in a form or query.
fn aws(asked: Asked) -> (Call, Asking) {
    if let Some(operation) = asked.header("x-amz-target").strip_prefix(ECR).map(str::to_owned) {
        let changing = ["Create", "Put", "BatchDelete", "Delete", "Upload", "Complete", "Initiate"];
        let writes = changing.iter().any(|verb| operation.starts_with(verb));
        let action = Some(format!("ecr:{operation}"));
        return (Call::Ecr(asked, operation), Asking { action, writes });
    }
    let mut given = fields(&asked.query);
    given.extend(fields(&String::from_utf8_lossy(&asked.body).replace('+', "%20")));
    match given.get("Action").cloned() {
        Some(action) => (Call::Sts(asked, given), reads(&format!("sts:{action}"))),
        None if is_signed(&asked) => (Call::Sts(asked, given), reads("sts:")),
        None => (Call::Nobody(asked), Asking { action: None, writes: false }),
    }
}

fn is_signed(asked: &Asked) -> bool {
    asked.header("authorization").starts_with("AWS4-HMAC-SHA256")
}

fn registry(method: &Method, path: &str) -> Asking {
    let kind = match path {
        "/v2/" | "/v2" => "ping",
        _ if path.contains("/manifests/") => "manifest",
        _ if path.contains("/blobs/uploads") => "upload",
        _ if path.contains("/blobs/") => "blob",
        _ if path.ends_with("/tags/list") => "tags",
        _ => "other",
    };
    let writes = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    Asking { action: Some(format!("registry {method} {kind}")), writes }
}

/// The Kubernetes verb and resource of a path such as `/apis/apps/v1/namespaces/n/deployments/d`.
fn kube(method: &Method, path: &str, query: &str) -> Asking {
    let parts: Vec<_> = path.trim_matches('/').split('/').collect();
    let rest = match parts.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
        _ => &[],
    };
    let (resource, named) = match rest {
        ["namespaces", _, resource, _, sub, ..] => (format!("{resource}/{sub}"), true),
        ["namespaces", _, resource, named @ ..] => ((*resource).to_owned(), !named.is_empty()),
        [resource, named @ ..] => ((*resource).to_owned(), !named.is_empty()),
        [] => return reads("discover"),
    };
    let given = fields(query);
    let watches = given.get("watch").is_some_and(|w| w == "true" || w == "1");
    let (verb, changes) = match *method {
        Method::POST => ("create", true),
        Method::PUT => ("update", true),
        Method::PATCH => ("patch", true),
        Method::DELETE => ("delete", true),
        _ if watches => ("watch", false),
        _ if named => ("get", false),
        _ => ("list", false),
    };
    let review = resource.starts_with("selfsubject");
    let writes = changes && !review && !given.contains_key("dryRun");
    Asking { action: Some(format!("{verb} {resource}")), writes }
}

fn github(asked: &Asked) -> Asking {
    let parts = asked.parts();
    let what = parts.get(3).map_or("repository", String::as_str);
    let what = if parts.first().is_some_and(|p| p == "rate_limit") { "rate_limit" } else { what };
    let writes = asked.method != Method::GET;
    Asking { action: Some(format!("github {what}")), writes }
}

/// A header's value, or nothing.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The parameters of a query, decoded; the last of equal names counts.
pub(crate) fn fields(query: &str) -> Fields {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

/// Undoes percent encoding; what is not valid stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let byte = hex.and_then(|h| std::str::from_utf8(h).ok()).map(|h| u8::from_str_radix(h, 16));
        if let Some(Ok(byte)) = byte {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_paths_are_named_by_verb_and_resource() {
        let asked = |method: Method, path: &str, query: &str| {
            let asking = kube(&method, path, query);
            (asking.action.unwrap_or_default(), asking.writes)
        };
        let web = "/apis/apps/v1/namespaces/shop/deployments/web";
        assert_eq!(asked(Method::PATCH, web, ""), ("patch deployments".into(), true));
        assert_eq!(asked(Method::PATCH, web, "dryRun=All"), ("patch deployments".into(), false));
        assert_eq!(asked(Method::GET, web, ""), ("get deployments".into(), false));
        let pods = "/api/v1/namespaces/shop/pods";
        assert_eq!(asked(Method::GET, pods, "watch=true"), ("watch pods".into(), false));
        assert_eq!(
            asked(Method::GET, &format!("{pods}/a/log"), ""),
            ("get pods/log".into(), false)
        );
        assert_eq!(asked(Method::GET, "/api/v1/nodes", ""), ("list nodes".into(), false));
        assert_eq!(
            asked(Method::GET, "/api/v1/namespaces/shop", ""),
            ("get namespaces".into(), false)
        );
        let review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        assert_eq!(
            asked(Method::POST, review, ""),
            ("create selfsubjectaccessreviews".into(), false)
        );
    }

    #[test]
    fn percent_signs_that_encode_nothing_stay() {
        assert_eq!(decoded("a%2Fb%zz%"), "a/b%zz%");
    }
}
