//! Get and list, as the API server answers them.
//! It must not change anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::json::{number, text, unset};
use super::kinds::Kind;
use super::route::Query;
use super::selectors::Selection;
use super::status::Refused;
use super::store::{Key, Store};

/// Answers a get.
pub(super) fn get(
    store: &Store,
    kind: Kind,
    namespace: &str,
    name: &str,
) -> Result<Value, Refused> {
    let key = Key::new(kind.kind, namespace, name);
    store.get(&key).cloned().ok_or_else(|| Refused::not_found(kind, name))
}

/// Answers a list, a page of it if a limit is asked.
pub(super) fn list(
    store: &Store,
    kind: Kind,
    namespace: &str,
    query: &Query,
) -> Result<Value, Refused> {
    let selection = Selection::read(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let (version, after) = match query.get("continue") {
        "" => (store.version(), String::new()),
        token => continued(token)?,
    };
    if version < store.forgotten() {
        return Err(Refused::continue_too_old());
    }
    let place =
        |o: &Value| format!("{}/{}", text(o, "/metadata/namespace"), text(o, "/metadata/name"));
    let mut items: Vec<Value> = store
        .all(kind, namespace)
        .filter(|o| selection.holds(o) && place(o) > after)
        .cloned()
        .collect();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    let limit = query.get("limit").parse().unwrap_or(0);
    if limit > 0 && items.len() > limit {
        metadata["continue"] = URL_SAFE_NO_PAD
            .encode(json!({ "rv": version, "start": place(&items[limit - 1]) }).to_string())
            .into();
        metadata["remainingItemCount"] = (items.len() - limit).into();
        items.truncate(limit);
    }
    for item in &mut items {
        // The items of a typed list do not repeat what the list's own kind says.
        unset(item, &["kind"]);
        unset(item, &["apiVersion"]);
    }
    Ok(json!({
        "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(),
        "metadata": metadata, "items": items,
    }))
}

fn continued(token: &str) -> Result<(u64, String), Refused> {
    let decoded = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        .ok_or_else(|| Refused::bad_request("continue key is not valid: illegal base64 data"))?;
    Ok((number(&decoded, "/rv").unsigned_abs(), text(&decoded, "/start").to_owned()))
}
