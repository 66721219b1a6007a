//! The GitHub API: how two commits are related, and a status on a commit.
//!
//! Every answer is optional to a run: what GitHub refuses comes back as [`Unseen`], naming the
//! permission. Only reads are retried, here and nowhere below. The caller refuses plaintext.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Limited};
use octocrab::Octocrab;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::{Unseen, one_line, quoted};

/// How a head commit stands to a base commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ancestry {
    /// The head has this many commits more.
    Ahead(u64),
    /// They are one commit.
    Same,
    /// The head lacks this many commits of the base.
    Behind(u64),
    /// Each has commits that the other lacks.
    Diverged {
        /// The head's own.
        ahead: u64,
        /// The base's own.
        behind: u64,
    },
}

/// The state of a commit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It goes on.
    Pending,
    /// It is good.
    Success,
    /// It failed.
    Failure,
    /// Nobody knows.
    Error,
}

/// A client for one repository.
pub struct Github {
    client: Octocrab,
    repository: String,
    /// No token: what is private does not exist for us.
    is_anonymous: bool,
    /// Waited before the second and third try of a read.
    pauses: [Duration; 2],
}

/// A whole request may take this long, its answer included.
const PATIENCE: Duration = Duration::from_secs(15);

/// GitHub may ask for an hour; a run does not wait for a notice.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An answer longer than this is not read.
const MOST_ANSWER: usize = 16 * 1024 * 1024;

/// GitHub takes no longer description.
const MOST_DESCRIPTION: usize = 140;

/// The part of a comparison that matters here.
#[derive(Deserialize)]
struct Comparison {
    status: String,
    ahead_by: u64,
    behind_by: u64,
}

/// What GitHub says when it refuses.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Github {
    /// A client for `owner/name` at this API address; without a token only public things are seen.
    /// The HTTP client brings roots, proxies and the rules for redirects.
    ///
    /// # Errors
    /// When the address cannot be used. The caller has refused plaintext off loopback.
    pub fn new(
        http: reqwest::Client,
        api_url: &str,
        token: Option<SecretString>,
        repository: &str,
    ) -> Result<Self, Unseen> {
        let unusable = |_| Unseen {
            what: "GitHub".into(),
            because: format!("its address `{api_url}` cannot be used"),
        };
        let is_anonymous = token.is_none();
        let mut builder =
            Octocrab::builder().base_uri(api_url.trim_end_matches('/')).map_err(unusable)?;
        if let Some(token) = token {
            builder = builder.personal_token(token);
        }
        Ok(Self {
            client: builder.build_with_reqwest(http).map_err(unusable)?,
            repository: repository.into(),
            is_anonymous,
            pauses: [Duration::from_millis(500), Duration::from_secs(2)],
        })
    }

    /// How `head` stands to `base`, by GitHub's comparison.
    ///
    /// # Errors
    /// When GitHub does not say: what it answered, and the right that is missing.
    pub async fn compare(&self, base: &str, head: &str) -> Result<Ancestry, Unseen> {
        let (after, before) = (short(head), short(base));
        let unseen =
            |because| Unseen { what: format!("whether {after} follows {before}"), because };
        // One commit a page: the numbers count all of them, and the answer stays small.
        let route = format!("/repos/{}/compare/{base}...{head}?per_page=1", self.repository);
        let answer = self.read(&route).await.map_err(unseen)?;
        if answer.status == StatusCode::NOT_FOUND && self.is_anonymous {
            return Err(unseen("no `github-token`".into()));
        }
        if answer.status != StatusCode::OK {
            return Err(unseen(answer.refused("contents: read")));
        }
        let comparison: Comparison = serde_json::from_slice(&answer.body)
            .map_err(|error| unseen(format!("GitHub's answer is no comparison: {error}")))?;
        match comparison {
            Comparison { status, .. } if status == "identical" => Ok(Ancestry::Same),
            Comparison { ahead_by: 0, behind_by: 0, .. } => Ok(Ancestry::Same),
            Comparison { ahead_by, behind_by: 0, .. } => Ok(Ancestry::Ahead(ahead_by)),
            Comparison { ahead_by: 0, behind_by, .. } => Ok(Ancestry::Behind(behind_by)),
            Comparison { ahead_by: ahead, behind_by: behind, .. } => {
                Ok(Ancestry::Diverged { ahead, behind })
            }
        }
    }

    /// Puts a status on a commit, under the name `slipway`. Asked once: a second try could come
    /// after somebody else's newer word.
    ///
    /// # Errors
    /// When GitHub refuses it, with the permission that would let it: `statuses: write`.
    pub async fn commit_status(
        &self,
        sha: &str,
        state: State,
        description: &str,
        target_url: Option<&str>,
    ) -> Result<(), Unseen> {
        #[derive(Serialize)]
        struct Status<'a> {
            state: State,
            description: String,
            context: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            target_url: Option<&'a str>,
        }
        let unseen = |because| Unseen { what: "commit status".into(), because };
        let description = one_line(description, MOST_DESCRIPTION);
        let body = Status { state, description, context: "slipway", target_url };
        let route = format!("/repos/{}/statuses/{sha}", self.repository);
        let answer = answered(self.client._post(route, Some(&body))).await.map_err(unseen)?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(unseen(answer.refused("statuses: write")))
        }
    }

    /// Reads a route, three times where another try may help.
    async fn read(&self, route: &str) -> Result<Answer, String> {
        let mut answer = answered(self.client._get(route)).await;
        for pause in self.pauses {
            let wait = match &answer {
                Ok(answer) if answer.may_pass() => answer.wait.unwrap_or(pause),
                Ok(_) => break,
                Err(_) => pause,
            };
            if wait > LONGEST_WAIT {
                break;
            }
            tokio::time::sleep(wait).await;
            answer = answered(self.client._get(route)).await;
        }
        answer
    }
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    /// What GitHub wants waited before another try.
    wait: Option<Duration>,
    body: Bytes,
}

