//! Answers and the bodies they carry, the same for every service.

use std::error::Error;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;

/// What ends a connection without an answer.
pub(crate) type Broken = Box<dyn Error + Send + Sync>;

/// The body of an answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, Broken>;

/// An answer.
pub(crate) type Answer = Response<Body>;

/// A body that is known whole.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a body of this type; a status that does not exist is a 500.
pub(crate) fn answer(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(whole(body));
    *answer.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    if !media_type.is_empty() {
        set(&mut answer, "content-type", media_type);
    }
    answer
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &Value) -> Answer {
    answer(status, "application/json", body.to_string())
}

/// Sets a header; one that HTTP cannot carry is left out.
pub(crate) fn set(answer: &mut Answer, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
        answer.headers_mut().insert(name, value);
    }
}

/// Whether the answer has a media type yet.
pub(crate) fn is_typed(answer: &Answer) -> bool {
    answer.headers().contains_key(CONTENT_TYPE)
}

/// The same answer, whose body ends in a broken connection after so many bytes.
pub(crate) fn cut(answer: Answer, after: u64) -> Answer {
    answer.map(|body| shortened(body, after, false))
}

/// The same answer, whose body goes silent after so many bytes.
pub(crate) fn stalled(answer: Answer, after: u64) -> Answer {
    answer.map(|body| shortened(body, after, true))
}

fn shortened(body: Body, after: u64, silent: bool) -> Body {
    let frames = stream::unfold((body, Some(after)), move |(mut body, left)| async move {
        let Some(left @ 1..) = left else {
            if silent {
                std::future::pending::<()>().await;
            }
            // `None` marks that the break was already reported.
            return left.map(|_| (Err("cut by a fault".into()), (body, None)));
        };
        let mut data = match body.frame().await? {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(broken) => return Some((Err(broken), (body, None))),
        };
        data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - data.len() as u64;
        Some((Ok(Frame::data(data)), (body, Some(left))))
    });
    StreamBody::new(frames).boxed_unsync()
}
