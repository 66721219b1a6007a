//! A config or a layer that waits to be sent, and a fresh, checked reading of it for each attempt.

use bytes::Bytes;

use crate::names::Digest;

/// What a blob is to its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The config.
    Config,
    /// A layer.
    Layer,
}

/// Something to be stored under its digest.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its name.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// Config or layer.
    pub kind: Kind,
}

/// The pieces of a blob, in order.
#[derive(Debug)]
pub struct Pieces {
    next: Option<Bytes>,
}

impl Pieces {
    /// The next piece.
    pub fn take(&mut self) -> Option<Bytes> {
        self.next.take()
    }
}
