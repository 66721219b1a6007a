//! What a rollback would put back: captured before the write, spelled so that nothing else changes.
//!
//! Pure. The same image spelled otherwise makes another ReplicaSet, so the original string is kept
//! byte for byte wherever it still means what the healthy pods run.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cluster::{Health, LiveContainer, Revision};
use crate::names::{Digest, ImageRef};
use crate::record::Record;

/// What a reference of ours names now, by how it stands in the workload: the image's own digest
/// first, then those of an index's manifests, which some runtimes (CRI-O) report instead. Absent
/// where it could not be resolved, or did not have to be.
pub type Resolved = BTreeMap<String, Vec<Digest>>;

/// Whether an image, as it stands in a workload, is in this very repository, `host/name`: another
/// account's may have the same name, and another name may begin with it.
#[must_use]
pub fn is_in(uri: &ImageRef, image: &str) -> bool {
    image
        .parse::<ImageRef>()
        .is_ok_and(|image| image.registry == uri.registry && image.repository == uri.repository)
}

/// The state to go back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RestorePoint {
    /// Container to the image string that is put back.
    pub images: BTreeMap<String, String>,
    /// The digests of the images its pods ran, by container.
    pub digests: BTreeMap<String, Digest>,
    /// Every digest that a pod may report for it, by container.
    pub reported: BTreeMap<String, Vec<Digest>>,
    /// The commit, where slipway shipped it.
    pub commit: Option<String>,
    /// As people read it: `3f2a91c`, `v1`, `nginx:1.24.0`.
    pub label: String,
    /// Its pods that are ready.
    pub ready: u32,
    /// Replicas that are asked for.
    pub wanted: u32,
    /// Whether ECR still has every one of its images that is ours; absent where that could not be read.
    pub in_ecr: Option<bool>,
    /// The revision it was.
    pub revision: i64,
}

impl RestorePoint {
    /// The digest of the first container: for lines that show one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digests.values().next()
    }

    /// Whether it is what is written anyway: the same strings, or pods that run the same image.
    #[must_use]
    pub fn is_of(&self, images: &BTreeMap<String, String>, digests: &[Digest]) -> bool {
        let runs = |name: &String| self.digests.get(name).is_some_and(|d| digests.contains(d));
        self.images.iter().all(|(name, image)| images.get(name) == Some(image) || runs(name))
    }

    /// The digests of those images that are in this repository.
    #[must_use]
    pub fn of_repository(&self, uri: &ImageRef) -> Vec<Digest> {
        let ours = self.images.iter().filter(|(_, image)| is_in(uri, image));
        ours.filter_map(|(name, _)| self.digests.get(name).cloned()).collect()
    }

    /// Whether ECR, which has these, has every image of the restore point that is in this repository;
    /// absent where none of them is: about others ECR says nothing.
    #[must_use]
    pub fn is_among(&self, present: &[Digest], uri: &ImageRef) -> Option<bool> {
        let wanted = self.of_repository(uri);
        (!wanted.is_empty()).then(|| wanted.iter().all(|digest| present.contains(digest)))
    }
}

/// Captures the restore point: the last revision that completed, if ready pods prove one.
#[must_use]
pub fn capture(
    health: &Health,
    targets: &[LiveContainer],
    record: &Record,
    resolved: &Resolved,
) -> Option<RestorePoint> {
    let revision = health.completed.as_ref().filter(|revision| revision.ready > 0)?;
    let mut images = BTreeMap::new();
    let mut digests = BTreeMap::new();
    let mut reported = BTreeMap::new();
    for target in targets {
        let original = revision.images.get(&target.name)?;
        let running = image_of(original, only(revision, &target.name), resolved);
        images.insert(target.name.clone(), spelled(original, running.as_ref(), resolved));
        if let Some(digest) = running {
            reported.insert(target.name.clone(), may_report(revision, target, &digest, resolved));
            digests.insert(target.name.clone(), digest);
        }
    }
    let first = targets.first()?;
    // What is put back names it, not what stood there: `latest` may be another image by now.
    let label_of = images.get(&first.name)?;
    let commit =
        digests.get(&first.name).and_then(|digest| record.commit_of(digest)).map(str::to_owned);
    Some(RestorePoint {
        label: label(commit.as_deref(), label_of, digests.get(&first.name)),
        images,
        digests,
        reported,
        commit,
        ready: revision.ready,
        wanted: health.wanted,
        in_ecr: None,
        revision: revision.number,
    })
}

