//! Whether somebody set another image while we watched, and who. What the annotations of the new
//! state mean (a newer commit, or a stranger) is not decided here.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use serde_json::Value;

use super::{Change, Ours, template};

/// The annotation that each run of slipway overwrites with its own name.
const RUN: &str = "slipway.dev/run";

/// The change, if the workload is not what we wrote any more.
///
/// `written` are the images that the workload had at our own generation, where that was seen: a
/// mutating webhook may have rewritten ours on the way in, and that is nobody's later change.
pub(super) fn of(
    workload: &Deployment,
    ours: &Ours,
    written: Option<&BTreeMap<String, String>>,
    at: Duration,
) -> Option<Change> {
    let generation = workload.metadata.generation?;
    if generation < ours.generation {
        return None;
    }
    let images = template::workload_images(workload);
    let moved = generation > ours.generation
        && ours.images.iter().any(|(container, image)| {
            let expected = written.and_then(|w| w.get(container)).unwrap_or(image);
            images.get(container) != Some(expected)
        });
    let annotations = workload.metadata.annotations.clone().unwrap_or_default();
    let other_run =
        annotations.get(RUN).is_some_and(|run| !ours.run.is_empty() && *run != ours.run);
    if !moved && !other_run {
        return None;
    }
    let manager = manager(workload, ours);
    Some(Change { images, annotations, manager, generation, at })
}

/// The field manager that wrote one of our containers' images last. Several may hold the field.
fn manager(workload: &Deployment, ours: &Ours) -> Option<String> {
    let entries = workload.metadata.managed_fields.iter().flatten();
    let writers = entries.filter(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.is_some_and(|fields| ours.images.keys().any(|name| holds_image(fields, name)))
    });
    writers.max_by_key(|entry| entry.time.as_ref().map(|time| time.0))?.manager.clone()
}

/// Whether a set of managed fields has that container's image.
fn holds_image(fields: &Value, container: &str) -> bool {
    let spec = &fields["f:spec"]["f:template"]["f:spec"];
    let key = format!("k:{{\"name\":\"{container}\"}}");
    ["f:containers", "f:initContainers"].iter().any(|list| !spec[*list][&key]["f:image"].is_null())
}
