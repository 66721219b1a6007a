//! The job's summary: what happened, how to go back, where the time went, how the pods changed.
//!
//! Collects while events pass and is rendered once, at the end. Others' words are only inside
//! `<pre>` and escaped; the rest is ours and escaped where names could be read as markup.

mod markup;

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Deployed, Event, Outcome, Started, Step};
use super::{figures, text};
use crate::error::{Ending, Severity, Told};
use crate::rollout::Progress;

/// More columns than this are not read: the first and the last stay.
const MOST_COLUMNS: usize = 12;

/// What the run has told so far.
#[derive(Debug, Default)]
pub(super) struct Summary {
    started: Option<Started>,
    survey: Option<Duration>,
    answered: Option<(String, Vec<String>)>,
    services: BTreeMap<String, Service>,
}

/// What was told of one service; of the only one under an empty name.
#[derive(Debug, Default)]
struct Service {
    plan: Vec<(String, String)>,
    deployed: Option<Deployed>,
    steps: Vec<(Step, Duration)>,
    standings: Vec<(Duration, Progress)>,
    ready: Option<Duration>,
    baked: Option<Duration>,
    last: Option<Duration>,
    told: Vec<Told>,
    evidence: Vec<Evidence>,
}

#[derive(Debug)]
struct Evidence {
    title: String,
    lines: Vec<String>,
    left_out: usize,
}

impl Summary {
    /// Remembers what belongs into the summary.
    pub(super) fn take(&mut self, service: Option<&str>, event: &Event) {
        match event {
            Event::Started(started) => self.started = Some(started.clone()),
            Event::Surveyed { took, .. } => self.survey = Some(*took),
            Event::Answered { command, lines, .. } => {
                self.answered = Some((command.clone(), lines.clone()));
            }
            _ => self.services.entry(service.unwrap_or_default().into()).or_default().take(event),
        }
    }

    /// The page, in sections that each stand alone: the most important ones first.
    pub(super) fn sections(&self, outcome: &Outcome) -> Vec<String> {
        let mut sections = vec![self.heading(outcome)];
        sections.extend(self.answered.as_ref().map(|(_, lines)| markup::lines(lines)));
        for (name, service) in &self.services {
            if !name.is_empty() && service.says_something() {
                sections.push(format!("#### {}\n", markup::text(name)));
            }
            let ending = outcome.services.get(name).map_or(outcome.ending, |s| s.outcome);
            sections.extend(service.deployed.as_ref().map(|d| d.table(ending)));
            let of_plan = |s: &Started| matches!(s.command.as_str(), "plan" | "index");
            if self.started.as_ref().is_some_and(of_plan) {
                sections.extend(markup::rows(&service.plan));
            }
            sections.extend(service.told.iter().map(markup::told));
            sections.extend(service.gantt(self.survey));
            sections.extend(service.rollout_table());
            sections.extend(service.evidence.iter().map(Evidence::details));
        }
        sections
    }

    /// All evidence as plain text, if there is any.
    pub(super) fn evidence(&self) -> Option<String> {
        let mut text = String::new();
        for (name, service) in &self.services {
            for evidence in &service.evidence {
                if !name.is_empty() {
                    text.push_str(&format!("{name}: "));
                }
                text.push_str(&format!("{}\n", evidence.title));
                text.extend(evidence.shown().iter().flat_map(|line| [line.as_str(), "\n"]));
            }
            if !service.evidence.is_empty() {
                for told in service.told.iter().filter(|t| t.severity == Severity::Error) {
                    text.extend(text::block(told).iter().flat_map(|l| [l.as_str(), "\n"]));
                }
            }
        }
        (!text.is_empty()).then_some(text)
    }

    fn heading(&self, outcome: &Outcome) -> String {
        let words = match (&outcome.line, &outcome.told) {
            (Some(line), _) => self.named(line),
            (None, Some(told)) => markup::text(&told.what),
            (None, None) => {
                let answered = self.answered.as_ref().map(|(command, _)| markup::text(command));
                answered.or_else(|| self.planned()).unwrap_or_else(|| outcome.ending.word().into())
            }
        };
        format!("### {words}\n")
    }

    /// What a plan that nothing speaks against is about.
    fn planned(&self) -> Option<String> {
        let started = self.started.as_ref().filter(|started| started.command == "plan")?;
        let commit = started.commit.as_deref().map(markup::code).unwrap_or_default();
        let target = started.target.as_deref().map(markup::code).unwrap_or_default();
        Some(format!("plan {commit} for {target}: nothing was written"))
    }

