//! Secrets that would leave with a build: in the files that are sent, the Dockerfile, the image.
//!
//! Says where and of what kind, and never what: no value is kept, printed or compared. `content`
//! knows secrets by their look, `names` by their file, `named` by their name.

mod content;
mod named;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZero;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use self::content::Scanner;
use self::named::{is_real, is_secret_name, pairs};
use self::names::Named;
use super::dockerfile::{Args, Dockerfile};
use super::pick::Pick;
use super::tree::{Kind, Tree};
use crate::error::{Code, Failure};

/// A secret that would leave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// Where it is: a path from the context, the Dockerfile, or a part of the image.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// Of what kind it is: "a private key".
    pub what: String,
}

impl Leak {
    fn new(file: impl Into<String>, line: Option<usize>, what: impl Into<String>) -> Self {
        Self { file: file.into(), line, what: what.into() }
    }
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "`{}` line {line}: {}", self.file, self.what),
            None if PLACES.contains(&self.file.as_str()) => {
                write!(f, "{}: {}", self.file, self.what)
            }
            None => write!(f, "`{}`: {}", self.file, self.what),
        }
    }
}

const ENVIRONMENT: &str = "the image's environment";
const HISTORY: &str = "the image's history";
const LABELS: &str = "the image's labels";
const ARGUMENTS: &str = "`build-args`";
const PLACES: [&str; 4] = [ENVIRONMENT, HISTORY, LABELS, ARGUMENTS];

/// Larger files are no notes, and no keys.
const LARGEST: u64 = 1024 * 1024;

/// As many are told in a message.
const TOLD: usize = 20;

/// Every secret in the files that would be sent, and in the Dockerfile, in the order of files.
///
/// # Errors
/// The context cannot be listed. A file that cannot be opened is told when it is sent.
pub fn leaks(tree: &Tree, pick: &Pick, dockerfile: &Dockerfile) -> Result<Vec<Leak>, Failure> {
    let own = dockerfile.path().canonicalize().ok();
    let mut files = Vec::new();
    let mut found = Vec::new();
    let mut repositories = BTreeSet::new();
    tree.walk(pick, &mut |entry| {
        if entry.kind != Kind::File || entry.size == 0 {
            return true;
        }
        if let Some(folder) = names::repository(&entry.path) {
            repositories.insert(folder.to_owned());
        }
        let inside = entry.path.starts_with(".git/") || entry.path.contains("/.git/");
        if let Named::Whole(what) = names::named(&entry.path) {
            found.push(Leak::new(entry.path, None, what));
        } else if entry.size <= LARGEST
            && !inside
            && !names::is_no_text(&entry.path)
            && !names::is_of_others(&entry.path)
        {
            files.push((entry.path, entry.size));
        }
        true
    })?;
    let history = "the history of the repository, and what a checkout leaves in its `config`";
    found.extend(repositories.into_iter().map(|folder| Leak::new(folder, None, history)));
    if let Some(own) = own {
        let name = own.file_name();
        files.retain(|(path, _)| {
            let same = path.rsplit('/').next().map(AsRef::as_ref) == name;
            !same || tree.path(path).canonicalize().ok().as_ref() != Some(&own)
        });
    }
    found.extend(in_files(tree, &files));
    found.extend(in_dockerfile(dockerfile, &found));
    found.sort();
    Ok(found)
}

/// The failure of a build that must not send any.
#[must_use]
pub fn refusal(leaks: &[Leak]) -> Failure {
    let what = match leaks.len() {
        1 => "a secret would leave with the build".to_owned(),
        many => format!("{many} secrets would leave with the build"),
    };
    let mut failure = Failure::new(Code::BuildSecret, what);
    failure.why.extend(leaks.iter().take(TOLD).map(ToString::to_string));
    if let Some(more) = leaks.len().checked_sub(TOLD).filter(|more| *more > 0) {
        failure = failure.why(format!("and {more} more"));
    }
    let are_args = |leak: &Leak| leak.file == ARGUMENTS;
    match (leaks.iter().all(are_args), leaks.iter().any(are_args)) {
        (true, true) => failure.next(NEXT_OF_ARGS),
        (_, false) => failure.next(NEXT),
        (false, true) => failure.next(NEXT).next(NEXT_OF_ARGS),
    }
}

const NEXT: &str =
    "add what is not needed to .dockerignore; hand a secret that is over in `build-secrets`";

const NEXT_OF_ARGS: &str =
    "give it by `build-secrets`, and mount it in the step: an image may keep its arguments";

