//! `--json`: one event a line, for programs. The format is public: `v` counts its versions.
//!
//! A line never begins with a workflow command and never holds one, whoever wrote its texts.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::event::Event;
use super::figures;

/// The line of an event: version, time and name first, then its service, then its facts.
pub(super) fn line(at: Timestamp, service: Option<&str>, event: &Event) -> String {
    let facts = match serde_json::to_value(event) {
        Ok(Value::Object(facts)) => facts,
        // Strings and numbers always serialise; a line that says less is better than none.
        _ => Map::new(),
    };
    let mut line = Map::new();
    line.insert("v".into(), 1.into());
    line.insert("at".into(), figures::timestamp(at).into());
    line.insert("event".into(), facts.get("event").cloned().unwrap_or(Value::Null));
    if let Some(service) = service {
        line.insert("service".into(), service.into());
    }
    line.extend(facts.into_iter().filter(|(name, _)| name != "event"));
    // The runner obeys `##[` anywhere in a line. It can only be inside a string here, where the
    // escape is the same character.
    Value::Object(line).to_string().replace("##[", "##\\u005b")
}
