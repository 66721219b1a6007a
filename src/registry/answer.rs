//! What a registry's answer means: go on, try again, or stop with a failure that names the fix.
//!
//! Pure. Knows the error codes of the distribution specification and the words of ECR and IAM.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use crate::error::{Code, Failure, one_line, quoted};
use crate::http::retry;
use crate::names::{Digest, Repository};

/// What was asked, for messages and for the right it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Manifest,
    HasBlob,
    Blob,
    Begin,
    Part,
    Complete,
    PutManifest,
}

impl Asked {
    /// The IAM action that ECR checks for it.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::Manifest => "ecr:BatchGetImage",
            Self::HasBlob => "ecr:BatchCheckLayerAvailability",
            Self::Blob => "ecr:GetDownloadUrlForLayer",
            Self::Begin => "ecr:InitiateLayerUpload",
            Self::Part => "ecr:UploadLayerPart",
            Self::Complete => "ecr:CompleteLayerUpload",
            Self::PutManifest => "ecr:PutImage",
        }
    }

    pub(super) fn is_write(self) -> bool {
        matches!(self, Self::Begin | Self::Part | Self::Complete | Self::PutManifest)
    }

    /// What the caller may not do.
    fn may_not(self) -> &'static str {
        if self.is_write() { "push to" } else { "read" }
    }
}

/// All that a push needs, for the statement to add: one right at a time would be seven runs.
const PUSH: [&str; 7] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// Where a request went.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) repository: Repository,
}

/// An answer that is not a success, read to its end.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The codes of `{"errors": [..]}`.
    pub(super) codes: Vec<String>,
    /// Their messages, or the text as it came.
    pub(super) words: String,
    pub(super) after: Option<Duration>,
}

