//! Asks the registry about a digest that a pod reports and that we did not ship: a runtime may know our
//! image by another one. It judges nothing.

use std::time::Duration;

use crate::image::Configured;
use crate::names::Digest;
use crate::registry::{Reference, Registry};
use crate::rollout::Kin;

/// Nothing of this may hold up a verdict for long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What `registry` makes of `stranger`, beside the digests that are ours.
pub(super) async fn of(registry: Option<&Registry>, stranger: &str, ours: &[Digest]) -> Kin {
    let (Some(registry), Ok(stranger)) = (registry, stranger.parse()) else { return Kin::Unknown };
    let asked = async {
        let theirs = configurations(registry, &[stranger]).await?;
        Some(Kin::by_configurations(&theirs, &configurations(registry, ours).await?))
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten().unwrap_or(Kin::Unknown)
}

/// The configurations under these digests: each names the layers by their content, and how they are run. Nothing
/// where one could not be read; one that is not there has none.
async fn configurations(registry: &Registry, digests: &[Digest]) -> Option<Vec<Digest>> {
    let mut known: Vec<Configured> = Vec::new();
    for digest in digests {
        // An index was read with its manifests.
        if known.iter().any(|one| one.manifest == *digest) {
            continue;
        }
        let held = registry.held(&Reference::Digest(digest.clone())).await.ok()?;
        known.extend(held.into_iter().flat_map(|held| held.configs));
    }
    Some(known.into_iter().map(|one| one.digest).collect())
}
