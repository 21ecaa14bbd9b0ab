//! Limits as they are written on the command line.

use crate::cli::read::span;
use crate::rpc::pb::{ConcurrencyLimit, Limit, Quota, QuotaPeriod, RateLimit, limit::Kind};

const RATE: &str = "must be NAME=NUMBER/TIME or NAME=NUMBER/TIME+BURST, such as api=100/1m+20";
const QUOTA: &str =
    "must be NAME=NUMBER/day, NAME=NUMBER/month or NAME=NUMBER/TIME, such as calls=10000/month";
const CONCURRENCY: &str = "must be NAME=NUMBER, such as exports=5";

/// `api=100/1m+20`: so many in a time, and how many at once.
pub(in crate::cli) fn rate(text: &str) -> Result<Limit, String> {
    let (name, rest) = text.split_once('=').ok_or(RATE)?;
    let (limit, rest) = rest.split_once('/').ok_or(RATE)?;
    let (period, burst) = rest.split_once('+').map_or((rest, None), |(a, b)| (a, Some(b)));
    let burst = burst.map_or(Some(0), number).ok_or(RATE)?;
    let limit = number(limit).ok_or(RATE)?;
    let rate = RateLimit { limit, period: Some(span(period)?), burst };
    Ok(Limit { name: name.to_owned(), kind: Some(Kind::Rate(rate)) })
}

/// `calls=10000/month`: so many in a period of the calendar.
pub(in crate::cli) fn quota(text: &str) -> Result<Limit, String> {
    let (name, rest) = text.split_once('=').ok_or(QUOTA)?;
    let (limit, period) = rest.split_once('/').ok_or(QUOTA)?;
    let limit = number(limit).ok_or(QUOTA)?;
    let (period, fixed_period) = match period {
        "day" => (QuotaPeriod::Day, None),
        "month" => (QuotaPeriod::Month, None),
        other => (QuotaPeriod::Fixed, Some(span(other).ok().ok_or(QUOTA)?)),
    };
    let quota = Quota { limit, period: period.into(), fixed_period };
    Ok(Limit { name: name.to_owned(), kind: Some(Kind::Quota(quota)) })
}

/// `exports=5`: so many at a time.
pub(in crate::cli) fn concurrency(text: &str) -> Result<Limit, String> {
    let (name, limit) = text.split_once('=').ok_or(CONCURRENCY)?;
    let limit = number(limit).ok_or(CONCURRENCY)?;
    let kind = Kind::Concurrency(ConcurrencyLimit { limit });
    Ok(Limit { name: name.to_owned(), kind: Some(kind) })
}

fn number(text: &str) -> Option<i64> {
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{super::fields::limits, *};

    #[test]
    fn limits_are_shown_as_they_are_written() {
        let written = [
            rate("api=100/1m+20").unwrap(),
            rate("web=5/1s").unwrap(),
            quota("calls=10000/month").unwrap(),
            quota("daily=7/day").unwrap(),
            quota("weekly=9/7days").unwrap(),
            concurrency("exports=5").unwrap(),
        ];
        let shown =
            "api=100/1m+20, web=5/1s, calls=10000/month, daily=7/day, weekly=9/7days, exports=5";
        assert_eq!(limits(&written).text, shown);
    }

    #[test]
    fn what_is_no_limit_is_refused_with_an_example() {
        for text in ["", "a", "a=1", "a=x/1m", "a=1/", "a=1/1m+x"] {
            assert!(rate(text).unwrap_err().contains("such as"), "{text}");
        }
        for text in ["a=1", "a=1/year of the dog"] {
            assert!(quota(text).unwrap_err().contains("such as"), "{text}");
        }
        assert!(concurrency("a=many").unwrap_err().contains("such as"));
    }
}
