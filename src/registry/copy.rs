//! An image of one repository into another of the same registry, byte for byte, so that its digest stays.
//!
//! Layers are mounted where the registry mounts, else they are read from the one and sent to the other
//! as they come: nothing is kept. A reading that breaks off goes on where it was, within the same upload.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::RANGE;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::answer::{Again, Asked, Passing, Trouble};
use super::read::{inspected, unusable};
use super::wire::{Answer, SMALL, Wire, unsent};
use super::{Held, Progress, Pushed, Reference, Registry};
use crate::error::Failure;
use crate::image::{Blob, Descriptor, Image, Inspected, Kind, Manifest, Opener, Pieces};
use crate::names::{Digest, Tag};

/// Indexes in indexes that are followed.
const DEPTH: usize = 4;

/// Pieces that may wait between the two connections of a layer; each is what one read of a socket gives.
const WAITING: usize = 16;

impl Registry {
    /// Puts what another repository of this registry holds under a tag of this one; in the same repository
    /// only the tag is new. Read back like a push.
    ///
    /// # Errors
    /// What either repository refuses; nothing is under the tag then, or what was there before.
    pub async fn copy(
        &self,
        from: &Self,
        held: &Held,
        tag: &Tag,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Pushed, Failure> {
        let mut image = from.image(held).await?;
        if from.wire.base == self.wire.base && from.wire.at.repository == self.wire.at.repository {
            let layers = image.blobs.iter().filter(|blob| blob.kind == Kind::Layer).count();
            (image.children, image.blobs) = (Vec::new(), Vec::new());
            let pushed = self.push(&image, tag, &[], progress).await?;
            return Ok(Pushed { reused: layers, ..pushed });
        }
        // A registry that does not mount begins a session instead: asking costs nothing.
        self.push(&image, tag, std::slice::from_ref(&from.wire.at.repository), progress).await
    }

    /// All that is below a manifest, its blobs to be read from here.
    async fn image(&self, held: &Held) -> Result<Image, Failure> {
        let mut gather =
            Gather { from: self, children: Vec::new(), blobs: Vec::new(), seen: HashSet::new() };
        gather.below(held.manifest.clone(), 0).await?;
        let Gather { children, blobs, .. } = gather;
        Ok(Image {
            shown: format!("{}@{}", self.wire.at.repository, held.manifest.digest.short()),
            is_folder: false,
            root: held.manifest.clone(),
            children,
            blobs,
            platforms: held.platforms.clone(),
            configs: held.configs.clone(),
        })
    }

    fn blob_of(&self, named: &Descriptor, kind: Kind) -> Blob {
        let wire = Arc::clone(&self.wire);
        let (digest, size) = (named.digest.clone(), named.size);
        let open = Opener::new(move || {
            let (to, pieces) = mpsc::channel(WAITING);
            let (wire, digest) = (Arc::clone(&wire), digest.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = to.closed() => {}
                    () = wire.fetch(&digest, size, &to) => {}
                }
            });
            Pieces::sent(pieces)
        });
        Blob::elsewhere(named, kind, self.wire.at.repository.as_str(), open)
    }
}

/// What is found below one manifest, each thing once.
struct Gather<'a> {
    from: &'a Registry,
    /// Each after those that it names itself.
    children: Vec<Manifest>,
    blobs: Vec<Blob>,
    seen: HashSet<Digest>,
}

impl Gather<'_> {
    fn below(&mut self, manifest: Manifest, depth: usize) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            match inspected(&manifest)? {
                Inspected::Image { config, layers } => {
                    self.blob(&config, Kind::Config);
                    // What has another address was never in a registry.
                    let layers = layers.iter().filter(|layer| layer.urls.is_empty());
                    layers.for_each(|layer| self.blob(layer, Kind::Layer));
                }
                Inspected::Index { manifests } => {
                    for entry in manifests {
                        if self.seen.insert(entry.digest.clone()) {
                            self.child(&manifest, &entry, depth).await?;
                        }
                    }
                }
            }
            Ok(())
        })
    }

    async fn child(
        &mut self,
        index: &Manifest,
        entry: &Descriptor,
        depth: usize,
    ) -> Result<(), Failure> {
        let what = || format!("index {}", index.digest.short());
        if depth == DEPTH {
            return Err(unusable(&what(), "it is too deep in other indexes"));
        }
        let reference = Reference::Digest(entry.digest.clone());
        let Some(child) = self.from.manifest(&reference).await? else {
            let lacks = &self.from.wire.at.repository;
            let why = format!("ECR `{lacks}` lacks {}, which it lists", entry.digest);
            return Err(unusable(&what(), &why)
                .next("name an image whose manifests are all there, or build it anew"));
        };
        self.below(child.clone(), depth + 1).await?;
        self.children.push(child);
        Ok(())
    }

    fn blob(&mut self, named: &Descriptor, kind: Kind) {
        if self.seen.insert(named.digest.clone()) {
            self.blobs.push(self.from.blob_of(named, kind));
        }
    }
}

