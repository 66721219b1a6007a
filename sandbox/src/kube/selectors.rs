//! Label and field selectors, read as the API server reads them.
//! It must not accept a field that the real server does not know: it would hide a mistake of the caller.

use serde_json::Value;

use super::json::text;
use super::kinds::Kind;
use super::status::Refused;

/// What a list or a watch selects.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    labels: Vec<(String, Test)>,
    fields: Vec<(String, String, bool)>,
}

#[derive(Clone, Debug)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Selection {
    /// Reads the two selectors of a request.
    pub(super) fn read(kind: Kind, labels: &str, fields: &str) -> Result<Self, Refused> {
        let mut selection = Self::default();
        for part in split(labels) {
            selection.labels.push(label(part)?);
        }
        for part in fields.split(',').filter(|part| !part.is_empty()) {
            selection.fields.push(field(kind, part, labels, fields)?);
        }
        Ok(selection)
    }

    /// Whether an object is selected.
    pub(super) fn holds(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let has = |key: &str| labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        self.labels.iter().all(|(key, test)| match test {
            Test::In(values) => has(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Test::NotIn(values) => has(key).is_none_or(|v| values.iter().all(|w| w != v)),
            Test::Exists => has(key).is_some(),
            Test::Absent => has(key).is_none(),
        }) && self.fields.iter().all(|(path, value, equal)| {
            let pointer = format!("/{}", path.replace('.', "/"));
            (text(object, &pointer) == value) == *equal
        })
    }
}

/// Splits at the commas that are not inside parentheses.
fn split(selector: &str) -> Vec<&str> {
    let mut depth = 0;
    selector
        .split(|c| {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            c == ',' && depth == 0
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn label(part: &str) -> Result<(String, Test), Refused> {
    let values = |list: &str| -> Vec<String> {
        list.trim().trim_matches(['(', ')']).split(',').map(|v| v.trim().to_owned()).collect()
    };
    let named = |key: &str, test| Ok((key.trim().to_owned(), test));
    if let Some((key, list)) = part.split_once(" notin ") {
        named(key, Test::NotIn(values(list)))
    } else if let Some((key, list)) = part.split_once(" in ") {
        named(key, Test::In(values(list)))
    } else if let Some((key, value)) = part.split_once("!=") {
        named(key, Test::NotIn(values(value)))
    } else if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        named(key, Test::In(values(value)))
    } else if let Some(key) = part.strip_prefix('!') {
        named(key, Test::Absent)
    } else if part.contains([' ', '(', ')']) {
        let why = format!(
            "unable to parse requirement: found '{part}', expected: in, notin, =, ==, !=, gt, lt"
        );
        Err(Refused::bad_request(why))
    } else {
        named(part, Test::Exists)
    }
}

fn field(
    kind: Kind,
    part: &str,
    labels: &str,
    all: &str,
) -> Result<(String, String, bool), Refused> {
    let (path, value, equal) = if let Some((path, value)) = part.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (path, value, true)
    } else {
        let why = format!("invalid selector: '{all}'; can't understand '{part}'");
        return Err(Refused::bad_request(why));
    };
    if known(kind, path) {
        return Ok((path.to_owned(), value.to_owned(), equal));
    }
    let why = if matches!(kind.kind, "Pod" | "Event" | "Node" | "Namespace" | "Secret") {
        format!("field label not supported: {path}")
    } else {
        format!(
            "\"{path}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    };
    let (group, version, plural) = (kind.group, kind.version, kind.plural);
    Err(Refused::bad_request(format!(
        "Unable to find \"{group}/{version}, Resource={plural}\" that match label selector \"{labels}\", \
         field selector \"{all}\": {why}"
    )))
}

fn known(kind: Kind, path: &str) -> bool {
    let more: &[&str] = match kind.kind {
        "Pod" => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        "Event" => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        "Node" => &["spec.unschedulable"],
        "Namespace" => &["status.phase"],
        "Secret" => &["type"],
        "ReplicaSet" => &["status.replicas"],
        _ => &[],
    };
    path == "metadata.name" || path == "metadata.namespace" || more.contains(&path)
}
