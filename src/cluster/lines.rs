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

/// What comes next of a body.
pub(super) enum Next {
    /// A whole line.
    Line(Bytes),
    /// Nothing came for as long as it may take.
    Silence,
    /// The stream ended or was cut.
    End,
}

/// A body, read by lines.
pub(super) struct Lines {
    body: Body,
    held: BytesMut,
    /// How much of `held` has no line end.
    searched: usize,
    idle: Duration,
}

impl Lines {
    /// Reads lines of `body`; what takes longer than `idle` to come is silence.
    pub(super) fn of(body: Body, idle: Duration) -> Self {
        Self { body, held: BytesMut::new(), searched: 0, idle }
    }

    /// What comes next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Next, Wrong> {
        loop {
            if let Some(line) = self.held_line() {
                return Ok(Next::Line(line));
            }
            if self.held.len() > LONGEST {
                return Err(Wrong::Garbled("a line of its answer has no end".into()));
            }
            match timeout(self.idle, self.body.frame()).await {
                Ok(Some(Ok(frame))) => self.held.extend(frame.into_data()),
                Ok(Some(Err(_)) | None) => return Ok(Next::End),
                Err(_) => return Ok(Next::Silence),
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
