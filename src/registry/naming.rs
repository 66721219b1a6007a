//! A manifest under its name: put, compared where the name cannot be moved, and read back.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use tokio::time::Instant;

use super::Reference;
use super::answer::{Asked, Refusal, Trouble};
use super::read::digest_of;
use super::wire::{Answer, Listener, Wire};
use crate::error::{Code, Failure};
use crate::image::Manifest;
use crate::names::{Digest, Tag};

/// A manifest on its way to its name.
pub(super) struct Naming<'a> {
    pub(super) wire: &'a Wire,
    /// What messages call its image.
    pub(super) shown: &'a str,
    pub(super) manifest: &'a Manifest,
    pub(super) listener: Listener<'a>,
}

/// What became of a manifest.
pub(super) enum Put {
    Stored,
    /// The tag cannot be moved; what it names decides.
    Fixed(Refusal),
    /// Something below it is not there.
    Incomplete(Refusal),
}

impl Naming<'_> {
    pub(super) async fn settled(&self, put: Put, reference: &Reference) -> Result<(), Failure> {
        match put {
            Put::Stored => Ok(()),
            Put::Fixed(refusal) => {
                match self.wire.digest_patiently(reference, self.listener).await? {
                    Some(digest) if digest == self.manifest.digest => Ok(()),
                    Some(digest) => Err(self.conflict(reference, &digest, &refusal)),
                    None => Err(refusal.told(Asked::PutManifest, &self.wire.at)),
                }
            }
            Put::Incomplete(refusal) => Err(refusal.told(Asked::PutManifest, &self.wire.at)),
        }
    }

    pub(super) async fn put(&self, reference: &Reference) -> Result<Put, Failure> {
        let what = format!("manifest {}", self.manifest.digest.short());
        let patience = self.wire.pace.manifest;
        self.wire
            .patiently(&what, true, patience, self.listener, |_| {
                self.wire.put_manifest(self.manifest, reference)
            })
            .await
    }

    pub(super) async fn read_back(&self, tag: &Tag) -> Result<(), Failure> {
        self.wire.read_back(tag, &self.manifest.digest, self.listener).await
    }

    fn conflict(&self, name: &Reference, there: &Digest, refusal: &Refusal) -> Failure {
        let Self { shown, manifest: root, .. } = self;
        let what = match name {
            Reference::Tag(tag) => format!("immutable tag {} holds another image", shortened(tag)),
            Reference::Digest(digest) => format!("{} holds another image", digest.short()),
        };
        Failure::new(Code::ImageConflict, what)
            .why(format!("ECR has {}, `{shown}` is {}", there.short(), root.digest.short()))
            .why(format!("ECR {}", refusal.said()))
            .next("leave out `image` to deploy the one in ECR, or ship a new commit")
    }
}

impl Wire {
    /// Waits for the tag to name what was pushed: ECR may answer with what was there for a moment.
    pub(super) async fn read_back(
        &self,
        tag: &Tag,
        pushed: &Digest,
        listener: Listener<'_>,
    ) -> Result<(), Failure> {
        let reference = Reference::Tag(tag.clone());
        let until = Instant::now() + self.pace.settle;
        let mut wait = Duration::from_millis(100);
        loop {
            let found = self.digest_patiently(&reference, listener).await?;
            if found.as_ref() == Some(pushed) {
                return Ok(());
            }
            if Instant::now() + wait > until {
                return Err(not_there(tag, pushed, found.as_ref()));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }

    /// The digest that a name has now.
    pub(super) async fn digest_patiently(
        &self,
        reference: &Reference,
        listener: Listener<'_>,
    ) -> Result<Option<Digest>, Failure> {
        let what = format!("manifest {reference}");
        let patience = self.pace.blob;
        self.patiently(&what, false, patience, listener, |_| self.digest_at(reference)).await
    }

    async fn put_manifest(
        &self,
        manifest: &Manifest,
        reference: &Reference,
    ) -> Result<Put, Trouble> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let request = || {
            let put = self.http.put(url.clone()).timeout(self.pace.answer);
            put.header(CONTENT_TYPE, &manifest.media_type).body(manifest.bytes.clone())
        };
        let response = match self.send(Asked::PutManifest, request).await? {
            Answer::Good(response) => response,
            Answer::Refused(refusal) if refusal.is_of_repository() => {
                return Err(refusal.told(Asked::PutManifest, &self.at).into());
            }
            Answer::Refused(refusal) if refusal.is_of_tag() => return Ok(Put::Fixed(refusal)),
            Answer::Refused(refusal) if refusal.is_of_content() => {
                return Ok(Put::Incomplete(refusal));
            }
            Answer::Refused(refusal) => {
                return Err(refusal.told(Asked::PutManifest, &self.at).into());
            }
        };
        match digest_of(response.headers()) {
            Some(stored) if stored != manifest.digest => {
                let what = format!("manifest {} was stored as another", manifest.digest.short());
                Err(Failure::new(Code::EcrUpload, what)
                    .why(format!("`{}` says {stored}", self.at.host))
                    .into())
            }
            _ => Ok(Put::Stored),
        }
    }
}

fn not_there(tag: &Tag, pushed: &Digest, found: Option<&Digest>) -> Failure {
    let tag = shortened(tag);
    let own = pushed.short();
    match found {
        Some(there) => {
            Failure::new(Code::ImageConflict, format!("tag {tag} was moved by somebody else"))
                .why(format!("this run pushed {own}, ECR says {} now", there.short()))
                .next("let one run at a time push a commit, then run it again")
        }
        None => Failure::new(Code::EcrUpload, format!("tag {tag} does not appear in ECR"))
            .why(format!("ECR took manifest {own}, but does not find the tag since"))
            .next("run it again: what is in ECR already is not sent twice"),
    }
}

/// A tag as people read it: a commit's first digits.
fn shortened(tag: &Tag) -> String {
    match tag.as_str().parse::<crate::names::CommitSha>() {
        Ok(commit) => commit.short().to_owned(),
        Err(_) => tag.to_string(),
    }
}
