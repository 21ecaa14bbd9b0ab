//! Limits that replicas share through Redis: one script, run once for each decision in mode `exact`, and
//! in the background in mode `fast`.

mod command;
pub mod inspect;
mod link;
mod push;
pub mod server;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::Cmd;
use tokio_util::sync::CancellationToken;

pub use link::Away;

use crate::{
    clock,
    limiter::{Due, Limiter, Sharing, Take, Verdict, Wish},
    metrics::Syncing,
    model::{
        limit::{Limit, Rule},
        meter::{Fit, Owner, quota::QuotaUse},
        reservation::ReservationId,
        time::{Now, Timestamp},
    },
};
use command::{Command, Verb, learn, owned, record, record_key, told};
use link::{Link, Patience};
use push::PUSH_TIME_MAX;
use server::Server;

/// So many late answers in a row are taken for a moment's slowness.
const LATES_MAX: u32 = 2;
const ABANDONED_MAX: usize = 10_000;
/// How long a settlement may take: nobody's request waits for it.
const SETTLE_TIME_MAX: Duration = Duration::from_millis(250);

/// What shares limits with other replicas.
#[derive(Debug)]
pub struct Shared {
    limiter: Arc<Limiter>,
    link: Link,
    /// How long a decision waits for Redis.
    pub answer_time_max: Duration,
    /// How often what was taken is told in the background.
    pub push_interval: Duration,
    /// Reservations that Redis may have and nobody will settle, with what they cost.
    abandoned: Mutex<Vec<(ReservationId, u32)>>,
    /// When the others were last told of all.
    pub syncing: Syncing,
}

impl Shared {
    /// Shares what this limiter counts. `prefix` is what keys in Redis begin with, `replica` names this
    /// one among the others.
    pub fn new(
        limiter: Arc<Limiter>,
        server: Server,
        (prefix, replica): (&str, &str),
        (answer_time_max, push_interval): (Duration, Duration),
    ) -> Self {
        let patience = match limiter.sharing {
            Sharing::Exact => Patience { time_max: answer_time_max, lates_max: LATES_MAX },
            Sharing::Local | Sharing::Fast => Patience { time_max: PUSH_TIME_MAX, lates_max: 0 },
        };
        let link = Link::new(Arc::clone(&limiter), server, (prefix, replica), patience);
        let (abandoned, syncing) = (Mutex::default(), Syncing::since(clock::boot()));
        Self { limiter, link, answer_time_max, push_interval, abandoned, syncing }
    }

