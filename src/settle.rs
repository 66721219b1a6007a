//! All ends of one run together decide: keep, undo or hands off. Pure.

use crate::plan::Policy;
use crate::watch::{End, Ended};

/// What is done with one rollout that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// It serves.
    Keep,
    /// The restore point is put back.
    Undo,
    /// Nothing is written: there is nothing to go back to, or it is not ours to undo.
    HandsOff,
}

/// What to do with each rollout, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// One move an end.
    pub moves: Vec<Move>,
}

/// Settles a run.
#[must_use]
pub fn settle(ended: &[Ended], policy: &Policy) -> Settlement {
    Settlement {
        moves: ended
            .iter()
            .map(|ended| one(&ended.end, ended.rollout.restore.is_some(), policy))
            .collect(),
    }
}

fn one(end: &End, has_restore: bool, policy: &Policy) -> Move {
    match end {
        End::Ready(_) => Move::Keep,
        End::Failed(_) if has_restore => Move::Undo,
        End::Cancelled(_) if has_restore && policy.rollback_on_cancel => Move::Undo,
        // Somebody else's word is never overwritten, and what cannot be read is not written to.
        End::Failed(_)
        | End::Cancelled(_)
        | End::Changed(_)
        | End::Gone
        | End::Paused(_)
        | End::Unknown(_) => Move::HandsOff,
    }
}
