//! The state of limits as header fields `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10), which are structured fields (RFC 9651).

use std::{fmt::Write, time::Duration};

use crate::{
    limiter::Verdict,
    model::{
        limit::Rule,
        meter::{Gauge, Reading, Scope},
    },
};

/// The names and values of both fields, if there is a limit to tell of. Limits of whole domains are not
/// told: what is left of them says what others do.
pub fn fields(verdict: &Verdict) -> Option<[(&'static str, String); 2]> {
    let (mut policies, mut states) = (String::new(), String::new());
    for (gauge, reading) in verdict.readings() {
        let Some(name) = name(&gauge) else { continue };
        if !policies.is_empty() {
            policies.push_str(", ");
            states.push_str(", ");
        }
        write_policy(&mut policies, &name, &gauge, reading);
        let (left, reset) = (reading.remaining.max(0), whole_seconds(reading.reset));
        write!(states, "\"{name}\";r={left};t={reset}").unwrap_or_default();
    }
    (!policies.is_empty()).then_some([("ratelimit-policy", policies), ("ratelimit", states)])
}

/// What a limit is called, unlike all others of a key.
fn name(gauge: &Gauge<'_>) -> Option<String> {
    let name = gauge.limit.name.as_str();
    match gauge.scope {
        Scope::Key => Some(name.to_owned()),
        Scope::User => Some(format!("user:{name}")),
        Scope::Customer => Some(format!("customer:{name}")),
        Scope::Domain => None,
    }
}

fn write_policy(text: &mut String, name: &str, gauge: &Gauge<'_>, reading: &Reading) {
    let (limit, unit) = match &gauge.limit.rule {
        Rule::Rate(rate) => (rate.limit().into(), ""),
        Rule::Quota(quota) => (quota.limit(), ""),
        Rule::Concurrency(slots) => (slots.limit().into(), ";qu=\"concurrent-requests\""),
    };
    // a string takes whatever is written
    write!(text, "\"{name}\";q={limit}{unit}").unwrap_or_default();
    if let Some(window) = reading.window.filter(|window| *window >= Duration::from_secs(1)) {
        write!(text, ";w={}", window.as_secs()).unwrap_or_default();
    }
}

/// Seconds, rounded up.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}
