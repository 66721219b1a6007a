//! An OCI layout, in a folder or in a tar: which of its images is meant, and what belongs to it.

use std::collections::{BTreeSet, HashMap};

use super::compress::{Workshop, compress};
use super::gather::{Gather, plain_layers};
use super::inspect::{Descriptor, Inspected, OCI_INDEX, inspect};
use super::shelf::Shelf;
use super::{Image, wrong};
use crate::error::Failure;
use crate::names::Digest;

/// The annotation under which layouts keep a tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation under which containerd and docker keep the whole name.
const FULL_NAME: &str = "io.containerd.image.name";

/// Whether the shelf says of itself that it is a layout.
pub(super) fn is_layout(shelf: &Shelf) -> Result<bool, Failure> {
    Ok(shelf.find("oci-layout")?.is_some() && shelf.find("index.json")?.is_some())
}

/// The image of a layout folder, byte for byte.
pub(super) fn from_folder(shelf: &Shelf, tag: Option<&str>) -> Result<Image, Failure> {
    let layout = read(shelf)?;
    match layout.choose(shelf, tag)? {
        Some(root) => Gather::whole(shelf).image(&root, "`index.json`"),
        None => layout.as_one(Gather::whole(shelf), shelf),
    }
}

/// The image of a layout in a tar: the plain layers of `docker save` are compressed.
pub(super) fn from_tar(
    shelf: &Shelf,
    tag: Option<&str>,
    shop: &Workshop<'_>,
) -> Result<Image, Failure> {
    let layout = read(shelf)?;
    let root = layout.choose(shelf, tag)?;
    let roots = root.as_ref().map_or(layout.entries.as_slice(), std::slice::from_ref);
    let mut plain = Vec::new();
    for root in roots {
        plain.extend(plain_layers(shelf, root)?);
    }
    let packed = compress(&plain, shop)?;
    let packed: HashMap<_, _> = plain.into_iter().map(|layer| layer.diff_id).zip(packed).collect();
    let gather = Gather::archived(shelf, packed);
    match root {
        Some(root) => gather.image(&root, "`index.json`"),
        None => layout.as_one(gather, shelf),
    }
}

/// `index.json`, read.
#[derive(Debug)]
struct Layout {
    bytes: Vec<u8>,
    entries: Vec<Descriptor>,
}

fn read(shelf: &Shelf) -> Result<Layout, Failure> {
    let said = shelf.document("oci-layout", &shelf.need("oci-layout", "every layout")?)?;
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap_or_default();
    let version = said["imageLayoutVersion"].as_str().unwrap_or_default();
    if !version.starts_with("1.") {
        let place = shelf.place_of("oci-layout");
        return Err(wrong::malformed(&place, "no word of layout version 1"));
    }
    let bytes = shelf.document("index.json", &shelf.need("index.json", "every layout")?)?;
    let place = shelf.place_of("index.json");
    match inspect(OCI_INDEX, &bytes).map_err(|what| wrong::malformed(&place, &what))? {
        Inspected::Index { manifests } if !manifests.is_empty() => {
            Ok(Layout { bytes, entries: manifests })
        }
        _ => Err(wrong::malformed(&place, "an index of nothing")),
    }
}

impl Layout {
    /// The one manifest that is meant, or `None` where `index.json` as a whole is the image.
    fn choose(&self, shelf: &Shelf, tag: Option<&str>) -> Result<Option<Descriptor>, Failure> {
        let meant: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| tag.is_none_or(|tag| is_named(entry, tag)))
            .collect();
        let digests: BTreeSet<&Digest> = meant.iter().map(|entry| &entry.digest).collect();
        match (meant.as_slice(), digests.len()) {
            ([], _) => {
                Err(self.refused(shelf, format!("has no image `{}`", tag.unwrap_or_default())))
            }
            ([first, ..], 1) => Ok(Some((*first).clone())),
            _ if meant.len() == self.entries.len() && self.is_one() => Ok(None),
            _ => Err(self.refused(shelf, "holds several images".into())),
        }
    }

    /// Whether all entries go by one name, or none has any.
    fn is_one(&self) -> bool {
        let names: BTreeSet<_> =
            self.entries.iter().map(|entry| entry.annotations.get(REF_NAME)).collect();
        names.len() == 1
    }

    /// Takes `index.json` as the image's own index: then no platform may be in it twice.
    fn as_one(&self, gather: Gather<'_>, shelf: &Shelf) -> Result<Image, Failure> {
        let image = gather.image_of_index(OCI_INDEX, self.bytes.clone(), &self.entries)?;
        let distinct: BTreeSet<_> = image.platforms.iter().collect();
        if distinct.len() < image.platforms.len() {
            return Err(self.refused(shelf, "holds several images".into()));
        }
        Ok(image)
    }

    fn refused(&self, shelf: &Shelf, what: String) -> Failure {
        let shown = &shelf.shown;
        let mut failure = wrong::invalid(format!("`{shown}` {what}"));
        for entry in &self.entries {
            let name = name_of(entry).map_or("without a name".into(), |name| format!("`{name}`"));
            let platform = entry.platform.as_ref().map(|p| format!(", {p}")).unwrap_or_default();
            failure = failure.why(format!("{name}: {}{platform}", entry.digest.short()));
        }
        let named = self.entries.iter().find_map(name_of).unwrap_or("TAG");
        failure.next(format!("name one of them: `{shown}:{named}`; or write one image only"))
    }
}

fn name_of(entry: &Descriptor) -> Option<&str> {
    [FULL_NAME, REF_NAME].iter().find_map(|key| entry.annotations.get(*key)).map(String::as_str)
}

/// Whether an entry goes by what was typed: its tag, or its name to the end.
fn is_named(entry: &Descriptor, tag: &str) -> bool {
    let named = |name: &String| goes_by(name, tag);
    [REF_NAME, FULL_NAME].iter().any(|key| entry.annotations.get(*key).is_some_and(named))
}

/// Whether `name` is `typed`, or ends with it after a `:` or a `/`.
pub(super) fn goes_by(name: &str, typed: &str) -> bool {
    name.strip_suffix(typed).is_some_and(|rest| rest.is_empty() || rest.ends_with([':', '/']))
}