    /// Keeps the connection, and tells others what was taken here, until it is told to stop; and once
    /// more then.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        tokio::join!(self.link.keep(stop.clone()), self.push(stop));
    }

    /// Decides by what all replicas have taken. An error if they cannot be asked in time: then this
    /// replica decides by its share.
    pub async fn decide(&self, due: &Due) -> Result<Verdict, Away> {
        let Due { applicable, wish: Wish { ask, take, .. } } = due;
        let connection = self.link.connection()?;
        let verb = match take {
            Take::Yes => Verb::Take,
            Take::No => Verb::Look,
        };
        let slot = ask.slot.filter(|_| *take == Take::Yes);
        let reservation = slot.map(|(id, end)| (id, millis(end.since(ask.now.boot))));
        let kept = slot.map(|_| record(applicable, ask)).unwrap_or_default();
        let outage = self.limiter.outage();
        let mut command = Command::new(&self.link.prefix, verb, reservation, &kept);
        command.relearns = self.limiter.is_relearning(ask.now.boot);
        for (metered, gauge) in owned(applicable) {
            command.add(metered, &gauge, (ask.cost.into(), outage), ask.now);
        }
        let starts = std::mem::take(&mut command.starts);
        let script = command.finish(slot.map(|(id, _)| id));
        let answer = connection.run::<Vec<i64>>(&script);
        let answer = self.link.answer(self.answer_time_max, answer).await?;
        Ok(self.verdict(due, &answer, &starts, outage))
    }

    /// Takes over what was answered.
    fn verdict(&self, due: &Due, answer: &[i64], starts: &[Timestamp], outage: u32) -> Verdict {
        let Due { applicable, wish: Wish { ask, take, .. } } = due;
        let told: Vec<_> = owned(applicable).zip(told(answer)).zip(starts).collect();
        let passes = told.iter().all(|(((_, gauge), told), _)| told.fit(gauge, ask) == Fit::Fits);
        let taken = if passes && *take == Take::Yes { i64::from(ask.cost) } else { 0 };
        let read = told.iter().map(|(((_, gauge), told), start)| {
            let fit = told.fit(gauge, ask);
            learn(gauge, *told, (**start, taken), outage, ask.now);
            let mut reading = gauge.reading(ask, fit);
            if let Rule::Concurrency(slots) = gauge.limit.rule {
                reading.remaining = (i64::from(slots.limit()) - told.used).max(0);
            }
            reading
        });
        let verdict = Verdict::new(applicable.clone(), read.collect(), false);
        if *take == Take::Yes {
            self.limiter.note_quotas(applicable, passes);
        }
        verdict
    }

    /// Ends a reservation, whichever replica made it; says by how much it cost more than was reserved.
    /// `None` if there is none of this id. Of two who try, one does.
    pub async fn settle(
        &self,
        id: ReservationId,
        actual_cost: u32,
        now: Now,
    ) -> Result<Option<i64>, Away> {
        let connection = self.link.connection()?;
        let mut reading = Cmd::new();
        reading.arg("GET").arg(record_key(&self.link.prefix, id));
        let kept = connection.ask::<Option<String>>(&reading);
        let kept = self.link.answer(SETTLE_TIME_MAX, kept).await?;
        let Some(kept) = kept.as_deref().and_then(Kept::parse) else { return Ok(None) };
        let difference = i64::from(actual_cost) - i64::from(kept.cost);
        let mut command = Command::new(&self.link.prefix, Verb::Settle, Some((id, 0)), "");
        let settled = |limit: &Limit| match &limit.rule {
            // what is put back into a period that is over helps nobody
            Rule::Quota(quota) => {
                difference > 0 || quota.window(kept.made) == quota.window(now.wall)
            }
            Rule::Rate(_) | Rule::Concurrency(_) => true,
        };
        let limits: Vec<_> = kept.limits.iter().filter(|(_, limit)| settled(limit)).collect();
        for (owner, limit) in &limits {
            command.add_settled(id.tag(), owner, limit, difference, now);
        }
        let script = command.finish(Some(id));
        let answer = connection.run::<Vec<i64>>(&script);
        let answer = self.link.answer(SETTLE_TIME_MAX, answer).await?;
        // no answer but for no limits: someone else was faster
        if answer.len() != 2 * limits.len() {
            return Ok(None);
        }
        for (owner, limit) in limits {
            self.note_settled(owner, limit, difference, now);
        }
        Ok(Some(difference))
    }

    /// Settles a reservation in the background, if Redis has it. If there are too many, it ends by
    /// itself.
    pub fn abandon(&self, id: ReservationId, cost: u32) {
        let mut abandoned = self.abandoned.lock().unwrap_or_else(PoisonError::into_inner);
        if abandoned.len() < ABANDONED_MAX {
            abandoned.push((id, cost));
        }
    }

    /// What was abandoned, which counts as settled from now on.
    fn take_abandoned(&self) -> Vec<(ReservationId, u32)> {
        std::mem::take(&mut *self.abandoned.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note_settled(&self, owner: &Owner, limit: &Limit, amount: i64, now: Now) {
        let Rule::Quota(quota) = &limit.rule else { return };
        self.limiter.note_settled(QuotaUse {
            owner: owner.clone(),
            name: limit.name.clone(),
            period: quota.period(),
            start: quota.window(now.wall).start,
            amount,
            limit: quota.limit(),
        });
    }
}

/// What was remembered of a reservation.
struct Kept {
    cost: u32,
    made: Timestamp,
    limits: Vec<(Owner, Limit)>,
}

impl Kept {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (cost, micros) = lines.next()?.split_once(' ')?;
        let limit = |line: &str| {
            let (owner, limit) = line.split_once(' ')?;
            Some((Owner::parse(owner)?, limit.parse().ok()?))
        };
        Some(Self {
            cost: cost.parse().ok()?,
            made: Timestamp::from_micros(micros.parse().ok()?),
            limits: lines.map(limit).collect::<Option<_>>()?,
        })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
