//! The task that feeds the applier from the database.
//!
//! It loads all keys once, then follows the change log: woken by NOTIFY where that works, and by a
//! timer in any case. Whatever goes wrong, it begins again with a new connection and never gives up;
//! decisions go on from what is in memory, and their `data_age` grows.

use std::{convert::Infallible, future::pending, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    clock,
    metrics::{FollowMode, Following},
    model::time::BootTime,
    replica::{Applier, Present, reading::Applying},
    store::{
        Store,
        error::StoreError,
        log::{LogReader, Position},
    },
    telemetry::chain,
};

const RETRY_AFTER_MIN: Duration = Duration::from_millis(100);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);
/// How long a notification may take before we say that none comes.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// The least time between two looks at the log: where many changes follow each other, some are read
/// together. The first after a while is read at once.
const SPACING: Duration = Duration::from_millis(4);
/// The least time between two questions that callers hurry us to.
const NUDGE_SPACING: Duration = Duration::from_millis(25);

/// Follows the change log.
#[derive(Debug)]
pub struct Follower {
    /// Where to read.
    pub store: Store,
    /// What to change.
    pub applier: Applier,
    /// How often to look without being woken.
    pub poll_interval: Duration,
    /// Who waits for a revision asks here to look at once.
    pub nudge: Arc<Notify>,
    /// Told of each revision that was reached.
    pub reached: watch::Sender<i64>,
    /// Where it says how it is.
    pub following: Arc<Following>,
}

impl Follower {
    /// Follows until it is told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut position = None;
        let mut retry_after = RETRY_AFTER_MIN;
        loop {
            let before = position.clone();
            let failure = tokio::select! {
                () = stop.cancelled() => return,
                failure = self.follow_once(&mut position) => failure,
            };
            self.following.lost();
            if let StoreError::Discontinuity { .. } = failure {
                error!(error = chain(&failure), "the change log is broken; loading all keys anew");
                position = None;
                // what was reached in another history promises nothing in this one
                self.applier.restart();
                self.reached.send_replace(0);
            } else if position != before || retry_after == RETRY_AFTER_MIN {
                warn!(
                    error = chain(&failure),
                    "lost the change log; trying again until it is back"
                );
            } else {
                debug!(error = chain(&failure), "the change log is still lost");
            }
            // what went well for a while is tried again at once
            retry_after = if position == before {
                (retry_after * 2).min(RETRY_AFTER_MAX)
            } else {
                RETRY_AFTER_MIN
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(retry_after) => {}
            }
        }
    }

    /// Follows for as long as one connection lasts.
    async fn follow_once(&mut self, position: &mut Option<Position>) -> StoreError {
        let wake = Arc::new(Notify::new());
        let (reader, driver) = match self.store.log_reader(Arc::clone(&wake)).await {
            Ok(connected) => connected,
            Err(error) => return error,
        };
        tokio::select! {
            () = driver => StoreError::Unavailable("the connection ended".into()),
            error = self.read(&reader, &wake, position) => error,
        }
    }

    async fn read(
        &mut self,
        reader: &LogReader,
        wake: &Notify,
        position: &mut Option<Position>,
    ) -> StoreError {
        // listening begins before reading, so that nothing falls between the two
        if let Err(error) = reader.listen().await {
            return error;
        }
        let store = self.store.clone();
        let idle = Notify::new();
        tokio::select! {
            never = probe(&store, &idle) => match never {},
            Err(error) = self.read_on(reader, (wake, &idle), position) => error,
        }
    }

    async fn read_on(
        &mut self,
        reader: &LogReader,
        (wake, idle): (&Notify, &Notify),
        position: &mut Option<Position>,
    ) -> Result<Infallible, StoreError> {
        let mut applied = match position {
            Some(applied) => applied.clone(),
            None => position.insert(self.load(reader).await?).clone(),
        };
        let mut mode = None;
        loop {
            let asked = clock::now();
            self.applier.at(asked);
            let mut sink = Applying::new(&mut self.applier, None);
            let followed = reader.follow(&applied, &mut sink).await?;
            applied = followed.reached;
            self.following.saw_head(followed.head);
            *position = Some(applied.clone());
            self.reach(applied.revision, followed.complete.then_some(asked.boot));
            if followed.complete {
                sleep(SPACING.saturating_sub(clock::boot().since(asked.boot))).await;
                let before = mode.unwrap_or_else(|| {
                    idle.notify_one();
                    Mode::Probing(clock::Deadline::after(PROBE_TIME_MAX))
                });
                self.following.goes(before.told());
                mode = Some(before.after(self.wait(wake).await));
            }
        }
    }

    /// Publishes a revision, first to decisions, then to those who wait for it.
    fn reach(&mut self, revision: i64, complete_at: Option<BootTime>) {
        self.applier.reached(revision, complete_at);
        self.reached.send_replace(revision);
    }

    /// Waits for a reason to look.
    async fn wait(&self, wake: &Notify) -> Woken {
        let nudged = async {
            self.nudge.notified().await;
            sleep(NUDGE_SPACING).await;
        };
        tokio::select! {
            () = wake.notified() => Woken::Notified,
            () = nudged => Woken::Otherwise,
            () = sleep(self.poll_interval) => Woken::Otherwise,
        }
    }

    async fn load(&mut self, reader: &LogReader) -> Result<Position, StoreError> {
        let now = clock::now();
        let started = now.boot;
        self.applier.at(now);
        // what is there already may be gone from the database by now; the first time there is nothing
        let present = (!self.applier.is_empty()).then(Present::default);
        let mut sink = Applying::new(&mut self.applier, present);
        let position = reader.load(&mut sink).await?;
        let Applying { present, keys, .. } = sink;
        if let Some(present) = present {
            self.applier.retain(&present);
        }
        self.reach(position.revision, Some(started));
        let took = clock::boot().since(started);
        self.following.loaded(took);
        self.following.saw_head(position.revision);
        let took_ms = took.as_millis();
        info!(keys, revision = position.revision, took_ms, "loaded all keys");
        Ok(position)
    }
}

/// Sends one notification, while waiting goes on: the pool that it takes a connection from may be
/// busy. Not before that: a pooler lets one through to a reader whose question it passes just then.
async fn probe(store: &Store, idle: &Notify) -> Infallible {
    idle.notified().await;
    if let Err(error) = store.probe().await {
        debug!(error = chain(&error), "cannot try whether NOTIFY arrives");
    }
    pending().await
}

enum Woken {
    Notified,
    Otherwise,
}

/// What is known of whether notifications arrive.
enum Mode {
    /// A probe was sent.
    Probing(clock::Deadline),
    /// They do.
    Listening,
    /// They do not: the connection leads through a pooler.
    Polling,
}

impl Mode {
    const fn told(&self) -> FollowMode {
        match self {
            Self::Probing(_) => FollowMode::Probing,
            Self::Listening => FollowMode::Notify,
            Self::Polling => FollowMode::Poll,
        }
    }

    fn after(self, woken: Woken) -> Self {
        match (self, woken) {
            (Self::Listening, _) => Self::Listening,
            (Self::Probing(_) | Self::Polling, Woken::Notified) => {
                debug!("following the change log by NOTIFY");
                Self::Listening
            }
            (Self::Probing(until), Woken::Otherwise) if until.is_over() => {
                warn!(
                    "NOTIFY does not arrive (a pooler in transaction mode?); following the change \
                     log by polling alone"
                );
                Self::Polling
            }
            (mode, Woken::Otherwise) => mode,
        }
    }
}
