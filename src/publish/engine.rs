//! Out of the engine into ECR: by the engine's own push where that is the shorter way, else read as it comes and
//! sent by us.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::docker::{self, ByEngine, Engine, EngineImage, Pushing, Store};
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

use super::{Ear, described, layers, no_registry};

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
    let (digest, text) = match images {
        [one] => out.one(one).await?,
        several => out.as_index(several, commit).await?,
    };
    report.say(Event::StepDone { step: Step::Push, took: begun.elapsed(), text });
    registry.held(&Reference::Digest(digest.clone())).await?.ok_or_else(|| {
        let tag = short_tag(&plan.tag, commit);
        Failure::new(Code::EcrUpload, format!("tag {tag} has no image in ECR"))
            .why(format!("{} was pushed, and is not there", digest.short()))
            .next("run it again")
    })
}

fn told(pushed: Pushed) -> (Digest, String) {
    let text = described(&pushed);
    (pushed.digest, text)
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
    /// By the shorter way; what the engine does not bring there is brought by us, if its store can be read for it.
    async fn one(&self, image: &EngineImage) -> Result<(Digest, String), Failure> {
        let name = self.registry.name_of(self.tag);
        let repository = name.rsplit_once(':').map_or(name.as_str(), |(repository, _)| repository);
        if !self.engine.pushes_best(&image.id, repository).await {
            return self.streamed(image).await;
        }
        let (is_classic, patience) = match self.engine.facts.store {
            Store::Containerd => (false, Patience::LONG),
            Store::Classic => (true, Patience::USUAL),
        };
        if is_classic
            && let Some(pushed) = self.registry.has_saved(&self.saved(image), self.tag).await?
        {
            return Ok(told(pushed));
        }
        match self.by_engine(image, &name, patience).await {
            // Our own client may have another way there, and knows more of what is refused.
            Err(failure) if is_classic && failure.code != Code::ImageConflict => {
                let done = self.streamed(image).await?;
                self.ear.report.warn(failure.why("this run read the image and sent it itself"));
                Ok(done)
            }
            done => done,
        }
    }

    /// The engine's own push, under a name that it can reach the registry by.
    async fn by_engine(
        &self,
        image: &EngineImage,
        name: &str,
        patience: Patience,
    ) -> Result<(Digest, String), Failure> {
        self.engine.tag(&image.id, name).await?;
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
        let ByEngine { digest, new, reused } =
            self.engine.push(name, &login, patience, &hear).await?;
        let text = format!("{}, {}, by the engine", digest.short(), layers(new, None, reused));
        Ok((digest, text))
    }

    /// Read as the engine hands it out, into the registry at once.
    async fn streamed(&self, image: &EngineImage) -> Result<(Digest, String), Failure> {
        let hear = |progress: Progress<'_>| self.ear.heard(progress);
        let saved = self.saved(image);
        let pushed = self.registry.push_saved(&saved, self.tag, &BTreeMap::new(), &hear).await?;
        Ok(told(pushed))
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
