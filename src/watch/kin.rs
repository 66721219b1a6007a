//! Asks the registry about a digest that a pod reports and that we did not ship: a runtime may know our
//! image by another one. It judges nothing.

use std::time::Duration;

use crate::names::Digest;
use crate::registry::{Reference, Registry};
use crate::rollout::Kin;

/// Nothing of this may hold up a verdict for long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What `registry` makes of `stranger`, beside the digests that are ours.
pub(super) async fn of(registry: Option<&Registry>, stranger: &Digest, ours: &[Digest]) -> Kin {
    let Some(registry) = registry else { return Kin::Unknown };
    let asked = tokio::time::timeout(PATIENCE, compared(registry, stranger, ours)).await;
    asked.ok().flatten().unwrap_or(Kin::Unknown)
}

/// Nothing where the registry lacks the one or all of the others.
async fn compared(registry: &Registry, stranger: &Digest, ours: &[Digest]) -> Option<Kin> {
    let theirs = programs(registry, stranger).await?;
    let mut known = None;
    for digest in ours {
        let Some(programs) = programs(registry, digest).await else { continue };
        if programs.iter().any(|program| theirs.contains(program)) {
            return Some(Kin::Same);
        }
        known = Some(Kin::Other);
    }
    known
}

/// The configurations under a digest: each names the layers by their content, and how they are run.
async fn programs(registry: &Registry, digest: &Digest) -> Option<Vec<Digest>> {
    let held = registry.held(&Reference::Digest(digest.clone())).await.ok()??;
    Some(held.configs.into_iter().map(|config| config.digest).collect())
}
