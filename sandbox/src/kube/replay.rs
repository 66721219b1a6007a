//! Playing a recording: its rows become changes of this cluster's objects, at their time, with this cluster's names.
//! Only statuses, counts and events come from the recording; specifications stay what the user wrote.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::fill::{self, Fill};
use super::json::{list, number, set, text};
use super::model::REVISION;
use super::store::Key;
use super::tape::{Happened, Row, Tape};
use super::{State, managed, pods};

/// A recording as it is played here.
pub(super) struct Played {
    pub(super) tape: &'static Tape,
    pub(super) deployment: Key,
    /// The rollout's number; when the deployment plays another one, this one was interrupted.
    pub(super) id: u64,
    pub(super) fill: Fill,
    pub(super) origin: (Timestamp, Timestamp),
    /// The recorded pods as they are named here.
    pub(super) pods: BTreeMap<String, Named>,
    pub(super) old_set: String,
    pub(super) new_set: String,
    pub(super) container: String,
    /// The deployment as it was before the patch.
    pub(super) before: Value,
}

/// A recorded pod here: its name, and what fills its rows, the node that it is on among it.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) fill: Fill,
}

/// Puts every row of the recording on the clock.
pub(super) fn begin(state: &mut State, played: Played) {
    keep_logs(state, &played);
    let played = Arc::new(played);
    let mut end = Duration::ZERO;
    for row in played.tape.rows.iter().filter(|row| !is_the_patch(row)) {
        let played = played.clone();
        end = Duration::from_millis(row.at.unsigned_abs());
        state.clock.after(end, move |state| apply(state, &played, row));
    }
    state.clock.after(end, move |state| {
        if state.playing.get(&played.deployment) == Some(&played.id) {
            state.playing.remove(&played.deployment);
        }
    });
}

/// Puts the recorded life of one pod on the clock; the pod itself is in the store already.
pub(super) fn live(state: &mut State, played: Played, recorded: &'static str) {
    keep_logs(state, &played);
    let played = Arc::new(played);
    let of = |row: &&'static Row| row.pod() == Some(recorded);
    let born = played.tape.rows.iter().find(of).map_or(0, |row| row.at);
    for row in played.tape.rows.iter().filter(of) {
        if row.object.pointer("/metadata/deletionTimestamp").is_some() {
            break;
        }
        let played = played.clone();
        let wait = Duration::from_millis((row.at - born).unsigned_abs());
        state.clock.after(wait, move |state| apply(state, &played, row));
    }
}

/// What the recorded containers had written becomes what those here have.
fn keep_logs(state: &mut State, played: &Played) {
    for (recorded, here) in &played.pods {
        for previous in [false, true] {
            if let Some(log) = played.tape.log(recorded, played.tape.container(), previous) {
                let pod = (played.deployment.namespace.clone(), here.name.clone());
                state.logs.insert((pod, played.container.clone(), previous), log.to_owned());
            }
        }
    }
}

/// The recorded patch itself: here it was the request that started the play.
pub(super) fn is_the_patch(row: &Row) -> bool {
    let generation = number(&row.object, "/metadata/generation");
    row.kind() == "Deployment" && generation == 2 && {
        let conditions = list(&row.object, "/status/conditions");
        number(&row.object, "/status/observedGeneration") < 2
            && conditions.iter().any(|c| text(c, "/reason") == "NewReplicaSetAvailable")
    }
}

fn apply(state: &mut State, played: &Played, row: &Row) {
    let on_tape = state.playing.get(&played.deployment) == Some(&played.id);
    if !on_tape && row.pod().is_none() {
        return;
    }
    match row.kind() {
        "Deployment" => deployment(state, played, row),
        "ReplicaSet" => replica_set(state, played, row),
        "Pod" => pod(state, played, row, on_tape),
        _ => event(state, played, row),
    }
    if !on_tape {
        state.poke(&played.deployment);
    }
}

