//! Requests that their caller may repeat: what came of the first is remembered for a day.

use ring::digest;
use tokio_postgres::types::Type;

use super::WriteTx;
use crate::{
    model::{id::KeyId, text::RequestId},
    store::{Parameter, error::StoreError, row::field},
};

/// How long a repeated request is recognised.
const REQUEST_MEMORY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// Waits for a concurrent transaction with the same id, then takes over what is too old and leaves
/// what is not; that is locked then, and nobody can forget it before it is read.
const CLAIM_REQUEST: &str = "-- request.claim
    INSERT INTO keyward.request (caller, request_id, fingerprint, key_id, created_at)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT ON CONSTRAINT request_pkey DO UPDATE
    SET fingerprint = excluded.fingerprint, key_id = excluded.key_id,
        created_at = excluded.created_at
    WHERE request.created_at < $6";

const EARLIER_REQUEST: &str = "-- request.earlier
    SELECT fingerprint, key_id FROM keyward.request WHERE caller = $1 AND request_id = $2";

/// A few at a time, and none that another transaction is at.
const FORGET_REQUESTS: &str = "-- request.forget
    DELETE FROM keyward.request WHERE (caller, request_id) IN (
        SELECT caller, request_id FROM keyward.request WHERE created_at < $1
        LIMIT 100 FOR UPDATE SKIP LOCKED)";

/// A request that its caller may repeat.
#[derive(Clone, Debug)]
pub struct RepeatableRequest {
    /// Its name.
    pub id: RequestId,
    /// SHA-256 of what it asks for.
    fingerprint: digest::Digest,
}

impl RepeatableRequest {
    /// A request by its name and all that it asks for.
    pub fn new(id: RequestId, content: &[u8]) -> Self {
        Self { id, fingerprint: digest::digest(&digest::SHA256, content) }
    }
}

/// What is known of a request that may be a repetition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the first of its name.
    First,
    /// It was carried out before, and this key came of it.
    Repeated(KeyId),
    /// Another request had this name.
    Other,
}

impl WriteTx<'_> {
    /// Claims a request's name for what will come of it, or says what came of it before.
    pub async fn claim_request(
        &self,
        request: &RepeatableRequest,
        key: KeyId,
    ) -> Result<Claim, StoreError> {
        let too_old = self.intent.time.before(REQUEST_MEMORY);
        let caller = self.intent.actor.to_string();
        let fingerprint = request.fingerprint.as_ref();
        let row: [Parameter<'_>; 6] = [
            (&caller, Type::TEXT),
            (&request.id.as_str(), Type::TEXT),
            (&fingerprint, Type::BYTEA),
            (&key, Type::UUID),
            (&self.intent.time, Type::TIMESTAMPTZ),
            (&too_old, Type::TIMESTAMPTZ),
        ];
        if self.tx.execute_typed(CLAIM_REQUEST, &row).await? == 1 {
            let too_old: [Parameter<'_>; 1] = [(&too_old, Type::TIMESTAMPTZ)];
            self.tx.execute_typed(FORGET_REQUESTS, &too_old).await?;
            return Ok(Claim::First);
        }
        let names: [Parameter<'_>; 2] = [(&caller, Type::TEXT), (&request.id.as_str(), Type::TEXT)];
        let row = self.tx.query_typed_one(EARLIER_REQUEST, &names).await?;
        let earlier: &[u8] = field(&row, "request", "fingerprint")?;
        if earlier == fingerprint {
            Ok(Claim::Repeated(field(&row, "request", "key_id")?))
        } else {
            Ok(Claim::Other)
        }
    }
}
