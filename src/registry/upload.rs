//! One blob into the repository: a session, one streaming PATCH, and the PUT that names it.
//!
//! A session is never resumed. ECR reports a stuck range after a part and refuses a second first
//! byte with 416, so each attempt begins a new one and reads the blob again from its start.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Body, Response, StatusCode, Url};
use tokio::time::Instant;

use super::Progress;
use super::answer::{Again, Asked, Passing, Refusal, Trouble, elsewhere};
use super::read::digest_of;
use super::wire::{Answer, Listener, SMALL, Sent, Wire};
use crate::error::Failure;
use crate::image::{Blob, Broken, Kind};
use crate::names::{Digest, Repository};

/// How a blob came to be in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It was there after all, or was mounted from a repository beside it.
    Reused,
    /// Its bytes were sent.
    Sent,
}

impl Wire {
    /// Brings a blob into the repository; `mounts` may have it already.
    pub(super) async fn upload(
        &self,
        blob: &Blob,
        mounts: &[Repository],
        listener: Listener<'_>,
    ) -> Result<Came, Failure> {
        let what = named(blob);
        let from = self.mountable(blob, mounts).await;
        let renewed = AtomicBool::new(false);
        let came = self
            .patiently(&what, true, self.pace.blob, listener, |attempt| {
                // Mounting is tried once: where it fails, the bytes go over the wire.
                let from = from.filter(|_| attempt == 1);
                self.attempt(blob, from, (attempt, &renewed), listener)
            })
            .await?;
        listener(Progress::Stored { what: &what });
        Ok(came)
    }

    /// The first repository that has the blob; one that may not be read has not.
    async fn mountable<'a>(&self, blob: &Blob, mounts: &'a [Repository]) -> Option<&'a Repository> {
        for from in mounts.iter().filter(|from| **from != self.at.repository) {
            if matches!(self.has_blob(from, &blob.digest).await, Ok(true)) {
                return Some(from);
            }
        }
        None
    }

    async fn attempt(
        &self,
        blob: &Blob,
        from: Option<&Repository>,
        (attempt, renewed): (u32, &AtomicBool),
        listener: Listener<'_>,
    ) -> Result<Came, Trouble> {
        // An attempt whose answer was lost may have landed.
        if attempt > 1 && self.has_blob(&self.at.repository, &blob.digest).await? {
            return Ok(Came::Reused);
        }
        let what = named(blob);
        let mount = from.map(|from| (&blob.digest, from));
        let Some(session) = self.begin(&what, mount).await? else {
            return Ok(Came::Reused);
        };
        let meter = Arc::new(Meter::default());
        let pieces = stream::unfold(blob.read(), |mut pieces| async {
            let piece = pieces.next().await?.map_err(Broken::Final);
            Some((piece, pieces))
        });
        let sent = self.patch(&what, session, (pieces, &meter), renewed, listener).await;
        let session = sent.map_err(|trouble| so_far(trouble, &meter, blob))?;
        self.complete(&blob.digest, session).await?;
        Ok(Came::Sent)
    }

    /// Begins a session, or mounts: then there is nothing left to do.
    pub(super) async fn begin(
        &self,
        what: &str,
        mount: Option<(&Digest, &Repository)>,
    ) -> Result<Option<Url>, Trouble> {
        let mut url = self.url("blobs/uploads/")?;
        if let Some((digest, from)) = mount {
            let mut query = url.query_pairs_mut();
            query.append_pair("mount", digest.as_str()).append_pair("from", from.as_str());
        }
        let request = || self.http.post(url.clone()).header(CONTENT_LENGTH, 0).timeout(SMALL);
        let response = self.accepted(Asked::Begin, self.send(Asked::Begin, request).await?)?;
        if mount.is_some() && response.status() == StatusCode::CREATED {
            return Ok(None);
        }
        match self.location(what, &url, response.headers())? {
            Some(session) => Ok(Some(session)),
            None => Err(self.cut(format!("`{}` began an upload without a location", self.at.host))),
        }
    }

    /// Sends a blob as one stream, and yields where the session is then.
    pub(super) async fn patch(
        &self,
        what: &str,
        session: Url,
        (pieces, meter): (impl Stream<Item = Result<Bytes, Broken>> + Send + 'static, &Arc<Meter>),
        renewed: &AtomicBool,
        listener: Listener<'_>,
    ) -> Result<Url, Trouble> {
        let request = self
            .http
            .patch(session.clone())
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(body(pieces, Arc::clone(meter)));
        let sent = tokio::select! {
            sent = self.send_once(request) => sent,
            () = self.stalled(what, meter, listener) => {
                Err(self.cut(format!("`{}` took nothing any more", self.at.host)))
            }
        };
        // What was wrong with the blob itself shows as a broken connection otherwise.
        if let Some(failure) = meter.failure() {
            return Err(failure.into());
        }
        let sent = sent?;
        let answer = match sent {
            Sent::Answered(answer) => answer,
            Sent::Expired(_, refusal) if renewed.swap(true, Ordering::Relaxed) => {
                return Err(refusal.told(Asked::Part, &self.at).into());
            }
            Sent::Expired(generation, refusal) => {
                self.renew(generation).await?;
                return Err(self.cut(format!("`{}` {}", self.at.host, refusal.said())));
            }
        };
        let response = self.accepted(Asked::Part, answer)?;
        if !meter.finished.load(Ordering::Acquire) {
            let sent = meter.sent();
            return Err(self.cut(format!("`{}` answered after {sent} bytes", self.at.host)));
        }
        let next = self.location(what, &session, response.headers())?;
        Ok(next.unwrap_or(session))
    }

    /// Gives a session's bytes their name.
    pub(super) async fn complete(&self, digest: &Digest, mut session: Url) -> Result<(), Trouble> {
        session.query_pairs_mut().append_pair("digest", digest.as_str());
        let request = || {
            let put = self.http.put(session.clone());
            put.header(CONTENT_LENGTH, 0).timeout(self.pace.answer)
        };
        let answer = self.send(Asked::Complete, request).await;
        let response = self.accepted(Asked::Complete, answer?)?;
        match digest_of(response.headers()) {
            Some(stored) if stored != *digest => {
                Err(self.cut(format!("`{}` stored it as {}", self.at.host, stored.short())))
            }
            _ => Ok(()),
        }
    }

    /// The response of a step of the session, or why there is none: lost sessions are begun again.
    fn accepted(&self, asked: Asked, answer: Answer) -> Result<Response, Trouble> {
        match answer {
            Answer::Good(response) => Ok(response),
            Answer::Refused(refusal) if of_lost_session(&refusal) => {
                Err(self.cut(format!("`{}` {}", self.at.host, refusal.said())))
            }
            Answer::Refused(refusal) => Err(refusal.told(asked, &self.at).into()),
        }
    }

    /// Where the session goes on: on the registry's own origin, since our login goes with it.
    fn location(
        &self,
        what: &str,
        asked: &Url,
        headers: &HeaderMap,
    ) -> Result<Option<Url>, Trouble> {
        let Some(location) = headers.get(LOCATION) else { return Ok(None) };
        let url = location.to_str().ok().and_then(|text| asked.join(text).ok());
        match url {
            Some(url) if url.origin() == self.base.origin() => Ok(Some(url)),
            Some(url) => Err(elsewhere(what, &url, &self.at).into()),
            None => Err(self.cut(format!("`{}` gave a location that is no URL", self.at.host))),
        }
    }

    fn cut(&self, said: String) -> Trouble {
        Trouble::Again(Again { kind: Passing::Cut, said, after: None })
    }

    /// Tells how far the blob has come, and ends when nothing moves for too long.
    async fn stalled(&self, what: &str, meter: &Meter, listener: Listener<'_>) {
        let tick = (self.pace.stall / 4).min(Duration::from_millis(500));
        let (mut last, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(tick).await;
            let sent = meter.sent();
            if sent != last {
                listener(Progress::Sent { what, bytes: sent });
            }
            // Bytes that are not there yet are not the registry's to take.
            if sent != last || meter.starved.load(Ordering::Relaxed) {
                (last, since) = (sent, Instant::now());
            }
            let all = meter.finished.load(Ordering::Acquire);
            let limit = if all { self.pace.answer } else { self.pace.stall };
            if since.elapsed() >= limit {
                return;
            }
        }
    }
}

