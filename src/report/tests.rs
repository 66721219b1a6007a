//! Whole pages: the events of the storyboard's scenes, and every view's text compared with it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::error::{Code, Ending, Told, Unseen};
use crate::names::Digest;
use crate::rollout::Progress;

mod hostile;
mod live;
mod scenes;
mod views;

/// A writer whose bytes can be read.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// What a run wrote, everywhere.
struct Page {
    stdout: String,
    stderr: String,
    summary: String,
    outputs: String,
    evidence: String,
}

/// How a run is looked at.
#[derive(Clone, Copy)]
struct Seat {
    runner: bool,
    json: bool,
    look: Look,
}

const LOG: Seat = Seat { runner: true, json: false, look: Look::Lines };
const PIPE: Seat = Seat { runner: false, json: false, look: Look::Lines };

fn clock() -> Timestamp {
    Timestamp::from_millisecond(1_795_250_523_214).unwrap()
}

/// Says these events, each with its service's name if that is not empty.
fn page(seat: Seat, events: Vec<(&str, Event)>) -> Page {
    masked_page(seat, &[], events)
}

/// The same after these secrets were masked.
fn masked_page(seat: Seat, secrets: &[&str], events: Vec<(&str, Event)>) -> Page {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let runner = Runner::read(&|name: &str| {
        let path = |name| Some(at(name).display().to_string());
        match name {
            "GITHUB_ACTIONS" => seat.runner.then(|| "true".into()),
            "GITHUB_OUTPUT" => path("output"),
            "GITHUB_STEP_SUMMARY" => path("summary"),
            "RUNNER_TEMP" => Some(folder.path().display().to_string()),
            _ => None,
        }
    });
    let (stdout, stderr) = (Sink::default(), Sink::default());
    let settings = Settings { look: seat.look, colour_data: false, json: seat.json, runner, clock };
    let reporter = Reporter::new(settings, Box::new(stdout.clone()), Box::new(stderr.clone()));
    secrets.iter().for_each(|secret| reporter.mask(secret));
    for (service, event) in events {
        if service.is_empty() { reporter.say(event) } else { reporter.say_of(service, event) }
    }
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    let evidence = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
    let evidence = evidence.filter(|p| p.extension().is_some_and(|e| e == "txt"));
    Page {
        stdout: stdout.text(),
        stderr: stderr.text(),
        summary: read(&at("summary")),
        outputs: read(&at("output")),
        evidence: evidence.map(|p| read(&p)).collect(),
    }
}

/// A log as people read it: the runner takes annotations and fences out of it.
fn as_read(log: &str) -> String {
    let command = |line: &&str| line.starts_with("::") && !line.contains("group::");
    log.lines().filter(|line| !command(line)).flat_map(|line| [line, "\n"]).collect()
}

/// The commands that the runner took out.
fn commands(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|l| {
            l.starts_with("::error") || l.starts_with("::notice") || l.starts_with("::warning")
        })
        .collect()
}

/// The one value of an output.
fn output(outputs: &str, name: &str) -> String {
    let (_, rest) = outputs.split_once(&format!("{name}<<")).unwrap();
    let (end, rest) = rest.split_once('\n').unwrap();
    rest.split_once(&format!("\n{end}\n")).unwrap().0.into()
}
