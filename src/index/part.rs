//! One part of an index: the image under a platform's tag, read down to its config.
//!
//! What counts is the config: an index may call an image anything. Attestations (`unknown/unknown`) are never a
//! platform; those of the image that is taken come along, all others are left out.

use std::collections::BTreeMap;

use crate::error::{Code, Failure};
use crate::image::{Config, Descriptor, Entry, Inspected, Manifest, inspect, inspect_config};
use crate::names::{Commit, Digest, Platform, Tag};
use crate::plan::image::short_tag;
use crate::registry::{Reference, Registry};

/// The longest config that is read.
const CONFIG: usize = 8 * 1024 * 1024;

/// Under which an attestation names the manifest that it is about.
const ABOUT: &str = "vnd.docker.reference.digest";

/// What a tag turned out to name.
pub(super) enum Found {
    There(Box<Part>),
    Absent(Platform),
    /// Something, but not that platform's image.
    Wrong(Failure),
}

impl Found {
    pub(super) fn there(&self) -> Option<&Part> {
        if let Self::There(part) = self { Some(part) } else { None }
    }

    pub(super) fn absent(&self) -> Option<&Platform> {
        if let Self::Absent(platform) = self { Some(platform) } else { None }
    }

    pub(super) fn wrong(&self) -> Option<&Failure> {
        if let Self::Wrong(failure) = self { Some(failure) } else { None }
    }
}

/// One platform's image.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) platform: Platform,
    /// Its manifest.
    pub(super) image: Entry,
    /// Manifests that say something about it.
    pub(super) attestations: Vec<Entry>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) created: Option<String>,
}

impl Part {
    /// `linux/arm64 sha256:0123456789ab, tag 9f2c1e4-linux-arm64`.
    pub(super) fn row(&self, commit: &Commit) -> String {
        let Self { platform, image, attestations, .. } = self;
        let digest = image.digest.short();
        let kept = match attestations.len() {
            0 => String::new(),
            n => format!(", with {}", crate::report::figures::count(n, "attestation")),
        };
        format!("{platform} {digest}, tag {}{kept}", short(commit, platform))
    }
}

/// A platform's tag as people read it: `9f2c1e4-linux-arm64`.
pub(super) fn short(commit: &Commit, platform: &Platform) -> String {
    short_tag(&commit.tag_for(platform), commit)
}

/// Reads what a platform's tag names.
///
/// # Errors
/// What the registry refuses, or manifests that are none.
pub(super) async fn read(
    registry: &Registry,
    commit: &Commit,
    platform: &Platform,
) -> Result<Found, Failure> {
    let tag: Tag = commit.tag_for(platform);
    let Some(root) = registry.manifest(&Reference::Tag(tag)).await? else {
        return Ok(Found::Absent(platform.clone()));
    };
    let wrong = |holds: String| Found::Wrong(not_it(commit, platform, &root.digest, &holds));
    let (image, listed) = match inspected(&root)? {
        Inspected::Image { .. } => (root.clone(), Vec::new()),
        Inspected::Index { manifests } => {
            let images: Vec<_> = manifests.iter().filter(|e| !e.is_attestation()).collect();
            let [only] = images.as_slice() else {
                return Ok(wrong(format!("an index of {}", several(&images))));
            };
            let reference = Reference::Digest(only.digest.clone());
            let Some(image) = registry.manifest(&reference).await? else {
                return Ok(wrong(format!("an index whose image {} is gone", only.digest.short())));
            };
            (image, manifests)
        }
    };
    let Inspected::Image { config, .. } = inspected(&image)? else {
        return Ok(wrong("an index in an index".into()));
    };
    let Ok(own) = inspect_config(&registry.blob(&config.digest, CONFIG).await?) else {
        return Ok(wrong("no image: its config is not one of an image".into()));
    };
    if !fits(&own, platform) {
        return Ok(wrong(format!("an image for {}", own.platform)));
    }
    let mut attestations = Vec::new();
    for entry in about(&listed, &image.digest) {
        // What is gone can be listed nowhere: ECR would refuse the index.
        let reference = Reference::Digest(entry.digest.clone());
        if let Some(manifest) = registry.manifest(&reference).await? {
            let annotations = entry.annotations.clone();
            attestations.push(Entry { annotations, ..Entry::of(&manifest) });
        }
    }
    Ok(Found::There(Box::new(Part {
        platform: platform.clone(),
        image: Entry::of(&image),
        attestations,
        labels: own.labels,
        created: own.created,
    })))
}

