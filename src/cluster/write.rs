//! The one write to a cluster, and every way it can be answered.
//!
//! A lost answer is an answer of its own: nothing is sent a second time unless the first certainly
//! did nothing (no connection, 429, 401).

use http::{HeaderValue, Method, StatusCode, Uri, header};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Resource;
use kube::core::Status;

use crate::error::{Code, Failure, quoted};

use super::rights::PATCH_DEPLOYMENTS;
use super::wire::{Ask, Repeat};
use super::wrong::{Doing, Wrong, forbidden};
use super::{Cluster, Patch};

/// What became of a PATCH.
#[derive(Clone, Debug)]
pub enum PatchAnswer {
    /// It is written (or, tried, would be): the workload as the server answered it.
    Applied(Box<Deployment>),
    /// A `test` did not hold: somebody changed the workload since it was read.
    Conflict(String),
    /// The object would be invalid: the server's message, and its causes.
    Invalid(String, Vec<String>),
    /// We may not patch it.
    Forbidden(String),
    /// An admission webhook or policy refused it, or a webhook did not answer: nothing was written.
    Refused(String),
    /// The workload, or its namespace, is not there.
    Gone,
    /// The answer did not arrive, or says that the server does not know: the caller reads back.
    Lost(String),
}

impl Cluster {
    /// Tries a PATCH as a server-side dry run: admission and validation, no write.
    pub async fn try_patch(&self, patch: &Patch) -> Result<PatchAnswer, Failure> {
        self.send_patch(patch, "dryRun=All&fieldManager=slipway", Repeat::Free).await
    }

    /// Sends a PATCH, once. `Err` only where it certainly did nothing: not reached, no token, 401 twice.
    pub async fn patch(&self, patch: &Patch) -> Result<PatchAnswer, Failure> {
        self.send_patch(patch, "fieldManager=slipway", Repeat::Unsent).await
    }

    /// The failure of [`PatchAnswer::Forbidden`]: which right, and the commands that grant it.
    #[must_use]
    pub fn may_not_patch(&self, patch: &Patch, message: &str) -> Failure {
        let doing = Doing { right: PATCH_DEPLOYMENTS, namespace: Some(&patch.namespace) };
        forbidden(&self.wire.access, doing, message)
    }

    async fn send_patch(
        &self,
        patch: &Patch,
        query: &str,
        repeat: Repeat,
    ) -> Result<PatchAnswer, Failure> {
        let namespace = Some(patch.namespace.as_str());
        let ask =
            ask(patch, query).map_err(|wrong| self.failure(wrong, PATCH_DEPLOYMENTS, namespace))?;
        match self.wire.ask(&ask, repeat).await {
            Ok(body) => Ok(match serde_json::from_slice(&body) {
                Ok(deployment) => PatchAnswer::Applied(Box::new(deployment)),
                Err(_) => PatchAnswer::Lost("its answer is no Deployment".into()),
            }),
            Err(Wrong::Status(code, status)) => Ok(read(code, &status)),
            Err(wrong @ Wrong::Cut(_)) => Ok(PatchAnswer::Lost(wrong.clause())),
            Err(wrong) => Err(self.failure(wrong, PATCH_DEPLOYMENTS, namespace)),
        }
    }
}

fn ask(patch: &Patch, query: &str) -> Result<Ask, Wrong> {
    let unmade = |_| Wrong::Garbled("the request cannot be made".into());
    let path = Deployment::url_path(&(), Some(&patch.namespace));
    let uri: Uri = format!("{path}/{}?{query}", patch.name).parse().map_err(unmade)?;
    let body =
        serde_json::to_vec(patch).map_err(|_| Wrong::Garbled("the patch has no JSON".into()))?;
    let mut ask = Ask::new(body);
    *ask.method_mut() = Method::PATCH;
    *ask.uri_mut() = uri;
    let json_patch = HeaderValue::from_static("application/json-patch+json");
    ask.headers_mut().insert(header::CONTENT_TYPE, json_patch);
    Ok(ask)
}

