//! What is asked of Redis about limits, in one step, and what it answers.

use std::{fmt::Write, sync::LazyLock};

use redis::{Script, ScriptInvocation};

use crate::{
    limiter::Applicable,
    model::{
        limit::{
            Limit, Rule, Slots,
            quota::Window,
            rate::{MICROS_A_TOKEN, Rate},
        },
        meter::{Ask, Dial, Fit, Gauge, Metered, Owner},
        name::LimitName,
        reservation::{ReservationId, Tag},
        time::{Now, Timestamp},
    },
};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("limits.lua")));
/// How much longer than its period a quota is remembered, in milliseconds: clocks differ.
const QUOTA_GRACE_MILLIS: i64 = 60_000;

/// What to do to all limits of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// Only to look.
    Look,
    /// To take, if everything fits.
    Take,
    /// To take or put back, whatever fits.
    Force,
    /// The same for a reservation, if it is still remembered.
    Settle,
}

/// One run of the script. For a cluster all of its keys must be of one part of domains, so that it has
/// them in one place.
pub(super) struct Command {
    prefix: Box<str>,
    verb: Verb,
    call: ScriptInvocation<'static>,
    /// The first instant of the period of each limit, if it is a quota.
    pub(super) starts: Vec<Timestamp>,
    /// Whether Redis may know less of quotas than the database: then what this replica knows counts if
    /// it is more.
    pub(super) relearns: bool,
}

/// What is known of one limit after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Whether it fits.
    pub(super) fits: bool,
    /// How much is used of it.
    pub(super) used: i64,
}

impl Command {
    /// Of these limits nothing is asked yet. With a reservation, `record` is remembered of it.
    pub(super) fn new(
        prefix: &str,
        verb: Verb,
        reservation: Option<(ReservationId, u64)>,
        record: &str,
    ) -> Self {
        let mut call = SCRIPT.prepare_invoke();
        let (slot, millis) = reservation.unzip();
        call.arg(match verb {
            Verb::Look => "look",
            Verb::Take => "take",
            Verb::Force => "force",
            Verb::Settle => "settle",
        });
        call.arg(slot.map(|id| id.to_string()).unwrap_or_default());
        call.arg(millis.unwrap_or(0)).arg(record);
        Self { prefix: prefix.into(), verb, call, starts: Vec::new(), relearns: false }
    }

    /// Asks for a limit of something too. `outage` is the last one: what others may have forgotten in it,
    /// they are told.
    pub(super) fn add(
        &mut self,
        metered: &Metered,
        gauge: &Gauge<'_>,
        (cost, outage): (i64, u32),
        now: Now,
    ) {
        let mut start = Timestamp::DISTANT_PAST;
        let (numbers, known, forgotten) = match gauge.dial {
            Dial::Rate(rate, meter) => {
                let used = meter.used(rate, now.boot);
                let known = used.saturating_sub(self.taken_already(cost));
                let known = i64::try_from(known).unwrap_or(i64::MAX);
                (rate_numbers(rate), known, meter.is_forgotten(outage))
            }
            Dial::Quota(quota, meter) => {
                let state = meter.state(quota, now.wall);
                start = state.window.start;
                let allowance = quota.with_credits(state.credits);
                let numbers = quota_numbers(state.window, allowance, state.generation);
                (numbers, state.used, self.relearns || state.is_forgotten(outage))
            }
            Dial::Slots(slots, _) => (slot_numbers(slots), 0, false),
        };
        let place = (metered.tag, &metered.owner, &gauge.limit.name);
        self.put(place, kind(&gauge.limit.rule), (cost, numbers), (known, forgotten));
        self.starts.push(start);
    }

    /// What of the cost is used here already, in millionths: what is only told of.
    fn taken_already(&self, cost: i64) -> u64 {
        let told = self.verb == Verb::Force;
        u64::try_from(cost).unwrap_or(0).saturating_mul(if told { MICROS_A_TOKEN } else { 0 })
    }

    /// Asks for a limit by its rule, of which nothing is known here.
    pub(super) fn add_settled(
        &mut self,
        tag: Tag,
        owner: &Owner,
        limit: &Limit,
        cost: i64,
        now: Now,
    ) {
        let numbers = match &limit.rule {
            Rule::Rate(rate) => rate_numbers(rate),
            Rule::Quota(quota) => quota_numbers(quota.window(now.wall), quota.limit(), 0),
            Rule::Concurrency(slots) => slot_numbers(*slots),
        };
        self.put((tag, owner, &limit.name), kind(&limit.rule), (cost, numbers), (0, false));
    }

