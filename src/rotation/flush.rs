//! The task between noted upgrades and the database: new digests in batches, and once in a while which
//! peppers there are, which of them are needed here, and how many secrets each has.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::Upgrades;
use crate::{
    clock,
    metrics::{Flushing, PepperCounts},
    model::{
        caller::Actor,
        pepper::{PepperId, Peppers, Upgrade},
    },
    replica::Replica,
    store::{Store, error::StoreError, peppers::KnownPepper, write::Intent},
    telemetry::chain,
};

/// Keys that get their new digest with one revision.
const BATCH_KEYS_MAX: usize = 1_000;
/// How often to look whether there is something to store.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often to tell the database which peppers there are.
const SEE_EVERY: Duration = Duration::from_secs(60);
/// How often to tell the log that one is missing.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);
/// How often to count secrets, while there are several peppers that are not retired: it reads all keys.
const COUNT_EVERY: Duration = Duration::from_secs(300);
/// A batch that took no time at all is still followed by a pause.
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Whether the task goes on.
enum Goes {
    On,
    NoFurther,
}

/// What became of some upgrades.
enum Stored {
    /// So many keys changed.
    Keys(usize),
    /// Another pepper became current elsewhere.
    Elsewhere,
    /// An import is under way that must find keys by their old digests.
    Later,
}

/// When to do what again; `None`: at once.
#[derive(Default)]
struct Plan {
    see: Option<clock::Deadline>,
    count: Option<clock::Deadline>,
    complain: Option<clock::Deadline>,
}

impl Plan {
    fn is_due(at: Option<clock::Deadline>) -> bool {
        at.is_none_or(|at| at.is_over())
    }
}

/// Moves keys to the current pepper as they are used.
#[derive(Debug)]
pub struct Rotation {
    /// The database.
    pub store: Store,
    /// The peppers of this process.
    pub peppers: Arc<Peppers>,
    /// What is noted.
    pub upgrades: Arc<Upgrades>,
    /// Which knows of keys whose pepper this process has not.
    pub replica: Arc<Replica>,
    /// Where it says how it is.
    pub flushing: Arc<Flushing>,
    /// Where it says how many secrets each pepper has.
    pub counts: Arc<PepperCounts>,
}

impl Rotation {
    /// Works until told to stop, or until the pepper that is current here was retired, or the database
    /// needs another one. What is not stored by then is noted again by the keys' next use.
    pub async fn run(self, stop: CancellationToken) {
        let mut plan = Plan::default();
        let (mut failing, mut dropped) = (false, 0);
        while !stop.is_cancelled() {
            let worked = self.work(&mut plan, &stop).await;
            self.flushing.ended(&worked, clock::wall());
            match (worked, failing) {
                (Ok(Goes::On), true) => {
                    info!("new digests of keys are stored again");
                    failing = false;
                }
                (Ok(Goes::On), false) | (Err(_), true) => {}
                (Ok(Goes::NoFurther), _) => return,
                (Err(error), false) => {
                    warn!(
                        error = chain(&error),
                        "new digests cannot be stored, nor told which peppers are here; trying again"
                    );
                    failing = true;
                }
            }
            if self.upgrades.dropped() > dropped {
                dropped = self.upgrades.dropped();
                warn!(dropped, "too many keys wait for a new digest; some wait for another use");
            }
            self.complain(&mut plan).await;
            stop.run_until_cancelled(sleep(LOOK_EVERY)).await;
        }
    }

    /// What is to be done now.
    async fn work(&self, plan: &mut Plan, stop: &CancellationToken) -> Result<Goes, StoreError> {
        if Plan::is_due(plan.see) {
            let Some(known) = self.see().await? else { return Ok(Goes::NoFurther) };
            plan.see = Some(clock::Deadline::after(SEE_EVERY));
            let current = self.peppers.current().id();
            let target = known.iter().find(|known| known.is_target);
            self.upgrades.want(target.is_some_and(|target| target.id == current));
            if known.iter().any(|known| known.id == current && known.retire_time.is_some()) {
                // new keys would be unknown to other replicas
                error!(pepper = %current, "the pepper that new keys are digested with was retired");
                return Ok(Goes::NoFurther);
            }
            if known.iter().filter(|known| known.retire_time.is_none()).count() <= 1 {
                self.counts.set(BTreeMap::new());
            } else if Plan::is_due(plan.count) {
                plan.count = Some(clock::Deadline::after(COUNT_EVERY));
                if let Err(error) = self.count(&known).await {
                    debug!(error = chain(&error), "secrets cannot be counted now");
                }
            }
        }
        self.flush(plan, stop).await?;
        Ok(Goes::On)
    }

