//! What is done in the background: jobs, notices, and what the database has of them and of keys that expire.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    Gathering, Source,
    gathering::number,
    table::{self, ITEM_OUTCOMES, JOB_KINDS, JOB_OUTCOMES, NOTICE_OUTCOMES, WITHIN},
};
use crate::model::{
    job::{JobKind, JobState},
    notice::Census,
    time::{BootTime, Now, Timestamp},
};

/// Counts that are older are not told: nobody knows how it is now.
const CENSUS_AGE_MAX: Duration = Duration::from_secs(15 * 60);

/// What was last counted in the database.
#[derive(Debug, Default)]
pub struct Counted(Mutex<Option<(BootTime, Census)>>);

impl Counted {
    /// It was so at this time.
    pub fn is(&self, census: Census, at: BootTime) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, census));
    }
}

impl Source for Counted {
    /// Nothing before the first count, and nothing when the last one is old.
    fn tell(&self, to: &mut Gathering) {
        let counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, census)) = &*counted
            && to.now.boot.since(*at) <= CENSUS_AGE_MAX
        {
            tell_census(census, to);
        }
    }
}

fn tell_census(census: &Census, to: &mut Gathering) {
    to.add(&table::KEYS_EXPIRED, &[], count(census.expired));
    for (within, keys) in WITHIN.iter().zip(census.expiring) {
        to.add(&table::KEYS_EXPIRING, &[within], count(keys));
    }
    for state in JobState::ALL {
        let of_state = census.jobs.iter().filter(|(_, its, ..)| *its == state);
        let jobs: i64 = of_state.map(|(_, _, many, _)| many).sum();
        to.add(&table::JOBS, &[state.as_str()], count(jobs));
    }
    for kind in JobKind::ALL {
        let succeeded =
            |(its, state, ..): &&(_, _, _, _)| *its == kind && *state == JobState::Succeeded;
        let last = census.jobs.iter().find(succeeded).and_then(|(_, _, _, last)| *last);
        let micros = last.map_or(0, Timestamp::micros);
        to.add(&table::JOB_SUCCESS, &[kind.as_str()], count(micros) / 1e6);
    }
    to.add(&table::NOTICES_WAITING, &[], count(census.waiting));
    let age = census.waiting_since.map_or(0, |since| age_micros(since.micros(), to.now));
    to.add(&table::NOTICES_AGE, &[], count(age) / 1e6);
}

fn age_micros(since: i64, now: Now) -> i64 {
    now.wall.micros().saturating_sub(since)
}

/// A count as metrics have it; below zero is zero.
fn count(count: i64) -> f64 {
    number(u64::try_from(count).unwrap_or(0))
}

/// What became of items of jobs that this replica worked on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Items {
    /// Were done.
    pub done: i64,
    /// Could not be done.
    pub failed: i64,
    /// There was nothing to do.
    pub skipped: i64,
}

/// What this replica did of jobs.
#[derive(Debug, Default)]
pub struct Working {
    items: [[AtomicU64; ITEM_OUTCOMES.len()]; JOB_KINDS.len()],
    ended: [[AtomicU64; JOB_OUTCOMES.len()]; JOB_KINDS.len()],
}

impl Working {
    /// A batch came to this.
    pub fn worked(&self, kind: JobKind, items: Items) {
        if let Some(counts) = self.items.get(place(kind)) {
            for (counter, more) in counts.iter().zip([items.done, items.failed, items.skipped]) {
                counter.fetch_add(u64::try_from(more).unwrap_or(0), Relaxed);
            }
        }
    }

    /// A job has done all its items.
    pub fn succeeded(&self, kind: JobKind) {
        self.ended(kind, 0);
    }

    /// A job could not go on.
    pub fn failed(&self, kind: JobKind) {
        self.ended(kind, 1);
    }

    fn ended(&self, kind: JobKind, outcome: usize) {
        if let Some(counter) = self.ended.get(place(kind)).and_then(|counts| counts.get(outcome)) {
            counter.fetch_add(1, Relaxed);
        }
    }
}

fn place(kind: JobKind) -> usize {
    JobKind::ALL.iter().position(|other| *other == kind).unwrap_or(usize::MAX)
}

impl Source for Working {
    fn tell(&self, to: &mut Gathering) {
        for ((kind, items), ended) in JOB_KINDS.iter().zip(&self.items).zip(&self.ended) {
            for (outcome, counter) in ITEM_OUTCOMES.iter().zip(items) {
                to.add(&table::JOB_ITEMS, &[kind, outcome], number(counter.load(Relaxed)));
            }
            for (outcome, counter) in JOB_OUTCOMES.iter().zip(ended) {
                to.add(&table::JOBS_ENDED, &[kind, outcome], number(counter.load(Relaxed)));
            }
        }
    }
}

