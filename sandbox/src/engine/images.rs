//! Images as they are asked for by name or by id.

use serde_json::{Value, json};

use super::serve::missing;
use super::shelf::{Stored, familiar};
use super::{State, Store, Version};
use crate::answer::{Answer, answer, json as json_answer};
use crate::call::Fields;
use crate::image::digest;
use crate::world::hold;

fn seconds(created: &Value) -> i64 {
    let created: Option<jiff::Timestamp> = created.as_str().and_then(|text| text.parse().ok());
    created.map(jiff::Timestamp::as_second).unwrap_or_default()
}

fn digests(state: &State, image: &Stored) -> Vec<String> {
    let by_digest = |name: &String| {
        let bare = name.rsplit_once(':').map_or(name.as_str(), |(bare, _)| bare);
        format!("{bare}@{}", image.id)
    };
    match state.kind.store {
        Store::Classic => Vec::new(),
        Store::Containerd => image.names.iter().map(by_digest).collect(),
    }
}

/// A descriptor with the configuration's digest, as containerd's store shows it.
fn descriptor(image: &Stored) -> Value {
    let mut descriptor = image.descriptor();
    if let [one] = &image.platforms[..] {
        descriptor["annotations"] = json!({ "config.digest": digest(&one.config) });
    }
    descriptor
}

/// Those of a repository, where one is asked for.
pub(super) fn list(state: &State, given: &Fields) -> Value {
    let filters: Value =
        given.get("filters").and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let reference = filters["reference"][0].as_str();
    let is_of = |image: &&Stored| {
        reference.is_none_or(|wanted| {
            image.names.iter().any(|name| name.rsplit_once(':').is_some_and(|(of, _)| of == wanted))
        })
    };
    let shelf = hold(&state.shelf);
    let one = |image: &Stored| {
        let config = image.platforms.first().map(|one| one.configuration()).unwrap_or_default();
        let mut told = json!({
            "Containers": 0, "Created": seconds(&config["created"]), "Id": image.id,
            "Labels": config["config"]["Labels"], "ParentId": "", "RepoDigests": digests(state, image),
            "RepoTags": image.names, "SharedSize": -1, "Size": image.size(state.kind.store),
        });
        if state.kind.store == Store::Containerd {
            told["Descriptor"] = descriptor(image);
        }
        told
    };
    shelf.images.iter().filter(is_of).map(one).collect()
}

pub(super) fn inspected(state: &State, name: &str) -> Answer {
    let shelf = hold(&state.shelf);
    let Some(image) = shelf.find(name) else {
        if state.kind.version == Version::V20 {
            let full = familiar(name);
            let said = format!("no such image: {name}: No such image: {full}");
            return json_answer(404, &json!({ "message": said }));
        }
        return missing(name);
    };
    let Some(one) = image.platforms.first() else { return missing(name) };
    let config = one.configuration();
    let store = state.kind.store;
    let comment = config["history"].as_array().and_then(|all| all.last()).map(|l| &l["comment"]);
    let driver = if store == Store::Classic { "overlay2" } else { "overlayfs" };
    let mut told = json!({
        "Id": image.id, "RepoTags": image.names, "RepoDigests": digests(state, image), "Parent": "",
        "Comment": comment, "Created": config["created"], "DockerVersion": "", "Author": "",
        "Config": config["config"], "Architecture": config["architecture"], "Os": config["os"],
        "Size": image.size(store), "GraphDriver": { "Data": null, "Name": driver },
        "RootFS": { "Type": "layers", "Layers": config["rootfs"]["diff_ids"] },
        "Metadata": { "LastTagTime": "0001-01-01T00:00:00Z" },
    });
    if !config["variant"].is_null() {
        told["Variant"] = config["variant"].clone();
    }
    if store == Store::Containerd {
        told["Descriptor"] = descriptor(image);
    }
    json_answer(200, &told)
}

pub(super) fn history(state: &State, name: &str) -> Answer {
    let shelf = hold(&state.shelf);
    let Some(image) = shelf.find(name) else { return missing(name) };
    let Some(one) = image.platforms.first() else { return missing(name) };
    let config = one.configuration();
    let mut sizes = one.layers.iter().map(|layer| layer.tar.len());
    let mut all = Vec::new();
    for line in config["history"].as_array().into_iter().flatten() {
        let is_empty = line["empty_layer"] == true;
        let size = if is_empty { 0 } else { sizes.next().unwrap_or_default() };
        all.push(json!({
            "Comment": line["comment"], "Created": seconds(&line["created"]),
            "CreatedBy": line["created_by"], "Id": "<missing>", "Size": size, "Tags": null,
        }));
    }
    all.reverse();
    if let Some(newest) = all.first_mut() {
        newest["Id"] = json!(image.id);
        newest["Tags"] = json!(image.names);
    }
    // As version 28 says it of an image without a step.
    if all.is_empty() && state.kind.store == Store::Containerd {
        return json_answer(200, &Value::Null);
    }
    json_answer(200, &json!(all))
}

pub(super) fn named(state: &State, name: &str, given: &Fields) -> Answer {
    let mut shelf = hold(&state.shelf);
    let Some(id) = shelf.find(name).map(|image| image.id.clone()) else { return missing(name) };
    let tag = given.get("tag").filter(|tag| !tag.is_empty()).map_or("latest", String::as_str);
    let repository = given.get("repo").cloned().unwrap_or_default();
    shelf.name(&id, &format!("{repository}:{tag}"));
    answer(201, "", "")
}

pub(super) fn removed(state: &State, name: &str) -> Answer {
    match hold(&state.shelf).remove(name) {
        Some(done) => json_answer(200, &done),
        None => missing(name),
    }
}
