//! The images that an engine has: by id, by the beginning of an id, by name. The classic store knows an
//! image by its configuration, containerd's by its manifest or its list of manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::image::digest;

use super::Store;
use super::root::{Kept, Layer, Root};

pub(crate) const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// An image for one platform.
#[derive(Clone, Debug)]
pub(crate) struct One {
    pub(crate) config: Bytes,
    pub(crate) layers: Vec<Layer>,
    /// Its manifest with compressed layers, and these.
    pub(crate) manifest: Bytes,
    pub(crate) blobs: Vec<Bytes>,
}

/// An image that the engine has.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    /// `web:tag`.
    pub(crate) names: BTreeSet<String>,
    pub(crate) platforms: Vec<One>,
    /// The list of manifests, where there are several.
    pub(crate) list: Option<Bytes>,
}

/// Everything an engine keeps.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) images: Vec<Stored>,
    pub(crate) kept: Kept,
}

impl One {
    /// What a stage came to as an image.
    pub(crate) fn of(root: &Root, platform: &str) -> Self {
        let config = Bytes::from(root.configuration(platform).to_string());
        let blobs: Vec<_> = root.layers.iter().map(|layer| compressed(&layer.tar)).collect();
        let entry = |kind: &str, bytes: &Bytes| {
            let kind = format!("application/vnd.docker.{kind}");
            json!({ "mediaType": kind, "size": bytes.len(), "digest": digest(bytes) })
        };
        let layer = "image.rootfs.diff.tar.gzip";
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": entry("container.image.v1+json", &config),
            "layers": blobs.iter().map(|blob| entry(layer, blob)).collect::<Vec<_>>(),
        });
        let manifest = Bytes::from(manifest.to_string());
        Self { config, layers: root.layers.clone(), manifest, blobs }
    }

    /// Its configuration, read.
    pub(crate) fn configuration(&self) -> Value {
        serde_json::from_slice(&self.config).unwrap_or_default()
    }

    /// Its platform as registries write it.
    pub(crate) fn platform(&self) -> Value {
        let config = self.configuration();
        let mut platform = json!({ "architecture": config["architecture"], "os": config["os"] });
        if !config["variant"].is_null() {
            platform["variant"] = config["variant"].clone();
        }
        platform
    }
}

/// Small and the same every time; how well is no matter here.
fn compressed(tar: &[u8]) -> Bytes {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    // Into memory, which takes everything.
    _ = packed.write_all(tar);
    packed.finish().unwrap_or_default().into()
}

impl Stored {
    /// The image as the store knows it.
    pub(crate) fn new(platforms: Vec<One>, store: Store) -> Self {
        let list = (platforms.len() > 1).then(|| {
            let entries: Vec<_> = platforms
                .iter()
                .map(|one| json!({ "mediaType": MANIFEST, "digest": digest(&one.manifest), "size": one.manifest.len(), "platform": one.platform() }))
                .collect();
            let list = json!({ "schemaVersion": 2, "mediaType": LIST, "manifests": entries });
            Bytes::from(list.to_string())
        });
        let known = match (store, &list) {
            (Store::Classic, _) => platforms.first().map(|one| &one.config),
            (Store::Containerd, None) => platforms.first().map(|one| &one.manifest),
            (Store::Containerd, Some(_)) => list.as_ref(),
        };
        let id = known.map(|bytes| digest(bytes)).unwrap_or_default();
        Self { id, names: BTreeSet::new(), platforms, list }
    }

    /// Media type, digest and size of what its name stands for.
    pub(crate) fn descriptor(&self) -> Value {
        let (kind, bytes) = match (&self.list, self.platforms.first()) {
            (Some(list), _) => (LIST, list.clone()),
            (None, one) => (MANIFEST, one.map(|one| one.manifest.clone()).unwrap_or_default()),
        };
        json!({ "mediaType": kind, "digest": digest(&bytes), "size": bytes.len() })
    }

    /// How much it takes.
    pub(crate) fn size(&self, store: Store) -> usize {
        let sizes = |one: &One| match store {
            Store::Classic => one.layers.iter().map(|layer| layer.tar.len()).sum::<usize>(),
            Store::Containerd => {
                one.blobs.iter().map(Bytes::len).sum::<usize>()
                    + one.config.len()
                    + one.manifest.len()
            }
        };
        self.platforms.iter().map(sizes).sum()
    }
}

/// A name with its tag, as engines show it.
pub(crate) fn familiar(name: &str) -> String {
    let name = name.trim_start_matches("docker.io/").trim_start_matches("library/");
    let is_tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
    if is_tagged { name.to_owned() } else { format!("{name}:latest") }
}

/// The same with everything that is left out there.
pub(crate) fn whole(name: &str) -> String {
    let name = familiar(name);
    let first = name.split('/').next().filter(|_| name.contains('/')).unwrap_or_default();
    match first {
        "" => format!("docker.io/library/{name}"),
        host if host.contains(['.', ':']) || host == "localhost" => name,
        _ => format!("docker.io/{name}"),
    }
}

impl Shelf {
    /// Puts an image there under these names, which others then have no more.
    pub(crate) fn put(&mut self, image: Stored, names: &[String]) {
        let id = image.id.clone();
        if !self.images.iter().any(|known| known.id == id) {
            self.images.insert(0, image);
        }
        names.iter().for_each(|name| self.name(&id, name));
    }

    /// Names an image.
    pub(crate) fn name(&mut self, id: &str, name: &str) {
        let name = familiar(name);
        for image in &mut self.images {
            if image.id == id {
                image.names.insert(name.clone());
            } else {
                image.names.remove(&name);
            }
        }
    }

    /// The image that a name, an id or the beginning of one means.
    pub(crate) fn find(&self, word: &str) -> Option<&Stored> {
        let (named, _) = word.split_once('@').unwrap_or((word, ""));
        let by_name = self.images.iter().find(|image| image.names.contains(&familiar(named)));
        let hex = word.rsplit("sha256:").next().unwrap_or_default();
        let is_id = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let by_id = || {
            let begins = |image: &&Stored| image.id.trim_start_matches("sha256:").starts_with(hex);
            is_id.then(|| self.images.iter().find(begins)).flatten()
        };
        by_name.or_else(by_id)
    }

    /// Takes a name away, or the whole image if it is called by its id; says what was done.
    pub(crate) fn remove(&mut self, word: &str) -> Option<Value> {
        let id = self.find(word)?.id.clone();
        let at = self.images.iter().position(|image| image.id == id)?;
        let name = familiar(word);
        let mut done = Vec::new();
        let image = &mut self.images[at];
        if image.names.remove(&name) {
            done.push(json!({ "Untagged": name }));
        } else {
            done.extend(image.names.iter().map(|name| json!({ "Untagged": name })));
            image.names.clear();
        }
        if image.names.is_empty() {
            done.push(json!({ "Deleted": id }));
            self.images.remove(at);
        }
        Some(json!(done))
    }

    /// Names by image, for those that have any.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        let pairs = |image: &Stored| {
            image.names.iter().map(|name| (name.clone(), image.id.clone())).collect::<Vec<_>>()
        };
        self.images.iter().flat_map(pairs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_whole_and_familiar() {
        assert_eq!(familiar("docker.io/library/web"), "web:latest");
        assert_eq!(whole("web:x"), "docker.io/library/web:x");
        assert_eq!(whole("a.example:5/web"), "a.example:5/web:latest");
        assert_eq!(whole("acme/web:1"), "docker.io/acme/web:1");
    }
}
