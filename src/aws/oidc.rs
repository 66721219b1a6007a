//! GitHub's OIDC token: asked for, decoded where a refusal must be explained, never kept.
//!
//! A token lives for minutes, so each exchange takes a fresh one. Its claims may be printed, the
//! token itself never.

use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::fault::innermost;
use super::{ATTEMPTS, Secrets, wire};
use crate::error::{Code, Failure};

/// The first pause between two attempts; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Where and how GitHub gives the token.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) url: String,
    pub(super) bearer: SecretString,
    pub(super) audience: String,
}

/// What a token says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Claims {
    /// Who issued it: `https://token.actions.githubusercontent.com`, or a server of one's own.
    pub(super) iss: String,
    /// Which run it stands for.
    pub(super) sub: String,
    /// For whom it is meant.
    pub(super) aud: String,
}

impl Claims {
    /// Reads the claims of a token without checking it: that is for STS to do.
    pub(super) fn of(token: &str) -> Option<Self> {
        let payload = token.split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?)
            .ok()
    }

    /// The issuer as trust policies write it, without a scheme.
    pub(super) fn issuer(&self) -> &str {
        self.iss.trim_start_matches("https://").trim_end_matches('/')
    }
}

/// What one attempt came to.
enum Attempt {
    Token(SecretString),
    Again(String),
    Refused(u16),
}

impl Door {
    /// Asks for a fresh token and tells it to the mask.
    pub(super) async fn token(
        &self,
        connector: &SharedHttpConnector,
        secrets: &Secrets,
    ) -> Result<SecretString, Failure> {
        let mut pause = FIRST_PAUSE;
        let mut last = String::new();
        for attempt in 1..=ATTEMPTS {
            match self.ask(connector).await? {
                Attempt::Token(token) => {
                    secrets(token.expose_secret());
                    return Ok(token);
                }
                Attempt::Refused(status) => return Err(self.refused(status)),
                Attempt::Again(words) => last = words,
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(pause + jitter(pause)).await;
                pause *= 2;
            }
        }
        Err(Failure::new(Code::OidcToken, "GitHub gave this job no OIDC token")
            .why(format!("`{}`, {ATTEMPTS} times: {last}", self.host()))
            .next("run the job again; https://www.githubstatus.com says whether Actions is unwell"))
    }

    async fn ask(&self, connector: &SharedHttpConnector) -> Result<Attempt, Failure> {
        let mut request = HttpRequest::get(self.address()).map_err(|_| self.unusable())?;
        let bearer = format!("bearer {}", self.bearer.expose_secret());
        request.headers_mut().try_insert("authorization", bearer).map_err(|_| self.unusable())?;
        request.headers_mut().insert("accept", "application/json");
        let answer = async {
            let response = connector.call(request).await.map_err(|e| innermost(&e))?;
            let status = response.status().as_u16();
            let body = ByteStream::new(response.into_body()).collect().await;
            Ok((status, body.map_err(|e| e.to_string())?.to_vec()))
        };
        let (status, body) = match tokio::time::timeout(wire::ANSWER_WITHIN, answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(words)) => return Ok(Attempt::Again(words)),
            Err(_) => return Ok(Attempt::Again("no answer".into())),
        };
        Ok(match status {
            200 => serde_json::from_slice::<Given>(&body).map_or_else(
                |_| Attempt::Again("an answer without a token".into()),
                |g| Attempt::Token(g.value.into()),
            ),
            408 | 429 | 500.. => Attempt::Again(status.to_string()),
            _ => Attempt::Refused(status),
        })
    }

    fn refused(&self, status: u16) -> Failure {
        Failure::new(Code::OidcToken, "GitHub gave this job no OIDC token")
            .why(format!("`{}` answered {status}", self.host()))
            .next("give the job `permissions: { contents: read, id-token: write }`; a run from a fork gets none")
    }

    fn unusable(&self) -> Failure {
        Failure::new(Code::OidcToken, "GitHub's OIDC address cannot be used")
            .why("ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN is malformed")
            .next("do not set either: the runner does, with `permissions: { id-token: write }`")
    }

    fn address(&self) -> String {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        let audience: String = self
            .audience
            .bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                    (b as char).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        format!("{}{joint}audience={audience}", self.url)
    }

    /// The host alone: the address carries ids of the run.
    fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or(rest)
    }
}

#[derive(Deserialize)]
struct Given {
    value: String,
}

/// Parallel jobs of one matrix ask at the same moment; this keeps them from doing so again.
fn jitter(pause: Duration) -> Duration {
    let nanos =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    pause.mul_f64(f64::from(nanos % 1000) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(url: &str) -> Door {
        Door { url: url.into(), bearer: "b".into(), audience: "sts.amazonaws.com".into() }
    }

    #[test]
    fn the_audience_joins_the_query_that_is_there() {
        let mut door = door("https://h.example/token?api-version=2.0");
        assert_eq!(
            door.address(),
            "https://h.example/token?api-version=2.0&audience=sts.amazonaws.com"
        );
        door.audience = "https://a b".into();
        assert_eq!(
            door.address(),
            "https://h.example/token?api-version=2.0&audience=https%3A%2F%2Fa%20b"
        );
        assert_eq!(door.host(), "h.example");
    }

    #[test]
    fn claims_are_read_from_the_token_and_nothing_else_is() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(
            br#"{"iss":"https://token.actions.githubusercontent.com","sub":"repo:acme/shop:ref:refs/heads/main","aud":"sts.amazonaws.com","exp":1}"#,
        );
        let claims = Claims::of(&format!("h.{payload}.s")).unwrap();
        assert_eq!(claims.sub, "repo:acme/shop:ref:refs/heads/main");
        assert_eq!(claims.issuer(), "token.actions.githubusercontent.com");
        assert_eq!(Claims::of("not a token"), None);
        assert_eq!(Claims::of("a.%%%.c"), None);
    }
}