    /// Says which peppers are here, and learns which there are. A database that does not know one of ours
    /// is not the one that this process began with: it was restored from before that pepper came, and is
    /// told of it as at a start. `None`: these peppers must not serve it.
    async fn see(&self) -> Result<Option<Vec<KnownPepper>>, StoreError> {
        let known = self.store.see_peppers(&self.peppers).await?;
        if self.peppers.ids().all(|ours| known.iter().any(|known| known.id == ours)) {
            return Ok(Some(known));
        }
        match self.store.recognise_peppers(&self.peppers).await {
            Ok(_retired) => {
                warn!("the database did not know all peppers of this process, and does now");
                self.store.known_peppers().await.map(Some)
            }
            Err(
                error @ (StoreError::MissingPepper { .. }
                | StoreError::RetiredPepper { .. }
                | StoreError::Corrupt { .. }),
            ) => {
                error!(
                    error = chain(&error),
                    "the peppers of this process do not fit the database"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the log, as soon as it is so and then every minute, that a pepper is missing.
    async fn complain(&self, plan: &mut Plan) {
        let keys = self.replica.lacking();
        if keys == 0 || !Plan::is_due(plan.complain) {
            return;
        }
        plan.complain = Some(clock::Deadline::after(COMPLAIN_EVERY));
        let missing = match self.store.known_peppers().await {
            Ok(known) => known
                .iter()
                .filter(|known| known.retire_time.is_none() && !self.has(known.id))
                .map(|known| known.id.to_string())
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => format!("not known now: {}", chain(&error)),
        };
        error!(
            peppers = missing,
            keys,
            "keys need a pepper that this process does not have, so keys that it does not know are \
             answered with UNAVAILABLE; give the pepper by KEYWARD_OTHER_PEPPER_FILES and restart"
        );
    }

    fn has(&self, id: PepperId) -> bool {
        self.peppers.ids().any(|ours| ours == id)
    }

    async fn count(&self, known: &[KnownPepper]) -> Result<(), StoreError> {
        let uses = self.store.pepper_uses().await?;
        let secrets = |id| {
            let found = uses.iter().find(|found| found.id == id);
            found.map_or(0, |found| u64::try_from(found.secrets).unwrap_or(0))
        };
        let counts: BTreeMap<String, u64> = known
            .iter()
            .filter(|known| known.retire_time.is_none())
            .map(|known| (known.id.to_string(), secrets(known.id)))
            .collect();
        self.counts.set(counts);
        Ok(())
    }

    /// Stores all that was noted, until it is time to look at the peppers again. Half of the time is left
    /// to others. What is noted meanwhile waits, so that this ends however many keys are used.
    async fn flush(&self, plan: &Plan, stop: &CancellationToken) -> Result<(), StoreError> {
        loop {
            let batch = self.upgrades.take(BATCH_KEYS_MAX);
            if batch.is_empty() || stop.is_cancelled() {
                return Ok(());
            }
            let begun = clock::boot();
            match self.store(&batch).await {
                Ok(Stored::Keys(keys)) => {
                    debug!(keys, "keys have digests of the current pepper now");
                }
                Ok(Stored::Elsewhere) => {
                    self.upgrades.want(false);
                    return Ok(());
                }
                Ok(Stored::Later) => {
                    debug!("new digests wait for an import from before the current pepper came");
                    self.upgrades.put_back(&batch);
                    return Ok(());
                }
                // another key has come to have one of the digests; those that can be stored are noted
                // again by their next use
                Err(StoreError::Constraint { .. }) => {}
                Err(error) => {
                    self.upgrades.put_back(&batch);
                    return Err(error);
                }
            }
            let pause = clock::boot().since(begun).clamp(PAUSE_MIN, PAUSE_MAX);
            stop.run_until_cancelled(sleep(pause)).await;
            if batch.len() < BATCH_KEYS_MAX || Plan::is_due(plan.see) {
                return Ok(());
            }
        }
    }

    /// Stores some, if it may be done now.
    async fn store(&self, batch: &[Upgrade]) -> Result<Stored, StoreError> {
        let pepper = self.peppers.current().id();
        self.store
            .retry(|| async {
                let mut session = self.store.session().await?;
                let mut tx = session.write(intent()).await?;
                if !tx.is_target_pepper(pepper).await? {
                    return Ok(Stored::Elsewhere);
                }
                if tx.is_upgrade_held_up(pepper).await? {
                    return Ok(Stored::Later);
                }
                let keys = tx.upgrade_digests(pepper, batch).await?;
                tx.settle().await?;
                Ok(Stored::Keys(keys))
            })
            .await
    }
}

fn intent() -> Intent {
    Intent {
        action: String::from("peppers.upgrade"),
        actor: Actor::Keyward,
        peer: None,
        time: clock::wall(),
        request: None,
    }
}
