//! One kind of object, followed: list, watch, and again from where it was, for as long as it takes.
//!
//! An own loop over the raw watch, not `kube::runtime::watcher`: it starts from the answer of the PATCH
//! without a list, tells what vanished between two lists, reads a garbled line again instead of
//! losing it, and knows which trouble is final.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::params::WatchParams;
use kube::core::{Status, request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use crate::error::Code;
use crate::rollout::Seen;

use super::feed::Fed;
use super::lines::Lines;
use super::reads::built;
use super::rights::Right;
use super::wire::Repeat;
use super::wrong::Wrong;
use super::{Cluster, Pace};

/// What is followed, and how it is told.
pub(super) struct Source<K> {
    /// The right it takes, for messages.
    pub(super) right: Right,
    pub(super) namespace: String,
    pub(super) path: String,
    pub(super) labels: Option<String>,
    pub(super) fields: Option<String>,
    /// A rollout can be judged without it.
    pub(super) optional: bool,
    pub(super) meta: fn(&K) -> &ObjectMeta,
    pub(super) appeared: fn(Box<K>) -> Seen,
    pub(super) gone: fn(String) -> Option<Seen>,
}

/// Where following stands.
pub(super) struct Follow<K> {
    pub(super) cluster: Cluster,
    pub(super) source: Source<K>,
    pub(super) said: Sender<Fed>,
    /// Where the next watch starts; without it there is a list first.
    pub(super) version: Option<String>,
    /// The uids that were told and are not gone.
    pub(super) known: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

/// Nobody listens any more.
struct Unheard;

/// How one round of list and watch ended.
enum Round {
    /// The server ended it, or it was cut: go on from where it was.
    Over,
    /// The version is too old: list again.
    Stale,
    /// It could not be read, and how long the server asks to wait.
    Wrong(Wrong, Option<Duration>),
    /// Nobody listens any more.
    Unheard,
}

impl From<Unheard> for Round {
    fn from(_: Unheard) -> Self {
        Self::Unheard
    }
}

impl From<Wrong> for Round {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong, None)
    }
}

impl<K: Clone + DeserializeOwned> Follow<K> {
    /// Follows until it is of no more use: nobody listens, or it can never be read again.
    pub(super) async fn run(mut self) {
        let mut health = Patience::new(self.cluster.wire.access.pace);
        loop {
            let before = self.version.clone();
            let round = self.round(&mut health).await;
            let moved = self.version != before;
            match round {
                Round::Unheard => return,
                Round::Over => health.over(moved),
                Round::Stale => {
                    self.version = None;
                    health.over(false);
                }
                Round::Wrong(wrong, asked) => {
                    // The same line twice: only a list can tell what it said.
                    if matches!(wrong, Wrong::Garbled(_)) && !moved && health.is_down() {
                        self.version = None;
                    }
                    if health.is_final(&wrong) {
                        self.end(wrong).await;
                        return;
                    }
                    if self.complain(&wrong, &mut health, asked).await.is_err() {
                        return;
                    }
                }
            }
            tokio::time::sleep(health.pause()).await;
        }
    }

    async fn round(&mut self, health: &mut Patience) -> Round {
        match self.list_and_watch(health).await {
            Ok(()) => Round::Over,
            Err(round) => round,
        }
    }

    async fn list_and_watch(&mut self, health: &mut Patience) -> Result<(), Round> {
        let version = match self.version.clone() {
            Some(version) => version,
            None => self.relist().await?,
        };
        let source = &self.source;
        let pace = self.cluster.wire.access.pace;
        let params = WatchParams {
            label_selector: source.labels.clone(),
            field_selector: source.fields.clone(),
            timeout: Some(u32::try_from(pace.watch.as_secs()).unwrap_or(u32::MAX).clamp(1, 290)),
            ..WatchParams::default()
        };
        let ask = built(request::Request::new(&source.path).watch(&params, &version))?;
        let opened = self.cluster.wire.open(&ask).await;
        let body = opened.map_err(|(wrong, asked)| {
            if is_stale(&wrong) { Round::Stale } else { Round::Wrong(wrong, asked) }
        })?;
        let mut lines = Lines::of(body, pace.idle);
        while let Some(line) = lines.next().await? {
            self.line(&line).await?;
            self.recovered(health).await?;
        }
        // A stream that was opened and ended by itself is well, even if nothing was said in it.
        self.recovered(health).await?;
        Ok(())
    }

