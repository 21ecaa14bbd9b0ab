//! Events, changes and refused attempts, in pages.

use serde_json::Value as Json;
use tokio_postgres::{Row, types::Type};

use crate::{
    model::{
        audit::{AuditFilter, AuditOrder, AuditOutcome, AuditPageRequest, AuditPlace, FilterText},
        chain::ChainHash,
        name::DomainName,
        record::Kind,
        text::RequestId,
        time::Timestamp,
    },
    store::{Parameter, Store, error::StoreError, row::field},
};

const TABLE: &str = "audit_event";

/// A change, or attempts that were refused.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEvent {
    /// Where it stands among all.
    pub place: AuditPlace,
    /// Who did it or tried to; of logins, the network that they came from.
    pub actor: String,
    /// From where; of several attempts, the last.
    pub peer: Option<String>,
    /// What was done or tried, e.g. `keys.revoke`.
    pub action: String,
    /// What kind of thing it was done to; empty if it is of none.
    pub kind: String,
    /// What it was done to; of several attempts, what the first was about.
    pub subject: String,
    /// What domain that belongs to, if it is known.
    pub domain: Option<String>,
    /// What the caller calls the request; empty: nothing.
    pub request: String,
    /// What became of it.
    pub content: AuditContent,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum AuditContent {
    /// It changed something.
    Changed {
        /// Its place in the chain.
        number: i64,
        /// Its hash, if that has the form of one.
        hash: Option<ChainHash>,
        /// What was there before, without secrets.
        before: Option<Json>,
        /// What is there after it, without secrets.
        after: Option<Json>,
    },
    /// It was refused.
    Refused {
        /// Why.
        reason: String,
        /// How often, within the hour.
        times: i64,
        /// When it was tried last.
        last: Timestamp,
        /// What the last attempt was about.
        last_subject: String,
    },
}

/// One page of events.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditPage {
    /// The events, in order.
    pub events: Vec<AuditEvent>,
    /// The last one, if there are more after it.
    pub next: Option<AuditPlace>,
}

/// `{after}` and `{direction}` are filled in from [`AuditOrder`]. Refused attempts stand where the first of
/// them was, so that pages do not shift when there are more.
const PAGE: &str = "-- list.page
    SELECT * FROM (
        (SELECT occurred_at, revision, position::int8 AS place, actor, peer, action, kind, subject,
            domain, request_id, number, hash, before, after, NULL::text AS reason,
            0::int8 AS times, occurred_at AS last_at, subject AS last_subject
        FROM keyward.audit_event
        WHERE $1::bool
            AND ($3::text IS NULL OR kind = $3)
            AND ($5::text IS NULL OR subject = $5)
            AND ($6::text IS NULL OR actor = $6)
            AND ($7::text IS NULL OR starts_with(action, $7))
            AND ($8::text[] IS NULL OR domain = ANY ($8))
            AND ($9::timestamptz IS NULL OR occurred_at >= $9)
            AND ($10::timestamptz IS NULL OR occurred_at < $10)
            AND ($11::int8 IS NULL OR revision >= $11)
            AND ($12::int8 IS NULL OR revision <= $12)
            AND ($13::text IS NULL OR request_id = $13)
            AND ($14::timestamptz IS NULL
                OR (occurred_at, revision, position) {after} ($14, $15, $16))
        ORDER BY occurred_at {direction}, revision {direction}, position {direction}
        LIMIT $17)
        UNION ALL
        (SELECT first_at, 0, id, actor, last_peer, action, '', first_subject, domain, request_id,
            0, NULL, NULL, NULL, reason, times, last_at, last_subject
        FROM keyward.refusal
        WHERE $2::bool
            AND ($4::text IS NULL OR starts_with(action, $4))
            AND ($5::text IS NULL OR first_subject = $5 OR last_subject = $5)
            AND ($6::text IS NULL OR actor = $6)
            AND ($7::text IS NULL OR starts_with(action, $7))
            AND ($8::text[] IS NULL OR domain = ANY ($8))
            AND ($9::timestamptz IS NULL OR first_at >= $9)
            AND ($10::timestamptz IS NULL OR first_at < $10)
            AND ($13::text IS NULL OR request_id = $13)
            AND ($14::timestamptz IS NULL OR (first_at, 0::int8, id) {after} ($14, $15, $16))
        ORDER BY first_at {direction}, id {direction}
        LIMIT $17)
    ) AS event
    ORDER BY occurred_at {direction}, revision {direction}, place {direction}
    LIMIT $17";

