//! An image into the repository while it comes out of an engine: each layer is sent as it is read, and its digest is
//! known when its last byte is.
//!
//! A layer that did not arrive is read again with the whole stream, since an engine gives no single layer away; those
//! that are stored are passed over then. Nothing is named before it is known to be what the image's config says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::answer::{Again, Passing, Refusal, Trouble};
use super::naming::{Naming, Put};
use super::upload::Meter;
use super::wire::{Listener, Wire};
use super::{Progress, Pushed, Reference, Registry};
use crate::error::{Code, Failure};
use crate::http::retry::Patience;
use crate::image::{
    Blob, Broken, Descriptor, Found, Inspected, Manifest, Saved, Sealed, Streamed, inspect,
};
use crate::names::{Digest, Tag};

/// An image that is in the repository by its digest, under no tag yet.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its manifest.
    pub manifest: Manifest,
    /// Layers that were sent.
    pub new: usize,
    /// Their bytes.
    pub new_bytes: u64,
    /// Layers that were there.
    pub reused: usize,
}

impl Registry {
    /// Puts an image under a tag as it comes out of an engine, and reads it back.
    ///
    /// `known` are layers that the repository has, by their digests before compression: they are neither pressed nor
    /// sent. Dropping the future stops everything.
    ///
    /// # Errors
    /// Each kind of refusal under its code; nothing is under the tag then, or what was there before.
    pub async fn push_saved(
        &self,
        saved: &Saved,
        tag: &Tag,
        known: &BTreeMap<Digest, Descriptor>,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Pushed, Failure> {
        let reference = Reference::Tag(tag.clone());
        if let Some(there) = self.has_saved(saved, tag).await? {
            return Ok(there);
        }
        let mut sending = Sending::new(&self.wire, saved, known, progress);
        let stored = sending.under(&reference).await?;
        sending.naming(&stored.manifest).read_back(tag).await?;
        let Stored { manifest, new, new_bytes, reused } = stored;
        Ok(Pushed { digest: manifest.digest, new, new_bytes, reused })
    }

    /// The same without a tag: its blobs and its manifest, by digest, for an index to name.
    ///
    /// # Errors
    /// Each kind of refusal under its code.
    pub async fn store_saved(
        &self,
        saved: &Saved,
        known: &BTreeMap<Digest, Descriptor>,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Stored, Failure> {
        let mut sending = Sending::new(&self.wire, saved, known, progress);
        sending.by_digest().await
    }

    /// Waits for the tag to name what somebody pushed for us.
    ///
    /// # Errors
    /// It names something else, or nothing.
    pub async fn read_back(
        &self,
        tag: &Tag,
        pushed: &Digest,
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<(), Failure> {
        self.wire.read_back(tag, pushed, progress).await
    }

    /// What is under the tag if it is one image with this config: then it is that image, whoever pressed it.
    ///
    /// # Errors
    /// The registry does not say.
    pub async fn has_saved(&self, saved: &Saved, tag: &Tag) -> Result<Option<Pushed>, Failure> {
        let there = self.manifest(&Reference::Tag(tag.clone())).await?;
        let Some(there) = there else { return Ok(None) };
        match inspect(&there.media_type, &there.bytes) {
            Ok(Inspected::Image { config, .. }) if config.digest == saved.config => {
                let reused = saved.diff_ids.iter().collect::<BTreeSet<_>>().len();
                Ok(Some(Pushed { digest: there.digest, new: 0, new_bytes: 0, reused }))
            }
            _ => Ok(None),
        }
    }
}

struct Sending<'a> {
    wire: &'a Wire,
    saved: &'a Saved,
    known: &'a BTreeMap<Digest, Descriptor>,
    listener: Listener<'a>,
    config: Option<Blob>,
    /// What is in the repository, by its digest before compression.
    there: BTreeMap<Digest, Descriptor>,
    /// What was found under a name in the stream.
    paths: BTreeMap<String, Digest>,
    /// Whether a login was renewed for a name.
    renewed: BTreeMap<String, Arc<AtomicBool>>,
    new: usize,
    new_bytes: u64,
}

/// What became of one layer.
struct Came {
    path: String,
    what: String,
    sealed: Result<Sealed, Trouble>,
}

impl<'a> Sending<'a> {
    fn new(
        wire: &'a Wire,
        saved: &'a Saved,
        known: &'a BTreeMap<Digest, Descriptor>,
        listener: Listener<'a>,
    ) -> Self {
        let there = known.clone();
        let (paths, renewed) = (BTreeMap::new(), BTreeMap::new());
        let config = None;
        Self { wire, saved, known, listener, config, there, paths, renewed, new: 0, new_bytes: 0 }
    }

    async fn by_digest(&mut self) -> Result<Stored, Failure> {
        let config = self.bring().await?;
        let manifest = self.saved.manifest(&config, &self.there)?;
        let reference = Reference::Digest(manifest.digest.clone());
        let there = self.wire.digest_patiently(&reference, self.listener).await?;
        if there.is_some() {
            Ok(self.stored(manifest))
        } else {
            self.put(manifest, &reference).await
        }
    }

    async fn under(&mut self, reference: &Reference) -> Result<Stored, Failure> {
        let config = self.bring().await?;
        let manifest = self.saved.manifest(&config, &self.there)?;
        self.put(manifest, reference).await
    }

    /// Puts the manifest; if what it names was deleted since it was sent, that is read again, once.
    async fn put(&mut self, manifest: Manifest, reference: &Reference) -> Result<Stored, Failure> {
        let mut manifest = manifest;
        let mut is_second = false;
        loop {
            match self.naming(&manifest).put(reference).await? {
                Put::Incomplete(refusal) if !is_second => {
                    is_second = true;
                    self.forget(&refusal).await?;
                    let config = self.bring().await?;
                    manifest = self.saved.manifest(&config, &self.there)?;
                }
                other => {
                    self.naming(&manifest).settled(other, reference).await?;
                    return Ok(self.stored(manifest));
                }
            }
        }
    }

    fn naming<'b>(&self, manifest: &'b Manifest) -> Naming<'b>
    where
        'a: 'b,
    {
        let Self { wire, saved, listener, .. } = *self;
        Naming { wire, shown: &saved.shown, manifest, listener }
    }

    fn stored(&self, manifest: Manifest) -> Stored {
        let layers: BTreeSet<_> = self.saved.diff_ids.iter().collect();
        let reused = layers.len().saturating_sub(self.new);
        Stored { manifest, new: self.new, new_bytes: self.new_bytes, reused }
    }

    /// Forgets what a refused manifest names in vain: what the registry says, or else what it lacks.
    async fn forget(&mut self, refusal: &Refusal) -> Result<(), Failure> {
        let said = refusal.digests();
        let mut lost = Vec::new();
        for (diff_id, layer) in &self.there {
            if said.contains(&layer.digest) || !self.has(&layer.digest).await? {
                lost.push(diff_id.clone());
            }
        }
        for diff_id in lost {
            // One that was sent by this run is counted once.
            if self.there.remove(&diff_id).is_some() && !self.known.contains_key(&diff_id) {
                self.new = self.new.saturating_sub(1);
            }
        }
        self.config = None;
        Ok(())
    }

    async fn has(&self, digest: &Digest) -> Result<bool, Failure> {
        let what = format!("blob {}", digest.short());
        let own = &self.wire.at.repository;
        let patience = self.wire.pace.blob;
        self.wire
            .patiently(&what, false, patience, self.listener, |_| self.wire.has_blob(own, digest))
            .await
    }

    /// Reads the stream until everything is in the repository, as often as patience lasts.
    async fn bring(&mut self) -> Result<Blob, Failure> {
        let mut attempts = self.wire.pace.blob.begin();
        loop {
            let saved = self.saved;
            let layers = saved.diff_ids.iter().filter(|id| !self.there.contains_key(id));
            let wanted: BTreeSet<Digest> = layers.cloned().collect();
            if let (true, Some(config)) = (wanted.is_empty(), &self.config) {
                return Ok(config.clone());
            }
            let Some((what, trouble)) = self.pass(wanted).await? else { continue };
            let (said, after, last) = match trouble {
                Later::Again(again) => {
                    let made = attempts.made();
                    let last = again.told(&what, true, made, &self.wire.at);
                    (again.said, again.after, last)
                }
                Later::Cut(mut failure) => {
                    let said = failure.why.join("; ");
                    let made = attempts.made();
                    failure.why.insert(0, format!("tried {made} times; at last:"));
                    (said, None, failure)
                }
            };
            let Some(wait) = attempts.next(after) else { return Err(last) };
            (self.listener)(Progress::Again { what: &what, why: &said, wait });
            tokio::time::sleep(wait).await;
        }
    }

    /// One reading: what it did not bring and why, if that passes.
    async fn pass(&mut self, wanted: BTreeSet<Digest>) -> Result<Option<(String, Later)>, Failure> {
        let mut reading = self.saved.read(wanted, &self.paths);
        let mut uploads = FuturesUnordered::new();
        let mut later = None;
        let mut is_read = false;
        while !is_read || !uploads.is_empty() {
            let has_room = uploads.len() < self.wire.pace.at_once.max(1);
            tokio::select! {
                found = reading.next(), if !is_read && has_room => match found {
                    None => is_read = true,
                    Some(Ok(Found::Config(blob))) => self.config(blob).await?,
                    Some(Ok(Found::Layer(layer))) => {
                        let renewed = self.renewed.entry(layer.path.clone()).or_default();
                        uploads.push(send(self.wire, layer, Arc::clone(renewed), self.listener));
                    }
                    Some(Err(Broken::Final(failure))) => return Err(failure),
                    Some(Err(Broken::Cut(failure))) => {
                        is_read = true;
                        let what = format!("the export of `{}`", self.saved.shown);
                        later = Some((what, Later::Cut(failure)));
                    }
                },
                Some(came) = uploads.next() => {
                    if let Some(again) = self.came(came)? {
                        // What broke the stream comes first: it broke the uploads too.
                        later.get_or_insert(again);
                    }
                },
            }
        }
        Ok(later)
    }

    async fn config(&mut self, blob: Blob) -> Result<(), Failure> {
        if !self.has(&blob.digest).await? {
            self.wire.upload(&blob, &[], self.listener).await?;
        }
        self.config = Some(blob);
        Ok(())
    }

    /// Notes what became of a layer.
    fn came(&mut self, came: Came) -> Result<Option<(String, Later)>, Failure> {
        let sealed = match came.sealed {
            Ok(sealed) => sealed,
            Err(Trouble::Final(failure)) => return Err(failure),
            Err(Trouble::Again(again)) => return Ok(Some((came.what, Later::Again(again)))),
        };
        (self.listener)(Progress::Stored { what: &came.what });
        self.paths.insert(came.path, sealed.diff_id.clone());
        if self.there.insert(sealed.diff_id.clone(), sealed.descriptor()).is_none() {
            self.new += 1;
            self.new_bytes += sealed.size;
        }
        Ok(None)
    }
}

/// Trouble that another reading may not have.
enum Later {
    Again(Again),
    Cut(Failure),
}

/// Sends one layer while it is read.
async fn send(
    wire: &Wire,
    layer: Streamed,
    renewed: Arc<AtomicBool>,
    listener: Listener<'_>,
) -> Came {
    let path = layer.path.clone();
    let what = match &layer.named {
        Some(diff_id) => format!("layer {}", diff_id.short()),
        None => format!("layer `{}`", crate::error::one_line(&path, 40)),
    };
    let sealed = send_it(wire, &what, layer, &renewed, listener).await;
    Came { path, what, sealed }
}

async fn send_it(
    wire: &Wire,
    what: &str,
    layer: Streamed,
    renewed: &AtomicBool,
    listener: Listener<'_>,
) -> Result<Sealed, Trouble> {
    // Nothing is lost yet: the blocks wait.
    let begun =
        wire.patiently(what, true, wire.pace.blob, listener, |_| wire.begin(what, None)).await?;
    let Some(session) = begun else { return Err(lost(what).into()) };
    let meter = Arc::new(Meter::default());
    let (pieces, seal) = layer.pieces();
    let session = wire.patch(what, session, (pieces, &meter), renewed, listener).await?;
    let Some(sealed) = seal.get().cloned() else { return Err(lost(what).into()) };
    // All of it is there: the name is tried again before the bytes are.
    let patience = Patience { attempts: wire.pace.blob.attempts.min(3), ..wire.pace.blob };
    let named = wire.patiently(what, true, patience, listener, |attempt| {
        let (session, digest) = (session.clone(), &sealed.digest);
        async move {
            if attempt > 1 && wire.has_blob(&wire.at.repository, digest).await? {
                return Ok(());
            }
            wire.complete(digest, session).await
        }
    });
    match named.await {
        Ok(()) => Ok(sealed),
        // The session is gone, and its bytes with it: only another reading has them.
        Err(failure) if matches!(failure.code, Code::EcrUpload | Code::EcrReach) => {
            let said = failure.why.first().cloned().unwrap_or(failure.what);
            Err(Trouble::Again(Again { kind: Passing::Cut, said, after: None }))
        }
        Err(failure) => Err(failure.into()),
    }
}

fn lost(what: &str) -> Failure {
    Failure::new(Code::RunBug, format!("{what} was sent without its end"))
}
