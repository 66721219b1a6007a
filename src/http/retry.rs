//! When to try again: how often, how long to wait in between, and when to stop.
//!
//! Only numbers live here; what deserves another attempt is known by the room that asked. Waits use
//! exponential back-off with full jitter, and what the other side asked for, within bounds.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// How patient to be with one piece of work.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in all, the first one included.
    pub attempts: u32,
    /// The most that is waited after the first attempt; doubled after each.
    pub first: Duration,
    /// The most that is waited between two attempts.
    pub most: Duration,
    /// The most that a `Retry-After` can ask for.
    pub asked: Duration,
    /// After this long since the beginning no new attempt starts.
    pub overall: Duration,
}

impl Patience {
    /// For one blob or one small request.
    pub const USUAL: Self = Self {
        attempts: 5,
        first: Duration::from_millis(500),
        most: Duration::from_secs(8),
        asked: Duration::from_secs(60),
        overall: Duration::from_mins(30),
    };

    /// For a manifest: ECR takes ten a second from a whole account, so neighbours may be in the
    /// way.
    pub const LONG: Self = Self {
        attempts: 12,
        first: Duration::from_secs(1),
        most: Duration::from_secs(20),
        asked: Duration::from_secs(60),
        overall: Duration::from_mins(5),
    };

    /// Begins to count.
    #[must_use]
    pub fn begin(self) -> Attempts {
        Attempts { patience: self, made: 1, since: Instant::now() }
    }
}

/// The attempts at one piece of work.
#[derive(Clone, Debug)]
pub struct Attempts {
    patience: Patience,
    made: u32,
    since: Instant,
}

impl Attempts {
    /// The number of the attempt that is being made, from 1.
    #[must_use]
    pub fn made(&self) -> u32 {
        self.made
    }

    /// How long to wait before the next attempt, or `None` if this was the last one.
    #[must_use]
    pub fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let Patience { attempts, first, most, asked: cap, overall } = self.patience;
        if self.made >= attempts {
            return None;
        }
        let ceiling = first.saturating_mul(1 << (self.made - 1).min(16)).min(most);
        let jittered = ceiling.mul_f64(fastrand::f64());
        // What was asked for is a floor, with a little jitter so that those who were told the same
        // do not return together.
        let wait = match asked {
            Some(asked) => asked.min(cap) + jittered.min(Duration::from_secs(1)),
            None => jittered,
        };
        if self.since.elapsed() + wait >= overall {
            return None;
        }
        self.made += 1;
        Some(wait)
    }
}

/// What `Retry-After` asks for: seconds or a date.
#[must_use]
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Duration::try_from(until.duration_since(jiff::Timestamp::now())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Patience = Patience {
        attempts: 4,
        first: Duration::from_secs(1),
        most: Duration::from_secs(3),
        asked: Duration::from_secs(10),
        overall: Duration::from_mins(1),
    };

    #[test]
    fn waits_grow_to_a_bound_and_attempts_end() {
        let mut attempts = SHORT.begin();
        for ceiling in [1, 2, 3] {
            let wait = attempts.next(None).unwrap();
            assert!(wait <= Duration::from_secs(ceiling), "{wait:?}");
        }
        assert_eq!((attempts.made(), attempts.next(None)), (4, None));
    }

    #[test]
    fn what_is_asked_for_is_waited_but_not_for_ever() {
        let wait = SHORT.begin().next(Some(Duration::from_secs(5))).unwrap();
        assert!((5..=6).contains(&wait.as_secs()), "{wait:?}");
        let wait = SHORT.begin().next(Some(Duration::from_secs(500))).unwrap();
        assert!((10..=11).contains(&wait.as_secs()), "{wait:?}");
        let hurried = Patience { overall: Duration::from_secs(4), ..SHORT };
        assert_eq!(hurried.begin().next(Some(Duration::from_secs(5))), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let headers = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            headers
        };
        assert_eq!(asked(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(asked(&headers("soon")), None);
        assert_eq!(asked(&headers("Wed, 21 Oct 2015 07:28:00 GMT")), None);
        let later = asked(&headers("Fri, 01 Jan 2100 00:00:00 GMT")).unwrap();
        assert!(later > Duration::from_hours(24));
    }
}
