//! `index`: joins the images of one commit, pushed by a native runner each, into one OCI index under the
//! commit's own tag. Everything is read and compared before the one write; no cluster is looked at.

mod join;
mod part;

use std::time::Instant;

use crate::aws::{Caller, RepositoryState};
use crate::cancel::Signal;
use crate::error::{Code, Ending, Failure};
use crate::image::Image;
use crate::names::{Commit, Digest, ImageRef, Platform, Repository};
use crate::pipeline::journey::{Halt, Journey, Now, outcome};
use crate::plan::{image, rows};
use crate::registry::{Held, Progress, Reference, Registry};
use crate::report::{Event, Outcome, Step, figures};
use crate::survey::platforms::list;
use crate::survey::source::{self, Shelf};
use crate::survey::{self, Reads};
use part::{Found, Part};

/// What was read.
struct Facts {
    commit: Commit,
    caller: Caller,
    repository: Repository,
    /// Tags cannot be set twice.
    is_immutable: bool,
    /// `host/name`.
    uri: ImageRef,
    registry: Registry,
    /// What the commit's own tag names.
    held: Option<Held>,
    found: Vec<Found>,
}

/// What is to be done.
enum Wanted {
    Put(Image),
    /// The commit's tag has it, or had it before its parts went.
    There(Digest),
}

/// Joins, and says how that ended.
pub async fn index(journey: &Journey<'_>) -> Outcome {
    match line(journey).await {
        Ok(outcome) => outcome,
        Err(halt) => journey.halted(*halt),
    }
}

async fn line(journey: &Journey<'_>) -> Result<Outcome, Box<Halt>> {
    let looking = journey.cancel.unless(look(journey)).await;
    let facts = looking.map_err(|signal| Halt::before_reads(cancelled(signal)))??;
    let platforms = expected(&journey.inputs.platforms);
    match decide(journey, &facts, &platforms)? {
        Wanted::There(digest) => Ok(there(journey, &facts, &platforms, &digest)),
        Wanted::Put(image) => put(journey, &facts, &platforms, &image).await,
    }
}

/// The platforms whose images are joined, each once, in the order of the index.
fn expected(given: &[Platform]) -> Vec<Platform> {
    let mut platforms = if given.is_empty() { Platform::usual().to_vec() } else { given.to_vec() };
    platforms.sort();
    platforms.dedup();
    platforms
}

async fn look(journey: &Journey<'_>) -> Result<Facts, Box<Halt>> {
    let begun = Instant::now();
    let inputs = journey.inputs;
    let commit = journey.commit().await.map_err(|failure| Halt::before_reads(*failure))?.commit;
    // What differs in the tree is in no image that is joined.
    let commit =
        commit.map(|commit| Commit { dirty: false, ..commit }).ok_or_else(nothing_named)?;
    journey.start(Some(&commit));
    let aws = journey.aws().map_err(Halt::before_reads)?;
    let unseen = |failure: Failure| Halt::unseen(inputs, failure);
    let reads = Reads::default();
    let caller = survey::caller(inputs, &aws, &reads).await.map_err(unseen)?;
    // No commit is said: the tag of one platform is not what is looked for, whatever `until` says.
    let shelf =
        source::shelf(inputs, None, (&aws, &caller.account), &reads).await.map_err(unseen)?;
    let Shelf { repository, uri, missing, registry, unseen: dim, .. } = shelf;
    let (Some((repository, state)), Some(uri), Some(registry)) = (repository, uri, registry) else {
        return Err(Halt::refused(missing.into_iter().collect(), &Now::unlooked()));
    };
    dim.into_iter().for_each(|unseen| journey.report.say(Event::NotSeen(unseen)));
    let platforms = expected(&inputs.platforms);
    reads.add(platforms.len() + 1);
    let reading = platforms.iter().map(|platform| part::read(&registry, &commit, platform));
    let reading = futures_util::future::try_join_all(reading);
    let own = Reference::Tag(commit.tag());
    let (held, found) = tokio::try_join!(registry.held(&own), reading).map_err(unseen)?;
    journey.report.say(Event::Surveyed { took: begun.elapsed(), reads: reads.count() });
    let is_immutable = match &state {
        RepositoryState::Found(found) => !found.mutability.may_overwrite(&commit.tag()),
        RepositoryState::Missing | RepositoryState::NotSeen(_) => false,
    };
    Ok(Facts { commit, caller, repository, is_immutable, uri, registry, held, found })
}

fn nothing_named() -> Box<Halt> {
    let failure = Failure::new(Code::CommitMissing, "no commit is known").next("give `commit:`");
    Halt::before_reads(failure)
}

