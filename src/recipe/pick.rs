//! Which files of a tree are meant: what the patterns say of a path.
//!
//! Reads the `.dockerignore` that counts, and nothing else.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::follow;
use super::ignore::{Matched, Rules, lines};
use super::tree::Tree;
use super::wrong;
use crate::error::Failure;

/// Which files of a tree are meant, in the patterns of `.dockerignore`; empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    /// Only these.
    pub include: Vec<String>,
    /// Not these, in the order in which they are written; the last that matches decides.
    pub exclude: Vec<String>,
    /// Only these and what symbolic links on the way to them lead to.
    pub follow: Vec<String>,
}

/// The file whose lines count, beside the Dockerfile or in the context.
pub(super) const NAME: &str = ".dockerignore";

impl Pick {
    /// What a build sends: all but what the `.dockerignore` says. The one beside the Dockerfile,
    /// `Dockerfile.dockerignore`, wins over that of the context, even if it is empty.
    ///
    /// # Errors
    /// It cannot be read, or has a line that Docker would refuse.
    pub fn of(context: &Path, dockerfile: &Path) -> Result<Self, Failure> {
        let Some((path, text)) = ignore_file(context, dockerfile)? else {
            return Ok(Self::default());
        };
        let shown = path.display().to_string();
        let mut exclude = Vec::new();
        for (at, pattern) in lines(&text) {
            Rules::of(std::slice::from_ref(&pattern))
                .map_err(|(pattern, clause)| wrong::line(&shown, at, &pattern, &clause))?;
            exclude.push(pattern);
        }
        Ok(Self { exclude, ..Self::default() })
    }

    /// The file whose lines count, if there is one.
    #[must_use]
    pub fn file(context: &Path, dockerfile: &Path) -> Option<PathBuf> {
        ignore_file(context, dockerfile).ok()?.map(|(path, _)| path)
    }

    /// The same, but that a file is sent in any case.
    #[must_use]
    pub fn with(mut self, path: &str) -> Self {
        if Rules::of(&self.exclude).is_ok_and(|rules| rules.matches(path)) {
            self.exclude.push(format!("!{}", literal(path)));
        }
        self
    }

    /// Reads its patterns, with what its links lead to in this tree.
    pub(super) fn asked(&self, tree: &Tree) -> Result<Asked, Failure> {
        let refused = |(pattern, clause): (String, String)| wrong::pattern(&pattern, &clause);
        let mut include = self.include.clone();
        if !self.follow.is_empty()
            && let Some(followed) = follow::links(tree, &self.follow)?
        {
            include.extend(followed);
            // A pattern for the root itself means that there is no filter.
            include = follow::without_those_below(include).unwrap_or_default();
        }
        Ok(Asked {
            include: Rules::of(&include).map_err(refused)?,
            exclude: Rules::of(&self.exclude).map_err(refused)?,
        })
    }
}

/// The file whose lines count, and what stands in it.
fn ignore_file(context: &Path, dockerfile: &Path) -> Result<Option<(PathBuf, Vec<u8>)>, Failure> {
    let mut beside = dockerfile.as_os_str().to_owned();
    beside.push(NAME);
    for path in [PathBuf::from(beside), context.join(NAME)] {
        match fs::read(&path) {
            Ok(text) => return Ok(Some((path, text))),
            Err(error) if absent(error.kind()) => {}
            Err(error) => return Err(wrong::ignore_file(&path.display().to_string(), &error)),
        }
    }
    Ok(None)
}

/// What is left out of a build, line by line, to tell why a path is.
pub(super) struct Ignored {
    /// The ignore file.
    pub(super) file: PathBuf,
    text: Vec<u8>,
    lines: Vec<usize>,
    rules: Rules,
}

impl Ignored {
    /// The lines that count, if there are any that can be used.
    pub(super) fn of(context: &Path, dockerfile: &Path) -> Option<Self> {
        let (file, text) = ignore_file(context, dockerfile).ok()??;
        let (numbers, patterns): (Vec<_>, Vec<_>) = lines(&text).into_iter().unzip();
        Some(Self { file, rules: Rules::of(&patterns).ok()?, lines: numbers, text })
    }

    /// The line that leaves a path out, and what stands there.
    pub(super) fn line_of(&self, path: &str) -> Option<(usize, String)> {
        let line = *self.lines.get(self.rules.decides(path)?)?;
        let text = String::from_utf8_lossy(&self.text);
        let written = text.trim_start_matches('\u{feff}').split('\n').nth(line - 1)?;
        Some((line, written.trim().to_owned()))
    }
}

fn absent(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// A path as a pattern that means it alone.
fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for letter in path.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

/// Patterns that were read.
#[derive(Debug)]
pub(super) struct Asked {
    include: Rules,
    exclude: Rules,
}

/// What the patterns say of a folder.
pub(super) struct Told {
    /// It is picked itself.
    pub(super) taken: bool,
    pub(super) included: Matched,
    pub(super) excluded: Matched,
}

/// What matched the folder that a path is in: to be included, and excluded.
type Above<'a> = Option<(&'a Matched, &'a Matched)>;

impl Asked {
    /// Whether a path that is no folder is picked.
    pub(super) fn takes(&self, path: &str, above: Above<'_>) -> bool {
        let (included, excluded) = above.unzip();
        (self.include.is_empty() || self.include.matches_in(included, path))
            && !self.exclude.matches_in(excluded, path)
    }

    /// The same of a folder; `None` if nothing in it can be picked.
    pub(super) fn folder(&self, path: &str, above: Above<'_>) -> Option<Told> {
        let (included, excluded) = above.unzip();
        let (wanted, included) = self.include.matches_folder(included, path);
        let wanted = wanted || self.include.is_empty();
        if !wanted && !self.include.may_match_below(path) {
            return None;
        }
        let (left_out, excluded) = self.exclude.matches_folder(excluded, path);
        if left_out && !self.exclude.may_take_back(path) {
            return None;
        }
        Some(Told { taken: wanted && !left_out, included, excluded })
    }
}
