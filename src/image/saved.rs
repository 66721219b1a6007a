//! An image on its way out of an engine: its tar is read as it comes, and its layers are pressed as they are read.
//!
//! Nothing is kept on disk, and memory is bounded by the blocks that may be under way. No name in the tar is
//! believed: a layer is what its bytes are, the config says which layers there are, and links are not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, mpsc};

use super::archive::{CONFIG, Described, LAYER, assembled};
use super::blob::{Blob, Content, Kind};
use super::gzip::BLOCK;
use super::inspect::{Descriptor, inspect_config};
use super::presses::Presses;
use super::streamed::{Broken, Item, Streamed};
use super::{Manifest, wrong};
use crate::error::Failure;
use crate::names::Digest;

/// The longest config that is read.
const DOCUMENT: u64 = 4 * 1024 * 1024;

/// Pieces of the stream that wait to be read.
const AHEAD: usize = 16;

/// An engine collects the whole image before its first byte; this long without one it has come to nothing.
const SILENCE: Duration = Duration::from_mins(15);

/// The tar of an image, in pieces as they come.
pub type SaveStream = BoxStream<'static, Result<Bytes, Failure>>;

/// An image in an engine that keeps it as folders.
#[derive(Clone)]
pub struct Saved {
    /// What messages call it.
    pub shown: String,
    /// Its config, which is the engine's name of it.
    pub config: Digest,
    /// Its layers before compression, lowest first, as the engine says.
    pub diff_ids: Vec<Digest>,
    /// Asks for its tar; once more for each attempt.
    pub again: Arc<dyn Fn() -> SaveStream + Send + Sync>,
}

impl std::fmt::Debug for Saved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Saved").field("shown", &self.shown).field("config", &self.config).finish()
    }
}

/// What is found in the tar, in its order.
#[derive(Debug)]
pub enum Found {
    /// The config, checked.
    Config(Blob),
    /// A layer that was asked for.
    Layer(Streamed),
}

/// A reading of the tar. Dropping it ends it.
#[derive(Debug)]
pub struct Reading {
    found: mpsc::Receiver<Result<Found, Broken>>,
    feeder: tokio::task::JoinHandle<()>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.feeder.abort();
    }
}

impl Reading {
    /// What comes next, until all that was asked for was found.
    pub async fn next(&mut self) -> Option<Result<Found, Broken>> {
        self.found.recv().await
    }
}

impl Saved {
    /// Reads the tar from its beginning: the config, and those layers that are wanted. `paths` says what an earlier
    /// reading found under a name.
    ///
    /// Must be called on a tokio runtime.
    #[must_use]
    pub fn read(&self, wanted: BTreeSet<Digest>, paths: &BTreeMap<String, Digest>) -> Reading {
        let (to_reader, pieces) = mpsc::channel(AHEAD);
        let mut stream = (self.again)();
        let shown = self.shown.clone();
        let feeder = tokio::spawn(async move {
            loop {
                let piece = match tokio::time::timeout(SILENCE, stream.next()).await {
                    Ok(Some(piece)) => piece,
                    Ok(None) => return,
                    Err(_) => Err(wrong::export(&shown, "the engine sent nothing any more")),
                };
                let is_end = piece.is_err();
                if to_reader.send(piece).await.is_err() || is_end {
                    return;
                }
            }
        });
        let (found, receiver) = mpsc::channel(1);
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let mut reader = Reader {
            saved: self.clone(),
            wanted,
            paths: paths.clone(),
            has_config: false,
            found,
            presses: Presses::new(cores),
            room: Arc::new(Semaphore::new((4 * cores + 8).min(40))),
        };
        tokio::task::spawn_blocking(move || {
            if let Err(broken) = reader.run(pieces) {
                // Nobody listens any more where the reading was dropped.
                let _ = reader.found.blocking_send(Err(broken));
            }
        });
        Reading { found: receiver, feeder }
    }

