//! A session: a connection over which the builder asks us. We are its server.

use std::convert::Infallible;
use std::io;

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body as HttpBody;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use tonic::Status;
use tonic::body::Body;
use tower::Service as _;

use super::super::Place;
use super::answers::Answers;
use super::files::Folders;
use super::tasks::{Starter, Tasks};

/// What the builder is told that it may call.
const METHODS: &[&str] = &[
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/grpc.health.v1.Health/Check",
];
/// How much waits for the engine to read on, of each answer.
const SEND_BUFFER: usize = 1 << 20;
/// How much an engine may say before it is read. It asks for each of 100,000 files in a frame of its own,
/// of some 11 bytes: h2 takes many small ones that wait for an attack and hangs up, so what may wait is
/// little, and what is suspicious, which h2 counts by half the connection's window, is more than that.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// What there is to ask for.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) folders: Folders,
    pub(super) answers: Answers,
}

/// Opens a session of this id. Builders that see the same key again expect the same folder, and
/// ask only for what has changed in it.
pub(super) async fn open(
    place: &Place,
    tasks: &Tasks,
    services: Services,
    id: &str,
    key: &str,
) -> io::Result<()> {
    let mut headers = vec![
        ("X-Docker-Expose-Session-Uuid", id),
        ("X-Docker-Expose-Session-Name", "slipway"),
        ("X-Docker-Expose-Session-Sharedkey", key),
    ];
    for method in METHODS {
        headers.push(("X-Docker-Expose-Session-Grpc-Method", method));
    }
    let wire = place.hijack("/session", &headers).await?.into_inner();
    let starter = tasks.starter();
    tasks.starter().start(serve(wire, services, starter));
    Ok(())
}

/// Serves until the connection ends; the build tells why it did.
pub(super) async fn serve<W>(wire: W, services: Services, starter: Starter)
where
    W: hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
{
    let service = service_fn({
        let starter = starter.clone();
        move |request| {
            let (services, starter) = (services.clone(), starter.clone());
            async move { Ok::<_, Infallible>(services.answer(request, &starter).await) }
        }
    });
    let connection = Builder::new(starter)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .serve_connection(wire, service);
    drop(connection.await);
}

impl Services {
    async fn answer<B>(&self, request: Request<B>, starter: &Starter) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + std::fmt::Display + Send,
    {
        let answers = self.answers.clone();
        let path = request.uri().path();
        let service = path.rsplit_once('/').map_or("", |(service, _)| service);
        let answered = match service {
            "/moby.filesync.v1.FileSync" if path.ends_with("/DiffCopy") => {
                Ok(self.folders.answer(request, starter))
            }
            "/moby.filesync.v1.Auth" => AuthServer::new(answers).call(request).await,
            "/moby.buildkit.secrets.v1.Secrets" => SecretsServer::new(answers).call(request).await,
            "/grpc.health.v1.Health" => HealthServer::new(answers).call(request).await,
            _ => Ok(Status::unimplemented("not served").into_http()),
        };
        answered.unwrap_or_else(|never: Infallible| match never {})
    }
}
