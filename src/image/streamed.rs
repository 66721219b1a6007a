//! A layer while it is read: its blocks, put together in order and hashed as they are taken.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use flate2::Crc;
use futures_util::Stream;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::archive::LAYER;
use super::gzip::{HEADER, trailer};
use super::inspect::Descriptor;
use super::presses::Waiting;
use crate::error::{Code, Failure};
use crate::names::Digest;

/// Why bytes end before their end.
#[derive(Clone, Debug)]
pub enum Broken {
    /// Another reading may do better.
    Cut(Failure),
    /// It would not.
    Final(Failure),
}

/// A layer that is being read: its pieces have to be taken for the reading to go on, or dropped.
#[derive(Debug)]
pub struct Streamed {
    /// Its name in the tar.
    pub path: String,
    /// What it should be, where that can be known before it is read.
    pub named: Option<Digest>,
    pub(super) items: mpsc::UnboundedReceiver<Item>,
    pub(super) seal: Arc<OnceLock<Sealed>>,
}

/// A layer that was read to its end and is what the config says.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Before compression.
    pub diff_id: Digest,
    /// As it was sent.
    pub digest: Digest,
    /// As it was sent.
    pub size: u64,
}

#[derive(Debug)]
pub(super) enum Item {
    Block(Waiting),
    End(Digest),
    Broken(Broken),
}

impl Sealed {
    /// The layer as a manifest names it.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: LAYER.into(),
            digest: self.digest.clone(),
            size: self.size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }
}

impl Streamed {
    /// The layer as it is sent, and what it is known by once all of it was taken.
    pub fn pieces(
        self,
    ) -> (impl Stream<Item = Result<Bytes, Broken>> + Send + use<>, Arc<OnceLock<Sealed>>) {
        let seal = Arc::clone(&self.seal);
        let squeezing = Squeezing {
            items: self.items,
            seal: self.seal,
            crc: Crc::new(),
            hash: Sha256::new(),
            size: 0,
            begun: false,
        };
        let pieces = futures_util::stream::unfold(squeezing, |mut squeezing| async {
            let piece = squeezing.next().await?;
            Some((piece, squeezing))
        });
        (pieces, seal)
    }
}

/// Puts a layer's blocks together, in order.
struct Squeezing {
    items: mpsc::UnboundedReceiver<Item>,
    seal: Arc<OnceLock<Sealed>>,
    crc: Crc,
    hash: Sha256,
    size: u64,
    begun: bool,
}

impl Squeezing {
    async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        if self.seal.get().is_some() {
            return None;
        }
        if !self.begun {
            self.begun = true;
            return Some(Ok(self.counted(Bytes::from_static(&HEADER))));
        }
        let lost = || Failure::new(Code::RunBug, "a layer was not pressed");
        match self.items.recv().await {
            Some(Item::Block(waiting)) => match waiting.await {
                Ok(Ok(done)) => {
                    self.crc.combine(&done.pressed.crc);
                    let piece = Lent { bytes: done.pressed.bytes, _permit: done.permit };
                    Some(Ok(self.counted(Bytes::from_owner(piece))))
                }
                Ok(Err(error)) => Some(Err(Broken::Final(lost().why(error.to_string())))),
                Err(_) => Some(Err(Broken::Cut(lost()))),
            },
            Some(Item::End(diff_id)) => {
                let end = self.counted(Bytes::copy_from_slice(&trailer(&self.crc)));
                let digest = Digest::finish(std::mem::take(&mut self.hash));
                // Set once: nothing is read from it afterwards.
                let _ = self.seal.set(Sealed { diff_id, digest, size: self.size });
                Some(Ok(end))
            }
            Some(Item::Broken(broken)) => Some(Err(broken)),
            None => Some(Err(Broken::Cut(lost()))),
        }
    }

    fn counted(&mut self, piece: Bytes) -> Bytes {
        self.hash.update(&piece);
        self.size += piece.len() as u64;
        piece
    }
}

/// A pressed block on its way: the next one may be read when it is sent.
struct Lent {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
