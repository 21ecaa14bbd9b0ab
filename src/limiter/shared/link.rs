//! The connection to Redis, and whether it answers.
//!
//! One task keeps it: it connects, says every half second that this replica is there, and learns how
//! many there are. As soon as Redis fails, every replica enforces its share, one part in as many; when it
//! answers in time again, several times in a row, limits are shared again.

use std::{
    cmp::Ordering,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use redis::{RedisError, Script, ScriptInvocation};
use thiserror::Error;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    clock,
    limiter::{
        Limiter,
        shared::server::{CONNECT_TIME_MAX, Connection, Server},
    },
    telemetry::chain,
};

const PRESENCE_INTERVAL: Duration = Duration::from_millis(500);
/// How long a replica counts after it was last there.
const PRESENCE_MILLIS: u32 = 5000;
/// For how long a number of replicas counts although fewer were there since: Redis may have forgotten them.
const REPLICAS_HELD: Duration = Duration::from_secs(10);
/// A connection on which nothing comes back for so long is given up.
const SILENCE_MAX: Duration = Duration::from_millis(250);
/// So many answers in time, one after the other, mean that Redis is back; one each so often. It may answer
/// these and fail on limits: then it takes ever more of them.
const GOOD_ANSWERS: u32 = 5;
const GOOD_ANSWERS_MAX: u32 = 100;
/// A time without failures after which all is as it was.
const STEADY_AFTER: Duration = Duration::from_secs(5);
const GOOD_ANSWERS_INTERVAL: Duration = Duration::from_millis(50);
const RETRY_AFTER_MIN: Duration = Duration::from_millis(50);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(1);

/// Redis did not answer.
#[derive(Clone, Debug, Error)]
pub enum Away {
    /// There is no connection.
    #[error("there is no connection to Redis")]
    Unconnected,
    /// Not in time.
    #[error("Redis did not answer in time")]
    Late,
    /// What it, or the client, says.
    #[error("Redis failed")]
    Failed(#[from] RedisError),
}

/// How late Redis may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// An answer that takes longer is late.
    pub(super) time_max: Duration,
    /// So many late answers in a row do not mean that Redis is away.
    pub(super) lates_max: u32,
}

/// The way to Redis.
#[derive(Debug)]
pub(super) struct Link {
    limiter: Arc<Limiter>,
    server: Server,
    connection: ArcSwapOption<Connection>,
    /// What keys begin with.
    pub(super) prefix: Box<str>,
    /// This replica among the others.
    replica: Box<str>,
    patience: Patience,
    lates: AtomicU32,
    failed: Notify,
    /// Why a question failed last, until that is told.
    failure: Mutex<Option<Away>>,
}

/// What lasts from one connection to the next.
struct Watch {
    /// Until when the number of replicas does not fall.
    held: clock::Deadline,
    /// Whether Redis was found away.
    was_away: bool,
    /// Whether Redis was told of this replica.
    is_known: bool,
    /// How many good answers in a row mean that Redis is back: the more, the oftener it was not for long.
    needed: u32,
    /// After which time without a failure it is back for good.
    steady: clock::Deadline,
}

impl Watch {
    fn note_steady(&mut self) {
        if self.steady.is_over() && self.needed != GOOD_ANSWERS {
            info!("limits are shared through Redis without failures again");
            self.needed = GOOD_ANSWERS;
            self.was_away = false;
        }
    }
}

impl Link {
    pub(super) fn new(
        limiter: Arc<Limiter>,
        server: Server,
        (prefix, replica): (&str, &str),
        patience: Patience,
    ) -> Self {
        Self {
            limiter,
            server,
            connection: ArcSwapOption::empty(),
            prefix: prefix.into(),
            replica: replica.into(),
            patience,
            lates: AtomicU32::new(0),
            failed: Notify::new(),
            failure: Mutex::default(),
        }
    }

    pub(super) const fn is_cluster(&self) -> bool {
        self.server.is_cluster()
    }

    /// The connection, unless Redis is known not to answer.
    pub(super) fn connection(&self) -> Result<Arc<Connection>, Away> {
        let connection = self.connection.load_full().filter(|_| !self.limiter.is_degraded());
        connection.ok_or(Away::Unconnected)
    }

