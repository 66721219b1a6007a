//! Images by tag and digest, as ECR's API answers them from what the registry holds.

use serde_json::{Value, json};

use super::{page, repository, seconds};
use crate::access::Refusal;
use crate::registry::{self, Refused, digest_of};
use crate::world::{Repository, World};

/// The digest that an image id names: by digest, by tag, or by both if they agree.
fn find(kept: &Repository, id: &Value) -> Result<String, (&'static str, &'static str)> {
    let (tag, digest) = (id["imageTag"].as_str(), id["imageDigest"].as_str());
    let absent = ("ImageNotFound", "Requested image not found");
    match (tag, digest) {
        (None, None) => Err((
            "MissingDigestAndTag",
            "Invalid request parameters: both tag and digest cannot be null",
        )),
        (Some(one), None) | (None, Some(one)) => digest_of(kept, one).ok_or(absent),
        (Some(tag), Some(digest)) => match digest_of(kept, tag).ok_or(absent)? {
            found if found == digest => Ok(found),
            _ => {
                Err(("ImageTagDoesNotMatchDigest", "Requested image tag does not match the digest"))
            }
        },
    }
}

fn ids(given: &Value) -> Vec<Value> {
    given["imageIds"].as_array().cloned().unwrap_or_default()
}

fn failure(id: &Value, (code, reason): (&str, &str)) -> Value {
    json!({ "imageId": id, "failureCode": code, "failureReason": reason })
}

/// BatchGetImage. An image of a type that the caller does not accept is not given in another one.
pub(super) fn got(world: &World, given: &Value) -> Result<Value, Refusal> {
    let (name, kept) = repository(world, given)?;
    let accepted = given["acceptedMediaTypes"].as_array().filter(|types| !types.is_empty());
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in ids(given) {
        let found = find(kept, &id).and_then(|digest| {
            let manifest = kept.manifests.get(&digest);
            let readable = manifest.filter(|manifest| {
                accepted.is_none_or(|types| types.iter().any(|t| *t == *manifest.media_type))
            });
            Ok((digest, readable.ok_or(("ImageNotFound", "Requested image not found"))?))
        });
        match found {
            Ok((digest, manifest)) => {
                let mut shown = json!({ "imageDigest": digest });
                if let Some(tag) = id["imageTag"].as_str() {
                    shown["imageTag"] = json!(tag);
                }
                images.push(json!({
                    "registryId": world.account,
                    "repositoryName": name,
                    "imageId": shown,
                    "imageManifest": String::from_utf8_lossy(&manifest.bytes),
                    "imageManifestMediaType": manifest.media_type,
                }));
            }
            Err(why) => failures.push(failure(&id, why)),
        }
    }
    Ok(json!({ "images": images, "failures": failures }))
}

fn tags(kept: &Repository, digest: &str) -> Vec<String> {
    let named = kept.tags.iter().filter(|(_, named)| *named == digest);
    named.map(|(tag, _)| tag.clone()).collect()
}

/// Digests in the order of their push, as far as the filter wants them.
fn wanted(kept: &Repository, given: &Value) -> Vec<String> {
    let status = given["filter"]["tagStatus"].as_str().unwrap_or("ANY");
    let mut all: Vec<_> = kept.manifests.iter().collect();
    all.sort_by_key(|(_, manifest)| manifest.pushed);
    let digests = all.into_iter().map(|(digest, _)| digest.clone());
    digests
        .filter(|digest| match status {
            "TAGGED" => !tags(kept, digest).is_empty(),
            "UNTAGGED" => tags(kept, digest).is_empty(),
            _ => true,
        })
        .collect()
}

/// ListImages.
pub(super) fn listed(world: &World, given: &Value) -> Result<Value, Refusal> {
    let (_, kept) = repository(world, given)?;
    let mut all = Vec::new();
    for digest in wanted(kept, given) {
        let tags = tags(kept, &digest);
        if tags.is_empty() {
            all.push(json!({ "imageDigest": digest }));
        }
        all.extend(tags.iter().map(|tag| json!({ "imageDigest": digest, "imageTag": tag })));
    }
    Ok(page(all, given, "imageIds"))
}

/// DescribeImages.
pub(super) fn described(world: &World, given: &Value) -> Result<Value, Refusal> {
    let (name, kept) = repository(world, given)?;
    let asked = ids(given);
    let digests = if asked.is_empty() {
        wanted(kept, given)
    } else {
        let found = asked.iter().map(|id| find(kept, id).map_err(|_| no_image(world, name, id)));
        found.collect::<Result<_, _>>()?
    };
    let details = digests.iter().map(|digest| detail(world, name, kept, digest)).collect();
    Ok(page(details, given, "imageDetails"))
}

fn no_image(world: &World, name: &str, id: &Value) -> Refusal {
    let shown = |key: &str| id[key].as_str().unwrap_or("null").to_owned();
    let said = format!(
        "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the \
         repository with name '{name}' in the registry with id '{}'",
        shown("imageDigest"),
        shown("imageTag"),
        world.account
    );
    Refusal::new("ImageNotFoundException", &said, 400)
}