impl Played {
    fn filled(&self, state: &State, row: &Row, part: &str) -> Value {
        let now = state.clock.wall();
        let moved =
            |time| fill::shifted(time, self.origin, |span| state.clock.shortened(span), now);
        let pod = row.pod().and_then(|pod| self.pods.get(pod));
        let fill = pod.map_or(&self.fill, |pod| &pod.fill);
        row.object.pointer(part).map(|value| fill.value(value, &moved)).unwrap_or_default()
    }

    fn revision(&self, recorded: &str) -> String {
        let base = text(&self.before, "/metadata/annotations/deployment.kubernetes.io~1revision");
        let base: i64 = base.parse().unwrap_or(1);
        recorded.parse::<i64>().map_or_else(|_| recorded.to_owned(), |r| (base - 1 + r).to_string())
    }

    fn generation(&self, recorded: i64) -> i64 {
        number(&self.before, "/metadata/generation") + recorded - 1
    }

    fn set_name(&self, recorded: &str) -> &str {
        if recorded == text(&self.tape.old_set, "/metadata/name") {
            &self.old_set
        } else {
            &self.new_set
        }
    }
}

fn deployment(state: &mut State, played: &Played, row: &Row) {
    let Some(mut object) = state.store.get(&played.deployment).cloned() else { return };
    let pointer = format!("/metadata/annotations/{}", REVISION.replace('/', "~1"));
    let revision = played.revision(text(&row.object, &pointer));
    let mut status = played.filled(state, row, "/status");
    status["observedGeneration"] =
        played.generation(number(&row.object, "/status/observedGeneration")).into();
    let generation = played.generation(number(&row.object, "/metadata/generation"));
    if number(&row.object, "/metadata/generation") > 2
        && number(&object, "/metadata/generation") < generation
    {
        object = taken_over(state, played, row, &object);
        set(&mut object, &["metadata", "generation"], generation);
    }
    set(&mut object, &["metadata", "annotations", REVISION], revision);
    object["status"] = status;
    managed::controlled(&mut object, &fill::seconds(state.clock.wall()));
    state.store.put(object);
}

/// The recorded second writer puts the old template back.
fn taken_over(state: &State, played: &Played, row: &Row, object: &Value) -> Value {
    let writer = list(&row.object, "/metadata/managedFields")
        .iter()
        .find(|e| {
            e.get("subresource").is_none() && e["fieldsV1"].to_string().contains("\"f:image\":")
        })
        .map_or("unknown", |entry| text(entry, "/manager"));
    let mut taken = object.clone();
    taken["spec"]["template"] = played.before["spec"]["template"].clone();
    let now = fill::seconds(state.clock.wall());
    managed::record(object, &mut taken, writer, "apps/v1", &now);
    taken
}

fn replica_set(state: &mut State, played: &Played, row: &Row) {
    let name = played.set_name(row.name());
    let key = Key::new("ReplicaSet", &played.deployment.namespace, name);
    let Some(owner) = state.store.get(&played.deployment).cloned() else { return };
    let known = state.store.get(&key).cloned();
    let is_new = known.is_none();
    let mut object = known.unwrap_or_else(|| super::model::new_set(state, &owner, name));
    if is_new {
        let uid = played.fill.text(text(&row.object, "/metadata/uid"));
        set(&mut object, &["metadata", "uid"], uid);
    }
    object["spec"]["replicas"] = row.object["spec"]["replicas"].clone();
    object["status"] = played.filled(state, row, "/status");
    set(&mut object, &["metadata", "generation"], row.object["metadata"]["generation"].clone());
    let recorded = row.object.pointer("/metadata/annotations").and_then(Value::as_object);
    for (annotation, value) in recorded.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        let here = if annotation.starts_with(REVISION) {
            played.revision(value)
        } else {
            value.to_owned()
        };
        set(&mut object, &["metadata", "annotations", annotation], here);
    }
    state.store.put(object);
}

