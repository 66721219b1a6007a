//! A plain HTTP client for the tests, with a SigV4 signer that the sandbox's author did not write.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use slipway_sandbox::Sandbox;
use tokio::net::TcpStream;

/// What came back, read to the end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
    }
}

/// A key and its owner's clock.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) region: String,
    pub(crate) ahead: Duration,
}

impl Signer {
    /// The first user of the world.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        let user = sandbox.world(|world| world.users[0].clone());
        let region = "ap-northeast-2".into();
        Self { key: user.key, secret: user.secret, token: None, region, ahead: Duration::ZERO }
    }

    /// Signs and sends one request.
    pub(crate) async fn send(
        &self,
        sandbox: &Sandbox,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply, hyper::Error> {
        let signed = self.signed(sandbox, service, method, path, headers, body);
        let all: Vec<_> =
            signed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        send(sandbox, method, path, &all, body.to_owned()).await
    }

    /// The headers of a request with its signature.
    pub(crate) fn signed(
        &self,
        sandbox: &Sandbox,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Vec<(String, String)> {
        let url = format!("{}{path}", sandbox.url());
        let identity =
            Credentials::new(&self.key, &self.secret, self.token.clone(), None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now() + self.ahead)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let body = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method, &url, headers.iter().copied(), body);
        let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        let all = headers.iter().copied().chain(instructions.headers());
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// One operation of ECR.
    pub(crate) async fn ecr(&self, sandbox: &Sandbox, operation: &str, body: &Value) -> Reply {
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{operation}");
        let headers =
            [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.1")];
        self.send(sandbox, "ecr", "POST", "/", &headers, &body.to_string()).await.unwrap()
    }

    /// One action of STS, answered as JSON for the tests' sake.
    pub(crate) async fn sts(&self, sandbox: &Sandbox, form: &str) -> Reply {
        let form = format!("{form}&Version=2011-06-15");
        let headers =
            [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
        self.send(sandbox, "sts", "POST", "/", &headers, &form).await.unwrap()
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Reply, hyper::Error> {
    let host = sandbox.url().replace("http://", "");
    let stream = TcpStream::connect(&host).await.unwrap();
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", &host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::new(body.into())).unwrap()).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
}
