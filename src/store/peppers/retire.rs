//! The end of a pepper: nothing may need it any more.

use tokio_postgres::types::Type;

use super::{ALL, COUNT, KnownPepper, LOCK, PepperUse, known, uses};
use crate::{
    model::pepper::PepperId,
    store::{Parameter, error::StoreError, row::field, write::WriteTx},
};

/// How long a replica that has a pepper may have been silent and still counts: it tells every minute.
const SEEN_WITHIN: i64 = 5;

/// Counting reads all keys, which takes long where there are very many.
const BOUND: &str = "-- retire.bound
    SET LOCAL statement_timeout = '60s'";

/// Nobody makes a key meanwhile.
const LOCK_KEYS: &str = "-- retire.lock_keys
    LOCK TABLE keyward.key, keyward.job_import IN SHARE ROW EXCLUSIVE MODE";

const IS_CURRENT: &str = "-- retire.is_current
    SELECT current_at > now() - $2::int8 * interval '1 minute' AS is_current
    FROM keyward.pepper WHERE id = $1";

const RETIRE: &str = "-- retire.retire
    UPDATE keyward.pepper SET retired_at = $2 WHERE id = $1";

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
        self.query(BOUND, &[]).await?;
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
    /// more. The change log has the pepper only, however many keys there are: replicas know which of
    /// them needed it, and need it no longer.
    pub async fn retire_pepper(&mut self, retirement: &Retirement) -> Result<(), StoreError> {
        let id = retirement.known.id;
        let unknown = retirement.found.map_or(0, |found| found.secrets);
        let time = self.time();
        let retired: [Parameter<'_>; 2] =
            [(&id.to_string(), Type::TEXT), (&time, Type::TIMESTAMPTZ)];
        self.execute(RETIRE, &retired).await?;
        self.note_pepper(id, serde_json::json!({ "retired": true, "unknown": unknown }), &[]);
        Ok(())
    }
}
