//! The image's side of the plan: reuse what ECR has, take what was given, or say what is missing.
//!
//! Pure. A tag that exists is never overwritten, but for that of a dirty tree.

use std::collections::BTreeMap;

use crate::aws::{FoundRepository, RepositoryState};
use crate::error::{Code, Failure};
use crate::image::{Configured, Image};
use crate::inputs::{Inputs, Intent, Spelling};
use crate::names::{Commit, CommitPrefix, CommitSha, Digest, ImageRef, Platform, Repository, Tag};
use crate::recipe::{EVENT, RECIPE, REVISION};
use crate::registry::Held;
use crate::restore::short_commit;
use crate::survey::Facts;
use crate::survey::platforms::{Needs, list};
use crate::survey::source::{InEngine, Source};

use super::{Draft, ImagePlan, Origin};

/// The image that the run wants to serve.
pub struct Wanted {
    /// Of this commit.
    pub commit: Commit,
    /// Under this tag.
    pub tag: Tag,
    /// In this repository.
    pub repository: Repository,
    /// Its settings, where they were seen.
    pub found: Option<FoundRepository>,
    /// It is created first.
    pub create: bool,
    /// From where.
    pub origin: Origin,
    /// What it runs on.
    pub has: Vec<Platform>,
    /// Every digest a pod may report for it.
    pub digests: Vec<Digest>,
}

impl Wanted {
    /// As refusals quote it: what was typed, or `web:9f2c1e4`.
    #[must_use]
    pub fn quoted(&self) -> String {
        match &self.origin {
            Origin::Take { shown, .. }
            | Origin::Engine { shown, .. }
            | Origin::Copy { shown, .. } => format!("`{shown}`"),
            Origin::Reuse(_) | Origin::Build(_) => format!("`{}`", self.short()),
        }
    }

    /// `web:9f2c1e4`.
    #[must_use]
    pub fn short(&self) -> String {
        format!("{}:{}", self.repository, short_tag(&self.tag, &self.commit))
    }

    /// What to do where a platform is missing.
    #[must_use]
    pub fn fix(&self, needs: &Needs) -> Vec<String> {
        let platforms =
            needs.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        match &self.origin {
            Origin::Take { shown, is_folder, .. } => {
                // Buildx writes a file, unless it is told not to.
                let form = if *is_folder { "oci,tar=false" } else { "oci" };
                vec![format!(
                    "docker buildx build --platform {platforms} --output type={form},dest={shown} ."
                )]
            }
            Origin::Engine { shown, .. } => {
                vec![format!(
                    "leave out `image`, or docker build --platform {platforms} -t {shown} ."
                )]
            }
            Origin::Reuse(_) | Origin::Copy { .. } | Origin::Build(_) => {
                vec![format!("ship a new commit whose image is built for {platforms}")]
            }
        }
    }

    /// The plan of this image.
    #[must_use]
    pub fn planned(self, needs: Option<Needs>) -> ImagePlan {
        ImagePlan {
            uri: self.found.map(|found| found.uri),
            tag: self.tag,
            create: self.create,
            origin: self.origin,
            repository: self.repository,
            needs,
            has: self.has,
            digests: self.digests,
        }
    }
}

/// A commit's tag with the commit as people read it: `9f2c1e4-linux-arm64`.
#[must_use]
pub fn short_tag(tag: &Tag, commit: &Commit) -> String {
    tag.as_str().replacen(commit.sha.as_str(), commit.sha.short(), 1)
}

/// Decides which image serves, or adds why none can.
pub fn wanted(
    inputs: &Inputs,
    facts: &Facts,
    needs: Option<&Needs>,
    draft: &mut Draft,
) -> Option<Wanted> {
    let (repository, state) = facts.repository.as_ref()?;
    let (found, create) = match state {
        RepositoryState::Found(found) => (Some(found.clone()), false),
        RepositoryState::NotSeen(_) => (None, false),
        RepositoryState::Missing if inputs.create_repository && inputs.intent == Intent::Ship => {
            (None, true)
        }
        RepositoryState::Missing => {
            let missing = facts.missing.clone().into_iter();
            draft.refusals.extend(missing.map(|failure| {
                failure.next("or `create-repository: true`: immutable tags, scan on push")
            }));
            return None;
        }
    };
    let chosen = match &inputs.intent {
        Intent::Ship => shipped(inputs, facts, (needs, found.as_ref()), draft),
        Intent::Rollback(to) => earlier(to, facts),
    };
    match chosen {
        Ok(Chosen { commit, origin, has, digests }) => Some(Wanted {
            tag: crate::survey::tag(inputs, &commit),
            commit,
            repository: repository.clone(),
            found,
            create,
            origin,
            has,
            digests,
        }),
        Err(failure) => {
            draft.refusals.push(*failure);
            None
        }
    }
}

