//! The task that carries what was used of quotas to the database, and brings back what all replicas used.
//!
//! A crash loses what was used in one interval at most. A database that is away loses nothing: what was
//! not written stays where it is counted, and a batch of which it is not known whether it was written is
//! sent again under its number.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock,
    limiter::Limiter,
    metrics::Flushing,
    model::{
        meter::{Dial, Gauge, Metered, Owner, quota::QuotaUse},
        name::LimitName,
        time::Timestamp,
    },
    store::{
        Store,
        error::StoreError,
        quota::{Batch, Known},
    },
    telemetry::chain,
};

const BATCH_USES_MAX: usize = 5_000;
/// What the last flush may take when the process ends.
const LAST_FLUSH_TIME_MAX: Duration = Duration::from_secs(5);

/// Carries quotas to the database.
#[derive(Debug)]
pub struct QuotaFlush {
    store: Store,
    limiter: Arc<Limiter>,
    /// This replica: another UUID after each start.
    replica: String,
    number: i64,
    /// What is to be written, each part under the number that it will have. The first may have been
    /// written already.
    waiting: VecDeque<Vec<QuotaUse>>,
    flushing: Arc<Flushing>,
    /// Who is to be told what is known, by the stored form of the owner.
    readers: HashMap<String, Arc<Metered>>,
}

impl QuotaFlush {
    /// Nothing waits yet.
    pub fn new(
        store: Store,
        limiter: Arc<Limiter>,
        replica: String,
        flushing: Arc<Flushing>,
    ) -> Self {
        let (waiting, readers) = Default::default();
        Self { store, limiter, replica, number: 1, waiting, flushing, readers }
    }

    /// Flushes at an interval, and once more when told to stop.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut failing = false;
        if let Err(error) = self.store.forget_quota_batches().await {
            warn!(error = chain(&error), "batches of replicas that ended could not be forgotten");
        }
        while let Some(()) = stop.run_until_cancelled(sleep(interval)).await {
            let flushed = self.flush(clock::wall()).await;
            self.flushing.ended(&flushed, clock::wall());
            match (flushed, failing) {
                (Ok(()), true) => {
                    info!("quotas are stored again");
                    failing = false;
                }
                (Err(error), false) => {
                    warn!(error = chain(&error), "quotas cannot be stored; keeping them");
                    failing = true;
                }
                (Ok(()), false) | (Err(_), true) => {}
            }
        }
        match timeout(LAST_FLUSH_TIME_MAX, self.flush(clock::wall())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(error = chain(&error), "the last uses of quotas are lost"),
            Err(_elapsed) => {
                warn!("the last uses of quotas are lost: the database did not answer in time");
            }
        }
    }

    /// Writes what waits, then what was used since.
    pub async fn flush(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.write_waiting(now).await?;
        self.collect();
        self.write_waiting(now).await
    }

    async fn write_waiting(&mut self, now: Timestamp) -> Result<(), StoreError> {
        while let Some(uses) = self.waiting.front() {
            let (replica, number) = (self.replica.clone(), self.number);
            let batch = Batch { replica, number, uses: uses.clone() };
            let known = self.store.record_quotas(&batch).await?;
            self.waiting.pop_front();
            self.number += 1;
            for known in &known {
                self.tell(known, now);
            }
        }
        self.readers.clear();
        Ok(())
    }

    /// Takes what was used, in parts that have no quota twice.
    fn collect(&mut self) {
        let mut uses = self.limiter.take_settled();
        for metered in self.limiter.to_store.drain() {
            metered.to_store.clear();
            for gauge in metered.gauges() {
                uses.extend(uses_of(&metered.owner, &gauge));
            }
            self.readers.insert(metered.owner.to_string(), metered);
        }
        while !uses.is_empty() {
            let mut there: HashSet<(Owner, LimitName)> = HashSet::new();
            let is_first = |used: &QuotaUse| there.insert((used.owner.clone(), used.name.clone()));
            let (once, again): (Vec<_>, Vec<_>) = uses.into_iter().partition(is_first);
            self.waiting.extend(once.chunks(BATCH_USES_MAX).map(<[QuotaUse]>::to_vec));
            uses = again;
        }
    }

    fn tell(&self, known: &Known, now: Timestamp) {
        let Some(metered) = self.readers.get(&known.owner) else { return };
        let gauge = metered.gauge(&known.name);
        if let Some(Gauge { dial: Dial::Quota(quota, meter), .. }) = gauge {
            meter.stored(quota, &known.stored, now);
        }
    }
}

fn uses_of(owner: &Owner, gauge: &Gauge<'_>) -> Vec<QuotaUse> {
    let Dial::Quota(quota, meter) = gauge.dial else { return Vec::new() };
    let unstored = meter.take_unstored().into_iter();
    let uses = unstored.map(|unstored| QuotaUse {
        owner: owner.clone(),
        name: gauge.limit.name.clone(),
        period: quota.period(),
        start: unstored.start,
        amount: unstored.amount,
        limit: quota.limit(),
    });
    uses.collect()
}
