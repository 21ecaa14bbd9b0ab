//! What was refused: changes for want of rights, and logins. Like ones within an hour are one row, and an
//! hour has so many rows at most, so that no flood fills the table.

use tokio_postgres::types::Type;

use crate::{
    model::{
        audit::{Belongs, OTHERS},
        time::Timestamp,
    },
    store::{Parameter, Store, error::StoreError, write::Intent},
};

/// How many rows an hour has for logins, and as many for changes, before all others are put down to
/// [`OTHERS`]: those are one row for each action and reason.
const ROWS_AN_HOUR_MAX: i64 = 1000;
const KEPT: std::time::Duration = std::time::Duration::from_secs(400 * 24 * 60 * 60);

/// What actions of logins begin with.
pub const LOGIN: &str = "login.";

/// Attempts that were refused: of one actor, to do one thing, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAttempt {
    /// Who tried; of a login, the network that it came from.
    pub actor: String,
    /// To do what.
    pub action: String,
    /// For which reason it was refused.
    pub reason: String,
    /// How often.
    pub times: i64,
    /// When it was tried first.
    pub first: Timestamp,
    /// When it was tried last.
    pub last: Timestamp,
    /// To what, in the end.
    pub subject: String,
    /// From where, in the end.
    pub peer: Option<String>,
    /// What the caller calls the request, in the end; empty: nothing.
    pub request: String,
}

impl RefusedAttempt {
    /// A change that was refused just now.
    pub fn of(intent: &Intent, subject: &str, reason: &str) -> Self {
        Self {
            actor: intent.actor.to_string(),
            action: intent.action.clone(),
            reason: reason.to_owned(),
            times: 1,
            first: intent.time,
            last: intent.time,
            subject: subject.to_owned(),
            peer: intent.peer.map(|peer| peer.to_string()),
            request: intent.request.as_ref().map_or_else(String::new, |id| id.as_str().to_owned()),
        }
    }
}

/// A row that is known is counted on. A new one is put down to others where the hour has its fill; that
/// two processes count at once can make it a few more. What belongs to several domains belongs to none.
const NOTE: &str = "-- refusal.note
    WITH noted AS (
        SELECT *, date_trunc('hour', first_at, 'UTC') AS hour, starts_with(action, $13) AS login,
            coalesce(told, (SELECT key.domain FROM keyward.key WHERE key.id = with_key)) AS domain
        FROM unnest($1::text[], $2::text[], $3::text[], $4::int8[], $5::timestamptz[],
            $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[])
            AS noted (actor, action, reason, times, first_at, last_at, subject, peer, told,
                with_key, request_id)
    ), counted AS (
        SELECT noted.*, known.actor IS NOT NULL AS is_known,
            row_number() OVER (
                PARTITION BY noted.hour, login, known.actor IS NULL ORDER BY noted.first_at
            ) AS new_rows
        FROM noted LEFT JOIN keyward.refusal AS known USING (actor, action, reason, hour)
    ), bounded AS (
        SELECT *, CASE WHEN is_known OR new_rows + (
            SELECT count(*) FROM keyward.refusal AS other
            WHERE other.hour = counted.hour AND starts_with(other.action, $13) = login
        ) <= $12 THEN actor ELSE $14 END AS bounded_actor
        FROM counted
    ), forgotten AS (
        DELETE FROM keyward.refusal WHERE id IN (
            SELECT id FROM keyward.refusal WHERE hour < $15 LIMIT 100 FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO keyward.refusal AS known (actor, action, reason, hour, times, first_at,
        first_subject, last_at, last_subject, last_peer, domain, request_id)
    SELECT bounded_actor, action, reason, hour, sum(times)::int8, min(first_at),
        (array_agg(subject ORDER BY first_at))[1], max(last_at),
        (array_agg(subject ORDER BY last_at DESC))[1], (array_agg(peer ORDER BY last_at DESC))[1],
        CASE WHEN count(*) = count(domain) AND min(domain) = max(domain) THEN min(domain) END,
        (array_agg(request_id ORDER BY last_at DESC))[1]
    FROM bounded GROUP BY bounded_actor, action, reason, hour
    ORDER BY bounded_actor, action, reason, hour
    ON CONFLICT (actor, action, reason, hour) DO UPDATE SET times = known.times + excluded.times,
        last_at = excluded.last_at, last_subject = excluded.last_subject,
        last_peer = excluded.last_peer, request_id = excluded.request_id,
        domain = CASE WHEN known.domain = excluded.domain THEN known.domain END";

impl Store {
    /// Notes what was refused. Like attempts within an hour are counted together.
    pub async fn note_refusals(&self, refusals: &[RefusedAttempt]) -> Result<(), StoreError> {
        let Some(now) = refusals.iter().map(|refusal| refusal.last).max() else { return Ok(()) };
        let column =
            |text: fn(&RefusedAttempt) -> &str| refusals.iter().map(text).collect::<Vec<_>>();
        let belongs =
            refusals.iter().map(|refusal| Belongs::told_by(&refusal.action, &refusal.subject));
        let (mut domains, mut keys) = (Vec::new(), Vec::new());
        for belongs in belongs {
            let (domain, key) = match belongs {
                Belongs::To(domain) => (Some(domain.to_string()), None),
                Belongs::WithKey(key) => (None, Some(key)),
                Belongs::Nowhere => (None, None),
            };
            domains.push(domain);
            keys.push(key);
        }
        let parameters: [Parameter<'_>; 15] = [
            (&column(|refusal| &refusal.actor), Type::TEXT_ARRAY),
            (&column(|refusal| &refusal.action), Type::TEXT_ARRAY),
            (&column(|refusal| &refusal.reason), Type::TEXT_ARRAY),
            (&refusals.iter().map(|it| it.times).collect::<Vec<_>>(), Type::INT8_ARRAY),
            (&refusals.iter().map(|it| it.first).collect::<Vec<_>>(), Type::TIMESTAMPTZ_ARRAY),
            (&refusals.iter().map(|it| it.last).collect::<Vec<_>>(), Type::TIMESTAMPTZ_ARRAY),
            (&column(|refusal| &refusal.subject), Type::TEXT_ARRAY),
            (&refusals.iter().map(|it| it.peer.as_deref()).collect::<Vec<_>>(), Type::TEXT_ARRAY),
            (&domains, Type::TEXT_ARRAY),
            (&keys, Type::UUID_ARRAY),
            (&column(|refusal| &refusal.request), Type::TEXT_ARRAY),
            (&ROWS_AN_HOUR_MAX, Type::INT8),
            (&LOGIN, Type::TEXT),
            (&OTHERS, Type::TEXT),
            (&now.before(KEPT), Type::TIMESTAMPTZ),
        ];
        self.run(NOTE, &parameters).await?;
        Ok(())
    }
}
