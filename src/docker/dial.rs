//! A connection to the engine, plain or hijacked: what bollard speaks over, and what BuildKit does.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A connection that failed ends at once.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where the engine listens.
#[derive(Clone)]
pub enum Place {
    /// A socket on this machine.
    Unix(PathBuf),
    /// A port, with or without TLS.
    Tcp {
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// How to trust it, and who we are.
        tls: Option<Arc<rustls::ClientConfig>>,
    },
}

impl fmt::Debug for Place {
    /// Without the configuration of TLS, which holds a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, tls } => {
                write!(f, "tcp://{host}:{port}{}", if tls.is_some() { " with TLS" } else { "" })
            }
        }
    }
}

/// Both directions of a connection.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Place {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens, or TLS is not agreed upon.
    pub async fn connect(&self) -> io::Result<Box<dyn Wire>> {
        match self {
            Self::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Self::Tcp { host, port, tls } => {
                let plain = TcpStream::connect((host.as_str(), *port)).await?;
                plain.set_nodelay(true)?;
                let Some(tls) = tls else { return Ok(Box::new(plain)) };
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(tls));
                Ok(Box::new(connector.connect(name, plain).await?))
            }
        }
    }

    /// Sends one request over a connection of its own, which ends when the answer is read or dropped.
    ///
    /// # Errors
    /// No connection, or no whole answer.
    pub(super) async fn send<B>(&self, mut request: Request<B>) -> io::Result<Response<Incoming>>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        request.headers_mut().insert(HOST, HeaderValue::from_static("docker"));
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse();
        *request.uri_mut() = path.map_err(io::Error::other)?;
        self.ask(request).await
    }

    /// One request over a connection of its own.
    async fn ask<B>(&self, request: Request<B>) -> io::Result<Response<Incoming>>
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let wire = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(wire))
            .await
            .map_err(io::Error::other)?;
        let connection = tokio::spawn(connection.with_upgrades());
        let answered = sender.send_request(request).await;
        drop(sender);
        match answered {
            Ok(response) => Ok(response),
            // An engine that hangs up before it is asked, as one does that does not know us, says why to the
            // connection; the request only knows that there was none.
            Err(error) => match tokio::time::timeout(FAREWELL, connection).await {
                Ok(Ok(Err(cause))) => Err(io::Error::other(cause)),
                _ => Err(io::Error::other(error)),
            },
        }
    }

    /// Asks the engine for the connection itself, to speak HTTP/2 over it.
    ///
    /// # Errors
    /// No connection, or an engine that does not give it away.
    pub async fn hijack(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> io::Result<TokioIo<Upgraded>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, "docker")
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "h2c");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(io::Error::other)?;
            request = request.header(name, HeaderValue::from_str(value).map_err(io::Error::other)?);
        }
        let request = request.body(Empty::<bytes::Bytes>::new()).map_err(io::Error::other)?;
        let response = self.ask(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(io::Error::other(format!("{path} answered {}", response.status())));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(io::Error::other)?;
        Ok(TokioIo::new(upgraded))
    }
}
