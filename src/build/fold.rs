//! What a builder says, told as it comes: a line for each step that ends, and what a failing one wrote last.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::docker::{Heard, StepState};
use crate::github::foreign::{MOST_LINES, split};
use crate::report::{Event, Reporter, Source, Step, figures};

/// So many bytes are kept of what a step writes, for when it fails: the first error of a test run may stand far up.
const KEPT: usize = 1 << 20;

/// A step that took this much longer in the end is told again.
const AGAIN: Duration = Duration::from_secs(1);

/// The fold of one build. One that is dropped open tells where the build stood.
pub(super) struct Fold<'a> {
    log: Mutex<Log>,
    report: &'a Reporter,
    begun: Instant,
    closed: bool,
}

impl<'a> Fold<'a> {
    pub(super) fn open(report: &'a Reporter, title: String) -> Self {
        report.say(Event::Opened { source: Source::Build, title });
        Self { log: Mutex::default(), report, begun: Instant::now(), closed: false }
    }

    pub(super) fn hear(&self, heard: Heard) {
        let news = self.log().hear(heard);
        match news {
            Some(News::Line(line)) => self.lines(vec![line], 0),
            Some(News::Begun(text)) => self.working(text),
            None => {}
        }
    }

    /// What is told while nothing is heard.
    pub(super) fn go_on(&self) {
        let at = self.log().at();
        at.into_iter().for_each(|text| self.working(text));
    }

    pub(super) fn close(mut self, failed: bool) {
        self.end(failed);
    }

    fn end(&mut self, failed: bool) {
        self.closed = true;
        let (steps, wrote, left_out) = self.log().rest(failed);
        self.lines(steps, 0);
        // No more in one event than is shown of one.
        let wrote: Vec<_> = wrote.iter().flat_map(|text| split(text)).map(str::to_owned).collect();
        for (at, lines) in wrote.chunks(MOST_LINES).enumerate() {
            self.lines(lines.to_vec(), if at == 0 { left_out } else { 0 });
        }
        self.report.say(Event::Closed { source: Source::Build });
    }

    fn lines(&self, lines: Vec<String>, left_out: usize) {
        if !lines.is_empty() {
            self.report.say(Event::Lines { source: Source::Build, lines, left_out });
        }
    }

    fn working(&self, text: String) {
        self.report.say(Event::Working { step: Step::Build, took: self.begun.elapsed(), text });
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Fold<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.end(true);
        }
    }
}

/// What is new for a reader.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// For the log, once and for all.
    Line(String),
    /// For whoever watches.
    Begun(String),
}

/// What a builder said, and what its steps wrote last.
#[derive(Default)]
struct Log {
    steps: Vec<Heeded>,
}

struct Heeded {
    number: usize,
    name: String,
    state: StepState,
    /// How it stood when its line was told.
    told: Option<StepState>,
    wrote: VecDeque<String>,
    /// How many bytes that is.
    size: usize,
    left_out: usize,
}

impl Log {
    fn hear(&mut self, heard: Heard) -> Option<News> {
        match heard {
            Heard::Step { number, name, state } => {
                let step = self.step(number);
                step.name = name;
                step.state = state;
                match state {
                    StepState::Begun => Some(News::Begun(step.title())),
                    StepState::Rests => None,
                    StepState::Done(_) | StepState::Cached => {
                        step.forget();
                        step.tell().map(News::Line)
                    }
                    StepState::Failed => step.tell().map(News::Line),
                }
            }
            Heard::Line { number, text } => {
                self.step(number).keep(text);
                None
            }
            Heard::Warning { text } => Some(News::Line(format!("warning: {text}"))),
        }
    }

    /// The step that goes on, the one that began last.
    fn at(&self) -> Option<String> {
        self.steps.iter().rfind(|step| step.state == StepState::Begun).map(Heeded::title)
    }

    fn step(&mut self, number: usize) -> &mut Heeded {
        let at = self.steps.iter().position(|step| step.number == number).unwrap_or_else(|| {
            self.steps.push(Heeded {
                number,
                name: String::new(),
                state: StepState::Begun,
                told: None,
                wrote: VecDeque::new(),
                size: 0,
                left_out: 0,
            });
            self.steps.len() - 1
        });
        &mut self.steps[at]
    }

    /// The lines of steps that nobody told yet; after a failure what the failing step wrote, or the one that
    /// went on, and how many lines before these were not kept.
    fn rest(&mut self, failed: bool) -> (Vec<String>, Vec<String>, usize) {
        let steps = self.steps.iter_mut().filter_map(Heeded::tell).collect();
        // A cache that could not be read stopped nobody, and wrote nothing.
        let is = |state| {
            let wrote = |step: &&Heeded| step.state == state && !step.wrote.is_empty();
            self.steps.iter().rfind(wrote)
        };
        // One that was cancelled stands where it stands.
        let last = is(StepState::Failed).or_else(|| is(StepState::Begun)).filter(|_| failed);
        let wrote = last.map(|step| {
            let lines = step.wrote.iter().map(|text| format!("#{} {text}", step.number)).collect();
            (lines, step.left_out)
        });
        let (lines, left_out) = wrote.unwrap_or_default();
        (steps, lines, left_out)
    }
}

