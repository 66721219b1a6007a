//! The report: one stream of events feeds the log, the terminal, JSON, annotations, the summary
//! and the outputs. It never changes a run's result: what cannot be written is said and left, and
//! of data that could not be written it knows why.
//! All text leaves through `github::door`; output goes to the writers that were given.

mod ci;
mod clean;
mod event;
pub mod figures;
mod json;
pub mod outputs;
mod summary;
mod terminal;
mod text;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use self::summary::Summary;
use self::terminal::Terminal;
use self::text::{Piece, Text};
use crate::error::{Failure, Severity, Told};
use crate::github::door::{Door, Runner, own_line};
use crate::github::foreign;

pub use event::{Check, Deployed, Event, Outcome, ServiceOutcome, Source, Started, Step};

/// A rollout without a change is said again after this long.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// How the talk looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A line per change: CI logs, pipes and files.
    Lines,
    /// Live lines that are redrawn, for people at a terminal.
    Terminal {
        /// The width; live lines are cut to it, and to 100.
        columns: usize,
        /// A terminal without `NO_COLOR`.
        colour: bool,
    },
}

/// What a reporter needs to know about where it speaks.
pub struct Settings {
    /// How the talk looks. On a runner it is always lines.
    pub look: Look,
    /// Standard output is a terminal without `NO_COLOR`.
    pub colour_data: bool,
    /// `--json`: events to standard output, one a line, and nothing else there.
    pub json: bool,
    /// Where the runner wants things, or that there is none.
    pub runner: Runner,
    /// The time of an event.
    pub clock: fn() -> Timestamp,
}

/// The one mouth of a run. Shared by reference between services that roll out side by side.
pub struct Reporter {
    views: Mutex<Views>,
}

struct Views {
    door: Door,
    stdout: Box<dyn Write + Send>,
    /// What kept data from standard output: nothing more goes there, since a line would be missing.
    lost: Option<io::Error>,
    json: bool,
    colour_data: bool,
    clock: fn() -> Timestamp,
    terminal: Option<Terminal>,
    text: Text,
    summary: Summary,
    /// By service, and by its step: what was said last about how it goes, and when.
    stood: BTreeMap<String, (Duration, String)>,
}

impl Reporter {
    /// A reporter for these writers: data to the first, talk to the second. In the action both
    /// should be the same stream, since the runner reads the two without an order between them.
    #[must_use]
    pub fn new(
        settings: Settings,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    ) -> Self {
        let terminal = match settings.look {
            Look::Terminal { columns, colour } if !settings.runner.listens => {
                Some(Terminal::new(columns, colour))
            }
            _ => None,
        };
        let views = Views {
            door: Door::new(settings.runner, stderr),
            stdout,
            lost: None,
            json: settings.json,
            colour_data: settings.colour_data,
            clock: settings.clock,
            terminal,
            text: Text::default(),
            summary: Summary::default(),
            stood: BTreeMap::new(),
        };
        Self { views: Mutex::new(views) }
    }

    /// Warns of something that does not stop the run.
    pub fn warn(&self, failure: Failure) {
        let Failure { code, what, why, next } = failure;
        self.say(Event::Told(Told {
            severity: Severity::Warning,
            code,
            what,
            why,
            now: None,
            next,
        }));
    }

    /// Hides this secret in everything that follows: log, files and terminal.
    pub fn mask(&self, secret: &str) {
        self.views().door.mask(secret);
    }

    /// Keeps values for the action's post step, which reads them as `STATE_NAME`.
    pub fn keep(&self, values: &[(&str, String)]) {
        self.views().door.state(values);
    }

    /// Says an event of the whole run, or of its only service.
    pub fn say(&self, event: Event) {
        self.views().say(None, event);
    }

    /// Says an event of one service of several.
    pub fn say_of(&self, service: &str, event: Event) {
        let service = foreign::line(service);
        self.views().say(Some(&service), event);
    }

    /// Why data could not be written to standard output, if it could not. A reader that went away
    /// (`slipway status | head -1`) had what it wanted.
    #[must_use]
    pub fn unwritten(&self) -> Option<String> {
        let views = self.views();
        let lost = views.lost.as_ref();
        lost.filter(|error| error.kind() != io::ErrorKind::BrokenPipe).map(ToString::to_string)
    }

