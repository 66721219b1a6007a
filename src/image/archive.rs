//! A file of `docker save`: the old form, with `manifest.json` and layers by path, or a layout in a
//! tar; either may be gzip'd as a whole.
//!
//! The old form has no image manifest, so one is made; its digest depends on the image alone.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::blob::{Blob, Content, Kind};
use super::compress::{Packed, Plain, Workshop, compress, digests, unpack};
use super::inspect::{OCI_MANIFEST, inspect_config};
use super::layout::{self, goes_by};
use super::shelf::Shelf;
use super::{Configured, Image, Manifest, wrong};
use crate::error::Failure;
use crate::names::Digest;

pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How a file begins.
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// An image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// A layer of the old form on its way to be sent.
struct Layer {
    place: String,
    packed: Option<Packed>,
}

/// The image of an archive.
pub(super) fn from_file(
    shown: &str,
    path: &Path,
    tag: Option<&str>,
    shop: &Workshop<'_>,
) -> Result<Image, Failure> {
    let whole = File::open(path)
        .and_then(Content::file)
        .map_err(|error| wrong::unreadable(shown, &error))?;
    // An export that was refused leaves its file behind; the tar of nothing is nothing, too.
    if whole.size() == 0 {
        return Err(wrong::invalid(format!("`{shown}` is empty"))
            .why("it is a file of 0 bytes")
            .next("see what the command that should have written it said"));
    }
    let whole = match packing(shown, &whole)? {
        Packing::Plain => whole,
        Packing::Gzip => unpack(shown, &whole, shop)?,
        Packing::Zstd => {
            return Err(wrong::invalid(format!("`{shown}` is a zstd file, which is not unpacked"))
                .next(format!("zstd -d {shown}, and give the file that it makes")));
        }
    };
    let shelf = Shelf::tar(shown, &whole, || shop.stopped())?;
    if layout::is_layout(&shelf)? {
        return layout::from_tar(&shelf, tag, shop);
    }
    match shelf.find("manifest.json")? {
        Some(content) => from_saved(&shelf, &content, tag, shop),
        None => Err(wrong::invalid(format!(
            "`{shown}` is neither an OCI layout nor a docker-archive"
        ))
        .why("it is a tar without `manifest.json`, and without `oci-layout` and `index.json`")
        .next("write it by `docker save -o image.tar NAME`; `docker export` writes no image")),
    }
}

fn from_saved(
    shelf: &Shelf,
    manifest_json: &Content,
    tag: Option<&str>,
    shop: &Workshop<'_>,
) -> Result<Image, Failure> {
    let place = shelf.place_of("manifest.json");
    let bytes = shelf.document("manifest.json", manifest_json)?;
    let saved: Vec<Saved> = serde_json::from_slice(&bytes)
        .map_err(|error| wrong::malformed(&place, &format!("no list of images ({error})")))?;
    let saved = choose(shelf, &saved, tag)?;

    let config = shelf.need(&saved.config, "`manifest.json`")?;
    let bytes = shelf.document(&saved.config, &config)?;
    let place = shelf.place_of(&saved.config);
    let own = inspect_config(&bytes).map_err(|what| wrong::malformed(&place, &what))?;
    check_name(&saved.config, &place, &Digest::of(&bytes))?;
    if own.diff_ids.len() != saved.layers.len() {
        let (has, says) = (saved.layers.len(), own.diff_ids.len());
        let what = format!("an image of {has} layers whose config says {says}");
        return Err(wrong::malformed(&shelf.place_of("manifest.json"), &what));
    }
    let layers = layers(shelf, &saved.layers, &own.diff_ids, shop)?;
    let config = Blob {
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        kind: Kind::Config,
        media_type: CONFIG.into(),
        place: Arc::from(place),
        content: Content::Memory(bytes.into()),
    };
    let root = manifest(&config, &layers)?;
    let configs = vec![Configured {
        manifest: root.digest.clone(),
        digest: config.digest.clone(),
        platform: own.platform.clone(),
        labels: own.labels,
        env: own.env,
        history: own.history,
    }];
    let mut blobs = vec![config];
    for layer in layers {
        if blobs.iter().all(|known| known.digest != layer.digest) {
            blobs.push(layer);
        }
    }
    let platforms = vec![own.platform];
    Ok(Image {
        shown: shelf.shown.clone(),
        is_folder: false,
        root,
        children: Vec::new(),
        blobs,
        platforms,
        configs,
    })
}

