//! What builders of both kinds are quoted with when a build fails: the Dockerfile as its user knows it, where a step
//! stands in it, and what the step wrote last.

use std::path::Path;

use super::order::Order;
use crate::error::{Code, Failure, one_line, quoted};
use crate::recipe::{Absence, absence};

/// How many of a step's last lines are told.
const LAST: usize = 5;

/// Lines of a Dockerfile, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    /// What stands there, on one line.
    pub(super) text: String,
}

/// The Dockerfile as its user knows it.
pub(super) fn shown(order: &Order) -> String {
    named(order, &order.file)
}

/// A file as its user knows it, who knows the context.
fn named(order: &Order, file: &Path) -> String {
    let shown = file.strip_prefix(&order.context).unwrap_or(file);
    let shown = shown.strip_prefix(".").unwrap_or(shown);
    format!("`{}`", shown.display())
}

/// Adds where it stands, if that is known.
pub(super) fn placed(failure: Failure, order: &Order, place: Option<&Place>) -> Failure {
    match place {
        Some(Place { line, text }) => {
            failure.why(format!("{} line {line}: {}", shown(order), quoted(text)))
        }
        None => failure,
    }
}

/// What to correct, in a sentence.
pub(super) fn this_line(order: &Order, place: Option<&Place>) -> String {
    match place {
        Some(place) => format!("line {} of {}", place.line, shown(order)),
        None => shown(order),
    }
}

/// Adds what a step wrote last.
pub(super) fn last_lines<'a>(
    failure: Failure,
    written: impl IntoIterator<Item = &'a String>,
) -> Failure {
    let written: Vec<_> = written.into_iter().filter(|line| !line.trim().is_empty()).collect();
    match &written[written.len().saturating_sub(LAST)..] {
        [] => failure.why("it wrote nothing"),
        [line] => failure.why(format!("its last line: {}", quoted(line))),
        lines => {
            let failure = failure.why(format!("its last {} lines:", lines.len()));
            lines.iter().fold(failure, |failure, line| failure.why(quoted(line)))
        }
    }
}

/// What a step is told with that found no room, or the engine before it.
pub(super) const MAKE_ROOM: &str =
    "make room where the engine keeps its images: docker system prune";

/// What a step is told with that was killed.
pub(super) const KILLED: &str =
    "code 137 is a process that was killed: if its memory ran out, use a larger runner";

/// What is done where there is no BuildKit.
pub(super) const USE_BUILDKIT: &str =
    "use a Docker Engine with BuildKit: every one since 18.09 has it";

/// The engine has no room for what it builds.
pub(super) fn full(words: &str) -> Failure {
    Failure::new(Code::BuildEngine, "the engine's disk is full")
        .why(format!("the builder: {}", quoted(words)))
        .next(MAKE_ROOM)
}

/// What is copied is not in the context: why, as it can be seen there.
pub(super) fn no_file(
    order: &Order,
    step: &str,
    instruction: &str,
    file: &str,
    place: Option<&Place>,
) -> Failure {
    let (path, absence) = absence(&order.context, &order.file, instruction, file);
    let path = path.trim_start_matches('/');
    let what = match &absence {
        Absence::Outside => format!("{step} copies `{path}`, which is outside of the context"),
        _ => format!("{step} finds no `{path}` in the context"),
    };
    let (why, next) = cause(order, path, absence);
    placed(Failure::new(Code::BuildContext, what), order, place).why(why).next(next)
}

/// Why it is not in what was sent, and what to do.
fn cause(order: &Order, path: &str, absence: Absence) -> (String, String) {
    let context = format!("the context is `{}`", order.context.display());
    match absence {
        Absence::Outside => (
            format!("{context}, and nothing above it is sent"),
            format!(
                "move it into the context, or give a `context` that holds it and correct the paths in {}",
                shown(order)
            ),
        ),
        Absence::Excluded { path: left_out, file, line, pattern } => {
            let file = named(order, &file);
            let it = if left_out == path { "it".into() } else { format!("`{left_out}`") };
            let next = format!("take line {line} out of {file}, or add `!{left_out}` at its end");
            (format!("{file} line {line} leaves {it} out: {}", quoted(&pattern)), next)
        }
        Absence::Dangling { link, to, is_outside } => {
            let end = if is_outside { "outside of the context" } else { "not there" };
            let why = format!("`{link}` is a symbolic link to {}, which is {end}", quoted(&to));
            let next = match is_outside {
                true => format!("put the file itself there in place of the link `{link}`"),
                false => format!("correct the link `{link}`, or make what it leads to first"),
            };
            (why, next)
        }
        Absence::Missing { folder, name, is_last, near } => {
            let next = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "correct the path, which begins at the context, or make `{path}` before the build"
                ),
            };
            (format!("{context}, {}", lacks(&folder, &name, is_last)), next)
        }
        Absence::Special => (
            "it is a socket or a device, which no builder is sent".into(),
            "leave it out: a container is given such a thing where it runs".into(),
        ),
        Absence::There => (
            format!("{context}, where it is now: it was not when the context was sent"),
            "let nothing else write in the build context meanwhile, and run it again".into(),
        ),
    }
}

/// What a folder of the context does not have; an empty one is the context.
fn lacks(folder: &str, name: &str, is_last: bool) -> String {
    match (folder, is_last) {
        ("", true) => "which has no such file".into(),
        ("", false) => format!("which has no folder `{name}`"),
        (folder, true) => format!("where `{folder}` has no `{name}`"),
        (folder, false) => format!("where `{folder}` has no folder `{name}`"),
    }
}

/// Quotes the end of words that are a chain, the cause last: `initializing source: Get: connection refused`.
pub(super) fn end_of(words: &str) -> String {
    const MOST: usize = 180;
    // `403 Forbidden` alone does not say of what.
    const LEAST: usize = 60;
    let words = one_line(words, usize::MAX);
    let length = |at: usize| words[at..].chars().count();
    let first = |mark: &str| {
        let starts = words.match_indices(mark).map(|(at, _)| at + mark.len());
        starts.into_iter().find(|at| length(*at) <= MOST)
    };
    if length(0) <= MOST {
        return quoted(&words);
    }
    match first(": ").filter(|at| length(*at) >= LEAST).or_else(|| first(" ")) {
        Some(at) => quoted(&format!("...{}", &words[at..])),
        None => quoted(&words),
    }
}

/// What stands between two marks, the first of each.
pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = text.split_once(before)?.1;
    Some(rest.split_once(after)?.0)
}
