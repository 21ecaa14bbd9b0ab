//! Transactions that change something.
//!
//! To get a [`WriteTx`] one says what is being done and by whom; what it changes, it remembers; and
//! only [`WriteTx::commit`] ends it with effect: audit event, revision, change log and notification
//! in one statement, then COMMIT. Dropped before that, it is as if it had never been.

mod many;
mod request;

use std::net::IpAddr;

use serde_json::Value as Json;
use tokio_postgres::{Row, Transaction, types::Type};

use crate::{
    model::{
        caller::Actor,
        environment::EnvironmentTag,
        id::KeyId,
        key::Key,
        name::{DomainName, EnvironmentName},
        pepper::PepperId,
        record::{Kind, ThingName},
        text::RequestId,
        time::Timestamp,
    },
    store::{
        BOUNDS, Parameter, Session,
        audit::snapshot,
        error::StoreError,
        key_row::{KeyParameters, key_from_row},
        keys,
        row::field,
        things::{self, Created, Deleted, LOCKED, SHARED, Stored, borrowed},
    },
};

pub use request::{Claim, RepeatableRequest};

/// Taking the head's lock comes last before COMMIT, so that other writers wait for one round trip
/// only; holding it until COMMIT puts revisions in the order of commits. Who waits for a row may be
/// overtaken, again and again where there are many; who waits for an advisory lock is not. A trigger
/// chains the audit events under that lock (`0004_audit.sql`).
const CONCLUDE: &str = "-- write.conclude
    WITH turn AS MATERIALIZED (
        SELECT pg_advisory_xact_lock(7161820034572)
    ), head AS (
        UPDATE keyward.log_head SET revision = revision + 1, nonce = gen_random_uuid() FROM turn
        RETURNING revision, nonce
    ), change AS (
        SELECT * FROM unnest($1::text[], $2::text[], $3::jsonb[], $4::jsonb[], $9::text[],
                $10::text[])
            WITH ORDINALITY AS change (kind, subject, before, after, logged_as, domain, position)
    ), logged AS (
        INSERT INTO keyward.change_log (revision, kind, subject, nonce)
        SELECT DISTINCT head.revision, change.kind, change.logged_as, head.nonce FROM head, change
        UNION
        SELECT head.revision, 'key', made.id, head.nonce
        FROM head, unnest($12::text[]) AS made (id)
    ), audited AS (
        INSERT INTO keyward.audit_event
            (revision, position, occurred_at, actor, peer, action, kind, subject, before, after,
            domain, request_id)
        SELECT head.revision, change.position, $5, $6, $7, $8, change.kind, change.subject,
            change.before, change.after, change.domain, $11
        FROM head, change ORDER BY change.position
    )
    SELECT revision, pg_notify('keyward', revision::text)::text FROM head";

pub(super) const HEAD: &str = "-- write.head
    SELECT revision FROM keyward.log_head";

/// Nobody removes it, or gives it another tag, until the end.
const ENVIRONMENT_TAG: &str = "-- write.environment_tag
    SELECT tag, EXISTS (SELECT FROM keyward.pepper WHERE id = $2 AND retired_at IS NOT NULL) AS retired
    FROM keyward.environment WHERE name = $1 FOR KEY SHARE";

/// Waits for whoever else decides whether there is an admin, and not for who makes a key.
const LOCK_DOMAIN: &str = "-- write.lock_domain
    SELECT name FROM keyward.domain WHERE name = $1 FOR NO KEY UPDATE";

/// What is being done, by whom: the part of the audit event that is known beforehand.
#[derive(Clone, Debug)]
pub struct Intent {
    /// E.g. `keys.revoke`.
    pub action: String,
    /// Who.
    pub actor: Actor,
    /// From where.
    pub peer: Option<IpAddr>,
    /// When.
    pub time: Timestamp,
    /// What the caller calls the request.
    pub request: Option<RequestId>,
}

#[derive(Debug)]
struct Changed {
    kind: Kind,
    subject: String,
    /// What the change log calls it, if that is not the same.
    number: Option<i64>,
    /// `None`: it belongs to the whole installation.
    domain: Option<DomainName>,
    before: Option<Json>,
    after: Option<Json>,
}

/// A transaction that may change things.
pub struct WriteTx<'a> {
    tx: Transaction<'a>,
    intent: Intent,
    changed: Vec<Changed>,
    /// Keys that changed together, which one event tells of.
    together: Vec<String>,
}

impl std::fmt::Debug for WriteTx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteTx").field("intent", &self.intent).finish_non_exhaustive()
    }
}

