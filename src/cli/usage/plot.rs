//! Uses as bars that fit the terminal.

use prost_types::Timestamp;

use super::Step;
use crate::{
    cli::{
        output::{Tone, text::padded, time},
        session::Session,
    },
    rpc::pb::{QueryUsageResponse, UsageCount, UsageRow},
};

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 86_400;
/// Times without uses are shown between others as long as there are no more lines than these.
const LINES_MAX: i64 = 2000;
const BAR_MAX: usize = 60;
const BAR_MIN: usize = 10;

/// What bars are made of.
#[derive(Clone, Copy, Debug)]
struct Ink {
    /// A character of what was allowed.
    allowed: char,
    /// A character of what was denied.
    denied: char,
    /// The ends of bars, by eighths of a character; none without Unicode.
    parts: &'static [char],
}

const BLOCKS: Ink = Ink {
    allowed: '█', denied: '░', parts: &['▏', '▎', '▍', '▌', '▋', '▊', '▉']
};
const ASCII: Ink = Ink { allowed: '#', denied: '-', parts: &[] };

/// A line for each step, and one of their sum.
pub(super) fn draw(session: &Session, answer: &QueryUsageResponse, step: Step) -> String {
    let rows = filled(&answer.rows, step);
    let counts = rows.iter().map(|row| row.count.unwrap_or_default());
    let lines: Vec<(String, UsageCount)> =
        rows.iter().map(|row| label(row, step)).zip(counts).collect();
    let total = answer.total.unwrap_or_default();
    let numbers_width = lines.iter().map(|(_, count)| numbers_of(count).len()).max();
    let label_width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or_default().max(5);
    let taken = label_width + 2 + 2 + numbers_width.unwrap_or_default();
    let room = session
        .out
        .line_width()
        .map_or(BAR_MAX, |width| width.saturating_sub(taken).clamp(BAR_MIN, BAR_MAX));
    let ink = if is_unicode() { BLOCKS } else { ASCII };
    let most = lines.iter().map(|(_, count)| all(count)).max().unwrap_or_default();
    let mut text = String::new();
    for (label, count) in &lines {
        let (allowed, denied) = bar(count, (most, room), ink);
        let blanks = room.saturating_sub(allowed.chars().count() + denied.chars().count());
        text.push_str(&padded(label, label_width + 2));
        text.push_str(&session.out.style(&allowed, Tone::Good));
        text.push_str(&session.out.style(&denied, Tone::Bad));
        text.push_str(&" ".repeat(blanks + 2));
        text.push_str(&numbers_of(count));
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let sum = padded("total", label_width + 2);
    text + &format!("{sum}{}\n", numbers(&total))
}

/// How many were allowed, and how many denied and why.
fn numbers(count: &UsageCount) -> String {
    let reasons = [
        ("stopped", count.denied_stopped),
        ("misplaced", count.denied_misplaced),
        ("forbidden", count.denied_forbidden),
        ("limited", count.denied_limited),
    ];
    let told = reasons.iter().filter(|(_, number)| *number > 0);
    let told: Vec<_> = told.map(|(name, number)| format!("{number} {name}")).collect();
    let denied =
        if told.is_empty() { String::new() } else { format!(", denied: {}", told.join(", ")) };
    let cost = Some(count.cost).filter(|cost| *cost != count.allowed);
    let cost = cost.map(|cost| format!(" (cost {cost})")).unwrap_or_default();
    format!("{} allowed{cost}{denied}", count.allowed)
}

/// The same in short.
fn numbers_of(count: &UsageCount) -> String {
    match denied(count) {
        0 => count.allowed.to_string(),
        denied => format!("{} + {denied} denied", count.allowed),
    }
}

const fn denied(count: &UsageCount) -> i64 {
    count.denied_stopped + count.denied_misplaced + count.denied_forbidden + count.denied_limited
}

const fn all(count: &UsageCount) -> i64 {
    count.allowed + denied(count)
}

/// The two parts of a bar. What is there at all can be seen.
fn bar(count: &UsageCount, (most, room): (i64, usize), ink: Ink) -> (String, String) {
    let parts = i64::try_from(ink.parts.len() + 1).unwrap_or(1);
    let room = i64::try_from(room).unwrap_or(i64::MAX);
    // in parts of a character
    let length = |number: i64| match most {
        0 => 0,
        most => {
            let exact = i128::from(number) * i128::from(room * parts) / i128::from(most);
            let least = i64::from(number > 0);
            i64::try_from(exact).unwrap_or(i64::MAX).max(least)
        }
    };
    let repeat = |char: char, number: i64| {
        std::iter::repeat_n(char, usize::try_from(number).unwrap_or_default()).collect::<String>()
    };
    let denied = match denied(count) {
        0 => 0,
        some => (length(some) / parts).max(1),
    };
    let allowed = length(count.allowed).min((room - denied).max(0) * parts);
    let mut solid = repeat(ink.allowed, allowed / parts);
    let rest = usize::try_from(allowed % parts).unwrap_or_default();
    solid.extend(rest.checked_sub(1).and_then(|at| ink.parts.get(at)));
    let full = i64::try_from(solid.chars().count()).unwrap_or(i64::MAX);
    (solid, repeat(ink.denied, denied.min((room - full).max(0))))
}

/// The rows, and those without uses between them.
fn filled(rows: &[UsageRow], step: Step) -> Vec<UsageRow> {
    let seconds = |row: &UsageRow| row.start_time.map_or(0, |time| time.seconds);
    let (Some(first), Some(last)) = (rows.first().map(seconds), rows.last().map(seconds)) else {
        return Vec::new();
    };
    let shortest = match step {
        Step::Hour => HOUR_SECONDS,
        Step::Day => DAY_SECONDS,
        Step::Month => 28 * DAY_SECONDS,
    };
    if (last - first) / shortest > LINES_MAX {
        return rows.to_vec();
    }
    let mut all = Vec::new();
    let mut at = first;
    let mut given = rows.iter().peekable();
    while at <= last {
        let row = given.next_if(|row| seconds(row) <= at).copied();
        let empty = UsageRow { start_time: Some(Timestamp { seconds: at, nanos: 0 }), count: None };
        all.push(row.unwrap_or(empty));
        at = match step {
            Step::Hour => at + HOUR_SECONDS,
            Step::Day => at + DAY_SECONDS,
            Step::Month => next_month(at),
        };
    }
    all
}

/// The first instant of the month after the one that begins then: what a 32nd would be lies in it.
fn next_month(begin: i64) -> i64 {
    let within = begin + 31 * DAY_SECONDS;
    let day: i64 = date(within).get(8..10).and_then(|day| day.parse().ok()).unwrap_or(1);
    within - (day - 1) * DAY_SECONDS
}

fn date(seconds: i64) -> String {
    time::absolute(&Timestamp { seconds, nanos: 0 })
}

fn label(row: &UsageRow, step: Step) -> String {
    let text = row.start_time.as_ref().map(time::absolute).unwrap_or_default();
    let chars = match step {
        Step::Hour => 16,
        Step::Day => 10,
        Step::Month => 7,
    };
    text.get(..chars).unwrap_or(&text).to_owned()
}

/// Whether the locale's characters are those of Unicode (POSIX, 8.2: the first of these that is set).
fn is_unicode() -> bool {
    let set = |name| -> Option<String> {
        std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
    };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(allowed: i64, denied_limited: i64) -> UsageCount {
        UsageCount { allowed, denied_limited, ..UsageCount::default() }
    }

    fn row(date: &str, allowed: i64) -> UsageRow {
        let start_time = Some(crate::cli::read::instant(date).unwrap());
        UsageRow { start_time, count: Some(count(allowed, 0)) }
    }

    #[test]
    fn a_bar_is_as_long_as_its_part_of_the_most() {
        let drawn = |it, ink| {
            let (allowed, denied) = bar(&it, (80, 10), ink);
            allowed + &denied
        };
        assert_eq!(drawn(count(80, 0), BLOCKS), "██████████");
        assert_eq!(drawn(count(44, 0), BLOCKS), "█████▌");
        assert_eq!(drawn(count(1, 0), BLOCKS), "▏");
        assert_eq!(drawn(count(40, 16), BLOCKS), "█████░░");
        assert_eq!(drawn(count(40, 16), ASCII), "#####--");
        assert_eq!(drawn(count(0, 0), ASCII), "");
        assert_eq!(drawn(count(1, 0), ASCII), "#");
    }

    #[test]
    fn times_without_uses_are_lines_too() {
        let rows = [row("2026-01-01", 1), row("2026-04-01", 2)];
        let labels = filled(&rows, Step::Month)
            .iter()
            .map(|row| label(row, Step::Month))
            .collect::<Vec<_>>();
        assert_eq!(labels, ["2026-01", "2026-02", "2026-03", "2026-04"]);
        let rows = [row("2024-02-28", 1), row("2024-03-01", 2)];
        let labels =
            filled(&rows, Step::Day).iter().map(|row| label(row, Step::Day)).collect::<Vec<_>>();
        assert_eq!(labels, ["2024-02-28", "2024-02-29", "2024-03-01"]);
    }

    proptest! {
        #[test]
        fn a_bar_fits(allowed in 0_i64..i64::MAX / 4, denied in 0_i64..i64::MAX / 4, room in 10_usize..60) {
            for ink in [BLOCKS, ASCII] {
                let it = count(allowed, denied);
                let (allowed, denied) = bar(&it, (all(&it), room), ink);
                prop_assert!(allowed.chars().count() + denied.chars().count() <= room);
            }
        }
    }
}
