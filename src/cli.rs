//! The command line: what was asked, help, and the commands that need no AWS. Everything else goes
//! to the pipeline, with the signals, the report and the run's identity set up here once.

pub mod bug;
pub mod completions;
#[cfg(feature = "sandbox")]
pub mod demo;
pub mod help;
pub mod voice;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::cancel::{self, Cancel};
use crate::error::{Code, Ending, Failure, Severity, Told};
use crate::github::context::Context;
use crate::inputs::raw::{self, Asked, Environment, Fault};
use crate::inputs::table::{Command, INPUTS, Ways};
use crate::inputs::{Inputs, Refused};
use crate::pipeline::journey::{self, Journey};
use crate::plan::Run;
use crate::record::Mark;
use crate::report::{Event, Outcome, Reporter};
use crate::{guard, history, index, pipeline, survey};
use voice::Voice;

/// Does what was asked, and returns the exit code.
pub fn main(words: &[String], environment: &Environment, voice: Voice) -> u8 {
    let (asked, faults) = raw::arguments(words, environment);
    match asked {
        Asked::Help(command) => voice.data(&help::text(command)),
        Asked::Version => voice.data(&format!("slipway {}\n", env!("CARGO_PKG_VERSION"))),
        Asked::Run(command, words, flags) if command.takes_inputs() || !faults.is_empty() => {
            let report = Arc::new(voice.reporter(environment, asks_json(&flags, environment)));
            mask_inputs(&report, environment);
            let _ = words;
            let work = async { run(command, flags, faults, environment, &report).await };
            let exit = with_runtime(&report, work);
            voice.checked(command, exit, &report)
        }
        Asked::Run(Command::Explain, words, _) => explain(&words, voice),
        Asked::Run(Command::Completions, words, _) => {
            match completions::script(words.first().map(String::as_str)) {
                Ok(script) => voice.data(&script),
                Err(failure) => refuse(failure, environment, voice),
            }
        }
        #[cfg(feature = "sandbox")]
        Asked::Run(command @ (Command::Demo | Command::Sandbox), words, _) => {
            demo::main(command, &words, environment, voice)
        }
        Asked::Run(command, ..) => {
            let failure = Failure::new(
                Code::InputInvalid,
                format!("`{}` is not in this build", command.word()),
            )
            .why("the action's image has no sandbox: no fake AWS beside production keys")
            .next("cargo install slipway, and run it there");
            refuse(failure, environment, voice)
        }
    }
}

fn explain(words: &[String], voice: Voice) -> u8 {
    let Some(topic) = words.first() else { return voice.data(&crate::explain::list()) };
    match crate::explain::explain(topic) {
        Ok(page) => voice.data(&page),
        Err(failure) => refuse(failure, &Environment::new(), voice),
    }
}

fn refuse(failure: Failure, environment: &Environment, voice: Voice) -> u8 {
    let report = voice.reporter(environment, false);
    bad_input(Refused { failure, places: Vec::new() }, &report)
}

fn asks_json(flags: &BTreeMap<&'static str, String>, environment: &Environment) -> bool {
    let given = |name: &str| environment.get(name).is_some_and(|v| v == "true");
    flags.get("json").is_some_and(|v| v == "true") || given("INPUT_JSON") || given("SLIPWAY_JSON")
}

/// Secrets are masked before anything is printed, whether the inputs can be used or not.
fn mask_inputs(report: &Reporter, environment: &Environment) {
    for input in INPUTS.iter().filter(|input| input.ways == Ways::Secret) {
        let names = [input.own_variable(), input.action_variable()];
        let names = names.iter().map(String::as_str).chain(input.environment.iter().copied());
        names.filter_map(|name| environment.get(name)).for_each(|secret| report.mask(secret));
    }
    if let Some(token) = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN") {
        report.mask(token);
    }
}

fn with_runtime(report: &Reporter, work: impl Future<Output = u8>) -> u8 {
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let exit = runtime.block_on(work);
            // What still runs is reading for nobody: it must not hold up the exit.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            let failure =
                Failure::new(Code::RunBug, "no runtime could be started").why(error.to_string());
            conclude(journey::told_outcome(Ending::Bug, failure, "not looked at", report), report)
        }
    }
}

