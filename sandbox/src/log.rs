//! What was asked of the sandbox, in order of arrival: the witness of the stories.
//!
//! A request is noted when it arrives and its answer when it is decided, so a request that never
//! got an answer is seen too.

use std::sync::Mutex;

use crate::world::hold;

/// One request that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its question mark; empty if there is none.
    pub query: String,
    /// What it asks for, where that is known: `ecr:BatchGetImage`, `registry PUT manifest`,
    /// `patch deployments`, `github compare`.
    pub action: Option<String>,
    /// The status that was sent, or 0 while no answer was sent.
    pub status: u16,
    /// The caller's user agent, or nothing.
    pub from: String,
    /// Whether it changed something. A dry run does not, a refused request does not, and a request
    /// whose answer was lost after it was applied does.
    pub wrote: bool,
}

/// All requests since the start.
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<Request>>);

impl Log {
    /// Notes an arrival and says under which number its answer is noted.
    pub(crate) fn arrived(&self, request: Request) -> usize {
        let mut all = hold(&self.0);
        all.push(request);
        all.len() - 1
    }

    /// Notes that a request was applied.
    pub(crate) fn wrote(&self, number: usize) {
        if let Some(request) = hold(&self.0).get_mut(number) {
            request.wrote = true;
        }
    }

    /// Notes the answer that is sent.
    pub(crate) fn answered(&self, number: usize, status: u16) {
        if let Some(request) = hold(&self.0).get_mut(number) {
            request.status = status;
        }
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Request> {
        hold(&self.0).clone()
    }
}
