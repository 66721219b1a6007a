//! Create, update, patch and delete, with the API server's checks, generations and field managers.
//! It must not start rollouts itself: it tells `rollout.rs` what was written.

use serde_json::{Value, json};

use super::fill::seconds;
use super::json::{list, number, set, text, unset};
use super::kinds::Kind;
use super::status::Refused;
use super::store::Key;
use super::{State, admission, managed, model, patch, pods, rollout, template};

/// Who writes, and whether for real.
pub(super) struct Writer<'a> {
    pub(super) manager: &'a str,
    pub(super) dry: bool,
}

/// Creates an object.
pub(super) fn create(
    state: &mut State,
    kind: Kind,
    namespace: &str,
    mut object: Value,
    writer: &Writer<'_>,
) -> Result<Value, Refused> {
    check_kind(kind, &object)?;
    if kind.namespaced && state.store.get(&Key::new("Namespace", "", namespace)).is_none() {
        let namespaces = super::kinds::by_kind("Namespace").ok_or_else(Refused::no_path)?;
        return Err(Refused::not_found(namespaces, namespace));
    }
    let mut name = text(&object, "/metadata/name").to_owned();
    let prefix = text(&object, "/metadata/generateName");
    if name.is_empty() && !prefix.is_empty() {
        name = format!("{prefix}{}", state.store.suffix());
        set(&mut object, &["metadata", "name"], name.clone());
    }
    if name.is_empty() {
        let why = "Required value: name or generateName is required";
        return Err(Refused::invalid(kind, "", "metadata.name", "FieldValueRequired", why));
    }
    if state.store.get(&Key::new(kind.kind, namespace, &name)).is_some() {
        return Err(Refused::exists(kind, &name));
    }
    object["kind"] = kind.kind.into();
    object["apiVersion"] = kind.api_version().into();
    if kind.namespaced {
        set(&mut object, &["metadata", "namespace"], namespace);
    }
    if kind.kind == "Deployment" {
        unset(&mut object, &["status"]);
        template::default_deployment(&mut object);
    }
    check(kind, &name, &object)?;
    admission::check(state, kind, &name)?;
    let now = seconds(state.clock.wall());
    set(&mut object, &["metadata", "uid"], state.store.uid());
    set(&mut object, &["metadata", "creationTimestamp"], now.clone());
    if object.get("spec").is_some() {
        set(&mut object, &["metadata", "generation"], 1);
    }
    managed::record(&json!({}), &mut object, writer.manager, &kind.api_version(), &now);
    if writer.dry {
        return Ok(object);
    }
    let stored = state.store.put(object);
    if kind.kind == "Deployment" {
        rollout::written(state, None, &stored);
    }
    Ok(stored)
}

/// Applies a patch.
pub(super) fn patch(
    state: &mut State,
    kind: Kind,
    (namespace, name): (&str, &str),
    (media, body): (&str, &[u8]),
    writer: &Writer<'_>,
) -> Result<Value, Refused> {
    let before = super::read::get(&state.store, kind, namespace, name)?;
    let patched = patch::apply(&before, media, body)?;
    store(state, kind, &before, patched, writer)
}

/// Replaces an object.
pub(super) fn update(
    state: &mut State,
    kind: Kind,
    (namespace, name): (&str, &str),
    mut object: Value,
    writer: &Writer<'_>,
) -> Result<Value, Refused> {
    check_kind(kind, &object)?;
    let before = super::read::get(&state.store, kind, namespace, name)?;
    if text(&object, "/metadata/resourceVersion").is_empty() {
        let version = before["metadata"]["resourceVersion"].clone();
        set(&mut object, &["metadata", "resourceVersion"], version);
    }
    store(state, kind, &before, object, writer)
}

fn store(
    state: &mut State,
    kind: Kind,
    before: &Value,
    mut after: Value,
    writer: &Writer<'_>,
) -> Result<Value, Refused> {
    check_same(kind, before, &after)?;
    keep_servers_own(kind, before, &mut after);
    if kind.kind == "Deployment" {
        template::default_deployment(&mut after);
    }
    let name = text(before, "/metadata/name");
    check(kind, name, &after)?;
    admission::check(state, kind, name)?;
    if *before == after {
        return Ok(after);
    }
    if before.get("spec") != after.get("spec") {
        set(&mut after, &["metadata", "generation"], number(before, "/metadata/generation") + 1);
    }
    let now = seconds(state.clock.wall());
    managed::record(before, &mut after, writer.manager, &kind.api_version(), &now);
    if writer.dry {
        return Ok(after);
    }
    let stored = state.store.put(after);
    if kind.kind == "Deployment" {
        rollout::written(state, Some(before), &stored);
    }
    Ok(stored)
}