    /// Lists, tells what vanished, then what is there.
    async fn relist(&mut self) -> Result<String, Round> {
        let Source { path, labels, fields, .. } = &self.source;
        let listed = self
            .cluster
            .list_as(path.clone(), labels.as_deref(), fields.as_deref(), Repeat::Never)
            .await;
        let (items, version) = match listed {
            Err(wrong) if is_stale(&wrong) => return Err(Round::Stale),
            other => other?,
        };
        let uids: BTreeSet<String> = items.iter().map(|item| self.uid(item)).collect();
        let vanished: Vec<String> = self.known.difference(&uids).cloned().collect();
        for uid in vanished {
            self.gone(uid).await?;
        }
        for item in items {
            self.appeared(item).await?;
        }
        self.version = Some(version.clone());
        Ok(version)
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Round> {
        let garbled = || Round::from(Wrong::Garbled("a line of its answer cannot be read".into()));
        let Line { kind, object } = serde_json::from_slice(line).map_err(|_| garbled())?;
        if kind == "ERROR" {
            let status: Status = serde_json::from_value(object).map_err(|_| garbled())?;
            let code = http::StatusCode::from_u16(status.code)
                .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
            let wrong = Wrong::Status(code, status.boxed());
            return Err(if is_stale(&wrong) { Round::Stale } else { wrong.into() });
        }
        let version =
            object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
        let version = version.ok_or_else(garbled)?;
        if kind != "BOOKMARK" {
            let object: K = serde_json::from_value(object).map_err(|_| garbled())?;
            if kind == "DELETED" {
                self.gone(self.uid(&object)).await?
            } else {
                self.appeared(object).await?
            }
        }
        self.version = Some(version);
        Ok(())
    }

    fn uid(&self, object: &K) -> String {
        (self.source.meta)(object).uid.clone().unwrap_or_default()
    }

    async fn appeared(&mut self, object: K) -> Result<(), Unheard> {
        self.known.insert(self.uid(&object));
        self.say(Fed::Seen((self.source.appeared)(Box::new(object)))).await
    }

    async fn gone(&mut self, uid: String) -> Result<(), Unheard> {
        self.known.remove(&uid);
        match (self.source.gone)(uid) {
            Some(seen) => self.say(Fed::Seen(seen)).await,
            None => Ok(()),
        }
    }

    async fn say(&self, fed: Fed) -> Result<(), Unheard> {
        self.said.send(fed).await.map_err(|_| Unheard)
    }

    async fn recovered(&self, health: &mut Patience) -> Result<(), Unheard> {
        if health.well() {
            self.say(Fed::Again(self.source.right.resource.into())).await
        } else {
            Ok(())
        }
    }

    async fn complain(
        &self,
        wrong: &Wrong,
        health: &mut Patience,
        asked: Option<Duration>,
    ) -> Result<(), Unheard> {
        let Some(down) = health.down(asked) else { return Ok(()) };
        let what = self.source.right.resource;
        let text = format!("{what} cannot be read since {} s: {}", down.as_secs(), wrong.clause());
        self.say(Fed::Trouble(text)).await
    }

    /// Says why it ends. That nobody listens any more is no matter here.
    async fn end(&self, wrong: Wrong) {
        let Source { right, namespace, optional, .. } = &self.source;
        let fed = if *optional {
            Fed::Unseen(wrong.unseen(right.resource, right.verb))
        } else {
            Fed::Ended(self.cluster.failure(wrong, *right, Some(namespace)))
        };
        drop(self.say(fed).await);
    }
}

fn is_stale(wrong: &Wrong) -> bool {
    wrong.code() == Some(410)
}

/// How long it has been going badly, and how long to wait before the next round.
struct Patience {
    pace: Pace,
    worked: bool,
    since: Option<Instant>,
    next_complaint: Duration,
    complained: bool,
    wait: Duration,
    asked: Option<Duration>,
}

impl Patience {
    fn new(pace: Pace) -> Self {
        let (wait, next_complaint) = (Duration::ZERO, pace.trouble);
        Self {
            pace,
            worked: false,
            since: None,
            next_complaint,
            complained: false,
            wait,
            asked: None,
        }
    }

    /// It can be read; whether that is news after a complaint.
    fn well(&mut self) -> bool {
        let news = self.complained;
        let worked = Self { worked: true, ..Self::new(self.pace) };
        *self = worked;
        news
    }

    fn is_down(&self) -> bool {
        self.since.is_some()
    }

    /// A round is over. One in which nothing moved must not be followed at once by many more.
    fn over(&mut self, moved: bool) {
        self.wait = if moved { Duration::ZERO } else { self.longer() };
    }

    /// It cannot be read; for how long by now, if that has to be said.
    fn down(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.wait = self.longer();
        self.asked = asked;
        let down = self.since.get_or_insert_with(Instant::now).elapsed();
        if down < self.next_complaint {
            return None;
        }
        self.next_complaint = down * 2;
        self.complained = true;
        Some(down)
    }

    fn longer(&self) -> Duration {
        (self.wait * 2).clamp(self.pace.first_wait, self.pace.longest_wait)
    }

    fn pause(&mut self) -> Duration {
        self.asked.take().unwrap_or(self.wait).min(self.pace.longest_wait)
    }

    /// Trying again is useless: at once where it never worked, else after the window in which a
    /// control plane may be replaced.
    fn is_final(&self, wrong: &Wrong) -> bool {
        let long = self.since.is_some_and(|since| since.elapsed() >= self.pace.window);
        match wrong {
            Wrong::Unknown => true,
            // What whoever mints cannot renew stays ended.
            Wrong::Mint(failure) => long || failure.code == Code::AwsExpired,
            Wrong::Untrusted(_) => !self.worked || long,
            Wrong::Status(code, _) => {
                let passing =
                    code.is_server_error() || matches!(code.as_u16(), 408 | 409 | 410 | 429);
                !passing && (!self.worked || long)
            }
            Wrong::Reach(_) | Wrong::Cut(_) | Wrong::Garbled(_) => false,
        }
    }
}