/// A blob as messages name it.
pub(super) fn named(blob: &Blob) -> String {
    let kind = match blob.kind {
        Kind::Config => "config",
        Kind::Layer => "layer",
    };
    format!("{kind} {}", blob.digest.short())
}

/// Whether another session may do better: 404 without a word is a session that is gone.
fn of_lost_session(refusal: &Refusal) -> bool {
    let gone = refusal.status == StatusCode::NOT_FOUND && !refusal.is_of_repository();
    gone || refusal.is_of_session()
}

/// Adds how far the blob came to what went wrong.
fn so_far(trouble: Trouble, meter: &Meter, blob: &Blob) -> Trouble {
    match trouble {
        Trouble::Again(again) => {
            let said = format!("{}, after {} of {} bytes", again.said, meter.sent(), blob.size);
            Trouble::Again(Again { said, ..again })
        }
        done @ Trouble::Final(_) => done,
    }
}

/// What the connection has taken of a blob.
#[derive(Debug, Default)]
pub(super) struct Meter {
    sent: AtomicU64,
    /// It would take more if there were any.
    starved: AtomicBool,
    /// All of it, and it was what its digest says.
    finished: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

impl Meter {
    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
    }

    fn failed(&self, failure: Failure) {
        *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(failure);
    }
}

/// A body of unknown length, so that it is sent in chunks and can be broken off: an error in place
/// of its end closes the connection, and the session is never completed.
fn body(
    pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static,
    meter: Arc<Meter>,
) -> Body {
    let pieces = Box::pin(pieces);
    Body::wrap_stream(stream::unfold((pieces, meter), |(mut pieces, meter)| async move {
        meter.starved.store(true, Ordering::Relaxed);
        let piece = pieces.next().await;
        meter.starved.store(false, Ordering::Relaxed);
        match piece {
            Some(Ok(piece)) => {
                meter.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Some((Ok(piece), (pieces, meter)))
            }
            Some(Err(broken)) => {
                if let Broken::Final(failure) = broken {
                    meter.failed(failure);
                }
                Some((Err(io::Error::other("the blob is not what it says")), (pieces, meter)))
            }
            None => {
                meter.finished.store(true, Ordering::Release);
                None
            }
        }
    }))
}
