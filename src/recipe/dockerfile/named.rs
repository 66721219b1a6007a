//! Where a Dockerfile names a stage or an image, and what stands on its lines: for who tells of them.

use super::lines::{self, Instruction};
use super::{Dockerfile, reach};

/// A word that names a stage or an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The line of its instruction.
    pub line: usize,
    /// By what it is named.
    pub by: By,
    /// As it is written.
    pub word: String,
    /// What the stages are called that it may mean; some have no name.
    pub stages: Vec<Option<String>>,
}

/// What names a stage or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `FROM`.
    From,
    /// `--from=` of a copy.
    Flag,
    /// `from=` of a mount.
    Mount,
}

impl Dockerfile {
    /// Every word that names a stage or an image, in order. None of a frontend's own syntax is told.
    #[must_use]
    pub fn namings(&self) -> Vec<Naming> {
        let mut found = Vec::new();
        for (at, stage) in self.stages.iter().enumerate() {
            let stages: Vec<_> = self.stages[..at].iter().map(|stage| stage.name.clone()).collect();
            let mut add = |line, by, word: &str| {
                let (word, stages) = (word.to_owned(), stages.clone());
                found.push(Naming { line, by, word, stages });
            };
            add(stage.line, By::From, &stage.base);
            for step in &stage.steps {
                let flags = step.flags.iter().filter_map(|flag| flag.strip_prefix("--from="));
                flags.for_each(|word| add(step.line, By::Flag, word));
                mounted(step).for_each(|word| add(step.line, By::Mount, &word));
            }
        }
        found
    }
}

fn mounted(step: &Instruction) -> impl Iterator<Item = String> {
    let from = |mount: Vec<(String, String)>| mount.into_iter().find(|(key, _)| key == "from");
    reach::mounts(step).filter_map(from).map(|(_, word)| word)
}

/// An instruction as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its first line, from 1.
    pub line: usize,
    /// Its last, without a heredoc's.
    pub last: usize,
    /// All of it, on one line.
    pub text: String,
}

/// The instructions of a text, as far as it is one.
#[must_use]
pub fn written(text: &str) -> Vec<Written> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let read = lines::read(text).unwrap_or_default();
    let escape = if read.escape == '`' { '`' } else { '\\' };
    let all: Vec<&str> = text.lines().collect();
    let in_heredoc = |line: usize| {
        let mut heredocs = read.instructions.iter().flat_map(|step| &step.heredocs);
        // The line that ends it is no instruction either.
        heredocs.any(|(begin, end)| (*begin..=end + 1).contains(&line))
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let (whole, after) = lines::joined(&all, at, escape);
        let text = whole.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.is_empty() && !in_heredoc(at + 1) {
            found.push(Written { line: at + 1, last: after, text });
        }
        at = after;
    }
    found
}
