//! Filling names in: the recorded cluster's names, uids, addresses, images and times become those of this one.
//! It must not know what a text means; the longest recorded text that fits is replaced, once.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// What is replaced by what.
#[derive(Clone, Default)]
pub(super) struct Fill {
    pairs: Vec<(String, String)>,
}

impl Fill {
    /// Adds a replacement; an earlier one of the same text stays.
    pub(super) fn pair(&mut self, recorded: impl Into<String>, here: impl Into<String>) {
        let (recorded, here) = (recorded.into(), here.into());
        if recorded.is_empty() || self.pairs.iter().any(|(known, _)| *known == recorded) {
            return;
        }
        let at = self.pairs.partition_point(|(known, _)| known.len() >= recorded.len());
        self.pairs.insert(at, (recorded, here));
    }

    /// Adds all replacements of another.
    pub(super) fn extend(&mut self, other: Self) {
        for (recorded, here) in other.pairs {
            self.pair(recorded, here);
        }
    }

    /// The text with everything replaced.
    pub(super) fn text(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            match self.pairs.iter().find(|(recorded, _)| rest.starts_with(recorded.as_str())) {
                Some((recorded, here)) => {
                    filled.push_str(here);
                    rest = &rest[recorded.len()..];
                }
                None => {
                    filled.push(first);
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        filled
    }

    /// The value with every text in it filled, and every time of day moved by `moved`.
    pub(super) fn value(&self, value: &Value, moved: &impl Fn(Timestamp) -> Timestamp) -> Value {
        match value {
            Value::String(text) => {
                Value::String(moment(text, moved).unwrap_or_else(|| self.text(text)))
            }
            Value::Array(items) => items.iter().map(|item| self.value(item, moved)).collect(),
            Value::Object(map) => {
                map.iter().map(|(k, v)| (k.clone(), self.value(v, moved))).collect()
            }
            other => other.clone(),
        }
    }
}

/// A time of day in its recorded precision, moved.
fn moment(text: &str, moved: &impl Fn(Timestamp) -> Timestamp) -> Option<String> {
    if !text.ends_with('Z') || text.len() < 20 {
        return None;
    }
    let moved = moved(text.parse().ok()?);
    Some(if text.contains('.') { micros(moved) } else { seconds(moved) })
}

/// A time as most of the API writes it.
pub(super) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A time as the newer events write it.
pub(super) fn micros(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A recorded moment, as it is here: as far from the patch as it was, shortened, but never after now.
pub(super) fn shifted(
    recorded: Timestamp,
    (patched, here): (Timestamp, Timestamp),
    shortened: impl Fn(SignedDuration) -> SignedDuration,
    now: Timestamp,
) -> Timestamp {
    let span = shortened(recorded.duration_since(patched));
    here.checked_add(span).unwrap_or(now).min(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_recorded_text_is_replaced_once() {
        let mut fill = Fill::default();
        fill.pair("web-1", "api-9");
        fill.pair("web-1-abc", "api-9-xyz");
        fill.pair("container web", "container api");
        fill.pair("api-9", "never");
        let text = "pod web-1-abc of web-1: container web";
        assert_eq!(fill.text(text), "pod api-9-xyz of api-9: container api");
    }

    #[test]
    fn a_moment_keeps_its_distance_but_is_never_in_the_future() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let origin = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        let half = |span: SignedDuration| span / 2;
        let now = at("2027-01-01T00:00:30Z");
        let moved = |text| seconds(shifted(at(text), origin, half, now));
        assert_eq!(moved("2026-01-01T00:00:40Z"), "2027-01-01T00:00:20Z");
        assert_eq!(moved("2026-01-01T00:02:00Z"), "2027-01-01T00:00:30Z");
        assert_eq!(moved("2025-12-31T23:59:50Z"), "2026-12-31T23:59:55Z");
    }
}
