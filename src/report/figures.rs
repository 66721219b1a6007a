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

/// How long something has been going on, in whole seconds: `30 s`, `1m 30s`.
#[must_use]
pub fn whole(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds => took(Duration::from_secs(seconds)),
    }
}

/// How long a bar is: as [`took`], but without a zero after the point.
#[must_use]
pub fn span(duration: Duration) -> String {
    took(duration).replace(".0 s", " s")
}

/// A number of seconds for programs: `41.2`, `30`.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let tenths = (duration.as_millis() + 50) / 100;
    match tenths % 10 {
        0 => format!("{}", tenths / 10),
        rest => format!("{}.{rest}", tenths / 10),
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
        _ if millis.is_multiple_of(60 * MINUTE) => format!("{}h", millis / (60 * MINUTE)),
        _ if millis.is_multiple_of(MINUTE) => format!("{}m", millis / MINUTE),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let table = [
            (0, "0.00 s"),
            (31, "0.03 s"),
            (94, "0.09 s"),
            (95, "0.1 s"),
            (400, "0.4 s"),
            (41_240, "41.2 s"),
            (59_940, "59.9 s"),
            (59_960, "1m 0s"),
            (108_400, "1m 48s"),
            (119_600, "2m 0s"),
            (3_599_400, "59m 59s"),
            (3_599_600, "1h 0m"),
            (7_380_000, "2h 3m"),
        ];
        for (millis, text) in table {
            assert_eq!(took(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn what_goes_on_is_told_in_whole_seconds() {
        let table = [(0, "0 s"), (30_400, "30 s"), (59_999, "59 s"), (90_700, "1m 30s")];
        for (millis, text) in table {
            assert_eq!(whole(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn bars_have_no_needless_zero() {
        let table = [
            (600, "0.6 s", "0.6"),
            (30_000, "30 s", "30"),
            (32_700, "32.7 s", "32.7"),
            (108_400, "1m 48s", "108.4"),
        ];
        for (millis, label, number) in table {
            let bar = Duration::from_millis(millis);
            assert_eq!((span(bar).as_str(), seconds(bar).as_str()), (label, number));
        }
    }

    #[test]
    fn times_since_the_patch_stay_in_seconds() {
        for (millis, text) in
            [(0, "+0.0s"), (6_940, "+6.9s"), (62_360, "+62.4s"), (612_000, "+612.0s")]
        {
            assert_eq!(since_patch(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn settings_are_written_as_they_are_typed() {
        let table = [
            (0, "0s"),
            (250, "250ms"),
            (30_000, "30s"),
            (90_000, "90s"),
            (600_000, "10m"),
            (3_600_000, "1h"),
            (5_400_000, "90m"),
        ];
        for (millis, text) in table {
            assert_eq!(setting(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn sizes_are_powers_of_a_thousand() {
        let table = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1 kB"),
            (812_400, "812 kB"),
            (999_600, "1 MB"),
            (61_000_000, "61 MB"),
            (182_499_999, "182 MB"),
            (999_600_000, "1.0 GB"),
            (1_440_000_000, "1.4 GB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(
            [count(0, "restart"), count(1, "layer"), count(5, "layer")],
            ["0 restarts", "1 layer", "5 layers"]
        );
    }

    #[test]
    fn times_are_utc() {
        let at: Timestamp = "2026-11-21T17:42:03.2149+09:00".parse().unwrap();
        assert_eq!(utc(at), "2026-11-21 08:42 UTC");
        assert_eq!(timestamp(at), "2026-11-21T08:42:03.214Z");
    }
}
