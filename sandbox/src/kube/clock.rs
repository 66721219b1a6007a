//! What is scheduled, and the one task that does it when its time has come, faster than recorded if asked.
//! It must not know what it does; an act that comes too late looks for itself whether it still applies.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Inner, Speed, State};

type Act = Box<dyn FnOnce(&mut State) + Send>;

/// The acts to come, in the order of their time and then of their scheduling.
pub(super) struct Clock {
    speed: Speed,
    /// Since when it goes at this speed, and how far it had come then; an instant clock, how far it has come.
    since: Instant,
    reached: Duration,
    start: Instant,
    wall: Timestamp,
    serial: u64,
    acts: BTreeMap<(Duration, u64), Act>,
}

impl Clock {
    /// A clock that starts now.
    pub(super) fn new(speed: Speed) -> Self {
        let (start, wall) = (Instant::now(), Timestamp::now());
        let (since, reached) = (start, Duration::ZERO);
        Self { speed, since, reached, start, wall, serial: 0, acts: BTreeMap::new() }
    }

    /// Goes on at another speed: what is scheduled comes that much sooner or later.
    pub(super) fn go_on_at(&mut self, speed: Speed) {
        (self.reached, self.since) = (self.now(), Instant::now());
        self.speed = speed;
    }

    /// The time since the start, in the recordings' measure.
    pub(super) fn now(&self) -> Duration {
        match self.speed {
            Speed::Times(factor) => self.reached + self.since.elapsed().mul_f64(factor),
            Speed::Instant => self.reached,
        }
    }

    /// The time of day. It follows tokio's clock, so it stands still when a test pauses that.
    pub(super) fn wall(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.start.elapsed()).unwrap_or_default();
        self.wall.checked_add(elapsed).unwrap_or(self.wall)
    }

    /// A recorded span as it passes here.
    pub(super) fn shortened(&self, span: SignedDuration) -> SignedDuration {
        match self.speed {
            Speed::Times(factor) => SignedDuration::try_from_secs_f64(span.as_secs_f64() / factor)
                .unwrap_or(SignedDuration::ZERO),
            Speed::Instant => SignedDuration::ZERO,
        }
    }

    /// Schedules an act some recorded time from now.
    pub(super) fn after(&mut self, wait: Duration, act: impl FnOnce(&mut State) + Send + 'static) {
        self.serial += 1;
        self.acts.insert((self.now() + wait, self.serial), Box::new(act));
    }

    fn next(&mut self) -> Result<Act, Option<Duration>> {
        let Some((due, _)) = self.acts.first_key_value().map(|(at, _)| *at) else {
            return Err(None);
        };
        match self.speed {
            Speed::Instant => self.reached = self.reached.max(due),
            Speed::Times(factor) => {
                let now = self.now();
                if due > now {
                    return Err(Some((due - now).div_f64(factor)));
                }
            }
        }
        self.acts.pop_first().map(|(_, act)| act).ok_or(None)
    }
}

/// Does what is due, and says how long nothing will be.
pub(super) fn run_due(state: &mut State) -> Option<Duration> {
    loop {
        match state.clock.next() {
            Ok(act) => act(state),
            Err(wait) => return wait,
        }
    }
}

/// The task of one cluster: it ends with the cluster.
pub(super) async fn run(cluster: Weak<Inner>) {
    loop {
        let (woken, wait) = {
            let Some(cluster) = cluster.upgrade() else { return };
            let wait = run_due(&mut cluster.lock());
            (cluster.woken.clone(), wait)
        };
        match wait {
            None => woken.notified().await,
            Some(wait) => {
                // A wake-up and the end of the wait both lead to another look at the acts.
                let _ = tokio::time::timeout(wait, woken.notified()).await;
            }
        }
    }
}
