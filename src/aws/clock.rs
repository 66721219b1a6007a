//! How far our clock is off AWS's, learned from the answers that come by anyway.
//!
//! The SDK corrects its own signatures, but a cluster's token is signed here and never sent, so
//! nobody would correct it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Below this a `Date` of whole seconds and a slow answer explain the difference.
const NOTICEABLE: i64 = 30;

/// Seconds by which our clock is ahead, as the last answer told.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// AWS's time, as well as it is known.
    pub(super) fn now(&self) -> SystemTime {
        let ahead = self.0.load(Ordering::Relaxed);
        let by = Duration::from_secs(ahead.unsigned_abs());
        let now = SystemTime::now();
        if ahead >= 0 { now - by } else { now + by }
    }

    fn learn(&self, ahead: i64) {
        let ahead = if ahead.abs() < NOTICEABLE { 0 } else { ahead };
        self.0.store(ahead, Ordering::Relaxed);
    }
}

#[dyn_dispatch_hint]
impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        if let Some(ahead) = date.and_then(ahead) {
            self.learn(ahead);
        }
        Ok(())
    }
}

/// Seconds by which our clock is ahead of an HTTP date.
pub(super) fn ahead(date: &str) -> Option<i64> {
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    Some(jiff::Timestamp::now().as_second() - theirs.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_tells_how_far_ahead_we_are() {
        assert!(ahead("Sat, 21 Nov 2020 11:00:00 GMT").unwrap() > 100_000_000);
        assert!(ahead("Wed, 01 Jan 2200 11:00:00 GMT").is_some_and(|s| s < -1_000_000_000));
        assert_eq!(ahead("yesterday"), None);
    }

    #[test]
    fn a_clock_that_is_ahead_is_set_back_and_a_slow_answer_changes_nothing() {
        let clock = Clock::default();
        clock.learn(600);
        let off = SystemTime::now().duration_since(clock.now()).unwrap().as_secs();
        assert!((599..=600).contains(&off), "{off}");
        clock.learn(-600);
        let off = clock.now().duration_since(SystemTime::now()).unwrap().as_secs();
        assert!((599..=600).contains(&off), "{off}");
        clock.learn(7);
        assert!(clock.now() <= SystemTime::now());
        assert_eq!(clock.0.load(Ordering::Relaxed), 0);
    }
}
