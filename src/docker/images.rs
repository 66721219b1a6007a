//! The images that an engine has: what one is, its tar, its names.

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ImageHistoryResponseItem;
use bollard::query_parameters::{RemoveImageOptions, TagImageOptions};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::engine::Engine;
use crate::error::{Code, Failure, quoted};
use crate::http::causes;
use crate::names::{Digest, Platform};

/// An image of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineImage {
    /// The engine's name of it: on the classic store the digest of its config.
    pub id: Digest,
    /// What its config says it runs on.
    pub platform: Platform,
    /// Its layers before compression, lowest first.
    pub diff_ids: Vec<Digest>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment, as `NAME=VALUE`. May hold what should not be there.
    pub env: Vec<String>,
    /// What made it, the newest step last.
    pub history: Vec<Made>,
    /// `web:v1`.
    pub names: Vec<String>,
    /// `host/web@sha256:…`, where it was pulled from or pushed to.
    pub repo_digests: Vec<String>,
    /// Its bytes: unpacked on the classic store, as stored on the other.
    pub size: u64,
}

/// One step of an image's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// `COPY page /www`, and arguments where a step used them.
    pub by: String,
    /// What the builder notes beside it.
    pub comment: String,
    /// What it added.
    pub size: u64,
}

impl Engine {
    /// The image of this name or ID, also one of its first digits; `None` where there is none.
    ///
    /// # Errors
    /// The engine does not answer as engines do.
    pub async fn inspect(&self, name: &str) -> Result<Option<EngineImage>, Failure> {
        if !is_name(name) {
            return Ok(None);
        }
        let api = self.api()?;
        let (image, history) = tokio::join!(api.inspect_image(name), history(&api, name));
        let both = image.and_then(|image| Ok((image, history?)));
        let (image, history) = match both {
            Ok(both) => both,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => {
                return Err(self.failed(&format!("`{name}` could not be looked at"), &error));
            }
        };
        let strange = |what: &str| {
            Failure::new(Code::BuildEngine, format!("`{name}` could not be looked at"))
                .why(format!("{} says nothing usable of its {what}", self.facts.product))
                .next("docker image inspect, and see whether the engine itself can read it")
        };
        // Podman leaves the algorithm out.
        let id = image.id.unwrap_or_default();
        let id = if id.contains(':') { id } else { format!("sha256:{id}") };
        let layers = image.root_fs.and_then(|root| root.layers).unwrap_or_default();
        let diff_ids: Result<Vec<Digest>, _> = layers.iter().map(|id| id.parse()).collect();
        let (os, architecture) =
            (image.os.unwrap_or_default(), image.architecture.unwrap_or_default());
        if os.is_empty() || architecture.is_empty() {
            return Err(strange("platform"));
        }
        let config = image.config.unwrap_or_default();
        let made = history.into_iter().rev().map(|step| Made {
            by: step.created_by,
            comment: step.comment,
            size: u64::try_from(step.size).unwrap_or_default(),
        });
        Ok(Some(EngineImage {
            id: id.parse().map_err(|_| strange("ID"))?,
            platform: Platform::new(&os, &architecture, image.variant.as_deref()),
            diff_ids: diff_ids.map_err(|_| strange("layers"))?,
            labels: config.labels.unwrap_or_default().into_iter().collect(),
            env: config.env.unwrap_or_default(),
            history: made.collect(),
            names: image.repo_tags.unwrap_or_default(),
            repo_digests: image.repo_digests.unwrap_or_default(),
            size: u64::try_from(image.size.unwrap_or_default()).unwrap_or_default(),
        }))
    }

    /// The tar of an image, as `docker save` writes it, in the pieces in which it comes. Asks once it is read.
    #[must_use]
    pub fn save(&self, id: &Digest) -> BoxStream<'static, Result<Bytes, Failure>> {
        let (engine, id) = (self.clone(), id.clone());
        let begun = async move {
            let api = match engine.api() {
                Ok(api) => api,
                Err(failure) => return futures_util::stream::iter([Err(failure)]).boxed(),
            };
            let what = format!("image {} did not come out of the engine", id.short());
            let pieces = api.export_image(id.as_str());
            pieces.map(move |piece| piece.map_err(|error| engine.failed(&what, &error))).boxed()
        };
        futures_util::stream::once(begun).flatten().boxed()
    }

    /// Gives an image one more name.
    ///
    /// # Errors
    /// There is no such image, or the engine does not do it.
    pub async fn tag(&self, id: &Digest, name: &str) -> Result<(), Failure> {
        let (repo, tag) = split(name);
        let options = TagImageOptions { repo: Some(repo.into()), tag: Some(tag.into()) };
        let tagged = self.api()?.tag_image(id.as_str(), Some(options)).await;
        tagged.map_err(|error| self.failed(&format!("the image is not called `{name}`"), &error))
    }

    /// Takes a name away, unless it is the last one: with that the engine would delete the image. Says whether it
    /// was.
    ///
    /// # Errors
    /// The engine does not do it.
    pub async fn untag(&self, name: &str) -> Result<bool, Failure> {
        let Some(image) = self.inspect(name).await? else { return Ok(false) };
        // By their number: Podman calls `web:v1` `localhost/web:v1`.
        if image.names.len() < 2 {
            return Ok(false);
        }
        let options = RemoveImageOptions { noprune: true, ..RemoveImageOptions::default() };
        let removed = self.api()?.remove_image(name, Some(options), None).await;
        match removed {
            Ok(_) => Ok(true),
            Err(error) if status(&error) == Some(404) => Ok(false),
            Err(error) => Err(self.failed(&format!("`{name}` is still an image's name"), &error)),
        }
    }

    /// What the engine said instead of doing it.
    pub(super) fn failed(&self, what: &str, error: &Error) -> Failure {
        let product = &self.facts.product;
        let failure = Failure::new(Code::BuildEngine, what);
        match error {
            Error::DockerResponseServerError { status_code, message } => {
                failure.why(format!("{product} answered {status_code}: {}", quoted(message)))
            }
            Error::DockerStreamError { error } => {
                failure.why(format!("{product} said: {}", quoted(error)))
            }
            other => failure.why(format!("`{}`: {}", self.shown, causes(other))),
        }
        .next(format!("see whether the engine at `{}` still runs, and run it again", self.shown))
    }
}

/// How an image was made, the newest step first. The containerd store says `null` of one that has no step.
async fn history(api: &Docker, name: &str) -> Result<Vec<ImageHistoryResponseItem>, Error> {
    match api.image_history(name).await {
        Err(Error::JsonDataError { message, .. }) if message.starts_with("invalid type: null") => {
            Ok(Vec::new())
        }
        told => told,
    }
}

/// The status that the engine refused with.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Whether it can be an image's name: it goes into the path of a request.
fn is_name(name: &str) -> bool {
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"._-:/@".contains(&b);
    let parts = || name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    !name.is_empty() && name.bytes().all(letters) && parts()
}

/// `host:5000/web:v1` in its repository and its tag.
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}