    /// The manifest, once all layers are known by both names.
    ///
    /// # Errors
    /// A layer is not among them.
    pub fn manifest(
        &self,
        config: &Blob,
        layers: &BTreeMap<Digest, Descriptor>,
    ) -> Result<Manifest, Failure> {
        let mut described = Vec::new();
        for diff_id in &self.diff_ids {
            let Some(layer) = layers.get(diff_id) else {
                let said = format!("layer {} is missing in it", diff_id.short());
                return Err(wrong::export(&self.shown, &said));
            };
            let Descriptor { media_type, digest, size, .. } = layer;
            described.push(Described {
                media_type: oci_of(media_type).into(),
                digest: digest.clone(),
                size: *size,
            });
        }
        let media_type = config.media_type.clone();
        let config = Described { media_type, digest: config.digest.clone(), size: config.size };
        assembled(&config, &described)
    }
}

/// A manifest of OCI names its layers in OCI's words, also those that another manifest had in Docker's.
fn oci_of(media_type: &str) -> &str {
    match media_type {
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => LAYER,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            "application/vnd.oci.image.layer.v1.tar+zstd"
        }
        other => other,
    }
}

/// What an entry may be, by its name.
enum Role {
    Config,
    Layer(Option<Digest>),
    Other,
}

struct Reader {
    saved: Saved,
    wanted: BTreeSet<Digest>,
    paths: BTreeMap<String, Digest>,
    has_config: bool,
    found: mpsc::Sender<Result<Found, Broken>>,
    presses: Presses,
    /// The blocks that may be under way.
    room: Arc<Semaphore>,
}

impl Reader {
    fn run(&mut self, pieces: mpsc::Receiver<Result<Bytes, Failure>>) -> Result<(), Broken> {
        let failed = Stopped::default();
        let (rest, begun) = (Bytes::new(), false);
        let source = Source { pieces, rest, begun, failed: Arc::clone(&failed) };
        let read = self.entries(source);
        // What ended the stream says more than what was missing then.
        match (read, failed.lock().unwrap_or_else(PoisonError::into_inner).take()) {
            (Err(_), Some((failure, true))) => Err(Broken::Final(failure)),
            (Err(_), Some((failure, false))) => Err(Broken::Cut(failure)),
            (read, _) => read,
        }
    }

    fn entries(&mut self, source: Source) -> Result<(), Broken> {
        let mut archive = tar::Archive::new(source);
        let entries = archive.entries().map_err(|error| self.unreadable(&error))?;
        for entry in entries {
            let mut entry = entry.map_err(|error| self.unreadable(&error))?;
            // Links name what is there under its own name too, or nothing of this image.
            if !matches!(entry.header().entry_type(), tar::EntryType::Regular) {
                continue;
            }
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let size = entry.size();
            match self.role(path.trim_start_matches("./")) {
                Role::Config if !self.has_config => self.config(&mut entry, size)?,
                Role::Layer(Some(diff_id)) if !self.wanted.contains(&diff_id) => {}
                Role::Layer(named) => self.layer(path, named, &mut entry, size)?,
                Role::Config | Role::Other => {}
            }
            if self.found.is_closed() || self.has_config && self.wanted.is_empty() {
                return Ok(());
            }
        }
        let missing = match self.wanted.first() {
            _ if !self.has_config => format!("config {}", self.saved.config.short()),
            Some(layer) => format!("layer {}", layer.short()),
            None => return Ok(()),
        };
        Err(Broken::Cut(self.wrong(&format!("{missing} is missing in it"))))
    }

    /// `blobs/sha256/HEX` since Docker 25; before, `HEX.json` and `ANYTHING/layer.tar`; Podman has `HEX.tar`.
    fn role(&self, path: &str) -> Role {
        if let Some(diff_id) = self.paths.get(path) {
            return Role::Layer(Some(diff_id.clone()));
        }
        if path.ends_with("/layer.tar") {
            return Role::Layer(None);
        }
        let name = path.strip_prefix("blobs/sha256/").unwrap_or(path);
        let hex = name.trim_end_matches(".json").trim_end_matches(".tar");
        match format!("sha256:{hex}").parse::<Digest>() {
            Ok(digest) if digest == self.saved.config => Role::Config,
            Ok(digest) if self.saved.diff_ids.contains(&digest) => Role::Layer(Some(digest)),
            _ => Role::Other,
        }
    }

