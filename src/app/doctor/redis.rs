//! Redis, if limits are shared by it.

use super::{Finding, clocks, now};
use crate::{config::ServeArgs, limiter::shared::inspect::inspect, telemetry::chain};

/// Forgets nothing that has not expired.
const EVICTION: &str = "noeviction";

pub(super) async fn examine(args: &ServeArgs) -> Vec<Finding> {
    let server = match args.limits.sharing() {
        Ok((_, Some(server))) => server,
        Ok((_, None)) => {
            return vec![Finding::fine("redis", "is not used: each replica enforces limits alone")];
        }
        Err(invalid) => {
            return vec![Finding::failure("redis", chain(&invalid), "mend this setting")];
        }
    };
    let before = now();
    let facts = match inspect(&server).await {
        Ok(facts) => facts,
        Err(error) => {
            let help = "is it running? While it is away, each replica enforces its share of limits";
            return vec![Finding::failure("redis", chain(&error), help)];
        }
    };
    let mut findings = vec![Finding::fine("redis", facts.version)];
    findings.push(match facts.eviction.as_deref() {
        Some(EVICTION) => Finding::fine("redis memory", "nothing is evicted"),
        Some(other) => Finding::warning(
            "redis memory",
            format!("maxmemory-policy is {other}: limits may be forgotten when memory is full"),
            "set maxmemory-policy noeviction",
        ),
        None => Finding::warning(
            "redis memory",
            "does not say what it evicts when memory is full",
            "see that maxmemory-policy is noeviction",
        ),
    });
    findings.push(clocks("redis clock", "Redis's", (before, facts.clock_micros, now())));
    findings
}
