//! Puts every image of a plan into ECR, before the first write to a cluster. Idempotent: what is
//! there is left alone.

mod engine;

use std::collections::BTreeMap;
use std::time::Instant;

use crate::aws::FoundRepository;
use crate::error::{Code, Failure};
use crate::names::{Digest, ImageRef};
use crate::plan::{ImageName, ImagePlan, Origin, Plan};
use crate::registry::{Progress, Pushed, Registry};
use crate::report::{Event, Reporter, Step, figures};
use crate::survey::source::{self, Source};
use crate::survey::{Facts, Remotes};

pub use engine::out_of_engine;

/// Every image of the plan, in ECR.
pub struct Published {
    /// By the plan's names.
    pub images: BTreeMap<ImageName, PublishedImage>,
    /// Whether this run wrote to ECR.
    pub wrote: bool,
}

impl Published {
    /// The digest of the one image there is.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.images.values().next().map(|image| &image.digest)
    }

    /// `host/name` of the one image there is.
    #[must_use]
    pub fn uri(&self) -> Option<&ImageRef> {
        self.images.values().next().map(|image| &image.uri)
    }
}

/// One image in ECR.
#[derive(Clone, Debug)]
pub struct PublishedImage {
    /// `host/name`.
    pub uri: ImageRef,
    /// What it is.
    pub digest: Digest,
    /// Every digest that a pod may report for it.
    pub digests: Vec<Digest>,
}

/// Publishes what the plan asks for.
///
/// # Errors
/// What ECR or its registry refuses; nothing is under the tag then.
pub async fn publish(
    plan: &Plan,
    facts: &Facts,
    remotes: &mut Remotes,
    report: &Reporter,
) -> Result<Published, Failure> {
    let mut published = Published { images: BTreeMap::new(), wrote: facts.made.is_some() };
    let source = facts.source.as_ref();
    let uri = facts.uri.as_ref();
    for (name, image) in &plan.images {
        let digest = image.origin.digest().ok_or_else(not_made)?;
        let (uri, wrote) = one(image, source, uri, remotes, report).await?;
        published.wrote |= wrote;
        let there = PublishedImage { uri, digest: digest.clone(), digests: image.digests.clone() };
        published.images.insert(name.clone(), there);
    }
    Ok(published)
}

async fn one(
    image: &ImagePlan,
    source: Option<&Source>,
    uri: Option<&ImageRef>,
    remotes: &mut Remotes,
    report: &Reporter,
) -> Result<(ImageRef, bool), Failure> {
    let uri = if image.create { create(image, remotes).await?.uri } else { known(image, uri)? };
    let (Origin::Take { .. } | Origin::Copy { .. }, Some(source)) = (&image.origin, source) else {
        return Ok((uri, false));
    };
    let registry = remotes.registry.as_ref().ok_or_else(no_registry)?;
    let begun = Instant::now();
    let pushed = push(registry, source, image, report).await?;
    report.say(Event::StepDone {
        step: Step::Push,
        took: begun.elapsed(),
        text: described(&pushed),
    });
    Ok((uri, true))
}

/// Creates the plan's repository: from then on it is there for everything that reads.
///
/// # Errors
/// ECR refuses.
pub async fn create(image: &ImagePlan, remotes: &mut Remotes) -> Result<FoundRepository, Failure> {
    let found = remotes.aws.create_repository(&image.repository).await?;
    let (registry, _) = source::registry(&remotes.aws, &image.repository).await?;
    remotes.registry = Some(registry);
    Ok(found)
}

fn known(image: &ImagePlan, uri: Option<&ImageRef>) -> Result<ImageRef, Failure> {
    image.uri.clone().or_else(|| uri.cloned()).ok_or_else(no_registry)
}

fn not_made() -> Failure {
    Failure::new(Code::RunBug, "the plan has an image that was not made yet")
}

fn no_registry() -> Failure {
    Failure::new(Code::RunBug, "the plan names no registry for its image")
}

async fn push(
    registry: &Registry,
    source: &Source,
    image: &ImagePlan,
    report: &Reporter,
) -> Result<Pushed, Failure> {
    let ear = Ear { report, begun: Instant::now() };
    let say = |progress: Progress<'_>| ear.heard(progress);
    match source {
        Source::Files(files) => registry.push(files, &image.tag, &[], &say).await,
        Source::Ecr(original) => {
            registry.copy(&original.registry, &original.held, &image.tag, &say).await
        }
        Source::Engine(_) => Err(not_made()),
    }
}

/// Who hears of a push, and since when it goes on.
struct Ear<'a> {
    report: &'a Reporter,
    begun: Instant,
}

impl Ear<'_> {
    fn heard(&self, progress: Progress<'_>) {
        if let Progress::Again { what, why, wait } = progress {
            self.working(format!("{what} again in {}: {why}", figures::took(wait)));
        }
    }

    fn working(&self, text: String) {
        self.report.say(Event::Working { step: Step::Push, took: self.begun.elapsed(), text });
    }
}

fn described(pushed: &Pushed) -> String {
    let Pushed { digest, new, new_bytes, reused } = pushed;
    format!("{}, {}", digest.short(), layers(*new, Some(*new_bytes), *reused))
}

/// `2 layers new (61 MB), 5 reused`; without bytes where nobody counted them.
fn layers(new: usize, bytes: Option<u64>, reused: usize) -> String {
    let count = |n: usize| if n == 1 { "1 layer".to_owned() } else { format!("{n} layers") };
    let bytes = bytes.map(|bytes| format!(" ({})", figures::size(bytes))).unwrap_or_default();
    match (new, reused) {
        (0, 0) => "no layer".into(),
        (0, reused) => format!("{} reused", count(reused)),
        (new, 0) => format!("{} new{bytes}", count(new)),
        (new, reused) => format!("{} new{bytes}, {reused} reused", count(new)),
    }
}
