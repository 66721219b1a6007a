//! An index of images, byte for byte the same whoever makes it and when.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Manifest;
use super::inspect::OCI_INDEX;
use crate::names::{Digest, Platform};

/// What an index lists: a manifest that is in the repository already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What the manifest is.
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// What is said about it.
    pub annotations: BTreeMap<String, String>,
}

impl Entry {
    /// Of a manifest that was just made.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            media_type: manifest.media_type.clone(),
            digest: manifest.digest.clone(),
            size: manifest.bytes.len() as u64,
            annotations: BTreeMap::new(),
        }
    }
}

/// The index of these images, in the order given, with what is `about` them after them. A change here gives every
/// commit another index, which an immutable tag refuses.
#[must_use]
pub fn joined(
    images: &[(&Platform, &Entry)],
    about: &[&Entry],
    annotations: &BTreeMap<String, String>,
) -> Manifest {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Index<'a> {
        schema_version: u8,
        media_type: &'a str,
        manifests: Vec<Listed<'a>>,
        annotations: &'a BTreeMap<String, String>,
    }
    let images = images.iter().map(|(platform, entry)| Listed::of(entry, Runs::on(platform)));
    let about = about.iter().map(|entry| Listed::of(entry, Runs::NOTHING));
    let manifests = images.chain(about).collect();
    let index = Index { schema_version: 2, media_type: OCI_INDEX, manifests, annotations };
    // Strings and numbers alone: there is nothing that cannot be written.
    let bytes = serde_json::to_vec(&index).unwrap_or_default();
    Manifest { digest: Digest::of(&bytes), media_type: OCI_INDEX.into(), bytes: bytes.into() }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    media_type: &'a str,
    digest: &'a Digest,
    size: u64,
    platform: Runs<'a>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Runs<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

impl<'a> Listed<'a> {
    fn of(entry: &'a Entry, platform: Runs<'a>) -> Self {
        let Entry { media_type, digest, size, annotations } = entry;
        Self { media_type, digest, size: *size, platform, annotations }
    }
}

impl<'a> Runs<'a> {
    /// Of a manifest that runs nowhere.
    const NOTHING: Runs<'static> = Runs { architecture: "unknown", os: "unknown", variant: None };

    fn on(platform: &'a Platform) -> Self {
        let Platform { os, architecture, variant } = platform;
        Self { architecture, os, variant: variant.as_deref() }
    }
}