fn detail(world: &World, name: &str, kept: &Repository, digest: &str) -> Value {
    let mut shown =
        json!({ "registryId": world.account, "repositoryName": name, "imageDigest": digest });
    let tags = tags(kept, digest);
    if !tags.is_empty() {
        shown["imageTags"] = json!(tags);
    }
    if let Some(manifest) = kept.manifests.get(digest) {
        let parsed: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        shown["imageSizeInBytes"] = json!(size(kept, &parsed));
        shown["imagePushedAt"] = seconds(manifest.pushed);
        shown["imageManifestMediaType"] = json!(manifest.media_type);
        if let Some(media_type) = parsed["config"]["mediaType"].as_str() {
            shown["artifactMediaType"] = json!(media_type);
        }
    }
    shown
}

/// The layers' bytes; of an index, those of its images.
fn size(kept: &Repository, manifest: &Value) -> u64 {
    let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
    let layers: u64 = list("layers").iter().filter_map(|layer| layer["size"].as_u64()).sum();
    let children = list("manifests").into_iter().filter_map(|entry| {
        let child = kept.manifests.get(entry["digest"].as_str()?)?;
        serde_json::from_slice::<Value>(&child.bytes).ok()
    });
    // An index in an index would be counted no deeper than this.
    let deeper: u64 = children
        .flat_map(|child| child["layers"].as_array().cloned().unwrap_or_default())
        .filter_map(|layer| layer["size"].as_u64())
        .sum();
    layers + deeper
}

/// BatchCheckLayerAvailability.
pub(super) fn layers(world: &World, given: &Value) -> Result<Value, Refusal> {
    let (_, kept) = repository(world, given)?;
    let asked = given["layerDigests"].as_array().cloned().unwrap_or_default();
    let shown = asked.iter().filter_map(|digest| digest.as_str()).map(|digest| {
        match kept.blobs.get(digest) {
            Some(size) => json!({
                "layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size,
            }),
            None => json!({ "layerDigest": digest, "layerAvailability": "UNAVAILABLE" }),
        }
    });
    Ok(json!({ "layers": shown.collect::<Vec<_>>(), "failures": [] }))
}

/// BatchDeleteImage: a tag goes alone while others name the image; a digest takes its tags along.
pub(super) fn deleted(world: &mut World, given: &Value) -> Result<Value, Refusal> {
    let name = repository(world, given)?.0.clone();
    let (mut gone, mut failures) = (Vec::new(), Vec::new());
    let Some(kept) = world.repositories.get_mut(&name) else {
        return Ok(json!({ "imageIds": gone, "failures": failures }));
    };
    for id in ids(given) {
        match find(kept, &id) {
            Err(why) => failures.push(failure(&id, why)),
            Ok(digest) if is_child(kept, &digest) && id["imageTag"].is_null() => {
                let why = "Requested image referenced by manifest list";
                failures.push(failure(&id, ("ImageReferencedByManifestList", why)));
            }
            Ok(digest) => gone.extend(taken(kept, &id, &digest)),
        }
    }
    Ok(json!({ "imageIds": gone, "failures": failures }))
}

fn is_child(kept: &Repository, digest: &str) -> bool {
    kept.manifests.values().any(|manifest| {
        let parsed: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
        let entries = parsed["manifests"].as_array().cloned().unwrap_or_default();
        entries.iter().any(|entry| entry["digest"] == digest)
    })
}

fn taken(kept: &mut Repository, id: &Value, digest: &str) -> Vec<Value> {
    let mut going = tags(kept, digest);
    if let Some(tag) = id["imageTag"].as_str() {
        going.retain(|other| other == tag);
    }
    going.iter().for_each(|tag| drop(kept.tags.remove(tag)));
    if tags(kept, digest).is_empty() {
        kept.manifests.remove(digest);
    }
    if going.is_empty() {
        return vec![json!({ "imageDigest": digest })];
    }
    going.iter().map(|tag| json!({ "imageDigest": digest, "imageTag": tag })).collect()
}

/// PutImage.
pub(super) fn put(world: &mut World, given: &Value) -> Result<Value, Refusal> {
    let name = repository(world, given)?.0.clone();
    let text = |key: &str| given[key].as_str().unwrap_or_default().to_owned();
    let manifest = text("imageManifest");
    let reference = match given["imageTag"].as_str() {
        Some(tag) => tag.to_owned(),
        None => crate::image::digest(manifest.as_bytes()),
    };
    // Who does not say what it is leaves that to the manifest.
    let of_itself = serde_json::from_str::<Value>(&manifest).unwrap_or_default();
    let own = of_itself["mediaType"].as_str().unwrap_or_default();
    let media_type = given["imageManifestMediaType"].as_str().unwrap_or(own).to_owned();
    let result = registry::put(world, &name, &reference, &media_type, manifest.clone().into());
    let digest = result.map_err(|refused| {
        let code = match refused {
            Refused::NoRepository => "RepositoryNotFoundException",
            Refused::Immutable => "ImageTagAlreadyExistsException",
            Refused::NoLayers(_) => "LayersNotFoundException",
            Refused::NoImages(_) => "ReferencedImagesNotFoundException",
            Refused::Invalid(_) => "InvalidParameterException",
        };
        Refusal::new(code, &refused.said(world, &name, &reference), 400)
    })?;
    let mut id = json!({ "imageDigest": digest });
    if let Some(tag) = given["imageTag"].as_str() {
        id["imageTag"] = json!(tag);
    }
    Ok(json!({ "image": {
        "registryId": world.account,
        "repositoryName": name,
        "imageId": id,
        "imageManifest": manifest,
        "imageManifestMediaType": media_type,
    } }))
}