impl Session {
    /// Begins a transaction that may change things.
    pub async fn write(&mut self, intent: Intent) -> Result<WriteTx<'_>, StoreError> {
        let tx = self.begin(BOUNDS).await?;
        Ok(WriteTx { tx, intent, changed: Vec::new(), together: Vec::new() })
    }
}

impl WriteTx<'_> {
    /// Reads a key and keeps others from changing it until the end.
    pub async fn lock_key(&self, id: KeyId) -> Result<Option<Key>, StoreError> {
        let row = self.tx.query_typed_opt(keys::LOCK, &[(&id, Type::UUID)]).await?;
        row.as_ref().map(key_from_row).transpose()
    }

    /// Reads a key and keeps others from changing it, but not from reading it so, until the end.
    pub async fn share_key(&self, id: KeyId) -> Result<Option<Key>, StoreError> {
        let row = self.tx.query_typed_opt(keys::SHARE, &[(&id, Type::UUID)]).await?;
        row.as_ref().map(key_from_row).transpose()
    }

    /// Adds a key.
    pub async fn insert_key(&mut self, key: &Key) -> Result<(), StoreError> {
        KeyParameters::new(key).execute(key, &self.tx, keys::INSERT).await?;
        self.note(key, None, Some(snapshot(key)));
        Ok(())
    }

    /// Replaces a key that is locked, from `before` to `after`.
    pub async fn update_key(&mut self, before: &Key, after: &Key) -> Result<(), StoreError> {
        let rows = KeyParameters::new(after).execute(after, &self.tx, keys::UPDATE).await?;
        if rows != 1 {
            return Err(StoreError::corrupt("key", "id", "the locked row is gone"));
        }
        self.note(after, Some(snapshot(before)), Some(snapshot(after)));
        Ok(())
    }

    /// Asks something within the transaction.
    pub(super) async fn query(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        Ok(self.tx.query_typed(statement, parameters).await?)
    }

    /// Reads a thing and keeps others from changing it until the end.
    pub async fn lock<T: Stored>(&self, name: &ThingName) -> Result<Option<T>, StoreError> {
        self.thing(name, LOCKED).await
    }

    /// Reads a thing and keeps others from changing it, but not from reading it so, until the end.
    pub async fn share<T: Stored>(&self, name: &ThingName) -> Result<Option<T>, StoreError> {
        self.thing(name, SHARED).await
    }

    async fn thing<T: Stored>(
        &self,
        name: &ThingName,
        lock: &str,
    ) -> Result<Option<T>, StoreError> {
        let domain = name.domain.as_ref().map(DomainName::as_str);
        let parameters: [Parameter<'_>; 2] = [(&domain, Type::TEXT), (&&*name.name, Type::TEXT)];
        let statement = format!("{}{lock}", T::GET);
        let row = self.tx.query_typed_opt(&statement, &parameters).await?;
        row.as_ref().map(T::from_row).transpose()
    }

    /// Adds a thing and gives it its number.
    pub async fn insert<T: Created>(&mut self, thing: &mut T) -> Result<(), StoreError> {
        let values = things::parameters(thing);
        let row = self.tx.query_typed_one(T::INSERT, &borrowed(&values)).await?;
        thing.numbered(field(&row, T::KIND.as_str(), "uid")?);
        self.note_thing(None, Some(thing));
        Ok(())
    }

    /// Replaces a thing that is locked, from `before` to `after`.
    pub async fn update<T: Stored>(&mut self, before: &T, after: &T) -> Result<(), StoreError> {
        let values = things::parameters(after);
        let rows = self.tx.execute_typed(T::UPDATE, &borrowed(&values)).await?;
        if rows != 1 {
            return Err(StoreError::corrupt(T::KIND.as_str(), "name", "the locked row is gone"));
        }
        self.note_thing(Some(before), Some(after));
        Ok(())
    }

    /// Removes a thing that is locked.
    pub async fn delete<T: Deleted>(&mut self, thing: &T) -> Result<(), StoreError> {
        let name = thing.name();
        let domain = name.domain.as_ref().map(DomainName::as_str);
        let parameters: [Parameter<'_>; 3] = [
            (&domain, Type::TEXT),
            (&&*name.name, Type::TEXT),
            (&self.intent.time, Type::TIMESTAMPTZ),
        ];
        self.tx.execute_typed(T::DELETE, &parameters).await?;
        self.note_thing(Some(thing), None);
        Ok(())
    }

    /// What an environment puts into tokens; `None` if there is no such environment. Refuses to make
    /// any that would be digested with a retired pepper, since other replicas would not know them.
    pub async fn environment_tag(
        &self,
        name: &EnvironmentName,
        pepper: PepperId,
    ) -> Result<Option<EnvironmentTag>, StoreError> {
        let parameters: [Parameter<'_>; 2] =
            [(&name.as_str(), Type::TEXT), (&pepper.to_string(), Type::TEXT)];
        let row = self.tx.query_typed_opt(ENVIRONMENT_TAG, &parameters).await?;
        row.map(|row| {
            if field(&row, "pepper", "retired")? {
                return Err(StoreError::RetiredPepper { id: pepper });
            }
            EnvironmentTag::parse(field(&row, "environment", "tag")?)
                .map_err(|error| StoreError::corrupt("environment", "tag", error))
        })
        .transpose()
    }

    /// Whether there is an admin key, whatever its state. Nobody else can make the first one until
    /// the end.
    pub async fn admin_exists(&self) -> Result<bool, StoreError> {
        self.tx.query_typed(LOCK_DOMAIN, &[(&DomainName::OF_ADMINS, Type::TEXT)]).await?;
        let row = self.tx.query_typed_one(keys::ADMIN_EXISTS, &[]).await?;
        field(&row, "key", "found")
    }

    /// Ends without effect. Returns the last revision, which knows of all that was read here.
    pub async fn abandon(self) -> Result<i64, StoreError> {
        let row = self.tx.query_typed_one(HEAD, &[]).await?;
        let revision = field(&row, "log_head", "revision")?;
        self.tx.rollback().await?;
        Ok(revision)
    }

    /// Ends with effect and returns the revision that this made. An error that is `Unavailable`
    /// leaves open whether it took effect.
    pub async fn commit(self) -> Result<i64, StoreError> {
        let mut kinds = Vec::with_capacity(self.changed.len());
        let mut subjects = Vec::with_capacity(self.changed.len());
        let mut names = Vec::with_capacity(self.changed.len());
        let mut domains = Vec::with_capacity(self.changed.len());
        let mut befores = Vec::with_capacity(self.changed.len());
        let mut afters = Vec::with_capacity(self.changed.len());
        for Changed { kind, subject, number, domain, before, after } in self.changed {
            kinds.push(kind.as_str());
            domains.push(domain.map(|domain| domain.to_string()));
            names.push(number.map_or_else(|| subject.clone(), |number| number.to_string()));
            subjects.push(subject);
            befores.push(before);
            afters.push(after);
        }
        let request = self.intent.request.as_ref().map_or("", RequestId::as_str);
        let parameters: [Parameter<'_>; 12] = [
            (&kinds, Type::TEXT_ARRAY),
            (&subjects, Type::TEXT_ARRAY),
            (&befores, Type::JSONB_ARRAY),
            (&afters, Type::JSONB_ARRAY),
            (&self.intent.time, Type::TIMESTAMPTZ),
            (&self.intent.actor.to_string(), Type::TEXT),
            (&self.intent.peer.map(|peer| peer.to_string()), Type::TEXT),
            (&self.intent.action, Type::TEXT),
            (&names, Type::TEXT_ARRAY),
            (&domains, Type::TEXT_ARRAY),
            (&request, Type::TEXT),
            (&self.together, Type::TEXT_ARRAY),
        ];
        let row = self.tx.query_typed_one(CONCLUDE, &parameters).await?;
        let revision = field(&row, "log_head", "revision")?;
        self.tx.commit().await?;
        Ok(revision)
    }

    /// Notes that a quota of something in this domain was adjusted.
    pub(super) fn note_quota(
        &mut self,
        (domain, subject): (&DomainName, String),
        before: Json,
        after: Json,
    ) {
        self.changed.push(Changed {
            kind: Kind::Quota,
            subject,
            number: None,
            domain: Some(domain.clone()),
            before: Some(before),
            after: Some(after),
        });
    }

    fn note(&mut self, key: &Key, before: Option<Json>, after: Option<Json>) {
        self.changed.push(Changed {
            kind: Kind::Key,
            subject: key.id.to_string(),
            number: None,
            domain: Some(key.domain.clone()),
            before,
            after,
        });
    }

    fn note_thing<T: Stored>(&mut self, before: Option<&T>, after: Option<&T>) {
        let Some(thing) = after.or(before) else { return };
        self.changed.push(Changed {
            kind: T::KIND,
            subject: thing.name().to_string(),
            number: thing.uid(),
            domain: thing.name().domain,
            before: before.map(T::snapshot),
            after: after.map(T::snapshot),
        });
    }
}
