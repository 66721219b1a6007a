//! What an SDK error means: who said it, and what to change.
//!
//! Reads the error once into a plain [`Fault`]; what follows from it is pure, so that every sentence
//! is tested. Never repeats a key id, a token or a canonical request that AWS echoes.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::How;
use super::{arn, clock};
use crate::error::{Code, Failure, Unseen, one_line, quoted};

/// A failure on its way through the SDK, which only carries errors.
#[derive(Debug)]
pub(super) struct Carried(pub(super) Failure);

impl std::fmt::Display for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl Error for Carried {}

/// What is known about the request, for the sentences.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The host that was asked.
    pub(super) host: String,
    /// The region, for DNS names that are not there.
    pub(super) region: String,
    /// What was asked for: an ARN, or `*`.
    pub(super) resource: String,
    /// How we became who we are.
    pub(super) how: How,
    /// Whether AWS has taken these credentials in this run.
    pub(super) was_accepted: bool,
}

/// What went wrong, without the SDK's types.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    /// `ecr:BatchGetImage`.
    pub(super) action: &'static str,
    /// What came back.
    pub(super) kind: Kind,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Our own credentials provider refused.
    Told(Failure),
    /// AWS answered with an error.
    Answered(Answer),
    /// Nobody answered, in the words of the innermost error.
    Silent { timed_out: bool, words: String },
}

/// An error answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
    /// Seconds by which our clock is ahead of the `Date` of the answer.
    pub(super) ahead: Option<i64>,
}

