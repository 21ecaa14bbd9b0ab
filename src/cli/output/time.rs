//! Times as people like them.

use std::time::{Duration, SystemTime};

use prost_types::Timestamp;

use crate::model::time::Timestamp as Instant;

/// The units, largest first, in seconds.
const UNITS: [(u64, &str); 6] = [
    (365 * 86_400, "year"),
    (30 * 86_400, "month"),
    (86_400, "day"),
    (3_600, "hour"),
    (60, "minute"),
    (1, "second"),
];

/// `3 days ago`, `in 5 hours`, `just now`.
pub fn relative(time: &Timestamp, now: Instant) -> String {
    let now = now.micros().div_euclid(1_000_000);
    let ahead = time.seconds.saturating_sub(now);
    let span = about(Duration::from_secs(ahead.unsigned_abs()));
    match ahead {
        0 => String::from("just now"),
        1.. => format!("in {span}"),
        _ => format!("{span} ago"),
    }
}

/// A span in its largest unit, cut off: `3 days`.
pub fn about(span: Duration) -> String {
    let seconds = span.as_secs();
    for (unit, name) in UNITS {
        let count = seconds / unit;
        // 13 months say more than 1 year
        if count > 1 || (count == 1 && !matches!(name, "year" | "month")) {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {name}{plural}");
        }
    }
    format!("{} milliseconds", span.as_millis())
}

/// The instant in UTC, to the second: `2026-11-21 15:17:41 UTC`. Before 1970 nothing of ours happens.
pub fn absolute(time: &Timestamp) -> String {
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let text = time.map(|time| humantime::format_rfc3339_seconds(time).to_string());
    text.unwrap_or_default().replace('T', " ").replace('Z', " UTC")
}

/// A span to its two largest units, never less than it is: `9days 9h`. Nothing below a second counts.
pub fn rough(span: &prost_types::Duration) -> String {
    let nanos = u64::from(span.nanos > 0);
    let seconds = u64::try_from(span.seconds).unwrap_or_default().saturating_add(nanos);
    let unit = UNITS.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(UNITS.len() - 1);
    let (smallest, _) = UNITS.get(unit + 1).copied().unwrap_or((1, ""));
    let rounded = seconds.div_ceil(smallest).saturating_mul(smallest);
    humantime::format_duration(Duration::from_secs(rounded)).to_string()
}

/// A span exactly: `1h 30m`.
pub fn exact(span: &prost_types::Duration) -> String {
    Duration::try_from(*span)
        .map_or_else(|error| error.to_string(), |span| humantime::format_duration(span).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = Instant::from_micros(1_800_000_000_000_000);
        for (ahead, told) in [
            (0, "just now"),
            (1, "in 1 second"),
            (-59, "59 seconds ago"),
            (-60, "1 minute ago"),
            (7_200, "in 2 hours"),
            (-3 * 86_400, "3 days ago"),
            (-45 * 86_400, "45 days ago"),
            (-61 * 86_400, "2 months ago"),
            (-400 * 86_400, "13 months ago"),
            (800 * 86_400, "in 2 years"),
        ] {
            let time = Timestamp { seconds: 1_800_000_000 + ahead, nanos: 0 };
            assert_eq!(relative(&time, now), told);
        }
        let span = |seconds, nanos| rough(&prost_types::Duration { seconds, nanos });
        assert_eq!(span(0, 0), "0s");
        assert_eq!(span(59, 1), "1m");
        assert_eq!(span(806_184, 613_935_000), "9days 8h");
        let time = Timestamp { seconds: 86_400, nanos: 5 };
        assert_eq!(absolute(&time), "1970-01-02 00:00:00 UTC");
    }
}
