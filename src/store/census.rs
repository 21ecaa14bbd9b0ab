//! What metrics tell of keys, jobs and notices: counted now and then.

use tokio_postgres::types::Type;

use crate::{
    model::{
        job::{JobKind, JobState},
        notice::Census,
        time::Timestamp,
    },
    store::{Store, error::StoreError, row::field},
};

/// By the index on ends: of a span of 31 days.
const KEYS: &str = "-- census.keys
    SELECT count(*) FILTER (WHERE expire_at <= $1) AS expired,
        count(*) FILTER (WHERE expire_at > $1 AND expire_at <= $1 + interval '1 day') AS day,
        count(*) FILTER (WHERE expire_at > $1 AND expire_at <= $1 + interval '7 days') AS week,
        count(*) FILTER (WHERE expire_at > $1) AS month
    FROM keyward.key
    WHERE expire_at > $1 - interval '1 day' AND expire_at <= $1 + interval '30 days'
        AND deleted_at IS NULL AND standing = 'active'";

/// Of 90 days, which is as long as jobs stay.
const JOBS: &str = "-- census.jobs
    SELECT kind, state, count(*) AS many, max(finished_at) AS finished_at
    FROM keyward.job GROUP BY kind, state";

/// Older ones are of a receiver that is not set any more.
const NOTICES: &str = "-- census.notices
    SELECT count(*) AS waiting, min(made_at) AS waiting_since
    FROM keyward.notice WHERE state = 'waiting' AND made_at > $1 - interval '4 days'";

impl Store {
    /// Counts. It takes as long as there are keys that expire within a month: a second for a million, about.
    pub async fn census(&self, now: Timestamp) -> Result<Census, StoreError> {
        let mut census = Census::default();
        if let Some(row) = self.run(KEYS, &[(&now, Type::TIMESTAMPTZ)]).await?.first() {
            census.expired = field(row, "key", "expired")?;
            census.expiring = [
                field(row, "key", "day")?,
                field(row, "key", "week")?,
                field(row, "key", "month")?,
            ];
        }
        for row in &self.run(JOBS, &[]).await? {
            // a newer version may know more kinds and states
            let kind = JobKind::parse(field(row, "job", "kind")?);
            let state = JobState::parse(field(row, "job", "state")?);
            if let (Some(kind), Some(state)) = (kind, state) {
                let many = field(row, "job", "many")?;
                census.jobs.push((kind, state, many, field(row, "job", "finished_at")?));
            }
        }
        if let Some(row) = self.run(NOTICES, &[(&now, Type::TIMESTAMPTZ)]).await?.first() {
            census.waiting = field(row, "notice", "waiting")?;
            census.waiting_since = field(row, "notice", "waiting_since")?;
        }
        Ok(census)
    }
}
