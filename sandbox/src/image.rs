//! Small valid images to put into a repository: one layer with one file, a config for each
//! platform, and an index where there are several.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image to be made.
#[derive(Clone, Debug, Default)]
pub struct Image {
    platforms: Vec<String>,
    labels: BTreeMap<String, String>,
    env: Vec<String>,
    notes: BTreeMap<String, String>,
    files: Vec<(String, Bytes)>,
    command: Vec<String>,
}

/// The parts of a made image, by digest.
pub(crate) struct Made {
    pub(crate) root: String,
    /// Digest, media type, bytes; children before their index.
    pub(crate) manifests: Vec<(String, String, Bytes)>,
    pub(crate) blobs: BTreeMap<String, Bytes>,
}

impl Image {
    /// An image for one platform such as `linux/arm64`; its only file holds `content`.
    #[must_use]
    pub fn new(platform: &str, content: &str) -> Self {
        let files = vec![("release".to_owned(), Bytes::from(content.to_owned()))];
        let command = vec!["/release".to_owned()];
        let (labels, notes) = (BTreeMap::new(), BTreeMap::new());
        let (platforms, env) = (vec![platform.into()], Vec::new());
        Self { platforms, labels, env, notes, files, command }
    }

    /// Adds a program or another file to its layer.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Bytes>) -> Self {
        self.files.push((path.trim_start_matches('/').to_owned(), content.into()));
        self
    }

    /// What its containers run.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// The same for one more platform: the image becomes an index.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        self.platforms.push(platform.into());
        self
    }

    /// Adds a label to each config.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Adds a variable to the environment of its containers.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}"));
        self
    }

    /// Adds an annotation to each manifest: another digest of what is the same image to whoever runs it.
    #[must_use]
    pub fn note(mut self, key: &str, value: &str) -> Self {
        self.notes.insert(key.into(), value.into());
        self
    }

    /// The digest that the image has wherever it is put.
    #[must_use]
    pub fn digest(&self) -> String {
        self.made().root
    }

    /// The digests of its platforms' manifests, in their order.
    #[must_use]
    pub fn manifests(&self) -> Vec<String> {
        let platforms = self.made().manifests.into_iter().take(self.platforms.len());
        platforms.map(|(digest, ..)| digest).collect()
    }

    /// Writes the image as an OCI layout into a folder, for a client to push.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn layout(&self, folder: &std::path::Path) -> std::io::Result<()> {
        let made = self.made();
        let blobs = folder.join("blobs/sha256");
        std::fs::create_dir_all(&blobs)?;
        std::fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        let put = |digest: &str, bytes: &[u8]| {
            std::fs::write(blobs.join(digest.trim_start_matches("sha256:")), bytes)
        };
        for (digest, bytes) in &made.blobs {
            put(digest, bytes)?;
        }
        for (digest, _, bytes) in &made.manifests {
            put(digest, bytes)?;
        }
        let root = made.manifests.iter().find(|(digest, ..)| *digest == made.root);
        let entries: Vec<_> = root
            .iter()
            .map(|(digest, media_type, bytes)| json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() }))
            .collect();
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
        std::fs::write(folder.join("index.json"), index.to_string())
    }

    pub(crate) fn made(&self) -> Made {
        let mut made = Made { root: String::new(), manifests: Vec::new(), blobs: BTreeMap::new() };
        let entries: Vec<_> = self.platforms.iter().map(|p| self.one(p, &mut made)).collect();
        if entries.len() > 1 {
            let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries });
            let bytes = Bytes::from(index.to_string());
            made.root = digest(&bytes);
            made.manifests.push((made.root.clone(), INDEX.into(), bytes));
        } else if let Some((root, ..)) = made.manifests.first() {
            made.root.clone_from(root);
        }
        made
    }

    /// Makes the manifest of one platform and answers its descriptor.
    fn one(&self, platform: &str, made: &mut Made) -> Value {
        let layer = Bytes::from(archive(&self.files));
        let diff_id = digest(&layer);
        let mut parts = platform.split('/');
        let mut platform =
            json!({ "os": parts.next().unwrap_or("linux"), "architecture": parts.next() });
        if let Some(variant) = parts.next() {
            platform["variant"] = json!(variant);
        }
        let mut config = platform.clone();
        config["config"] = json!({ "Labels": self.labels, "Cmd": self.command });
        if !self.env.is_empty() {
            config["config"]["Env"] = json!(self.env);
        }
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [diff_id] });
        let config = Bytes::from(config.to_string());
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        if !self.notes.is_empty() {
            manifest["annotations"] = json!(self.notes);
        }
        for blob in [config, layer] {
            made.blobs.insert(digest(&blob), blob);
        }
        let bytes = Bytes::from(manifest.to_string());
        let mut entry = descriptor(MANIFEST, &bytes);
        entry["platform"] = platform;
        made.manifests.push((digest(&bytes), MANIFEST.into(), bytes));
        entry
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// The digest of these bytes as registries write it.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// A tar archive (ustar) of these files, all of them programs.
fn archive(files: &[(String, Bytes)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in files {
        out.extend_from_slice(&header(name, content.len()));
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn header(name: &str, size: usize) -> [u8; 512] {
    let mut header = [0u8; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000755\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{size:011o}\0"));
    put(136, "00000000000\0");
    // The checksum is computed with its own field as spaces.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_image_has_the_same_digest_and_another_content_another() {
        let image = Image::new("linux/arm64", "one");
        assert_eq!(image.digest(), image.clone().digest());
        assert_ne!(image.digest(), Image::new("linux/arm64", "two").digest());
        assert_ne!(image.digest(), image.clone().label("a", "b").digest());
    }

    #[test]
    fn two_platforms_are_an_index_whose_children_come_first() {
        let made = Image::new("linux/arm64", "x").platform("linux/amd64").made();
        let types: Vec<_> = made.manifests.iter().map(|(_, t, _)| t.as_str()).collect();
        assert_eq!(types, [MANIFEST, MANIFEST, INDEX]);
        assert_eq!(made.root, made.manifests[2].0);
    }
}
