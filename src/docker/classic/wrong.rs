//! Makes a cause of how a build by the older builder ended, in the words of one by BuildKit.

use std::collections::VecDeque;

use super::super::buildkit::detail;
use super::super::buildkit::wrong::base;
use super::super::engine::PODMAN;
use super::super::order::Order;
use super::super::stages;
use super::super::told::{
    self, MAKE_ROOM, Place, USE_BUILDKIT, between, last_lines, placed, shown, this_line,
};
use crate::error::{Code, Failure, one_line, quoted};

/// What is known when a build has failed.
pub(super) struct Ended<'a> {
    pub(super) order: &'a Order,
    /// `Docker Engine 20.10.24`.
    pub(super) product: &'a str,
    /// `2/3` and its text, if it came to a step.
    pub(super) step: Option<(String, String)>,
    /// The last lines that the step wrote.
    pub(super) last: &'a VecDeque<String>,
}

impl Ended<'_> {
    /// Why, by the engine's last words.
    pub(super) fn failure(&self, words: &str) -> Failure {
        let said = format!("{} said: {}", self.product, told::end_of(words));
        let low = words.to_ascii_lowercase();
        let has = |part: &str| low.contains(part);
        let file = shown(self.order);
        // Words that end a command quote it: they say nothing else.
        if let (Some(_), Some((at, text))) = (exit_code(words), &self.step) {
            return self.of_step(&format!("step {at} of {file}"), text, words, said);
        }
        if has("buildkit") {
            return Failure::new(Code::BuildFeature, "this Dockerfile needs BuildKit")
                .why(said)
                .next(USE_BUILDKIT);
        }
        if has("platform") && has("match") {
            return Failure::new(Code::BuildPlatform, "the base is of another platform")
                .why(said)
                .next("name a base image that has this platform, and build with `pull`");
        }
        if has("no space left on device") {
            return told::full(words);
        }
        match &self.step {
            None => Failure::new(Code::BuildFile, format!("{file} cannot be used"))
                .why(said)
                .next(format!("correct {file}")),
            Some((_, text)) if is_from(text) && self.is_of_base(text, words) => {
                self.of_base(text, words)
            }
            Some((_, text)) if is_from(text) => {
                let failure = Failure::new(Code::BuildFile, format!("{file} cannot be used"));
                failure.why(said).next(format!("correct {file}"))
            }
            Some((at, text)) => self.of_flag(text, words).unwrap_or_else(|| {
                self.of_step(&format!("step {at} of {file}"), text, words, said)
            }),
        }
    }

    fn place(&self, text: &str) -> Option<Place> {
        let dockerfile = std::fs::read_to_string(&self.order.file).ok()?;
        detail::find(&dockerfile, text)
    }

    /// Podman reads all of a stage before its first step ends: what it says then need not be of the base.
    fn is_of_base(&self, text: &str, words: &str) -> bool {
        let is_scratch = base_of(text).is_some_and(|image| image.eq_ignore_ascii_case("scratch"));
        !is_scratch
            && (!self.product.starts_with(PODMAN) || words.starts_with("creating build container"))
    }

    fn of_base(&self, text: &str, words: &str) -> Failure {
        let said = format!("{} said: {}", self.product, told::end_of(words));
        let image = one_line(base_of(text).unwrap_or_default(), 120);
        base::not_had(self.order, &image, words, self.place(text).as_ref(), said)
    }

    /// What `--from=` of a copy names is no stage, and no image that can be had: `invalid from flag value NAME: …`.
    fn of_flag(&self, text: &str, words: &str) -> Option<Failure> {
        let (name, reason) = words.strip_prefix("invalid from flag value ")?.split_once(": ")?;
        if reason == "index out of bounds" {
            return Some(stages::no_index(self.order, name));
        }
        let said = format!("{} said: {}", self.product, told::end_of(reason));
        let place = self.place(text);
        Some(base::not_had(self.order, &one_line(name, 120), reason, place.as_ref(), said))
    }

    fn of_step(&self, name: &str, text: &str, words: &str, said: String) -> Failure {
        let place = self.place(text);
        let place = place.as_ref();
        if let Some(file) = missing_file(words, text).filter(|_| !text.contains("--from=")) {
            return told::no_file(self.order, name, text, file, place);
        }
        let code = exit_code(words);
        let program = between(words, "exec: \"", "\"").filter(|_| is_missing(words));
        let full = |line: &String| line.to_ascii_lowercase().contains("no space left on device");
        let full = self.last.iter().any(full);
        let (kind, what) = match (&code, program) {
            _ if full => (Code::BuildEngine, format!("{name} found the engine's disk full")),
            (_, Some(program)) => (
                Code::BuildStep,
                format!("{name} cannot start `{program}`: it is not in its image"),
            ),
            (Some(code), None) => (Code::BuildStep, format!("{name} exits with code {code}")),
            (None, None) => (Code::BuildStep, format!("{name} failed")),
        };
        let failure = Failure::new(kind, what);
        let failure = match place {
            Some(_) => placed(failure, self.order, place),
            None => failure.why(quoted(text)),
        };
        let failure = match (&code, full) {
            (None, false) => failure.why(said),
            _ if self.last.is_empty() => last_lines(failure, self.last).why(said),
            _ => last_lines(failure, self.last),
        };
        failure.next(match (code.as_deref(), full) {
            (_, true) => MAKE_ROOM.to_owned(),
            (Some("137"), _) => told::KILLED.to_owned(),
            _ => format!("correct {}, or what it runs", this_line(self.order, place)),
        })
    }
}

fn is_from(text: &str) -> bool {
    text.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from "))
}

/// The image that a `FROM` names.
fn base_of(text: &str) -> Option<&str> {
    text.split_whitespace().skip(1).find(|word| !word.starts_with("--"))
}

/// `returned a non-zero code: 2`, or as Podman says it, `while running runtime: exit status 2`.
fn exit_code(words: &str) -> Option<String> {
    let marks = ["returned a non-zero code: ", "while running runtime: exit status "];
    let rest = marks.iter().find_map(|mark| Some(words.rsplit_once(mark)?.1))?;
    let code: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!code.is_empty()).then_some(code)
}

/// `COPY failed: file not found in build context or excluded by .dockerignore: stat no.txt: file does not exist`,
/// or `COPY failed: forbidden path outside the build context: ../x ()`. A pattern that matches nothing is not named.
fn missing_file<'a>(words: &'a str, text: &'a str) -> Option<&'a str> {
    if words.starts_with("building at STEP ") {
        return missing_for_podman(words);
    }
    if !words.starts_with("COPY failed: ") && !words.starts_with("ADD failed: ") {
        return None;
    }
    if words.ends_with("no source files were specified") {
        return text.split_whitespace().skip(1).find(|word| word.contains(['*', '?', '[']));
    }
    between(words, "stat ", ": ").or_else(|| between(words, "outside the build context: ", " "))
}

/// `building at STEP "COPY no.txt /": checking on sources under "/tmp/…/build": copier: stat: "/no.txt": no such file
/// or directory`; of a link that leads to nothing `reading "/tmp/…/build/link": error during bulk transfer for …`.
fn missing_for_podman(words: &str) -> Option<&str> {
    if words.contains("error during bulk transfer") && words.contains("no such file or directory") {
        return between(words, "/build/", "\"");
    }
    let rest = words.split_once(": copier: stat: ").or(words.split_once("; copier: stat: "))?.1;
    between(rest, "\"", "\"")
}

fn is_missing(words: &str) -> bool {
    words.contains("no such file or directory") || words.contains("executable file not found")
}
