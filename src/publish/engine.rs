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
use crate::plan::image::short_tag;
use crate::recipe::REVISION;
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
    let is_tagged = there.is_some();
    if let Some(there) = there.filter(|there| Some(&there.digest) != before) {
        return Err(taken(&short_tag(&plan.tag, commit), &there.digest));
    }
    let (ear, tag) = (Ear { report, begun }, &plan.tag);
    let out = Out { engine, registry, remotes, ear, tag, is_tagged };
    let (digest, text) = match images {
        [one] => out.one(one).await?,
        several => out.as_index(several, commit).await?,
    };
    report.say(Event::StepDone { step: Step::Push, took: begun.elapsed(), text });
    let tag = short_tag(&plan.tag, commit);
    let held = registry.held(&Reference::Digest(digest.clone())).await?.ok_or_else(|| {
        Failure::new(Code::EcrUpload, format!("tag {tag} has no image in ECR"))
            .why(format!("{} was pushed, and is not there", digest.short()))
            .next("run it again")
    })?;
    match (images, engine.facts.store) {
        ([one], Store::Classic) if held.configs.iter().all(|its| its.digest != one.id) => {
            Err(renamed(&tag, &digest, one))
        }
        _ => Ok(held),
    }
}

/// An engine pushes what a name means when it begins: another run gave the name to another image.
fn renamed(tag: &str, digest: &Digest, image: &EngineImage) -> Failure {
    Failure::new(Code::ImageConflict, format!("tag {tag} got an image of another run"))
        .why(format!("ECR has {} under it, which is not {}", digest.short(), image.id.short()))
        .why("two runs gave its name to their images in one engine")
        .next(format!("let one run at a time push, remove tag {tag} from ECR, then run it again"))
}

/// What stood in the engine's way, for a run that took another one.
fn sent_by_us(failure: Failure) -> Failure {
    let Failure { code, mut why, next, .. } = failure;
    why.push("this run read the image and sent it itself".into());
    // Only this is something to mend: the rest was tried again by ourselves.
    let next = if code == Code::EcrReach { next } else { Vec::new() };
    Failure { code, what: "the engine could not push the image".into(), why, next }
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
    /// Whether something was under it a moment ago.
    is_tagged: bool,
}

impl Out<'_> {
    /// By the shorter way; what the engine does not bring there is brought by us, if its store can be read for it.
    async fn one(&self, image: &EngineImage) -> Result<(Digest, String), Failure> {
        let name = self.registry.name_of(self.tag);
        if !self.engine.pushes_best(&image.id, &name).await {
            return self.streamed(image).await;
        }
        if self.is_tagged
            && let Some(there) = self.there(image).await?
        {
            return Ok(there);
        }
        let (is_classic, patience) = match self.engine.facts.store {
            Store::Containerd => (false, Patience::LONG),
            Store::Classic => (true, Patience::USUAL),
        };
        match self.by_engine(image, &name, patience).await {
            // A tag that cannot be moved is refused for the same image too: the answer to an attempt was lost, or
            // another run was faster with it.
            Err(failure) if failure.code == Code::ImageConflict => {
                self.there(image).await?.ok_or(failure)
            }
            // Our own client may have another way there, and knows more of what is refused.
            Err(failure) if is_classic => {
                let done = self.streamed(image).await?;
                self.ear.report.warn(sent_by_us(failure));
                Ok(done)
            }
            done => done,
        }
    }

    /// What is under the tag if it is this image already.
    async fn there(&self, image: &EngineImage) -> Result<Option<(Digest, String)>, Failure> {
        if self.engine.facts.store == Store::Classic {
            return Ok(self.registry.has_saved(&self.saved(image), self.tag).await?.map(told));
        }
        let there = self.registry.manifest(&Reference::Tag(self.tag.clone())).await?;
        let is_it = there.filter(|there| there.digest == image.id);
        Ok(is_it.map(|there| (there.digest, format!("{}, was there", image.id.short()))))
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
            is_ours: true,
        };
        let hear = |pushing: Pushing<'_>| match pushing {
            Pushing::Sent { bytes } => self.ear.working(figures::size(bytes)),
            Pushing::Again { why, wait } => {
                self.ear.working(format!("again in {}: {why}", figures::took(wait)));
            }
        };
        let ByEngine { digest, new, reused } =
            self.engine.push(name, &login, patience, &hear).await?;
        self.registry.read_back(self.tag, &digest, &|progress| self.ear.heard(progress)).await?;
        let text = match new + reused {
            // Its words were others.
            0 => format!("{}, by the engine", digest.short()),
            _ => format!("{}, {}, by the engine", digest.short(), layers(new, None, reused)),
        };
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
