//! The demo's view: the run's own events, told in a few short lines. It reads the JSON lines that any
//! program could read.

use std::io::{self, Write};

use serde_json::Value;

use crate::cli::voice::Voice;

/// A writer that is given JSON lines and tells them short.
pub(super) struct Short {
    voice: Voice,
    repository: String,
    pending: Vec<u8>,
    change: String,
    platform: String,
    watching: bool,
    last: String,
}

impl Short {
    /// A view for one story.
    pub(super) fn new(voice: Voice, repository: String) -> Self {
        Self {
            voice,
            repository,
            pending: Vec::new(),
            change: String::new(),
            platform: String::new(),
            watching: false,
            last: String::new(),
        }
    }

    fn say(&self, text: &str) {
        // The demo's last line tells whether it was heard.
        let _ = self.voice.write(text);
    }

    fn event(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str().unwrap_or_default() {
            "planned" => self.planned(event),
            "step-done" if event["step"] == "push" => self.step(
                "push",
                &format!(
                    "{:.2} s  {}",
                    event["seconds"].as_f64().unwrap_or_default(),
                    text("text")
                ),
            ),
            "rollout" => self.rollout(event),
            "watched" => self.watched(event, &text("text")),
            "baked" => self.watched(event, "baked"),
            "told" => self.told(event),
            "outcome" => self.outcome(event),
            _ => {}
        }
    }

    fn step(&mut self, label: &str, text: &str) {
        self.end_of_watch();
        self.say(&format!("  {label:<7}  {text}\n"));
    }

    fn planned(&mut self, event: &Value) {
        let rows = event["rows"].as_array().cloned().unwrap_or_default();
        let row = |label: &str| {
            rows.iter()
                .find(|row| row[0] == label)
                .and_then(|row| row[1].as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let change = row("change");
        let arrow = change.split(": ").nth(1).and_then(|c| c.split(',').next()).unwrap_or_default();
        self.change = arrow.to_owned();
        self.platform = row("platform")
            .replace(": ", " because ")
            .replace("both nodes its pods can land on", "both nodes are");
        let line = format!("{} {}, {}", self.repository, self.change, self.platform);
        self.step("plan", &line);
    }

    fn rollout(&mut self, event: &Value) {
        let count = |name: &str| event[name].as_u64().unwrap_or_default();
        let (new, wanted) = (count("new_ready"), count("wanted"));
        if let Some(note) = event["note"].as_str().filter(|note| note.contains("exited")) {
            self.watched(event, note);
        } else if new > 0 && wanted > 0 {
            let word = if self.last.is_empty() { " new" } else { "" };
            self.watched(event, &format!("{new}/{wanted}{word}"));
        }
    }

    fn watched(&mut self, event: &Value, text: &str) {
        let bare = text.trim_end_matches(" new");
        if bare == self.last {
            return;
        }
        bare.clone_into(&mut self.last);
        let at = event["since_patch"].as_f64().unwrap_or_default();
        let lead = if self.watching { "  " } else { "  watch    " };
        self.watching = true;
        self.say(&format!("{lead}+{at:.1}s {text}"));
    }

    fn end_of_watch(&mut self) {
        if std::mem::take(&mut self.watching) {
            self.say("\n");
        }
    }

    fn told(&mut self, event: &Value) {
        self.end_of_watch();
        let line = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let first = |name: &str| {
            event[name]
                .as_array()
                .and_then(|all| all.first())
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        self.say(&format!("  {}[{}]: {}\n", line("severity"), line("code"), line("what")));
        self.say(&format!(
            "    why:  {}\n    now:  {}\n    next: slipway explain {}\n",
            first("why"),
            line("now"),
            line("code")
        ));
    }

    fn outcome(&mut self, event: &Value) {
        if event["outcome"] == "shipped" {
            let what = event["what"].as_str().unwrap_or_default();
            let took = what.rsplit(" in ").next().unwrap_or_default();
            self.say(&format!(": shipped in {took}\n"));
            self.watching = false;
        }
        self.end_of_watch();
    }
}

impl Write for Short {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|b| *b == b'\n') {
            let line: Vec<_> = self.pending.drain(..=end).collect();
            if let Ok(event) = serde_json::from_slice(&line) {
                self.event(&event);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