/// How far a reading has come.
struct Reading<'a> {
    digest: &'a Digest,
    size: u64,
    at: u64,
    hash: Sha256,
    to: &'a mpsc::Sender<Result<Bytes, Failure>>,
}

impl Wire {
    /// Sends a blob's pieces, checked, until its end, a failure, or until nobody listens any more.
    async fn fetch(&self, digest: &Digest, size: u64, to: &mpsc::Sender<Result<Bytes, Failure>>) {
        let what = format!("blob {}", digest.short());
        let mut reading = Reading { digest, size, at: 0, hash: Sha256::new(), to };
        let mut attempts = self.pace.blob.begin();
        let failure = loop {
            match self.stretch(&mut reading).await {
                Ok(()) => break reading.checked(&what),
                Err(Trouble::Final(failure)) => break Some(failure),
                Err(Trouble::Again(again)) => {
                    let Some(wait) = attempts.next(again.after) else {
                        break Some(again.told(&what, false, attempts.made(), &self.at));
                    };
                    tokio::time::sleep(wait).await;
                }
            }
        };
        if let Some(failure) = failure {
            let _ = to.send(Err(failure)).await;
        }
    }

    /// Reads from where the reading is, to the end or as far as it comes.
    async fn stretch(&self, reading: &mut Reading<'_>) -> Result<(), Trouble> {
        let url = self.url(&format!("blobs/{}", reading.digest))?;
        let from = reading.at;
        let request = || match from {
            0 => self.http.get(url.clone()),
            from => self.http.get(url.clone()).header(RANGE, format!("bytes={from}-")),
        };
        // Only the beginning has a time of its own: how long a layer takes is the layer's affair.
        let begun = tokio::time::timeout(SMALL, self.send(Asked::Blob, request)).await;
        let answer = begun.map_err(|_| self.broken("no answer in time"))??;
        let mut response = match answer {
            Answer::Good(response) => response,
            Answer::Refused(refusal) => return Err(refusal.told(Asked::Blob, &self.at).into()),
        };
        let is_rest = response.status() == StatusCode::PARTIAL_CONTENT;
        let mut known = if is_rest { 0 } else { from };
        loop {
            // Sooner than the upload, which would blame the other side for a silence of this one.
            let next = tokio::time::timeout(self.pace.stall / 2, response.chunk()).await;
            let next = next.map_err(|_| self.broken(&reading.said("went silent")))?;
            let Some(piece) = next.map_err(|error| reading.cut(unsent(&error)))? else { break };
            let skip = known.min(piece.len() as u64);
            known -= skip;
            // Never more than the piece has: it was capped by that above.
            let piece = piece.slice(usize::try_from(skip).unwrap_or(piece.len())..);
            if !reading.pass(piece).await? {
                return Ok(());
            }
        }
        match reading.at == reading.size {
            true => Ok(()),
            false => Err(self.broken(&reading.said("ended"))),
        }
    }

    fn broken(&self, said: &str) -> Trouble {
        let said = format!("`{}`: {said}", self.at.host);
        Trouble::Again(Again { kind: Passing::Cut, said, after: None })
    }
}

impl Reading<'_> {
    /// Hands a piece on; false where nobody wants it any more.
    async fn pass(&mut self, piece: Bytes) -> Result<bool, Failure> {
        self.at += piece.len() as u64;
        if self.at > self.size {
            let what = format!("blob {}", self.digest.short());
            return Err(unusable(&what, &format!("it is longer than {} bytes", self.size)));
        }
        self.hash.update(&piece);
        Ok(piece.is_empty() || self.to.send(Ok(piece)).await.is_ok())
    }

    /// What is wrong with all of it, if anything is.
    fn checked(self, what: &str) -> Option<Failure> {
        let read = Digest::finish(self.hash);
        (self.at == self.size && read != *self.digest).then(|| {
            unusable(what, &format!("its bytes are {}", read.short()))
                .next("name another image: this one's repository does not hold what it says")
        })
    }

    /// Adds how far it came.
    fn cut(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Again(again) => {
                let said = format!("{}, after {} of {} bytes", again.said, self.at, self.size);
                Trouble::Again(Again { said, ..again })
            }
            done @ Trouble::Final(_) => done,
        }
    }

    fn said(&self, how: &str) -> String {
        format!("the reading {how} after {} of {} bytes", self.at, self.size)
    }
}
