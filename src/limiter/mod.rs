//! Limits at the moment of a decision: all are looked at, then all are taken from, or none is.
//!
//! This part is synchronous and works with what is in memory. [`shared`] is how replicas hear of each
//! other through Redis, [`flush`] carries quotas to the database.

mod book;
pub mod failures;
pub mod flush;
pub mod shared;
mod verdict;
mod worklist;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use smallvec::SmallVec;

use crate::{
    decide::Reason,
    model::{
        meter::{Ask, Dial, Fit, Gauge, Metered, Owner, Settlement, Told, quota::QuotaUse},
        name::{DomainName, LimitName},
        reservation::{ReservationId, Tag},
        time::{BootTime, Now, Timestamp},
        view::KeyView,
    },
};
use book::Book;
use book::Reservation;
use failures::Failures;
pub use verdict::{Readings, Verdict};
use worklist::Worklist;

/// For how long after Redis forgot the database may know more of quotas.
const RELEARNING: Duration = Duration::from_secs(10);
/// Quotas of which something was settled in one interval, without their keys.
const SETTLED_MAX: usize = 100_000;

/// How replicas share limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// They do not: each enforces them by itself.
    Local,
    /// Each decides by what it knows, and all tell each other in the background.
    Fast,
    /// Each decision asks what all have taken.
    Exact,
}

/// What limits a request.
#[derive(Clone, Debug)]
pub struct Applicable {
    metered: [Option<Arc<Metered>>; 4],
}

/// What a request takes, before it is known from what.
#[derive(Clone, Copy, Debug)]
pub struct Charge {
    /// How much.
    pub cost: u32,
    /// If it reserves: the randomness of the id, and how long the reservation lasts.
    pub reserve: Option<([u8; 16], Duration)>,
}

impl Charge {
    /// What a request takes that says nothing of it.
    pub const ONE: Self = Self { cost: 1, reserve: None };
}

/// Whether to take, or only to say what would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// To take.
    Yes,
    /// To look.
    No,
}

/// What a request that is allowed but for limits has to ask of these.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which ones.
    pub applicable: Applicable,
    /// What.
    pub wish: Wish,
}

/// What a request asks of limits.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// How much.
    pub ask: Ask,
    /// Whether to take it.
    pub take: Take,
    /// When its reservation is over, if it reserves.
    pub end: Option<Timestamp>,
}

/// How a reservation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// By how much it cost more than was reserved; negative if it cost less.
    pub difference: i64,
    /// What was reserved, if Redis may have the reservation too: it was asked and answered too late.
    pub elsewhere: Option<u32>,
}

/// Enforces limits in this replica.
#[derive(Debug)]
pub struct Limiter {
    /// How replicas share limits.
    pub sharing: Sharing,
    /// Tries that failed, by where they came from.
    pub failures: Failures,
    book: Book,
    to_share: Worklist,
    to_store: Worklist,
    /// What was settled here of quotas whose key is not in memory.
    settled: Mutex<HashMap<(Owner, LimitName, Timestamp), QuotaUse>>,
    /// How many replicas share limits, and how many do at least.
    replicas: AtomicU32,
    replicas_min: u32,
    /// Whether they do not hear of each other, though they should.
    degraded: AtomicBool,
    /// Counts the times in which they did not.
    outage: AtomicU32,
    /// Until when what the database says of quotas counts besides what Redis says, in nanoseconds since
    /// boot.
    relearns_until: AtomicU64,
}

impl Applicable {
    /// The limits of a key and of what it belongs to, and those of the customer of a request.
    pub fn new(key: &KeyView, customer: Option<Arc<Metered>>) -> Self {
        let profile = &key.profile;
        let user = profile.user.as_ref();
        let user = user.and_then(|user| user.facts.limits());
        let domain = profile.domain.facts.limits();
        Self { metered: [key.limits.clone(), user, customer, domain] }
    }

    /// Whether nothing does.
    pub fn is_empty(&self) -> bool {
        self.metered.iter().all(Option::is_none)
    }

    fn metered(&self) -> impl Iterator<Item = &Arc<Metered>> {
        self.metered.iter().flatten()
    }

    fn gauges(&self) -> impl Iterator<Item = Gauge<'_>> {
        self.metered().flat_map(|metered| metered.gauges())
    }
}

