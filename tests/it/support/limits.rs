//! Limits: good ones, bad ones, and how they are stored.

use keyward::rpc::pb::{self, QuotaPeriod, limit::Kind};
use prost_types::Duration;

const DAY: i64 = 24 * 60 * 60;
const YEAR: i64 = 366 * DAY;

/// A time.
pub(crate) const fn span(seconds: i64, nanos: i32) -> Duration {
    Duration { seconds, nanos }
}

fn limit(name: &str, kind: Kind) -> pb::Limit {
    pb::Limit { name: name.into(), kind: Some(kind) }
}

/// A rate.
pub(crate) fn rate(name: &str, limit: i64, period: Duration, burst: i64) -> pb::Limit {
    self::limit(name, Kind::Rate(pb::RateLimit { limit, period: Some(period), burst }))
}

/// A quota of a day.
pub(crate) fn daily(name: &str, limit: i64) -> pb::Limit {
    quota(name, limit, QuotaPeriod::Day.into(), None)
}

/// A quota.
pub(crate) fn quota(
    name: &str,
    limit: i64,
    period: i32,
    fixed_period: Option<Duration>,
) -> pb::Limit {
    self::limit(name, Kind::Quota(pb::Quota { limit, period, fixed_period }))
}

/// A quota of a fixed period.
pub(crate) fn fixed(name: &str, limit: i64, period: Duration) -> pb::Limit {
    quota(name, limit, QuotaPeriod::Fixed.into(), Some(period))
}

/// So many at a time.
pub(crate) fn slots(name: &str, limit: i64) -> pb::Limit {
    self::limit(name, Kind::Concurrency(pb::ConcurrencyLimit { limit }))
}

/// One of each kind, of which no test uses much.
pub(crate) fn of_each_kind() -> Vec<pb::Limit> {
    vec![
        rate("often", 100_000, span(60, 0), 200_000),
        daily("much", 1_000_000),
        slots("at-once", 1000),
    ]
}

/// Lists of limits that are taken, with both bounds of each number, and shown as they were sent.
pub(crate) fn extreme() -> [Vec<pb::Limit>; 3] {
    let long = "a".repeat(63);
    let month = QuotaPeriod::Month.into();
    [
        vec![
            rate("a", 1, span(0, 1_000_000), 1),
            rate(&long, 1_000_000_000, span(1, 0), 1_000_000_000),
            rate("z-9", 1, span(YEAR, 0), 100),
            rate("fastest", 1_000_000, span(0, 1_000_000), 1),
            rate("odd", 7, span(1, 1000), 3),
        ],
        vec![
            daily("none", 0),
            quota("most", 100_000_000_000_000, month, None),
            fixed("short", 1, span(60, 0)),
            fixed("long", 1, span(100 * YEAR, 0)),
            slots("one", 1),
            slots("many", 10_000),
        ],
        (0..8).map(|number| daily(&format!("a{number}"), number)).collect(),
    ]
}

/// Lists that are refused, and what of them is named: `limits` or `key.limits` before it.
pub(crate) fn bad() -> Vec<(Vec<pb::Limit>, String)> {
    let mut all: Vec<(pb::Limit, &str)> = vec![];
    let minute = span(60, 0);
    // what is too large for 32 bits must not become small
    let wrapped = (1 << 32) + 1;
    for limit in [0, -1, 1_000_000_001, wrapped, i64::MAX, i64::MIN] {
        all.push((rate("bad", limit, minute, 1), ".rate.limit"));
        all.push((rate("bad", limit, minute, 0), ".rate.limit"));
    }
    all.push((rate("bad", 1_000_001, span(0, 1_000_000), 1), ".rate.limit"));
    for (seconds, nanos) in [
        (0, 0),
        (0, 999_000),
        (YEAR, 1000),
        (1, 1),
        (1, 999),
        (-1, 0),
        (1, -1),
        (1, 1_000_000_000),
        (i64::MAX, 0),
        (i64::MIN, 0),
    ] {
        all.push((rate("bad", 1, span(seconds, nanos), 1), ".rate.period"));
    }
    let kind = Kind::Rate(pb::RateLimit { limit: 1, period: None, burst: 1 });
    all.push((limit("bad", kind), ".rate.period"));
    for burst in [-1, 1_000_000_001, wrapped, i64::MAX, i64::MIN] {
        all.push((rate("bad", 1, minute, burst), ".rate.burst"));
    }
    all.push((rate("bad", 1, span(YEAR, 0), 101), ".rate.burst"));
    bad_quotas(&mut all);
    for limit in [0, -1, 10_001, wrapped, i64::MAX, i64::MIN] {
        all.push((slots("bad", limit), ".concurrency.limit"));
    }
    for name in ["", "A", "1a", "-a", "a b", "a_b", "a:b", "a.b", "ä", "a\n", &"a".repeat(64)] {
        all.push((daily(name, 1), ".name"));
    }
    all.push((pb::Limit { name: "bad".into(), kind: None }, ""));

    let second = |(limit, told)| (vec![daily("good", 1), limit], format!("[1]{told}"));
    let mut lists: Vec<_> = all.into_iter().map(second).collect();
    lists.push((vec![daily("a", 1), slots("b", 1), slots("a", 2)], "[2]".into()));
    let nine = (0..9).map(|number| daily(&format!("a{number}"), 1)).collect();
    lists.push((nine, "[8]".into()));
    lists
}

fn bad_quotas(all: &mut Vec<(pb::Limit, &str)>) {
    for limit in [-1, 100_000_000_000_001, i64::MAX, i64::MIN] {
        all.push((daily("bad", limit), ".quota.limit"));
    }
    for period in [0, 4, -1] {
        all.push((quota("bad", 1, period, None), ".quota.period"));
    }
    for (seconds, nanos) in
        [(0, 0), (59, 0), (60, 1), (100 * YEAR + 1, 0), (-60, 0), (i64::MAX, 0), (60, -1)]
    {
        all.push((fixed("bad", 1, span(seconds, nanos)), ".quota.fixed_period"));
    }
    let periods = [QuotaPeriod::Fixed, QuotaPeriod::Day, QuotaPeriod::Month];
    for (period, fixed) in periods.into_iter().zip([None, Some(span(60, 0)), Some(span(0, 0))]) {
        all.push((quota("bad", 1, period.into(), fixed), ".quota.fixed_period"));
    }
}

/// What audit events show of limits.
pub(crate) fn stored(limits: &[pb::Limit]) -> Vec<String> {
    limits.iter().map(stored_limit).collect()
}

fn stored_limit(limit: &pb::Limit) -> String {
    let rule = match limit.kind.as_ref().unwrap() {
        Kind::Rate(rate) => {
            let period = rate.period.unwrap();
            let micros = period.seconds * 1_000_000 + i64::from(period.nanos) / 1000;
            format!("rate:{}:{micros}:{}", rate.limit, rate.burst)
        }
        Kind::Quota(quota) => {
            let period = match quota.period() {
                QuotaPeriod::Day => "day".into(),
                QuotaPeriod::Month => "month".into(),
                _ => quota.fixed_period.unwrap().seconds.to_string(),
            };
            format!("quota:{}:{period}", quota.limit)
        }
        Kind::Concurrency(slots) => format!("concurrency:{}", slots.limit),
    };
    format!("{}:{rule}", limit.name)
}