/// The image that is meant: the one that goes by the tag, or the only one.
fn choose<'a>(shelf: &Shelf, saved: &'a [Saved], tag: Option<&str>) -> Result<&'a Saved, Failure> {
    let tags = |one: &'a Saved| one.repo_tags.iter().flatten();
    let meant: Vec<_> = saved
        .iter()
        .filter(|one| tag.is_none_or(|tag| tags(one).any(|name| goes_by(name, tag))))
        .collect();
    if let [only] = meant.as_slice() {
        return Ok(only);
    }
    let shown = &shelf.shown;
    let what = match tag {
        Some(tag) if meant.is_empty() => format!("has no image `{tag}`"),
        _ if saved.is_empty() => "holds no image".into(),
        _ => "holds several images".into(),
    };
    let mut failure = wrong::invalid(format!("`{shown}` {what}"));
    for one in saved {
        let names: Vec<_> = tags(one).map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() { "without a name".into() } else { names.join(", ") };
        failure = failure.why(format!("{names}: {}", one.config));
    }
    let named = saved.iter().flat_map(tags).next().map_or("TAG", String::as_str);
    Err(failure.next(format!("name one of them: `{shown}:{named}`; or save one image only")))
}

/// Where a config is named by its digest, the name must be right.
fn check_name(path: &str, place: &str, read: &Digest) -> Result<(), Failure> {
    let name = path.rsplit('/').next().unwrap_or(path);
    match format!("sha256:{}", name.trim_end_matches(".json")).parse::<Digest>() {
        Ok(named) if named != *read => Err(wrong::digest(place, &named, read)),
        _ => Ok(()),
    }
}

/// The layers in order, compressed where they are plain; each is what the config says it is.
fn layers(
    shelf: &Shelf,
    paths: &[String],
    diff_ids: &[Digest],
    shop: &Workshop<'_>,
) -> Result<Vec<Blob>, Failure> {
    let mut found = Vec::new();
    let mut plain: Vec<Plain> = Vec::new();
    for (path, diff_id) in paths.iter().zip(diff_ids) {
        let place = shelf.place_of(path);
        let content = shelf.need(path, "`manifest.json`")?;
        let packed = match packing(&place, &content)? {
            Packing::Gzip => Some(as_it_is(&place, content, diff_id, shop)?),
            Packing::Zstd => {
                return Err(wrong::invalid(format!(
                    "`{place}` is a zstd layer in an old docker-archive"
                ))
                .why("that form does not say which zstd bytes belong to the image")
                .next(
                    "write an OCI archive: docker buildx build --output type=oci,dest=image.tar",
                ));
            }
            Packing::Plain => {
                if plain.iter().all(|known| known.diff_id != *diff_id) {
                    plain.push(Plain { diff_id: diff_id.clone(), place: place.clone(), content });
                }
                None
            }
        };
        found.push(Layer { place, packed });
    }
    let packed = compress(&plain, shop)?;
    let of = |diff_id: &Digest| {
        plain
            .iter()
            .position(|known| known.diff_id == *diff_id)
            .and_then(|at| packed.get(at))
            .cloned()
    };
    let blobs = found.into_iter().zip(diff_ids).filter_map(|(layer, diff_id)| {
        let packed = layer.packed.or_else(|| of(diff_id))?;
        Some(Blob {
            digest: packed.digest,
            size: packed.content.size(),
            kind: Kind::Layer,
            media_type: LAYER.into(),
            place: Arc::from(layer.place),
            content: packed.content,
        })
    });
    Ok(blobs.collect())
}

/// A gzip'd layer is sent as it is, once what is in it is what the config says.
fn as_it_is(
    place: &str,
    content: Content,
    diff_id: &Digest,
    shop: &Workshop<'_>,
) -> Result<Packed, Failure> {
    let (digest, inside) = digests(place, &content, shop)?;
    if inside != *diff_id {
        return Err(wrong::digest(place, diff_id, &inside));
    }
    Ok(Packed { digest, content })
}

fn manifest(config: &Blob, layers: &[Blob]) -> Result<Manifest, Failure> {
    let of = |blob: &Blob| Described {
        media_type: blob.media_type.clone(),
        digest: blob.digest.clone(),
        size: blob.size,
    };
    let layers: Vec<_> = layers.iter().map(of).collect();
    assembled(&of(config), &layers)
}

/// What a manifest says of a blob, in the order of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Described {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// The manifest of a config and its layers: its digest depends on them alone, whatever they came in.
pub(super) fn assembled(config: &Described, layers: &[Described]) -> Result<Manifest, Failure> {
    let bytes = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config,
        "layers": layers,
    }))
    .map_err(|error| wrong::malformed(config.digest.short(), &error.to_string()))?;
    Ok(Manifest {
        digest: Digest::of(&bytes),
        media_type: OCI_MANIFEST.into(),
        bytes: bytes.into(),
    })
}

fn packing(place: &str, content: &Content) -> Result<Packing, Failure> {
    let mut magic = [0; 4];
    let mut reader = content.reader().take(4);
    let mut filled = 0;
    while filled < magic.len() {
        match reader.read(&mut magic[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) => return Err(wrong::unreadable(place, &error)),
        }
    }
    Ok(match magic {
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
        _ => Packing::Plain,
    })
}
