//! Walks from one manifest to everything below it, checking each document as it is read.
//!
//! Nothing is changed on the way, with two exceptions, both for archives only: plain layers are
//! replaced by their compressed form, and an index loses the platforms that the archive left out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::blob::{Blob, Kind};
use super::compress::{Packed, Plain};
use super::inspect::{Config, Descriptor, Inspected, inspect, inspect_config};
use super::shelf::Shelf;
use super::{Configured, Image, Manifest, wrong};
use crate::error::Failure;
use crate::names::Digest;

/// Indexes in indexes that are followed.
const DEPTH: usize = 4;

/// What is found below one manifest.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    shelf: &'a Shelf,
    /// Compressed forms, by the digest of the plain layer.
    packed: HashMap<Digest, Packed>,
    /// An index may name manifests that are not there: `docker save` leaves out what was not
    /// pulled.
    partial: bool,
    children: Vec<Manifest>,
    blobs: Vec<Blob>,
    configs: Vec<Configured>,
    seen: HashSet<Digest>,
}

impl<'a> Gather<'a> {
    /// Everything must be there and is pushed byte for byte.
    pub(super) fn whole(shelf: &'a Shelf) -> Self {
        Self {
            shelf,
            packed: HashMap::new(),
            partial: false,
            children: Vec::new(),
            blobs: Vec::new(),
            configs: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// As archives are: plain layers are replaced, absent platforms are left out.
    pub(super) fn archived(shelf: &'a Shelf, packed: HashMap<Digest, Packed>) -> Self {
        Self { packed, partial: true, ..Self::whole(shelf) }
    }

    /// The image below one descriptor.
    pub(super) fn image(mut self, root: &Descriptor, wanted_by: &str) -> Result<Image, Failure> {
        let root = self.manifest(root, wanted_by, 0)?;
        self.finish(root)
    }

    /// The image whose index is `index.json` itself.
    pub(super) fn image_of_index(
        mut self,
        media_type: &str,
        bytes: Vec<u8>,
        entries: &[Descriptor],
    ) -> Result<Image, Failure> {
        let bytes = self.index(bytes, entries, "`index.json`", 0)?;
        let root = made(media_type, bytes);
        self.finish(root)
    }

    fn finish(self, root: Manifest) -> Result<Image, Failure> {
        let shown = self.shelf.shown.clone();
        if self.configs.is_empty() {
            return Err(wrong::invalid(format!("`{shown}` holds no image"))
                .why("no manifest in it has the config of an image: it is an artifact")
                .next("give an image: a folder with an OCI layout, or a file of `docker save`"));
        }
        let platforms = self.configs.iter().map(|c| c.platform.clone()).collect();
        let Self { children, blobs, configs, .. } = self;
        Ok(Image { shown, is_folder: false, root, children, blobs, platforms, configs })
    }

    fn manifest(
        &mut self,
        said: &Descriptor,
        wanted_by: &str,
        depth: usize,
    ) -> Result<Manifest, Failure> {
        let (path, bytes) = document(self.shelf, said, wanted_by)?;
        let place = self.shelf.place_of(&path);
        let malformed = |what: String| wrong::malformed(&place, &what);
        let bytes = match inspect(&said.media_type, &bytes).map_err(malformed)? {
            Inspected::Index { .. } if depth == DEPTH => {
                return Err(wrong::malformed(&place, "an index too deep in other indexes"));
            }
            Inspected::Index { manifests } => self.index(bytes, &manifests, &path, depth)?,
            Inspected::Image { config, layers } => {
                self.one_image(said, bytes, &config, &layers, &path)?
            }
        };
        let manifest = made(&said.media_type, bytes);
        if let Some(own) = self.configs.iter_mut().find(|c| c.manifest == said.digest) {
            own.manifest = manifest.digest.clone();
        }
        Ok(manifest)
    }

    /// Gathers what an index lists; its bytes come back as they were unless a manifest changed.
    fn index(
        &mut self,
        bytes: Vec<u8>,
        entries: &[Descriptor],
        path: &str,
        depth: usize,
    ) -> Result<Vec<u8>, Failure> {
        let mut now: BTreeMap<Digest, Option<Manifest>> = BTreeMap::new();
        for entry in entries {
            if now.contains_key(&entry.digest) {
                continue;
            }
            let left_out = self.partial && self.shelf.find(&path_of(&entry.digest))?.is_none();
            let manifest =
                if left_out { None } else { Some(self.manifest(entry, path, depth + 1)?) };
            if let Some(manifest) = &manifest
                && self.seen.insert(manifest.digest.clone())
            {
                self.children.push(manifest.clone());
            }
            now.insert(entry.digest.clone(), manifest);
        }
        let same = |(was, now): (&Digest, &Option<Manifest>)| {
            now.as_ref().is_some_and(|now| now.digest == *was)
        };
        if now.iter().all(same) { Ok(bytes) } else { relisted(&bytes, &now, path) }
    }

    fn one_image(
        &mut self,
        said: &Descriptor,
        bytes: Vec<u8>,
        config: &Descriptor,
        layers: &[Descriptor],
        path: &str,
    ) -> Result<Vec<u8>, Failure> {
        if said.is_attestation() || !config.is_image_config() {
            self.blob(config, Kind::Config, path)?;
            layers.iter().try_for_each(|layer| self.blob(layer, Kind::Layer, path))?;
            return Ok(bytes);
        }
        let own = self.config(said, config, path)?;
        if own.diff_ids.len() != layers.len() {
            let (has, says) = (layers.len(), own.diff_ids.len());
            return Err(wrong::malformed(
                &self.shelf.place_of(path),
                &format!("a manifest of {has} layers whose config says {says}"),
            ));
        }
        let mut replaced = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            if wrong::is_foreign(layer) || !layer.is_layer() {
                return Err(wrong::layer_type(&self.shelf.shown, layer));
            }
            match self.packed.get(&layer.digest).cloned() {
                Some(packed) if layer.is_plain_layer() => {
                    replaced.push((index, layer.clone(), packed));
                }
                _ => self.blob(layer, Kind::Layer, path)?,
            }
        }
        for (_, layer, packed) in &replaced {
            self.packed_blob(layer, packed);
        }
        if replaced.is_empty() { Ok(bytes) } else { relayered(&bytes, &replaced, path) }
    }

    /// Reads the config and compares it with what the index says.
    fn config(
        &mut self,
        said: &Descriptor,
        config: &Descriptor,
        path: &str,
    ) -> Result<Config, Failure> {
        let (inside, bytes) = document(self.shelf, config, path)?;
        let place = self.shelf.place_of(&inside);
        let own = inspect_config(&bytes).map_err(|what| wrong::malformed(&place, &what))?;
        if let Some(listed) = said.platform.as_ref().filter(|listed| !listed.runs_on(&own.platform))
        {
            return Err(wrong::malformed(
                &place,
                &format!("listed as {listed}, but built for {}", own.platform),
            ));
        }
        self.blob(config, Kind::Config, path)?;
        // The index is what a node chooses by; its variant may say more than the config's.
        let platform = match &said.platform {
            Some(listed) if listed.variant.is_some() => listed.clone(),
            _ => own.platform.clone(),
        };
        if self.configs.iter().all(|known| known.manifest != said.digest) {
            self.configs.push(Configured {
                manifest: said.digest.clone(),
                digest: config.digest.clone(),
                platform,
                labels: own.labels.clone(),
                env: own.env.clone(),
                history: own.history.clone(),
            });
        }
        Ok(own)
    }

    fn blob(&mut self, said: &Descriptor, kind: Kind, wanted_by: &str) -> Result<(), Failure> {
        let path = path_of(&said.digest);
        let content = self.shelf.need(&path, wanted_by)?;
        let place = self.shelf.place_of(&path);
        if content.size() != said.size {
            return Err(wrong::size(&place, said, content.size()));
        }
        if self.seen.insert(said.digest.clone()) {
            self.blobs.push(Blob {
                digest: said.digest.clone(),
                size: said.size,
                kind,
                media_type: said.media_type.clone(),
                place: Arc::from(place),
                content,
            });
        }
        Ok(())
    }

    fn packed_blob(&mut self, layer: &Descriptor, packed: &Packed) {
        if self.seen.insert(packed.digest.clone()) {
            self.blobs.push(Blob {
                digest: packed.digest.clone(),
                size: packed.content.size(),
                kind: Kind::Layer,
                media_type: gzip_of(&layer.media_type),
                place: Arc::from(self.shelf.place_of(&path_of(&layer.digest))),
                content: packed.content.clone(),
            });
        }
    }
}

/// The plain layers of the images below a descriptor, each once.
pub(super) fn plain_layers(shelf: &Shelf, root: &Descriptor) -> Result<Vec<Plain>, Failure> {
    let mut found: Vec<Plain> = Vec::new();
    let mut below = vec![(root.clone(), 0)];
    while let Some((said, depth)) = below.pop() {
        if depth > DEPTH || shelf.find(&path_of(&said.digest))?.is_none() {
            continue;
        }
        let (path, bytes) = document(shelf, &said, "its index")?;
        let malformed = |what: String| wrong::malformed(&shelf.place_of(&path), &what);
        match inspect(&said.media_type, &bytes).map_err(malformed)? {
            Inspected::Index { manifests } => {
                below.extend(manifests.into_iter().map(|m| (m, depth + 1)));
            }
            Inspected::Image { layers, .. } => {
                for layer in layers.iter().filter(|layer| layer.is_plain_layer()) {
                    if found.iter().any(|known| known.diff_id == layer.digest) {
                        continue;
                    }
                    let inside = path_of(&layer.digest);
                    found.push(Plain {
                        diff_id: layer.digest.clone(),
                        content: shelf.need(&inside, &path)?,
                        place: shelf.place_of(&inside),
                    });
                }
            }
        }
    }
    Ok(found)
}

/// Where a layout keeps a digest.
pub(super) fn path_of(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The bytes of a document, which are what its digest says.
fn document(
    shelf: &Shelf,
    said: &Descriptor,
    wanted_by: &str,
) -> Result<(String, Vec<u8>), Failure> {
    let path = path_of(&said.digest);
    let content = shelf.need(&path, wanted_by)?;
    let bytes = shelf.document(&path, &content)?;
    let read = Digest::of(&bytes);
    if read != said.digest {
        return Err(wrong::digest(&shelf.place_of(&path), &said.digest, &read));
    }
    if content.size() != said.size {
        return Err(wrong::size(&shelf.place_of(&path), said, content.size()));
    }
    Ok((path, bytes))
}

fn made(media_type: &str, bytes: Vec<u8>) -> Manifest {
    Manifest { digest: Digest::of(&bytes), media_type: media_type.into(), bytes: bytes.into() }
}

/// The same layer, gzip'd: Docker and OCI spell it differently.
pub(super) fn gzip_of(plain: &str) -> String {
    let join = if plain.contains("docker") { '.' } else { '+' };
    format!("{plain}{join}gzip")
}

/// A manifest with some of its layers replaced; everything else stays in its place.
fn relayered(
    bytes: &[u8],
    replaced: &[(usize, Descriptor, Packed)],
    path: &str,
) -> Result<Vec<u8>, Failure> {
    rewritten(bytes, path, |manifest| {
        for (index, layer, packed) in replaced {
            let entry = &mut manifest["layers"][index];
            entry["mediaType"] = gzip_of(&layer.media_type).into();
            entry["digest"] = packed.digest.as_str().into();
            entry["size"] = packed.content.size().into();
        }
    })
}

/// An index with the manifests that changed, without those that are not there. Attestations name
/// the manifest that they speak of, so that name changes with it.
fn relisted(
    bytes: &[u8],
    now: &BTreeMap<Digest, Option<Manifest>>,
    path: &str,
) -> Result<Vec<u8>, Failure> {
    let find = |digest: &Value| -> Option<&Option<Manifest>> {
        now.get(&digest.as_str()?.parse::<Digest>().ok()?)
    };
    rewritten(bytes, path, |index| {
        let Some(entries) = index["manifests"].as_array_mut() else { return };
        entries.retain(|entry| !matches!(find(&entry["digest"]), Some(None)));
        for entry in entries {
            if let Some(Some(manifest)) = find(&entry["digest"]) {
                entry["digest"] = manifest.digest.as_str().into();
                entry["size"] = manifest.bytes.len().into();
            }
            if let Some(subject) = entry.pointer_mut("/annotations/vnd.docker.reference.digest")
                && let Some(Some(manifest)) = find(subject)
            {
                *subject = manifest.digest.as_str().into();
            }
        }
    })
}

fn rewritten(
    bytes: &[u8],
    path: &str,
    change: impl FnOnce(&mut Value),
) -> Result<Vec<u8>, Failure> {
    let malformed =
        |error: serde_json::Error| wrong::malformed(path, &format!("no JSON ({error})"));
    let mut value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    change(&mut value);
    serde_json::to_vec(&value).map_err(malformed)
}
