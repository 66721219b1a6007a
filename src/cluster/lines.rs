//! The lines of a watch: whole ones only, each within a time.
//!
//! A line that was cut off is none: whoever reads asks again from the last whole one.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use kube::client::Body;
use tokio::time::timeout;

use super::wrong::Wrong;

/// An object may have 1.5 MB in etcd; what is longer than this is none.
const LONGEST: usize = 8 << 20;

/// A body, read by lines.
pub(super) struct Lines {
    body: Body,
    held: BytesMut,
    /// How much of `held` has no line end.
    searched: usize,
    idle: Duration,
}

impl Lines {
    /// Reads lines of `body`; one that takes longer than `idle` to come is not waited for.
    pub(super) fn of(body: Body, idle: Duration) -> Self {
        Self { body, held: BytesMut::new(), searched: 0, idle }
    }

    /// The next whole line; `None` where the stream ends or is cut.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Wrong> {
        loop {
            if let Some(line) = self.held_line() {
                return Ok(Some(line));
            }
            if self.held.len() > LONGEST {
                return Err(Wrong::Garbled("a line of its answer has no end".into()));
            }
            let silent =
                || Wrong::Cut(format!("it said nothing for {} s", self.idle.as_secs_f32()));
            match timeout(self.idle, self.body.frame()).await.map_err(|_| silent())? {
                Some(Ok(frame)) => self.held.extend(frame.into_data()),
                Some(Err(_)) | None => return Ok(None),
            }
        }
    }

    fn held_line(&mut self) -> Option<Bytes> {
        let found = self.held[self.searched..].iter().position(|b| *b == b'\n');
        let Some(end) = found.map(|at| self.searched + at) else {
            self.searched = self.held.len();
            return None;
        };
        let mut line = self.held.split_to(end + 1);
        line.truncate(end);
        self.searched = 0;
        Some(line.freeze())
    }
}