impl Limiter {
    /// Nothing is taken yet. Replicas that are to share limits do not hear of each other yet, and
    /// there are `replicas` of them.
    pub fn new(sharing: Sharing, failures: Failures, replicas: u32) -> Self {
        Self {
            sharing,
            failures,
            book: Book::default(),
            to_share: Worklist::default(),
            to_store: Worklist::default(),
            settled: Mutex::default(),
            replicas: AtomicU32::new(replicas.max(1)),
            replicas_min: replicas.max(1),
            degraded: AtomicBool::new(sharing != Sharing::Local),
            outage: AtomicU32::new(1),
            relearns_until: AtomicU64::new(0),
        }
    }

    /// What a request has to ask of limits; nothing if it is not limited and reserves nothing.
    pub fn due(
        &self,
        (applicable, domain): (Applicable, &DomainName),
        charge: Charge,
        take: Take,
        now: Now,
    ) -> Option<Due> {
        if applicable.is_empty() && charge.reserve.is_none() {
            return None;
        }
        let slot = charge.reserve.map(|(random, span)| {
            (ReservationId::new(Tag::of(domain), random), now.boot.after(span))
        });
        let (told, weight) =
            if self.is_degraded() { (Told::Nobody, self.replicas()) } else { (Told::Others, 1) };
        let ask = Ask { cost: charge.cost, weight, told, slot, now };
        let end = charge.reserve.map(|(_, span)| now.wall.after(span));
        Some(Due { applicable, wish: Wish { ask, take, end } })
    }

    /// Whether it is for all replicas together to decide this, and they can be asked.
    pub fn is_for_all(&self, due: &Due) -> bool {
        let shared = match self.sharing {
            Sharing::Local => false,
            Sharing::Fast => {
                let counts = |gauge: Gauge<'_>| matches!(gauge.dial, Dial::Slots(..));
                due.wish.ask.slot.is_some() || due.applicable.gauges().any(counts)
            }
            Sharing::Exact => true,
        };
        shared && !due.wish.ask.is_degraded()
    }

    /// The same, for this replica alone to decide.
    pub fn alone(&self, due: &Due) -> Due {
        let told = if self.is_degraded() { Told::Nobody } else { Told::Perhaps };
        let ask = Ask { weight: self.replicas(), told, ..due.wish.ask };
        let wish = Wish { ask, ..due.wish };
        Due { applicable: due.applicable.clone(), wish }
    }

    /// Decides by what this replica knows, and takes if everything fits. Nothing is taken for a
    /// request that is denied. What is reserved is remembered here.
    pub fn decide(&self, due: Due) -> Verdict {
        let Due { applicable, wish: Wish { ask, take, .. } } = due;
        let Some((id, end)) = ask.slot.filter(|_| take == Take::Yes) else {
            return self.charge(applicable, &ask, take);
        };
        if !self.book.has_room(ask.now.boot) {
            let mut verdict = self.charge(applicable, &ask, Take::No);
            verdict.denied = Some(Reason::ConcurrencyExceeded);
            return verdict;
        }
        let verdict = self.charge(applicable, &ask, take);
        if verdict.denied.is_none() {
            let made = ask.now.wall;
            let (applicable, cost) = (verdict.applicable().clone(), ask.cost);
            let (weight, told) = (ask.weight, ask.told);
            self.book.add(id, Reservation { applicable, cost, weight, told, end, made });
        }
        verdict
    }

    fn charge(&self, applicable: Applicable, ask: &Ask, take: Take) -> Verdict {
        let fits = applicable.gauges().map(|gauge| gauge.fit(ask));
        let mut fits: SmallVec<[Fit; 8]> = fits.collect();
        if take == Take::Yes && fits.iter().all(|fit| *fit == Fit::Fits) {
            take_all(&applicable, ask, &mut fits);
        }
        let passes = fits.iter().all(|fit| *fit == Fit::Fits);
        self.note(&applicable, passes && take == Take::Yes);
        let gauges = applicable.gauges().zip(fits);
        let readings = gauges.map(|(gauge, fit)| gauge.reading(ask, fit)).collect();
        Verdict::new(applicable, readings, ask.is_degraded())
    }

