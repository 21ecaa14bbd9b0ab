//! What was used of limits: the state that is kept beside a key, user, customer or domain.

mod owner;
pub mod quota;
pub mod rate;
mod slots;

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{AcqRel, Relaxed},
        },
    },
    time::Duration,
};

use crate::model::{
    limit::{
        Limit, Limits, Rule, Slots,
        quota::Quota,
        rate::{Draw, Rate},
    },
    name::LimitName,
    reservation::{ReservationId, Tag},
    time::{BootTime, Now, Timestamp},
    touch::touch,
};
pub use owner::{Owner, Scope};
use quota::QuotaMeter;
use rate::RateMeter;
use slots::SlotMeter;

/// What was taken during an outage is not known to others, whichever outage it was.
const UNKNOWN_OUTAGE: u32 = u32::MAX;

/// The limits of one thing, and what was used of each.
#[derive(Debug)]
pub struct Metered {
    /// Whose they are.
    pub owner: Owner,
    /// The part that its domain falls into.
    pub tag: Tag,
    limits: Limits,
    meters: Meters,
    /// Whether something is to be told to the other replicas.
    pub to_share: Mark,
    /// Whether something is to be stored.
    pub to_store: Mark,
}

/// Says that something waits in a list already.
#[derive(Debug, Default)]
pub struct Mark(AtomicBool);

impl Mark {
    /// Sets it; says whether it was not set.
    pub fn set(&self) -> bool {
        !self.0.swap(true, AcqRel)
    }

    /// Takes it away, before what it stands for is looked at.
    pub fn clear(&self) {
        self.0.swap(false, AcqRel);
    }
}

/// A meter for each limit. One is the usual case, and then it is one step nearer.
#[derive(Debug)]
enum Meters {
    One(Arc<Meter>),
    Some(Box<[Arc<Meter>]>),
}

impl Meters {
    fn as_slice(&self) -> &[Arc<Meter>] {
        match self {
            Self::One(meter) => std::slice::from_ref(meter),
            Self::Some(meters) => meters,
        }
    }
}

impl FromIterator<Arc<Meter>> for Meters {
    fn from_iter<I: IntoIterator<Item = Arc<Meter>>>(meters: I) -> Self {
        match <[_; 1]>::try_from(meters.into_iter().collect::<Vec<_>>()) {
            Ok([meter]) => Self::One(meter),
            Err(meters) => Self::Some(meters.into()),
        }
    }
}

#[derive(Debug)]
enum Meter {
    Rate(RateMeter),
    /// Apart, since it is some times as large as the others.
    Quota(Box<QuotaMeter>),
    Slots(SlotMeter),
}

/// What a request asks of limits.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// How much it takes of rates and quotas. With 0 and without a slot it only looks.
    pub cost: u32,
    /// How many replicas share limits without hearing of each other; 1 if they do.
    pub weight: u32,
    /// Who hears of what is taken.
    pub told: Told,
    /// The slot that it wants to hold of limits on concurrency, and until when.
    pub slot: Option<(ReservationId, BootTime)>,
    /// When.
    pub now: Now,
}

/// Who hears of what is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The other replicas do, from this one; or there are none.
    Others,
    /// Nobody does: there is an outage.
    Nobody,
    /// Redis was asked and did not answer in time. It may have heard.
    Perhaps,
}

impl Ask {
    /// Whether replicas that should hear of each other do not, or not surely.
    pub fn is_degraded(&self) -> bool {
        self.told != Told::Others
    }

    const fn draw(&self) -> Draw {
        Draw { cost: self.cost, weight: self.weight }
    }
}

/// How a reservation ends.
#[derive(Clone, Copy, Debug)]
pub struct Settlement {
    /// Which one.
    pub id: ReservationId,
    /// When it was made.
    pub reserved_at: Timestamp,
    /// The weight that it was taken with.
    pub weight: u32,
    /// By how much it cost more than was reserved; negative if it cost less.
    pub difference: i64,
}

/// Whether a limit lets a request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It does.
    Fits,
    /// Not now.
    Exceeded,
    /// Never: it costs more than the limit ever gives.
    TooCostly,
}

/// The state of a limit, as an answer tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// How long its period is, if it has one.
    pub window: Option<Duration>,
    /// How much is left.
    pub remaining: i64,
    /// How long until all is there again, if nothing more is taken.
    pub reset: Duration,
    /// Whether it lets the request pass.
    pub fit: Fit,
    /// How long until it would, where that is known.
    pub wait: Option<Duration>,
}

impl Metered {
    /// Limits of which nothing was used but what was of `before`, as far as it has the same limits.
    /// Each keeps its meter, so that nothing is missed that is taken meanwhile, but for a rate of other
    /// numbers, which begins with as much used as the old one: what is being taken at this very moment
    /// is missed.
    pub fn new(
        (owner, tag): (Owner, Tag),
        limits: Limits,
        before: Option<&Arc<Self>>,
        now: BootTime,
    ) -> Arc<Self> {
        if let Some(before) = before.filter(|before| before.limits == limits) {
            return Arc::clone(before);
        }
        let meter = |limit: &Limit| {
            let old = before.and_then(|before| before.gauge(&limit.name));
            old.and_then(|old| old.carried_over(&limit.rule, now))
        };
        let meters =
            limits.iter().map(|limit| meter(limit).unwrap_or_else(|| Arc::new(Meter::new(limit))));
        let meters = meters.collect();
        let (to_share, to_store) = Default::default();
        Arc::new(Self { owner, tag, limits, meters, to_share, to_store })
    }

