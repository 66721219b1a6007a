//! Reading and writing inside JSON objects by pointer, with the API's defaults for what is absent.
//! It must not know Kubernetes; a number that is absent is 0, a text that is absent is empty.

use serde_json::{Map, Value};

/// The text at a pointer, or the empty text.
pub(super) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a pointer, or 0.
pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The list at a pointer, or the empty list.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Sets the value under a path of keys, making the objects on the way.
pub(super) fn set(value: &mut Value, path: &[&str], new: impl Into<Value>) {
    let Some((last, way)) = path.split_last() else { return };
    let mut at = value;
    for key in way {
        at = object(at).entry(*key).or_insert_with(|| Value::Object(Map::new()));
    }
    object(at).insert((*last).to_owned(), new.into());
}

/// Removes the key at the end of a path, if the path is there.
pub(super) fn unset(value: &mut Value, path: &[&str]) {
    let Some((last, way)) = path.split_last() else { return };
    let mut at = value;
    for key in way {
        let Some(next) = at.get_mut(*key) else { return };
        at = next;
    }
    if let Some(map) = at.as_object_mut() {
        map.shift_remove(*last);
    }
}

/// The value as an object; whatever else it was is replaced by an empty one.
pub(super) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("it was made an object above"),
    }
}

/// Puts what the patch says into the value, as RFC 7386 has it.
pub(super) fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return;
    };
    let map = object(value);
    for (key, new) in patch {
        if new.is_null() {
            map.shift_remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), new);
        }
    }
}