impl Fault {
    /// Reads an SDK error.
    pub(super) fn read<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(failure) = carried(error) {
            return Self { action, kind: Kind::Told(failure) };
        }
        let kind = match error.raw_response() {
            Some(response) => Kind::Answered(Answer {
                status: response.status().as_u16(),
                code: error.code().unwrap_or_default().to_owned(),
                message: match error {
                    // An answer that is not AWS's: a proxy's page, or half of one.
                    SdkError::ResponseError(_) => innermost(error),
                    _ => error.message().unwrap_or_default().to_owned(),
                },
                ahead: response.headers().get("date").and_then(clock::ahead),
            }),
            None => Kind::Silent { timed_out: timed_out(error), words: innermost(error) },
        };
        Self { action, kind }
    }

    /// The error code, if AWS answered with one.
    pub(super) fn code(&self) -> &str {
        match &self.kind {
            Kind::Answered(answer) => &answer.code,
            Kind::Told(_) | Kind::Silent { .. } => "",
        }
    }

    /// What AWS said about it, if it answered.
    pub(super) fn message(&self) -> &str {
        match &self.kind {
            Kind::Answered(answer) => &answer.message,
            Kind::Told(_) | Kind::Silent { .. } => "",
        }
    }

    /// Whether a right is missing.
    pub(super) fn is_denied(&self) -> bool {
        matches!(&self.kind, Kind::Answered(answer) if answer.cause() == Cause::Denied)
    }

    /// Whether AWS no longer takes the session that signed the request.
    pub(super) fn is_ended(&self) -> bool {
        matches!(
            self.code(),
            "ExpiredToken"
                | "ExpiredTokenException"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
        )
    }

    /// An optional thing that could not be seen.
    pub(super) fn unseen(&self, what: &str) -> Unseen {
        let because = match &self.kind {
            Kind::Told(failure) => failure.what.clone(),
            Kind::Silent { .. } => format!("no answer to `{}`", self.action),
            Kind::Answered(_) if self.is_denied() => format!("may not {}", verb(self.action)),
            Kind::Answered(a) if a.code.is_empty() => {
                format!("`{}` answered {}", self.action, a.status)
            }
            Kind::Answered(a) => format!("`{}` answered {}", self.action, one_line(&a.code, 60)),
        };
        Unseen { what: what.into(), because }
    }

    /// The failure, in the words of ux.
    pub(super) fn failure(&self, place: &Place) -> Failure {
        match &self.kind {
            Kind::Told(failure) => failure.clone(),
            Kind::Silent { timed_out, words } => silent(*timed_out, words, place),
            Kind::Answered(answer) => match answer.cause() {
                Cause::Clock => self.clock(answer),
                Cause::Expired => self.expired(answer, place),
                Cause::Key => self.key(answer, place),
                Cause::Region => self.region(answer, place),
                Cause::Denied => self.denied(answer, place),
                Cause::Throttled => self.throttled(answer, place),
                Cause::Other => self.other(answer, place),
            },
        }
    }

    /// `ecr:BatchGetImage answered AccessDeniedException: "…"`
    fn said(&self, answer: &Answer) -> String {
        let code = if answer.code.is_empty() {
            answer.status.to_string()
        } else {
            format!("{} {}", answer.status, one_line(&answer.code, 60))
        };
        match spoken(&answer.message) {
            // A proxy or a captive portal answers like that.
            words if words.is_empty() && answer.code.is_empty() && answer.status < 300 => {
                format!("`{}` answered {code}, but not with what AWS sends", self.action)
            }
            words if words.is_empty() => format!("`{}` answered {code}", self.action),
            words => format!("`{}` answered {code}: {}", self.action, quoted(&words)),
        }
    }

    fn clock(&self, answer: &Answer) -> Failure {
        let what = match answer.ahead {
            Some(s) if s > 0 => format!("the clock of this machine is {s} s ahead of AWS"),
            Some(s) if s < 0 => format!("the clock of this machine is {} s behind AWS", -s),
            _ => "the clock of this machine is not AWS's".into(),
        };
        Failure::new(Code::AwsClock, what)
            .why(self.said(answer))
            .next("set the clock of the runner (NTP): AWS takes signatures within 5 minutes")
    }

    fn expired(&self, answer: &Answer, place: &Place) -> Failure {
        let what = match &place.how {
            How::SessionKeys => "the AWS session of these keys has ended",
            _ => "the AWS session has ended",
        };
        let next = match &place.how {
            How::Oidc | How::Role(_) => {
                "run the job again: the session that slipway took instead was refused as well"
            }
            _ => {
                "take fresh keys right before this step, or `role-to-assume` alone: slipway renews that by itself"
            }
        };
        Failure::new(Code::AwsExpired, what).why(self.said(answer)).next(next)
    }

    fn key(&self, answer: &Answer, place: &Place) -> Failure {
        let unknown = ["InvalidClientTokenId", "UnrecognizedClientException"];
        if place.was_accepted && place.how == How::AccessKey && unknown.contains(&&*answer.code) {
            return Failure::new(Code::AwsKey, "AWS took the access key at first, and now does not know it")
                .why(self.said(answer))
                .next("it was deactivated or deleted in this run: set both `aws-access-key-id` and `aws-secret-access-key` of an active one; no stored key: `role-to-assume`");
        }
        let signature = ["SignatureDoesNotMatch", "InvalidSignatureException"];
        let what = if signature.contains(&answer.code.as_str()) {
            "the secret access key is not the one of this access key"
        } else if answer.code.starts_with("IncompleteSignature") {
            "the access key cannot be used as it is written"
        } else if place.how == How::SessionKeys {
            "AWS does not know these temporary keys"
        } else if matches!(place.how, How::Oidc | How::Role(_)) {
            "AWS does not know the session that it gave"
        } else {
            "AWS does not know the access key"
        };
        let next = match place.how {
            How::SessionKeys => {
                "set `aws-access-key-id`, `aws-secret-access-key` and `aws-session-token` from one answer of STS"
            }
            How::Oidc | How::Role(_) => {
                "run the job again; if it stays, see that one region and endpoint is meant: `aws-region`"
            }
            _ => {
                "set both `aws-access-key-id` and `aws-secret-access-key` again, without spaces or line ends; no stored key: `role-to-assume`"
            }
        };
        Failure::new(Code::AwsKey, what).why(self.said(answer)).next(next)
    }

    fn region(&self, answer: &Answer, place: &Place) -> Failure {
        let Place { host, region, .. } = place;
        Failure::new(Code::InputInvalid, format!("`aws-region` is `{region}`, which is not where {host} is"))
            .why(self.said(answer))
            .next("set `aws-region` to the region of the repository and the cluster, or mend the AWS_ENDPOINT_URL that is set")
    }

    fn denied(&self, answer: &Answer, place: &Place) -> Failure {
        let denial = Denial::read(&answer.message, self.action, &place.resource);
        let code = match self.action.split(':').next() {
            Some("ecr") => Code::Ecr403,
            Some("eks") => Code::EksDenied,
            _ => Code::AwsAnswer,
        };
        let on =
            arn::resource_name(&denial.resource).map(|n| format!(" on `{n}`")).unwrap_or_default();
        // The first line has the names already: AWS's reason alone fits on one line.
        let words = if denial.reason.is_empty() { &answer.message } else { &denial.reason };
        let said = self.said(&Answer { message: words.clone(), ..answer.clone() });
        let what = format!("{} may not `{}`{on}", denial.who, denial.action);
        let mut failure = Failure::new(code, what).why(said);
        failure.next = denial.remedy();
        failure
    }

    fn throttled(&self, answer: &Answer, place: &Place) -> Failure {
        let code = if self.action.starts_with("ecr:") { Code::Ecr429 } else { Code::AwsAnswer };
        Failure::new(code, format!("AWS throttled `{}`, {} times", self.action, super::ATTEMPTS))
            .why(format!("{}, in {}", self.said(answer), place.region))
            .next("run it again in a minute; the limit is one of the account and region")
    }

    fn other(&self, answer: &Answer, place: &Place) -> Failure {
        let next = if answer.status >= 500 {
            format!("run it again; if it stays: https://health.aws.amazon.com for {}", place.region)
        } else {
            "slipway explain SW-AWS-ANSWER".into()
        };
        Failure::new(Code::AwsAnswer, format!("AWS did not do `{}`", self.action))
            .why(self.said(answer))
            .next(next)
    }
}

