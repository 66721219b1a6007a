//! Reads manifests, indexes and configs, whoever stored them: a layout, an archive or a registry.
//!
//! Pure: bytes in, what they say out. Own small types, of the fields that slipway looks at.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::names::{Digest, Malformed, Platform};

/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker manifest list.
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 2.
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// All manifests that can be pushed and read.
pub const MANIFESTS: [&str; 4] = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST];

/// Configs of images; other configs belong to artifacts, such as signatures and charts.
const CONFIGS: [&str; 2] =
    ["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];

/// Layers that a node unpacks.
const LAYERS: [&str; 6] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

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
    #[serde(default, deserialize_with = "nullable")]
    pub urls: Vec<String>,
    /// What is said about it.
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// For the entries of an index: what it runs on.
    #[serde(default, deserialize_with = "platform")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Whether it is an index rather than one image's manifest.
    #[must_use]
    pub fn is_index(&self) -> bool {
        is_index(&self.media_type)
    }

    /// Whether an index names it for what it says about another manifest (BuildKit's attestations).
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown")
            || self.annotations.contains_key("vnd.docker.reference.type")
    }

    pub(super) fn is_layer(&self) -> bool {
        LAYERS.contains(&self.media_type.as_str())
    }

    /// A layer as it is on disk, not compressed.
    pub(super) fn is_plain_layer(&self) -> bool {
        self.media_type == LAYERS[0] || self.media_type == LAYERS[3]
    }

    pub(super) fn is_image_config(&self) -> bool {
        CONFIGS.contains(&self.media_type.as_str())
    }
}

/// Whether this is the media type of an index.
#[must_use]
pub fn is_index(media_type: &str) -> bool {
    media_type == OCI_INDEX || media_type == DOCKER_LIST
}

/// What a manifest is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inspected {
    /// One image, or an artifact that is stored like one.
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
    /// When it was made, as it says.
    pub created: Option<String>,
    /// Its environment, as `NAME=VALUE`. May hold what should not be there.
    pub env: Vec<String>,
    /// What made it, the oldest step first. May hold it, too.
    pub history: Vec<String>,
}

/// Reads a manifest or an index.
///
/// # Errors
/// The clause after "it is": what it is instead.
pub fn inspect(media_type: &str, bytes: &[u8]) -> Result<Inspected, Malformed> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Wire {
        #[serde(default)]
        media_type: Option<String>,
        schema_version: u8,
        config: Option<Descriptor>,
        #[serde(default, deserialize_with = "nullable")]
        layers: Vec<Descriptor>,
        manifests: Option<Vec<Descriptor>>,
    }
    if !MANIFESTS.contains(&media_type) {
        return Err(format!("`{media_type}`, which is no image manifest or index"));
    }
    let wire: Wire =
        serde_json::from_slice(bytes).map_err(|error| format!("no manifest ({error})"))?;
    if wire.schema_version != 2 {
        return Err("a manifest of a schema other than 2".into());
    }
    // One document read as two kinds by two programs is an attack: what it says of itself must
    // agree.
    if wire.media_type.as_deref().is_some_and(|own| own != media_type) {
        return Err(format!("called `{media_type}`, but says of itself that it is another type"));
    }
    match (is_index(media_type), wire.config, wire.manifests) {
        (true, None, Some(manifests)) if wire.layers.is_empty() => {
            Ok(Inspected::Index { manifests })
        }
        (false, Some(config), None) => Ok(Inspected::Image { config, layers: wire.layers }),
        (true, ..) => Err("no index: it lists no manifests, or layers beside them".into()),
        (false, ..) => Err("no image manifest: it has no config, or manifests beside it".into()),
    }
}

/// Reads an image's config.
///
/// # Errors
/// The clause after "it is": what it is instead.
pub fn inspect_config(bytes: &[u8]) -> Result<Config, Malformed> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        os: String,
        #[serde(default)]
        architecture: String,
        variant: Option<String>,
        created: Option<String>,
        #[serde(default, deserialize_with = "nullable")]
        config: Run,
        rootfs: RootFs,
        #[serde(default, deserialize_with = "nullable")]
        history: Vec<Made>,
    }
    #[derive(Deserialize)]
    struct Made {
        #[serde(default, deserialize_with = "nullable")]
        created_by: String,
    }
    #[derive(Default, Deserialize)]
    struct Run {
        #[serde(default, rename = "Env", deserialize_with = "nullable")]
        env: Vec<String>,
        #[serde(default, rename = "Labels", deserialize_with = "nullable")]
        labels: BTreeMap<String, String>,
    }
    #[derive(Deserialize)]
    struct RootFs {
        #[serde(default, deserialize_with = "nullable")]
        diff_ids: Vec<Digest>,
    }
    let wire: Wire =
        serde_json::from_slice(bytes).map_err(|error| format!("no image config ({error})"))?;
    if wire.os.is_empty() || wire.architecture.is_empty() {
        return Err("a config without `os` or `architecture`".into());
    }
    Ok(Config {
        platform: Platform::new(&wire.os, &wire.architecture, wire.variant.as_deref()),
        labels: wire.config.labels,
        diff_ids: wire.rootfs.diff_ids,
        created: wire.created,
        env: wire.config.env,
        history: wire.history.into_iter().map(|made| made.created_by).collect(),
    })
}

fn nullable<'de, D, T>(value: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(value)?.unwrap_or_default())
}

/// The platform of a descriptor; an empty one (BuildKit writes it for a single platform) is none.
fn platform<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Platform>, D::Error> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        os: String,
        #[serde(default)]
        architecture: String,
        variant: Option<String>,
    }
    let wire = Option::<Wire>::deserialize(value)?;
    Ok(wire
        .filter(|p| !p.os.is_empty() && !p.architecture.is_empty())
        .map(|p| Platform::new(&p.os, &p.architecture, p.variant.as_deref())))
}
