//! Compresses the plain layers of an archive, each into an unlinked file, on all cores.
//!
//! Digest and length of a layer have to be known before it is sent, and an attempt may have to be
//! repeated, so the result is kept on disk; memory stays flat. The same layer gives the same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use sha2::{Digest as _, Sha256};

use super::blob::Content;
use super::gzip::Gzip;
use super::wrong;
use crate::error::{Code, Failure};
use crate::names::Digest;

const PIECE: usize = 256 * 1024;

/// A layer as it is in the archive.
#[derive(Debug)]
pub(super) struct Plain {
    /// What the config says its bytes are.
    pub(super) diff_id: Digest,
    /// For messages.
    pub(super) place: String,
    pub(super) content: Content,
}

/// A layer as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Packed {
    pub(super) digest: Digest,
    pub(super) content: Content,
}

/// What the long work of opening an image needs: where to keep what it makes, and when to stop.
#[derive(Debug)]
pub(super) struct Workshop<'a> {
    pub(super) folder: PathBuf,
    pub(super) stop: &'a AtomicBool,
}

impl Workshop<'_> {
    pub(super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn file(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.folder)
    }

    /// The failure of a file that could not be made or filled.
    fn no_room(&self, error: &io::Error) -> Failure {
        if self.stopped() {
            return Failure::new(Code::RunCancelled, "the image was not read to its end");
        }
        wrong::invalid(format!("layers cannot be unpacked in `{}`", self.folder.display()))
            .why(error.to_string())
            .next("set `TMPDIR` to a folder with room for the image")
    }
}

/// Where files may be made: what the user says, the runner's, the system's, or beside the archive,
/// since the action's own image has no `/tmp`.
pub(super) fn scratch(said: [Option<PathBuf>; 2], archive: &Path) -> PathBuf {
    let beside = match archive.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut choices = said.into_iter().flatten().chain([PathBuf::from("/tmp")]);
    choices.find(|folder| folder.is_dir()).unwrap_or(beside)
}

/// Compresses the layers, as many at once as there are cores, and yields them in the order given.
pub(super) fn compress(plain: &[Plain], shop: &Workshop<'_>) -> Result<Vec<Packed>, Failure> {
    // Largest first: a large one that is begun last would be waited for by all other cores.
    let mut order: Vec<_> = plain.iter().enumerate().collect();
    order.sort_by_key(|(_, layer)| std::cmp::Reverse(layer.content.size()));
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<Packed, Failure>)>> = Mutex::default();
    let work = || {
        while let Some((index, layer)) = order.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
            let packed = compress_one(layer, shop);
            let failed = packed.is_err();
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, packed));
            if failed {
                next.store(plain.len(), Ordering::Relaxed);
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get).min(plain.len());
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, packed)| packed).collect()
}

fn compress_one(layer: &Plain, shop: &Workshop<'_>) -> Result<Packed, Failure> {
    let file = shop.file().map_err(|error| shop.no_room(&error))?;
    let sink = Hashed::new(BufWriter::with_capacity(PIECE, file));
    let mut gzip = Gzip::new(sink).map_err(|error| shop.no_room(&error))?;
    let read = pour(&mut layer.content.reader(), &mut gzip, shop)
        .map_err(|trouble| trouble.told(&layer.place, shop))?;
    if read != layer.diff_id {
        return Err(wrong::digest(&layer.place, &layer.diff_id, &read));
    }
    let finish = || -> io::Result<Packed> {
        let sink = gzip.finish()?;
        let file = sink.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Packed { digest: Digest::finish(sink.hash), content: Content::file(file)? })
    };
    finish().map_err(|error| shop.no_room(&error))
}

/// Unpacks an archive that is gzip'd as a whole.
pub(super) fn unpack(
    place: &str,
    whole: &Content,
    shop: &Workshop<'_>,
) -> Result<Content, Failure> {
    let mut file = shop.file().map_err(|error| shop.no_room(&error))?;
    let mut plain = flate2::read::MultiGzDecoder::new(whole.reader());
    pour(&mut plain, &mut file, shop).map_err(|trouble| trouble.told(place, shop))?;
    Content::file(file).map_err(|error| shop.no_room(&error))
}

/// The digests of a gzip'd layer: as it is, and of what is in it.
pub(super) fn digests(
    place: &str,
    layer: &Content,
    shop: &Workshop<'_>,
) -> Result<(Digest, Digest), Failure> {
    let mut raw = Hashed::new(layer.reader());
    let inside = {
        let mut plain = flate2::read::MultiGzDecoder::new(&mut raw);
        pour(&mut plain, &mut io::sink(), shop).map_err(|trouble| trouble.told(place, shop))?
    };
    // What follows the last member is part of the blob, if not of the layer.
    pour(&mut raw, &mut io::sink(), shop).map_err(|trouble| trouble.told(place, shop))?;
    Ok((Digest::finish(raw.hash), inside))
}

/// Which side of a copy failed: the fixes differ.
enum Trouble {
    Reading(io::Error),
    Writing(io::Error),
}

impl Trouble {
    fn told(&self, place: &str, shop: &Workshop<'_>) -> Failure {
        match self {
            Self::Reading(error) if !shop.stopped() => wrong::unreadable(place, error),
            Self::Reading(error) | Self::Writing(error) => shop.no_room(error),
        }
    }
}

/// Copies in pieces and returns the digest of what went through.
fn pour(from: &mut impl Read, to: &mut impl Write, shop: &Workshop<'_>) -> Result<Digest, Trouble> {
    let mut piece = vec![0; PIECE];
    let mut hash = Sha256::new();
    loop {
        if shop.stopped() {
            return Err(Trouble::Writing(io::ErrorKind::Interrupted.into()));
        }
        match from.read(&mut piece) {
            Ok(0) => return Ok(Digest::finish(hash)),
            Ok(read) => {
                hash.update(&piece[..read]);
                to.write_all(&piece[..read]).map_err(Trouble::Writing)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Trouble::Reading(error)),
        }
    }
}

/// Hashes what passes.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
}

impl<T> Hashed<T> {
    fn new(inner: T) -> Self {
        Self { inner, hash: Sha256::new() }
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.hash.update(&into[..read]);
        Ok(read)
    }
}