/// What an answer's code comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Clock,
    Expired,
    Key,
    Region,
    Denied,
    Throttled,
    Other,
}

impl Answer {
    fn cause(&self) -> Cause {
        let signature = matches!(
            self.code.as_str(),
            "SignatureDoesNotMatch" | "InvalidSignatureException" | "AuthFailure"
        );
        let dated = self.message.contains("Signature expired")
            || self.message.contains("Signature not yet current");
        // Said of the signature, but about the place that it was made for.
        let elsewhere = self.message.to_ascii_lowercase().contains("scoped to a valid region");
        let far = self.ahead.is_some_and(|s| s.abs() >= 240);
        match self.code.as_str() {
            "RequestTimeTooSkewed" | "RequestExpired" | "SignatureExpired" => Cause::Clock,
            _ if signature && elsewhere => Cause::Region,
            _ if signature && (dated || far) => Cause::Clock,
            "ExpiredToken" | "ExpiredTokenException" => Cause::Expired,
            "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "InvalidAccessKeyId"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "InvalidToken" => Cause::Key,
            _ if signature => Cause::Key,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "SlowDown" => Cause::Throttled,
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Cause::Denied,
            "" if self.status == 429 => Cause::Throttled,
            _ => Cause::Other,
        }
    }
}

/// AWS's sentence about a missing right, taken apart.
struct Denial {
    who: String,
    principal: String,
    action: String,
    resource: String,
    reason: String,
}

impl Denial {
    /// "User: ARN is not authorized to perform: ACTION on resource: ARN because REASON"
    fn read(message: &str, action: &str, resource: &str) -> Self {
        let after = |mark: &str| {
            let (_, rest) = message.split_once(mark)?;
            rest.split_whitespace().next().map(|w| w.trim_end_matches(['.', ',']).to_owned())
        };
        let principal = after("User: ").unwrap_or_default();
        Self {
            who: arn::who(&principal).unwrap_or_else(|| "the identity of this run".into()),
            principal: arn::principal(&principal),
            action: after("perform: ").filter(|a| a.contains(':')).unwrap_or_else(|| action.into()),
            resource: after("on resource: ")
                .filter(|r| r.starts_with("arn:") || r == "*")
                .unwrap_or_else(|| resource.into()),
            reason: reason(message),
        }
    }