    /// A view that panicked has said less, and the next event can still be said.
    fn views(&self) -> MutexGuard<'_, Views> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Views {
    fn say(&mut self, service: Option<&str>, event: Event) {
        let event = clean::clean(&self.door, event);
        let moved = self.moved(service, &event);
        if moved {
            self.summary.take(service, &event);
        }
        let (evidence, early) = match &event {
            Event::Outcome(outcome) => (self.evidence(), Some(outcome)),
            _ => (None, None),
        };
        if let Some(outcome) = early {
            self.set_outputs(outcome, evidence);
        }
        self.talk(service, &event, moved);
        self.annotate(&event);
        if let Event::Outcome(outcome) = &event {
            let sections = self.summary.sections(outcome);
            self.door.summary(&sections);
        }
        if self.json && moved {
            let line = json::line((self.clock)(), service, &event);
            self.data(&line);
        }
    }

    /// Whether an event is new: what stands where it stood is only said as a heartbeat.
    fn moved(&mut self, service: Option<&str>, event: &Event) -> bool {
        let service = service.unwrap_or_default();
        let (key, at, standing) = match event {
            Event::Rollout { at, progress } => (service.into(), *at, text::standing(progress)),
            // A step that is quick says nothing before its end.
            Event::Working { step, took, .. } => {
                let key = format!("{service} {}", step.word());
                self.stood.entry(key.clone()).or_default();
                (key, *took, String::new())
            }
            _ => return true,
        };
        let moved = self.stood.get(&key).is_none_or(|(since, last)| {
            *last != standing || at.saturating_sub(*since) >= HEARTBEAT || at < *since
        });
        if moved {
            self.stood.insert(key, (at, standing));
        }
        moved
    }

    fn talk(&mut self, service: Option<&str>, event: &Event, moved: bool) {
        for piece in self.text.pieces(service, event) {
            match (&piece, &mut self.terminal) {
                (Piece::Data(line), _) if !self.json => {
                    let line = terminal::painted(&own_line(line), self.colour_data);
                    self.data(&line);
                }
                (Piece::Data(_), _) => {}
                (_, Some(terminal)) => terminal.put(&mut self.door, service, &piece),
                (Piece::Progress(_) | Piece::Passing(_), None) if !moved => {}
                (_, None) => ci::put(&mut self.door, &piece),
            }
        }
    }

    /// Writes to standard output, until that takes no more.
    fn data(&mut self, line: &str) {
        if self.lost.is_some() {
            return;
        }
        let line = format!("{line}\n");
        let written = self.stdout.write_all(line.as_bytes()).and_then(|()| self.stdout.flush());
        self.lost = written.err();
    }

    fn evidence(&mut self) -> Option<String> {
        let text = self.summary.evidence()?;
        self.door.evidence(&text)
    }

    /// The outputs are there before the line that says how it ended.
    fn set_outputs(&mut self, outcome: &Outcome, evidence: Option<String>) {
        self.door.outputs(&outputs::pairs(outcome, evidence));
        if self.door.listened() && outcome.line.is_some() {
            self.door.line(&outputs::line(outcome));
        }
    }

    fn annotate(&mut self, event: &Event) {
        let (told, place) = match event {
            Event::Told(told) => (told, None),
            Event::Placed { told, file, line, column } => {
                (told, Some((file.as_str(), *line, *column)))
            }
            Event::Outcome(outcome) => {
                // A bad ending has its own annotation already.
                if let Some(line) = outcome.line.as_ref().filter(|_| outcome.ending.exit() == 0) {
                    let word = outcome.ending.word();
                    let rest =
                        line.strip_prefix(word).unwrap_or(line).trim_start_matches([':', ' ']);
                    self.door.annotation(Severity::Notice, word, rest, None);
                }
                return;
            }
            _ => return,
        };
        let now = told.now.iter().flat_map(|now| ["; ", now.as_str()]);
        let message: String = std::iter::once(told.what.as_str()).chain(now).collect();
        let title = told.code.as_str();
        self.door.annotation(told.severity, title, &message, place);
    }
}

#[cfg(test)]
mod tests;
