//! Who slipway is to AWS, and the credentials that follow from it: in memory, renewed before they
//! end, one renewal at a time for all clients.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;

use super::fault::Carried;
use super::oidc::Door;
use super::{How, RunName, Secrets, sts};
use crate::error::Failure;
use crate::names::RoleArn;

/// Temporary credentials are renewed this long before they end.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// A renewal that did not work is tried again after this, while the old credentials last.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Credentials that were renewed because they were refused are not renewed for that again within
/// this: what is refused so soon is not the session's fault.
const TRUSTED_FOR: Duration = Duration::from_secs(5 * 60);

/// Where credentials come from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Keys from the inputs.
    Keys {
        /// The access key id: never printed.
        id: String,
        /// The secret access key.
        secret: SecretString,
        /// The session token, where the keys are temporary.
        session: Option<SecretString>,
    },
    /// GitHub's OIDC token, exchanged for a role.
    Oidc {
        /// The role that trusts GitHub.
        role: RoleArn,
        /// `ACTIONS_ID_TOKEN_REQUEST_URL`.
        request_url: String,
        /// `ACTIONS_ID_TOKEN_REQUEST_TOKEN`.
        request_token: SecretString,
        /// `sts.amazonaws.com`, unless the trust policy says otherwise.
        audience: String,
    },
    /// Another identity, which then assumes a role by `sts:AssumeRole`.
    Chain {
        /// Who asks.
        base: Box<Identity>,
        /// The role it becomes.
        role: RoleArn,
    },
}

impl Identity {
    /// How people read it.
    pub(super) fn how(&self) -> How {
        match self {
            Self::Keys { session: None, .. } => How::AccessKey,
            Self::Keys { session: Some(_), .. } => How::SessionKeys,
            Self::Oidc { .. } => How::Oidc,
            Self::Chain { base, .. } => How::Role(Box::new(base.how())),
        }
    }

    /// The role it ends in, with its path.
    pub(super) fn role(&self) -> Option<&RoleArn> {
        match self {
            Self::Keys { .. } => None,
            Self::Oidc { role, .. } | Self::Chain { role, .. } => Some(role),
        }
    }
}

/// Gives credentials to every client, from one place.
#[derive(Clone)]
pub(super) struct Provider(Arc<Inner>);

struct Inner {
    source: Source,
    held: Mutex<Held>,
    renewals: AtomicU64,
    accepted: AtomicBool,
}

enum Source {
    Keys(Credentials),
    Oidc { door: Door, connector: SharedHttpConnector, secrets: Secrets, exchange: sts::Exchange },
    Chain { exchange: sts::Exchange, how: How },
}

#[derive(Default)]
struct Held {
    credentials: Option<Credentials>,
    refused: Option<Failure>,
    not_before: Option<SystemTime>,
    distrusted: Option<Instant>,
}

/// What a provider is made with.
pub(super) struct Means<'a> {
    pub(super) connector: &'a SharedHttpConnector,
    pub(super) secrets: &'a Secrets,
    pub(super) run: &'a RunName,
    /// Makes an STS client that signs with this provider, or not at all.
    pub(super) sts: &'a dyn Fn(Option<Provider>) -> sts::Asker,
}

impl Provider {
    /// The provider of an identity; nothing is asked yet.
    pub(super) fn new(identity: &Identity, means: &Means<'_>) -> Self {
        let exchange = |base: Option<Self>, role: &RoleArn| sts::Exchange {
            asker: (means.sts)(base),
            role: role.clone(),
            session: means.run.clone(),
            secrets: means.secrets.clone(),
        };
        let source = match identity {
            Identity::Keys { id, secret, session } => Source::Keys(Credentials::new(
                id,
                secret.expose_secret(),
                session.as_ref().map(|s| s.expose_secret().to_owned()),
                None,
                "inputs",
            )),
            Identity::Oidc { role, request_url, request_token, audience } => Source::Oidc {
                door: Door {
                    url: request_url.clone(),
                    bearer: request_token.clone(),
                    audience: audience.clone(),
                },
                connector: means.connector.clone(),
                secrets: means.secrets.clone(),
                exchange: exchange(None, role),
            },
            Identity::Chain { base, role } => Source::Chain {
                exchange: exchange(Some(Self::new(base, means)), role),
                how: base.how(),
            },
        };
        Self(Arc::new(Inner {
            source,
            held: Mutex::default(),
            renewals: AtomicU64::new(0),
            accepted: AtomicBool::new(false),
        }))
    }

