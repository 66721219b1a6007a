//! Where an entry of a YAML text stands.
//!
//! The crate that reads YAML tells places with errors alone. So the text is read again up to the entry, and an
//! error is made there. Text is not searched: a key may be quoted, or stand in a value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Line and column, from 1, of the entry that the steps lead to: the first counts in the root, the next
/// one in that entry's value, both from 0.
pub(super) fn of(text: &str, steps: &[usize]) -> Option<(usize, usize)> {
    let read = Probe(steps).deserialize(serde_yaml::Deserializer::from_str(text));
    let place = read.err()?.location()?;
    Some((place.line(), place.column()))
}

/// Line and column of the first key of the root that was there before.
pub(super) fn again(text: &str) -> Option<(usize, usize)> {
    let keys = serde_yaml::Deserializer::from_str(text).deserialize_map(Keys).ok()?;
    let nth = (0..keys.len()).find(|nth| keys[..*nth].contains(&keys[*nth]))?;
    of(text, &[nth])
}

/// The keys of a mapping, each as often as it is there.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Vec<serde_yaml::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            keys.push(key);
        }
        Ok(keys)
    }
}

/// Goes these steps down, and takes nothing of what is there.
struct Probe<'a>(&'a [usize]);

impl<'de> DeserializeSeed<'de> for Probe<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Everything that is not visited below is an error by itself.
impl<'de> Visitor<'de> for Probe<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((at, deeper)) = self.0.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..*at {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if deeper.is_empty() {
            return map.next_key_seed(Probe(deeper)).map(|_| ());
        }
        map.next_key::<IgnoredAny>()?;
        map.next_value_seed(Probe(deeper))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Some((at, deeper)) = self.0.split_first() else { return Err(A::Error::custom("here")) };
        for _ in 0..*at {
            list.next_element::<IgnoredAny>()?;
        }
        list.next_element_seed(Probe(deeper)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_however_it_is_written() {
        let text = "# a\n\"b\": |\n  c:\nc:\n  x: >\n    y: 1\n\n  'y': 2\nd: { e: 1,\n  f: 2 }\ng:\n- h\n- i: 1\n- \n";
        for (steps, place) in [
            (&[0][..], (2, 1)),
            (&[1], (4, 1)),
            (&[1, 0], (5, 3)),
            (&[1, 1], (8, 3)),
            (&[2, 0], (9, 6)),
            (&[2, 1], (10, 3)),
            (&[3, 0], (12, 3)),
            (&[3, 1], (13, 3)),
            // Of nothing, the place is where it would begin.
            (&[3, 2], (14, 2)),
        ] {
            assert_eq!(of(text, steps), Some(place), "{steps:?}");
        }
        assert_eq!(of(text, &[4]), None);
        assert_eq!(again(text), None);
        assert_eq!(again("a: 1\n'b': [c\n]\n\n\"b\": 2\na: 1\n"), Some((5, 1)));
    }
}
