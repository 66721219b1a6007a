//! Reading a repository: manifests, configs, and whether a blob is there. Every byte that comes
//! back is checked against its digest; redirects are followed without the login.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};

use super::answer::{Again, Asked, Passing, Refusal, Trouble, missing_repository};
use super::wire::{Answer, SMALL, Wire, capped, silent, unsent};
use super::{Held, Reference, Registry};
use crate::error::{Code, Failure};
use crate::image::{
    Configured, Descriptor, Inspected, MANIFESTS, Manifest, inspect, inspect_config,
};
use crate::names::{Digest, Repository};

/// The longest manifest that is read: registries take 4 MiB.
const MANIFEST: usize = 8 * 1024 * 1024;

/// The longest config that is read.
const CONFIG: usize = 8 * 1024 * 1024;

/// Requests at once below an index.
const AT_ONCE: usize = 4;

/// The registry's word for the digest of what it answers with.
const DIGEST: &str = "docker-content-digest";

impl Registry {
    /// The manifest under a reference, checked; `None` where there is none.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn manifest(&self, reference: &Reference) -> Result<Option<Manifest>, Failure> {
        let what = format!("manifest {reference}");
        let wire = &self.wire;
        wire.patiently(&what, false, wire.pace.blob, &silent, |_| wire.manifest(reference)).await
    }

    /// The digest under a reference and, of an index, those of the manifests in it: runtimes report
    /// the one or the other for the same image. `None` where there is none.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn family(&self, reference: &Reference) -> Result<Option<Vec<Digest>>, Failure> {
        let Some(manifest) = self.manifest(reference).await? else { return Ok(None) };
        let mut family = vec![manifest.digest.clone()];
        if let Inspected::Index { manifests } = inspected(&manifest)? {
            family.extend(manifests.into_iter().map(|entry| entry.digest));
        }
        Ok(Some(family))
    }

    /// The manifest under a reference with its platforms and configs; `None` where there is none.
    /// What an index names and the registry lacks, no node can pull: it is left out.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn held(&self, reference: &Reference) -> Result<Option<Held>, Failure> {
        let Some(manifest) = self.manifest(reference).await? else {
            return Ok(None);
        };
        let mut configs = Vec::new();
        match inspected(&manifest)? {
            Inspected::Image { config, .. } => {
                configs.push(self.configured(&manifest.digest, &config, None).await?);
            }
            Inspected::Index { manifests } => {
                let images = manifests.into_iter().filter(|entry| !entry.is_attestation());
                let below: Vec<_> = stream::iter(images)
                    .map(|entry| async move { self.below(&entry).await })
                    .buffered(AT_ONCE)
                    .try_collect()
                    .await?;
                configs.extend(below.into_iter().flatten());
            }
        }
        let platforms = configs.iter().map(|one: &Configured| one.platform.clone()).collect();
        Ok(Some(Held { manifest, platforms, configs }))
    }

    /// The image that an entry of an index names. Indexes in indexes are not descended: nodes do
    /// not either.
    async fn below(&self, entry: &Descriptor) -> Result<Option<Configured>, Failure> {
        if entry.is_index() {
            return Ok(None);
        }
        let Some(manifest) = self.manifest(&Reference::Digest(entry.digest.clone())).await? else {
            return Ok(None);
        };
        match inspected(&manifest)? {
            Inspected::Image { config, .. } => {
                self.configured(&manifest.digest, &config, Some(entry)).await.map(Some)
            }
            Inspected::Index { .. } => Ok(None),
        }
    }

    async fn configured(
        &self,
        manifest: &Digest,
        config: &Descriptor,
        entry: Option<&Descriptor>,
    ) -> Result<Configured, Failure> {
        let bytes = self.blob(&config.digest, CONFIG).await?;
        let own = inspect_config(&bytes).map_err(|what| {
            unusable(&format!("config {}", config.digest.short()), &format!("it is {what}"))
        })?;
        // A node chooses by the index; what it does not say, the config does.
        let platform = match entry.and_then(|entry| entry.platform.clone()) {
            Some(listed) if listed.variant.is_some() || !listed.runs_on(&own.platform) => listed,
            _ => own.platform,
        };
        Ok(Configured {
            manifest: manifest.clone(),
            digest: config.digest.clone(),
            platform,
            labels: own.labels,
            env: own.env,
            history: own.history,
        })
    }

    /// The bytes of a small blob, checked.
    ///
    /// # Errors
    /// More than `limit` bytes, other bytes than the digest's, or what the registry refuses.
    pub async fn blob(&self, digest: &Digest, limit: usize) -> Result<Bytes, Failure> {
        let what = format!("blob {}", digest.short());
        let wire = &self.wire;
        wire.patiently(&what, false, wire.pace.blob, &silent, |_| wire.blob(digest, limit)).await
    }

    /// Whether the repository has this blob.
    ///
    /// # Errors
    /// What the registry refuses, or that it cannot be reached.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool, Failure> {
        let what = format!("blob {}", digest.short());
        let wire = &self.wire;
        let own = &wire.at.repository;
        wire.patiently(&what, false, wire.pace.blob, &silent, |_| wire.has_blob(own, digest)).await
    }
}

