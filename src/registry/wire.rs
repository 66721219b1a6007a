//! One request at a time: the login it carries, what its answer means, and when it is sent again.
//!
//! A login is asked for once and renewed once for each request that is told so; a request is never
//! replayed more than that. Credentials go to the registry's own origin only.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{RequestBuilder, Response, Url};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::answer::{Again, Asked, Passing, Refusal, Target, Trouble};
use super::{Login, Logins, Pace, Progress};
use crate::error::{Code, Failure};
use crate::http::causes;
use crate::http::retry::Patience;
use crate::names::Repository;

/// The most of a refusal that is read.
const REFUSAL: usize = 16 * 1024;

/// Where progress is told.
pub(super) type Listener<'a> = &'a (dyn Fn(Progress<'_>) + Send + Sync);

/// The connection of one repository.
pub(super) struct Wire {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) at: Target,
    pub(super) pace: Pace,
    logins: Logins,
    login: Arc<Mutex<Slot>>,
}

/// The login that is used, and how many there were before it.
#[derive(Default)]
struct Slot {
    login: Option<Login>,
    since: Option<Instant>,
    generation: u32,
}

/// A login younger than this has not expired, whatever a refusal without words may mean.
const FRESH: Duration = Duration::from_mins(10);

/// What came back.
pub(super) enum Answer {
    /// 2xx, its body not yet read.
    Good(Response),
    /// Anything that neither passes nor is about the login.
    Refused(Refusal),
}

impl Wire {
    pub(super) fn new(
        http: reqwest::Client,
        base: Url,
        repository: Repository,
        logins: Logins,
        pace: Pace,
    ) -> Self {
        let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", base.host_str().unwrap_or_default());
        let at = Target { host, repository };
        Self { http, base, at, pace, logins, login: Arc::default() }
    }

    /// The same connection and login with other patience.
    pub(super) fn paced(&self, pace: Pace) -> Self {
        self.derived(self.at.clone(), pace)
    }

    /// The same connection and login for another repository.
    pub(super) fn beside(&self, repository: Repository) -> Self {
        self.derived(Target { host: self.at.host.clone(), repository }, self.pace)
    }

    fn derived(&self, at: Target, pace: Pace) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            at,
            pace,
            logins: Arc::clone(&self.logins),
            login: Arc::clone(&self.login),
        }
    }

    /// The URL of something in this repository.
    pub(super) fn url(&self, path: &str) -> Result<Url, Failure> {
        self.url_in(&self.at.repository, path)
    }

    /// The URL of something in a repository of this registry.
    pub(super) fn url_in(&self, repository: &Repository, path: &str) -> Result<Url, Failure> {
        let base = self.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}/v2/{repository}/{path}")).map_err(|error| {
            Failure::new(Code::InputEndpoint, "the registry's endpoint is no URL")
                .why(error.to_string())
        })
    }

    /// Sends a request that can be made again: once more with a new login if the first has expired.
    pub(super) async fn send(
        &self,
        asked: Asked,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, Trouble> {
        match self.send_once(request()).await? {
            Sent::Answered(answer) => Ok(answer),
            Sent::Expired(generation, _) => {
                self.renew(generation).await?;
                match self.send_once(request()).await? {
                    Sent::Answered(answer) => Ok(answer),
                    Sent::Expired(_, refusal) => Err(refusal.told(asked, &self.at).into()),
                }
            }
        }
    }

    /// Sends a request that is not to be replayed.
    pub(super) async fn send_once(&self, request: RequestBuilder) -> Result<Sent, Trouble> {
        let (login, generation, age) = self.login().await?;
        let request = request.basic_auth(&login.user, Some(login.password.expose_secret()));
        let response = request.send().await.map_err(|error| unsent(&error))?;
        if response.status().is_success() {
            return Ok(Sent::Answered(Answer::Good(response)));
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = capped(response, REFUSAL).await;
        let refusal = Refusal::read(status, &headers, body.as_deref().unwrap_or_default());
        if refusal.is_passing() {
            return Err(Trouble::Again(self.passing(&refusal)));
        }
        if body.is_err() {
            // A server that refuses an upload half-way may cut its own words off: without them an
            // expired login looks like a missing right, so the next request has to tell.
            return Err(Trouble::Again(self.passing(&refusal)));
        }
        if refusal.is_expired() || refusal.is_silent() && age >= FRESH {
            return Ok(Sent::Expired(generation, refusal));
        }
        Ok(Sent::Answered(Answer::Refused(refusal)))
    }

    /// An attempt that was refused in a way that passes.
    pub(super) fn passing(&self, refusal: &Refusal) -> Again {
        let kind = if refusal.is_throttled() { Passing::Throttled } else { Passing::Cut };
        let said = format!("`{}` {}", self.at.host, refusal.said());
        Again { kind, said, after: refusal.after }
    }

    async fn login(&self) -> Result<(Login, u32, Duration), Failure> {
        let mut slot = self.login.lock().await;
        if slot.login.is_none() {
            slot.login = Some((self.logins)().await?);
            slot.since = Some(Instant::now());
        }
        let age = slot.since.map(|since| since.elapsed()).unwrap_or_default();
        match &slot.login {
            Some(login) => Ok((login.clone(), slot.generation, age)),
            None => Err(Failure::new(Code::RunBug, "the registry's login was lost")),
        }
    }

    /// Asks for a new login, unless somebody else has since this one was used.
    pub(super) async fn renew(&self, generation: u32) -> Result<(), Failure> {
        let mut slot = self.login.lock().await;
        if slot.generation == generation {
            slot.login = Some((self.logins)().await?);
            slot.since = Some(Instant::now());
            slot.generation += 1;
        }
        Ok(())
    }

    /// Repeats an attempt while its trouble passes and patience lasts.
    pub(super) async fn patiently<T, F>(
        &self,
        what: &str,
        write: bool,
        patience: Patience,
        listener: Listener<'_>,
        mut attempt: impl FnMut(u32) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let mut attempts = patience.begin();
        loop {
            let again = match attempt(attempts.made()).await {
                Ok(done) => return Ok(done),
                Err(Trouble::Final(failure)) => return Err(failure),
                Err(Trouble::Again(again)) => again,
            };
            let Some(wait) = attempts.next(again.after) else {
                return Err(again.told(what, write, attempts.made(), &self.at));
            };
            listener(Progress::Again { what, why: &again.said, wait });
            tokio::time::sleep(wait).await;
        }
    }
}

/// What became of a request that is not to be replayed.
pub(super) enum Sent {
    Answered(Answer),
    /// The login of this generation is not accepted (any more).
    Expired(u32, Refusal),
}

/// A request that got no answer.
pub(super) fn unsent(error: &reqwest::Error) -> Trouble {
    let kind = if error.is_connect() { Passing::Unreached } else { Passing::Cut };
    let said = if error.is_timeout() { "no answer in time".into() } else { causes(error) };
    Trouble::Again(Again { kind, said, after: None })
}

/// A body of at most `limit` bytes; what is beyond is not read.
pub(super) async fn capped(mut response: Response, limit: usize) -> Result<Bytes, reqwest::Error> {
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > limit {
            body.extend_from_slice(&piece[..limit - body.len()]);
            break;
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Nobody listens.
pub(super) fn silent(_: Progress<'_>) {}

/// How long a small request may take from its first byte to its last.
pub(super) const SMALL: Duration = Duration::from_mins(1);
