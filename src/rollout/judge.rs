//! The verdict on a rollout: a fold over observations. Pinned to our own generation and our own
//! ReplicaSet; it fails early only on what is proven, everything else waits for the patience to
//! end. No client, no clock.

use std::time::Duration;

use super::{Memory, Observation, Seen, Verdict, change, ready, template, trouble};

/// Takes in one observation and says how the rollout stands. A verdict other than `Waiting` is
/// final: it is repeated for whatever comes after.
pub fn judge(memory: &mut Memory, seen: &Observation) -> Verdict {
    memory.absorb(seen);
    if let Some(verdict) = &memory.verdict {
        return verdict.clone();
    }
    let verdict = decide(memory);
    memory.doubts = verdict != Verdict::Waiting && !is_said(&verdict, &seen.seen);
    if memory.doubts {
        return Verdict::Waiting;
    }
    if verdict != Verdict::Waiting {
        memory.verdict = Some(verdict.clone());
    }
    verdict
}

/// Whether a verdict is what an object said, or what everything says that was read anew. What only
/// time brought about may rest on a stream that has long been dead.
fn is_said(verdict: &Verdict, seen: &Seen) -> bool {
    match verdict {
        Verdict::Ready(_) | Verdict::Late(_) => matches!(seen, Seen::Confirmed),
        Verdict::Failed(_) => !matches!(seen, Seen::Tick | Seen::Event(_)),
        Verdict::Waiting | Verdict::Changed(_) | Verdict::Gone => true,
    }
}

fn decide(memory: &Memory) -> Verdict {
    if memory.gone {
        return Verdict::Gone;
    }
    if let Some(change) = memory.workload.as_ref().and_then(|workload| {
        change::of(workload, &memory.ours, memory.written.as_ref(), memory.now)
    }) {
        return Verdict::Changed(change);
    }
    if let Some(baking) = &memory.baking {
        if let Some(cause) = ready::fell(memory, baking) {
            return Verdict::Failed(cause);
        }
        if let Some(proof) = ready::proof(memory, baking) {
            return Verdict::Ready(proof);
        }
    } else if let Some(cause) = trouble::certain(memory) {
        return Verdict::Failed(cause);
    }
    if memory.now >= memory.late_at || (memory.baking.is_none() && gave_up(memory)) {
        return Verdict::Late(trouble::best(memory));
    }
    Verdict::Waiting
}

/// Whether the Deployment controller's own deadline has passed for this rollout.
///
/// The condition outlives the rollout it was about, and is still there right after a PATCH: it is
/// believed only if it is younger than the PATCH, names our ReplicaSet, and comes after a whole
/// deadline of watching.
fn gave_up(memory: &Memory) -> bool {
    let Some(workload) = memory.our_workload().filter(|w| template::is_observed(w)) else {
        return false;
    };
    let Some(deadline) = workload.spec.as_ref().and_then(|s| s.progress_deadline_seconds) else {
        return false;
    };
    let deadline = Duration::from_secs(u64::try_from(deadline).unwrap_or(u64::MAX));
    let conditions = workload.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let mut exceeded = conditions.filter(|c| {
        c.type_ == "Progressing" && c.reason.as_deref() == Some("ProgressDeadlineExceeded")
    });
    let Some(exceeded) = exceeded.next() else { return false };
    let updated = exceeded.last_update_time.as_ref().map(|time| time.0);
    let fresh = updated.is_some_and(|time| time > memory.ours.patched_at);
    let message = exceeded.message.as_deref().unwrap_or_default();
    let names_ours = memory
        .our_set()
        .is_some_and(|set| message.contains(&format!("\"{}\"", trouble::set_name(set))));
    // Without a ReplicaSet, as when it cannot be created at all, the message names the workload.
    let names_none = !message.starts_with("ReplicaSet ");
    fresh && (names_ours || names_none) && memory.now >= deadline
}