impl Wire {
    async fn manifest(&self, reference: &Reference) -> Result<Option<Manifest>, Trouble> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let request = || {
            let accept = MANIFESTS.join(", ");
            self.http.get(url.clone()).header(ACCEPT, accept).timeout(SMALL)
        };
        let response = match self.send(Asked::Manifest, request).await? {
            Answer::Good(response) => response,
            Answer::Refused(refusal) => return self.absent(&refusal, Asked::Manifest),
        };
        let headers = response.headers().clone();
        let bytes = capped(response, MANIFEST + 1).await.map_err(|error| unsent(&error))?;
        let what = format!("manifest {reference}");
        if bytes.len() > MANIFEST {
            return Err(unusable(&what, "it is longer than 8 MiB").into());
        }
        let media_type = text(&headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        if !MANIFESTS.contains(&media_type) {
            return Err(unusable(&what, &format!("it is `{media_type}`")).into());
        }
        let digest = Digest::of(&bytes);
        let named = match reference {
            Reference::Digest(named) => Some(named.clone()),
            Reference::Tag(_) => digest_of(&headers),
        };
        match named {
            // Half an answer looks like this too, so it is worth another try.
            Some(named) if named != digest => Err(mixed_up(&what, &named, &digest)),
            _ => Ok(Some(Manifest { digest, media_type: media_type.into(), bytes })),
        }
    }

    /// The digest that a tag or a digest has in the registry, by HEAD where it says so.
    pub(super) async fn digest_at(&self, reference: &Reference) -> Result<Option<Digest>, Trouble> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let request = || {
            let accept = MANIFESTS.join(", ");
            self.http.head(url.clone()).header(ACCEPT, accept).timeout(SMALL)
        };
        match self.send(Asked::Manifest, request).await? {
            Answer::Good(response) => match digest_of(response.headers()) {
                Some(digest) => Ok(Some(digest)),
                None => Ok(self.manifest(reference).await?.map(|manifest| manifest.digest)),
            },
            Answer::Refused(refusal) => self.absent(&refusal, Asked::Manifest),
        }
    }

    async fn blob(&self, digest: &Digest, limit: usize) -> Result<Bytes, Trouble> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let what = format!("blob {}", digest.short());
        let request = || self.http.request(Method::GET, url.clone()).timeout(SMALL);
        let response = match self.send(Asked::Blob, request).await? {
            Answer::Good(response) => response,
            Answer::Refused(refusal) => return Err(refusal.told(Asked::Blob, &self.at).into()),
        };
        let bytes =
            capped(response, limit.saturating_add(1)).await.map_err(|error| unsent(&error))?;
        if bytes.len() > limit {
            return Err(unusable(&what, &format!("it is longer than {limit} bytes")).into());
        }
        let read = Digest::of(&bytes);
        if read == *digest { Ok(bytes) } else { Err(mixed_up(&what, digest, &read)) }
    }

    pub(super) async fn has_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<bool, Trouble> {
        let url = self.url_in(repository, &format!("blobs/{digest}"))?;
        let request = || self.http.head(url.clone()).timeout(SMALL);
        match self.send(Asked::HasBlob, request).await? {
            Answer::Good(_) => Ok(true),
            Answer::Refused(refusal) => Ok(self.absent::<()>(&refusal, Asked::HasBlob)?.is_some()),
        }
    }

    /// Nothing there is an answer; a repository that is not there is a failure, like the rest.
    fn absent<T>(&self, refusal: &Refusal, asked: Asked) -> Result<Option<T>, Trouble> {
        if refusal.is_of_repository() {
            return Err(missing_repository(&self.at, &refusal.said()).into());
        }
        if refusal.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Err(refusal.told(asked, &self.at).into())
    }
}

/// What a manifest is, or why it cannot be used.
pub(super) fn inspected(manifest: &Manifest) -> Result<Inspected, Failure> {
    inspect(&manifest.media_type, &manifest.bytes).map_err(|what| {
        unusable(&format!("manifest {}", manifest.digest.short()), &format!("it is {what}"))
    })
}

pub(super) fn unusable(what: &str, why: &str) -> Failure {
    Failure::new(Code::ImageInvalid, format!("{what} in the registry cannot be used")).why(why)
}

fn mixed_up(what: &str, named: &Digest, read: &Digest) -> Trouble {
    let said = format!("{what} came as {}, not as {}", read.short(), named.short());
    Trouble::Again(Again { kind: Passing::Cut, said, after: None })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The digest that the registry gives in its headers.
pub(super) fn digest_of(headers: &HeaderMap) -> Option<Digest> {
    text(headers, DIGEST)?.parse().ok()
}