impl Refusal {
    pub(super) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Wire {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
            #[serde(default)]
            detail: serde_json::Value,
        }
        let after = retry::asked(headers);
        if let Ok(wire) = serde_json::from_slice::<Wire>(body) {
            let words: Vec<_> =
                wire.errors.iter().map(|one| told(&one.message, &one.detail)).collect();
            let codes = wire.errors.into_iter().map(|one| one.code).collect();
            return Self { status, codes, words: words.join("; "), after };
        }
        let is_page = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("text/html"));
        let words =
            if is_page { String::new() } else { String::from_utf8_lossy(body).into_owned() };
        Self { status, codes: Vec::new(), words, after }
    }

    /// Whether one of the codes, or the words, is this one.
    pub(super) fn says(&self, word: &str) -> bool {
        self.codes.iter().any(|code| code.eq_ignore_ascii_case(word)) || self.words.contains(word)
    }

    /// Whether a new login may help: ECR answers 403 to an old token. IAM's words quote names of all
    /// kinds, so "expired" there says nothing.
    pub(super) fn is_expired(&self) -> bool {
        let expired = self.words.contains("expired") && !self.words.contains("perform: ")
            || self.words.contains("no basic auth");
        self.status == StatusCode::UNAUTHORIZED || self.status == StatusCode::FORBIDDEN && expired
    }

    /// A refusal that does not say why: the answer to HEAD has no body.
    pub(super) fn is_silent(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.words.is_empty() && self.codes.is_empty()
    }

    /// Whether the same request may be answered otherwise in a moment.
    pub(super) fn is_passing(&self) -> bool {
        self.is_throttled()
            || self.status == StatusCode::REQUEST_TIMEOUT
            || self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED
    }

    pub(super) fn is_throttled(&self) -> bool {
        self.status == StatusCode::TOO_MANY_REQUESTS
            || self.says("TOOMANYREQUESTS")
            || self.says("ThrottlingException")
            || self.says("Rate exceeded")
    }

    /// Whether the upload's session is at fault: another one may work.
    pub(super) fn is_of_session(&self) -> bool {
        let codes =
            ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"];
        self.status == StatusCode::RANGE_NOT_SATISFIABLE || codes.iter().any(|code| self.says(code))
    }

    pub(super) fn is_of_repository(&self) -> bool {
        self.says("NAME_UNKNOWN") || self.says("RepositoryNotFoundException")
    }

    /// Whether the tag may not be moved, or has this very image already.
    pub(super) fn is_of_tag(&self) -> bool {
        let words = ["TAG_INVALID", "ImageTagAlreadyExists", "ImageAlreadyExists", "immutable"];
        self.is_of_manifest() && words.iter().any(|word| self.says(word))
    }

    /// Whether the manifest names something that is not in the repository (any more).
    pub(super) fn is_of_content(&self) -> bool {
        let words = [
            "BLOB_UNKNOWN",
            "MANIFEST_BLOB_UNKNOWN",
            "LayersNotFound",
            "ImageNotFound",
            "Layers with digests",
            "Images with digests",
        ];
        self.is_of_manifest() && words.iter().any(|word| self.says(word))
    }

    /// A refusal for what was sent, not for who sent it: IAM's words quote names of all kinds.
    fn is_of_manifest(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 404 | 409)
    }

    /// The digests in its words.
    pub(super) fn digests(&self) -> Vec<Digest> {
        let starts = self.words.match_indices("sha256:").map(|(at, _)| at);
        starts.filter_map(|at| self.words.get(at..at + 71)?.parse().ok()).collect()
    }

    /// "answered 400 TAG_INVALID: ..." for a line of `why`.
    pub(super) fn said(&self) -> String {
        let code = self.codes.first().map(|code| format!(" {code}")).unwrap_or_default();
        let words = if self.words.is_empty() {
            String::new()
        } else {
            format!(": {}", quoted(&self.words))
        };
        format!("answered {}{code}{words}", self.status.as_u16())
    }

    /// The failure of a refusal that will not pass.
    pub(super) fn told(&self, asked: Asked, at: &Target) -> Failure {
        let Target { host, repository } = at;
        if self.is_of_repository() {
            return missing_repository(at, &self.said());
        }
        match self.status {
            _ if self.is_expired() => self.not_accepted(at),
            StatusCode::FORBIDDEN => self.denied(asked, at),
            _ => {
                let code = if asked.is_write() { Code::EcrUpload } else { Code::EcrReach };
                let what = format!("ECR repository `{repository}` does not take this request");
                Failure::new(code, what).why(format!("`{host}` {}", self.said()))
            }
        }
    }

    /// Also the newest login is refused.
    fn not_accepted(&self, at: &Target) -> Failure {
        let Target { host, repository } = at;
        let failure = Failure::new(
            Code::Ecr403,
            format!("`{host}` does not accept the login for `{repository}`"),
        )
        .why(format!("it {}, also to a new login", self.said()));
        if self.status == StatusCode::UNAUTHORIZED {
            return failure
                .next("check that credentials, region and repository belong to one account");
        }
        // Not the clock: AWS took this machine's signature for that login a moment ago.
        failure.next(format!(
            "run it again with fresh AWS credentials; if it stays, see what answers as `{host}`: a proxy may keep an old login"
        ))
    }

    fn denied(&self, asked: Asked, at: &Target) -> Failure {
        let Target { host, repository } = at;
        let after = |mark: &str| {
            let rest = self.words.split_once(mark)?.1;
            let word = rest.split_whitespace().next()?.trim_end_matches([',', '.', ';', '"']);
            word.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| one_line(word, 200))
        };
        let action = after("perform: ").unwrap_or_else(|| asked.action().into());
        let resource = after("on resource: ")
            .filter(|arn| arn.starts_with("arn:"))
            .unwrap_or_else(|| arn_of(host, repository));
        let what = format!("these credentials may not {} ECR `{repository}`", asked.may_not());
        let failure = Failure::new(Code::Ecr403, what)
            .why(format!("`{host}` {}", self.said()))
            .why(format!("the right that was missing: {action}"));
        if self.words.contains("explicit deny") {
            return failure.next(format!(
                "take the explicit deny of {action} on {resource} out of that policy"
            ));
        }
        let mut actions: Vec<&str> = if asked.is_write() {
            PUSH.to_vec()
        } else {
            vec!["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        };
        if !actions.contains(&action.as_str()) {
            actions.push(&action);
        }
        let actions = actions.join("\", \"");
        // IAM decides by the name before ECR looks whether there is such a repository; what comes after
        // the first read goes to a name that was right.
        let check = if asked == Asked::Manifest {
            "see that `repository` is spelled right; if it is, "
        } else {
            ""
        };
        failure
            .next(format!("{check}add this statement to the policy of the role or user:"))
            .next(format!("{{ \"Effect\": \"Allow\", \"Action\": [\"{actions}\"],"))
            .next(format!("  \"Resource\": \"{resource}\" }}"))
    }
}

