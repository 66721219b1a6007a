//! Images as an archive: as engines before 25 wrote it, as later ones do, and as containerd's store does.

use bytes::Bytes;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::serve::missing;
use super::shelf::{One, Stored, whole};
use super::{State, Store, Version};
use crate::answer::{Answer, answer};
use crate::image::digest;
use crate::world::hold;

/// Files of the archive, in their order; one that ends in a slash is a folder.
type Parts = Vec<(String, Bytes)>;

pub(super) fn answered(state: &State, names: &[String]) -> Answer {
    let shelf = hold(&state.shelf);
    let mut images = Vec::new();
    for name in names {
        let Some(image) = shelf.find(name) else { return missing(name) };
        // By its id it is saved without a name.
        let is_id = name.starts_with("sha256:")
            || image.id.trim_start_matches("sha256:").starts_with(name.as_str());
        let tag = (!is_id).then(|| super::shelf::familiar(name));
        images.push((image, tag));
    }
    let parts = match (state.kind.store, state.kind.version) {
        (Store::Containerd, _) => contents(&images, true),
        (Store::Classic, Version::V28) => contents(&images, false),
        (Store::Classic, Version::V20) => folders(&images),
    };
    answer(200, "application/x-tar", packed(&parts))
}

fn packed(parts: &Parts) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (path, bytes) in parts {
        let mut header = Header::new_ustar();
        header.set_entry_type(if path.ends_with('/') {
            EntryType::Directory
        } else {
            EntryType::Regular
        });
        header.set_mode(if path.ends_with('/') { 0o755 } else { 0o644 });
        header.set_size(bytes.len() as u64);
        // Into memory, with names that every header holds.
        _ = archive.append_data(&mut header, path, &bytes[..]);
    }
    archive.into_inner().unwrap_or_default()
}

fn hex(digest: &str) -> &str {
    digest.trim_start_matches("sha256:")
}

/// What `repositories` says: by repository, tag and last layer.
fn repositories(named: &[(String, String)]) -> Value {
    let mut all = json!({});
    for (name, last) in named {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        all[repository][tag] = json!(last);
    }
    all
}

/// The form before 25: a folder for each layer, the configuration beside them.
fn folders(images: &[(&Stored, Option<String>)]) -> Parts {
    let mut parts = Parts::new();
    let (mut listed, mut named) = (Vec::new(), Vec::new());
    for (image, tag) in images {
        let Some(one) = image.platforms.first() else { continue };
        let (mut id, mut layers) = (String::new(), Vec::new());
        for layer in &one.layers {
            let parent = id.clone();
            id = hex(&digest(format!("{id} {}", layer.diff_id).as_bytes())).to_owned();
            let mut about = json!({ "id": id, "os": "linux" });
            if !parent.is_empty() {
                about["parent"] = json!(parent);
            }
            parts.push((format!("{id}/"), Bytes::new()));
            parts.push((format!("{id}/VERSION"), "1.0".into()));
            parts.push((format!("{id}/json"), about.to_string().into()));
            parts.push((format!("{id}/layer.tar"), layer.tar.clone()));
            layers.push(format!("{id}/layer.tar"));
        }
        let config = format!("{}.json", hex(&digest(&one.config)));
        parts.push((config.clone(), one.config.clone()));
        listed.push(json!({ "Config": config, "RepoTags": tag.as_ref().map(|tag| [tag]), "Layers": layers }));
        named.extend(tag.clone().map(|tag| (tag, id)));
    }
    parts.push(("manifest.json".into(), json!(listed).to_string().into()));
    if !named.is_empty() {
        parts.push(("repositories".into(), repositories(&named).to_string().into()));
    }
    parts
}

/// A layout, with what older readers need beside it.
fn contents(images: &[(&Stored, Option<String>)], is_containerd: bool) -> Parts {
    let mut blobs = Parts::new();
    let (mut index, mut listed, mut named) = (Vec::new(), Vec::new(), Vec::new());
    let mut put = |bytes: &Bytes| {
        let digest = digest(bytes);
        let path = format!("blobs/sha256/{}", hex(&digest));
        blobs.push((path.clone(), bytes.clone()));
        (path, digest)
    };
    for (image, tag) in images {
        let mut root = image.descriptor();
        for one in &image.platforms {
            let manifest = if is_containerd { one.manifest.clone() } else { plain(one) };
            let layers = if is_containerd { one.blobs.clone() } else { tars(one) };
            let layers: Vec<_> = layers.iter().map(|bytes| put(bytes).0).collect();
            let (config, _) = put(&one.config);
            let (_, at) = put(&manifest);
            if !is_containerd {
                root = json!({ "mediaType": OCI_MANIFEST, "digest": at, "size": manifest.len() });
            }
            let last = one.layers.last().map(|layer| hex(&layer.diff_id).to_owned());
            named.extend(tag.clone().map(|tag| (tag, last.unwrap_or_default())));
            listed.push(json!({ "Config": config, "RepoTags": tag.as_ref().map(|tag| [tag]), "Layers": layers }));
        }
        if let Some(list) = &image.list {
            put(list);
        }
        if let Some(tag) = tag {
            let word = tag.rsplit(':').next();
            root["annotations"] = json!({ "io.containerd.image.name": whole(tag), "org.opencontainers.image.ref.name": word });
        }
        index.push(root);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": index });
    let mut parts =
        Parts::from([("blobs/".into(), Bytes::new()), ("blobs/sha256/".into(), Bytes::new())]);
    blobs.sort();
    blobs.dedup();
    parts.extend(blobs);
    parts.push(("index.json".into(), index.to_string().into()));
    parts.push(("manifest.json".into(), json!(listed).to_string().into()));
    parts.push(("oci-layout".into(), r#"{"imageLayoutVersion":"1.0.0"}"#.into()));
    if !is_containerd && !named.is_empty() {
        parts.push(("repositories".into(), repositories(&named).to_string().into()));
    }
    parts
}

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn tars(one: &One) -> Vec<Bytes> {
    one.layers.iter().map(|layer| layer.tar.clone()).collect()
}

/// A manifest of layers that are not compressed, as the classic store writes one to save it.
fn plain(one: &One) -> Bytes {
    let entry = |kind: &str, bytes: &Bytes| {
        let kind = format!("application/vnd.oci.image.{kind}");
        json!({ "mediaType": kind, "digest": digest(bytes), "size": bytes.len() })
    };
    let layers: Vec<_> = tars(one).iter().map(|tar| entry("layer.v1.tar", tar)).collect();
    let manifest = json!({ "schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": entry("config.v1+json", &one.config), "layers": layers });
    manifest.to_string().into()
}