/// The digest that all ready pods report for this container, if it is one.
#[must_use]
pub fn only(revision: &Revision, container: &str) -> Option<Digest> {
    let running = revision.digests.get(container)?;
    let mut all = running.iter();
    let first = all.next()?;
    all.next().is_none().then(|| first.clone())
}

/// The image that pods run which report this digest: what its reference pins, or the index that it is
/// from, else that very digest. A record knows images by these.
#[must_use]
pub fn image_of(original: &str, reported: Option<Digest>, resolved: &Resolved) -> Option<Digest> {
    let pinned = pinned(original);
    let family = resolved.get(original);
    let of_index = |digest: &Digest| family.filter(|family| family.contains(digest));
    let index = reported.as_ref().and_then(of_index).and_then(|family| family.first().cloned());
    pinned.or(index).or(reported)
}

/// The image's own digest, what its pods report, and what others may: nodes of another platform.
fn may_report(
    revision: &Revision,
    target: &LiveContainer,
    digest: &Digest,
    resolved: &Resolved,
) -> Vec<Digest> {
    let seen = revision.digests.get(&target.name).into_iter().flatten();
    let family = revision.images.get(&target.name).and_then(|image| resolved.get(image));
    // The family of a tag that moved is another image's.
    let family = family.filter(|family| family.contains(digest)).into_iter().flatten();
    let mut all: Vec<_> = std::iter::once(digest).chain(seen).chain(family).cloned().collect();
    all.sort();
    all.dedup();
    all
}

/// The digest that a reference names itself.
#[must_use]
pub fn pinned(image: &str) -> Option<Digest> {
    image.parse::<ImageRef>().ok()?.digest
}

/// The original string if it is pinned, if its tag still names what runs, or if that cannot be told:
/// then the old ReplicaSet, whose pods serve, is simply kept. Else the digest that runs.
fn spelled(original: &str, running: Option<&Digest>, resolved: &Resolved) -> String {
    let (Some(running), Ok(reference)) = (running, original.parse::<ImageRef>()) else {
        return original.into();
    };
    let moved = resolved.get(original).is_some_and(|now| !now.contains(running));
    if reference.digest.is_some() || !moved {
        return original.into();
    }
    ImageRef { tag: None, digest: Some(running.clone()), ..reference }.to_string()
}

/// A commit in seven digits, else what stands in the workload, as short as it is clear.
#[must_use]
pub fn label(commit: Option<&str>, image: &str, digest: Option<&Digest>) -> String {
    if let Some(commit) = commit {
        return short_commit(commit);
    }
    let Ok(reference) = image.parse::<ImageRef>() else { return image.into() };
    let ours = reference.registry.as_deref().is_some_and(|host| host.contains(".dkr"));
    match (&reference.tag, digest) {
        (Some(tag), _) if ours => short_commit(tag.as_str()),
        (Some(tag), _) => format!("{}:{tag}", reference.repository),
        (None, Some(digest)) => digest.short().into(),
        (None, None) => reference.repository,
    }
}

