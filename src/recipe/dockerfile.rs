//! What a Dockerfile says before anything is built: its stages, arguments, secrets and bases.
//!
//! `lines` reads instructions, `words` fills in variables, `reach` follows what a target needs. The
//! builder has the last word: what it alone can know is not guessed at.

mod copied;
mod lines;
mod named;
mod reach;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use self::lines::Instruction;
use crate::error::{Code, Failure, quoted};
use crate::names::nearest;

pub(super) use copied::copied_by;
pub use named::{By, Naming, Written, written};
pub use reach::{Base, Runs, Secret, Wish};

/// A Dockerfile that was read.
#[derive(Clone, Debug)]
pub struct Dockerfile {
    path: PathBuf,
    bytes: Vec<u8>,
    digest: String,
    syntax: Option<String>,
    escape: char,
    /// Every `ARG` before the first stage.
    globals: Vec<Instruction>,
    stages: Vec<Stage>,
}

/// A stage: `FROM` and what follows up to the next.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What it is called, in lower case.
    pub name: Option<String>,
    /// What it begins with, as written.
    pub base: String,
    /// What `--platform=` says, as written.
    pub platform: Option<String>,
    /// The line of its `FROM`.
    pub line: usize,
    steps: Vec<Instruction>,
}

/// Build arguments by name.
pub type Args = BTreeMap<String, String>;

/// What the builder knows without an `ARG`.
const OWN: &[&str] = &[
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SOURCE_DATE_EPOCH",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "TARGETSTAGE",
];

impl Dockerfile {
    /// Reads a Dockerfile. As for the builder, `dockerfile` stands in for a missing `Dockerfile`.
    ///
    /// # Errors
    /// It is not there, cannot be read, is empty, has no stage, or a heredoc in it does not end.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let mut path = path.to_owned();
        let mut read = fs::read(&path);
        if path.file_name().is_some_and(|name| name == "Dockerfile")
            && read.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)
            && let Ok(text) = fs::read(path.with_file_name("dockerfile"))
        {
            path.set_file_name("dockerfile");
            read = Ok(text);
        }
        let bytes = read.map_err(|error| unreadable(&path, &error))?;
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&bytes)));
        Self::parsed(path, digest, bytes)
    }

    fn parsed(path: PathBuf, digest: String, bytes: Vec<u8>) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().is_empty() {
            return Err(broken(format!("`{shown}` is empty"))
                .why("it has no line with anything on it")
                .next(FIRST));
        }
        let syntax = lines::read(&text).ok().and_then(|read| read.syntax);
        let foreign = syntax.as_deref().is_some_and(|syntax| !reach::is_usual(syntax));
        let read = match lines::read(&text) {
            // What another frontend reads need not look like a Dockerfile.
            Err(_) | Ok(_) if foreign => lines::Text { escape: '\\', ..lines::Text::default() },
            Err((line, clause)) => {
                return Err(broken(format!("line {line} of `{shown}` cannot be used"))
                    .why(clause)
                    .next(format!("correct line {line} of `{shown}`")));
            }
            Ok(read) => read,
        };
        let slip = strange(&read.instructions);
        let (globals, stages) = staged(read.instructions);
        if stages.is_empty() && !foreign {
            return Err(no_stage(&shown, &text, slip));
        }
        Ok(Self { path, digest, syntax, escape: read.escape, globals, stages, bytes })
    }

    /// The file that was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The digest of its bytes.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its bytes, as they were read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether its first line names the frontend that reads it.
    #[must_use]
    pub fn has_syntax(&self) -> bool {
        self.syntax.is_some()
    }

    /// Its stages in order.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The place of the stage that a target names, or of the last.
    ///
    /// # Errors
    /// There is no such stage.
    pub fn target(&self, target: Option<&str>) -> Result<usize, Failure> {
        let Some(wanted) = target else { return Ok(self.stages.len().saturating_sub(1)) };
        let called = |stage: &Stage| stage.name.as_deref() == Some(&wanted.to_lowercase());
        if let Some(at) = self.stages.iter().rposition(called) {
            return Ok(at);
        }
        let shown = self.path.display();
        let names: Vec<_> = self.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
        let failure = broken(format!("`{shown}` has no stage `{wanted}`"));
        let failure = match names.as_slice() {
            [] => failure.why("none of its stages has a name: `FROM … AS NAME` gives one"),
            names => failure.why(format!("its stages are `{}`", names.join("`, `"))),
        };
        Err(match nearest(wanted, names) {
            Some(name) => failure.next(format!("did you mean `target: {name}`?")),
            None => failure.next("correct `target`, or leave it out for the last stage"),
        })
    }

    /// Every build argument that some `ARG` names.
    #[must_use]
    pub fn args(&self) -> BTreeSet<String> {
        let steps = self.stages.iter().flat_map(|stage| &stage.steps);
        let all = self.globals.iter().chain(steps).filter(|step| step.word == "ARG");
        all.flat_map(|step| lines::words(&step.rest))
            .map(|word| name_of(&word).to_owned())
            .collect()
    }

    /// Every instruction: its line, its word and the words after its flags, without their quotes.
    pub(super) fn said(&self) -> Vec<(usize, &str, Vec<String>)> {
        let steps = self.globals.iter().chain(self.stages.iter().flat_map(|stage| &stage.steps));
        let own = steps.filter(|step| !step.flags.iter().any(|flag| flag.starts_with("--from=")));
        own.map(|step| (step.line, step.word.as_str(), words_of(&step.rest))).collect()
    }

    /// Those of the given arguments that nobody would read. None of a frontend's own syntax is told.
    #[must_use]
    pub fn unread<'a>(&self, given: &'a Args) -> Vec<&'a str> {
        let declared = self.args();
        let own = |name: &str| {
            name.starts_with("BUILDKIT_") || OWN.contains(&name.to_uppercase().as_str())
        };
        let unread = given.keys().filter(|name| !declared.contains(*name) && !own(name));
        unread.filter(|_| self.foreign(given).is_none()).map(String::as_str).collect()
    }
}

