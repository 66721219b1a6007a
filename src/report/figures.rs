//! Figures as people read them: durations, times since the patch, sizes, settings, UTC times.
//!
//! Pure, no clock. One spelling for each kind of figure, so that nobody formats a number elsewhere.

use std::time::Duration;

use jiff::Timestamp;

const MINUTE: u128 = 60_000;

/// How long something took: `0.4 s`, `41.2 s`, `1m 48s`, `2h 3m`.
#[must_use]
pub fn took(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 95 {
        return format!("{:.2} s", duration.as_secs_f64());
    }
    // Rounded first: 59.97 s is a minute, not `60.0 s`.
    let tenths = (millis + 50) / 100;
    if tenths < 600 {
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    let seconds = (millis + 500) / 1000;
    let minutes = seconds / 60;
    if minutes < 60 {
        format!("{minutes}m {}s", seconds % 60)
    } else {
        format!("{}h {}m", minutes / 60, minutes % 60)
    }
}

/// Time since the patch: `+6.9s`, always in seconds, so that lines can be compared.
#[must_use]
pub fn since_patch(at: Duration) -> String {
    let tenths = (at.as_millis() + 50) / 100;
    format!("+{}.{}s", tenths / 10, tenths % 10)
}

/// A setting as it is typed: `30s`, `10m`, `1h`, `90s`.
#[must_use]
pub fn setting(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".into(),
        _ if millis % (60 * MINUTE) == 0 => format!("{}h", millis / (60 * MINUTE)),
        _ if millis % MINUTE == 0 => format!("{}m", millis / MINUTE),
        _ if millis % 1000 == 0 => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// A size, in units of 10^3: `61 MB`, `1.4 GB`, `812 kB`, `90 B`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let rounded = |unit: u64| (bytes + unit / 2) / unit;
    if bytes < 1000 {
        format!("{bytes} B")
    } else if rounded(1000) < 1000 {
        format!("{} kB", rounded(1000))
    } else if rounded(1_000_000) < 1000 {
        format!("{} MB", rounded(1_000_000))
    } else {
        let tenths = rounded(100_000_000);
        format!("{}.{} GB", tenths / 10, tenths % 10)
    }
}

/// A count with its noun: `1 layer`, `5 layers`.
#[must_use]
pub fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A moment to the minute: `2026-11-21 08:41 UTC`.
#[must_use]
pub fn utc(at: Timestamp) -> String {
    format!("{} UTC", at.strftime("%Y-%m-%d %H:%M"))
}

/// A moment for programs, to the millisecond: `2026-11-21T08:42:03.214Z`.
#[must_use]
pub fn timestamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