    /// Waits for an answer, for so long, and draws the conclusion if there is none.
    pub(super) async fn answer<T>(
        &self,
        time_max: Duration,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Away> {
        let waits = time_max.cmp(&self.patience.time_max);
        match timeout(time_max, answer).await {
            Ok(Ok(answer)) => {
                if waits == Ordering::Equal {
                    self.lates.store(0, Relaxed);
                }
                Ok(answer)
            }
            Ok(Err(error)) => {
                let away = Away::Failed(error);
                self.fail(&away);
                Err(away)
            }
            Err(_elapsed) => {
                let is_away = match waits {
                    // who waits for a shorter time cannot tell
                    Ordering::Less => false,
                    Ordering::Equal => self.lates.fetch_add(1, Relaxed) >= self.patience.lates_max,
                    Ordering::Greater => true,
                };
                if is_away {
                    self.fail(&Away::Late);
                }
                Err(Away::Late)
            }
        }
    }

    /// Redis does not answer: from now on this replica enforces its share.
    fn fail(&self, away: &Away) {
        if !self.limiter.is_degraded() {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(away.clone());
        }
        self.limiter.degrade();
        self.failed.notify_one();
    }

    /// Keeps the connection until it is told to stop.
    pub(super) async fn keep(&self, stop: CancellationToken) {
        let mut watch = Watch {
            held: clock::Deadline::after(Duration::ZERO),
            was_away: false,
            is_known: false,
            needed: GOOD_ANSWERS,
            steady: clock::Deadline::after(Duration::ZERO),
        };
        let keeping = async {
            let mut retry_after = RETRY_AFTER_MIN;
            loop {
                let away = match self.connect().await {
                    Ok(connection) => {
                        retry_after = RETRY_AFTER_MIN;
                        self.stay(&connection, &mut watch).await
                    }
                    Err(away) => away,
                };
                self.limiter.degrade();
                self.tell_away(&away, &mut watch);
                sleep(retry_after).await;
                retry_after = (retry_after * 2).min(RETRY_AFTER_MAX);
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    fn tell_away(&self, away: &Away, watch: &mut Watch) {
        if watch.was_away {
            debug!(error = chain(away), "Redis is still away");
            return;
        }
        watch.was_away = true;
        let (error, share_of) = (chain(away), self.limiter.replicas());
        if self.connection.load().is_some() {
            warn!(error, share_of, "Redis fails; enforcing a share of limits until it does not");
        } else {
            warn!(
                error,
                share_of, "cannot connect to Redis; enforcing a share of limits until then"
            );
        }
    }

    async fn connect(&self) -> Result<Arc<Connection>, Away> {
        match timeout(CONNECT_TIME_MAX, self.server.connect()).await {
            Ok(connected) => Ok(Arc::new(connected?)),
            Err(_elapsed) => Err(Away::Late),
        }
    }

    /// Says that this replica is there, for as long as Redis answers. Returns why it does not.
    async fn stay(&self, connection: &Arc<Connection>, watch: &mut Watch) -> Away {
        let mut good = 0;
        loop {
            let asked = clock::boot();
            let presence = self.presence();
            let answer = connection.run::<(u32, u32)>(&presence);
            let (added, counted) = match timeout(SILENCE_MAX, answer).await {
                Ok(Ok(told)) => told,
                Ok(Err(error)) => return Away::Failed(error),
                Err(_elapsed) => return Away::Late,
            };
            if std::mem::replace(&mut watch.is_known, true) && added != 0 {
                self.limiter.forgotten(asked);
                warn!("Redis may have forgotten what was used of limits; telling it what is known");
            }
            if counted >= self.limiter.replicas() || watch.held.is_over() {
                self.limiter.count(counted);
                watch.held = clock::Deadline::after(REPLICAS_HELD);
            }
            if self.limiter.is_degraded() {
                let in_time = clock::boot().since(asked) <= self.patience.time_max;
                good = if in_time { good + 1 } else { 0 };
                self.return_after(good, connection, watch).await;
                continue;
            }
            good = 0;
            tokio::select! {
                () = sleep(PRESENCE_INTERVAL) => watch.note_steady(),
                () = self.failed.notified() => self.note_failure(watch),
            }
        }
    }

    /// Shares limits again after enough good answers.
    async fn return_after(&self, good: u32, connection: &Arc<Connection>, watch: &mut Watch) {
        if good < watch.needed {
            sleep(GOOD_ANSWERS_INTERVAL).await;
            return;
        }
        self.lates.store(0, Relaxed);
        self.connection.store(Some(Arc::clone(connection)));
        self.limiter.restore();
        watch.steady = clock::Deadline::after(STEADY_AFTER);
        let replicas = self.limiter.replicas();
        if watch.needed == GOOD_ANSWERS {
            info!(replicas, "limits are shared through Redis");
            watch.was_away = false;
        } else {
            debug!(replicas, "limits are shared through Redis, perhaps not for long");
        }
    }

    /// Redis answers this task, and not those who ask for limits: not each of them tries again.
    fn note_failure(&self, watch: &mut Watch) {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(away) = failure.filter(|_| self.limiter.is_degraded()) else { return };
        self.tell_away(&away, watch);
        let again = !watch.steady.is_over();
        watch.needed = if again { (watch.needed * 2).min(GOOD_ANSWERS_MAX) } else { GOOD_ANSWERS };
    }

    fn presence(&self) -> ScriptInvocation<'static> {
        static SCRIPT: std::sync::LazyLock<Script> =
            std::sync::LazyLock::new(|| Script::new(include_str!("replicas.lua")));
        let mut presence = SCRIPT.prepare_invoke();
        presence.key(format!("{}:replicas", self.prefix));
        presence.arg(&*self.replica).arg(PRESENCE_MILLIS);
        presence
    }
}
