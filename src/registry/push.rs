//! A whole image into the repository: blobs that are missing, manifests from below, the tag last,
//! and a look at what the tag names then.
//!
//! Nothing is under the tag until everything below it is there. Dropping the future stops all of
//! it.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::answer::Refusal;
use super::naming::{Naming, Put};
use super::upload::Came;
use super::wire::{Listener, Wire};
use super::{Progress, Pushed, Reference, Registry};
use crate::error::Failure;
use crate::image::{Blob, Image, Kind, Manifest};
use crate::names::{Digest, Repository, Tag};

/// Questions at once, for what is there.
const ASKED_AT_ONCE: usize = 8;

impl Registry {
    /// Puts an image under a tag: what is missing, then its manifests, then the tag, read back.
    ///
    /// `mounts` are repositories of the same registry that may hold layers already; give them only
    /// where the registry mounts. Dropping the future stops everything. Layers are counted,
    /// configs are not.
    ///
    /// # Errors
    /// Each kind of refusal under its code; nothing is under the tag then, or what was there
    /// before.
    pub async fn push(
        &self,
        image: &Image,
        tag: &Tag,
        mounts: &[Repository],
        progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> Result<Pushed, Failure> {
        let push = Push { wire: &self.wire, image, tag, mounts, listener: progress };
        push.run().await
    }
}

struct Push<'a> {
    wire: &'a Wire,
    image: &'a Image,
    tag: &'a Tag,
    mounts: &'a [Repository],
    listener: Listener<'a>,
}

impl Push<'_> {
    async fn run(&self) -> Result<Pushed, Failure> {
        let root = &self.image.root;
        // Equal is done, and the only way to push again to an immutable tag.
        if self.digest_at(&Reference::Tag(self.tag.clone())).await?.as_ref() == Some(&root.digest) {
            let present = layers(&self.image.blobs).count();
            (self.listener)(Progress::Compared { missing: 0, bytes: 0, present });
            let digest = root.digest.clone();
            return Ok(Pushed { digest, new: 0, new_bytes: 0, reused: present });
        }
        let mut pushed = self.blobs().await?;
        for child in &self.image.children {
            let reference = Reference::Digest(child.digest.clone());
            // A manifest is 1 of 10 writes a second of the whole account; asking is 1 of 2000.
            if self.digest_at(&reference).await?.is_none() {
                self.put_whole(child, &reference, &mut pushed).await?;
            }
        }
        self.put_whole(root, &Reference::Tag(self.tag.clone()), &mut pushed).await?;
        self.naming(root).read_back(self.tag).await?;
        Ok(pushed)
    }

    /// Compares and sends the blobs, largest first: the largest decides when all are there.
    async fn blobs(&self) -> Result<Pushed, Failure> {
        let blobs = &self.image.blobs;
        // Futures are collected first: a closure that borrows inside a stream is not Send enough to
        // spawn.
        let asked: Vec<_> = blobs.iter().map(|blob| self.has_blob(blob)).collect();
        let there: Vec<bool> = stream::iter(asked).buffered(ASKED_AT_ONCE).try_collect().await?;
        let mut missing: Vec<&Blob> =
            blobs.iter().zip(&there).filter(|(_, there)| !**there).map(|(blob, _)| blob).collect();
        missing.sort_by_key(|blob| std::cmp::Reverse(blob.size));
        let new = || missing.iter().copied().filter(|blob| blob.kind == Kind::Layer);
        let present = layers(blobs).count() - new().count();
        let bytes = new().map(|blob| blob.size).sum();
        (self.listener)(Progress::Compared { missing: new().count(), bytes, present });

        let mut pushed = Pushed {
            digest: self.image.root.digest.clone(),
            new: 0,
            new_bytes: 0,
            reused: present,
        };
        let uploads: Vec<_> = missing.iter().map(|blob| self.upload(blob)).collect();
        let mut uploads = stream::iter(uploads).buffer_unordered(self.wire.pace.at_once.max(1));
        while let Some((blob, came)) = uploads.next().await {
            count(&mut pushed, blob, came?);
        }
        Ok(pushed)
    }

    async fn upload<'b>(&self, blob: &'b Blob) -> (&'b Blob, Result<Came, Failure>) {
        (blob, self.wire.upload(blob, self.mounts, self.listener).await)
    }

    /// Puts a manifest; if what it names was deleted since it was seen, that is sent again, once.
    async fn put_whole(
        &self,
        manifest: &Manifest,
        reference: &Reference,
        pushed: &mut Pushed,
    ) -> Result<(), Failure> {
        let naming = self.naming(manifest);
        let first = match naming.put(reference).await? {
            Put::Incomplete(refusal) => refusal,
            other => return naming.settled(other, reference).await,
        };
        self.bring_again(&first, pushed).await?;
        let second = naming.put(reference).await?;
        naming.settled(second, reference).await
    }

    /// Sends what a refused manifest names in vain: what the registry says, or else what it lacks.
    async fn bring_again(&self, refusal: &Refusal, pushed: &mut Pushed) -> Result<(), Failure> {
        let named = refusal.digests();
        for blob in &self.image.blobs {
            let lost = named.contains(&blob.digest) || !self.has_blob(blob).await?;
            if lost {
                let came = self.wire.upload(blob, &[], self.listener).await?;
                if blob.kind == Kind::Layer {
                    pushed.reused = pushed.reused.saturating_sub(1);
                }
                count(pushed, blob, came);
            }
        }
        for child in &self.image.children {
            let reference = Reference::Digest(child.digest.clone());
            if named.contains(&child.digest) || self.digest_at(&reference).await?.is_none() {
                self.naming(child).put(&reference).await?;
            }
        }
        Ok(())
    }

    async fn digest_at(&self, reference: &Reference) -> Result<Option<Digest>, Failure> {
        self.wire.digest_patiently(reference, self.listener).await
    }

    fn naming<'b>(&'b self, manifest: &'b Manifest) -> Naming<'b> {
        let Self { wire, listener, .. } = *self;
        Naming { wire, shown: &self.image.shown, manifest, listener }
    }

    async fn has_blob(&self, blob: &Blob) -> Result<bool, Failure> {
        let what = super::upload::named(blob);
        let own = &self.wire.at.repository;
        let patience = self.wire.pace.blob;
        self.wire
            .patiently(&what, false, patience, self.listener, |_| {
                self.wire.has_blob(own, &blob.digest)
            })
            .await
    }
}

fn layers(blobs: &[Blob]) -> impl Iterator<Item = &Blob> {
    blobs.iter().filter(|blob| blob.kind == Kind::Layer)
}

fn count(pushed: &mut Pushed, blob: &Blob, came: Came) {
    match (blob.kind, came) {
        (Kind::Config, _) => {}
        (Kind::Layer, Came::Reused) => pushed.reused += 1,
        (Kind::Layer, Came::Sent) => {
            pushed.new += 1;
            pushed.new_bytes += blob.size;
        }
    }
}
