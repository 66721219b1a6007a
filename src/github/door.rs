//! The one door to the runner: commands, masks, fences, annotations, outputs, summary, state.
//!
//! Everything that could forge a command is escaped here, and nothing here changes a result: what
//! cannot be written is said and left. Off a runner the same calls become plain text.

use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;

use secrecy::{ExposeSecret, SecretString};

use super::files;
pub use super::files::Runner;
use super::foreign::{self, Shown};
use crate::error::Severity;

/// Annotations of one kind that the runner shows for a step.
const MOST_ANNOTATIONS: usize = 10;

/// Characters of an annotation that the runner keeps.
const MOST_MESSAGE: usize = 4096;

/// A shorter value is no secret: masking it would hide ordinary text all over the log.
const SHORTEST_MASK: usize = 8;

/// A place in a file of the checkout: path, line and column, both from 1.
pub type Place<'a> = (&'a str, u32, u32);

/// Where all talk goes: a log, with the runner listening in it or not.
pub struct Door {
    runner: Runner,
    log: Box<dyn Write + Send>,
    annotations: [usize; 3],
    secrets: Vec<SecretString>,
    /// The word that switches commands on again, where others' words have switched them off.
    fence: Option<String>,
}

impl Door {
    /// A door that talks to this log.
    #[must_use]
    pub fn new(runner: Runner, log: Box<dyn Write + Send>) -> Self {
        Self { runner, log, annotations: [0; 3], secrets: Vec::new(), fence: None }
    }

    /// Whether a runner listens.
    #[must_use]
    pub fn listened(&self) -> bool {
        self.runner.listens
    }

    /// Writes a line of our own, which is never a command.
    pub fn line(&mut self, text: &str) {
        self.put(&[own_line(text)]);
    }

    /// Writes to the log as it is: for a terminal's redrawing, never for others' words.
    pub fn raw(&mut self, text: &str) {
        // A log that went away must not stop a rollout half-way.
        let _ = self.log.write_all(text.as_bytes());
        let _ = self.log.flush();
    }

    /// Hides this secret, and each of its lines, in everything that follows: the runner does so in
    /// its log, [`Door::veiled`] everywhere else.
    pub fn mask(&mut self, secret: &str) {
        let whole = secret.trim();
        let known =
            |door: &Self, part: &str| door.secrets.iter().any(|s| s.expose_secret() == part);
        let mut commands = Vec::new();
        for part in std::iter::once(whole).chain(whole.lines().map(str::trim)) {
            if worth_masking(part) && !known(self, part) {
                commands.push(format!("::add-mask::{}", data(part)));
                self.secrets.push(part.into());
            }
        }
        // The longest first: what is left of it after a shorter one would give it away.
        self.secrets.sort_by_key(|secret| Reverse(secret.expose_secret().len()));
        if self.runner.listens && !commands.is_empty() {
            self.command(commands);
        }
    }

