//! The task that makes notices and sends them, one after the other, on one replica at a time.
//!
//! What is to be sent and what became of it is in the database. A replica that ends or hangs leaves its hold
//! after a while, and the next one goes on; what was sent and not noted is sent again, with the same id.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    clock::{self, Deadline},
    metrics::Noticing,
    model::{
        notice::{Notice, Thresholds, Told},
        time::Timestamp,
    },
    notices::{
        Failure, Letter, Post,
        message::{body, span},
        patience,
        signature::Secrets,
    },
    store::{
        Store,
        error::StoreError,
        notices::{Hold, Verdict},
    },
    telemetry::chain,
};

/// For how long others leave notices alone after their replica was last heard of: longer than a batch takes
/// with the longest answer that is waited for.
const LEASE: Duration = Duration::from_secs(60);
/// How often to see whether there is something to send, or another replica has gone.
const IDLE: Duration = Duration::from_secs(2);
/// After the database was away.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Notices that are made by one statement, and that are read together to be sent.
const MADE_TOGETHER_MAX: i64 = 5_000;
const READ_TOGETHER_MAX: i64 = 50;
/// After that time a batch ends, and the hold is renewed.
const BATCH_TIME_MAX: Duration = Duration::from_secs(10);
/// From one request to the next: 20 each second at most.
const SPACING: Duration = Duration::from_millis(50);
/// What a request may still take when the process ends.
const LAST_REQUEST_TIME_MAX: Duration = Duration::from_secs(5);
/// Keys that ended before that are not told of any more.
const LATE_MAX: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// How many times as long as a look took the next one waits at least.
const PAUSE_FACTOR: u32 = 20;

/// Makes and sends notices.
#[derive(Debug)]
pub struct Deliver<P> {
    /// Where they are kept.
    pub store: Store,
    /// What brings them to their receiver.
    pub post: P,
    /// What they are signed with.
    pub secrets: Secrets,
    /// How long before its end a key is told of.
    pub thresholds: Thresholds,
    /// How often to look for keys.
    pub interval: Duration,
    /// This replica: another name after each start.
    pub replica: String,
    /// Where is counted.
    pub noticing: Arc<Noticing>,
}

/// What the task knows from one round to the next.
struct Course {
    /// When to look for keys again.
    look_at: Deadline,
    /// Until when nothing is sent, since the receiver is down.
    pause: Deadline,
    /// Failures of the receiver one after the other.
    failures: u32,
}

impl<P: Post> Deliver<P> {
    /// Goes on until told to stop; then another replica goes on at once.
    pub async fn run(self, stop: CancellationToken) {
        let now = || Deadline::after(Duration::ZERO);
        let mut course = Course { look_at: now(), pause: now(), failures: 0 };
        let mut failing = false;
        while !stop.is_cancelled() {
            let rest = match self.round(&mut course, &stop).await {
                Ok(rest) => {
                    failing = false;
                    rest
                }
                Err(error) => {
                    if !failing {
                        warn!(error = chain(&error), "notices have to wait for the database");
                        failing = true;
                    }
                    AGAIN_AFTER
                }
            };
            stop.run_until_cancelled(sleep(rest)).await;
        }
        if let Err(error) = self.store.release_notices(&self.replica).await {
            debug!(error = chain(&error), "notices are left to others later only");
        }
    }

    /// Looks for keys if it is time, and sends a batch; says how long to rest.
    async fn round(
        &self,
        course: &mut Course,
        stop: &CancellationToken,
    ) -> Result<Duration, StoreError> {
        let idle = IDLE.min(self.interval);
        let Some(hold) = self.store.hold_notices(&self.replica, LEASE).await? else {
            return Ok(idle);
        };
        if course.look_at.is_over() {
            let begun = clock::boot();
            let all = self.look(hold).await?;
            let took = clock::boot().since(begun);
            let rest = if all { self.interval.max(took * PAUSE_FACTOR) } else { took };
            course.look_at = Deadline::after(rest);
            // it may have taken long: the hold is renewed before anything is sent
            return Ok(Duration::ZERO);
        }
        let more = course.pause.is_over() && self.send_batch(course, stop).await?;
        Ok(if more { Duration::ZERO } else { idle })
    }

