//! Telling the others in the background what was taken here, and hearing what they took.
//!
//! In mode `fast` this is all there is between replicas. In mode `exact` it carries what is not asked of
//! Redis first: calls of operators, and what was taken while Redis was away.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Away, Shared,
    command::{Command, Verb, learn, told},
};
use crate::{
    clock,
    model::{
        meter::{Dial, Gauge, Metered},
        reservation::Tag,
        time::Timestamp,
    },
    telemetry::chain,
};

/// Things whose limits are told with one script.
const THINGS_MAX: usize = 128;
/// How long others may take to hear of it. In mode `fast` a part of the bound on overshoot.
pub(super) const PUSH_TIME_MAX: Duration = Duration::from_millis(100);
/// What telling the last may take when the process ends.
const LAST_PUSH_TIME_MAX: Duration = Duration::from_secs(1);

impl Shared {
    pub(super) async fn push(&self, stop: CancellationToken) {
        while let Some(()) = stop.run_until_cancelled(sleep(self.push_interval)).await {
            self.push_all().await;
        }
        drop(timeout(LAST_PUSH_TIME_MAX, self.push_all()).await);
    }

    /// Tells all that waits. What cannot be told waits on.
    async fn push_all(&self) {
        if self.limiter.is_degraded() {
            return;
        }
        for (id, cost) in self.take_abandoned() {
            if let Err(away) = self.settle(id, cost, clock::now()).await {
                debug!(error = chain(&away), "a reservation is left to end by itself");
            }
        }
        // a cluster has one part of domains in one place, others have all
        let mut by_tag: HashMap<Option<Tag>, Vec<Arc<Metered>>> = HashMap::new();
        for metered in self.limiter.to_share.drain() {
            let tag = self.link.is_cluster().then_some(metered.tag);
            by_tag.entry(tag).or_default().push(metered);
        }
        let (mut away, begun) = (None, clock::boot());
        for all in by_tag.values() {
            for batch in all.chunks(THINGS_MAX) {
                match away {
                    None => away = self.push_batch(batch).await.err(),
                    Some(_) => self.put_back(batch),
                }
            }
        }
        if away.is_none() {
            self.syncing.heard(begun);
        }
    }

    async fn push_batch(&self, batch: &[Arc<Metered>]) -> Result<(), Away> {
        let outage = self.limiter.outage();
        let now = clock::now();
        let mut command = Command::new(&self.link.prefix, Verb::Force, None, "");
        let mut told_of = Vec::new();
        for metered in batch {
            metered.to_share.clear();
            for gauge in metered.gauges() {
                if let Some(tokens) = tokens_of(&gauge, outage) {
                    command.add(metered, &gauge, (tokens, outage), now);
                    told_of.push((gauge, tokens));
                }
            }
        }
        let answer = match self.link.connection() {
            Ok(connection) => {
                let script = command.finish(None);
                let answer = connection.run::<Vec<i64>>(&script);
                self.link.answer(PUSH_TIME_MAX, answer).await
            }
            Err(away) => Err(away),
        };
        match answer {
            Ok(answer) => {
                learn_all(&told_of, &answer, outage);
                Ok(())
            }
            Err(away) => {
                for (gauge, tokens) in told_of {
                    if let Dial::Rate(_, meter) = gauge.dial {
                        meter.put_unshared(tokens);
                    }
                }
                for metered in batch {
                    self.limiter.to_share.add(metered, &metered.to_share);
                }
                Err(away)
            }
        }
    }

    /// Those that were not looked at wait for the next time.
    fn put_back(&self, batch: &[Arc<Metered>]) {
        for metered in batch {
            metered.to_share.clear();
            self.limiter.to_share.add(metered, &metered.to_share);
        }
    }
}

fn learn_all(told_of: &[(Gauge<'_>, i64)], answer: &[i64], outage: u32) {
    let now = clock::now();
    for ((gauge, _), told) in told_of.iter().zip(told(answer)) {
        learn(gauge, told, (Timestamp::DISTANT_PAST, 0), outage, now);
    }
}

/// What is to be told of a rate. After an outage what this replica counted by itself is: it is told how
/// much is used by that, and not what was taken one by one, much of which is over by now.
fn tokens_of(gauge: &Gauge<'_>, outage: u32) -> Option<i64> {
    let Dial::Rate(_, meter) = gauge.dial else { return None };
    let tokens = meter.take_unshared();
    Some(if meter.is_forgotten(outage) { 0 } else { tokens })
}
