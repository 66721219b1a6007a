//! Who wrote which field last: `metadata.managedFields`, kept for updates as the API server keeps it.
//! It must not touch the fields themselves.

use serde_json::{Map, Value, json};

use super::json::{list, object, set, text};
use super::model::REVISION;

/// Writes down that a manager's update made `after` out of `before`.
pub(super) fn record(before: &Value, after: &mut Value, manager: &str, version: &str, time: &str) {
    let mut changed = Vec::new();
    for part in ["metadata", "spec"] {
        let (old, new) = (before.get(part), after.get(part));
        let way = vec![format!("f:{part}")];
        differ(old.unwrap_or(&Value::Null), new.unwrap_or(&Value::Null), &way, &mut changed);
    }
    if changed.is_empty() {
        return;
    }
    let mut entries = list(after, "/metadata/managedFields").to_vec();
    for entry in &mut entries {
        if let Some(fields) = entry.get_mut("fieldsV1") {
            changed.iter().for_each(|way| forget(fields, way));
        }
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    let mut mine = entries
        .iter()
        .position(|e| text(e, "/manager") == manager && e.get("subresource").is_none())
        .map_or_else(|| Value::Object(Map::new()), |at| entries.remove(at));
    let mut fields = mine.get("fieldsV1").cloned().unwrap_or_default();
    for way in changed.iter().filter(|way| way.exists) {
        set(&mut fields, &way.path.iter().map(String::as_str).collect::<Vec<_>>(), json!({}));
    }
    mine = json!({
        "manager": manager, "operation": "Update", "apiVersion": version, "time": time,
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    });
    entries.push(mine);
    set(after, &["metadata", "managedFields"], entries);
}

/// Writes down that the controller wrote a deployment's status and the number of its rollout.
pub(super) fn controlled(deployment: &mut Value, time: &str) {
    let mut entries = list(deployment, "/metadata/managedFields").to_vec();
    entries.retain(|entry| text(entry, "/subresource") != "status");
    let revision = json!({ ".": {}, (format!("f:{REVISION}")): {} });
    let status = deployment["status"].as_object().into_iter().flatten();
    let fields: Map<String, Value> = status
        .map(|(field, value)| (format!("f:{field}"), value))
        .map(|(key, value)| (key, value.as_array().map_or_else(|| json!({}), |all| typed(all))))
        .collect();
    entries.push(json!({
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1",
        "time": time, "fieldsType": "FieldsV1",
        "fieldsV1": { "f:metadata": { "f:annotations": revision }, "f:status": fields },
        "subresource": "status",
    }));
    set(deployment, &["metadata", "managedFields"], entries);
}

/// Conditions are told apart by their type.
fn typed(conditions: &[Value]) -> Value {
    let mut all = json!({ ".": {} });
    for condition in conditions {
        let fields = condition.as_object().into_iter().flatten();
        let mut owned: Map<String, Value> =
            fields.map(|(field, _)| (format!("f:{field}"), json!({}))).collect();
        owned.insert(".".to_owned(), json!({}));
        all[format!("k:{}", json!({ "type": condition["type"] }))] = owned.into();
    }
    all
}

/// A field that changed; one that no longer exists has no owner.
struct Way {
    path: Vec<String>,
    exists: bool,
}

fn differ(old: &Value, new: &Value, way: &[String], changed: &mut Vec<Way>) {
    if old == new {
        return;
    }
    if let (Some(old), Some(new)) = (fields(old, way), fields(new, way)) {
        for (key, value) in &new {
            let next = [way, std::slice::from_ref(key)].concat();
            if !served(&next) {
                differ(old.get(key).unwrap_or(&Value::Null), value, &next, changed);
            }
        }
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            changed.push(Way { path: [way, std::slice::from_ref(key)].concat(), exists: false });
        }
    } else {
        changed.push(Way { path: way.to_vec(), exists: !new.is_null() });
    }
}

/// What the server itself writes has no manager.
fn served(way: &[String]) -> bool {
    const SERVED: [&str; 9] = [
        "f:name",
        "f:namespace",
        "f:uid",
        "f:resourceVersion",
        "f:generation",
        "f:creationTimestamp",
        "f:managedFields",
        "f:deletionTimestamp",
        "f:deletionGracePeriodSeconds",
    ];
    way.len() == 2 && way[0] == "f:metadata" && SERVED.contains(&way[1].as_str())
}

/// The keyed fields below a value; a leaf has none. Absent is as good as empty, so that each new leaf is found.
fn fields(value: &Value, way: &[String]) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => {
            Some(map.iter().map(|(k, v)| (format!("f:{k}"), v.clone())).collect())
        }
        Value::Array(items)
            if way.last().is_some_and(|l| l == "f:containers" || l == "f:initContainers") =>
        {
            let key = |item: &Value| format!("k:{}", json!({ "name": item["name"] }));
            Some(items.iter().map(|item| (key(item), item.clone())).collect())
        }
        Value::Null => Some(Map::new()),
        _ => None,
    }
}

fn forget(fields: &mut Value, way: &Way) {
    fn cut(at: &mut Value, path: &[String]) {
        let Some((first, rest)) = path.split_first() else { return };
        let map = object(at);
        let Some(next) = map.get_mut(first) else { return };
        if rest.is_empty() {
            map.shift_remove(first);
            return;
        }
        cut(next, rest);
        if next.as_object().is_some_and(|left| left.keys().all(|key| key == ".")) {
            map.shift_remove(first);
        }
    }
    cut(fields, &way.path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writer_of_an_image_owns_it_and_the_first_keeps_the_rest() {
        let container =
            |image| json!({ "spec": { "containers": [{ "name": "web", "image": image }] } });
        let mut first = container("a:1");
        record(&json!({}), &mut first, "helm", "apps/v1", "T1");
        let mut second = container("a:2");
        set(&mut second, &["metadata"], first["metadata"].clone());
        record(&first, &mut second, "argocd-controller", "apps/v1", "T2");
        let owned =
            |fields| json!({ "f:spec": { "f:containers": { "k:{\"name\":\"web\"}": fields } } });
        let expected = json!([
            { "manager": "helm", "operation": "Update", "apiVersion": "apps/v1", "time": "T1",
              "fieldsType": "FieldsV1", "fieldsV1": owned(json!({ "f:name": {} })) },
            { "manager": "argocd-controller", "operation": "Update", "apiVersion": "apps/v1",
              "time": "T2", "fieldsType": "FieldsV1", "fieldsV1": owned(json!({ "f:image": {} })) },
        ]);
        assert_eq!(second["metadata"]["managedFields"], expected);
    }

    #[test]
    fn the_controller_has_one_entry_of_its_own_for_what_it_counts() {
        let mut web = json!({ "metadata": {}, "status": { "replicas": 3 } });
        controlled(&mut web, "T1");
        web["status"]["conditions"] = json!([{ "type": "Available", "status": "True" }]);
        controlled(&mut web, "T2");
        let available = json!({ ".": {}, "f:status": {}, "f:type": {} });
        let expected = json!([{
            "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1",
            "time": "T2", "fieldsType": "FieldsV1", "fieldsV1": {
                "f:metadata": { "f:annotations": { ".": {}, "f:deployment.kubernetes.io/revision": {} } },
                "f:status": { "f:replicas": {},
                    "f:conditions": { ".": {}, "k:{\"type\":\"Available\"}": available } },
            },
            "subresource": "status",
        }]);
        assert_eq!(web["metadata"]["managedFields"], expected);
    }
}
