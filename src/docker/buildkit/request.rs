//! An order in BuildKit's words. Values alone.

use std::collections::HashMap;
use std::path::Path;

use bollard_buildkit_proto::moby::buildkit::v1::{
    CacheOptions, CacheOptionsEntry, Exporter, SolveRequest,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::{Cache, Order};

/// How the engine's own store of images is called, whichever it is.
const STORE: &str = "moby";

/// The request for a build of this id, which asks its questions over that session.
pub(super) fn of(order: &Order, file: &str, id: &str, session: &str) -> SolveRequest {
    let mut store = HashMap::new();
    if let Some(name) = &order.name {
        store.insert("name".to_owned(), name.clone());
    }
    SolveRequest {
        r#ref: id.into(),
        session: session.into(),
        frontend: "dockerfile.v0".into(),
        frontend_attrs: attributes(order, file),
        // Older engines read the one, newer ones the other.
        exporter_deprecated: STORE.into(),
        exporter_attrs_deprecated: store.clone(),
        exporters: vec![Exporter { r#type: STORE.into(), attrs: store }],
        cache: Some(CacheOptions {
            exports: order.cache_to.iter().map(|to| exported(cache(to))).collect(),
            imports: order.cache_from.iter().map(cache).collect(),
            ..CacheOptions::default()
        }),
        ..SolveRequest::default()
    }
}

fn attributes(order: &Order, file: &str) -> HashMap<String, String> {
    let mut attributes = HashMap::from([("filename".to_owned(), file.to_owned())]);
    let mut set = |key: &str, value: String| attributes.insert(key.to_owned(), value);
    if !order.platforms.is_empty() {
        let platforms: Vec<_> = order.platforms.iter().map(ToString::to_string).collect();
        set("platform", platforms.join(","));
    }
    if let Some(target) = &order.target {
        set("target", target.clone());
    }
    for (name, value) in &order.args {
        set(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &order.labels {
        set(&format!("label:{name}"), value.clone());
    }
    if let Some(epoch) = order.epoch {
        set("build-arg:SOURCE_DATE_EPOCH", epoch.to_string());
    }
    if order.no_cache {
        set("no-cache", String::new());
    }
    // Base images that the engine has are as good as those in their registry, unless it was asked otherwise.
    set("image-resolve-mode", if order.pull { "pull" } else { "local" }.into());
    if !order.cache_from.is_empty() {
        let entries: Vec<_> = order
            .cache_from
            .iter()
            .map(|c| json!({"Type": c.kind, "Attrs": c.attributes}))
            .collect();
        set("cache-imports", serde_json::Value::from(entries).to_string());
    }
    attributes
}

fn cache(cache: &Cache) -> CacheOptionsEntry {
    CacheOptionsEntry {
        r#type: cache.kind.clone(),
        attrs: cache.attributes.clone().into_iter().collect(),
    }
}

/// As ECR takes it: builders before 0.21 write an index of layers, which it refuses.
fn exported(mut entry: CacheOptionsEntry) -> CacheOptionsEntry {
    const FORM: [&str; 2] = ["image-manifest", "oci-mediatypes"];
    // One without the other is an error: who says one of them decides.
    if entry.r#type == "registry" && !FORM.iter().any(|name| entry.attrs.contains_key(*name)) {
        entry.attrs.extend(FORM.map(|name| (name.to_owned(), "true".to_owned())));
    }
    entry
}

/// The same for the same folder on this machine: an engine that has its files keeps them under it.
pub(super) fn key(context: &Path) -> String {
    let whole = std::path::absolute(context);
    let text = whole.as_deref().unwrap_or(context).to_string_lossy();
    format!("slipway:{}", hex::encode(&Sha256::digest(text.as_bytes())[..16]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn caches_are_written_as_ecr_takes_them_unless_somebody_says_how() {
        let of = |attributes: &[(&str, &str)]| {
            let attributes = attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            let cached = Cache { kind: "registry".into(), attributes };
            let order = Order { cache_to: vec![cached], ..Order::default() };
            let exports = super::of(&order, "Dockerfile", "id", "session").cache.unwrap().exports;
            exports.into_iter().flat_map(|entry| entry.attrs).collect::<BTreeMap<_, _>>()
        };
        let told = |all: BTreeMap<String, String>| {
            all.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
        };
        let ours = "image-manifest=true,oci-mediatypes=true,ref=r";
        assert_eq!(told(of(&[("ref", "r")])), ours);
        let theirs = [("ref", "r"), ("oci-mediatypes", "false")];
        assert_eq!(told(of(&theirs)), "oci-mediatypes=false,ref=r");
    }
}