/// Reads the files on as many threads as there are processors.
fn in_files(tree: &Tree, files: &[(String, u64)]) -> Vec<Leak> {
    let found = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let work = || {
        let scanner = Scanner::new();
        let mut bytes = Vec::new();
        while let Some((path, size)) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What cannot be read here is told when it is sent, by its name.
            if read(&tree.path(path), *size, &mut bytes).is_err() {
                continue;
            }
            let leaks = in_text(path, &bytes, &scanner);
            if let (false, Ok(mut found)) = (leaks.is_empty(), found.lock()) {
                found.extend(leaks);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(8);
    thread::scope(|scope| {
        for _ in 1..threads.min(files.len()) {
            scope.spawn(work);
        }
        work();
    });
    found.into_inner().unwrap_or_default()
}

/// Reads as much of a file as it had when it was listed, which for most is one call.
fn read(path: &Path, size: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(usize::try_from(size.min(LARGEST)).unwrap_or_default(), 0);
    let mut file = File::open(path)?;
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..])? {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    Ok(())
}

/// What is in one file, by its name and by its look.
fn in_text(path: &str, bytes: &[u8], scanner: &Scanner) -> Vec<Leak> {
    if bytes.iter().take(8000).any(|byte| *byte == 0) {
        return Vec::new();
    }
    let seen = scanner.scan(bytes).into_iter();
    let mut leaks: Vec<_> = seen.map(|(line, what)| Leak::new(path, Some(line), what)).collect();
    if let Named::Holding(holds, what) = names::named(path) {
        let text = String::from_utf8_lossy(bytes);
        let line = text.lines().position(holds).map(|at| at + 1);
        leaks.extend(line.map(|line| Leak::new(path, Some(line), what)));
    }
    leaks
}

/// What the Dockerfile itself says, and which of the secrets it copies into the image.
fn in_dockerfile(dockerfile: &Dockerfile, found: &[Leak]) -> Vec<Leak> {
    let path = dockerfile.path().file_name().unwrap_or_default().to_string_lossy();
    let scanner = Scanner::new();
    let seen = scanner.scan(dockerfile.bytes()).into_iter();
    let mut leaks: Vec<_> = seen.map(|(line, what)| Leak::new(&*path, Some(line), what)).collect();
    for (line, word, words) in dockerfile.said() {
        match word {
            "ENV" | "ARG" => {
                let words: Vec<_> = if word == "ENV" { words } else { with_values(words) };
                for (name, _) in
                    pairs(&words).into_iter().filter(|(n, v)| is_secret_name(n) && is_real(v))
                {
                    let kept = if word == "ENV" { "configuration" } else { "history" };
                    let what =
                        format!("`{word} {name}` has a value, which the image's {kept} keeps");
                    leaks.push(Leak::new(&*path, Some(line), what));
                }
            }
            "COPY" | "ADD" => {
                let sources = words.split_last().map_or(&[][..], |(_, sources)| sources);
                for source in sources.iter().map(|source| super::ignore::clean(source)) {
                    let source = source.trim_start_matches('/');
                    if found.iter().any(|leak| leak.file == source) {
                        let what = format!("`{word}` puts `{source}` into the image");
                        leaks.push(Leak::new(&*path, Some(line), what));
                    }
                }
            }
            _ => {}
        }
    }
    leaks
}

fn with_values(words: Vec<String>) -> Vec<String> {
    words.into_iter().filter(|word| word.contains('=')).collect()
}

/// The same of a build's arguments: what a step does with one, and what it was called with, may be kept.
#[must_use]
pub fn leaks_in_args(args: &Args) -> Vec<Leak> {
    let scanner = Scanner::new();
    let told = args.iter().filter_map(|(name, value)| in_pair(ARGUMENTS, name, value, &scanner));
    told.collect()
}

/// Whether an argument is one of them: then no log may show it.
#[must_use]
pub fn is_secret(name: &str, value: &str) -> bool {
    in_pair(ARGUMENTS, name, value, &Scanner::new()).is_some()
}

fn in_pair(place: &str, name: &str, value: &str, scanner: &Scanner) -> Option<Leak> {
    let look = scanner.scan(format!("{name}={value}").as_bytes());
    let what = match look.first() {
        Some((_, what)) => format!("{what}, in `{name}`"),
        None if is_secret_name(name) && is_real(value) => format!("`{name}` has a value"),
        None => return None,
    };
    Some(Leak::new(place, None, what))
}

/// The same of an image's configuration: what its environment, its history and its labels say.
#[must_use]
pub fn leaks_in_config(
    env: &[String],
    history: &[String],
    labels: &BTreeMap<String, String>,
) -> Vec<Leak> {
    let scanner = Scanner::new();
    let told = |place: &str, name: &str, value: &str| in_pair(place, name, value, &scanner);
    let pairs = env.iter().filter_map(|pair| pair.split_once('='));
    let mut leaks: Vec<_> =
        pairs.filter_map(|(name, value)| told(ENVIRONMENT, name, value)).collect();
    leaks.extend(labels.iter().filter_map(|(name, value)| told(LABELS, name, value)));
    for step in history {
        let words = super::dockerfile::words_of(step);
        let pairs = words.iter().filter_map(|word| word.split_once('='));
        let named: Vec<_> = pairs.filter_map(|(name, value)| told(HISTORY, name, value)).collect();
        if named.is_empty() {
            let look = scanner.scan(step.as_bytes());
            leaks.extend(look.into_iter().map(|(_, what)| Leak::new(HISTORY, None, what)));
        }
        leaks.extend(named);
    }
    leaks.sort();
    leaks.dedup();
    leaks
}
