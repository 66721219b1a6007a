//! Out of the engine into ECR: by the engine's own push where its store has an image as a registry has it, else
//! read as it comes and sent by us.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::docker::{self, Engine, EngineImage, Pushing, Store};
use crate::error::{Code, Failure};
use crate::http::retry::Patience;
use crate::image::{Entry, Image, Saved, joined};
use crate::names::{Commit, Digest, Tag};
use crate::plan::ImagePlan;
use crate::plan::image::{REVISION, short_tag};
use crate::registry::{Held, Progress, Pushed, Reference, Registry};
use crate::report::{Event, Reporter, Step, figures};
use crate::survey::Remotes;
use crate::survey::platforms::list;

use super::{Ear, described, no_registry};

/// Puts the engine's images under the plan's tag: one, or one for each platform and an index of them.
///
/// `before` is what the tag named when this run was planned.
///
/// # Errors
/// What the engine or ECR refuses; nothing is under the tag then, or what was there before.
pub async fn out_of_engine(
    (engine, images): (&Engine, &[EngineImage]),
    plan: &ImagePlan,
    (commit, before): (&Commit, Option<&Digest>),
    remotes: &Remotes,
    report: &Reporter,
) -> Result<Held, Failure> {
    let registry = remotes.registry.as_ref().ok_or_else(no_registry)?;
    let begun = Instant::now();
    let there = registry.manifest(&Reference::Tag(plan.tag.clone())).await?;
    if let Some(there) = there.filter(|there| Some(&there.digest) != before) {
        return Err(taken(&short_tag(&plan.tag, commit), &there.digest));
    }
    let out = Out { engine, registry, remotes, ear: Ear { report, begun }, tag: &plan.tag };
    let (digest, text) = match (images, engine.facts.store) {
        ([one], Store::Containerd) => out.by_engine(one).await?,
        ([one], Store::Classic) => {
            let pushed = out.streamed(one).await?;
            let text = described(&pushed);
            (pushed.digest, text)
        }
        (several, _) => out.as_index(several, commit).await?,
    };
    report.say(Event::StepDone { step: Step::Push, took: begun.elapsed(), text });
    registry.held(&Reference::Digest(digest.clone())).await?.ok_or_else(|| {
        let tag = short_tag(&plan.tag, commit);
        Failure::new(Code::EcrUpload, format!("tag {tag} has no image in ECR"))
            .why(format!("{} was pushed, and is not there", digest.short()))
            .next("run it again")
    })
}

/// Another run was faster: what it put there is not taken away.
fn taken(tag: &str, there: &Digest) -> Failure {
    Failure::new(Code::ImageConflict, format!("tag {tag} was taken while this run built"))
        .why(format!("ECR has {} under it, which was not there when this run began", there.short()))
        .next("run it again: it ships the image that is in ECR")
}

struct Out<'a> {
    engine: &'a Engine,
    registry: &'a Registry,
    remotes: &'a Remotes,
    ear: Ear<'a>,
    tag: &'a Tag,
}

impl Out<'_> {
    /// The engine's own push, under a name that it can reach the registry by.
    async fn by_engine(&self, image: &EngineImage) -> Result<(Digest, String), Failure> {
        let name = self.registry.name_of(self.tag);
        self.engine.tag(&image.id, &name).await?;
        let login = self.remotes.aws.registry_login().await?;
        let login = docker::Login {
            host: self.registry.host(),
            user: login.user,
            password: login.password,
        };
        let hear = |pushing: Pushing<'_>| match pushing {
            Pushing::Sent { bytes } => self.ear.working(figures::size(bytes)),
            Pushing::Again { why, wait } => {
                self.ear.working(format!("again in {}: {why}", figures::took(wait)));
            }
        };
        let digest = self.engine.push(&name, &login, Patience::LONG, &hear).await?;
        let text = format!("{}, by the engine", digest.short());
        Ok((digest, text))
    }

    /// Read as the engine hands it out, into the registry at once.
    async fn streamed(&self, image: &EngineImage) -> Result<Pushed, Failure> {
        let hear = |progress: Progress<'_>| self.ear.heard(progress);
        let saved = self.saved(image);
        self.registry.push_saved(&saved, self.tag, &BTreeMap::new(), &hear).await
    }

    /// One for each platform by digest, then the index of them under the tag.
    async fn as_index(
        &self,
        images: &[EngineImage],
        commit: &Commit,
    ) -> Result<(Digest, String), Failure> {
        let hear = |progress: Progress<'_>| self.ear.heard(progress);
        let mut manifests = Vec::new();
        for image in images {
            let stored =
                self.registry.store_saved(&self.saved(image), &BTreeMap::new(), &hear).await?;
            manifests.push((image.platform.clone(), Entry::of(&stored.manifest)));
        }
        let platforms: Vec<_> = manifests.iter().map(|(platform, _)| platform.clone()).collect();
        let entries: Vec<_> = manifests.iter().map(|(platform, entry)| (platform, entry)).collect();
        let annotations = BTreeMap::from([(REVISION.to_owned(), commit.sha.to_string())]);
        let index = Image {
            shown: format!("index of {}", list(&platforms)),
            is_folder: false,
            root: joined(&entries, &[], &annotations),
            children: Vec::new(),
            blobs: Vec::new(),
            platforms: platforms.clone(),
            configs: Vec::new(),
        };
        let pushed = self.registry.push(&index, self.tag, &[], &hear).await?;
        let text = format!("{}, index of {}", pushed.digest.short(), list(&platforms));
        Ok((pushed.digest, text))
    }

    fn saved(&self, image: &EngineImage) -> Saved {
        let (engine, id) = (self.engine.clone(), image.id.clone());
        Saved {
            shown: format!("image {}", image.id.short()),
            config: image.id.clone(),
            diff_ids: image.diff_ids.clone(),
            again: Arc::new(move || engine.save(&id)),
        }
    }
}
