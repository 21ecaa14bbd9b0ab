//! The end of a pepper: nothing may need it any more.

use tokio_postgres::types::Type;

use super::{ALL, COUNT, KnownPepper, LOCK, PepperUse, known, uses};
use crate::{
    model::{id::KeyId, pepper::PepperId},
    store::{Parameter, error::StoreError, row::field, write::WriteTx},
};

/// How long a replica that has a pepper may have been silent and still counts: it tells every minute.
const SEEN_WITHIN: i64 = 5;

/// Nobody makes a key meanwhile.
const LOCK_KEYS: &str = "-- retire.lock_keys
    LOCK TABLE keyward.key, keyward.job_import IN SHARE ROW EXCLUSIVE MODE";

const IS_CURRENT: &str = "-- retire.is_current
    SELECT current_at > now() - $2::int8 * interval '1 minute' AS is_current
    FROM keyward.pepper WHERE id = $1";

const RETIRE: &str = "-- retire.retire
    UPDATE keyward.pepper SET retired_at = $2 WHERE id = $1";

const KEYS: &str = "-- retire.keys
    SELECT k.id FROM keyward.key AS k
    WHERE coalesce(k.pepper, (SELECT id FROM keyward.pepper WHERE is_first)) = $1
        OR k.retiring_expire_at > now() AND $1
            = coalesce(k.retiring_pepper, (SELECT id FROM keyward.pepper WHERE is_first))";

/// What speaks for and against retiring a pepper.
#[derive(Clone, Debug)]
pub struct Retirement {
    /// As the database knows it.
    pub known: KnownPepper,
    /// What is still digested with it, if anything is.
    pub found: Option<PepperUse>,
    /// Whether a replica said lately that it makes digests with it.
    pub is_current: bool,
}

impl WriteTx<'_> {
    /// What speaks for and against retiring a pepper, and nothing can change until the end. `None`: there
    /// is no such pepper.
    pub async fn weigh_retirement(&self, id: PepperId) -> Result<Option<Retirement>, StoreError> {
        self.query(LOCK_KEYS, &[]).await?;
        self.query(LOCK, &[]).await?;
        let known = known(&self.query(ALL, &[]).await?)?;
        let Some(known) = known.into_iter().find(|known| known.id == id) else {
            return Ok(None);
        };
        let found = uses(&self.query(COUNT, &[]).await?)?.into_iter().find(|found| found.id == id);
        let bound: [Parameter<'_>; 2] = [(&id.to_string(), Type::TEXT), (&SEEN_WITHIN, Type::INT8)];
        let rows = self.query(IS_CURRENT, &bound).await?;
        let is_current: Option<bool> =
            rows.first().map_or(Ok(None), |row| field(row, "pepper", "is_current"))?;
        Ok(Some(Retirement { known, found, is_current: is_current.unwrap_or(false) }))
    }

    /// Retires a pepper. Keys that are digested with it become unknown, wherever it is not given any
    /// more: replicas read them again, and need the pepper no longer.
    pub async fn retire_pepper(&mut self, id: PepperId) -> Result<(), StoreError> {
        let rows = self.query(KEYS, &[(&id.to_string(), Type::TEXT)]).await?;
        let keys: Vec<KeyId> =
            rows.iter().map(|row| field(row, "key", "id")).collect::<Result<_, _>>()?;
        let time = self.time();
        let retired: [Parameter<'_>; 2] =
            [(&id.to_string(), Type::TEXT), (&time, Type::TIMESTAMPTZ)];
        self.execute(RETIRE, &retired).await?;
        self.note_pepper(id, serde_json::json!({ "retired": true, "unknown": keys.len() }), &keys);
        Ok(())
    }
}
