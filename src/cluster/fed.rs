//! What following the API server says: to whoever watches, and among those who follow.

use std::time::Instant;

use crate::error::{Failure, Unseen};
use crate::rollout::Seen;

/// One thing that the feed says.
#[derive(Clone, Debug)]
pub enum Fed {
    /// The API server said something.
    Seen(Seen),
    /// Something needed cannot be read, and could not since then. It goes on trying.
    Lost {
        /// What: "pods".
        what: String,
        /// "pods cannot be read: connection refused".
        text: String,
        /// When it was surely heard the last time.
        since: Instant,
    },
    /// It can be read again, and what is there by now was said: "pods".
    Found(String),
    /// Something cannot be read for a while: "pods cannot be read since 12 s: connection refused". It goes on trying.
    Trouble(String),
    /// After trouble, it can be read again: "pods".
    Again(String),
    /// Everything needed was read anew since that was asked for, and what was news in it was said.
    Confirmed,
    /// Something optional cannot be read at all; the rest goes on.
    Unseen(Unseen),
    /// Something needed can no longer be read, and trying again is useless: 401 twice, 403.
    Ended(Failure),
}

/// What one who follows says.
#[derive(Debug)]
pub(super) enum Said {
    /// To whoever watches.
    Fed(Fed),
    /// This kind was listed after so many had asked for it.
    Read(&'static str, u64),
}