    fn remedy(&self) -> Vec<String> {
        let allow = |principal: &str| {
            format!(
                r#"{{"Effect":"Allow",{principal}"Action":"{}","Resource":"{}"}}"#,
                self.action, self.resource
            )
        };
        if self.reason.contains("explicit deny") {
            return vec![format!(
                "lift that deny for `{}`: no allow of {} stands above it",
                self.action, self.who
            )];
        }
        if self.reason.contains("resource-based policy") {
            let name = arn::resource_name(&self.resource).unwrap_or("the resource");
            return vec![
                format!("add to the policy of `{name}` itself, if it is in another account:"),
                format!(
                    r#"{{"Effect":"Allow","Principal":{{"AWS":"{}"}},"Action":"{}"}}"#,
                    self.principal, self.action
                ),
            ];
        }
        let place = ["service control policy", "permissions boundary", "session policy"]
            .into_iter()
            .find(|place| self.reason.contains(place));
        let check = self.named_by().map_or_else(String::new, |input| {
            format!("see that `{input}` is spelled right; if it is, ")
        });
        let place = place.map_or_else(|| "policies".into(), ToString::to_string);
        vec![format!("{check}add to the {place} of {}:", self.who), allow("")]
    }

    /// The input that named the resource: IAM decides by the name, before anybody looks whether
    /// there is such a thing, so a misspelled one is denied wherever rights are for one name.
    fn named_by(&self) -> Option<&'static str> {
        let (_, service) = self.resource.split_once("arn:")?;
        match service.split(':').nth(4)?.split_once('/')?.0 {
            "repository" => Some("repository"),
            "cluster" => Some("cluster"),
            _ => None,
        }
    }
}

/// Why the right is missing, in AWS's words; a deny is told without a "because".
fn reason(message: &str) -> String {
    let begin = message
        .find(" because ")
        .map(|at| at + " because ".len())
        .or_else(|| message.find("with an explicit deny"));
    begin.map(|at| message[at..].to_owned()).unwrap_or_default()
}

fn silent(timed_out: bool, words: &str, place: &Place) -> Failure {
    let Place { host, region, .. } = place;
    let lower = words.to_ascii_lowercase();
    let next = if lower.contains("certificate") {
        "set AWS_CA_BUNDLE to the PEM file of the authority that signs for this network's proxy"
            .into()
    } else if lower.contains("lookup") || lower.contains("dns") || lower.contains("name or service")
    {
        format!("check `aws-region` (`{region}`) and that the runner resolves {host}")
    } else {
        format!("let the runner reach {host}; behind a proxy, set HTTPS_PROXY")
    };
    let what = if timed_out { "no answer from" } else { "no connection to" };
    Failure::new(Code::AwsReach, format!("{what} `{host}`")).why(quoted(words)).next(next)
}

/// AWS's words without what it may echo: the canonical request of a bad signature carries the
/// session token and the key id.
fn spoken(message: &str) -> String {
    let told = message.split("The Canonical String").next().unwrap_or_default();
    let told = told.split("Credential=").next().unwrap_or_default();
    let words = told.split_whitespace().map(|word| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let key = bare.len() >= 16
            && ["AKIA", "ASIA"].iter().any(|p| bare.starts_with(p))
            && bare.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if key { "***" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn verb(action: &str) -> String {
    let call = action.split(':').next_back().unwrap_or(action);
    let verb = ["List", "Describe", "Get", "BatchGet"].iter().find(|v| call.starts_with(**v));
    match verb {
        Some(&"List") => "list".into(),
        Some(&"Describe") => "describe".into(),
        _ => format!("`{action}`"),
    }
}

fn carried(error: &(dyn Error + 'static)) -> Option<Failure> {
    chain(error).find_map(|e| e.downcast_ref::<Carried>()).map(|c| c.0.clone())
}

pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn timed_out<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::TimeoutError(_) => true,
        SdkError::DispatchFailure(dispatch) => dispatch.is_timeout(),
        _ => false,
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn Error + 'static)| (*e).source())
}

#[cfg(test)]
mod tests;
