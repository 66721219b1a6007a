//! A config or a layer that waits to be sent, and a fresh, checked reading of it for each attempt.
//!
//! A reading hashes what it hands out and ends with an error instead of an end when the bytes are
//! not the digest's, so that what was sent can never be completed under a wrong name.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::inspect::Descriptor;
use super::wrong;
use crate::error::Failure;
use crate::names::Digest;

/// Pieces that may wait between the disk and the network, for each reading.
const WAITING: usize = 4;

/// The length of a piece.
const PIECE: usize = 256 * 1024;

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
    /// What the manifest says it is.
    pub media_type: String,
    /// The file it was found in, for messages.
    pub(super) place: Arc<str>,
    pub(super) content: Content,
}

impl Blob {
    /// A blob whose bytes are fetched by whoever knows where they are, anew for each reading. The one who
    /// opens it checks them.
    #[must_use]
    pub fn elsewhere(named: &Descriptor, kind: Kind, place: &str, open: Opener) -> Self {
        Self {
            digest: named.digest.clone(),
            size: named.size,
            kind,
            media_type: named.media_type.clone(),
            place: place.into(),
            content: Content::Elsewhere { open, size: named.size },
        }
    }

    /// Reads the blob from its beginning, as often as it is asked: each attempt needs its own.
    ///
    /// Must be called on a tokio runtime. Dropping the pieces ends the reading.
    #[must_use]
    pub fn read(&self) -> Pieces {
        if let Content::Elsewhere { open, .. } = &self.content {
            return (open.0)();
        }
        let (to, pieces) = mpsc::channel(WAITING);
        let blob = self.clone();
        tokio::task::spawn_blocking(move || blob.send(&to));
        Pieces(pieces)
    }

    /// Sends the pieces until the end, a failure, or until nobody listens any more.
    fn send(&self, to: &mpsc::Sender<Result<Bytes, Failure>>) {
        let mut reader = self.content.reader();
        let rack = Rack::new();
        let mut hash = Sha256::new();
        let mut left = self.size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = match rack.piece(&mut reader, most) {
                Ok(piece) if piece.is_empty() => break,
                Ok(piece) => piece,
                Err(error) => {
                    let _ = to.blocking_send(Err(wrong::unreadable(&self.place, &error)));
                    return;
                }
            };
            hash.update(&piece);
            left -= piece.len() as u64;
            if to.blocking_send(Ok(piece)).is_err() {
                return;
            }
        }
        let read = Digest::finish(hash);
        if left > 0 || read != self.digest {
            let _ = to.blocking_send(Err(wrong::digest(&self.place, &self.digest, &read)));
        }
    }
}

/// The buffers of one reading. Each comes back when its piece has been sent: a new one for each piece costs the
/// kernel more, in pages that it clears and takes away again, than the hash does.
struct Rack {
    home: Sender<Vec<u8>>,
    idle: Receiver<Vec<u8>>,
}

/// A buffer on its way, of which this many bytes are filled.
struct Lent {
    buffer: Vec<u8>,
    filled: usize,
    home: Sender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // The reading may be over: then nobody wants it.
        let _ = self.home.send(std::mem::take(&mut self.buffer));
    }
}

impl Rack {
    fn new() -> Self {
        let (home, idle) = std::sync::mpsc::channel();
        Self { home, idle }
    }

    /// The next piece, of `most` bytes unless the end comes before.
    fn piece(&self, reader: &mut impl Read, most: usize) -> io::Result<Bytes> {
        let mut buffer = self.idle.try_recv().unwrap_or_else(|_| vec![0; PIECE]);
        let mut filled = 0;
        while filled < most {
            match reader.read(&mut buffer[filled..most]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Bytes::from_owner(Lent { buffer, filled, home: self.home.clone() }))
    }
}

/// The pieces of a blob, in order.
#[derive(Debug)]
pub struct Pieces(mpsc::Receiver<Result<Bytes, Failure>>);

impl Pieces {
    /// Pieces that somebody else sends: a failure in place of the end says that they are not all, or not
    /// what they should be.
    #[must_use]
    pub fn sent(pieces: mpsc::Receiver<Result<Bytes, Failure>>) -> Self {
        Self(pieces)
    }

    /// The next piece, or a failure in place of the end when the bytes are not the digest's.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        self.0.recv().await
    }
}

/// Begins a reading of bytes that are not on this machine.
#[derive(Clone)]
pub struct Opener(Arc<dyn Fn() -> Pieces + Send + Sync>);

impl Opener {
    /// Calls this for each reading, on a tokio runtime.
    pub fn new(open: impl Fn() -> Pieces + Send + Sync + 'static) -> Self {
        Self(Arc::new(open))
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener")
    }
}

/// Where bytes are: in memory, or a stretch of a file that stays open, whatever happens to its
/// name.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Memory(Bytes),
    Stretch { file: Arc<File>, offset: u64, size: u64 },
    Elsewhere { open: Opener, size: u64 },
}

impl Content {
    /// A whole file.
    pub(super) fn file(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self::Stretch { file: Arc::new(file), offset: 0, size })
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Stretch { size, .. } | Self::Elsewhere { size, .. } => *size,
        }
    }

    /// Reads from the beginning; readers do not disturb each other.
    pub(super) fn reader(&self) -> Reader {
        Reader { content: self.clone(), at: 0 }
    }
}

/// A reading of a [`Content`].
#[derive(Debug)]
pub(super) struct Reader {
    content: Content,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.content.size().saturating_sub(self.at);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let read = match &self.content {
            Content::Memory(bytes) => {
                // `at` never passes the length, which is a usize.
                let at = usize::try_from(self.at).unwrap_or(bytes.len());
                into[..most].copy_from_slice(&bytes[at..at + most]);
                most
            }
            Content::Stretch { file, offset, .. } => {
                file.read_at(&mut into[..most], offset + self.at)?
            }
            Content::Elsewhere { .. } => return Err(io::Error::other("it is not on this machine")),
        };
        self.at += read as u64;
        Ok(read)
    }
}