/// Seven digits of a commit; anything else as it is.
#[must_use]
pub fn short_commit(tag: &str) -> String {
    let (bare, dirty) = tag.strip_suffix("-dirty").map_or((tag, ""), |bare| (bare, "-dirty"));
    let is_commit = matches!(bare.len(), 40 | 64) && bare.bytes().all(|b| b.is_ascii_hexdigit());
    if is_commit { format!("{}{dirty}", &bare[..7]) } else { tag.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web";

    #[test]
    fn a_moved_tag_goes_back_to_the_digest_that_runs_and_anything_else_stays_as_it_is() {
        let (runs, moved) = (Digest::of(b"runs"), Digest::of(b"moved"));
        let latest = format!("{HOST}:latest");
        let resolved = |digest: &Digest| Resolved::from([(latest.clone(), vec![digest.clone()])]);
        assert_eq!(spelled(&latest, Some(&runs), &resolved(&moved)), format!("{HOST}@{runs}"));
        assert_eq!(spelled(&latest, Some(&runs), &resolved(&runs)), latest);
        assert_eq!(spelled(&latest, Some(&runs), &Resolved::new()), latest);
        let pinned = format!("{HOST}:v1@{runs}");
        assert_eq!(spelled(&pinned, Some(&moved), &resolved(&moved)), pinned);
        assert_eq!(spelled("nginx:1.24.0", Some(&runs), &Resolved::new()), "nginx:1.24.0");
    }

    #[test]
    fn a_pod_that_reports_a_manifest_of_an_index_runs_the_index() {
        let (index, child, other) = (Digest::of(b"index"), Digest::of(b"child"), Digest::of(b"x"));
        let latest = format!("{HOST}:latest");
        let family = vec![index.clone(), child.clone()];
        let resolved = Resolved::from([(latest.clone(), family)]);
        let image = |original: &str, digest: &Digest| {
            image_of(original, Some(digest.clone()), &resolved).unwrap()
        };
        assert_eq!(image(&latest, &child), index);
        assert_eq!(image(&latest, &other), other);
        assert_eq!(image(&format!("{HOST}:v1@{index}"), &child), index);
        assert_eq!(image("nginx:1.24.0", &child), child);
        assert_eq!(spelled(&latest, Some(&index), &resolved), latest);
    }

    #[test]
    fn only_images_of_this_very_repository_are_looked_for_in_it() {
        let image = |reference: &str| (reference.to_owned(), format!("{reference}:v1"));
        let names = [HOST, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web-admin", "nginx"];
        let other = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/web";
        let all: Vec<_> = names.iter().copied().chain([other]).collect();
        let point = RestorePoint {
            images: all.iter().map(|name| image(name)).collect(),
            digests: all.iter().map(|n| ((*n).to_owned(), Digest::of(n.as_bytes()))).collect(),
            reported: BTreeMap::new(),
            commit: None,
            label: String::new(),
            ready: 3,
            wanted: 3,
            in_ecr: None,
            revision: 17,
        };
        assert!(point.is_of(&point.images, &[]));
        let none = BTreeMap::new();
        assert!(!point.is_of(&none, &[Digest::of(HOST.as_bytes())]));
        let every: Vec<_> = point.digests.values().cloned().collect();
        assert!(point.is_of(&none, &every));
        let (uri, ours) = (HOST.parse().unwrap(), Digest::of(HOST.as_bytes()));
        assert_eq!(point.of_repository(&uri), std::slice::from_ref(&ours));
        assert_eq!(point.is_among(&[ours], &uri), Some(true));
        assert_eq!(point.is_among(&every[..0], &uri), Some(false));
        assert_eq!(point.is_among(&every, &"ghcr.io/web".parse().unwrap()), None);
    }

    #[test]
    fn labels_are_short_and_clear() {
        let commit = "3f2a91c000000000000000000000000000000000";
        assert_eq!(label(Some(commit), "x", None), "3f2a91c");
        assert_eq!(label(None, &format!("{HOST}:{commit}-dirty"), None), "3f2a91c-dirty");
        assert_eq!(label(None, &format!("{HOST}:v1"), None), "v1");
        assert_eq!(label(None, "nginx:1.24.0", None), "nginx:1.24.0");
        assert_eq!(
            label(None, &format!("{HOST}@{}", Digest::of(b"x")), Some(&Digest::of(b"x"))),
            Digest::of(b"x").short()
        );
    }
}