async fn run(
    command: Command,
    flags: BTreeMap<&'static str, String>,
    faults: Vec<Fault>,
    environment: &Environment,
    report: &Arc<Reporter>,
) -> u8 {
    let cancel = match cancel::of_this_process() {
        Ok(cancel) => cancel,
        Err(error) => {
            let failure =
                Failure::new(Code::RunBug, "signals cannot be heard").why(error.to_string());
            return conclude(
                journey::told_outcome(Ending::Bug, failure, "not looked at", report),
                report,
            );
        }
    };
    let context = Context::read(&|name: &str| environment.get(name).cloned());
    let fork = context.as_ref().is_some_and(|context| context.is_fork_pull_request);
    let inputs = match Inputs::read(command, flags, faults, environment, Path::new("."), fork) {
        Ok(inputs) => inputs,
        Err(refused) => return bad_input(refused, report),
    };
    inputs.build.each_secret(|secret| report.mask(secret));
    tokio::select! {
        outcome = travel(&inputs, context.as_ref(), environment, report, &cancel) => conclude(outcome, report),
        () = cancel.insisted() => conclude(insisted(report), report),
    }
}

/// Dropped by a third signal: nothing was waited for, so nothing is known.
fn insisted(report: &Reporter) -> Outcome {
    let told = Told {
        severity: Severity::Error,
        code: Code::RunCancelled,
        what: "this run was dropped where it stood".into(),
        why: vec!["a third signal".into()],
        now: Some("not looked at".into()),
        next: vec!["slipway status".into()],
    };
    report.say(Event::Told(told.clone()));
    Outcome { told: Some(told), ..journey::outcome(Ending::Cancelled) }
}

async fn travel(
    inputs: &Inputs,
    context: Option<&Context>,
    environment: &Environment,
    report: &Arc<Reporter>,
    cancel: &Cancel,
) -> Outcome {
    let secrets = report.clone();
    let journey = Journey {
        inputs,
        context,
        run: identity(context, environment),
        github: survey::github(inputs, context),
        report,
        cancel,
        secrets: Arc::new(move |secret: &str| secrets.mask(secret)),
        begun: Instant::now(),
    };
    match inputs.command {
        Command::Status => history::status(&journey).await,
        Command::History => history::history(&journey).await,
        Command::Index => index::index(&journey).await,
        _ if inputs.identity.is_none() => pipeline::blind::plan(&journey).await,
        Command::Plan => pipeline::run(&journey).await,
        _ => {
            let outcome = pipeline::run(&journey).await;
            pipeline::announce::announce(&journey, &outcome).await;
            outcome
        }
    }
}

/// Who this run is among other runs: the runner's numbers, or a name that no other run has.
fn identity(context: Option<&Context>, environment: &Environment) -> Run {
    let now = jiff::Timestamp::now();
    let by_hand = || {
        let user = environment
            .get("USER")
            .or_else(|| environment.get("LOGNAME"))
            .map_or("cli", String::as_str);
        format!("{user}-{}", now.as_millisecond())
    };
    let run = context
        .and_then(|c| c.run_id.map(|id| format!("{id}.{}", c.run_attempt)))
        .unwrap_or_else(by_hand);
    let event = context.map(|context| &context.event);
    Run {
        mark: Mark {
            run,
            number: context.and_then(|c| c.run_number),
            workflow: context.and_then(|c| c.workflow_file.clone()),
            reference: context.and_then(|c| c.ref_name.clone()),
            at: format!("{:.0}", now),
        },
        push: guard::Push {
            before: event
                .filter(|e| e.name.as_deref() == Some("push"))
                .and_then(|e| e.before.clone()),
            forced: event.is_some_and(|e| e.forced),
        },
        is_rerun: context.is_some_and(|c| c.is_rerun),
        now,
    }
}

fn bad_input(refused: Refused, report: &Reporter) -> u8 {
    let Refused { failure, places } = refused;
    let mut outcome = journey::outcome(Ending::BadInput);
    let told = journey::told(journey::first_words(Ending::BadInput), failure, "not looked at");
    let place = places.into_iter().find_map(|fault| fault.place);
    report.say(match place {
        Some(place) => Event::Placed {
            told: told.clone(),
            file: place.file,
            line: narrow(place.line),
            column: narrow(place.column),
        },
        None => Event::Told(told.clone()),
    });
    outcome.told = Some(told);
    conclude(outcome, report)
}

/// Lines and columns of a file that somebody wrote by hand.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The last event, and the exit code that it says.
fn conclude(outcome: Outcome, report: &Reporter) -> u8 {
    let exit = outcome.ending.exit();
    report.say(Event::Outcome(Box::new(outcome)));
    exit
}
