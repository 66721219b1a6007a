//! Whether a digest that a pod reports is ours under another name. A runtime names an image by any of the
//! digests that it knows it by: two manifests around one program (another annotation, another compression,
//! provenance beside it) are one image to it. It must not ask anybody: what a registry says is told to it.

use k8s_openapi::api::core::v1::Pod;

use super::Memory;
use super::pods::{self, Seat};
use crate::names::Digest;

/// A digest that a new pod reports for a container of ours, and that is none of those we shipped for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stranger {
    /// The container.
    pub container: String,
    /// What it reports, as it writes it.
    pub digest: String,
}

/// What the registry makes of a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// It has configurations of ours only: the same program.
    Same,
    /// It has none of ours: another program.
    Other,
    /// It has some of ours, which may or may not be that of the pod's node; or nobody said.
    Unknown,
}

impl Kin {
    /// By the configurations under the reported digest, and those under ours.
    #[must_use]
    pub fn by_configurations(theirs: &[Digest], ours: &[Digest]) -> Self {
        let shared = theirs.iter().filter(|one| ours.contains(one)).count();
        match shared {
            _ if theirs.is_empty() || ours.is_empty() => Self::Unknown,
            0 => Self::Other,
            _ if shared == theirs.len() => Self::Same,
            _ => Self::Unknown,
        }
    }
}

/// What a container says that it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Ours,
    Another,
    /// Nothing, or a digest that nobody knows, of a pod which asks for ours.
    Hidden,
}

impl Memory {
    /// The strangers that nobody was asked about yet.
    #[must_use]
    pub fn strangers(&self) -> Vec<Stranger> {
        let pods = self.new_pods();
        let seats = pods.iter().flat_map(|pod| pods::seats(pod));
        let mut strangers: Vec<_> = seats.filter_map(|seat| self.stranger(&seat)).collect();
        strangers.retain(|stranger| !self.met.contains_key(stranger));
        strangers.sort();
        strangers.dedup();
        strangers
    }

    /// The digests that we shipped for a container.
    #[must_use]
    pub fn shipped(&self, container: &str) -> &[Digest] {
        self.ours.digests.get(container).map_or(&[], Vec::as_slice)
    }

    fn stranger(&self, seat: &Seat<'_>) -> Option<Stranger> {
        let (ours, digest) = (self.shipped(&seat.status.name), seat.digest()?);
        let is_strange = !ours.is_empty() && ours.iter().all(|one| one.as_str() != digest);
        is_strange.then(|| Stranger { container: seat.status.name.clone(), digest: digest.into() })
    }

    /// Whether a container visibly runs another image than we shipped for it.
    pub(super) fn runs_another(&self, pod: &Pod, seat: &Seat<'_>) -> bool {
        self.standing(pod, seat) == Standing::Another
    }

    /// Whether nobody says what a container runs that we shipped something for.
    pub(super) fn hides_its_digest(&self, pod: &Pod, seat: &Seat<'_>) -> bool {
        self.standing(pod, seat) == Standing::Hidden
    }

    fn standing(&self, pod: &Pod, seat: &Seat<'_>) -> Standing {
        let ours = self.shipped(&seat.status.name);
        if ours.is_empty() {
            return Standing::Ours;
        }
        if seat.digest().is_none() {
            return Standing::Hidden;
        }
        let Some(stranger) = self.stranger(seat) else { return Standing::Ours };
        match self.met.get(&stranger) {
            Some(Kin::Same) => Standing::Ours,
            Some(Kin::Other) => Standing::Another,
            // No node runs anything else for a pod that asks by a digest.
            Some(Kin::Unknown) | None if asks_for(pod, &stranger.container, ours) => {
                Standing::Hidden
            }
            Some(Kin::Unknown) | None => Standing::Another,
        }
    }
}

/// Whether the pod itself asks for one of these digests: something between us and the node may have
/// written another image into it.
fn asks_for(pod: &Pod, container: &str, digests: &[Digest]) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    all.filter(|one| one.name == container)
        .filter_map(|one| one.image.as_deref()?.split_once('@'))
        .any(|(_, digest)| digests.iter().any(|ours| ours.as_str() == digest))
}