/// The repository does not exist.
pub(super) fn missing_repository(at: &Target, said: &str) -> Failure {
    let Target { host, repository } = at;
    let region = region_of(host).map(|region| format!(" --region {region}")).unwrap_or_default();
    Failure::new(Code::EcrMissing, format!("repository `{repository}` is not in this registry"))
        .why(format!("`{host}` {said}"))
        .next(format!("aws ecr create-repository --repository-name {repository}{region}"))
}

fn told(message: &str, detail: &serde_json::Value) -> String {
    // The distribution server names the blob that a manifest misses in `detail` alone.
    match detail.get("digest").or_else(|| detail.get("Digest")).and_then(|d| d.as_str()) {
        Some(digest) => format!("{message} {digest}"),
        None => match detail.as_str() {
            Some(detail) => format!("{message} {detail}"),
            None => message.to_owned(),
        },
    }
}

/// The parts of `ACCOUNT.dkr.ecr.REGION.amazonaws.com` and its kin.
fn region_of(host: &str) -> Option<&str> {
    let mut parts =
        host.split('.').skip_while(|part| !matches!(*part, "ecr" | "ecr-fips" | "dkr-ecr"));
    parts.next()?;
    parts.next()
}

fn arn_of(host: &str, repository: &Repository) -> String {
    let partition = if host.ends_with(".cn") { "aws-cn" } else { "aws" };
    let account =
        host.split('.').next().filter(|a| a.len() == 12 && a.bytes().all(|b| b.is_ascii_digit()));
    let region = region_of(host).unwrap_or("REGION");
    format!("arn:{partition}:ecr:{region}:{}:repository/{repository}", account.unwrap_or("ACCOUNT"))
}

/// Why an attempt came to nothing, and whether another may do better.
#[derive(Debug)]
pub(super) enum Trouble {
    Final(Failure),
    Again(Again),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Final(failure)
    }
}

/// An attempt that is worth repeating.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) kind: Passing,
    /// Who said what, for a line of `why`.
    pub(super) said: String,
    pub(super) after: Option<Duration>,
}

/// Trouble that passes, by what it is called when it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// 429.
    Throttled,
    /// 5xx, a lost connection, a session that is gone.
    Cut,
    /// No connection at all.
    Unreached,
}

impl Again {
    /// The failure once patience has ended. `what` is "layer sha256:0123456789ab" or the like.
    pub(super) fn told(&self, what: &str, write: bool, attempts: u32, at: &Target) -> Failure {
        let Target { host, repository } = at;
        let times = if attempts == 1 { "once".into() } else { format!("{attempts} times") };
        let why = format!("tried {times}; at last {}", self.said);
        match self.kind {
            Passing::Throttled => Failure::new(
                Code::Ecr429,
                format!("`{host}` takes no more requests for now: {what}"),
            )
            .why(why)
            .why("ECR counts requests of a whole account and region, 10 manifests a second")
            .next("run it again later, or ask for a higher ECR quota"),
            Passing::Cut if write => {
                Failure::new(Code::EcrUpload, format!("{what} did not get into ECR `{repository}`"))
                    .why(why)
                    .next("run it again: what is in ECR already is not sent twice")
            }
            Passing::Cut | Passing::Unreached => {
                Failure::new(Code::EcrReach, format!("`{host}` was not reached: {what}"))
                    .why(why)
                    .next(format!(
                        "curl -sSI https://{host}/v2/ from the same runner; 401 is a good answer"
                    ))
            }
        }
    }
}

/// The failure of a redirect or a `Location` that leads to another host.
pub(super) fn elsewhere(what: &str, to: &Url, at: &Target) -> Failure {
    let Target { host, .. } = at;
    let to = crate::http::redacted(to);
    Failure::new(Code::EcrUpload, format!("{what} was not sent: `{host}` points elsewhere"))
        .why(format!("its upload location is `{to}`, another host; the login was not sent there"))
        .next("name the registry by the host that it names itself, or correct the proxy before it")
}
