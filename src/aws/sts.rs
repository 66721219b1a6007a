//! STS: who we are, and the two ways to become a role. What a role answers when it refuses is
//! explained here, because only here the token's own claims are at hand.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::types::Credentials as Given;
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use super::ask::ask;
use super::credentials::Provider;
use super::fault::{Fault, Place};
use super::oidc::{Claims, Door};
use super::{Aws, RunName, Secrets, arn};
use crate::error::{Code, Failure, quoted};
use crate::names::{Account, RoleArn};

/// What STS says when it has no key for a token: the issuer did not answer it, or publishes no such key.
const NO_KEY: &str = "retrieve verification key";

/// How the identity was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// GitHub's OIDC token.
    Oidc,
    /// A long-lived access key.
    AccessKey,
    /// Temporary keys, with a session token.
    SessionKeys,
    /// One of the others, and then `sts:AssumeRole`.
    Role(Box<How>),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oidc => f.write_str("OIDC"),
            Self::AccessKey => f.write_str("access key"),
            Self::SessionKeys => f.write_str("temporary keys"),
            Self::Role(base) => write!(f, "{base} and AssumeRole"),
        }
    }
}

/// Who AWS says we are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// The account.
    pub account: Account,
    /// The whole ARN, as GetCallerIdentity gave it.
    pub arn: String,
    /// As people read it: "role `ship`", "user `eks-manager`".
    pub who: String,
    /// The ARN that an access entry takes: for an assumed role the role's own, with its path where
    /// it is known.
    pub principal: String,
    /// The role, where it is one.
    pub role: Option<RoleArn>,
    /// How it came to be.
    pub how: How,
}

impl Aws {
    /// Asks who we are.
    ///
    /// # Errors
    /// Whatever is wrong with the identity: it is the first thing to ask.
    pub async fn caller(&self) -> Result<Caller, Failure> {
        let asker = &self.0.sts;
        let answer = self
            .ask("sts:GetCallerIdentity", || asker.client.get_caller_identity().send())
            .await
            .map_err(|fault| fault.failure(&asker.place("*", self.how())))?;
        let (Some(arn), Some(Ok(account))) =
            (answer.arn, answer.account.map(|a| a.parse::<Account>()))
        else {
            return Err(Failure::new(Code::AwsAnswer, "STS did not say who this is")
                .why("`sts:GetCallerIdentity` answered without an ARN or an account")
                .next("check the STS endpoint, if one is set"));
        };
        let principal = self.principal(&arn);
        Ok(Caller {
            account,
            who: arn::who(&arn).unwrap_or_else(|| format!("`{arn}`")),
            role: principal.parse().ok(),
            principal,
            arn,
            how: self.how(),
        })
    }

    /// The principal of an ARN; our own role's path is known even though STS leaves it out.
    pub(super) fn principal(&self, arn: &str) -> String {
        let bare = arn::principal(arn);
        match &self.0.role {
            Some(role) if arn::same_role(role.as_str(), &bare) => role.to_string(),
            _ => bare,
        }
    }
}

/// An STS client and where it asks.
#[derive(Clone)]
pub(super) struct Asker {
    /// Whose credentials sign; nobody's where none are needed.
    pub(super) base: Option<Provider>,
    pub(super) client: aws_sdk_sts::Client,
    pub(super) host: String,
    pub(super) region: String,
}

impl Asker {
    fn place(&self, resource: &str, how: How) -> Place {
        Place {
            host: self.host.clone(),
            region: self.region.clone(),
            resource: resource.into(),
            how,
            was_accepted: self.base.as_ref().is_some_and(Provider::was_accepted),
        }
    }
}

/// Becoming a role.
pub(super) struct Exchange {
    pub(super) asker: Asker,
    pub(super) role: RoleArn,
    pub(super) session: RunName,
    pub(super) secrets: Secrets,
}