    fn put(
        &mut self,
        (tag, owner, name): (Tag, &Owner, &LimitName),
        kind: &str,
        (cost, numbers): (i64, [i64; 4]),
        (known, forgotten): (i64, bool),
    ) {
        self.call.key(format!("{}:{{{tag}}}:{kind}:{owner}:{name}", self.prefix));
        self.call.arg(kind).arg(cost).arg(&numbers);
        self.call.arg(known).arg(i32::from(forgotten));
    }

    /// The script with all that it needs; the last key is where a reservation is remembered.
    pub(super) fn finish(
        mut self,
        reservation: Option<ReservationId>,
    ) -> ScriptInvocation<'static> {
        if let Some(id) = reservation {
            self.call.key(record_key(&self.prefix, id));
        }
        self.call
    }
}

fn rate_numbers(rate: &Rate) -> [i64; 4] {
    let micros = i64::try_from(rate.period().as_micros()).unwrap_or(i64::MAX);
    [micros, rate.limit().into(), rate.burst().into(), 0]
}

fn quota_numbers(window: Window, allowance: i64, generation: i64) -> [i64; 4] {
    let millis = i64::try_from(window.span().as_millis()).unwrap_or(i64::MAX);
    let kept = millis.saturating_add(QUOTA_GRACE_MILLIS);
    [window.start.micros() / 1000, allowance, generation, kept]
}

fn slot_numbers(slots: Slots) -> [i64; 4] {
    [slots.limit().into(), 0, 0, 0]
}

/// Where a reservation is remembered.
pub(super) fn record_key(prefix: &str, id: ReservationId) -> String {
    format!("{prefix}:{{{}}}:reservation:{id}", id.tag())
}

/// What the script calls it.
const fn kind(rule: &Rule) -> &'static str {
    match rule {
        Rule::Rate(_) => "rate",
        Rule::Quota(_) => "quota",
        Rule::Concurrency(_) => "slots",
    }
}

/// The answer, limit by limit.
pub(super) fn told(answer: &[i64]) -> impl Iterator<Item = Told> {
    let (pairs, _) = answer.as_chunks::<2>();
    pairs.iter().map(|[fits, used]| Told { fits: *fits == 1, used: *used })
}

impl Told {
    /// What it means for a request. What costs more than a limit ever gives never fits.
    pub(super) fn fit(self, gauge: &Gauge<'_>, ask: &Ask) -> Fit {
        let never = match gauge.dial {
            Dial::Rate(rate, _) => ask.cost > rate.burst(),
            Dial::Quota(quota, meter) => {
                let credits = meter.state(quota, ask.now.wall).credits;
                i64::from(ask.cost) > quota.with_credits(credits)
            }
            Dial::Slots(..) => false,
        };
        match (self.fits, never) {
            (true, _) => Fit::Fits,
            (false, false) => Fit::Exceeded,
            (false, true) => Fit::TooCostly,
        }
    }
}

/// Takes over what was told of one limit, which is of the period that begins at `start`. `taken` is what of
/// it was taken in this replica's name; `outage` the last one, since whose end others know what this one
/// knows.
pub(super) fn learn(
    gauge: &Gauge<'_>,
    told: Told,
    (start, taken): (Timestamp, i64),
    outage: u32,
    now: Now,
) {
    match gauge.dial {
        Dial::Rate(rate, meter) => {
            let micros = u64::try_from(told.used).unwrap_or(0).min(u64::MAX / MICROS_A_TOKEN);
            meter.learn(rate, micros, outage, now.boot);
        }
        Dial::Quota(_, meter) => meter.learn(start, (told.used, taken), outage),
        Dial::Slots(..) => {}
    }
}

/// All limits that apply, each with what has it.
pub(super) fn owned(applicable: &Applicable) -> impl Iterator<Item = (&Metered, Gauge<'_>)> {
    applicable.metered().flat_map(|metered| metered.gauges().map(move |gauge| (&**metered, gauge)))
}

/// What is remembered of a reservation: its cost and time, and a line for each limit.
pub(super) fn record(applicable: &Applicable, ask: &Ask) -> String {
    let mut text = format!("{} {}", ask.cost, ask.now.wall.micros());
    for (metered, gauge) in owned(applicable) {
        // writing to a text cannot fail
        write!(text, "\n{} {}", metered.owner, gauge.limit).ok();
    }
    text
}