/// Whether a config is for this platform: `arm` without a variant is v7, as containerd takes it.
fn fits(own: &Config, wanted: &Platform) -> bool {
    let bare = Platform { variant: None, ..wanted.clone() };
    let is_v7 = wanted.architecture == "arm" && wanted.variant.as_deref() == Some("v7");
    own.platform == *wanted || is_v7 && own.platform == bare
}

/// The attestations of this manifest, in the order of their index.
fn about<'a>(listed: &'a [Descriptor], image: &Digest) -> Vec<&'a Descriptor> {
    let names_it = |e: &Descriptor| e.annotations.get(ABOUT).is_some_and(|d| d == image.as_str());
    let of_it = |e: &&Descriptor| e.is_attestation() && names_it(e);
    listed.iter().filter(of_it).collect()
}

fn several(images: &[&Descriptor]) -> String {
    if images.is_empty() {
        return "no image at all".into();
    }
    let platform = |e: &&Descriptor| match &e.platform {
        Some(platform) => platform.to_string(),
        None => e.digest.short().to_owned(),
    };
    images.iter().map(platform).collect::<Vec<_>>().join(", ")
}

fn inspected(manifest: &Manifest) -> Result<Inspected, Failure> {
    inspect(&manifest.media_type, &manifest.bytes).map_err(|what| {
        let which = format!("manifest {} in ECR cannot be used", manifest.digest.short());
        Failure::new(Code::ImageInvalid, which)
            .why(format!("it is {what}"))
            .next("ship a new commit: what is in ECR under this one cannot be run")
    })
}

fn not_it(commit: &Commit, platform: &Platform, digest: &Digest, holds: &str) -> Failure {
    let tag = short(commit, platform);
    Failure::new(Code::PlatformMissing, format!("tag {tag} does not hold the image for {platform}"))
        .why(format!("it holds {holds}, {}", digest.short()))
        .next(format!(
            "ship a new commit, with `platform: {platform}` in the job that pushes this tag"
        ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image::MANIFESTS;

    fn config(platform: &str) -> Config {
        let mut parts = platform.split('/');
        let mut own = json!({ "os": parts.next(), "architecture": parts.next(), "rootfs": {} });
        own["variant"] = parts.next().map_or(Value::Null, Into::into);
        inspect_config(own.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_platform_is_told_by_the_config_with_its_variant() {
        let fits = |own: &str, wanted: &str| fits(&config(own), &wanted.parse().unwrap());
        assert!(fits("linux/amd64", "linux/amd64") && fits("linux/amd64/v1", "linux/amd64"));
        assert!(fits("linux/arm64", "linux/arm64") && fits("linux/arm64/v8", "linux/arm64"));
        assert!(fits("linux/arm64", "linux/arm64/v8") && fits("linux/arm", "linux/arm/v7"));
        assert!(fits("linux/arm/v7", "linux/arm/v7"));
        assert!(!fits("linux/amd64/v3", "linux/amd64"), "it runs on some nodes only");
        assert!(!fits("linux/arm/v6", "linux/arm/v7") && !fits("linux/arm", "linux/arm/v6"));
        assert!(!fits("linux/arm64", "linux/amd64") && !fits("windows/amd64", "linux/amd64"));
    }

    #[test]
    fn attestations_of_the_image_are_kept_and_others_are_not() {
        let digest = |word: &str| Digest::of(word.as_bytes());
        let entry = |word: &str, about: Option<&str>| {
            let mut entry = json!({ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(word), "size": 1 });
            if let Some(about) = about {
                entry["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
                entry["annotations"] = json!({ ABOUT: digest(about).to_string() });
            }
            entry
        };
        let index = json!({ "schemaVersion": 2, "manifests": [
            entry("image", None), entry("provenance", Some("image")), entry("stray", Some("other")), entry("sbom", Some("image")),
        ]});
        let index = inspect(MANIFESTS[0], index.to_string().as_bytes()).unwrap();
        let Inspected::Index { manifests } = index else { panic!("an index") };
        let kept: Vec<_> = about(&manifests, &digest("image")).iter().map(|e| &e.digest).collect();
        assert_eq!(kept, [&digest("provenance"), &digest("sbom")]);
    }
}
