//! The protocol over a pipe with a receiver of our own, progress and causes from what builders said.

mod absent;
mod asking;
mod bases;
mod causes;
mod folding;
mod kept;
mod places;
mod stages;
mod transfer;

use std::collections::BTreeMap;
use std::sync::Arc;

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};
use hyper_util::rt::TokioIo;
use tonic::body::Body;

use super::answers::Answers;
use super::files::Folders;
use super::session::{Services, serve};
use super::tasks::Tasks;
use crate::docker::{Login, Order};
use crate::recipe::Tree;

/// An order with nothing in it but its places.
fn order() -> Order {
    Order { context: "/src".into(), file: "/src/Dockerfile".into(), ..Order::default() }
}

fn login(host: &str) -> Login {
    Login { host: host.into(), user: "me".into(), password: "s3cr3t".into(), is_ours: false }
}

/// A session whose other end is a pipe, as an engine has it.
struct Pipe {
    services: Services,
    channel: Channel,
    _tasks: Tasks,
}

#[derive(Clone)]
struct Channel(hyper::client::conn::http2::SendRequest<Body>);

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn origin() -> http::Uri {
    http::Uri::from_static("http://session")
}

impl Pipe {
    async fn open(context: &std::path::Path, order: &Order) -> Self {
        let trees = BTreeMap::from([("context", Tree::open(context).unwrap())]);
        let services = Services {
            folders: Folders { trees, trouble: Arc::default() },
            answers: Answers::new(order.secrets.clone(), order.logins.clone()),
        };
        let tasks = Tasks::default();
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let starter = tasks.starter();
        tasks.starter().start(serve(TokioIo::new(ours), services.clone(), starter));
        let (sender, connection) =
            hyper::client::conn::http2::handshake(tasks.starter(), TokioIo::new(theirs))
                .await
                .unwrap();
        tasks.starter().start(async move { drop(connection.await) });
        Self { services, channel: Channel(sender), _tasks: tasks }
    }
}

fn at(millis: i64) -> Option<Timestamp> {
    let nanos = i32::try_from(millis % 1000).unwrap() * 1_000_000;
    Some(Timestamp { seconds: millis / 1000, nanos })
}

/// A step by its name, which is its digest too, begun and ended at these milliseconds.
fn vertex(name: &str, began: Option<i64>, ended: Option<i64>) -> Vertex {
    Vertex {
        digest: name.into(),
        name: name.into(),
        started: began.and_then(at),
        completed: ended.and_then(at),
        ..Vertex::default()
    }
}

fn wrote(step: &str, text: &str) -> StatusResponse {
    let log = VertexLog { vertex: step.into(), msg: text.into(), ..VertexLog::default() };
    StatusResponse { logs: vec![log], ..StatusResponse::default() }
}

fn told(vertexes: Vec<Vertex>) -> StatusResponse {
    StatusResponse { vertexes, ..StatusResponse::default() }
}
