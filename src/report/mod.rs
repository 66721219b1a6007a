//! The report: one stream of events feeds the log, the terminal, JSON, annotations, the summary
//! and the outputs. It never changes a run's result: what cannot be written is said and left.
//! All text leaves through `github::door`; output goes to the writers that were given.

mod event;
pub mod figures;

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::github::door::{Door, Runner};

pub use event::{Check, Deployed, Event, Outcome, ServiceOutcome, Source, Started, Step};

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
    /// `--json`: events to stdout, one a line.
    pub json: bool,
    /// Where the runner wants things, or that there is none.
    pub runner: Runner,
    /// Where the evidence is written off a runner, if anywhere; on one it is `RUNNER_TEMP`.
    pub clock: fn() -> Timestamp,
}

/// The one mouth of a run. Shared by reference between services that roll out side by side.
pub struct Reporter {
    views: Mutex<Views>,
}

struct Views {
    door: Door,
    stdout: Box<dyn Write + Send>,
    settings: Settings,
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
        let door = Door::new(settings.runner.clone(), stderr);
        Self { views: Mutex::new(Views { door, stdout, settings }) }
    }

    /// Has the runner mask this secret in everything that follows; nothing happens off a runner.
    pub fn mask(&self, secret: &str) {
        self.views().door.mask(secret);
    }

    /// Says an event of the whole run, or of its only service.
    pub fn say(&self, event: Event) {
        let _ = event;
    }

    /// Says an event of one service of several.
    pub fn say_of(&self, service: &str, event: Event) {
        let _ = (service, event);
    }

    fn views(&self) -> MutexGuard<'_, Views> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