/// Reads a refusal. Admission comes first: its words are in the message, its status is anything from
/// 400 to 500, and a webhook that did not answer is a refusal too, since it is asked before the write.
fn read(code: StatusCode, status: &Status) -> PatchAnswer {
    let message = status.message.clone();
    if admission(&message) {
        return PatchAnswer::Refused(message);
    }
    let causes = causes(status);
    match code.as_u16() {
        404 => PatchAnswer::Gone,
        403 => PatchAnswer::Forbidden(message),
        409 => PatchAnswer::Conflict(message),
        // A `test` that does not hold is 422 without causes; an invalid object names each field.
        422 if causes.is_empty() => PatchAnswer::Conflict(message),
        400 | 413 | 415 | 422 => PatchAnswer::Invalid(message, causes),
        _ => PatchAnswer::Lost(format!("it answered {}: {}", code.as_u16(), quoted(&message))),
    }
}

/// How the API server begins to say that it could not ask a webhook.
const UNANSWERED: &str = "failed calling webhook \"";
/// That a webhook said no, and that a policy did.
const DENIED: &str = "admission webhook \"";
const POLICY: &str = "ValidatingAdmissionPolicy '";

fn admission(message: &str) -> bool {
    [DENIED, UNANSWERED, POLICY, "denied the request"].iter().any(|sign| message.contains(sign))
}

/// Who refuses, by the name that its administrators know.
fn refuser(message: &str) -> String {
    let kinds = [("webhook", UNANSWERED, '"'), ("webhook", DENIED, '"'), ("policy", POLICY, '\'')];
    let named = kinds.iter().find_map(|(kind, begin, end)| {
        let (name, _) = message.split_once(begin)?.1.split_once(*end)?;
        Some(format!("{kind} `{name}`"))
    });
    named.unwrap_or_else(|| "an admission rule".into())
}

fn causes(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .map(|c| {
            if c.field.is_empty() {
                c.message.clone()
            } else {
                format!("{}: {}", c.field, c.message)
            }
        })
        .collect()
}

impl PatchAnswer {
    /// The failure of an answer that certainly wrote nothing; `None` for an applied or a lost one, and
    /// for a forbidden one, which [`Cluster::may_not_patch`] knows the commands of.
    #[must_use]
    pub fn refusal(&self, patch: &Patch) -> Option<Failure> {
        let Patch { namespace, name, .. } = patch;
        let path = format!("{namespace}/{name}");
        let said = |code, what: String, words: &str| {
            Failure::new(code, what).why(format!("the API server: {}", quoted(words)))
        };
        Some(match self {
            Self::Applied(_) | Self::Lost(_) | Self::Forbidden(_) => return None,
            Self::Conflict(words) => said(
                Code::WorkloadChanged,
                format!("`{path}` was changed by somebody else just now"),
                words,
            )
            .next("run it again: it reads the workload anew"),
            Self::Invalid(words, causes) => {
                let what = format!("`{path}` would not be valid with this image");
                let failure = said(Code::WorkloadInvalid, what, words);
                let failure = causes.iter().take(5).fold(failure, |f, cause| f.why(quoted(cause)));
                failure.next(format!("kubectl -n {namespace} edit deployment {name}"))
            }
            Self::Refused(words) if words.contains(UNANSWERED) => said(
                Code::AdmitWebhook,
                format!("{} does not answer: `{path}` cannot be changed", refuser(words)),
                words,
            )
            .next("kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations")
            .next("and repair the service it names: the image is not the cause"),
            Self::Refused(words) => said(
                Code::AdmitPolicy,
                format!("{} refuses this change of `{path}`", refuser(words)),
                words,
            )
            .next("change what the rule names, or ask those who keep it"),
            Self::Gone => {
                Failure::new(Code::WorkloadGone, format!("`{path}` was deleted just now"))
                    .next(format!("kubectl -n {namespace} get deployments"))
            }
        })
    }
}
