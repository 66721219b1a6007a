//! What has no digest before it is made: it is built, or taken out of the engine, pushed, and the plan
//! is made again with it. So everything after this knows what it ships.

use super::cancel_failure;
use super::journey::{Halt, Journey, Now};
use crate::aws::RepositoryState;
use crate::build;
use crate::checkout;
use crate::docker::{EngineImage, Login};
use crate::error::{Code, Failure};
use crate::plan::build::Building;
use crate::plan::{self, Draft, ImagePlan, Origin, Plan};
use crate::publish;
use crate::registry::Held;
use crate::survey::source::Source;
use crate::survey::{Facts, Remotes};

/// Makes the plan's image, where it is not there yet, and plans again.
pub(super) async fn make(
    journey: &Journey<'_>,
    plan: Plan,
    facts: &mut Facts,
    remotes: &mut Remotes,
    now: &Now,
) -> Result<Plan, Box<Halt>> {
    let Some(image) = plan.image().filter(|image| image.origin.digest().is_none()) else {
        return Ok(plan);
    };
    let made = match journey.cancel.unless(made(journey, image, facts, remotes)).await {
        Ok(made) => made.map_err(|failure| Halt::not_deployed(failure, now))?,
        Err(signal) => return Err(Halt::not_deployed(cancel_failure(signal), now)),
    };
    facts.made = Some(made);
    // It was printed before: the digest is what is new in it.
    let Draft { plan, refusals, .. } = plan::draft(journey.inputs, facts, &journey.run);
    match plan {
        Some(plan) if refusals.is_empty() => Ok(plan),
        _ => Err(Halt::all_not_deployed(refusals, now)),
    }
}

async fn made(
    journey: &Journey<'_>,
    image: &ImagePlan,
    facts: &mut Facts,
    remotes: &mut Remotes,
) -> Result<Held, Failure> {
    if image.create {
        let found = publish::create(image, remotes).await?;
        facts.uri = Some(found.uri.clone());
        facts.repository = Some((image.repository.clone(), RepositoryState::Found(found)));
    }
    let out = publish::out_of_engine;
    let commit = facts.commit.as_ref().ok_or_else(lost)?;
    let before = facts.held.as_ref().map(|held| &held.manifest.digest);
    match &image.origin {
        Origin::Build(building) => {
            let images = build(journey, building, image, facts, remotes).await?;
            let Some(Ok(shop)) = facts.bench.as_ref().map(|bench| &bench.engine) else {
                return Err(lost());
            };
            out((&shop.engine, &images), image, (commit, before), remotes, journey.report).await
        }
        Origin::Engine { .. } => {
            let Some(Source::Engine(given)) = &facts.source else { return Err(lost()) };
            let images = std::slice::from_ref(&given.image);
            out((&given.engine, images), image, (commit, before), remotes, journey.report).await
        }
        Origin::Reuse(_) | Origin::Take { .. } | Origin::Copy { .. } => Err(lost()),
    }
}

fn lost() -> Failure {
    Failure::new(Code::RunBug, "the plan makes an image out of nothing")
}

async fn build(
    journey: &Journey<'_>,
    building: &Building,
    image: &ImagePlan,
    facts: &Facts,
    remotes: &Remotes,
) -> Result<Vec<EngineImage>, Failure> {
    let bench = facts.bench.as_ref().ok_or_else(lost)?;
    let commit = facts.commit.as_ref().ok_or_else(lost)?;
    let context = journey.context;
    let source = context.and_then(|c| Some(format!("{}/{}", c.server_url, c.repository.as_ref()?)));
    let remote = || checkout::remote(&journey.inputs.context);
    let source = source.or_else(|| remote().map(|name| format!("https://github.com/{name}")));
    let origin = build::Origin {
        revision: commit.sha.as_str(),
        source: source.as_deref(),
        event: context.and_then(|context| context.event.name.as_deref()),
        made: checkout::made(&journey.inputs.context, &commit.sha),
        own: own_login(facts, remotes).await?,
        name: remotes.registry.as_ref().map(|registry| registry.name_of(&image.tag)),
    };
    build::build(journey.inputs, building, bench, &origin, journey.report).await
}

/// The repository's own registry may have base images, too.
async fn own_login(facts: &Facts, remotes: &Remotes) -> Result<Option<Login>, Failure> {
    let Some(host) = facts.uri.as_ref().and_then(|uri| uri.registry.clone()) else {
        return Ok(None);
    };
    let login = remotes.aws.registry_login().await?;
    Ok(Some(Login { host, user: login.user, password: login.password, is_ours: true }))
}
