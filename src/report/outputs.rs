//! The outputs of the step, made from the outcome: the same names in every run, empty where
//! there is nothing. Those without the registry's host cannot be emptied by a mask.

use super::event::Outcome;
use super::text;
use crate::names::Platform;

/// All outputs, in the order of the documentation.
pub(super) fn pairs(outcome: &Outcome, evidence: Option<String>) -> Vec<(&'static str, String)> {
    let image = outcome.image.as_ref();
    let json = |empty: bool, value: serde_json::Result<String>| {
        if empty { String::new() } else { value.unwrap_or_default() }
    };
    let platforms: Vec<_> = outcome.platforms.iter().map(Platform::to_string).collect();
    let tag = image.and_then(|i| i.tag.as_ref());
    let digest = image.and_then(|i| i.digest.as_ref());
    vec![
        ("outcome", outcome.ending.word().into()),
        ("code", outcome.told.as_ref().map(|t| t.code.to_string()).unwrap_or_default()),
        ("serving", outcome.serving.clone().unwrap_or_default()),
        ("image", image.map(ToString::to_string).unwrap_or_default()),
        ("evidence", evidence.unwrap_or_default()),
        ("plan", json(outcome.plan.is_none(), serde_json::to_string(&outcome.plan))),
        ("services", json(outcome.services.is_empty(), serde_json::to_string(&outcome.services))),
        ("repository", image.map(|i| i.repository.clone()).unwrap_or_default()),
        ("tag", tag.map(ToString::to_string).unwrap_or_default()),
        ("digest", digest.map(ToString::to_string).unwrap_or_default()),
        ("platforms", platforms.join(",")),
    ]
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
