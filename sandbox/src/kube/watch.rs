//! Watches: what changed in a selection since a version, as a stream of JSON lines that stays open.
//! It must not keep the cluster alive: a watch ends when the cluster is gone. One that was silenced
//! stays open and says nothing more, as behind something that forgot the connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::kinds::Kind;
use super::route::Query;
use super::selectors::Selection;
use super::status::Refused;
use super::store::Change;
use super::table::{self, Include};
use super::{Body, Inner, State};

/// How long a watch stays open when the request does not say; the real server takes 30 to 60 minutes.
const PATIENCE: Duration = Duration::from_secs(1800);
/// How often a watch that asked for bookmarks gets one.
const BOOKMARKS: Duration = Duration::from_secs(60);

struct Watch {
    cluster: Weak<Inner>,
    head: watch::Receiver<u64>,
    kind: Kind,
    namespace: String,
    selection: Selection,
    /// Objects are shown as tables of one row, with this beside the cells.
    table: Option<Include>,
    seen: u64,
    /// How often watches of its kind had been silenced when it was opened.
    silenced: u64,
    end: Instant,
    bookmark: Option<Instant>,
    lines: VecDeque<Value>,
    ended: bool,
}

/// Opens a watch.
pub(super) fn open(
    cluster: &Arc<Inner>,
    kind: Kind,
    namespace: &str,
    query: &Query,
    table: Option<Include>,
) -> Result<Body, Refused> {
    if !query.get("sendInitialEvents").is_empty() {
        return Err(Refused::initial_events());
    }
    let selection = Selection::read(kind, query.get("labelSelector"), query.get("fieldSelector"))?;
    let state = cluster.lock();
    let asked = match query.get("resourceVersion") {
        "" | "0" => None,
        text => Some(text.parse().map_err(|_| {
            Refused::bad_request(format!("Invalid value: \"{text}\": unable to parse version"))
        })?),
    };
    let timeout = query.get("timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0);
    let bookmarks = matches!(query.get("allowWatchBookmarks"), "true" | "1");
    let mut watch = Watch {
        cluster: Arc::downgrade(cluster),
        head: state.store.follow(),
        kind,
        namespace: namespace.to_owned(),
        selection,
        table,
        seen: asked.unwrap_or_else(|| state.store.version()),
        silenced: state.silenced(kind.kind),
        end: Instant::now() + timeout.map_or(PATIENCE, Duration::from_secs),
        bookmark: bookmarks.then(|| Instant::now() + BOOKMARKS),
        lines: VecDeque::new(),
        ended: false,
    };
    if asked.is_none() {
        watch.begin(&state);
    }
    drop(state);
    let lines = stream::unfold(watch, |mut watch| async move {
        let mut line = watch.next().await?.to_string();
        line.push('\n');
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line))), watch))
    });
    Ok(StreamBody::new(lines).boxed())
}

impl Watch {
    /// Without a version, a watch begins with what is there.
    fn begin(&mut self, state: &State) {
        let now = state.clock.wall();
        for object in state.store.all(self.kind, &self.namespace) {
            if self.selection.holds(object) {
                let object = self.shown(object, now);
                self.lines.push_back(json!({ "type": "ADDED", "object": object }));
            }
        }
    }

    fn shown(&self, object: &Value, now: Timestamp) -> Value {
        let table = |include| table::of(self.kind, object, include, now);
        self.table.and_then(table).unwrap_or_else(|| object.clone())
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if self.is_silenced()? {
                return std::future::pending().await;
            }
            if let Some(line) = self.lines.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.head.borrow_and_update();
            self.collect()?;
            if self.lines.is_empty() && !self.ended {
                self.wait().await?;
            }
        }
    }

    fn is_silenced(&self) -> Option<bool> {
        let cluster = self.cluster.upgrade()?;
        let state = cluster.lock();
        Some(state.silenced(self.kind.kind) > self.silenced)
    }

    /// Takes what is new; nothing when the cluster is gone.
    fn collect(&mut self) -> Option<()> {
        let cluster = self.cluster.upgrade()?;
        let state = cluster.lock();
        let Some(changes) = state.store.since(self.seen) else {
            let status = Refused::too_old(self.seen, state.store.forgotten()).status();
            self.lines.push_back(json!({ "type": "ERROR", "object": status }));
            self.ended = true;
            return Some(());
        };
        let now = state.clock.wall();
        let lines: Vec<_> = changes.filter_map(|change| self.line(change, now)).collect();
        self.lines.extend(lines);
        self.seen = self.seen.max(state.store.version());
        Some(())
    }

    /// Waits for a change, the time of a bookmark or the end.
    async fn wait(&mut self) -> Option<()> {
        let until = self.bookmark.map_or(self.end, |at| at.min(self.end));
        match tokio::time::timeout_at(until, self.head.changed()).await {
            Ok(changed) => changed.ok(),
            Err(_) => {
                if let Some(at) = &mut self.bookmark {
                    *at += BOOKMARKS;
                    let line = self.bookmark_line();
                    self.lines.push_back(line);
                }
                self.ended = Instant::now() >= self.end;
                Some(())
            }
        }
    }

    fn bookmark_line(&self) -> Value {
        json!({ "type": "BOOKMARK", "object": {
            "kind": self.kind.kind, "apiVersion": self.kind.api_version(),
            "metadata": { "resourceVersion": self.seen.to_string(), "creationTimestamp": null },
        } })
    }

    /// The line of a change; an object that leaves the selection is deleted as far as this watch can see.
    fn line(&self, change: &Change, now: Timestamp) -> Option<Value> {
        let here = self.namespace.is_empty() || self.namespace == change.key.namespace;
        if change.key.kind != self.kind.kind || !here {
            return None;
        }
        let was = change.before.as_ref().is_some_and(|o| self.selection.holds(o));
        let is = !change.removed && self.selection.holds(&change.after);
        let kind = match (was, is) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(json!({ "type": kind, "object": self.shown(&change.after, now) }))
    }
}