    /// Its limits.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Each limit with its state.
    pub fn gauges(&self) -> impl Iterator<Item = Gauge<'_>> {
        let scope = self.owner.scope();
        let pairs = self.limits.iter().zip(self.meters.as_slice());
        pairs.filter_map(move |(limit, meter)| {
            let dial = match (&limit.rule, &**meter) {
                (Rule::Rate(rate), Meter::Rate(meter)) => Dial::Rate(rate, meter),
                (Rule::Quota(quota), Meter::Quota(meter)) => Dial::Quota(quota, meter),
                (Rule::Concurrency(slots), Meter::Slots(meter)) => Dial::Slots(*slots, meter),
                _ => return None, // never made
            };
            Some(Gauge { scope, limit, dial, meter })
        })
    }

    /// Begins to read it.
    pub fn touch(&self) {
        touch(self.to_share.0.load(Relaxed));
        touch(self.meters.as_slice().as_ptr());
    }

    /// Begins to read what was used, once it was touched itself.
    pub fn touch_meters(&self) {
        for meter in self.meters.as_slice() {
            if let Meter::Rate(meter) = &**meter {
                meter.touch();
            }
        }
    }

    /// One limit with its state.
    pub fn gauge(&self, name: &LimitName) -> Option<Gauge<'_>> {
        self.gauges().find(|gauge| gauge.limit.name == *name)
    }
}

impl Meter {
    fn new(limit: &Limit) -> Self {
        match limit.rule {
            Rule::Rate(_) => Self::Rate(RateMeter::default()),
            Rule::Quota(_) => Self::Quota(Box::default()),
            Rule::Concurrency(_) => Self::Slots(SlotMeter::default()),
        }
    }
}

/// One limit with its state.
#[derive(Clone, Copy, Debug)]
pub struct Gauge<'a> {
    /// What has it.
    pub scope: Scope,
    /// The limit.
    pub limit: &'a Limit,
    /// Its rule and its state.
    pub dial: Dial<'a>,
    meter: &'a Arc<Meter>,
}

/// A rule and its state.
#[derive(Clone, Copy, Debug)]
pub enum Dial<'a> {
    /// Of a rate.
    Rate(&'a Rate, &'a RateMeter),
    /// Of a quota.
    Quota(&'a Quota, &'a QuotaMeter),
    /// Of a limit on concurrency.
    Slots(Slots, &'a SlotMeter),
}

impl Gauge<'_> {
    /// Whether it lets a request pass.
    pub fn fit(&self, ask: &Ask) -> Fit {
        match self.dial {
            Dial::Rate(rate, meter) => meter.fit(rate, ask),
            Dial::Quota(quota, meter) => meter.fit(quota, ask),
            Dial::Slots(slots, meter) => meter.fit(slots, ask),
        }
    }

    /// Takes what a request asks for, if it lets it pass; says whether it did.
    pub fn take(&self, ask: &Ask) -> bool {
        match self.dial {
            Dial::Rate(rate, meter) => meter.take(rate, ask),
            Dial::Quota(quota, meter) => meter.take(quota, ask),
            Dial::Slots(slots, meter) => meter.take(slots, ask),
        }
    }

    /// Puts back what was just taken, since another limit did not let the request pass.
    pub fn put_back(&self, ask: &Ask) {
        match self.dial {
            Dial::Rate(rate, meter) => meter.put_back(rate, ask),
            Dial::Quota(quota, meter) => meter.put_back(quota, ask),
            Dial::Slots(_, meter) => {
                if let Some((id, _)) = ask.slot {
                    meter.free(id);
                }
            }
        }
    }

    /// Takes more than was reserved, or (if negative) puts back what was not needed, whatever is left;
    /// and frees the slot. What was reserved of a quota whose period is over stays used.
    pub fn settle(&self, settlement: &Settlement, now: Now) {
        match self.dial {
            Dial::Rate(rate, meter) => meter.settle(rate, settlement, now.boot),
            Dial::Quota(quota, meter) => meter.settle(quota, settlement, now.wall),
            Dial::Slots(_, meter) => meter.free(settlement.id),
        }
    }

    /// Its state, and what that means for a request.
    pub fn reading(&self, ask: &Ask, fit: Fit) -> Reading {
        let (remaining, reset, wait) = match self.dial {
            Dial::Rate(rate, meter) => meter.reading(rate, ask),
            Dial::Quota(quota, meter) => meter.reading(quota, ask.now.wall),
            Dial::Slots(slots, meter) => meter.reading(slots, ask),
        };
        let window = match self.dial {
            Dial::Rate(rate, _) => Some(rate.period()),
            Dial::Quota(quota, _) => Some(quota.window(ask.now.wall).span()),
            Dial::Slots(..) => None,
        };
        let wait = wait.filter(|_| fit == Fit::Exceeded);
        Reading { window, remaining, reset, fit, wait }
    }

    /// The meter for another rule of the same kind, with as much used.
    fn carried_over(&self, rule: &Rule, now: BootTime) -> Option<Arc<Meter>> {
        match (self.dial, rule) {
            (Dial::Rate(old, meter), Rule::Rate(new)) if old != new => {
                Some(Arc::new(Meter::Rate(meter.carried_over(old, new, now))))
            }
            (Dial::Quota(old, meter), Rule::Quota(new)) if old.period() != new.period() => {
                Some(Arc::new(Meter::Quota(Box::new(meter.in_other_periods(old)))))
            }
            (Dial::Rate(..), Rule::Rate(_))
            | (Dial::Quota(..), Rule::Quota(_))
            | (Dial::Slots(..), Rule::Concurrency(_)) => Some(Arc::clone(self.meter)),
            (Dial::Rate(..) | Dial::Quota(..) | Dial::Slots(..), _) => None,
        }
    }
}

#[cfg(test)]
mod tests;
