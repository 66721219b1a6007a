//! The objects of the cluster, one counter of changes, and a bounded history of them for watches.
//! It must not decide anything: it stores what it is given and says what changed.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::json::{set, text};
use super::kinds::{self, Kind};

/// How many changes a watch may be behind before it is told `410 Gone`.
const HISTORY: usize = 8192;

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: &'static str,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    /// The place of an object of this kind.
    pub(super) fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The place that an object itself names, if its kind is in the table.
    pub(super) fn of(object: &Value) -> Option<Self> {
        let kind = kinds::by_kind(text(object, "/kind"))?;
        Some(Self::new(
            kind.kind,
            text(object, "/metadata/namespace"),
            text(object, "/metadata/name"),
        ))
    }
}

/// One change, with the object before it, so that a watch can tell what left its selection.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) key: Key,
    pub(super) before: Option<Value>,
    /// The object after the change; for a removal its last state, with the removal's version.
    pub(super) after: Value,
    pub(super) removed: bool,
}

/// The store itself.
pub(super) struct Store {
    objects: BTreeMap<Key, Value>,
    history: VecDeque<Change>,
    version: u64,
    /// The version of the newest change that the history no longer holds.
    forgotten: u64,
    head: watch::Sender<u64>,
    serial: u64,
    salt: String,
}

impl Store {
    /// An empty store; names that it makes depend on the salt.
    pub(super) fn new(salt: String) -> Self {
        let version = 1000;
        let head = watch::Sender::new(version);
        let (objects, history) = (BTreeMap::new(), VecDeque::new());
        Self { objects, history, version, forgotten: version, head, serial: 0, salt }
    }

    /// The version of the newest change.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The version of the newest change that can no longer be watched from before.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Tells of every new version.
    pub(super) fn follow(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// One object.
    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// The objects of a kind in a namespace, or in all for the empty name, in the order of namespace and name.
    pub(super) fn all<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a Value> {
        let from = Key::new(kind.kind, namespace, "");
        self.objects
            .range(from..)
            .take_while(move |(key, _)| key.kind == kind.kind)
            .filter(move |(key, _)| namespace.is_empty() || key.namespace == namespace)
            .map(|(_, object)| object)
    }

    /// The objects of a kind by its name; an unknown kind has none.
    pub(super) fn named<'a>(&'a self, kind: &str, namespace: &'a str) -> Vec<&'a Value> {
        kinds::by_kind(kind).map(|kind| self.all(kind, namespace).collect()).unwrap_or_default()
    }

    /// The changes after a version, or nothing if some of them are forgotten.
    pub(super) fn since(&self, version: u64) -> Option<impl Iterator<Item = &Change>> {
        (version >= self.forgotten)
            .then(|| self.history.iter().skip_while(move |change| change.version <= version))
    }

    /// Stores an object that names its place; an object equal to the stored one is no change.
    pub(super) fn put(&mut self, mut object: Value) -> Value {
        let Some(key) = Key::of(&object) else { return object };
        let before = self.objects.get(&key).cloned();
        if let Some(before) = &before {
            set(
                &mut object,
                &["metadata", "resourceVersion"],
                text(before, "/metadata/resourceVersion"),
            );
            if *before == object {
                return object;
            }
        }
        self.version += 1;
        set(&mut object, &["metadata", "resourceVersion"], self.version.to_string());
        self.objects.insert(key.clone(), object.clone());
        self.record(Change {
            version: self.version,
            key,
            before,
            after: object.clone(),
            removed: false,
        });
        object
    }

    /// Takes an object out and returns its last state.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Value> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let mut after = before.clone();
        set(&mut after, &["metadata", "resourceVersion"], self.version.to_string());
        let (version, key) = (self.version, key.clone());
        self.record(Change {
            version,
            key,
            before: Some(before),
            after: after.clone(),
            removed: true,
        });
        Some(after)
    }

    /// Forgets the history, as a compaction does: a watch that is behind gets `410 Gone`.
    pub(super) fn compact(&mut self) {
        self.history.clear();
        self.forgotten = self.version;
    }

    fn record(&mut self, change: Change) {
        if self.history.len() == HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.version;
        }
        self.history.push_back(change);
        self.head.send_replace(self.version);
    }

    /// A new uid, in the form of a random UUID.
    pub(super) fn uid(&mut self) -> String {
        let hex = hex::encode(&self.fresh()[..16]);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..32]
        )
    }

    /// A new suffix of a generated name, in the alphabet that the API server uses for them.
    pub(super) fn suffix(&mut self) -> String {
        readable(&self.fresh(), 5)
    }

    /// The second half of an event's name: sixteen hexadecimal digits.
    pub(super) fn event_suffix(&mut self) -> String {
        format!("18{}", hex::encode(&self.fresh()[..7]))
    }

    fn fresh(&mut self) -> Vec<u8> {
        self.serial += 1;
        Sha256::digest(json!([self.salt, self.serial]).to_string()).to_vec()
    }
}

/// Bytes in the alphabet of generated names, which has no vowels and no look-alikes.
pub(super) fn readable(bytes: &[u8], length: usize) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    bytes
        .iter()
        .take(length)
        .map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()]))
        .collect()
}
