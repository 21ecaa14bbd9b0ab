//! Last uses: a table of their own, written in batches, never through the change log.

use tokio_postgres::types::Type;

use crate::{
    model::{id::KeyId, time::Timestamp},
    store::{Parameter, Store, error::StoreError},
};

/// Forward only, so that a batch may be sent twice. Sorted, so that two replicas' batches cannot
/// lock each other out.
const RECORD: &str = "-- usage.record
    INSERT INTO keyward.key_usage AS usage (key_id, last_used_at)
    SELECT used.key_id, used.last_used_at
    FROM unnest($1::uuid[], $2::timestamptz[]) AS used (key_id, last_used_at)
    JOIN keyward.key ON key.id = used.key_id
    ORDER BY used.key_id
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
    WHERE usage.last_used_at < excluded.last_used_at";

impl Store {
    /// Notes when keys were last used. Keys that are gone are passed over.
    pub async fn record_uses(&self, uses: &[(KeyId, Timestamp)]) -> Result<(), StoreError> {
        let (ids, times): (Vec<KeyId>, Vec<Timestamp>) = uses.iter().copied().unzip();
        let parameters: [Parameter<'_>; 2] =
            [(&ids, Type::UUID_ARRAY), (&times, Type::TIMESTAMPTZ_ARRAY)];
        self.run(RECORD, &parameters).await?;
        Ok(())
    }
}
