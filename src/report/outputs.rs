//! The outputs of the step, made from the outcome: the same names in every run, empty where
//! there is nothing. Those without the registry's host cannot be emptied by a mask.
//! The table here is also what `action.yml` and the reference list.

use super::event::Outcome;
use super::text;
use crate::names::{ImageRef, Platform};

/// One output of the step.
pub struct Output {
    /// As later steps name it.
    pub name: &'static str,
    /// One line for `action.yml` and the reference.
    pub about: &'static str,
    value: fn(&Outcome) -> String,
}

const fn output(name: &'static str, about: &'static str, value: fn(&Outcome) -> String) -> Output {
    Output { name, about, value }
}

/// The file that holds the evidence: the one output that the outcome does not know.
const EVIDENCE: &str = "evidence";

/// All outputs, in the order of the documentation.
pub const OUTPUTS: &[Output] = &[
    output(
        "outcome",
        "How the run ended: shipped, unchanged, superseded, bad-input, refused, not-deployed, rolled-back, unknown, displaced, not-restored, cancelled or bug.",
        |outcome| outcome.ending.word().into(),
    ),
    output("code", "The code of the cause, such as SW-CRASH-EXIT; empty after a good run.", |o| {
        o.told.as_ref().map(|told| told.code.to_string()).unwrap_or_default()
    }),
    output("serving", "The commit that serves now, as far as slipway knows.", |outcome| {
        outcome.serving.clone().unwrap_or_default()
    }),
    output(
        "image",
        "The whole reference: host/repository:tag@digest. GitHub drops it between jobs if the account id is masked.",
        |outcome| outcome.image.as_ref().map(ToString::to_string).unwrap_or_default(),
    ),
    output(EVIDENCE, "Path of the file with logs and events of a failed rollout.", |_| {
        String::new()
    }),
    output("plan", "The plan as JSON.", |outcome| json(outcome.plan.is_none(), &outcome.plan)),
    output("services", "Each service's ending as JSON.", |outcome| {
        json(outcome.services.is_empty(), &outcome.services)
    }),
    output("repository", "Name of the ECR repository, without the registry's host.", |outcome| {
        outcome.image.as_ref().map(|image| image.repository.clone()).unwrap_or_default()
    }),
    output("tag", "The image's tag: the whole commit.", |outcome| {
        part(outcome, |image| image.tag.as_ref().map(ToString::to_string))
    }),
    output("digest", "The image's digest.", |outcome| {
        part(outcome, |image| image.digest.as_ref().map(ToString::to_string))
    }),
    output("platforms", "The image's platforms, separated by commas.", |outcome| {
        let platforms: Vec<_> = outcome.platforms.iter().map(Platform::to_string).collect();
        platforms.join(",")
    }),
];

fn json<T: serde::Serialize>(empty: bool, value: &T) -> String {
    if empty { String::new() } else { serde_json::to_string(value).unwrap_or_default() }
}

fn part(outcome: &Outcome, part: fn(&ImageRef) -> Option<String>) -> String {
    outcome.image.as_ref().and_then(part).unwrap_or_default()
}

/// Every output with its value.
pub(super) fn pairs(outcome: &Outcome, evidence: Option<String>) -> Vec<(&'static str, String)> {
    let value = |output: &Output| match output.name {
        EVIDENCE => evidence.clone().unwrap_or_default(),
        _ => (output.value)(outcome),
    };
    OUTPUTS.iter().map(|output| (output.name, value(output))).collect()
}

/// The line about them in the log: the ending, and what later steps mostly ask for.
pub(super) fn line(outcome: &Outcome) -> String {
    let mut said = format!("outcome={}", outcome.ending.word());
    if let Some(image) = &outcome.image {
        if let Some(tag) = &image.tag {
            said.push_str(&format!(" tag={}", shortened(tag.as_str(), 7)));
        }
        if let Some(digest) = &image.digest {
            said.push_str(&format!(" digest={}...", digest.short()));
        }
    }
    text::labelled("outputs", &said)
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        text.into()
    } else {
        format!("{}...", text.chars().take(most).collect::<String>())
    }
}
