//! Images for tests, built file by file as the tools write them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::inspect::{OCI_INDEX, OCI_MANIFEST};
use crate::names::Digest;

/// Media type of a plain layer.
pub(crate) const PLAIN: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of a gzip'd layer.
pub(crate) const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The files of a layout or an archive, by path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files {
    /// An empty layout.
    pub(crate) fn layout() -> Self {
        let mut files = Self::default();
        files.put("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
        files
    }

    pub(crate) fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.0.insert(path.into(), bytes);
    }

    pub(crate) fn blob(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::of(&bytes);
        self.put(&format!("blobs/sha256/{}", digest.hex()), bytes);
        digest
    }

    pub(crate) fn descriptor(&mut self, media_type: &str, bytes: Vec<u8>) -> Value {
        let size = bytes.len();
        json!({ "mediaType": media_type, "digest": self.blob(bytes), "size": size })
    }

    /// An image of these layers, each with its media type and its bytes before compression.
    pub(crate) fn image(&mut self, platform: &str, layers: &[(&str, Vec<u8>)]) -> Value {
        let diff_ids: Vec<_> = layers.iter().map(|(_, plain)| Digest::of(plain)).collect();
        let config = config(platform, &diff_ids);
        let config = self.descriptor("application/vnd.oci.image.config.v1+json", config);
        let layers: Vec<_> = layers
            .iter()
            .map(|(media_type, plain)| {
                let sent = if *media_type == GZIP { gzip(plain) } else { plain.clone() };
                self.descriptor(media_type, sent)
            })
            .collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers });
        self.descriptor(OCI_MANIFEST, manifest.to_string().into_bytes())
    }

    /// An index as a blob.
    pub(crate) fn index(&mut self, entries: &[Value]) -> Value {
        self.descriptor(OCI_INDEX, index(entries))
    }

    /// `index.json`.
    pub(crate) fn root(mut self, entries: &[Value]) -> Self {
        self.put("index.json", index(entries));
        self
    }

    pub(crate) fn to_folder(&self, folder: &Path) {
        for (path, bytes) in &self.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    pub(crate) fn to_tar(&self) -> Vec<u8> {
        let files: Vec<_> =
            self.0.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        tarred(&files)
    }
}

pub(crate) fn with(mut descriptor: Value, key: &str, value: Value) -> Value {
    descriptor[key] = value;
    descriptor
}

pub(crate) fn platform(descriptor: Value, os: &str, architecture: &str) -> Value {
    with(descriptor, "platform", json!({ "os": os, "architecture": architecture }))
}

pub(crate) fn named(descriptor: Value, name: &str) -> Value {
    with(descriptor, "annotations", json!({ "org.opencontainers.image.ref.name": name }))
}

fn index(entries: &[Value]) -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries })
        .to_string()
        .into_bytes()
}

pub(crate) fn config(platform: &str, diff_ids: &[Digest]) -> Vec<u8> {
    let (os, architecture) = platform.split_once('/').unwrap();
    json!({
        "os": os,
        "architecture": architecture,
        "config": { "Labels": { "dev.slipway.recipe": "r1" } },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string()
    .into_bytes()
}

/// A tar with one file of these bytes.
pub(crate) fn layer(text: &[u8]) -> Vec<u8> {
    tarred(&[("app/file", text)])
}

/// A layer that hardly compresses, of about this many bytes.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    layer(&bytes)
}

pub(crate) fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, *bytes).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(6));
    gzip.write_all(plain).unwrap();
    gzip.finish().unwrap()
}