    /// Credentials that last for some minutes more.
    pub(super) async fn credentials(&self) -> Result<Credentials, Failure> {
        if let Source::Keys(credentials) = &self.0.source {
            return Ok(credentials.clone());
        }
        let before = self.0.renewals.load(Ordering::Acquire);
        let mut held = self.0.held.lock().await;
        let now = SystemTime::now();
        if let Some(credentials) = held.usable(now) {
            return Ok(credentials);
        }
        // Whoever waited for this lock while another renewed shares that answer: fourteen reads
        // begin at once, and a role that refuses should be asked once.
        if before != self.0.renewals.load(Ordering::Acquire)
            && let Some(failure) = &held.refused
        {
            return Err(failure.clone());
        }
        let renewed = self.0.source.renew().await;
        self.0.renewals.fetch_add(1, Ordering::Release);
        held.take(renewed, SystemTime::now())
    }

    /// AWS took them.
    pub(super) fn accept(&self) {
        self.0.accepted.store(true, Ordering::Release);
    }

    /// Whether AWS took them in this run: what it refuses then was good a moment ago.
    pub(super) fn was_accepted(&self) -> bool {
        self.0.accepted.load(Ordering::Acquire)
    }

    /// How often these credentials were renewed: what `distrust` takes to know which were meant.
    pub(super) fn renewals(&self) -> u64 {
        self.0.renewals.load(Ordering::Acquire)
    }

    /// The credentials of this renewal were refused before their stated end: others are taken at the
    /// next use. False where there will be no others: keys of the inputs, and trouble that a renewal
    /// has not ended a moment ago.
    pub(super) async fn distrust(&self, seen: u64) -> bool {
        if matches!(self.0.source, Source::Keys(_)) {
            return false;
        }
        let mut held = self.0.held.lock().await;
        if seen != self.renewals() {
            return true;
        }
        if held.distrusted.is_some_and(|at| at.elapsed() < TRUSTED_FOR) {
            return false;
        }
        *held = Held { distrusted: Some(Instant::now()), ..Held::default() };
        true
    }
}

impl Held {
    fn usable(&self, now: SystemTime) -> Option<Credentials> {
        let credentials = self.credentials.as_ref()?;
        let fresh = credentials.expiry().is_none_or(|end| now + RENEW_BEFORE < end);
        let waiting = self.not_before.is_some_and(|then| now < then) && lasts(credentials, now);
        (fresh || waiting).then(|| credentials.clone())
    }

    fn take(
        &mut self,
        renewed: Result<Credentials, Failure>,
        now: SystemTime,
    ) -> Result<Credentials, Failure> {
        match renewed {
            Ok(credentials) => {
                *self = Self {
                    credentials: Some(credentials.clone()),
                    distrusted: self.distrusted,
                    ..Self::default()
                };
                Ok(credentials)
            }
            Err(failure) => match &self.credentials {
                Some(old) if lasts(old, now) => {
                    self.not_before = Some(now + RETRY_AFTER);
                    Ok(old.clone())
                }
                _ => {
                    self.refused = Some(failure.clone());
                    Err(failure)
                }
            },
        }
    }
}

fn lasts(credentials: &Credentials, now: SystemTime) -> bool {
    credentials.expiry().is_none_or(|end| now + Duration::from_secs(30) < end)
}

impl Source {
    async fn renew(&self) -> Result<Credentials, Failure> {
        match self {
            Self::Keys(credentials) => Ok(credentials.clone()),
            Self::Oidc { door, connector, secrets, exchange } => {
                exchange.by_token(door, connector, secrets).await
            }
            Self::Chain { exchange, how } => exchange.by_base(how).await,
        }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let refused = |failure| CredentialsError::provider_error(Carried(failure));
            self.credentials().await.map_err(refused)
        })
    }
}
