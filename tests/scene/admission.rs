//! Rules of admission that stand in the way of a ship.

use slipway_sandbox::kube;

use super::{Ground, Scene};

const WEBHOOK: &str = "policy.example.com";
const SENTENCE: &str = "image must be signed";

/// Who refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A webhook whose service is not there, and that must be asked.
    SilentWebhook,
    /// A webhook that says no.
    DenyingWebhook,
    /// A `ValidatingAdmissionPolicy` that says no.
    Policy,
}

impl Rule {
    /// What the testbed calls it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::SilentWebhook => "silent",
            Self::DenyingWebhook => "denies",
            Self::Policy => "policy",
        }
    }

    /// What the sandbox plays where it stands in the way of pods.
    pub(super) fn recording(self) -> &'static str {
        match self {
            Self::SilentWebhook => "webhook-silent",
            Self::DenyingWebhook => "webhook-denies",
            Self::Policy => "policy-denies",
        }
    }

    fn sandboxed(self) -> kube::Rule {
        match self {
            Self::SilentWebhook => kube::Rule::Silent(WEBHOOK, "policy"),
            Self::DenyingWebhook => kube::Rule::Denies(WEBHOOK, SENTENCE),
            Self::Policy => kube::Rule::Policy("story", SENTENCE),
        }
    }
}

impl Scene {
    /// Refuses every write of a Deployment from now on.
    pub fn under(self, rule: Rule) -> Self {
        match &self.ground {
            Ground::Sandbox(stage) => stage.kube().rule(Some(rule.sandboxed())),
            Ground::Real(real) => real.rule(rule.word(), "deployments"),
        }
        self
    }
}
