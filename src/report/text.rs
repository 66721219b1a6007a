//! The lines themselves: what an event reads like, in a log and at a terminal alike.
//!
//! Pure but for the memory of which section is open. No colour, no commands, no writing: the
//! views decide how a line gets out.

use std::time::Duration;

use super::event::{Event, Source, Started};
use super::figures;
use crate::error::{Severity, Told};
use crate::github::foreign::Shown;
use crate::rollout::Progress;

/// What a view has to put out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A line of talk.
    Line(String),
    /// A line that the command was asked for: to stdout.
    Data(String),
    /// Where a rollout stands.
    Progress(String),
    /// What a step is at: of no interest once it is done.
    Passing(String),
    /// The title of others' words that follow.
    Open(String),
    /// Others' words.
    Foreign(Shown),
    /// Their end.
    Close,
}

/// Turns events into lines.
#[derive(Debug, Default)]
pub(super) struct Text {
    /// The plan is what was asked for.
    plan_is_data: bool,
    /// The lines before this one are the watch's.
    watching: bool,
}

impl Text {
    /// The lines of an event, with its service's name where there are several.
    pub(super) fn pieces(&mut self, service: Option<&str>, event: &Event) -> Vec<Piece> {
        let watched = self.watched(service, event);
        if let Some(piece) = watched {
            let heading = (!self.watching).then(|| Piece::Line("watch".into()));
            self.watching = true;
            return heading.into_iter().chain([piece]).collect();
        }
        let pieces = self.spoken(service, event);
        self.watching &= pieces.is_empty();
        pieces
    }

    /// The line of the watch that an event is, if it is one.
    fn watched(&self, service: Option<&str>, event: &Event) -> Option<Piece> {
        let line = |at: &Duration, text: &str| {
            format!("  {:<6}  {}", figures::since_patch(*at), of(service, text))
        };
        match event {
            Event::Rollout { at, progress } => Some(Piece::Progress(line(at, &standing(progress)))),
            Event::Watched { at, text } => Some(Piece::Line(line(at, text))),
            Event::Baked { at, bake, restarts, pods, unseen, wanted, digest } => {
                let text = format!(
                    "baked {}: {}, {pods}/{wanted} pods run {}{}",
                    figures::setting(*bake),
                    figures::count(*restarts as usize, "restart"),
                    digest.short(),
                    silent(*unseen)
                );
                Some(Piece::Line(line(at, &text)))
            }
            _ => None,
        }
    }

    /// The lines of every other event.
    fn spoken(&mut self, service: Option<&str>, event: &Event) -> Vec<Piece> {
        let line = |text: String| vec![Piece::Line(text)];
        match event {
            Event::Started(started) => {
                self.plan_is_data = started.command == "plan";
                line(opening(started))
            }
            Event::Overridden { name, value } => {
                line(labelled("override", &format!("{name}: {value}")))
            }
            Event::NotSeen(unseen) => {
                line(format!("not seen: {} ({})", unseen.what, unseen.because))
            }
            Event::Surveyed { took, reads } => {
                let reads = figures::count(*reads, "read");
                line(labelled(
                    "survey",
                    &format!("{}  {reads}, nothing written", figures::took(*took)),
                ))
            }
            Event::Planned { rows } => self.plan(service, rows),
            Event::Foreign { source, title, lines, left_out } => {
                vec![opened(*source, service, title), foreign(lines, *left_out), Piece::Close]
            }
            Event::Opened { source, title } => vec![opened(*source, service, title)],
            Event::Lines { lines, left_out, .. } => vec![foreign(lines, *left_out)],
            Event::Closed { .. } => vec![Piece::Close],
            Event::StepDone { step, took, text } => {
                let text = of(service, text);
                line(labelled(step.word(), &format!("{}  {text}", figures::took(*took))))
            }
            Event::Working { step, took, text } => {
                let text = format!("{} so far  {}", figures::whole(*took), of(service, text));
                vec![Piece::Passing(labelled(step.word(), &text))]
            }
            Event::Told(told) | Event::Placed { told, .. } => {
                block(told).into_iter().map(Piece::Line).collect()
            }
            Event::Checked { result, subject, text } => {
                vec![Piece::Data(format!("{:<6}{subject:<9}  {text}", result.word()))]
            }
            Event::Answered { lines, .. } => lines.iter().cloned().map(Piece::Data).collect(),
            Event::Outcome(outcome) => outcome.line.iter().cloned().map(Piece::Line).collect(),
            _ => Vec::new(),
        }
    }

