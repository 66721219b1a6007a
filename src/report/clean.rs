//! Cleans an event before any view sees it: others' words can be in every text of it.
//!
//! One place for all views, so that a new view cannot forget it. Leans on `github::foreign`.

use super::event::{Event, Outcome};
use crate::error::{Told, Unseen};
use crate::github::foreign;

/// The event with every text on one clean line, and foreign text cut to its last lines.
pub(super) fn clean(event: Event) -> Event {
    match event {
        Event::Foreign { source, title, lines, left_out } => {
            let shown = foreign::last_lines(&lines);
            let left_out = left_out + shown.left_out;
            Event::Foreign { source, title: foreign::line(&title), lines: shown.lines, left_out }
        }
        Event::Told(told) => Event::Told(told_clean(told)),
        Event::Placed { told, file, line, column } => {
            Event::Placed { told: told_clean(told), file: foreign::line(&file), line, column }
        }
        Event::Outcome(outcome) => Event::Outcome(Box::new(outcome_clean(*outcome))),
        other => one_liners(other),
    }
}

/// The events that carry single texts.
fn one_liners(mut event: Event) -> Event {
    match &mut event {
        Event::Started(started) => {
            for text in [&mut started.commit, &mut started.note, &mut started.target] {
                optional(text);
            }
            optional(&mut started.cluster);
        }
        Event::Overridden { name, value } => {
            one(name);
            *value = without_login(&foreign::line(value));
        }
        Event::NotSeen(Unseen { what, because }) => [what, because].into_iter().for_each(one),
        Event::Planned { rows } => rows.iter_mut().for_each(|(label, text)| {
            one(label);
            one(text);
        }),
        Event::StepDone { text, .. } | Event::Again { text, .. } | Event::Watched { text, .. } => {
            one(text);
        }
        Event::Checked { subject, text, .. } => [subject, text].into_iter().for_each(one),
        Event::Rollout { progress, .. } => optional(&mut progress.note),
        Event::Deployed(deployed) => {
            [&mut deployed.image, &mut deployed.cluster, &mut deployed.commit]
                .into_iter()
                .for_each(one);
            optional(&mut deployed.before);
        }
        Event::Answered { lines, .. } => lines.iter_mut().for_each(one),
        Event::Surveyed { .. } | Event::Baked { .. } | Event::Foreign { .. } => {}
        Event::Told(_) | Event::Placed { .. } | Event::Outcome(_) => {}
    }
    event
}

fn told_clean(mut told: Told) -> Told {
    one(&mut told.what);
    told.why.iter_mut().for_each(one);
    optional(&mut told.now);
    told.next.iter_mut().for_each(one);
    told
}

fn outcome_clean(mut outcome: Outcome) -> Outcome {
    optional(&mut outcome.line);
    optional(&mut outcome.serving);
    outcome.told = outcome.told.map(told_clean);
    outcome
}

fn one(text: &mut String) {
    *text = foreign::line(text);
}

fn optional(text: &mut Option<String>) {
    text.iter_mut().for_each(one);
}

/// An address without the user, password and query that it may carry.
fn without_login(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else { return address.into() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(h, p)| (h, Some(p)));
    let host = host.rsplit('@').next().unwrap_or(host);
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}
