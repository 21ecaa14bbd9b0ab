//! Notices of keys that expire as rows, and which replica makes and sends them.
//!
//! They are no changes of keys: nothing here is audited, and replicas do not hear of it.

use std::time::Duration;

use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        notice::{Notice, NoticeId, Told, Window},
        time::Timestamp,
    },
    store::{Parameter, Store, error::StoreError, row::field},
};

const TABLE: &str = "notice";

const HOLD: &str = "-- notices.hold
    UPDATE keyward.notice_head SET owner = $1,
        lease_expire_at = now() + $2::float8 * interval '1 second'
    WHERE owner = $1 OR lease_expire_at < now()
    RETURNING looked_at";

const RELEASE: &str = "-- notices.release
    UPDATE keyward.notice_head SET lease_expire_at = '-infinity' WHERE owner = $1";

/// Not of a key whose whole life is shorter than the threshold: whoever made it knows. One that has ended
/// meanwhile was not changed since: nobody ended it on purpose. The id is made from what the notice is of: one
/// that may have arrived, was dropped and is made again is known to its receiver.
const MAKE: &str = "-- notices.make
    WITH made AS (
        INSERT INTO keyward.notice (id, key_id, expire_at, threshold_seconds, state, made_at, try_at)
        SELECT encode(substring(sha256(convert_to(concat_ws(' ', k.id,
                to_char(k.expire_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'), $3), 'UTF8'))
                FROM 1 FOR 16), 'hex')::uuid,
            k.id, k.expire_at, $3, 'waiting', $4, $4
        FROM keyward.key AS k
        WHERE k.expire_at > $1 AND k.expire_at <= $2
            AND k.deleted_at IS NULL AND k.standing = 'active'
            AND k.created_at <= k.expire_at - $3 * interval '1 second'
            AND (k.expire_at > $4 OR k.updated_at < k.expire_at)
            AND NOT EXISTS (SELECT FROM keyward.notice AS n WHERE n.key_id = k.id
                AND n.expire_at = k.expire_at AND n.threshold_seconds <= $3)
        ORDER BY k.expire_at LIMIT $5
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT count(*) AS made FROM made";

const LOOKED: &str = "-- notices.looked
    UPDATE keyward.notice_head SET looked_at = greatest(looked_at, $2) WHERE owner = $1";

const NEXT: &str = "-- notices.next
    SELECT n.id, n.key_id, n.expire_at, n.threshold_seconds, n.made_at, n.tries,
        k.display_name, k.hint, k.domain, k.environment, t.id AS user_id, k.customers, k.created_by,
        coalesce(k.deleted_at IS NULL AND k.standing = 'active' AND k.expire_at = n.expire_at
            AND NOT EXISTS (SELECT FROM keyward.notice AS newer WHERE newer.key_id = n.key_id
                AND newer.expire_at = n.expire_at
                AND newer.threshold_seconds < n.threshold_seconds), false) AS wanted
    FROM keyward.notice AS n LEFT JOIN keyward.key AS k ON k.id = n.key_id
        LEFT JOIN keyward.domain_user AS t ON t.uid = k.user_uid
    WHERE n.state = 'waiting' AND n.try_at <= $1
    ORDER BY n.try_at, n.id LIMIT $2";

const SETTLE: &str = "-- notices.settle
    UPDATE keyward.notice SET state = $2, try_at = coalesce($3, try_at), error = $4,
        tries = tries + CASE WHEN $4 IS NULL THEN 0 ELSE 1 END,
        ended_at = CASE WHEN $2 = 'waiting' THEN NULL ELSE $5 END
    WHERE id = $1 AND state = 'waiting'";

/// Those that nobody could even try, since the receiver was left alone.
const GIVE_UP: &str = "-- notices.give_up
    WITH old AS (
        UPDATE keyward.notice SET state = 'given_up', ended_at = $2,
            error = coalesce(error, 'the receiver was away')
        WHERE id IN (
            SELECT id FROM keyward.notice WHERE state = 'waiting' AND made_at < $1 LIMIT 5000)
            AND state = 'waiting'
        RETURNING 1
    )
    SELECT count(*) AS given_up FROM old";

/// So that it is made anew if the key comes back.
const DROP: &str = "-- notices.drop
    DELETE FROM keyward.notice WHERE id = $1 AND state = 'waiting'";

/// As long as a key ends when it did, what was told of it is kept; some time later it is not told again.
const FORGET: &str = "-- notices.forget
    DELETE FROM keyward.notice WHERE id IN (
        SELECT id FROM keyward.notice
        WHERE state <> 'waiting' AND expire_at < now() - interval '30 days' LIMIT 5000)";

/// What became of a notice that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The receiver has it.
    Sent,
    /// It is tried again then, and why.
    Again(Timestamp, &'a str),
    /// It is not tried again, and why.
    GivenUp(&'a str),
}

/// The hold of one replica on notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When all keys were looked at last.
    pub looked: Option<Timestamp>,
}

impl Store {
    /// Takes or keeps the hold on notices for so long. `None`: another replica has it.
    pub async fn hold_notices(
        &self,
        owner: &str,
        lease: Duration,
    ) -> Result<Option<Hold>, StoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&owner, Type::TEXT), (&lease.as_secs_f64(), Type::FLOAT8)];
        let rows = self.run(HOLD, &parameters).await?;
        let hold = |row: &Row| Ok(Hold { looked: field(row, "notice_head", "looked_at")? });
        rows.first().map(hold).transpose()
    }

    /// Lets another replica go on at once.
    pub async fn release_notices(&self, owner: &str) -> Result<(), StoreError> {
        self.run(RELEASE, &[(&owner, Type::TEXT)]).await.map(drop)
    }

    /// Makes notices of keys in a window, `notices_max` at most; says how many were made.
    pub async fn make_notices(
        &self,
        window: &Window,
        now: Timestamp,
        notices_max: i64,
    ) -> Result<i64, StoreError> {
        let parameters: [Parameter<'_>; 5] = [
            (&window.after, Type::TIMESTAMPTZ),
            (&window.until, Type::TIMESTAMPTZ),
            (&seconds(window.threshold), Type::INT8),
            (&now, Type::TIMESTAMPTZ),
            (&notices_max, Type::INT8),
        ];
        let rows = self.run(MAKE, &parameters).await?;
        rows.first().map_or(Ok(0), |row| field(row, TABLE, "made"))
    }

    /// Notes that all keys were looked at, if this replica has the hold still; and forgets notices of long
    /// ago, some at a time.
    pub async fn looked_for_notices(&self, owner: &str, at: Timestamp) -> Result<(), StoreError> {
        self.run(LOOKED, &[(&owner, Type::TEXT), (&at, Type::TIMESTAMPTZ)]).await?;
        self.run(FORGET, &[]).await.map(drop)
    }

    /// Notices that are to be tried by now, those first that have waited longest.
    pub async fn next_notices(
        &self,
        now: Timestamp,
        notices_max: i64,
    ) -> Result<Vec<Notice>, StoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&now, Type::TIMESTAMPTZ), (&notices_max, Type::INT8)];
        self.run(NEXT, &parameters).await?.iter().map(notice_from_row).collect()
    }

    /// Notes what became of a notice.
    pub async fn settle_notice(
        &self,
        id: NoticeId,
        verdict: Verdict<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (state, again, error) = match verdict {
            Verdict::Sent => ("sent", None, None),
            Verdict::Again(at, why) => ("waiting", Some(at), Some(why)),
            Verdict::GivenUp(why) => ("given_up", None, Some(why)),
        };
        let parameters: [Parameter<'_>; 5] = [
            (&id.stored(), Type::UUID),
            (&state, Type::TEXT),
            (&again, Type::TIMESTAMPTZ),
            (&error, Type::TEXT),
            (&now, Type::TIMESTAMPTZ),
        ];
        self.run(SETTLE, &parameters).await.map(drop)
    }

    /// Gives up notices that became due before, some at a time; says how many.
    pub async fn give_up_notices(
        &self,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&before, Type::TIMESTAMPTZ), (&now, Type::TIMESTAMPTZ)];
        let rows = self.run(GIVE_UP, &parameters).await?;
        let given_up: i64 = rows.first().map_or(Ok(0), |row| field(row, TABLE, "given_up"))?;
        Ok(u64::try_from(given_up).unwrap_or(0))
    }

    /// Forgets a notice that is not due any more.
    pub async fn drop_notice(&self, id: NoticeId) -> Result<(), StoreError> {
        self.run(DROP, &[(&id.stored(), Type::UUID)]).await.map(drop)
    }
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

