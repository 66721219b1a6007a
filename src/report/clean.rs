//! Cleans an event before any view sees it: others' words can be in every text of it.
//!
//! One place for all views, so that a new view cannot forget it. Leans on `github::foreign`.

use super::event::{Event, Outcome};
use crate::error::{Told, Unseen};
use crate::github::door::Door;
use crate::github::foreign::{self, Shown};

/// The event with every text on one clean line without secrets, and foreign text cut to its end.
pub(super) fn clean(door: &Door, event: Event) -> Event {
    Clean { door }.event(event)
}

struct Clean<'a> {
    door: &'a Door,
}

impl Clean<'_> {
    fn event(&self, event: Event) -> Event {
        match event {
            Event::Foreign { source, mut title, lines, left_out } => {
                self.one(&mut title);
                let Shown { lines, left_out } = self.foreign(lines, left_out);
                Event::Foreign { source, title, lines, left_out }
            }
            Event::Opened { source, mut title } => {
                self.one(&mut title);
                Event::Opened { source, title }
            }
            Event::Lines { source, lines, left_out } => {
                let Shown { lines, left_out } = self.foreign(lines, left_out);
                Event::Lines { source, lines, left_out }
            }
            Event::Told(told) => Event::Told(self.told(told)),
            Event::Placed { told, mut file, line, column } => {
                self.one(&mut file);
                Event::Placed { told: self.told(told), file, line, column }
            }
            Event::Outcome(outcome) => Event::Outcome(Box::new(self.outcome(*outcome))),
            other => self.one_liners(other),
        }
    }

    /// The events that carry single texts.
    fn one_liners(&self, mut event: Event) -> Event {
        match &mut event {
            Event::Started(started) => {
                for text in [&mut started.commit, &mut started.note, &mut started.target] {
                    self.optional(text);
                }
                self.optional(&mut started.cluster);
            }
            Event::Overridden { name, value } => {
                self.one(name);
                self.one(value);
                *value = without_login(value);
            }
            Event::NotSeen(Unseen { what, because }) => self.all([what, because]),
            Event::Planned { rows } => rows.iter_mut().for_each(|(a, b)| self.all([a, b])),
            Event::StepDone { text, .. }
            | Event::Working { text, .. }
            | Event::Watched { text, .. } => self.one(text),
            Event::Checked { subject, text, .. } => self.all([subject, text]),
            Event::Rollout { progress, .. } => self.optional(&mut progress.note),
            Event::Deployed(deployed) => {
                self.all([&mut deployed.image, &mut deployed.cluster, &mut deployed.commit]);
                self.optional(&mut deployed.before);
            }
            Event::Answered { lines, .. } => self.all(lines),
            // Without a text, or told apart above.
            Event::Surveyed { .. } | Event::Baked { .. } | Event::Closed { .. } => {}
            Event::Foreign { .. } | Event::Opened { .. } | Event::Lines { .. } => {}
            Event::Told(_) | Event::Placed { .. } | Event::Outcome(_) => {}
        }
        event
    }

    fn foreign(&self, mut lines: Vec<String>, left_out: usize) -> Shown {
        // Before the cut to lines and columns: half a secret is one too.
        lines.iter_mut().for_each(|line| *line = self.door.veiled(line));
        let shown = foreign::last_lines(&lines);
        Shown { left_out: left_out + shown.left_out, ..shown }
    }

    fn told(&self, mut told: Told) -> Told {
        self.one(&mut told.what);
        self.all(&mut told.why);
        self.optional(&mut told.now);
        self.all(&mut told.next);
        told
    }

    fn outcome(&self, mut outcome: Outcome) -> Outcome {
        self.optional(&mut outcome.line);
        self.optional(&mut outcome.serving);
        outcome.told = outcome.told.map(|told| self.told(told));
        outcome
    }

    fn one(&self, text: &mut String) {
        *text = foreign::line(&self.door.veiled(text));
    }

    fn optional(&self, text: &mut Option<String>) {
        self.all(text);
    }

    fn all<'a>(&self, texts: impl IntoIterator<Item = &'a mut String>) {
        texts.into_iter().for_each(|text| self.one(text));
    }
}

/// An address without the user, password and query that it may carry.
fn without_login(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else { return address.into() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
    let host = host.rsplit('@').next().unwrap_or(host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}