    /// The outcome's line with commit and target as code.
    fn named(&self, line: &str) -> String {
        let names = self.started.as_ref().map(|s| [s.commit.as_deref(), s.target.as_deref()]);
        let names = names.unwrap_or_default();
        let word = |word: &str| {
            if names.contains(&Some(word)) { format!("`{word}`") } else { markup::text(word) }
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

impl Service {
    fn take(&mut self, event: &Event) {
        match event {
            Event::Planned { rows } => self.plan.clone_from(rows),
            Event::Deployed(deployed) => self.deployed = Some(deployed.clone()),
            Event::StepDone { step, took, .. } => self.steps.push((*step, *took)),
            Event::Rollout { at, progress } => {
                self.last = Some(*at);
                self.ready = self.ready.or(progress.baking_since);
                self.stands(*at, progress);
            }
            Event::Watched { at, .. } => self.last = Some(*at),
            Event::Baked { at, .. } => self.baked = Some(*at),
            Event::Told(told) | Event::Placed { told, .. } => self.told.push(told.clone()),
            Event::Foreign { source: super::Source::Evidence, title, lines, left_out } => {
                let title = format!("evidence: {title}");
                self.evidence.push(Evidence { title, lines: lines.clone(), left_out: *left_out });
            }
            _ => {}
        }
    }

    fn says_something(&self) -> bool {
        self.deployed.is_some() || !self.told.is_empty() || !self.steps.is_empty()
    }

    /// Keeps a standing whose numbers differ from the one before.
    fn stands(&mut self, at: Duration, progress: &Progress) {
        let numbers = |p: &Progress| (p.new_ready, p.old_ready);
        if self.standings.last().is_none_or(|(_, last)| numbers(last) != numbers(progress)) {
            self.standings.push((at, progress.clone()));
        }
    }

    /// Where the time went, one bar after the other.
    fn gantt(&self, survey: Option<Duration>) -> Option<String> {
        let mut bars: Vec<(&str, Duration)> =
            survey.map(|took| ("survey", took)).into_iter().collect();
        // Clearance and patch are too short for bars: the rollout's bar begins with them.
        let mut rollout = Duration::ZERO;
        for (step, took) in &self.steps {
            match step {
                Step::Clear | Step::Deploy => rollout += *took,
                Step::Restore => {}
                other => bars.push((other.word(), *took)),
            }
        }
        let ready = self.ready.or(self.last);
        bars.extend(ready.map(|ready| ("rollout", rollout + ready)));
        if let (Some(ready), Some(baked)) = (self.ready, self.baked) {
            bars.push(("bake", baked.saturating_sub(ready)));
        }
        let restored = self.steps.iter().find(|(step, _)| *step == Step::Restore);
        bars.extend(restored.map(|(step, took)| (step.word(), *took)));
        (bars.len() > 1).then(|| markup::gantt(&bars))
    }

    /// How many pods were ready of each revision, at each change.
    fn rollout_table(&self) -> Option<String> {
        let deployed = self.deployed.as_ref()?;
        let skipped = self.standings.len().saturating_sub(MOST_COLUMNS);
        let half = MOST_COLUMNS / 2;
        let shown = || {
            let all = self.standings.iter().enumerate();
            all.filter(|(n, _)| skipped == 0 || *n < half || *n >= half + skipped).map(|(_, s)| s)
        };
        if self.standings.is_empty() {
            return None;
        }
        let row = |head: String, cell: &dyn Fn(&(Duration, Progress)) -> String| {
            shown()
                .fold(format!("| {head} |"), |row, standing| format!("{row} {} |", cell(standing)))
        };
        let (old, new) = deployed.revisions.unzip();
        let label = |revision: Option<u64>, commit: &str| {
            revision
                .map_or_else(|| markup::code(commit), |r| format!("{r} {}", markup::code(commit)))
        };
        let before = deployed.before.as_deref().unwrap_or("before");
        let rows = [
            row("ready".into(), &|(at, _)| figures::since_patch(*at)),
            shown().fold("|---|".to_owned(), |row, _| row + "---|"),
            row(label(new, &deployed.commit), &|(_, p)| p.new_ready.to_string()),
            row(label(old, before), &|(_, p)| p.old_ready.to_string()),
        ];
        Some(format!("{}\n", rows.join("\n")))
    }
}

impl Deployed {
    /// What is where, and how to go back.
    fn table(&self, ending: Ending) -> String {
        let mut cluster = vec![markup::cell(&self.cluster)];
        let platforms: Vec<_> = self.platforms.iter().map(ToString::to_string).collect();
        cluster.extend((!platforms.is_empty()).then(|| markup::cell(&platforms.join(" "))));
        cluster.extend(self.revisions.map(|(old, new)| format!("revision {old} -> {new}")));
        let mut rows = vec![("image", markup::code(&self.image)), ("cluster", cluster.join(", "))];
        // After a failure it is back already, or a person decides.
        let onward = matches!(ending, Ending::Shipped | Ending::Cancelled);
        if let Some(before) = self.before.as_ref().filter(|_| self.returnable && onward) {
            rows.push(("back", markup::code(&format!("slipway rollback --to {before}"))));
        }
        markup::table(&rows)
    }
}

impl Evidence {
    fn shown(&self) -> Vec<String> {
        let shown = crate::github::foreign::Shown { lines: Vec::new(), left_out: self.left_out };
        let lines = self.lines.iter().map(|line| format!("| {line}"));
        shown.missing().into_iter().chain(lines).collect()
    }

    fn details(&self) -> String {
        markup::details(&self.title, &self.shown().join("\n"))
    }
}