impl Answer {
    /// Whether the same request may be answered otherwise in a moment.
    fn may_pass(&self) -> bool {
        self.status.is_server_error()
            || self.status == StatusCode::TOO_MANY_REQUESTS
            || (self.status == StatusCode::FORBIDDEN && self.wait.is_some())
    }

    /// Why not, in GitHub's words, with the permission that the request needs where rights can be
    /// the reason. GitHub hides what a token may not see behind 404.
    fn refused(&self, permission: &str) -> String {
        let words = serde_json::from_slice::<Refusal>(&self.body).unwrap_or_default().message;
        let words = if words.is_empty() { String::new() } else { format!(" {}", quoted(&words)) };
        let hint = match self.status.as_u16() {
            403 if words.contains("rate limit") => String::new(),
            401 => "; the token is not accepted".to_owned(),
            403 | 404 => format!("; the token may lack `{permission}`"),
            _ => String::new(),
        };
        format!("GitHub answered {}{words}{hint}", self.status.as_u16())
    }
}

/// A commit as people read it.
fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Sends a request and reads its answer, both within [`PATIENCE`].
async fn answered(
    request: impl Future<Output = octocrab::Result<Response<BoxBody<Bytes, octocrab::Error>>>>,
) -> Result<Answer, String> {
    let whole = async {
        let response = request.await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let wait = wait(response.headers());
        let body = Limited::new(response.into_body(), MOST_ANSWER).collect().await;
        let body = body.map_err(|error| format!("GitHub's answer broke off: {error}"))?.to_bytes();
        Ok(Answer { status, wait, body })
    };
    match tokio::time::timeout(PATIENCE, whole).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("GitHub did not answer in {}s", PATIENCE.as_secs())),
    }
}

fn wait(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The innermost reason: the outer ones only say that there is one.
fn unreachable(error: &octocrab::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    format!("GitHub could not be reached: {}", one_line(&reason.to_string(), 200))
}

#[cfg(test)]
mod tests;