impl Heeded {
    fn title(&self) -> String {
        format!("#{} {}", self.number, self.name)
    }

    fn keep(&mut self, text: String) {
        self.size += text.len() + size_of::<String>();
        self.wrote.push_back(text);
        while self.size > KEPT {
            let Some(first) = self.wrote.pop_front() else { return };
            self.size -= first.len() + size_of::<String>();
            self.left_out += 1;
        }
    }

    /// A step that went well is one line.
    fn forget(&mut self) {
        self.wrote = VecDeque::new();
        (self.size, self.left_out) = (0, 0);
    }

    /// Its line: once, though builders take steps up again, but where what comes of that is worth a line.
    fn tell(&mut self) -> Option<String> {
        let is_old = match (self.told, self.state) {
            (None, _) => false,
            (Some(told), StepState::Failed) => told == StepState::Failed,
            (Some(StepState::Done(told)), StepState::Done(took)) => took < told + AGAIN,
            (Some(_), StepState::Done(took)) => took < AGAIN,
            (Some(_), _) => true,
        };
        if is_old {
            return None;
        }
        self.told = Some(self.state);
        let title = self.title();
        Some(match self.state {
            StepState::Cached => format!("{title}  cached"),
            StepState::Done(took) if took >= Duration::from_secs(1) => {
                format!("{title}  {}", figures::took(took))
            }
            StepState::Failed => format!("{title}  failed"),
            StepState::Begun | StepState::Rests | StepState::Done(_) => title,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: usize, name: &str, state: StepState) -> Heard {
        Heard::Step { number, name: name.into(), state }
    }

    fn line(text: &str) -> Option<News> {
        Some(News::Line(text.into()))
    }

    #[test]
    fn a_step_is_told_when_it_ends_and_once() {
        let mut log = Log::default();
        let begun = log.hear(step(1, "[1/2] FROM base", StepState::Begun));
        assert_eq!(begun, Some(News::Begun("#1 [1/2] FROM base".into())));
        assert_eq!(log.at().as_deref(), Some("#1 [1/2] FROM base"));
        let cached = log.hear(step(1, "[1/2] FROM base", StepState::Cached));
        assert_eq!(cached, line("#1 [1/2] FROM base  cached"));
        assert_eq!(log.at(), None);
        log.hear(step(2, "[2/2] RUN make", StepState::Begun));
        let done = StepState::Done(Duration::from_millis(2400));
        assert_eq!(log.hear(step(2, "[2/2] RUN make", done)), line("#2 [2/2] RUN make  2.4 s"));
        log.hear(step(2, "[2/2] RUN make", StepState::Begun));
        assert_eq!(log.hear(step(2, "[2/2] RUN make", done)), None);
        let later = StepState::Done(Duration::from_secs(90));
        assert_eq!(log.hear(step(2, "[2/2] RUN make", later)), line("#2 [2/2] RUN make  1m 30s"));
        assert_eq!(log.hear(step(3, "WORKDIR /app", StepState::Rests)), None);
        assert_eq!(log.at(), None, "it does not go on");
        let quick = StepState::Done(Duration::from_millis(20));
        assert_eq!(log.hear(step(3, "WORKDIR /app", quick)), line("#3 WORKDIR /app"));
        let warning = log.hear(Heard::Warning { text: "no such instruction".into() });
        assert_eq!(warning, line("warning: no such instruction"));
        assert_eq!(log.rest(false), (vec![], vec![], 0));
    }

    #[test]
    fn after_a_failure_comes_what_the_step_wrote() {
        let mut log = Log::default();
        log.hear(step(1, "[1/2] RUN wait", StepState::Begun));
        log.hear(step(2, "[2/2] RUN make", StepState::Begun));
        log.hear(Heard::Line { number: 2, text: "x".repeat(KEPT) });
        (0..1000).for_each(|n| {
            log.hear(Heard::Line { number: 2, text: format!("line {n}") });
        });
        let failed = log.hear(step(2, "[2/2] RUN make", StepState::Failed));
        assert_eq!(failed, line("#2 [2/2] RUN make  failed"));
        let (steps, wrote, left_out) = log.rest(true);
        assert_eq!(steps, ["#1 [1/2] RUN wait"], "it was stopped where it stood");
        assert_eq!((wrote[0].as_str(), wrote.len(), left_out), ("#2 line 0", 1000, 1));
    }

    #[test]
    fn a_build_that_is_cancelled_tells_of_the_step_that_went_on() {
        let mut log = Log::default();
        log.hear(step(1, "importing cache manifest from r", StepState::Failed));
        log.hear(step(2, "[2/3] RUN mvn package", StepState::Begun));
        log.hear(Heard::Line { number: 2, text: "Downloading".into() });
        log.hear(step(3, "[3/3] WORKDIR /app", StepState::Rests));
        assert_eq!(log.at().as_deref(), Some("#2 [2/3] RUN mvn package"));
        assert_eq!(log.rest(true).1, ["#2 Downloading"]);
    }
}
