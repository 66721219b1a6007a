//! The one door to the API server: token, timeouts, and the bounded retries of reads.
//!
//! Nothing is ever sent twice here unless the first certainly did nothing.

use crate::error::Failure;

use super::access::{Access, Token};

/// The connection and its token.
pub(super) struct Wire {
    /// Where it goes and who asks.
    pub(super) access: Access,
    #[expect(dead_code, reason = "asked for from the first request on")]
    token: Token,
}

impl Wire {
    /// Prepares the connection.
    pub(super) fn new(access: Access, token: Token) -> Result<Self, Failure> {
        Ok(Self { access, token })
    }
}