fn pod(state: &mut State, played: &Played, row: &Row, on_tape: bool) {
    let Some(here) = played.pods.get(row.name()) else { return };
    let key = Key::new("Pod", &played.deployment.namespace, &here.name);
    if row.happened == Happened::Added && on_tape {
        let set = Key::new("ReplicaSet", &played.deployment.namespace, &played.new_set);
        if let Some(set) = state.store.get(&set).cloned() {
            pods::create(state, &with_init(played.tape, &set), &here.name, &here.uid);
        }
    }
    let Some(mut object) = state.store.get(&key).cloned() else { return };
    let leaving = row.object.pointer("/metadata/deletionTimestamp").is_some();
    let left = object.pointer("/metadata/deletionTimestamp").is_some();
    if leaving != left && !(on_tape && leaving) {
        return;
    }
    if row.happened == Happened::Deleted {
        state.store.remove(&key);
        return;
    }
    let metadata = played.filled(state, row, "/metadata");
    for field in ["generation", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        if let Some(value) = metadata.get(field) {
            set(&mut object, &["metadata", field], value.clone());
        }
    }
    if text(&object, "/spec/nodeName").is_empty() && row.object["spec"].get("nodeName").is_some() {
        object["spec"]["nodeName"] = here.fill.text(text(&row.object, "/spec/nodeName")).into();
    }
    let mut status = played.filled(state, row, "/status");
    status["qosClass"] = object["status"]["qosClass"].clone();
    rename(&mut status, played, &object);
    object["status"] = pods::fit(state, &object, status);
    state.store.put(object);
}

/// Gives the statuses the containers' names here.
fn rename(status: &mut Value, played: &Played, pod: &Value) {
    let first = text(pod, "/spec/containers/0/name");
    let app = if played.tape.init.is_some() { first } else { &played.container };
    for (field, name) in
        [("initContainerStatuses", played.container.as_str()), ("containerStatuses", app)]
    {
        if let Some(only) = status.get_mut(field).and_then(|statuses| statuses.get_mut(0)) {
            only["name"] = name.into();
        }
    }
}

/// A replica set whose pods have the recorded init container, if they have none of their own.
pub(super) fn with_init(tape: &Tape, set: &Value) -> Value {
    let mut set = set.clone();
    let spec = &mut set["spec"]["template"]["spec"];
    if tape.init.is_some() && list(spec, "/initContainers").is_empty() {
        let mut init = list(&tape.new_set, "/spec/template/spec/initContainers").to_vec();
        let image = text(spec, "/containers/0/image").to_owned();
        init.iter_mut().for_each(|container| container["image"] = image.clone().into());
        spec["initContainers"] = init.into();
    }
    set
}

fn event(state: &mut State, played: &Played, row: &Row) {
    let pod = row.pod().and_then(|pod| played.pods.get(pod));
    let pods = Key::new("Pod", &played.deployment.namespace, pod.map_or("", |pod| &pod.name));
    if row.pod().is_some() && state.store.get(&pods).is_none() {
        return;
    }
    let mut object = played.filled(state, row, "");
    let (subject, suffix) = row.name().rsplit_once('.').unwrap_or((row.name(), ""));
    let about = match text(&row.object, "/involvedObject/kind") {
        "Deployment" => played.deployment.name.clone(),
        "ReplicaSet" => played.set_name(subject).to_owned(),
        _ => pod.map(|pod| pod.name.clone()).unwrap_or_default(),
    };
    let salt = Sha256::digest(json!([played.id, about, suffix]).to_string());
    let name = format!("{about}.18{}", hex::encode(&salt[..7]));
    let key = Key::new("Event", &played.deployment.namespace, &name);
    let before = state.store.get(&key);
    let uid = match before {
        Some(before) => before["metadata"]["uid"].clone(),
        None => state.store.uid().into(),
    };
    set(&mut object, &["metadata", "name"], name);
    set(&mut object, &["metadata", "uid"], uid);
    set(&mut object, &["involvedObject", "name"], about);
    state.store.put(object);
}
