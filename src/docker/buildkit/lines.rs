//! Makes lines of what steps write: pieces that end anywhere, lines that overwrite themselves, and
//! secrets that a step should not have written.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::super::{Login, Order};
use crate::recipe::is_secret;

/// A line is cut here, so that a step that never ends one cannot fill the memory.
pub(in crate::docker) const LONGEST: usize = 64 << 10;
/// Shorter ones would be found in ordinary words.
const SHORTEST_SECRET: usize = 4;

/// What is taken out of every line.
#[derive(Clone, Default)]
pub(in crate::docker) struct Masks(Arc<[SecretString]>);

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

impl Masks {
    /// Of what a build is given and no line may show. Lines are cut after that: half a secret is one, too.
    pub(in crate::docker) fn of(order: &Order) -> Self {
        let args = order.args.iter().filter(|(name, value)| is_secret(name, value));
        let args: Vec<_> = args.map(|(_, value)| value.as_str()).collect();
        Self::new(&order.secrets, &order.logins, &args)
    }

    /// Of secrets, line by line, of passwords, and of arguments.
    pub(super) fn new(
        secrets: &BTreeMap<String, SecretString>,
        logins: &[Login],
        args: &[&str],
    ) -> Self {
        let passwords = logins.iter().map(|login| &login.password);
        let mut masks: Vec<_> = secrets
            .values()
            .chain(passwords)
            .map(SecretString::expose_secret)
            .chain(args.iter().copied())
            .flat_map(str::lines)
            .map(str::trim)
            .filter(|line| line.len() >= SHORTEST_SECRET)
            .collect();
        // One that is part of another comes after it, or the rest of the other would be left.
        masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
        Self(masks.into_iter().map(SecretString::from).collect())
    }

    /// The text with `***` for each.
    pub(in crate::docker) fn apply(&self, mut text: String) -> String {
        for mask in self.0.iter().map(SecretString::expose_secret) {
            if text.contains(mask) {
                text = text.replace(mask, "***");
            }
        }
        text
    }
}

/// The beginning of a line whose end has not come.
#[derive(Debug, Default)]
pub(super) struct Partial(Vec<u8>);

impl Partial {
    /// Adds what has come, and gives the lines that it makes whole.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.0.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.0.len() >= LONGEST {
                lines.extend(self.end());
            }
        }
        lines
    }

    /// What is left when nothing more comes.
    pub(super) fn end(&mut self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.trim_end_matches('\r');
        // What a terminal would show: a bar that is drawn again and again is its last state.
        Some(text.rsplit('\r').next().unwrap_or_default().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_they_come() {
        let table: &[(&[&str], &[&str])] = &[
            (&["a\nb\n"], &["a", "b"]),
            (&["a", "b\nc"], &["ab", "c"]),
            (&["a\r\n", "b\r\n"], &["a", "b"]),
            (&["10%\r", "50%\r100%\n"], &["100%"]),
            (&["10%\r50%\r"], &["50%"]),
            (&["\n\n"], &["", ""]),
            (&[], &[]),
            (&["caf", "é\n"], &["café"]),
        ];
        for (pieces, expected) in table {
            let mut partial = Partial::default();
            let mut lines: Vec<_> =
                pieces.iter().flat_map(|piece| partial.add(piece.as_bytes())).collect();
            lines.extend(partial.end());
            assert_eq!(&lines, expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_letter_that_comes_in_two_pieces_is_one() {
        let mut partial = Partial::default();
        assert!(partial.add(&[0xc3]).is_empty());
        assert_eq!(partial.add(&[0xa9, b'\n']), ["é"]);
    }

    #[test]
    fn a_line_without_an_end_does_not_grow_without_one() {
        let mut partial = Partial::default();
        let pieces: Vec<_> = (0..40).flat_map(|_| partial.add(&[b'x'; 4096])).collect();
        assert_eq!(pieces.len(), 2);
        assert!(partial.0.len() < LONGEST);
    }

    #[test]
    fn secrets_are_taken_out_and_never_shown() {
        let secrets = BTreeMap::from([
            ("key".into(), SecretString::from("-----BEGIN-----\nabcd\nab\n")),
            ("token".into(), SecretString::from("abcdef")),
        ]);
        let login = Login {
            host: "ghcr.io".into(),
            user: "me".into(),
            password: SecretString::from("s3cr3t"),
            is_ours: false,
        };
        let masks = Masks::new(&secrets, &[login], &["of-npm"]);
        let text = "t abcdef k abcd p s3cr3t ab of-npm";
        assert_eq!(masks.apply(text.into()), "t *** k *** p *** ab ***");
        assert_eq!(format!("{masks:?}"), "Masks(5)");
    }
}