    /// The plan's block: labels aligned.
    fn plan(&self, service: Option<&str>, rows: &[(String, String)]) -> Vec<Piece> {
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0).max(8);
        let heading = service.map_or_else(|| "plan".into(), |name| labelled("plan", name));
        let rows = rows.iter().map(|(label, text)| format!("  {label:<width$}  {text}"));
        let piece = if self.plan_is_data { Piece::Data } else { Piece::Line };
        std::iter::once(heading).chain(rows).map(piece).collect()
    }
}

fn opened(source: Source, service: Option<&str>, title: &str) -> Piece {
    Piece::Open(format!("{}: {}", source.word(), of(service, title)))
}

fn foreign(lines: &[String], left_out: usize) -> Piece {
    Piece::Foreign(Shown { lines: lines.to_vec(), left_out })
}

/// A line with its label: labels end in one column.
pub(super) fn labelled(label: &str, text: &str) -> String {
    format!("{label:<8} {text}")
}

/// A node that keeps its digest to itself proves nothing: it is said.
fn silent(unseen: usize) -> String {
    match unseen {
        0 => String::new(),
        1 => ", 1 does not say what it runs".into(),
        _ => format!(", {unseen} do not say what they run"),
    }
}

/// The text, after its service's name where there are several.
fn of(service: Option<&str>, text: &str) -> String {
    service.map_or_else(|| text.to_owned(), |name| format!("{name}: {text}"))
}

fn opening(started: &Started) -> String {
    let mut line = format!("slipway {}: {}", started.version, started.command);
    if let Some(commit) = &started.commit {
        let to = if started.command == "rollback" { " to" } else { "" };
        line.push_str(&format!("{to} {commit}"));
    }
    if let Some(note) = &started.note {
        line.push_str(&format!(" ({note})"));
    }
    if let Some(target) = &started.target {
        let to = match started.command.as_str() {
            "ship" => "to",
            "rollback" => "of",
            _ => "for",
        };
        line.push_str(&format!(" {to} {target}"));
    }
    if let Some(cluster) = &started.cluster {
        line.push_str(&format!(" in {cluster}"));
    }
    line
}

/// Where a rollout stands: `1/3 new, 2 old ready; x2kqp starts on ip-10-0-1-12`.
pub(super) fn standing(progress: &Progress) -> String {
    let Progress { new_ready, old_ready, draining, wanted, .. } = progress;
    let mut text = format!("{new_ready}/{wanted} new");
    if *old_ready > 0 {
        text.push_str(&format!(", {old_ready} old ready"));
    } else if *draining > 0 {
        text.push_str(&format!(", {draining} old draining"));
    } else if progress.baking_since.is_some() {
        text.push_str(", baking");
    }
    if let Some(note) = &progress.note {
        text.push_str(&format!("; {note}"));
    }
    text
}

/// The block of an error, a warning or a notice: its first line and its aligned others.
pub(super) fn block(told: &Told) -> Vec<String> {
    let word = match told.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Notice => "notice",
    };
    let mut lines = vec![format!("{word}[{}]: {}", told.code, told.what)];
    let now: Vec<_> = told.now.iter().cloned().collect();
    for (label, texts) in [("why:", &told.why), ("now:", &now), ("next:", &told.next)] {
        for (n, text) in texts.iter().enumerate() {
            let label = if n == 0 { label } else { "" };
            lines.push(format!("  {label:<5} {text}"));
        }
    }
    lines
}
