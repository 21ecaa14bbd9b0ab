//! Changes of many keys in one transaction, as jobs make them.

use serde_json::Value as Json;
use tokio_postgres::types::Type;

use super::{Changed, HEAD, WriteTx};
use crate::{
    model::{
        id::KeyId,
        job::{Job, JobId},
        key::Key,
        name::DomainName,
        pepper::PepperId,
        record::Kind,
        time::Timestamp,
    },
    store::{
        Parameter, audit::snapshot, error::StoreError, key_row::key_from_row, keys, row::field,
    },
};

impl WriteTx<'_> {
    /// Reads keys and keeps others from changing them until the end; those that are not there are
    /// missing.
    pub async fn lock_keys(&self, ids: &[KeyId]) -> Result<Vec<Key>, StoreError> {
        let rows = self.query(keys::LOCK_MANY, &[(&ids, Type::UUID_ARRAY)]).await?;
        rows.iter().map(key_from_row).collect()
    }

    /// Removes keys that are locked, with what is stored of their use.
    pub async fn purge_keys(&mut self, gone: &[Key]) -> Result<(), StoreError> {
        let ids: Vec<KeyId> = gone.iter().map(|key| key.id).collect();
        // as `Owner::Key` is stored
        let owners: Vec<String> = ids.iter().map(|id| format!("key/{id}")).collect();
        let parameters: [Parameter<'_>; 2] =
            [(&ids, Type::UUID_ARRAY), (&owners, Type::TEXT_ARRAY)];
        self.query(keys::PURGE, &parameters).await?;
        for key in gone {
            self.note(key, Some(snapshot(key)), None);
        }
        Ok(())
    }

    /// Notes a change of a job.
    pub(in crate::store) fn note_job(
        &mut self,
        (id, domain): (JobId, Option<&DomainName>),
        before: Option<Json>,
        after: Option<Json>,
    ) {
        self.changed.push(Changed {
            kind: Kind::Job,
            subject: id.to_string(),
            number: None,
            domain: domain.cloned(),
            before,
            after,
        });
    }

    /// Notes keys that a job made together: one event tells of all of them.
    pub(in crate::store) fn note_made(&mut self, job: &Job, made: &[KeyId]) {
        let ids: Vec<String> = made.iter().map(ToString::to_string).collect();
        let shown = serde_json::json!({ "made": ids.len(), "keys": ids });
        self.note_job((job.id, job.domain.as_ref()), None, Some(shown));
        self.together.extend(ids);
    }

    /// Notes what was done with a pepper, and keys that changed by it: one event tells of all of them.
    pub(in crate::store) fn note_pepper(&mut self, id: PepperId, after: Json, keys: &[KeyId]) {
        self.changed.push(Changed {
            kind: Kind::Pepper,
            subject: id.to_string(),
            number: None,
            domain: None,
            before: None,
            after: Some(after),
        });
        self.together.extend(keys.iter().map(ToString::to_string));
    }

    /// Ends with effect, and with a revision only if something has changed but how far a job is.
    pub async fn settle(self) -> Result<i64, StoreError> {
        if !self.changed.is_empty() {
            return self.commit().await;
        }
        let row = self.tx.query_typed_one(HEAD, &[]).await?;
        let revision = field(&row, "log_head", "revision")?;
        self.tx.commit().await?;
        Ok(revision)
    }

    /// When this is done, as the audit has it.
    pub(in crate::store) const fn time(&self) -> Timestamp {
        self.intent.time
    }

    /// Runs a statement; says how many rows it changed.
    pub(in crate::store) async fn execute(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<u64, StoreError> {
        Ok(self.tx.execute_typed(statement, parameters).await?)
    }

    /// Sends many rows at once.
    pub(in crate::store) async fn copy_in(
        &self,
        statement: &str,
    ) -> Result<tokio_postgres::CopyInSink<bytes::Bytes>, StoreError> {
        Ok(self.tx.copy_in(statement).await?)
    }
}
