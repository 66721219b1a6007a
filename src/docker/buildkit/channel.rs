//! BuildKit's own service, over a connection that the engine gave away: we are its client.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use tonic::body::Body;

use super::super::Place;
use super::tasks::Tasks;

/// An error's details hold the whole Dockerfile and more, and they come as a header.
const LONGEST_HEADERS: u32 = 16 << 20;
/// A status may tell of many steps at once.
const LONGEST_MESSAGE: usize = 64 << 20;

/// How much may wait to be heard. A chatty step comes in many small frames, which h2 would take for an
/// attack if more than half of the connection's window could wait in them.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 64 << 20;

/// The service, to be asked.
pub(super) type Control = ControlClient<Channel>;

/// One connection, which carries several calls at once.
#[derive(Clone, Debug)]
pub(super) struct Channel(SendRequest<Body>);

impl tower::Service<http::Request<Body>> for Channel {
    type Response = http::Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Connects to the builder in the engine.
pub(super) async fn open(place: &Place, tasks: &Tasks) -> io::Result<Control> {
    let wire = place.hijack("/grpc", &[]).await?.into_inner();
    let (sender, connection) = Builder::new(tasks.starter())
        .max_header_list_size(LONGEST_HEADERS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .handshake(wire)
        .await
        .map_err(io::Error::other)?;
    // How it ends is told by the call that it ends.
    tasks.starter().start(async move { drop(connection.await) });
    let origin = http::Uri::from_static("http://docker");
    Ok(Control::with_origin(Channel(sender), origin).max_decoding_message_size(LONGEST_MESSAGE))
}