impl Exchange {
    /// By GitHub's token.
    pub(super) async fn by_token(
        &self,
        door: &Door,
        connector: &SharedHttpConnector,
        secrets: &Secrets,
    ) -> Result<Credentials, Failure> {
        let mut patience = 3;
        loop {
            let token = door.token(connector, secrets).await?;
            let fault = match self.web_identity(&token).await {
                Ok(given) => return self.credentials(given),
                Err(fault) => fault,
            };
            patience -= 1;
            // STS reads GitHub's keys itself, and says so when it could not; parallel jobs see it.
            if patience == 0 || !fault.message().contains(NO_KEY) {
                return Err(self.refused(&fault, Claims::of(token.expose_secret()).as_ref()));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn web_identity(&self, token: &SecretString) -> Result<Option<Given>, Fault> {
        self.asker
            .client
            .assume_role_with_web_identity()
            .role_arn(self.role.as_str())
            .role_session_name(self.session.as_str())
            .web_identity_token(token.expose_secret())
            .send()
            .await
            .map(|answer| answer.credentials)
            .map_err(|e| Fault::read("sts:AssumeRoleWithWebIdentity", &e))
    }

    /// By another identity.
    pub(super) async fn by_base(&self, how: &How) -> Result<Credentials, Failure> {
        let request = self
            .asker
            .client
            .assume_role()
            .role_arn(self.role.as_str())
            .role_session_name(self.session.as_str());
        let action = "sts:AssumeRole";
        let answer = match &self.asker.base {
            // Boxed, because a base may have a base of its own.
            Some(base) => Box::pin(ask(base, action, || request.clone().send())).await,
            None => request.send().await.map_err(|error| Fault::read(action, &error)),
        };
        match answer {
            Ok(answer) => self.credentials(answer.credentials),
            Err(fault) if fault.is_denied() => Err(self.not_assumed(&fault)),
            Err(fault) => Err(fault.failure(&self.asker.place(self.role.as_str(), how.clone()))),
        }
    }

    fn credentials(&self, given: Option<Given>) -> Result<Credentials, Failure> {
        let Some(given) = given else {
            return Err(Failure::new(Code::AwsAnswer, "STS gave no credentials")
                .why(format!("its answer for role `{}` is empty", self.role.name()))
                .next("check the STS endpoint, if one is set"));
        };
        for secret in [given.secret_access_key(), given.session_token(), given.access_key_id()] {
            (self.secrets)(secret);
        }
        let expiry = std::time::SystemTime::try_from(*given.expiration()).ok();
        Ok(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            expiry,
            "sts",
        ))
    }

    fn refused(&self, fault: &Fault, claims: Option<&Claims>) -> Failure {
        let place = self.asker.place(self.role.as_str(), How::Oidc);
        let Some(claims) = claims else {
            return fault.failure(&place);
        };
        match fault.code() {
            "AccessDenied" => untrusted(&self.role, claims),
            code @ ("InvalidIdentityToken" | "IDPCommunicationError") => {
                not_taken(&self.role, claims, code, fault.message())
            }
            // It is asked for right before, so its time is the issuer's; the runner's clock is not in it.
            code @ ("ExpiredTokenException" | "ExpiredToken") => {
                Failure::new(Code::OidcToken, "GitHub's OIDC token had ended when STS read it")
                    .why(format!("STS answered {code}: {}", quoted(fault.message())))
                    .next(
                        "run the job again; with a GitHub server of your own, set its clock (NTP)",
                    )
            }
            _ => fault.failure(&place),
        }
    }

    fn not_assumed(&self, fault: &Fault) -> Failure {
        let asking =
            fault.message().split_once("User: ").and_then(|(_, r)| r.split_whitespace().next());
        let who = asking.and_then(arn::who).unwrap_or_else(|| "the identity of this run".into());
        let principal = asking.map_or_else(|| "ITS-ARN".into(), arn::principal);
        let (role, name) = (&self.role, self.role.name());
        let failure = Failure::new(Code::AwsRole, format!("{who} may not become role `{name}`"))
            .why(format!("STS answered AccessDenied: {}", quoted(fault.message())));
        // In one account a trust policy that names the user itself needs no other.
        let (first, then) = if asking.and_then(arn::account) == arn::account(role.as_str()) {
            (
                format!("name `{principal}` in the trust policy of `{name}`;"),
                format!("if it names the account instead, {who} needs"),
            )
        } else {
            (
                format!("allow it on both sides: `{principal}` in the trust policy of `{name}`,"),
                format!("and to {who}:"),
            )
        };
        failure.next(first).next(format!(
            r#"{then} {{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"{role}"}}"#
        ))
    }
}

/// The role, if there is one, does not trust this run: STS says the same for both.
fn untrusted(role: &RoleArn, claims: &Claims) -> Failure {
    let ids = if claims.sub.contains('@') { " (without the @ids it does not match)" } else { "" };
    let mut failure =
        Failure::new(Code::OidcTrust, format!("role `{}` did not accept this run", role.name()))
            .why(format!(
                "STS answered AccessDenied; the token's own aud is {}, its sub is below",
                claims.aud
            ))
            .next(format!("its trust policy, if the role exists, needs in StringEquals{ids}:"))
            .next(format!(r#""{}:sub": "{}""#, claims.issuer(), claims.sub));
    if claims.aud != "sts.amazonaws.com" {
        failure = failure.next(format!(r#""{}:aud": "{}""#, claims.issuer(), claims.aud));
    }
    failure
}

/// STS does not take the token itself: the account does not know its issuer, or not for this audience; or
/// STS found no key to check it with.
fn not_taken(role: &RoleArn, claims: &Claims, code: &str, message: &str) -> Failure {
    let account = arn::account(role.as_str()).map(String::from).unwrap_or_default();
    let partition = role.as_str().split(':').nth(1).unwrap_or("aws");
    let issuer = claims.issuer();
    let failed = |what| {
        Failure::new(Code::OidcProvider, what)
            .why(format!("STS answered {code}: {}", quoted(message)))
    };
    if message.contains("audience") {
        let what = format!("account {account} does not take OIDC tokens for `{}`", claims.aud);
        return failed(what)
            .next("aws iam add-client-id-to-open-id-connect-provider \\")
            .next(format!(
                "  --open-id-connect-provider-arn arn:{partition}:iam::{account}:oidc-provider/{issuer} --client-id {}",
                claims.aud
            ));
    }
    if message.contains("No OpenIDConnect provider") {
        return failed(format!("account {account} has no OIDC provider for `{issuer}`"))
            .next("aws iam create-open-id-connect-provider \\")
            .next(format!("  --url {} --client-id-list {}", claims.iss, claims.aud));
    }
    let what = if message.contains(NO_KEY) || code == "IDPCommunicationError" {
        format!("STS found no key of `{issuer}` to check this job's OIDC token with")
    } else {
        format!("STS does not take this job's OIDC token of `{issuer}`")
    };
    failed(what)
        .next(format!("run the job again in a minute; AWS itself has to reach {}", keys_of(claims)))
}

/// Where STS reads the issuer's keys.
fn keys_of(claims: &Claims) -> String {
    format!("{}/.well-known/openid-configuration", claims.iss.trim_end_matches('/'))
}

#[cfg(test)]
mod tests;
