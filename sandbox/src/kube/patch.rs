//! The three kinds of patch that the API takes: JSON Patch, merge patch and strategic merge patch.
//! It must not know what is patched, except which lists a strategic merge keys, and by what.

use serde_json::{Map, Value};

use super::json::{merge, object};
use super::status::Refused;

const ACCEPTED: &str = "application/json-patch+json, application/merge-patch+json, \
                        application/strategic-merge-patch+json";

/// Applies the patch of a request to an object.
pub(super) fn apply(target: &Value, media: &str, body: &[u8]) -> Result<Value, Refused> {
    let media = media.split(';').next().unwrap_or_default().trim();
    let parse = || {
        serde_json::from_slice::<Value>(body)
            .map_err(|e| Refused::bad_request(format!("error decoding patch: {e}")))
    };
    let mut patched = target.clone();
    match media {
        "application/json-patch+json" => {
            let operations = parse()?;
            let Some(operations) = operations.as_array() else {
                let why = "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch";
                return Err(Refused::bad_request(why));
            };
            for operation in operations {
                operate(&mut patched, operation).ok_or_else(Refused::unapplicable)?;
            }
        }
        "application/merge-patch+json" => merge(&mut patched, &parse()?),
        "application/strategic-merge-patch+json" => strategic(&mut patched, &parse()?),
        _ => return Err(Refused::media_type(ACCEPTED)),
    }
    Ok(patched)
}

fn operate(target: &mut Value, operation: &Value) -> Option<()> {
    let path = operation.get("path")?.as_str()?;
    let from = || operation.get("from").and_then(Value::as_str);
    let value = || operation.get("value").cloned();
    match operation.get("op")?.as_str()? {
        "add" => add(target, path, value()?),
        "replace" => {
            *target.pointer_mut(path)? = value()?;
            Some(())
        }
        "remove" => remove(target, path).map(drop),
        // A path that is absent equals a tested null, as in the library that the API server uses.
        "test" => (target.pointer(path).unwrap_or(&Value::Null) == &value()?).then_some(()),
        "move" => {
            let moved = remove(target, from()?)?;
            add(target, path, moved)
        }
        "copy" => {
            let copied = target.pointer(from()?)?.clone();
            add(target, path, copied)
        }
        _ => None,
    }
}

fn split(path: &str) -> Option<(&str, String)> {
    let (parent, key) = path.rsplit_once('/')?;
    Some((parent, key.replace("~1", "/").replace("~0", "~")))
}

fn add(target: &mut Value, path: &str, value: Value) -> Option<()> {
    if path.is_empty() {
        *target = value;
        return Some(());
    }
    let (parent, key) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => {
            map.insert(key, value);
        }
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => {
            let at = key.parse().ok().filter(|at| *at <= list.len())?;
            list.insert(at, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(target: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = split(path)?;
    match target.pointer_mut(parent)? {
        Value::Object(map) => map.shift_remove(&key),
        Value::Array(list) => {
            let at = key.parse().ok().filter(|at| *at < list.len())?;
            Some(list.remove(at))
        }
        _ => None,
    }
}

/// The key by which a strategic merge matches the items of a list; other lists are replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers" | "initContainers" | "env" | "volumes" | "imagePullSecrets" => Some("name"),
        "volumeMounts" => Some("mountPath"),
        "ports" => Some("containerPort"),
        "conditions" => Some("type"),
        "ownerReferences" => Some("uid"),
        _ => None,
    }
}

fn strategic(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        let rest = patch.iter().filter(|(key, _)| *key != "$patch");
        *target = Value::Object(rest.map(|(k, v)| (k.clone(), v.clone())).collect());
        return;
    }
    let map = object(target);
    for (key, new) in patch.iter().filter(|(key, _)| !key.starts_with('$')) {
        if new.is_null() {
            map.shift_remove(key);
            continue;
        }
        match (merge_key(key), new) {
            (Some(by), Value::Array(items)) => {
                keyed(
                    map.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new())),
                    by,
                    items,
                );
            }
            _ => strategic(map.entry(key.clone()).or_insert(Value::Object(Map::new())), new),
        }
    }
}

fn keyed(list: &mut Value, by: &str, items: &[Value]) {
    let Value::Array(list) = list else { return };
    for item in items {
        let found = list.iter().position(|old| old.get(by) == item.get(by));
        let deletes = item.get("$patch").and_then(Value::as_str) == Some("delete");
        match found {
            Some(at) if deletes => {
                list.remove(at);
            }
            Some(at) => strategic(&mut list[at], item),
            None if deletes => {}
            None => list.push(item.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        json!({ "metadata": { "uid": "u" }, "spec": { "containers": [
            { "name": "web", "image": "a:1", "env": [{ "name": "A", "value": "1" }] },
            { "name": "side", "image": "s:1" },
        ] } })
    }

    #[test]
    fn a_json_patch_whose_test_holds_is_applied() {
        let patch = br#"[{"op":"test","path":"/spec/containers/0/image","value":"a:1"},
            {"op":"replace","path":"/spec/containers/0/image","value":"a:2"},
            {"op":"add","path":"/metadata/labels","value":{}},
            {"op":"add","path":"/metadata/labels/x~1y","value":"z"}]"#;
        let patched = apply(&deployment(), "application/json-patch+json", patch).unwrap();
        assert_eq!(patched.pointer("/spec/containers/0/image").unwrap(), "a:2");
        assert_eq!(patched["metadata"]["labels"]["x/y"], "z");
    }

    #[test]
    fn a_json_patch_whose_test_fails_is_refused_without_causes() {
        let patch = br#"[{"op":"test","path":"/metadata/uid","value":"other"}]"#;
        let refused = apply(&deployment(), "application/json-patch+json", patch).unwrap_err();
        let expected = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "the server rejected our request due to an error in our request",
            "reason": "Invalid", "details": {}, "code": 422,
        });
        assert_eq!(refused.status(), expected);
    }

    #[test]
    fn an_operation_on_what_is_not_there_is_refused() {
        for patch in [
            r#"[{"op":"replace","path":"/spec/containers/2/image","value":"x"}]"#,
            r#"[{"op":"add","path":"/metadata/annotations/a","value":"x"}]"#,
            r#"[{"op":"remove","path":"/metadata/labels"}]"#,
        ] {
            let done = apply(&deployment(), "application/json-patch+json", patch.as_bytes());
            assert_eq!(done.unwrap_err().code, 422, "{patch}");
        }
    }

    #[test]
    fn a_strategic_merge_matches_containers_and_their_variables_by_name() {
        let patch = br#"{"spec":{"containers":[{"name":"web","image":"a:2",
            "env":[{"name":"B","value":"2"}]}]}}"#;
        let media = "application/strategic-merge-patch+json";
        let patched = apply(&deployment(), media, patch).unwrap();
        let expected = json!([
            { "name": "web", "image": "a:2",
              "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }] },
            { "name": "side", "image": "s:1" },
        ]);
        assert_eq!(patched["spec"]["containers"], expected);
    }

    #[test]
    fn a_merge_patch_replaces_lists_and_removes_nulls() {
        let patch = br#"{"metadata":{"uid":null},"spec":{"containers":[]}}"#;
        let patched = apply(&deployment(), "application/merge-patch+json", patch).unwrap();
        assert_eq!(patched, json!({ "metadata": {}, "spec": { "containers": [] } }));
    }
}