struct Chosen {
    commit: Commit,
    origin: Origin,
    has: Vec<Platform>,
    digests: Vec<Digest>,
}

fn shipped(
    inputs: &Inputs,
    facts: &Facts,
    (needs, found): (Option<&Needs>, Option<&FoundRepository>),
    draft: &mut Draft,
) -> Result<Chosen, Box<Failure>> {
    let Some(commit) = facts.commit.clone() else {
        return Err(Box::new(
            Failure::new(Code::CommitMissing, "no commit is known").next("give `commit:`"),
        ));
    };
    if let Some(made) = &facts.made {
        return Ok(reuse(commit, made));
    }
    // Only the tag of a changed tree moves, and only where nobody needs what it names.
    let moves = |held: &Held| {
        commit.dirty
            && found
                .is_none_or(|f| f.mutability.may_overwrite(&crate::survey::tag(inputs, &commit)))
            && !is_needed(&held.manifest.digest, facts)
    };
    let held = facts.held.as_ref();
    if let Some(source) = &facts.source {
        super::leaks::image(inputs, source, draft);
        idle(inputs, draft);
    }
    match &facts.source {
        Some(source) => match held {
            Some(held) if is_same(source, held) => Ok(reuse(commit, held)),
            Some(held) if !moves(held) => {
                let given = (shown(source), given_digest(source));
                Err(Box::new(conflict(inputs, (facts, &commit), Some(given), (held, found))))
            }
            _ => Ok(given(commit, source)),
        },
        None => match held {
            Some(held) if !commit.dirty => {
                recipe(inputs, facts, &commit, held, draft)?;
                Ok(reuse(commit, held))
            }
            Some(held) if !moves(held) => {
                Err(Box::new(conflict(inputs, (facts, &commit), None, (held, found))))
            }
            None if !facts.parts.is_empty() => Err(unjoined(facts, &commit)),
            _ => {
                let building = super::build::building(inputs, facts, &commit, needs, draft)?;
                let has = building.platforms.clone();
                Ok(Chosen { commit, origin: Origin::Build(building), has, digests: Vec::new() })
            }
        },
    }
}

/// Native runners pushed the commit's images, and none is under its own tag: one that is built here would take the
/// tag from all of them.
fn unjoined(facts: &Facts, commit: &Commit) -> Box<Failure> {
    let name = facts.uri.as_ref().map(|uri| (uri.to_string(), uri.repository.clone()));
    let (uri, name) = name.unwrap_or_default();
    let tags: Vec<_> = facts.parts.iter().map(|tag| short_tag(tag, commit)).collect();
    let only: Vec<_> = facts.parts.iter().map(|tag| format!("image: {uri}:{tag}")).collect();
    let failure = Failure::new(
        Code::PlatformMissing,
        format!("the images of {} for each platform are not joined", commit.short()),
    )
    .why(format!("ECR `{name}` has {}, and no {}", tags.join(" and "), commit.short()))
    .next("run `command: index` before this step, once all of them are pushed");
    // With both there is no one to take.
    Box::new(match &only[..] {
        [only] => failure.next(format!("or, to ship that one alone, `{only}`")),
        _ => failure,
    })
}

/// Inputs of a build that there is none of.
fn idle(inputs: &Inputs, draft: &mut Draft) {
    let names: Vec<_> = inputs.build.said.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return;
    }
    let what = format!("nothing is built, since `image` is given: {} not read", names.join(", "));
    let failure = Failure::new(Code::InputInvalid, what);
    draft.warnings.push((failure.next("leave out `image` to build, or the others"), true));
}

fn shown(source: &Source) -> &str {
    match source {
        Source::Files(image) => &image.shown,
        Source::Engine(given) => &given.shown,
        Source::Ecr(original) => &original.shown,
    }
}

/// The digest of what was given, where it has one before it is pushed.
fn given_digest(source: &Source) -> Option<&Digest> {
    match source {
        Source::Files(image) => Some(&image.root.digest),
        Source::Engine(_) => None,
        Source::Ecr(original) => Some(&original.held.manifest.digest),
    }
}

/// Whether ECR has it already. An engine knows an image by its manifest or by its config.
fn is_same(source: &Source, held: &Held) -> bool {
    match source {
        Source::Files(image) => image.root.digest == held.manifest.digest,
        Source::Ecr(original) => original.held.manifest.digest == held.manifest.digest,
        Source::Engine(given) => {
            let is = |digest: &Digest| *digest == given.image.id;
            is(&held.manifest.digest)
                || matches!(&held.configs[..], [only] if is(&only.digest) || is(&only.manifest))
        }
    }
}