    /// The text without the secrets that were masked so far: files and terminals have no runner
    /// that would take them out.
    #[must_use]
    pub fn veiled(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| {
            let secret = secret.expose_secret();
            if text.contains(secret) { text.replace(secret, "***") } else { text }
        })
    }

    /// Opens a fold.
    pub fn group(&mut self, title: &str) {
        let title = foreign::line(title);
        let line = if self.runner.listens { format!("::group::{}", data(&title)) } else { title };
        self.command(vec![line]);
    }

    /// Closes it.
    pub fn end_group(&mut self) {
        if self.runner.listens {
            self.command(vec!["::endgroup::".into()]);
        }
    }

    /// Writes others' words: clean, each line marked, at most fifty, commands in them switched off.
    /// They stay off until our own next command, so that words that come one by one need one fence.
    pub fn foreign(&mut self, shown: &Shown) {
        let mut lines: Vec<String> = shown.missing().into_iter().collect();
        lines.extend(shown.lines.iter().map(|line| format!("| {}", foreign::line(line))));
        if self.runner.listens && self.fence.is_none() && !lines.is_empty() {
            let token = token();
            lines.insert(0, format!("::stop-commands::{token}"));
            self.fence = Some(token);
        }
        self.put(&lines);
    }

    /// Puts a sentence beside the run, or beside a line of a file. The runner shows ten of each
    /// kind; further ones are only in the log.
    pub fn annotation(
        &mut self,
        severity: Severity,
        title: &str,
        message: &str,
        place: Option<Place<'_>>,
    ) {
        let said = &mut self.annotations[severity as usize];
        if !self.runner.listens || *said == MOST_ANNOTATIONS {
            return;
        }
        *said += 1;
        let kind = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Notice => "notice",
        };
        let mut properties = String::new();
        if let Some((file, line, column)) = place {
            properties = format!("file={},line={line},col={column},", property(file));
        }
        let message = cut(message, MOST_MESSAGE);
        let (title, message) = (property(title), data(&message));
        self.command(vec![format!("::{kind} {properties}title={title}::{message}")]);
    }

    /// Sets outputs of the step; empty values too, so that an expression never reads an old one.
    pub fn outputs(&mut self, values: &[(&str, String)]) {
        let written = files::keyed(self.runner.output.as_deref(), values);
        self.warn_unless("outputs", written);
    }

    /// Keeps values for the action's post step.
    pub fn state(&mut self, values: &[(&str, String)]) {
        let written = files::keyed(self.runner.state.as_deref(), values);
        self.warn_unless("state", written);
    }

    /// Adds sections to the job's summary, as many as the runner takes.
    pub fn summary(&mut self, sections: &[String]) {
        let written = files::summary(self.runner.summary.as_deref(), sections);
        self.warn_unless("summary", written);
    }

    /// Writes a file beside the job's others; its name under `runner.temp`, or None.
    pub fn evidence(&mut self, text: &str) -> Option<String> {
        match files::evidence(self.runner.temp.as_deref(), text) {
            Ok(name) => name,
            Err(because) => {
                self.warn_unless("evidence", Err(because));
                None
            }
        }
    }

    fn warn_unless(&mut self, what: &str, written: Result<(), String>) {
        if let Err(because) = written {
            let because = foreign::line(&because);
            self.line(&format!("not written: {what} ({because})"));
            self.annotation(Severity::Warning, "not written", &format!("{what} ({because})"), None);
        }
    }

    /// Writes commands, and switches them on again before.
    fn command(&mut self, mut lines: Vec<String>) {
        lines.splice(0..0, self.fence.take().map(|token| format!("::{token}::")));
        self.put(&lines);
    }

    /// Lines that belong together go out in one write: another stream cannot part them.
    fn put(&mut self, lines: &[String]) {
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        self.raw(&text);
    }
}

/// Escapes the text of a command.
#[must_use]
pub fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a command.
#[must_use]
pub fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// A word that nobody can foresee: 128 bits of a hash that the process's own random keys drive.
pub(super) fn token() -> String {
    let (one, two) = (RandomState::new(), RandomState::new());
    format!("{:016x}{:016x}", one.hash_one("fence"), two.hash_one("fence"))
}

/// A line of ours that may carry others' words: it neither begins with a command nor holds one.
#[must_use]
pub fn own_line(text: &str) -> String {
    let line = text.replace(['\n', '\r'], " ").replace("##[", "## [");
    if line.trim_start().starts_with("::") { format!("| {line}") } else { line }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let kept: String = text.chars().take(most - 3).collect();
    format!("{kept}...")
}

/// Whether masking this hides a secret and not the words that every log is made of.
fn worth_masking(value: &str) -> bool {
    const COMMON: &[&str] = &[
        "password",
        "username",
        "undefined",
        "disabled",
        "required",
        "localhost",
        "production",
        "development",
        "deployment",
        "kubernetes",
        "us-east-1",
        "amazonaws.com",
        "linux/amd64",
        "linux/arm64",
    ];
    let plain = value.to_ascii_lowercase();
    value.chars().count() >= SHORTEST_MASK
        && !COMMON.contains(&plain.as_str())
        && value.parse::<crate::names::Region>().is_err()
        && value.chars().any(|c| !value.starts_with(c))
}

#[cfg(test)]
mod tests;