/// The first thing to write.
const FIRST: &str = "write its first line: FROM IMAGE";

fn broken(what: String) -> Failure {
    Failure::new(Code::BuildFile, what)
}

/// The builder's words; what they mean is its own affair.
const WORDS: &[&str] = &[
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The line of the first instruction that is none, and whether `FROM` was meant: one that looks like it comes first.
fn strange(instructions: &[Instruction]) -> Option<(usize, bool)> {
    let is_from = |step: &&Instruction| nearest(&step.word, WORDS.iter().copied()) == Some("FROM");
    let unknown = || instructions.iter().filter(|step| !WORDS.contains(&step.word.as_str()));
    let meant = unknown().find(is_from).map(|step| (step.line, true));
    meant.or_else(|| unknown().next().map(|step| (step.line, false)))
}

/// Nothing to begin with: a slip in its name is told rather than that it is not there.
fn no_stage(shown: &str, text: &str, slip: Option<(usize, bool)>) -> Failure {
    let word = |line: usize| {
        let line = text.lines().nth(line - 1).unwrap_or_default();
        let line = line.trim_start_matches('\u{feff}');
        line.split_whitespace().next().unwrap_or_default().to_owned()
    };
    match slip {
        Some((line, true)) => broken(format!("line {line} of `{shown}` cannot be used"))
            .why(format!("{} is no instruction, and there is no `FROM`", quoted(&word(line))))
            .next(format!("did you mean `FROM`? correct line {line} of `{shown}`")),
        Some((line, false)) => {
            // What is no Dockerfile may be a file of secrets: only what looks like an instruction is shown.
            let word = word(line);
            let is_plain = word.len() <= 12 && word.bytes().all(|b| b.is_ascii_alphabetic());
            let word = if is_plain { format!(": {}", quoted(&word)) } else { String::new() };
            broken(format!("`{shown}` has no `FROM`"))
                .why(format!("line {line}{word} is no instruction of a Dockerfile"))
                .next(format!("let `file` name a Dockerfile, or {FIRST}"))
        }
        None => broken(format!("`{shown}` has no `FROM`"))
            .why("a Dockerfile begins with the image that it builds on")
            .next(FIRST),
    }
}

/// Divides instructions into those before the first stage and the stages.
fn staged(instructions: Vec<Instruction>) -> (Vec<Instruction>, Vec<Stage>) {
    let mut globals = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    for step in instructions {
        if step.word == "FROM" {
            let words: Vec<_> = step.rest.split_whitespace().collect();
            let name = match words.as_slice() {
                [_, by, name, ..] if by.eq_ignore_ascii_case("as") => Some(name.to_lowercase()),
                _ => None,
            };
            let platform = step.flags.iter().find_map(|flag| flag.strip_prefix("--platform="));
            stages.push(Stage {
                name,
                base: words.first().copied().unwrap_or_default().to_owned(),
                platform: platform.map(str::to_owned),
                line: step.line,
                steps: Vec::new(),
            });
        } else if let Some(stage) = stages.last_mut() {
            stage.steps.push(step);
        } else if step.word == "ARG" {
            globals.push(step);
        }
    }
    (globals, stages)
}

/// Words as a shell divides them, without their quotes; a JSON list is its strings.
pub(super) fn words_of(text: &str) -> Vec<String> {
    if let Ok(list) = serde_json::from_str(text) {
        return list;
    }
    let bare = |word: String| word.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    lines::words(text).into_iter().map(bare).collect()
}

/// The name in `NAME` or `NAME=value`.
fn name_of(word: &str) -> &str {
    word.split_once('=').map_or(word, |(name, _)| name)
}

/// Tells a Dockerfile that is not there with those that are.
fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    if error.kind() != ErrorKind::NotFound {
        return broken(format!("`{shown}` cannot be read"))
            .why(error.to_string())
            .next(format!("let `file` name a Dockerfile that this user may read, not `{shown}`"));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failure = broken(format!("`{shown}` is not there"));
    let Ok(entries) = fs::read_dir(folder) else {
        return failure
            .why(format!("nor is the folder `{}`", folder.display()))
            .next("correct `file`, or check the repository out before this step");
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut near: Vec<_> = names.filter(|name| is_near(name)).collect();
    near.sort();
    near.truncate(5);
    let wanted = path.file_name().unwrap_or_default().to_string_lossy();
    let guess = nearest(&wanted, near.iter().map(String::as_str)).or(match near.as_slice() {
        [only] => Some(only.as_str()),
        _ => None,
    });
    let failure = match near.is_empty() {
        true => failure.why(format!("`{}` has no file that looks like one", folder.display())),
        false => failure.why(format!("`{}` has `{}`", folder.display(), near.join("`, `"))),
    };
    match guess {
        Some(name) => {
            failure.next(format!("did you mean `file: {}`?", folder.join(name).display()))
        }
        None => failure.next("name it in `file`, or name an image that exists in `image`"),
    }
}

fn is_near(name: &str) -> bool {
    let name = name.to_lowercase();
    (name.contains("dockerfile") || name.contains("containerfile"))
        && !name.ends_with(".dockerignore")
}