fn given(commit: Commit, source: &Source) -> Chosen {
    match source {
        Source::Files(image) => take(commit, image),
        Source::Ecr(original) => {
            let digest = original.held.manifest.digest.clone();
            let origin = Origin::Copy { shown: original.shown.clone(), digest };
            Chosen { origin, ..reuse(commit, &original.held) }
        }
        Source::Engine(given) => {
            let InEngine { shown, image, .. } = &**given;
            let (id, size) = (image.id.clone(), image.size);
            let origin = Origin::Engine { shown: shown.clone(), id, size };
            Chosen { commit, origin, has: vec![image.platform.clone()], digests: Vec::new() }
        }
    }
}

/// Whether pods run this image or a rollback would restore it: without a tag, ECR's lifecycle rules
/// take it away.
fn is_needed(digest: &Digest, facts: &Facts) -> bool {
    let Some(place) = &facts.place else { return false };
    let set = place.live.containers.iter().map(|container| &container.image);
    let completed = place.health.completed.iter();
    let runs = completed.clone().flat_map(|revision| revision.digests.values().flatten());
    let images = completed.flat_map(|revision| revision.images.values());
    let named = set.chain(images).filter_map(|image| crate::restore::pinned(image));
    runs.cloned().chain(named).any(|needed| needed == *digest)
}

fn take(commit: Commit, image: &Image) -> Chosen {
    let mut digests = vec![image.root.digest.clone()];
    digests.extend(image.children.iter().map(|child| child.digest.clone()));
    let origin = Origin::Take {
        shown: image.shown.clone(),
        is_folder: image.is_folder,
        digest: image.root.digest.clone(),
        size: image.size(),
    };
    Chosen { commit, origin, has: image.platforms.clone(), digests }
}

fn reuse(commit: Commit, held: &Held) -> Chosen {
    let mut digests = vec![held.manifest.digest.clone()];
    digests.extend(held.configs.iter().map(|config| config.manifest.clone()));
    digests.dedup();
    Chosen {
        commit,
        origin: Origin::Reuse(held.manifest.digest.clone()),
        has: held.platforms.clone(),
        digests,
    }
}

fn conflict(
    inputs: &Inputs,
    (facts, commit): (&Facts, &Commit),
    given: Option<(&str, Option<&Digest>)>,
    (held, found): (&Held, Option<&FoundRepository>),
) -> Failure {
    let whole = crate::survey::tag(inputs, commit);
    let tag = short_tag(&whole, commit);
    let immutable = found.is_some_and(|found| !found.mutability.may_overwrite(&whole));
    let kind = if immutable { "immutable tag" } else { "tag" };
    let there = held.manifest.digest.short();
    // What would be built is not known: it may be the same.
    let what = if given.is_some() { "another image" } else { "an image already" };
    let failure =
        Failure::new(Code::ImageConflict, format!("{kind} {tag} holds {what}")).why(match given {
            Some((shown, Some(digest))) => {
                format!("ECR has {there}, `{shown}` is {}", digest.short())
            }
            Some((shown, None)) => format!("ECR has {there}, which is not `{shown}`"),
            None => format!("ECR has {there}, and an image of a changed tree is never reused"),
        });
    if commit.dirty && (!immutable || given.is_none()) {
        let kept = "a tag is not taken from an image that serves or that a rollback restores";
        let failure = if immutable { failure } else { failure.why(kept) };
        return failure.next(match facts.differs.iter().all(|file| file.is_new) {
            true => "commit the new files, or take them away",
            false => "commit the change, and ship that commit",
        });
    }
    failure.next("leave out `image` to deploy the one in ECR, or ship a new commit")
}

/// An image under the commit's tag is taken only for what its labels say it is.
fn recipe(
    inputs: &Inputs,
    facts: &Facts,
    commit: &Commit,
    held: &Held,
    draft: &mut Draft,
) -> Result<(), Box<Failure>> {
    let differences: Vec<_> =
        held.configs.iter().flat_map(|config| differences(facts, commit, config)).collect();
    if differences.is_empty() {
        other_labels(inputs, facts, (commit, held), draft);
        return Ok(());
    }
    let mut failure = Failure::new(
        Code::ImageRecipe,
        format!(
            "tag {} holds an image of another recipe",
            short_tag(&crate::survey::tag(inputs, commit), commit)
        ),
    );
    failure.why = differences;
    failure.why.dedup();
    failure = failure.next(format!(
        "ship a new commit, or `allow: {}` if it is the right image all the same",
        Code::ImageRecipe
    ));
    if inputs.allows(failure.code) {
        draft.object(inputs, failure);
        return Ok(());
    }
    Err(Box::new(failure))
}