fn notice_from_row(row: &Row) -> Result<Notice, StoreError> {
    let threshold: i64 = field(row, TABLE, "threshold_seconds")?;
    let tries: i32 = field(row, TABLE, "tries")?;
    let wanted: bool = field(row, TABLE, "wanted")?;
    Ok(Notice {
        id: NoticeId::new(field(row, TABLE, "id")?),
        key: field(row, TABLE, "key_id")?,
        expire_time: field(row, TABLE, "expire_at")?,
        threshold: Duration::from_secs(u64::try_from(threshold).unwrap_or(0)),
        make_time: field(row, TABLE, "made_at")?,
        tries: u32::try_from(tries).unwrap_or(0),
        told: wanted.then(|| told_from_row(row)).transpose()?,
    })
}

fn told_from_row(row: &Row) -> Result<Told, StoreError> {
    const KEY: &str = "key";
    let text = |column| field::<&str>(row, KEY, column).map(Box::from);
    Ok(Told {
        display_name: text("display_name")?,
        hint: text("hint")?,
        domain: text("domain")?,
        environment: text("environment")?,
        user: field::<Option<&str>>(row, "domain_user", "user_id")?.map(Box::from),
        customers: field(row, KEY, "customers")?,
        created_by: text("created_by")?,
    })
}
