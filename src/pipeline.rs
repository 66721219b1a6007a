//! The line: survey, plan, publish, clear, write, watch, settle, report. The story of a run, no detail.
//!
//! Each step takes what the step before returned, so none can run early. Up to the write every `?`
//! is a refusal; after it there is none.

pub mod announce;
pub mod blind;
pub mod journey;
mod making;
pub mod rolling;

use std::time::Instant;

use crate::cancel::Signal;
use crate::clear::Gate;
use crate::error::{Code, Failure};
use crate::inputs::table::Command;
use crate::plan::{self, Draft};
use crate::publish::{self, Published};
use crate::report::{Event, Outcome, Step};
use crate::survey::{self, Facts, Remotes};
use journey::{Halt, Journey, Now};

/// Ships, plans or goes back: one run, from its inputs to its outcome.
pub async fn run(journey: &Journey<'_>) -> Outcome {
    match line(journey).await {
        Ok(outcome) => outcome,
        Err(halt) => journey.halted(*halt),
    }
}

async fn line(journey: &Journey<'_>) -> Result<Outcome, Box<Halt>> {
    let (mut facts, mut remotes) = look(journey).await?;
    let now = Now::of(&facts);
    let plan = decide(journey, &facts, &now)?;
    if journey.inputs.command == Command::Plan {
        return Ok(journey.planned(&plan, &facts));
    }
    let plan = making::make(journey, plan, &mut facts, &mut remotes, &now).await?;
    // The same image may get a new commit's tag: it is pushed even where nothing rolls out.
    let published = push(journey, &plan, &facts, &mut remotes, &now).await?;
    if plan.change().is_some_and(|change| change.unchanged && !change.renames) {
        return Ok(journey.unchanged(&plan, &facts));
    }
    if plan.policy.push_only {
        return Ok(journey.pushed(&plan, &published));
    }
    rolling::out(journey, &plan, &published, &mut facts, &remotes, &now).await
}

/// Reads everything, with the first line of the run before and the count of reads after.
async fn look(journey: &Journey<'_>) -> Result<(Facts, Remotes), Box<Halt>> {
    let begun = Instant::now();
    let commit = journey.cancel.unless(journey.commit()).await.map_err(cancelled)?;
    let mut checked = commit.map_err(|failure| Halt::before_reads(*failure))?;
    journey.start(checked.commit.as_ref());
    checked.unseen.take().into_iter().for_each(|unseen| journey.report.say(Event::NotSeen(unseen)));
    let aws = journey.aws().map_err(Halt::before_reads)?;
    let looking = survey::look(journey.inputs, checked, aws, journey.github.as_ref());
    let looked = journey.cancel.unless(looking).await.map_err(cancelled)?;
    let (facts, remotes) = looked.map_err(|failure| Halt::unseen(journey.inputs, failure))?;
    journey.report.say(Event::Surveyed { took: begun.elapsed(), reads: facts.reads });
    Ok((facts, remotes))
}

/// Drafts the plan, prints it with everything that speaks against it, and refuses where it must.
fn decide(journey: &Journey<'_>, facts: &Facts, now: &Now) -> Result<plan::Plan, Box<Halt>> {
    let Draft { plan, rows, refusals, warnings } = plan::draft(journey.inputs, facts, &journey.run);
    journey.report.say(Event::Planned { rows });
    facts.unseen.iter().for_each(|unseen| journey.report.say(Event::NotSeen(unseen.clone())));
    warnings.into_iter().for_each(|(warning, notice)| journey.warn(warning, notice));
    match plan {
        Some(plan) if refusals.is_empty() => Ok(plan),
        _ => Err(Halt::refused(refusals, now)),
    }
}

async fn push(
    journey: &Journey<'_>,
    plan: &plan::Plan,
    facts: &Facts,
    remotes: &mut Remotes,
    now: &Now,
) -> Result<Published, Box<Halt>> {
    let pushing = publish::publish(plan, facts, remotes, journey.report);
    match journey.cancel.unless(pushing).await {
        Ok(Ok(published)) => Ok(published),
        Ok(Err(failure)) => Err(Halt::not_deployed(failure, now)),
        Err(signal) => Err(Halt::not_deployed(cancel_failure(signal), now)),
    }
}

/// Clears and says so: the last step that may stop without a write to the cluster.
pub(crate) async fn clear(
    journey: &Journey<'_>,
    gate: &Gate<'_>,
    place: &mut survey::place::Place,
    wrote: bool,
) -> Result<crate::clear::Cleared, Box<Halt>> {
    let begun = Instant::now();
    let clearing = crate::clear::clear(gate, place);
    let cleared = match journey.cancel.unless(clearing).await {
        Ok(cleared) => cleared,
        Err(signal) => Err(cancel_failure(signal)),
    };
    let now = Now::at(place);
    let cleared = cleared.map_err(|failure| Halt::at_the_gate(failure, wrote, &now))?;
    let since = if cleared.changed {
        "changed since the plan, planned again"
    } else {
        "unchanged since the plan"
    };
    let tried = if cleared.tried {
        "dry run accepted"
    } else {
        "no dry run: an admission webhook does not support one"
    };
    journey.report.say(Event::StepDone {
        step: Step::Clear,
        took: begun.elapsed(),
        text: format!("{since}, {tried}"),
    });
    Ok(cleared)
}

pub(crate) fn cancelled(signal: Signal) -> Box<Halt> {
    Halt::before_reads(cancel_failure(signal))
}

fn cancel_failure(signal: Signal) -> Failure {
    Failure::new(Code::RunCancelled, "cancelled before the patch")
        .why(signal.said())
        .next("run again")
}
