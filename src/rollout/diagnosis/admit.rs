//! Pods that the API server does not take.

use super::super::Evidence;
use super::super::kinds::{self, Admit};
use super::facts::{between, said};
use crate::error::{Code, Failure};

pub(super) fn diagnose(e: &Evidence, message: &str) -> Failure {
    let failure = match kinds::admit(message) {
        Admit::Quota => quota(e, message),
        Admit::Security => security(),
        Admit::Denied => denied(message),
        Admit::Webhook => webhook(message),
        Admit::Account => account(e, message),
        Admit::Refused | Admit::Other => other(e),
    };
    failure.why(format!("API server: {}", said(essence(message))))
}

/// Without the pod's random name, which is another one each time.
fn essence(message: &str) -> &str {
    let rest = message.strip_prefix("Error creating: ").unwrap_or(message);
    rest.split_once(" is forbidden: ").map_or(rest, |(_, rest)| rest)
}

fn quota(e: &Evidence, message: &str) -> Failure {
    let name = between(message, "exceeded quota: ", ",").unwrap_or("QUOTA");
    Failure::new(Code::AdmitQuota, format!("quota `{name}` leaves no room for a new pod")).next(
        format!(
            "raise quota `{name}` in `{}`, or let old pods go first: `maxUnavailable: 1`",
            e.namespace
        ),
    )
}

fn security() -> Failure {
    Failure::new(Code::AdmitPolicy, "Pod Security refuses its pods")
        .next("correct `securityContext` in the workload: the fields are named above")
}

fn denied(message: &str) -> Failure {
    let name = between(message, "admission webhook \"", "\"")
        .or_else(|| between(message, "ValidatingAdmissionPolicy '", "'"));
    let who = name.map_or_else(|| "a policy".into(), |name| format!("policy `{name}`"));
    Failure::new(Code::AdmitPolicy, format!("{who} refuses its pods"))
        .next("change the workload as the policy says above")
}

fn webhook(message: &str) -> Failure {
    let name = between(message, "failed calling webhook \"", "\"").unwrap_or("WEBHOOK");
    Failure::new(
        Code::AdmitWebhook,
        format!("no pod can be created: webhook `{name}` does not answer"),
    )
    .next("kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations")
    .next("and repair the service it names: the image is not the cause")
}

fn account(e: &Evidence, message: &str) -> Failure {
    let named = between(message, "serviceaccount \"", "\"");
    let name = named.or_else(|| between(message, "service account ", ":")).unwrap_or("NAME");
    let name = name.rsplit('/').next().unwrap_or(name);
    Failure::new(
        Code::AdmitAccount,
        format!("service account `{name}` does not exist in `{}`", e.namespace),
    )
    .next(format!("kubectl -n {} create serviceaccount {name}", e.namespace))
}

fn other(e: &Evidence) -> Failure {
    Failure::new(Code::AdmitOther, "no pod can be created")
        .next(format!("kubectl -n {} describe replicaset", e.namespace))
}