    fn config(&mut self, entry: &mut impl Read, size: u64) -> Result<(), Broken> {
        let saved = &self.saved;
        if size > DOCUMENT {
            return Err(Broken::Final(self.wrong("its config is longer than 4 MiB")));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| self.unreadable(&error))?;
        if bytes.len() as u64 != size {
            return Err(Broken::Cut(self.wrong("it ends inside its config")));
        }
        let read = Digest::of(&bytes);
        if read != saved.config {
            let said = format!("its config should be {}, its bytes are {read}", saved.config);
            return Err(Broken::Final(self.wrong(&said)));
        }
        let own = inspect_config(&bytes)
            .map_err(|what| Broken::Final(self.wrong(&format!("its config is {what}"))))?;
        if own.diff_ids != saved.diff_ids {
            let said = "its config names other layers than the engine does";
            return Err(Broken::Final(self.wrong(said)));
        }
        self.has_config = true;
        let blob = Blob {
            digest: read,
            size,
            kind: Kind::Config,
            media_type: CONFIG.into(),
            place: Arc::from(saved.shown.as_str()),
            content: Content::Memory(bytes.into()),
        };
        let _ = self.found.blocking_send(Ok(Found::Config(blob)));
        Ok(())
    }

    fn layer(
        &mut self,
        path: String,
        named: Option<Digest>,
        entry: &mut impl Read,
        size: u64,
    ) -> Result<(), Broken> {
        let (to, items) = mpsc::unbounded_channel();
        let seal = Arc::default();
        let streamed = Streamed { path: path.clone(), named: named.clone(), items, seal };
        if self.found.blocking_send(Ok(Found::Layer(streamed))).is_err() {
            return Ok(());
        }
        let read = self.blocks(entry, size, &to).and_then(|read| {
            let is_it = match &named {
                Some(named) => read == *named,
                None => self.saved.diff_ids.contains(&read),
            };
            if is_it {
                return Ok(read);
            }
            let said = match &named {
                Some(named) => format!("layer `{path}` should be {named}, its bytes are {read}"),
                None => format!("layer `{path}` is none of the image's: its bytes are {read}"),
            };
            Err(Broken::Final(self.wrong(&said)))
        });
        match read {
            Ok(read) => {
                self.wanted.remove(&read);
                let _ = to.send(Item::End(read));
                Ok(())
            }
            Err(broken) => {
                // Told here too, so that what was sent of it is never completed.
                let _ = to.send(Item::Broken(broken.clone()));
                Err(broken)
            }
        }
    }

    /// Reads a layer's blocks and has them pressed, as long as somebody takes them.
    fn blocks(
        &self,
        entry: &mut impl Read,
        size: u64,
        to: &mpsc::UnboundedSender<Item>,
    ) -> Result<Digest, Broken> {
        let runtime = tokio::runtime::Handle::current();
        let mut hash = Sha256::new();
        let mut left = size;
        while left > 0 {
            let permit = runtime.block_on(Arc::clone(&self.room).acquire_owned());
            let mut block = self.presses.buffer();
            let most = left.min(BLOCK as u64);
            entry
                .by_ref()
                .take(most)
                .read_to_end(&mut block)
                .map_err(|error| self.unreadable(&error))?;
            if block.len() as u64 != most {
                return Err(Broken::Cut(self.wrong("it ends inside a layer")));
            }
            left -= most;
            hash.update(&block);
            if let (false, Ok(permit)) = (to.is_closed(), permit) {
                let _ = to.send(Item::Block(self.presses.press(block, permit)));
            }
        }
        Ok(Digest::finish(hash))
    }

    fn unreadable(&self, error: &io::Error) -> Broken {
        Broken::Cut(self.wrong(&format!("it is no whole tar: {error}")))
    }

    fn wrong(&self, said: &str) -> Failure {
        wrong::export(&self.saved.shown, said)
    }
}

/// How the stream failed, and whether it did at its very beginning: then it would again.
type Stopped = Arc<Mutex<Option<(Failure, bool)>>>;

/// The stream for a reader that waits.
struct Source {
    pieces: mpsc::Receiver<Result<Bytes, Failure>>,
    rest: Bytes,
    begun: bool,
    failed: Stopped,
}

impl Read for Source {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => (self.rest, self.begun) = (piece, true),
                Some(Err(failure)) => {
                    let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
                    *failed = Some((failure, !self.begun));
                    return Err(io::Error::other("the stream ended"));
                }
                None => return Ok(0),
            }
        }
        let read = self.rest.len().min(into.len());
        into[..read].copy_from_slice(&self.rest.split_to(read));
        Ok(read)
    }
}
