//! Makes a cause of how a build ended: which step of the Dockerfile, what it said, and what to do.
//!
//! Pure, over the builder's status, the progress so far and the order. Builders differ in their words by
//! their age; what is not recognized is quoted as it is.

pub(in crate::docker) mod base;
mod cache;
mod step;

use std::error::Error as _;
use std::io;

use tonic::{Code as Grpc, Status};

use super::super::stages;
use super::super::told::{Place, end_of, full, placed, shown, this_line};
use super::super::{Order, Place as Engine};
use super::detail::{self, Details};
use super::progress::{Progress, Step};
use crate::error::{Code, Failure, quoted};

/// What is known when a build has failed.
pub(super) struct Ended<'a> {
    pub(super) order: &'a Order,
    pub(super) progress: &'a Progress,
    /// Secrets that were asked for and not given.
    pub(super) missing: &'a [String],
}

/// The status, taken apart.
struct Said<'a> {
    words: String,
    step: Option<&'a Step>,
    place: Option<Place>,
}

impl Ended<'_> {
    /// Why it failed.
    pub(super) fn failure(&self, status: &Status) -> Failure {
        if status.source().is_some() || matches!(status.code(), Grpc::Unavailable) {
            return lost(status);
        }
        let said = self.said(status);
        // Words that end a command quote it: they say nothing else.
        if let Some((step, code)) = said.step.zip(exit_code(&said.words)) {
            return self.exited(&said, step, &code);
        }
        if said.words.contains("no space left on device") {
            return full(&said.words);
        }
        if super::progress::is_cancelled(&said.words) {
            return lost(status);
        }
        self.of_cache(&said)
            .or_else(|| self.of_step(&said))
            .or_else(|| self.of_base(&said))
            .or_else(|| self.of_file(&said))
            .unwrap_or_else(|| self.of_other(&said))
    }

    fn said(&self, status: &Status) -> Said<'_> {
        let details = Details::read(status.details());
        let named = details.step.as_deref().and_then(|digest| self.progress.step(digest));
        let step = named.or_else(|| self.progress.failed());
        let words = self.progress.masked(plain(status.message()).to_owned());
        let place = details.place.or_else(|| self.look_up(&words, step));
        let place = place.map(|place| Place { text: self.progress.masked(place.text), ..place });
        Said { words, step, place }
    }

    /// The place in the Dockerfile for a builder that does not tell it.
    fn look_up(&self, words: &str, step: Option<&Step>) -> Option<Place> {
        let dockerfile = std::fs::read_to_string(&self.order.file).ok()?;
        if let Some((_, rest)) =
            words.split_once("parse error line ").or(words.split_once("on line "))
        {
            let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            return detail::line(&dockerfile, number.parse().ok()?);
        }
        let instruction = step?.name.split_once("] ")?.1;
        match instruction.strip_prefix("load metadata for ") {
            Some(image) => detail::find_from(&dockerfile, image),
            None => detail::find(&dockerfile, instruction),
        }
    }

    fn file(&self) -> String {
        shown(self.order)
    }

    /// The Dockerfile itself.
    fn of_file(&self, said: &Said<'_>) -> Option<Failure> {
        let (words, file) = (&said.words, self.file());
        let fault = |what: String| Failure::new(Code::BuildFile, what);
        if words.contains("failed to read dockerfile") {
            return Some(missing_file(self.order));
        }
        if words.contains("Dockerfile cannot be empty") {
            return Some(
                fault(format!("{file} is empty")).next("write what the image is made of into it"),
            );
        }
        if let Some((_, index)) = words.split_once("invalid stage index ") {
            return Some(stages::no_index(self.order, index.trim()));
        }
        if words.contains("target stage") {
            let target = self.order.target.as_deref().unwrap_or_default();
            return Some(
                fault(format!("{file} has no stage `{target}`"))
                    .why(format!("the builder: {}", quoted(words)))
                    .next(format!("correct `target`, or name a stage so: FROM ... AS {target}")),
            );
        }
        let parse = words.split_once("parse error").map(|(_, rest)| rest.split_once(": "));
        let reason = match parse {
            Some(rest) => rest.map_or(words.as_str(), |(_, reason)| reason),
            None if said.step.is_none() => words,
            None => return None,
        };
        let at = said.place.as_ref().map(|place| format!(" line {}", place.line));
        let what = format!("{file}{} cannot be used", at.unwrap_or_default());
        Some(
            self.with_line(fault(what), said)
                .why(format!("the builder: {}", quoted(reason)))
                .next(format!("correct {}", self.this_line(said))),
        )
    }

    /// Adds where it stands, if that is known.
    fn with_line(&self, failure: Failure, said: &Said<'_>) -> Failure {
        placed(failure, self.order, said.place.as_ref())
    }

    /// What to correct, in a sentence.
    fn this_line(&self, said: &Said<'_>) -> String {
        this_line(self.order, said.place.as_ref())
    }

    /// A failure of no known kind: the builder's words and what they are about.
    fn of_other(&self, said: &Said<'_>) -> Failure {
        let about = said.step.map_or_else(
            || Failure::new(Code::BuildEngine, "the builder gave up"),
            |step| Failure::new(Code::BuildStep, format!("{} failed", self.step_name(step))),
        );
        self.with_line(about, said)
            .why(format!("the builder: {}", end_of(&said.words)))
            .next("act on the builder's words; the lines before them are in the log of this step")
    }
}

/// `process "/bin/sh -c make" did not complete successfully: exit code: 2`, or as version 20.10 says it,
/// `executor failed running [/bin/sh -c make]: exit code: 2`.
fn exit_code(words: &str) -> Option<String> {
    let is_command = ["process \"", "executor failed running ["];
    let (before, rest) = words.rsplit_once("exit code: ")?;
    let code: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let is_command = is_command.iter().any(|begin| before.contains(begin));
    (is_command && !code.is_empty()).then_some(code)
}

/// Without what builders put before their words, one around the other.
fn plain(words: &str) -> &str {
    const BEFORE: &[&str] = &[
        "failed to solve with frontend dockerfile.v0: ",
        "failed to create LLB definition: ",
        "failed to solve: ",
        "rpc error: code = Unknown desc = ",
        "dockerfile.v0: ",
    ];
    let mut words = words;
    while let Some(rest) = BEFORE.iter().find_map(|before| words.strip_prefix(before)) {
        words = rest;
    }
    words
}

/// There is no such file.
pub(super) fn missing_file(order: &Order) -> Failure {
    Failure::new(Code::BuildFile, format!("{} is not there", shown(order)))
        .why(format!("the context is `{}`", order.context.display()))
        .next("write it, or say where it is: `file: PATH`")
}

/// The engine went away, or ended the build by itself.
fn lost(status: &Status) -> Failure {
    let words = status.source().map_or_else(|| status.message().to_owned(), deepest);
    Failure::new(Code::BuildEngine, "the engine ended the build before it was done")
        .why(format!("the last that was heard: {}", quoted(&words)))
        .next("look why the engine stopped: journalctl -u docker; then run this again")
}

/// The innermost cause, which says most.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// The engine gives no connection to its builder.
pub(super) fn unreached(engine: &Engine, error: &io::Error) -> Failure {
    let place = match engine {
        Engine::Unix(path) => format!("unix://{}", path.display()),
        Engine::Tcp { host, port, .. } => format!("tcp://{host}:{port}"),
    };
    Failure::new(
        Code::BuildEngine,
        format!("the engine at {place} gives no connection to BuildKit"),
    )
    .why(quoted(&error.to_string()))
    .next("docker version   shows whether it runs; BuildKit is in engines from 18.09 on")
}