/// An image is taken whatever is said of it: another run may be of a tag, which makes other labels.
fn other_labels(
    inputs: &Inputs,
    facts: &Facts,
    (commit, held): (&Commit, &Held),
    draft: &mut Draft,
) {
    let Some(recipe) = &facts.recipe else { return };
    let its = held.configs.iter().filter_map(|config| config.labels.get(RECIPE));
    let mut others: Vec<_> = its.flat_map(|its| recipe.other_labels(its)).collect();
    others.dedup();
    if !others.is_empty() {
        let tag = short_tag(&crate::survey::tag(inputs, commit), commit);
        let what = format!("tag {tag} holds an image with other labels, which is taken as it is");
        let mut failure = Failure::new(Code::ImageRecipe, what);
        failure.why = others;
        draft
            .warnings
            .push((failure.next("ship a new commit, if it needs the labels of this run"), true));
    }
}

fn differences(facts: &Facts, commit: &Commit, config: &Configured) -> Vec<String> {
    let mut differences = contradictions(commit, &config.labels);
    if let (Some(recipe), Some(its)) = (&facts.recipe, config.labels.get(RECIPE)) {
        differences.extend(recipe.differences(its));
    }
    differences
}

/// What an image's labels say against its being the commit's: another commit, a pull request.
#[must_use]
pub fn contradictions(commit: &Commit, labels: &BTreeMap<String, String>) -> Vec<String> {
    let label = |name: &str| labels.get(name).map(String::as_str);
    let of_other = |r: &&str| r.parse::<CommitSha>().is_ok_and(|r| r != commit.sha);
    let revision = label(REVISION).filter(of_other);
    let event = label(EVENT).filter(|event| event.starts_with("pull_request"));
    let revision =
        revision.map(|revision| format!("its label {REVISION} is {}", short_commit(revision)));
    let event =
        event.map(|_| "it was built for a pull request, from code that nobody merged".to_owned());
    revision.into_iter().chain(event).collect()
}

/// A rollback's image: the commit as slipway recorded it, or its tag in ECR.
fn earlier(to: &CommitPrefix, facts: &Facts) -> Result<Chosen, Box<Failure>> {
    let record = facts.place.as_ref().map(|place| &place.record);
    let shipped = |to: &CommitPrefix| record.map(|record| record.shipped(to)).unwrap_or_default();
    let matching = shipped(to);
    let commit = match (matching.keys().next(), to.whole()) {
        (Some(tagged), _) if matching.len() == 1 => Commit::tagged(tagged),
        (_, whole) => whole,
    };
    match (commit, &facts.held) {
        (Some(commit), Some(held)) => Ok(reuse(commit, held)),
        _ if matching.is_empty() && !shipped(&to.dirty()).is_empty() => Err(only_dirty(to)),
        (Some(commit), None) => Err(Box::new(gone(&commit.short(), facts))),
        (None, _) => {
            Err(unknown_commit(to, record.is_some_and(|record| !record.history.is_empty())))
        }
    }
}

/// A changed tree's image is put back by its own name only: nobody knows what was in that tree.
fn only_dirty(to: &CommitPrefix) -> Box<Failure> {
    let (plain, dirty) = (short_commit(to.as_str()), short_commit(to.dirty().as_str()));
    Box::new(
        Failure::new(Code::ImageGone, format!("no image of {plain} itself is known here"))
            .why(format!("only {dirty} was shipped, from a tree that differed from the commit"))
            .next(format!("slipway rollback --to {dirty}, if that one is meant")),
    )
}

fn unknown_commit(to: &CommitPrefix, has_history: bool) -> Box<Failure> {
    let why = if has_history {
        "the workload's history has no such commit, or several"
    } else {
        "slipway shipped nothing here yet"
    };
    Box::new(
        Failure::new(Code::ImageGone, format!("no commit {} is known here", to.as_str()))
            .why(why)
            .next("slipway history; any commit with a tag in ECR can be given with all of its 40 digits"),
    )
}

fn gone(short: &str, facts: &Facts) -> Failure {
    let name = facts.repository.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default();
    Failure::new(Code::ImageGone, format!("{short} is no longer in ECR `{name}`"))
        .why("no image under its tag; a lifecycle policy may have expired it")
        .next("slipway history shows which commits ECR still has")
}

/// `linux/amd64, 182 MB`.
#[must_use]
pub fn described(image: &ImagePlan) -> String {
    list(&image.has)
}

/// The reference that is written into the workload.
#[must_use]
pub fn reference(uri: &ImageRef, tag: &Tag, digest: &Digest, spelling: Spelling) -> ImageRef {
    let tag = (spelling == Spelling::TagAndDigest).then(|| tag.clone());
    ImageRef { tag, digest: Some(digest.clone()), ..uri.clone() }
}