    /// Makes notices of keys that have passed a threshold; says whether of all. Those that ended since the
    /// last look, when no replica was there to see it, are told of late.
    async fn look(&self, hold: Hold) -> Result<bool, StoreError> {
        let now = clock::wall();
        let late_since = hold.looked.unwrap_or(now).max(now.before(LATE_MAX));
        for window in self.thresholds.windows(late_since, now) {
            let made = self.store.make_notices(&window, now, MADE_TOGETHER_MAX).await?;
            if made > 0 {
                let threshold = span(window.threshold);
                info!(notices = made, threshold, "keys are about to expire");
            }
            if made >= MADE_TOGETHER_MAX {
                return Ok(false);
            }
        }
        self.store.looked_for_notices(&self.replica, now).await?;
        let before = now.before(patience::GIVE_UP_AFTER);
        let given_up = self.store.give_up_notices(before, now).await?;
        if given_up > 0 {
            self.noticing.given_up.fetch_add(given_up, Relaxed);
            warn!(notices = given_up, "notices are given up: nobody took them for three days");
        }
        Ok(true)
    }

    /// Sends what is due, until the receiver fails; says whether there may be more to send at once.
    async fn send_batch(
        &self,
        course: &mut Course,
        stop: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let end = Deadline::after(BATCH_TIME_MAX);
        let notices = self.store.next_notices(clock::wall(), READ_TOGETHER_MAX).await?;
        let more = !notices.is_empty();
        for notice in notices {
            if end.is_over() || stop.is_cancelled() {
                break;
            }
            let Some(told) = &notice.told else {
                self.store.drop_notice(notice.id).await?;
                self.noticing.dropped.fetch_add(1, Relaxed);
                info!(notice.id = %notice.id, key.id = %notice.key, "a notice is not due any more");
                continue;
            };
            let begun = clock::boot();
            let bringing = self.post.bring(self.letter(&notice, told, clock::wall()));
            let brought = tokio::select! {
                brought = bringing => brought,
                // whether it arrived is not known, so it is sent again, with the same id
                () = too_late(stop) => return Ok(false),
            };
            match brought {
                Ok(()) => {
                    course.failures = 0;
                    self.noted_as_sent(&notice).await?;
                }
                Err(failure) => {
                    course.failures = course.failures.saturating_add(1);
                    let pause = patience::pause(course.failures, &failure);
                    course.pause = Deadline::after(pause);
                    self.noted_as_failed(&notice, &failure).await?;
                    return Ok(false);
                }
            }
            sleep(SPACING.saturating_sub(clock::boot().since(begun))).await;
        }
        Ok(more)
    }

    fn letter(&self, notice: &Notice, told: &Told, now: Timestamp) -> Letter {
        let (id, timestamp) = (notice.id.to_string(), now.micros().div_euclid(1_000_000));
        let body = body(notice, told);
        let signature = self.secrets.sign(&id, timestamp, &body);
        Letter { id, timestamp, signature, body }
    }

    async fn noted_as_sent(&self, notice: &Notice) -> Result<(), StoreError> {
        self.store.settle_notice(notice.id, Verdict::Sent, clock::wall()).await?;
        self.noticing.sent.fetch_add(1, Relaxed);
        let threshold = span(notice.threshold);
        info!(
            notice.id = %notice.id, key.id = %notice.key, threshold, tries = notice.tries,
            "a notice was sent"
        );
        Ok(())
    }

    async fn noted_as_failed(&self, notice: &Notice, failure: &Failure) -> Result<(), StoreError> {
        self.noticing.failures.fetch_add(1, Relaxed);
        let (now, why) = (clock::wall(), chain(failure).clone());
        if let Some(again) = patience::next_try(notice, now) {
            warn!(
                notice.id = %notice.id, key.id = %notice.key, tries = notice.tries, error = why,
                "a notice was not taken; it will be sent again"
            );
            return self.store.settle_notice(notice.id, Verdict::Again(again, &why), now).await;
        }
        warn!(
            notice.id = %notice.id, key.id = %notice.key, tries = notice.tries, error = why,
            "a notice is given up: nobody took it for three days"
        );
        self.store.settle_notice(notice.id, Verdict::GivenUp(&why), now).await?;
        self.noticing.given_up.fetch_add(1, Relaxed);
        Ok(())
    }
}

/// Waits until told to stop, and some time more.
async fn too_late(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_REQUEST_TIME_MAX).await;
}
