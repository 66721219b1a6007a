//! Commits as people type them, and the mark of a changed tree. Pure.

use std::str::FromStr;

use serde::Serialize;

use super::{Commit, Malformed};

/// What the tag of a changed tree's image ends with.
pub(super) const DIRTY: &str = "-dirty";

/// A commit as far as somebody typed it: at least seven digits, for `rollback --to 3f2a91c`, with
/// `-dirty` where the image of a changed tree is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommitPrefix(String);

impl CommitPrefix {
    /// Whether this is the beginning of that commit, as it was tagged: the image of a changed tree is
    /// another one than the commit's own.
    #[must_use]
    pub fn matches(&self, tagged: &str) -> bool {
        let (typed, wants_dirty) = undirtied(&self.0);
        let (commit, dirty) = undirtied(tagged);
        dirty == wants_dirty && commit.starts_with(typed)
    }

    /// What was typed, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The commit, where all of its digits were typed.
    #[must_use]
    pub fn whole(&self) -> Option<Commit> {
        Commit::tagged(&self.0)
    }

    /// The same of a changed tree.
    #[must_use]
    pub fn dirty(&self) -> Self {
        Self(format!("{}{DIRTY}", undirtied(&self.0).0))
    }
}

impl FromStr for CommitPrefix {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let typed = text.to_ascii_lowercase();
        let digits = undirtied(&typed).0;
        let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && (7..=64).contains(&digits.len()) {
            Ok(Self(typed))
        } else {
            Err("a commit is 7 to 40 hex digits".into())
        }
    }
}

/// A commit's digits, and whether it is tagged as a changed tree.
pub(super) fn undirtied(tagged: &str) -> (&str, bool) {
    tagged.strip_suffix(DIRTY).map_or((tagged, false), |digits| (digits, true))
}