/// Compares, prints what will be done, and refuses where the parts do not belong together.
fn decide(
    journey: &Journey<'_>,
    facts: &Facts,
    platforms: &[Platform],
) -> Result<Wanted, Box<Halt>> {
    let inputs = journey.inputs;
    let parts: Vec<&Part> = facts.found.iter().filter_map(Found::there).collect();
    let mut refusals: Vec<_> = facts.found.iter().filter_map(Found::wrong).cloned().collect();
    let absent: Vec<_> = facts.found.iter().filter_map(Found::absent).collect();
    let kept = facts.held.as_ref().filter(|held| join::covers(held, platforms, &parts));
    let kept = kept.filter(|_| !absent.is_empty());
    if !absent.is_empty() && kept.is_none() {
        refusals.push(join::missing(facts, platforms, inputs.platforms.is_empty()));
    }
    let labels = match kept {
        Some(held) => join::contradictions_within(&facts.commit, &held.configs),
        None => join::contradictions(&facts.commit, &parts),
    };
    let (allowed, contradicting): (Vec<_>, Vec<_>) =
        labels.into_iter().partition(|failure| inputs.allows(failure.code));
    refusals.extend(contradicting);
    let joined = join::joined(&facts.commit, &parts);
    let held = facts.held.as_ref().map(|held| &held.manifest.digest);
    if refusals.is_empty()
        && kept.is_none()
        && facts.held.as_ref().is_some_and(|held| held.manifest.digest != joined.root.digest)
    {
        refusals.extend(facts.held.as_ref().map(|held| join::conflict(facts, held, &joined)));
    }
    let is_there = kept.is_some() || held == Some(&joined.root.digest);
    say_rows(journey, facts, &parts, is_there, &refusals);
    for failure in allowed {
        journey.warn(Failure { next: vec!["nothing: it is allowed".into()], ..failure }, false);
    }
    match (refusals.is_empty(), held) {
        (false, _) => Err(Halt::refused(refusals, &Now::unlooked())),
        (true, Some(held)) if is_there => Ok(Wanted::There(held.clone())),
        (true, _) => Ok(Wanted::Put(joined)),
    }
}

fn say_rows(
    journey: &Journey<'_>,
    facts: &Facts,
    parts: &[&Part],
    is_there: bool,
    refusals: &[Failure],
) {
    let name = format!("{}:{}", facts.repository, facts.commit.short());
    let image = match &facts.held {
        Some(held) if is_there => format!("{name} is in ECR: {}", held.manifest.digest.short()),
        Some(held) => format!("{name} is in ECR, and another: {}", held.manifest.digest.short()),
        None if refusals.is_empty() => {
            format!("{name} is not in ECR: join {}", figures::count(parts.len(), "image"))
        }
        None => format!("{name} is not in ECR"),
    };
    let mut all = vec![
        ("who".to_owned(), rows::who(journey.inputs, &facts.caller)),
        ("image".to_owned(), image),
    ];
    all.extend(parts.iter().map(|part| ("part".to_owned(), part.row(&facts.commit))));
    journey.report.say(Event::Planned { rows: all });
}

fn there(journey: &Journey<'_>, facts: &Facts, platforms: &[Platform], digest: &Digest) -> Outcome {
    let name = format!("{}:{}", facts.repository, facts.commit.short());
    Outcome {
        line: Some(format!("unchanged: ECR already has {name} for {}", list(platforms))),
        ..ended(journey, facts, platforms, digest, Ending::Unchanged)
    }
}

async fn put(
    journey: &Journey<'_>,
    facts: &Facts,
    platforms: &[Platform],
    joined: &Image,
) -> Result<Outcome, Box<Halt>> {
    let begun = Instant::now();
    let say = |progress: Progress<'_>| {
        if let Progress::Again { what, why, wait } = progress {
            let text = format!("{what} again in {}: {why}", figures::took(wait));
            journey.report.say(Event::Working { step: Step::Push, took: begun.elapsed(), text });
        }
    };
    let tag = facts.commit.tag();
    let pushing = facts.registry.push(joined, &tag, &[], &say);
    let failed = |failure| Halt::not_deployed(failure, &Now::unlooked());
    let pushed =
        journey.cancel.unless(pushing).await.map_err(|signal| failed(cancelled(signal)))?;
    let pushed = pushed.map_err(|failure| failed(join::raced(failure)))?;
    journey.report.say(Event::StepDone {
        step: Step::Push,
        took: begun.elapsed(),
        text: format!(
            "{}, an index of {}",
            pushed.digest.short(),
            figures::count(platforms.len(), "image")
        ),
    });
    Ok(Outcome {
        line: Some(format!(
            "joined {}:{} for {} in {}",
            facts.repository,
            facts.commit.short(),
            list(platforms),
            figures::took(journey.begun.elapsed())
        )),
        ..ended(journey, facts, platforms, &pushed.digest, Ending::Shipped)
    })
}

fn ended(
    journey: &Journey<'_>,
    facts: &Facts,
    platforms: &[Platform],
    digest: &Digest,
    ending: Ending,
) -> Outcome {
    let tag = facts.commit.tag();
    Outcome {
        image: Some(image::reference(&facts.uri, &tag, digest, journey.inputs.spelling)),
        platforms: platforms.to_vec(),
        ..outcome(ending)
    }
}

fn cancelled(signal: Signal) -> Failure {
    Failure::new(Code::RunCancelled, "cancelled before the index was seen in ECR")
        .why(signal.said())
        .next("run again")
}
