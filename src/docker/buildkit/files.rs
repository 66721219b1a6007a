//! Answers a builder that wants to see a folder: tells of its files in order, and sends those that
//! it asks for. The protocol is fsutil's, which BuildKit calls `DiffCopy`.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc::{self, Receiver};
use tonic::Status;
use tonic::body::Body;

use super::packet::{self, Asked};
use super::reading::{READERS, Reading};
use super::tasks::Starter;
use crate::error::Failure;
use crate::recipe::{Pick, Tree};

/// How many pieces wait for the connection, 64 KiB each.
const WAITING: usize = 16;

/// The folders that a builder may see.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// By the name that it asks for them with.
    pub(super) trees: BTreeMap<&'static str, Tree>,
    /// Why one could not be sent.
    pub(super) trouble: Arc<Mutex<Option<Failure>>>,
}

impl Folders {
    /// Answers a call of `DiffCopy`.
    pub(super) fn answer<B>(&self, request: Request<B>, starter: &Starter) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display,
    {
        let name = values(request.headers(), "dir-name").into_iter().next().unwrap_or_default();
        let Some(tree) = self.trees.get(name.as_str()) else {
            return Status::not_found(format!("no folder {name:?} is sent")).into_http();
        };
        let pick = Pick {
            include: values(request.headers(), "include-patterns"),
            exclude: values(request.headers(), "exclude-patterns"),
            follow: values(request.headers(), "followpaths"),
        };
        let reading = Arc::new(Reading::new(tree.clone(), Arc::clone(&self.trouble)));
        let (pieces, waiting) = mpsc::channel(WAITING);
        let walker = (Arc::clone(&reading), pieces.clone());
        tokio::task::spawn_blocking(move || walker.0.walk(&pick, &walker.1));
        for _ in 0..READERS {
            let reader = (Arc::clone(&reading), pieces.clone());
            tokio::task::spawn_blocking(move || reader.0.read(&reader.1));
        }
        // Made here: a task that is given up before it begins would let nobody go.
        let asking = Asking(reading);
        starter.start(async move {
            let mut last = BytesMut::new();
            if let Err(words) = listen(request.into_body(), &asking.0).await {
                packet::error(&mut last, &words);
            } else {
                packet::fin(&mut last);
            }
            // The answer has ended if nobody takes it.
            drop(pieces.send(last.freeze()).await);
        });
        let mut response = Response::new(Body::new(Answer { waiting, ended: false }));
        let kind = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
        response
    }
}

/// Lets the readers go, however the listening ends.
struct Asking(Arc<Reading>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Passes on what is asked for, until nothing more is.
async fn listen<B>(mut body: B, reading: &Reading) -> Result<(), String>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut come = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() else { continue };
        come.extend_from_slice(&bytes);
        while let Some(asked) = packet::take(&mut come)? {
            match asked {
                Asked::File(id) => reading.ask(id),
                Asked::Fin => return Ok(()),
                Asked::Error(words) => return Err(words),
            }
        }
    }
    Err("the builder went away".into())
}

/// The values of a key, which may be written in percent signs.
fn values(headers: &HeaderMap, key: &str) -> Vec<String> {
    let encoded = headers
        .get(format!("{key}-encoded"))
        .is_some_and(|value| matches!(value.as_bytes(), b"1" | b"t" | b"T" | b"true" | b"TRUE"));
    let texts = headers.get_all(key).iter().map(HeaderValue::as_bytes);
    let decode = |text: &[u8]| {
        let text = String::from_utf8_lossy(text).into_owned();
        if !encoded {
            return text;
        }
        // As a query is written: a plus sign is a space.
        let pair = format!("={text}");
        let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
        decoded.map_or(text, |(_, value)| value.into_owned())
    };
    texts.map(decode).collect()
}

/// The body of the answer: pieces as they come, then how it ended.
struct Answer {
    waiting: Receiver<Bytes>,
    ended: bool,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.waiting.poll_recv(cx).map(|piece| {
            Some(Ok(piece.map_or_else(
                || {
                    self.ended = true;
                    let status = HeaderValue::from_static("0");
                    Frame::trailers(HeaderMap::from_iter([(Status::GRPC_STATUS, status)]))
                },
                Frame::data,
            )))
        })
    }
}
