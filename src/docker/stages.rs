//! Where the Dockerfile of an order names a stage or an image, and what is told of a name that is neither.

use super::order::Order;
use super::told::{Place, placed, shown};
use crate::error::{Code, Failure};
use crate::names::nearest;
use crate::recipe::{By, Dockerfile, Naming, written};

/// The word by which the Dockerfile names an image that builders call by its whole name.
pub(super) fn naming(order: &Order, image: &str) -> Option<Naming> {
    let namings = Dockerfile::read(&order.file).ok()?.namings();
    namings.into_iter().find(|naming| short(&naming.word) == short(image))
}

/// `alpine` of `docker.io/library/alpine:latest`.
pub(super) fn short(image: &str) -> &str {
    let short = image.strip_prefix("docker.io/").unwrap_or(image);
    let short = short.strip_prefix("library/").unwrap_or(short);
    short.strip_suffix(":latest").unwrap_or(short)
}

/// What somebody corrects who named it.
pub(super) fn place(by: By) -> &'static str {
    match by {
        By::From => "FROM",
        By::Flag => "`--from`",
        By::Mount => "`from` of the mount",
    }
}

/// The line of a word that names something.
pub(super) fn line(order: &Order, naming: &Naming) -> Option<Place> {
    let dockerfile = std::fs::read_to_string(&order.file).ok()?;
    let found = written(&dockerfile).into_iter().find(|one| one.line == naming.line)?;
    Some(Place { line: found.line, text: found.text })
}

/// What is told of a word that may have been meant for a stage.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slip {
    /// There is one of nearly that name; how to name it.
    Near(String),
    /// There are these.
    Others(Vec<String>),
}

/// Whether a word looks like the name of a stage, where there are some.
pub(super) fn slip(naming: &Naming) -> Option<Slip> {
    let word = naming.word.as_str();
    let is_plain = word.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let names: Vec<String> = naming.stages.iter().flatten().cloned().collect();
    if !is_plain || names.is_empty() {
        return None;
    }
    match (nearest(word, names.iter().map(String::as_str)), naming.by) {
        (Some(near), By::From) => Some(Slip::Near(format!("FROM {near}"))),
        (Some(near), By::Flag) => Some(Slip::Near(format!("--from={near}"))),
        (Some(near), By::Mount) => Some(Slip::Near(format!("from={near}"))),
        // Most of what a stage begins with is an image.
        (None, By::From) => None,
        (None, By::Flag | By::Mount) => Some(Slip::Others(names)),
    }
}

/// A stage is named by a number that none has.
pub(super) fn no_index(order: &Order, index: &str) -> Failure {
    let namings = Dockerfile::read(&order.file).map(|read| read.namings()).unwrap_or_default();
    let naming = namings.into_iter().find(|one| one.by != By::From && one.word == index);
    let at = naming.as_ref().map(|naming| format!(" line {}", naming.line)).unwrap_or_default();
    let what = format!("{}{at} copies from stage {index}, and there is none", shown(order));
    let failure = Failure::new(Code::BuildFile, what);
    let Some(naming) = naming else { return failure.next(format!("correct {}", shown(order))) };
    let failure = placed(failure, order, line(order, &naming).as_ref());
    let called = |(at, name): (usize, &Option<String>)| match name {
        Some(name) => format!("{at} is `{name}`"),
        None => format!("{at} has no name"),
    };
    let before: Vec<_> = naming.stages.iter().enumerate().map(called).collect();
    let failure = match before.is_empty() {
        true => failure.why("no stage is before it"),
        false => failure.why(format!("the stages before it: {}", before.join(", "))),
    };
    failure.next(format!("correct {}: stages are counted from 0", place(naming.by)))
}
