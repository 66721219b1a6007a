//! Reads manifests, indexes and configs, whoever stored them: a layout, an archive or a registry.
//!
//! Pure: bytes in, what they say out. Own small types, of the fields that slipway looks at.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::names::{Digest, Malformed, Platform};

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// All that can be pushed and read.
pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// A pointer to something stored under its digest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// Other places to fetch it from: non-distributable layers have them.
    #[serde(default)]
    pub urls: Vec<String>,
    /// What is said about it.
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// For the entries of an index.
    pub platform: Option<Described>,
}

/// The platform of a descriptor, as it is spelled there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Described {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// `v7`.
    pub variant: Option<String>,
}

/// What a manifest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// One image.
    Image {
        /// Its config.
        config: Descriptor,
        /// Its layers, lowest first.
        layers: Vec<Descriptor>,
    },
    /// Several, usually one a platform.
    Index {
        /// What it lists.
        manifests: Vec<Descriptor>,
    },
}

/// What a config says of its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What it runs on.
    pub platform: Platform,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The digests of its layers before compression, lowest first.
    pub diff_ids: Vec<Digest>,
}

/// Reads a manifest or an index.
///
/// # Errors
/// The clause after "it is": what it is instead.
pub fn inspect(_media_type: &str, _bytes: &[u8]) -> Result<Inspected, Malformed> {
    Err("not read".into())
}

/// Reads an image's config.
///
/// # Errors
/// The clause after "it is": what it is instead.
pub fn inspect_config(_bytes: &[u8]) -> Result<Config, Malformed> {
    Err("not read".into())
}

fn nullable<'de, D, T>(value: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(value)?.unwrap_or_default())
}
