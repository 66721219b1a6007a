//! The engine's own push, where it is the shorter way: with a login in memory, and with what goes wrong told by the
//! codes of a push of our own.

use std::collections::HashMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{ListImagesOptions, PushImageOptions};
use futures_util::StreamExt as _;
use secrecy::ExposeSecret as _;

use super::engine::{Engine, PATIENCE, Store};
use super::images::split;
use super::order::Login;
use crate::error::{Code, Failure, quoted};
use crate::http::causes;
use crate::http::retry::Patience;
use crate::names::Digest;

/// The first Go whose gzip is nearly as fast as ours: 96 MB/s a core where it was 32, and ours is 139.
const FAST: (u32, u32) = (1, 27);

/// An image that the engine pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByEngine {
    /// What the registry has it under.
    pub digest: Digest,
    /// What the engine sent of it: layers, on the classic store.
    pub new: usize,
    /// What was there, or in another repository beside it.
    pub reused: usize,
}

/// What a push does while it lasts. The engine's words are foreign text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushing<'a> {
    /// So much of all layers together, as far as the engine says.
    Sent {
        /// Bytes of the layer that the engine spoke of last.
        bytes: u64,
    },
    /// An attempt did not work, another one follows.
    Again {
        /// Why.
        why: &'a str,
        /// After this long.
        wait: Duration,
    },
}

/// Why an attempt came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Throttled,
    /// 5xx, a connection that broke.
    Cut,
    /// No connection at all.
    Unreached,
    /// It has no name that it can be reached by, or its certificate is for another: not better in a moment.
    Unknown,
    /// Nobody whom the engine knows vouches for it.
    Untrusted,
    Login,
    Denied,
    Missing,
    Immutable,
    Other,
}

impl Said {
    fn is_passing(self) -> bool {
        matches!(self, Self::Throttled | Self::Cut | Self::Unreached)
    }
}

impl Engine {
    /// Whether its own push is the shorter way to `HOST/REPOSITORY:TAG`. Else its tar is:
    /// an engine writes down and presses all of an image, on old Go slowly, unless it remembers what it pushed.
    pub async fn pushes_best(&self, id: &Digest, name: &str) -> bool {
        match (self.facts.store, self.facts.go) {
            (Store::Containerd, _) => true,
            (Store::Classic, Some(go)) => go >= FAST || self.was_here(id, split(name).0).await,
            (Store::Classic, None) => false,
        }
    }

    /// Whether it has an earlier image of this repository: what it pushed or pulled it sends no second time. It is
    /// no trouble where it does not say.
    async fn was_here(&self, id: &Digest, repository: &str) -> bool {
        let filters = HashMap::from([("reference".to_owned(), vec![repository.to_owned()])]);
        let options = ListImagesOptions { filters: Some(filters), ..ListImagesOptions::default() };
        let Ok(api) = self.api() else { return false };
        let listed = tokio::time::timeout(PATIENCE, api.list_images(Some(options))).await;
        listed
            .is_ok_and(|listed| listed.unwrap_or_default().iter().any(|one| one.id != id.as_str()))
    }

