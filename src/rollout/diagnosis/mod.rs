//! Says why, from evidence: one cause, who said it, and one thing to do. Pure; the most specific
//! reading first; where something was not seen it says less instead of guessing.

use super::{Evidence, Trouble};
use crate::error::{Code, Failure};

mod admit;
mod crash;
mod facts;
mod line;
mod mount;
mod node;
mod probe;
mod pull;
mod sched;
mod scrub;
mod start;

pub use scrub::scrub;

/// The sentence for a cause: `what` is the clause after "`shop/web` was not updated to 9f2c1e4: ".
#[must_use]
pub fn diagnose(evidence: &Evidence) -> Failure {
    let e = evidence;
    match &e.cause.trouble {
        Trouble::Pull { reason, message } => pull::diagnose(e, reason, message),
        Trouble::Start { reason, message } => start::diagnose(e, reason, message),
        Trouble::Config { message, .. } => start::config(e, message),
        Trouble::Exit { code, signal, reason, times } => {
            crash::diagnose(e, *code, *signal, reason, *times)
        }
        Trouble::Killed { probe, message, times } => probe::killed(e, probe, message, *times),
        Trouble::NotReady { message, gate } => {
            probe::not_ready(e, message.as_deref(), gate.as_deref())
        }
        Trouble::Unschedulable { message, autoscaler } => {
            sched::diagnose(e, message, autoscaler.as_deref())
        }
        Trouble::NotCreated { message } => admit::diagnose(e, message),
        Trouble::Mount { message } => mount::diagnose(e, message),
        Trouble::Node { reason, message } => node::diagnose(e, reason, message),
        Trouble::OtherImage { runs } => other_image(e, runs),
        Trouble::Nothing => nothing(e),
    }
}

fn other_image(e: &Evidence, runs: &str) -> Failure {
    let digest = runs.get(.."sha256:".len() + 12).unwrap_or(runs);
    Failure::new(Code::PullDigest, format!("{} runs another image", e.container()))
        .why(format!(
            "its image id is {digest}, none of the digests that were shipped; {}",
            e.share()
        ))
        .next(
            "look for a webhook or a registry mirror that replaces images on their way to the node",
        )
}

fn nothing(e: &Evidence) -> Failure {
    let failure = Failure::new(Code::RunDeadline, "not all of its pods became available in time");
    match e.warnings.last() {
        Some((reason, message)) => {
            failure.why(format!("the last warning: {reason}: {}", facts::said(message)))
        }
        None => failure.why("no pod in trouble and no warning was seen"),
    }
    .next("raise `timeout` if its pods need longer to start")
}
