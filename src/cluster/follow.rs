//! One kind of object, followed: list, watch, and again from where it was, for as long as it takes.
//!
//! An own loop over the raw watch, not `kube::runtime::watcher`: it starts from the answer of the PATCH
//! without a list, tells what vanished between two lists, reads a garbled line again instead of
//! losing it, and knows which trouble is final. Nor does it take silence for quiet: a connection that
//! something on the way forgot says nothing for ever, so that a silent stream is checked by a list.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::params::WatchParams;
use kube::core::{Status, request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{mpsc::Sender, watch};

use crate::error::Code;
use crate::rollout::Seen;

use super::fed::{Fed, Said};
use super::lines::{Lines, Next};
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
    pub(super) said: Sender<Said>,
    /// How often somebody asked that it is read anew.
    pub(super) asked: watch::Receiver<u64>,
    /// Where the next watch starts; without it there is a list first.
    pub(super) version: Option<String>,
    /// The uids that were told and are not gone, with the version that was told.
    pub(super) known: BTreeMap<String, String>,
    /// When the server was surely heard the last time.
    pub(super) heard: Instant,
    /// The ask that was answered last.
    pub(super) answered: u64,
    /// Since when the stream may have been dead, if its silence is why there is a list now.
    pub(super) doubted: Option<Instant>,
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
    /// It was silent for long, or somebody asks: only a list shows whether it was quiet or dead.
    Doubted,
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
                Round::Over => {
                    self.heard = Instant::now();
                    health.over(moved);
                }
                Round::Doubted => {
                    self.version = None;
                    health.over(true);
                }
                Round::Stale => {
                    self.version = None;
                    health.over(false);
                }
                Round::Wrong(wrong, asked) => {
                    // A line is read again, and only a list can tell what one that stays garbled said.
                    // After everything else a list shows what was missed, if it is needed.
                    let garbled = matches!(wrong, Wrong::Garbled(_));
                    let twice = garbled && !moved && health.is_down();
                    if twice || !(garbled || self.source.optional) {
                        self.version = None;
                    }
                    if health.is_final(&wrong) {
                        self.end(wrong).await;
                        return;
                    }
                    // One garbled line is read again at once, which is no outage.
                    if (twice || !garbled) && self.lose(&wrong, &mut health).await.is_err() {
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
        let listed = self.version.is_none();
        let version = match self.version.clone() {
            Some(version) => version,
            None => self.relist(health).await?,
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
        self.heard = Instant::now();
        if listed {
            // All that was missed was told, and the next will be heard.
            self.recovered(health).await?;
        }
        self.listen(Lines::of(body, pace.idle), health).await?;
        // A stream that was opened and ended by itself is well, even if nothing was said in it.
        self.recovered(health).await?;
        Ok(())
    }

    async fn listen(&mut self, mut lines: Lines, health: &mut Patience) -> Result<(), Round> {
        loop {
            let next = tokio::select! {
                biased;
                next = lines.next() => next?,
                Ok(()) = self.asked.changed(), if !self.source.optional => return Err(Round::Doubted),
            };
            match next {
                Next::Line(line) => {
                    self.line(&line).await?;
                    self.heard = Instant::now();
                    self.recovered(health).await?;
                }
                Next::End => return Ok(()),
                // Nothing is missed but words: it is opened again from where it was.
                Next::Silence if self.source.optional => return Ok(()),
                Next::Silence => {
                    self.doubted = Some(self.heard);
                    return Err(Round::Doubted);
                }
            }
        }
    }

    /// Lists, tells what vanished, then what is new.
    async fn relist(&mut self, health: &mut Patience) -> Result<String, Round> {
        let ask = *self.asked.borrow_and_update();
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
        let vanished: Vec<String> =
            self.known.keys().filter(|uid| !uids.contains(*uid)).cloned().collect();
        let news: Vec<K> = items.into_iter().filter(|item| self.is_news(item)).collect();
        if let Some(since) = self.doubted.take()
            && !(vanished.is_empty() && news.is_empty())
        {
            self.was_deaf(since, health).await?;
        }
        for uid in vanished {
            self.gone(uid).await?;
        }
        for item in news {
            self.appeared(item).await?;
        }
        self.heard = Instant::now();
        self.version = Some(version.clone());
        if ask > self.answered && !self.source.optional {
            self.answered = ask;
            self.send(Said::Read(self.source.right.resource, ask)).await?;
        }
        Ok(version)
    }

    /// The stream was silent while there was something to say: it was dead, for nobody knows how long.
    async fn was_deaf(&self, since: Instant, health: &mut Patience) -> Result<(), Unheard> {
        let what = self.source.right.resource;
        let silent = since.elapsed();
        let text =
            format!("{what} were not heard for {} s: their watch was dead", silent.as_secs());
        if health.lose() {
            let (what, text) = (what.to_owned(), text.clone());
            self.say(Fed::Lost { what, text, since }).await?;
        }
        if silent >= health.pace.trouble {
            health.complained = true;
            self.say(Fed::Trouble(text)).await?;
        }
        Ok(())
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

    fn version_of(&self, object: &K) -> String {
        (self.source.meta)(object).resource_version.clone().unwrap_or_default()
    }

    fn is_news(&self, object: &K) -> bool {
        self.known.get(&self.uid(object)).is_none_or(|known| *known != self.version_of(object))
    }

    async fn appeared(&mut self, object: K) -> Result<(), Unheard> {
        self.known.insert(self.uid(&object), self.version_of(&object));
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
        self.send(Said::Fed(fed)).await
    }

    async fn send(&self, said: Said) -> Result<(), Unheard> {
        self.said.send(said).await.map_err(|_| Unheard)
    }

    async fn recovered(&self, health: &mut Patience) -> Result<(), Unheard> {
        let what = || self.source.right.resource.to_owned();
        let (lost, complained) = health.well();
        if lost {
            self.say(Fed::Found(what())).await?;
        }
        if complained {
            self.say(Fed::Again(what())).await?;
        }
        Ok(())
    }

    /// Says at once that something needed cannot be read: every second of it counts.
    async fn lose(&self, wrong: &Wrong, health: &mut Patience) -> Result<(), Unheard> {
        if self.source.optional || !health.lose() {
            return Ok(());
        }
        let what = self.source.right.resource.to_owned();
        let text = format!("{what} cannot be read: {}", wrong.clause());
        self.say(Fed::Lost { what, text, since: self.heard }).await
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
    /// It was said to be lost.
    lost: bool,
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
            lost: false,
            wait,
            asked: None,
        }
    }

    /// It can be read; whether that is news after it was lost, and after a complaint.
    fn well(&mut self) -> (bool, bool) {
        let news = (self.lost, self.complained);
        let worked = Self { worked: true, ..Self::new(self.pace) };
        *self = worked;
        news
    }

    /// It is lost; whether that is news.
    fn lose(&mut self) -> bool {
        !std::mem::replace(&mut self.lost, true)
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
            Wrong::Mint(failure) => long || matches!(failure.code, Code::AwsExpired | Code::AwsKey),
            Wrong::Untrusted(_) => !self.worked || long,
            Wrong::Status(code, _) => {
                let passing =
                    code.is_server_error() || matches!(code.as_u16(), 408 | 409 | 410 | 429);
                !passing && (!self.worked || long)
            }
            Wrong::Reach(..) | Wrong::Cut(_) | Wrong::Garbled(_) => false,
        }
    }
}