/// Refuses a write that is about another object or another version of it.
fn check_same(kind: Kind, before: &Value, after: &Value) -> Result<(), Refused> {
    let name = text(before, "/metadata/name");
    let both = |field: &str| (text(before, field), text(after, field));
    let (uid, asked) = both("/metadata/uid");
    if !asked.is_empty() && uid != asked {
        let why =
            format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}");
        return Err(Refused::conflict(kind, name, &why));
    }
    let (version, asked) = both("/metadata/resourceVersion");
    if !asked.is_empty() && version != asked {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Refused::conflict(kind, name, why));
    }
    let (_, asked) = both("/metadata/name");
    if asked != name {
        let why = format!("Invalid value: \"{asked}\": field is immutable");
        return Err(Refused::invalid(kind, name, "metadata.name", "FieldValueInvalid", &why));
    }
    Ok(())
}

/// Puts back what only the server writes, whatever the writer sent there.
fn keep_servers_own(kind: Kind, before: &Value, after: &mut Value) {
    for field in [
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "managedFields",
        "deletionTimestamp",
    ] {
        match before["metadata"].get(field) {
            Some(value) => set(after, &["metadata", field], value.clone()),
            None => unset(after, &["metadata", field]),
        }
    }
    after["kind"] = kind.kind.into();
    after["apiVersion"] = kind.api_version().into();
    if let Some(status) = before.get("status") {
        after["status"] = status.clone();
    }
}

fn check_kind(kind: Kind, object: &Value) -> Result<(), Refused> {
    let said = text(object, "/kind");
    if said.is_empty() || said == kind.kind {
        return Ok(());
    }
    let (group, version) = (kind.group, kind.version);
    Err(Refused::bad_request(format!(
        "{said} in version \"{}\" cannot be handled as a {}: no kind \"{said}\" is registered for version \
         \"{group}/{version}\"",
        kind.version, kind.kind
    )))
}

/// The few validations that a wrong patch of images can run into.
fn check(kind: Kind, name: &str, object: &Value) -> Result<(), Refused> {
    if kind.kind != "Deployment" {
        return Ok(());
    }
    for containers in ["initContainers", "containers"] {
        let all = list(object, &format!("/spec/template/spec/{containers}"));
        for (at, container) in all.iter().enumerate() {
            for field in ["name", "image"] {
                if text(container, &format!("/{field}")).is_empty() {
                    let place = format!("spec.template.spec.{containers}[{at}].{field}");
                    let why = "Required value";
                    return Err(Refused::invalid(kind, name, &place, "FieldValueRequired", why));
                }
            }
        }
    }
    if list(object, "/spec/template/spec/containers").is_empty() {
        let place = "spec.template.spec.containers";
        return Err(Refused::invalid(kind, name, place, "FieldValueRequired", "Required value"));
    }
    Ok(())
}

/// Deletes an object and what it owns; a pod is given its time to stop.
pub(super) fn delete(
    state: &mut State,
    kind: Kind,
    namespace: &str,
    name: &str,
    options: &Value,
    dry: bool,
) -> Result<Value, Refused> {
    let object = super::read::get(&state.store, kind, namespace, name)?;
    let uid = text(&object, "/metadata/uid");
    let asked = text(options, "/preconditions/uid");
    if !asked.is_empty() && asked != uid {
        let why =
            format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}");
        return Err(Refused::conflict(kind, name, &why));
    }
    let key = Key::new(kind.kind, namespace, name);
    if !dry {
        erase(state, &key, &object, options);
    }
    if kind.kind == "Pod" {
        return Ok(state.store.get(&key).cloned().unwrap_or(object));
    }
    let mut details = json!({ "name": name });
    if !kind.group.is_empty() {
        details["group"] = kind.group.into();
    }
    details["kind"] = kind.plural.into();
    details["uid"] = uid.into();
    Ok(json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
    }))
}

fn erase(state: &mut State, key: &Key, object: &Value, options: &Value) {
    let keeps = text(options, "/propagationPolicy") == "Orphan";
    match key.kind {
        "Pod" => {
            // Whoever plays the pod's deployment is interrupted: the recording knows nothing of this.
            state.interrupt(&key.namespace, object);
            if options.get("gracePeriodSeconds").and_then(Value::as_i64) == Some(0) {
                state.store.remove(key);
            } else {
                pods::terminate(state, key);
            }
            state.poke_owner(&key.namespace, object);
        }
        "Deployment" if !keeps => {
            state.playing.remove(key);
            state.store.remove(key);
            for set in model::sets(state, object) {
                let set_key = Key::new("ReplicaSet", &key.namespace, text(&set, "/metadata/name"));
                erase(state, &set_key, &set, options);
            }
        }
        "ReplicaSet" if !keeps => {
            state.store.remove(key);
            for pod in model::pods_of(state, object) {
                let name = text(&pod, "/metadata/name");
                pods::terminate(state, &Key::new("Pod", &key.namespace, name));
            }
            let name = text(object, "/metadata/ownerReferences/0/name");
            state.poke(&Key::new("Deployment", &key.namespace, name));
        }
        _ => {
            state.store.remove(key);
        }
    }
}
