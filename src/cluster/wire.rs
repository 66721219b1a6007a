//! The one door to the API server: token, timeouts, and the bounded retries of reads.
//!
//! Nothing is sent twice here unless the first certainly did nothing, or doing it twice is the same.
//! A 401 is the first kind: it mints once more and asks once more.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::{Body, ClientBuilder};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::{Code, Failure};

use super::access::{Access, Mint, Token};
use super::connect;
use super::wrong::Wrong;

/// A request, as kube's builders make it.
pub(super) type Ask = Request<Vec<u8>>;

/// Whether a request may be repeated when it is not known what the first one did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// A read: always.
    Free,
    /// A write: only if the first certainly did nothing.
    Unsent,
    /// Whoever asks has a loop of its own.
    Never,
}

/// The connection and its token.
pub(super) struct Wire {
    /// Where it goes and who asks.
    pub(super) access: Access,
    client: Client,
    mint: Token,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    header: Option<HeaderValue>,
    renew: Option<Instant>,
    until: Option<Instant>,
    serial: u64,
}

impl Wire {
    /// Prepares the connection.
    pub(super) fn new(access: Access, mint: Token) -> Result<Self, Failure> {
        let config = connect::config(&access)?;
        let client = ClientBuilder::try_from(config)
            .map_err(|_| {
                let what = format!("the endpoint of `{}` cannot be used", access.cluster);
                Failure::new(Code::EksReach, what)
                    .why("its CA, or the proxy of the environment, was not accepted")
                    .next("check HTTPS_PROXY: a proxy is `http://HOST:PORT`")
            })?
            .build();
        Ok(Self { access, client, mint, held: Mutex::default() })
    }

    /// Asks and reads the whole answer, again while that may help and is allowed.
    pub(super) async fn ask(&self, ask: &Ask, repeat: Repeat) -> Result<Bytes, Wrong> {
        let pace = self.access.pace;
        let (began, mut wait) = (Instant::now(), pace.first_wait);
        loop {
            let (wrong, asked) = match self.once(ask).await {
                Ok(body) => return Ok(body),
                Err(wrong) => wrong,
            };
            let allowed = match repeat {
                Repeat::Free => true,
                Repeat::Unsent => wrong.did_nothing(),
                Repeat::Never => false,
            };
            let pause = asked.unwrap_or(wait).min(pace.longest_wait);
            if !allowed || !wrong.is_passing() || began.elapsed() + pause >= pace.window {
                return Err(wrong.after(began.elapsed()));
            }
            tokio::time::sleep(pause).await;
            wait = (wait * 2).min(pace.longest_wait);
        }
    }

    /// Asks for an object.
    pub(super) async fn read<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, Wrong> {
        self.read_as(ask, Repeat::Free).await
    }

    /// The same, with a say in whether it is asked for again.
    pub(super) async fn read_as<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        repeat: Repeat,
    ) -> Result<T, Wrong> {
        let body = self.ask(ask, repeat).await?;
        serde_json::from_slice(&body)
            .map_err(|_| Wrong::Garbled("its answer is not what was asked for".into()))
    }

    /// Opens a stream: once, the caller opens it again.
    pub(super) async fn open(&self, ask: &Ask) -> Result<Body, (Wrong, Option<Duration>)> {
        let response = self.send(ask).await.map_err(|wrong| (wrong, None))?;
        if response.status().is_success() {
            return Ok(response.into_body());
        }
        Err(self.refused(response).await)
    }

    async fn once(&self, ask: &Ask) -> Result<Bytes, (Wrong, Option<Duration>)> {
        let body = self.open(ask).await?;
        match timeout(self.access.pace.answer, body.collect()).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(_)) => Err((Wrong::Cut("its answer was cut off".into()), None)),
            Err(_) => Err((self.late(), None)),
        }
    }

    fn late(&self) -> Wrong {
        Wrong::Cut(format!("no answer in {} s", self.access.pace.answer.as_secs_f32()))
    }

    /// Reads an answer that is not 2xx, and how long it asks us to wait.
    async fn refused(&self, response: Response<Body>) -> (Wrong, Option<Duration>) {
        let status = response.status();
        let after = response.headers().get(header::RETRY_AFTER);
        let after = after.and_then(|v| v.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let body = match timeout(self.access.pace.answer, response.into_body().collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            _ => Bytes::new(),
        };
        (Wrong::from_answer(status, &body), after)
    }

    /// Sends with a token; a 401 is answered with a new one, once.
    async fn send(&self, ask: &Ask) -> Result<Response<Body>, Wrong> {
        let (token, serial) = self.token(None).await.map_err(Wrong::Mint)?;
        let response = self.send_with(ask, token).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let (token, _) = self.token(Some(serial)).await.map_err(Wrong::Mint)?;
        let response = self.send_with(ask, token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            Err(Wrong::Unknown)
        } else {
            Ok(response)
        }
    }

    async fn send_with(&self, ask: &Ask, token: HeaderValue) -> Result<Response<Body>, Wrong> {
        let mut request = ask.clone().map(Body::from);
        request.headers_mut().insert(header::AUTHORIZATION, token);
        // Minting is not in this time: who mints has times of his own.
        let sent = timeout(self.access.pace.answer, self.client.send(request)).await;
        sent.map_err(|_| self.late())?.map_err(|error| Wrong::from_send(&error))
    }

    /// The token that is held, or a new one if it runs out or is the `refused` one.
    async fn token(&self, refused: Option<u64>) -> Result<(HeaderValue, u64), Failure> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        let useful = refused != Some(held.serial);
        if let Some(header) =
            held.header.as_ref().filter(|_| useful && held.renew.is_some_and(|r| now < r))
        {
            return Ok((header.clone(), held.serial));
        }
        let why = if useful { Mint::Due } else { Mint::Refused };
        match (self.mint)(why).await {
            Ok(minted) => held.keep(&minted, now),
            // It is renewed early, so that a short outage of whoever mints is no failure.
            Err(failure) => match held.header.as_ref() {
                Some(header) if useful && held.until.is_some_and(|u| now < u) => {
                    Ok((header.clone(), held.serial))
                }
                _ => Err(failure),
            },
        }
    }
}

impl Held {
    fn keep(
        &mut self,
        minted: &super::EksToken,
        now: Instant,
    ) -> Result<(HeaderValue, u64), Failure> {
        let text = format!("Bearer {}", minted.token.expose_secret());
        let mut header = HeaderValue::from_str(&text)
            .map_err(|_| Failure::new(Code::EksAnswer, "the minted token is no header value"))?;
        header.set_sensitive(true);
        let early = (minted.valid_for / 4).min(Duration::from_secs(120));
        self.until = Some(now + minted.valid_for);
        self.renew = Some(now + minted.valid_for.saturating_sub(early));
        self.serial += 1;
        self.header = Some(header.clone());
        Ok((header, self.serial))
    }
}
