//! Last uses: a table of their own, written in batches, never through the change log.

use std::net::IpAddr;

use tokio_postgres::types::Type;

use crate::{
    model::{id::KeyId, time::Timestamp, usage::LastUse},
    store::{Parameter, Store, error::StoreError},
};

/// Forward only, so that a batch may be sent twice. The address goes with its time. Sorted, so that two replicas' batches cannot
/// lock each other out.
const RECORD: &str = "-- usage.record
    INSERT INTO keyward.key_usage AS usage (key_id, last_used_at, last_used_address)
    SELECT used.key_id, used.last_used_at, used.last_used_address
    FROM unnest($1::uuid[], $2::timestamptz[], $3::inet[])
        AS used (key_id, last_used_at, last_used_address)
    JOIN keyward.key ON key.id = used.key_id
    ORDER BY used.key_id
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at,
        last_used_address = excluded.last_used_address
    WHERE usage.last_used_at < excluded.last_used_at";

impl Store {
    /// Notes when and from where keys were last used. Keys that are gone are passed over.
    pub async fn record_uses(&self, uses: &[LastUse]) -> Result<(), StoreError> {
        let ids: Vec<KeyId> = uses.iter().map(|last| last.key).collect();
        let times: Vec<Timestamp> = uses.iter().map(|last| last.time).collect();
        let addresses: Vec<Option<IpAddr>> =
            uses.iter().map(|last| last.address.address()).collect();
        let parameters: [Parameter<'_>; 3] = [
            (&ids, Type::UUID_ARRAY),
            (&times, Type::TIMESTAMPTZ_ARRAY),
            (&addresses, Type::INET_ARRAY),
        ];
        self.run(RECORD, &parameters).await?;
        Ok(())
    }
}
