//! A rule of admission that stands against every write of deployments, dry runs among them.
//! It must not know of pods: those that are refused by a rule are recordings.

use super::State;
use super::kinds::Kind;
use super::status::Refused;

/// Who refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A webhook by this name, whose service of this name, in a namespace of this name, is not there.
    Silent(&'static str, &'static str),
    /// A webhook by this name that says no, in this sentence.
    Denies(&'static str, &'static str),
    /// A `ValidatingAdmissionPolicy` by this name, and its binding, that says no, in this sentence.
    Policy(&'static str, &'static str),
}

/// Refuses a write that is otherwise in order.
pub(super) fn check(state: &State, kind: Kind, name: &str) -> Result<(), Refused> {
    let Some(rule) = state.rule.as_ref().filter(|_| kind.kind == "Deployment") else {
        return Ok(());
    };
    Err(match rule {
        Rule::Silent(webhook, service) => Refused::internal(&format!(
            "failed calling webhook \"{webhook}\": failed to call webhook: \
             Post \"https://{service}.{service}.svc:443/?timeout=5s\": service \"{service}\" not found"
        )),
        Rule::Denies(webhook, sentence) => Refused::denied(&format!(
            "admission webhook \"{webhook}\" denied the request: {sentence}"
        )),
        Rule::Policy(policy, sentence) => Refused::by_policy(
            kind,
            name,
            &format!(
                "ValidatingAdmissionPolicy '{policy}' with binding '{policy}' denied request: {sentence}"
            ),
        ),
    })
}
