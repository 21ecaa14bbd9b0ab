//! Limits: as operators send them, and as answers tell them.

use std::time::Duration;

use super::{Violations, duration_from_pb, duration_to_pb};
use crate::{
    model::{
        limit::{
            Limit, Limits, Rule, Slots,
            quota::{FixedPeriod, InvalidQuota, Period, Quota},
            rate::{InvalidRate, Rate},
        },
        meter::Scope,
        name::LimitName,
    },
    rpc::pb::{self, limit::Kind},
};

impl Violations {
    /// A list of limits.
    pub(super) fn limits(&mut self, field: &str, sent: &[pb::Limit]) -> Option<Limits> {
        let mut limits = Vec::with_capacity(sent.len());
        for (at, sent) in sent.iter().enumerate() {
            limits.push(self.limit(&format!("{field}[{at}]"), sent));
        }
        let limits = limits.into_iter().collect::<Option<Vec<Limit>>>()?;
        self.check_list(field, Limits::new(limits))
    }

    fn limit(&mut self, at: &str, sent: &pb::Limit) -> Option<Limit> {
        let name = self.required(&format!("{at}.name"), &sent.name, LimitName::parse);
        let rule = match &sent.kind {
            Some(Kind::Rate(sent)) => self.rate(&format!("{at}.rate"), sent),
            Some(Kind::Quota(sent)) => self.quota(&format!("{at}.quota"), sent),
            Some(Kind::Concurrency(sent)) => {
                let slots = Slots::new(u32::try_from(sent.limit).unwrap_or(0));
                self.check(&format!("{at}.concurrency.limit"), slots).map(Rule::Concurrency)
            }
            None => {
                self.add(at, "must have one of rate, quota and concurrency");
                None
            }
        };
        Some(Limit { name: name?, rule: rule? })
    }

    fn rate(&mut self, at: &str, sent: &pb::RateLimit) -> Option<Rule> {
        let Some(period) = sent.period.and_then(duration_from_pb) else {
            self.add(format!("{at}.period"), "is required, and must not be negative");
            return None;
        };
        let limit = u32::try_from(sent.limit).unwrap_or(0);
        let burst = if sent.burst == 0 { limit } else { u32::try_from(sent.burst).unwrap_or(0) };
        let rate = Rate::new(limit, period, burst);
        let at = match rate {
            Err(InvalidRate::Period) => format!("{at}.period"),
            Err(InvalidRate::Burst | InvalidRate::TooSlow) => format!("{at}.burst"),
            Ok(_) | Err(InvalidRate::Limit | InvalidRate::TooFast) => format!("{at}.limit"),
        };
        self.check(&at, rate).map(Rule::Rate)
    }

    fn quota(&mut self, at: &str, sent: &pb::Quota) -> Option<Rule> {
        let fixed = format!("{at}.fixed_period");
        let period = match pb::QuotaPeriod::try_from(sent.period) {
            Ok(pb::QuotaPeriod::Day) => Some(Period::Day),
            Ok(pb::QuotaPeriod::Month) => Some(Period::Month),
            Ok(pb::QuotaPeriod::Fixed) => {
                let span = sent.fixed_period.and_then(duration_from_pb);
                let period = FixedPeriod::new(span.unwrap_or(Duration::ZERO));
                self.check(&fixed, period).map(Period::Fixed)
            }
            Ok(pb::QuotaPeriod::Unspecified) | Err(_) => {
                self.add(format!("{at}.period"), "is required: DAY, MONTH or FIXED");
                None
            }
        };
        if sent.fixed_period.is_some() && !matches!(period, None | Some(Period::Fixed(_))) {
            self.add(fixed, "is for period FIXED");
        }
        let quota: Result<Quota, InvalidQuota> = Quota::new(sent.limit, period?);
        self.check(&format!("{at}.limit"), quota).map(Rule::Quota)
    }
}

/// Limits, outward.
pub(in crate::rpc) fn limits_to_pb(limits: &Limits) -> Vec<pb::Limit> {
    limits.iter().map(limit_to_pb).collect()
}

fn limit_to_pb(limit: &Limit) -> pb::Limit {
    let kind = match &limit.rule {
        Rule::Rate(rate) => Kind::Rate(pb::RateLimit {
            limit: rate.limit().into(),
            period: Some(duration_to_pb(rate.period())),
            burst: rate.burst().into(),
        }),
        Rule::Quota(quota) => Kind::Quota(quota_to_pb(quota)),
        Rule::Concurrency(slots) => {
            Kind::Concurrency(pb::ConcurrencyLimit { limit: slots.limit().into() })
        }
    };
    pb::Limit { name: limit.name.to_string(), kind: Some(kind) }
}

/// A quota, outward.
pub(in crate::rpc) fn quota_to_pb(quota: &Quota) -> pb::Quota {
    let (period, fixed) = match quota.period() {
        Period::Day => (pb::QuotaPeriod::Day, None),
        Period::Month => (pb::QuotaPeriod::Month, None),
        Period::Fixed(period) => (pb::QuotaPeriod::Fixed, Some(duration_to_pb(period.span()))),
    };
    pb::Quota { limit: quota.limit(), period: period.into(), fixed_period: fixed }
}

/// What a limit counts, and how many in a window or at a time, outward.
pub(in crate::rpc) fn rule_to_pb(rule: &Rule) -> (pb::LimitKind, i64) {
    match rule {
        Rule::Rate(rate) => (pb::LimitKind::Rate, rate.limit().into()),
        Rule::Quota(quota) => (pb::LimitKind::Quota, quota.limit()),
        Rule::Concurrency(slots) => (pb::LimitKind::Concurrency, slots.limit().into()),
    }
}

/// What has a limit, outward.
pub(in crate::rpc) const fn scope_to_pb(scope: Scope) -> pb::LimitScope {
    match scope {
        Scope::Key => pb::LimitScope::Key,
        Scope::User => pb::LimitScope::User,
        Scope::Customer => pb::LimitScope::Customer,
        Scope::Domain => pb::LimitScope::Domain,
    }
}