    /// Pushes what is called `HOST/REPOSITORY:TAG`, and yields the digest that the registry has it under.
    ///
    /// Dropping the future ends it in the engine too.
    ///
    /// # Errors
    /// What the registry refuses, by the codes of a push of our own; passing trouble only after several attempts.
    pub async fn push(
        &self,
        name: &str,
        login: &Login,
        patience: Patience,
        hear: &(dyn Fn(Pushing<'_>) + Send + Sync),
    ) -> Result<ByEngine, Failure> {
        let mut attempts = patience.begin();
        // What an attempt sent is there for the next one.
        let mut sent = 0;
        loop {
            let (digest, count) = self.push_once(name, login, hear).await?;
            let error = match digest {
                Ok(digest) => {
                    let reused = count.reused.saturating_sub(sent);
                    return Ok(ByEngine { digest, new: sent + count.new, reused });
                }
                Err(error) => error,
            };
            sent += count.new;
            let (said, words) = heard(&error);
            let made = attempts.made();
            let wait = if said.is_passing() { attempts.next(None) } else { None };
            let Some(wait) = wait else { return Err(told(said, &words, name, made)) };
            hear(Pushing::Again { why: &words, wait });
            tokio::time::sleep(wait).await;
        }
    }

    async fn push_once(
        &self,
        name: &str,
        login: &Login,
        hear: &(dyn Fn(Pushing<'_>) + Send + Sync),
    ) -> Result<(Result<Digest, Error>, Count), Failure> {
        let (repository, tag) = split(name);
        let options = PushImageOptions { tag: Some(tag.into()), ..PushImageOptions::default() };
        let api = self.api()?;
        let mut lines =
            std::pin::pin!(api.push_image(repository, Some(options), Some(credentials(login))));
        let (mut digest, mut count) = (None, Count::default());
        while let Some(line) = lines.next().await {
            let line = match line {
                Ok(line) => line,
                Err(error) => return Ok((Err(error), count)),
            };
            if let Some(bytes) = line.progress_detail.and_then(|detail| detail.current) {
                hear(Pushing::Sent { bytes: u64::try_from(bytes).unwrap_or_default() });
            }
            let status = line.status.unwrap_or_default();
            count.new += usize::from(status == "Pushed");
            count.reused += usize::from(is_there(&status));
            digest = digest_in(&status).or(digest);
        }
        let digest = digest.ok_or_else(|| Error::DockerStreamError {
            error: "the engine ended the push without a digest".into(),
        });
        Ok((digest, count))
    }
}

pub(super) fn credentials(login: &Login) -> DockerCredentials {
    DockerCredentials {
        username: Some(login.user.clone()),
        password: Some(login.password.expose_secret().to_owned()),
        serveraddress: Some(login.host.clone()),
        ..DockerCredentials::default()
    }
}

/// Layers of one attempt.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    new: usize,
    reused: usize,
}

/// A layer that was not sent.
fn is_there(status: &str) -> bool {
    status == "Layer already exists" || status.starts_with("Mounted from ")
}

/// `v1: digest: sha256:… size: 946`: the last line, which all engines have.
fn digest_in(status: &str) -> Option<Digest> {
    let (_, rest) = status.split_once("digest: ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// What an engine means by its words: it passes on those of the registry, inside its own.
fn heard(error: &Error) -> (Said, String) {
    let words = match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        // The engine itself went away: the next attempt finds it, or does not.
        other => return (Said::Cut, causes(other)),
    };
    let low = words.to_ascii_lowercase();
    let has = |any: &[&str]| any.iter().any(|word| low.contains(word));
    let said = if has(&["immutable", "tag invalid", "imagetagalreadyexists"]) {
        Said::Immutable
    } else if has(&["toomanyrequests", "too many requests", "rate exceeded", "throttl"]) {
        Said::Throttled
    } else if has(&["name unknown", "name_unknown", "repository with name"]) {
        Said::Missing
    } else if has(&["not authorized to perform", "denied:", "403 forbidden", "status: 403"]) {
        Said::Denied
    } else if has(&["unauthorized", "no basic auth", "token has expired"]) {
        Said::Login
    } else if has(&["unknown authority"]) {
        Said::Untrusted
    } else if has(&["no such host", "x509", "certificate", "http response to https"]) {
        Said::Unknown
    } else if has(&["connection refused", "no route to host", "network is unreachable", "dial tcp"])
    {
        Said::Unreached
    } else if has(&[
        "timeout",
        "reset by peer",
        "broken pipe",
        "eof",
        "500 internal",
        "502 bad",
        "503 service",
        "504 gateway",
        "http status: 5",
        "closed network",
        "without a digest",
    ]) {
        Said::Cut
    } else {
        Said::Other
    };
    (said, words)
}

/// A proxy between that reads along, or a testbed.
fn untrusted(host: &str, whose: String) -> Failure {
    Failure::new(Code::EcrReach, format!("the engine does not trust the certificate of `{host}`"))
        .why(whose)
        .next(format!(
            "give the engine's machine the authority of `{host}`, and start the engine again"
        ))
}

fn told(said: Said, words: &str, name: &str, attempts: u32) -> Failure {
    let (repository, tag) = split(name);
    let (host, repository) = repository.split_once('/').unwrap_or(("", repository));
    let whose = format!("the engine pushed, and quotes: {}", quoted(words));
    let tried = match attempts {
        1 => whose.clone(),
        times => format!("tried {times} times; at last {whose}"),
    };
    match said {
        Said::Immutable => {
            let tag: String = tag.chars().take(if tag.len() == 40 { 7 } else { 128 }).collect();
            Failure::new(Code::ImageConflict, format!("immutable tag {tag} holds another image"))
                .why(whose)
                .next("leave out `image` to deploy the one in ECR, or ship a new commit")
        }
        Said::Throttled => {
            Failure::new(Code::Ecr429, format!("`{host}` takes no more requests for now"))
                .why(tried)
                .why("ECR counts requests of a whole account and region, 10 manifests a second")
                .next("run it again later, or ask for a higher ECR quota")
        }
        Said::Missing => {
            let what = format!("repository `{repository}` is not in this registry");
            Failure::new(Code::EcrMissing, what)
                .why(whose)
                .next(format!("aws ecr create-repository --repository-name {repository}"))
        }
        Said::Denied => {
            let what = format!("these credentials may not push to ECR `{repository}`");
            Failure::new(Code::Ecr403, what)
                .why(whose)
                .next("let the policy of the role or user allow all that a push needs: slipway explain SW-ECR-403")
        }
        Said::Login => {
            let what = format!("`{host}` does not accept the login for `{repository}`");
            Failure::new(Code::Ecr403, what)
                .why(whose)
                .next("check that credentials, region and repository belong to one account")
        }
        Said::Unreached | Said::Unknown => {
            Failure::new(Code::EcrReach, format!("the engine did not reach `{host}`"))
                .why(tried)
                .next(format!(
                    "curl -sSI https://{host}/v2/ where the engine runs; 401 is a good answer"
                ))
        }
        Said::Untrusted => untrusted(host, whose),
        Said::Cut => {
            Failure::new(Code::EcrUpload, format!("the image did not get into ECR `{repository}`"))
                .why(tried)
                .next("run it again: what is in ECR already is not sent twice")
        }
        Said::Other => {
            let what = format!("ECR repository `{repository}` does not take this image");
            Failure::new(Code::EcrUpload, what).why(whose)
        }
    }
}