    /// Ends a reservation that was made here. `None` if there is none of this id.
    pub fn settle(&self, id: ReservationId, actual_cost: u32, now: Now) -> Option<Settled> {
        let reservation = self.book.take(id, now.boot)?;
        let difference = i64::from(actual_cost) - i64::from(reservation.cost);
        let Reservation { made: reserved_at, weight, .. } = reservation;
        let settlement = Settlement { id, reserved_at, weight, difference };
        for gauge in reservation.applicable.gauges() {
            gauge.settle(&settlement, now);
        }
        self.note(&reservation.applicable, true);
        let elsewhere = (reservation.told == Told::Perhaps).then_some(reservation.cost);
        Some(Settled { difference, elsewhere })
    }

    /// Notes what is to be shared and stored after something was taken; or was not, and then asks for
    /// what is stored: others may have used something or put it back.
    fn note(&self, applicable: &Applicable, taken: bool) {
        self.note_quotas(applicable, taken);
        if !taken || self.sharing == Sharing::Local {
            return;
        }
        for metered in applicable.metered() {
            if metered.gauges().any(|gauge| matches!(gauge.dial, Dial::Rate(..))) {
                self.to_share.add(metered, &metered.to_share);
            }
        }
    }

    /// Notes that something was taken of quotas in this replica's name; or that it was not, since one of
    /// them may be used up: something may have been put back elsewhere.
    fn note_quotas(&self, applicable: &Applicable, taken: bool) {
        for metered in applicable.metered() {
            let mut to_store = false;
            for gauge in metered.gauges() {
                if let Dial::Quota(_, meter) = gauge.dial {
                    to_store = true;
                    if !taken {
                        meter.ask_store();
                    }
                }
            }
            if to_store {
                self.to_store.add(metered, &metered.to_store);
            }
        }
    }

    /// Notes what was settled of a quota that may not be in memory here.
    fn note_settled(&self, settled: QuotaUse) {
        let mut all = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (settled.owner.clone(), settled.name.clone(), settled.start);
        let has_room = all.len() < SETTLED_MAX;
        match all.get_mut(&place) {
            Some(known) => known.amount = known.amount.saturating_add(settled.amount),
            // the database is away, for long; Redis still counts it
            None if !has_room => {}
            None => drop(all.insert(place, settled)),
        }
    }

    /// How much waits to be stored of quotas: things with limits, and quotas that were settled.
    pub fn waiting(&self) -> usize {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner).len();
        self.to_store.len() + settled
    }

    fn take_settled(&self) -> Vec<QuotaUse> {
        let mut all = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *all).into_values().collect()
    }

    /// Whether replicas do not hear of each other, though they should.
    pub fn is_degraded(&self) -> bool {
        self.degraded.load(Relaxed)
    }

    /// How many replicas share limits.
    pub fn replicas(&self) -> u32 {
        self.replicas.load(Relaxed)
    }

    /// From here on replicas do not hear of each other.
    fn degrade(&self) {
        if !self.degraded.swap(true, Relaxed) {
            self.outage.fetch_add(1, Relaxed);
        }
    }

    /// From here on replicas hear of each other again.
    fn restore(&self) {
        self.degraded.store(false, Relaxed);
    }

    /// So many replicas share limits.
    fn count(&self, replicas: u32) {
        self.replicas.store(replicas.max(self.replicas_min), Relaxed);
    }

    /// What replicas told each other is gone. Each tells what it knows once more, and of quotas also what
    /// it hears from the database within a few flushes.
    fn forgotten(&self, now: BootTime) {
        self.outage.fetch_add(1, Relaxed);
        self.relearns_until.store(now.after(RELEARNING).nanos(), Relaxed);
    }

    /// Whether Redis may know less of quotas than the database.
    fn is_relearning(&self, now: BootTime) -> bool {
        self.sharing == Sharing::Fast || now.nanos() < self.relearns_until.load(Relaxed)
    }

    /// The last time in which replicas did not hear of each other.
    fn outage(&self) -> u32 {
        self.outage.load(Relaxed)
    }
}

/// Takes from all, or from none: what does not fit any more since it was looked at is told in `fits`.
fn take_all(applicable: &Applicable, ask: &Ask, fits: &mut [Fit]) {
    let failed = applicable.gauges().zip(fits).position(|(gauge, fit)| {
        let taken = gauge.take(ask);
        if !taken {
            *fit = Fit::Exceeded;
        }
        !taken
    });
    for gauge in applicable.gauges().take(failed.unwrap_or(0)) {
        gauge.put_back(ask);
    }
}

#[cfg(test)]
mod tests;