/// What this replica did of notices.
#[derive(Debug, Default)]
pub struct Noticing {
    /// The receiver took them.
    pub sent: AtomicU64,
    /// They were tried for too long.
    pub given_up: AtomicU64,
    /// They were not due any more.
    pub dropped: AtomicU64,
    /// Tries that failed.
    pub failures: AtomicU64,
}

impl Source for Noticing {
    fn tell(&self, to: &mut Gathering) {
        let counters = [&self.sent, &self.given_up, &self.dropped];
        for (outcome, counter) in NOTICE_OUTCOMES.iter().zip(counters) {
            to.add(&table::NOTICES, &[outcome], number(counter.load(Relaxed)));
        }
        to.add(&table::NOTICE_FAILURES, &[], number(self.failures.load(Relaxed)));
    }
}

#[cfg(test)]
mod tests {
    use super::{super::table::JOB_STATES, *};
    use crate::metrics::{
        Registry,
        text::{Form, text},
    };

    fn shown(source: impl Source + 'static, boot_seconds: u64) -> Vec<String> {
        let registry = Registry::default();
        registry.add(source);
        let boot = BootTime::from_nanos(boot_seconds * 1_000_000_000);
        let now = Now { wall: Timestamp::from_micros(90_000_000), boot };
        text(&registry.gather(now), Form::Plain).lines().map(str::to_owned).collect()
    }

    fn census() -> Census {
        let ended = Some(Timestamp::from_micros(5_000_000));
        Census {
            expired: 4,
            expiring: [1, 2, 3],
            jobs: vec![
                (JobKind::ImportKeys, JobState::Succeeded, 5, ended),
                (JobKind::PurgeKeys, JobState::Succeeded, 2, None),
                (JobKind::PurgeKeys, JobState::Failed, 1, ended),
            ],
            waiting: 6,
            waiting_since: Some(Timestamp::from_micros(80_000_000)),
        }
    }

    #[test]
    fn the_table_knows_all_kinds_and_states_of_jobs() {
        assert_eq!(JOB_KINDS, JobKind::ALL.map(JobKind::as_str));
        assert_eq!(JOB_STATES, JobState::ALL.map(JobState::as_str));
    }

    #[test]
    fn what_was_counted_is_told_for_a_quarter_of_an_hour() {
        let counted = || {
            let counted = Counted::default();
            counted.is(census(), BootTime::from_nanos(0));
            counted
        };
        let lines = shown(counted(), 900);
        for line in [
            "keyward_keys_expiring{within=\"7d\"} 2",
            "keyward_keys_expired 4",
            "keyward_jobs{state=\"succeeded\"} 7",
            "keyward_jobs{state=\"failed\"} 1",
            "keyward_jobs{state=\"running\"} 0",
            "keyward_job_success_timestamp_seconds{kind=\"import_keys\"} 5",
            "keyward_job_success_timestamp_seconds{kind=\"purge_keys\"} 0",
            "keyward_notices_waiting 6",
            "keyward_notices_age_seconds 10",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:#?}");
        }
        assert_eq!(shown(counted(), 901), [""; 0]);
        assert_eq!(shown(Counted::default(), 0), [""; 0]);
    }

    #[test]
    fn items_and_ends_of_jobs_are_counted_by_kind() {
        let working = Working::default();
        working.worked(JobKind::RevokeKeys, Items { done: 3, failed: 2, skipped: 1 });
        working.worked(JobKind::RevokeKeys, Items { done: 1, ..Items::default() });
        working.succeeded(JobKind::RevokeKeys);
        working.failed(JobKind::ImportKeys);
        let lines = shown(working, 0);
        for line in [
            "keyward_job_items_total{kind=\"revoke_keys\",outcome=\"done\"} 4",
            "keyward_job_items_total{kind=\"revoke_keys\",outcome=\"failed\"} 2",
            "keyward_job_items_total{kind=\"revoke_keys\",outcome=\"skipped\"} 1",
            "keyward_job_items_total{kind=\"import_keys\",outcome=\"done\"} 0",
            "keyward_jobs_ended_total{kind=\"revoke_keys\",outcome=\"succeeded\"} 1",
            "keyward_jobs_ended_total{kind=\"import_keys\",outcome=\"failed\"} 1",
            "keyward_jobs_ended_total{kind=\"import_keys\",outcome=\"succeeded\"} 0",
        ] {
            assert!(lines.iter().any(|shown| shown == line), "{line}: {lines:#?}");
        }
    }
}
