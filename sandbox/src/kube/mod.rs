//! The Kubernetes API of the sandbox. A stand-in until the real one is merged: it says who called.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};

/// Who calls the API server, as its authenticator found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user name.
    pub name: String,
    /// The groups the user is in.
    pub groups: Vec<String>,
}

/// The cluster.
#[derive(Clone, Default)]
pub struct Kube {}

impl Kube {
    /// An empty cluster.
    #[must_use]
    pub fn new() -> Self {
        Self {}
    }

    /// Answers one request of the Kubernetes API.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        let caller = request.extensions().get::<Caller>().map(|c| c.name.clone());
        let said = serde_json::json!({ "path": request.uri().path(), "caller": caller });
        Response::new(Full::new(Bytes::from(said.to_string())).boxed())
    }
}
