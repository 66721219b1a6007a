//! The commit's status on GitHub: how this run ended, beside the commit it shipped.
//!
//! Last and least: it changes no result, waits for seconds at most, and says nothing where the
//! token may not set it, as most workflows' tokens may not.

use std::time::Duration;

use super::journey::Journey;
use crate::error::Ending;
use crate::github::api::State;
use crate::report::Outcome;

const PATIENCE: Duration = Duration::from_secs(5);

/// Sets the status of the commit that the event is about, where a token was given.
pub async fn announce(journey: &Journey<'_>, outcome: &Outcome) {
    let (Some(context), Some(_)) = (journey.context, &journey.inputs.github_token) else { return };
    let (Some(state), Some(github)) = (state(outcome.ending), &journey.github) else { return };
    let event = &context.event;
    let Some(sha) = event.head_sha.as_ref().or(event.sha.as_ref()) else { return };
    let told = outcome.told.as_ref().map(|told| told.what.clone());
    let description = outcome.line.clone().or(told).unwrap_or_else(|| outcome.ending.word().into());
    let url = context.run_url();
    let setting = github.commit_status(sha, state, &description, url.as_deref());
    let _ = tokio::time::timeout(PATIENCE, setting).await;
}

/// A cancelled run has no seconds left to talk to GitHub, and its job is marked anyway.
fn state(ending: Ending) -> Option<State> {
    match ending {
        Ending::Shipped | Ending::Unchanged | Ending::Superseded => Some(State::Success),
        Ending::BadInput | Ending::Refused | Ending::NotDeployed | Ending::RolledBack => {
            Some(State::Failure)
        }
        Ending::Displaced | Ending::NotRestored | Ending::Unknown | Ending::Bug => {
            Some(State::Error)
        }
        Ending::Cancelled => None,
    }
}
