//! What builders of both kinds are quoted with when a build fails: the Dockerfile as its user knows it, where a step
//! stands in it, and what the step wrote last.

use super::order::Order;
use crate::error::{Code, Failure, one_line, quoted};

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
    let shown = order.file.strip_prefix(&order.context).unwrap_or(&order.file);
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

/// What is copied is not in the context.
pub(super) fn no_file(order: &Order, step: &str, file: &str, place: Option<&Place>) -> Failure {
    let what = format!("{step} finds no `{}` in the context", file.trim_start_matches('/'));
    placed(Failure::new(Code::BuildContext, what), order, place)
        .why(format!(
            "the context is `{}`, without what `.dockerignore` names",
            order.context.display()
        ))
        .next(
            "correct the path, which begins at the context; if `.dockerignore` excludes it, add a line \
             with `!` before it",
        )
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