impl Store {
    /// A page of events.
    pub async fn list_audit(
        &self,
        filter: &AuditFilter,
        page: &AuditPageRequest,
    ) -> Result<AuditPage, StoreError> {
        let wanted = |outcome| filter.outcome.is_none_or(|wanted| wanted == outcome);
        let refused = wanted(AuditOutcome::Refused) && filter.revisions.are_all();
        let domains = filter.domains.as_ref();
        let domains: Option<Vec<&str>> =
            domains.map(|names| names.iter().map(DomainName::as_str).collect());
        let size = i64::from(page.size.items());
        let parameters: [Parameter<'_>; 17] = [
            (&wanted(AuditOutcome::Changed), Type::BOOL),
            (&refused, Type::BOOL),
            (&filter.kind.map(Kind::as_str), Type::TEXT),
            (&filter.kind.map(|kind| format!("{}.", kind.plural())), Type::TEXT),
            (&filter.subject.as_ref().map(FilterText::as_str), Type::TEXT),
            (&filter.actor.as_ref().map(FilterText::as_str), Type::TEXT),
            (&filter.action.as_ref().map(FilterText::as_str), Type::TEXT),
            (&domains, Type::TEXT_ARRAY),
            (&filter.start, Type::TIMESTAMPTZ),
            (&filter.end, Type::TIMESTAMPTZ),
            (&filter.revisions.min, Type::INT8),
            (&filter.revisions.max, Type::INT8),
            (&filter.request.as_ref().map(RequestId::as_str), Type::TEXT),
            (&page.after.map(|place| place.time), Type::TIMESTAMPTZ),
            (&page.after.map(|place| place.revision), Type::INT8),
            (&page.after.map(|place| place.position), Type::INT8),
            (&(size + 1), Type::INT8), // one more tells whether there is a next page
        ];
        let (direction, after) = match page.order {
            AuditOrder::NewestFirst => ("DESC", "<"),
            AuditOrder::OldestFirst => ("ASC", ">"),
        };
        let statement = PAGE.replace("{direction}", direction).replace("{after}", after);
        let rows = self.run(&statement, &parameters).await?;
        let mut events = rows.iter().map(event).collect::<Result<Vec<_>, _>>()?;
        let more = events.len() > usize::from(page.size.items());
        events.truncate(usize::from(page.size.items()));
        let next = events.last().filter(|_| more).map(|event| event.place);
        Ok(AuditPage { events, next })
    }
}

fn event(row: &Row) -> Result<AuditEvent, StoreError> {
    let place = AuditPlace {
        time: field(row, TABLE, "occurred_at")?,
        revision: field(row, TABLE, "revision")?,
        position: field(row, TABLE, "place")?,
    };
    let action: String = field(row, TABLE, "action")?;
    let stored_kind: String = field(row, TABLE, "kind")?;
    let (kind, content) = match field(row, TABLE, "reason")? {
        None => {
            let hash: Option<&[u8]> = field(row, TABLE, "hash")?;
            let changed = AuditContent::Changed {
                number: field(row, TABLE, "number")?,
                hash: hash.and_then(ChainHash::from_stored),
                before: field(row, TABLE, "before")?,
                after: field(row, TABLE, "after")?,
            };
            (stored_kind, changed)
        }
        Some(reason) => {
            let noun = action.split('.').next().and_then(Kind::parse_plural);
            let refused = AuditContent::Refused {
                reason,
                times: field(row, TABLE, "times")?,
                last: field(row, TABLE, "last_at")?,
                last_subject: field(row, TABLE, "last_subject")?,
            };
            (noun.map_or("", Kind::as_str).to_owned(), refused)
        }
    };
    Ok(AuditEvent {
        place,
        actor: field(row, TABLE, "actor")?,
        peer: field(row, TABLE, "peer")?,
        action,
        kind,
        subject: field(row, TABLE, "subject")?,
        domain: field(row, TABLE, "domain")?,
        request: field(row, TABLE, "request_id")?,
        content,
    })
}
