//! Keys that were used and are digested anew with the current pepper.

use std::collections::{HashMap, HashSet};

use tokio_postgres::types::Type;

use crate::{
    model::{
        id::KeyId,
        pepper::{PepperId, Upgrade},
        secret::Digest,
    },
    store::{Parameter, error::StoreError, row::field, write::WriteTx},
};

/// Whether keys are moved to this pepper: it became current last and is not retired. Nobody retires it
/// until the end.
const IS_TARGET: &str = "-- upgrade.is_target
    SELECT id = $1 AS is_target FROM keyward.pepper WHERE retired_at IS NULL
    ORDER BY first_current_at DESC NULLS LAST, created_at DESC LIMIT 1 FOR SHARE";

/// An item of an import that was taken by a process with one other pepper alone: only by that is it known
/// whether a key has its token already.
const IS_HELD_UP: &str = "-- upgrade.is_held_up
    SELECT EXISTS (SELECT FROM keyward.job_import AS item
        WHERE item.other_digests = '{}'
            AND coalesce(item.pepper, (SELECT id FROM keyward.pepper WHERE is_first)) <> $1
    ) AS is_held_up";

/// In the order of their ids, so that two replicas do not wait for each other. A key that was given
/// another token meanwhile has another digest by then, and is not among them.
const LOCK: &str = "-- upgrade.lock
    SELECT id, digest, retiring_digest FROM keyward.key
    WHERE digest = ANY ($1) OR retiring_digest = ANY ($1)
    ORDER BY id FOR UPDATE";

/// What is null stays as it is.
const UPGRADE: &str = "-- upgrade.upgrade
    UPDATE keyward.key AS k SET
        digest = coalesce(item.current, k.digest),
        pepper = CASE WHEN item.current IS NULL THEN k.pepper ELSE $4 END,
        retiring_digest = coalesce(item.retiring, k.retiring_digest),
        retiring_pepper = CASE WHEN item.retiring IS NULL THEN k.retiring_pepper ELSE $4 END
    FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS item (id, current, retiring)
    WHERE k.id = item.id";

/// What is to be replaced of some keys.
#[derive(Debug, Default)]
struct Replaced {
    keys: Vec<KeyId>,
    current: Vec<Option<Digest>>,
    retiring: Vec<Option<Digest>>,
}

impl WriteTx<'_> {
    /// Whether keys are moved to this pepper now, and until the end.
    pub async fn is_target_pepper(&self, id: PepperId) -> Result<bool, StoreError> {
        let rows = self.query(IS_TARGET, &[(&id.to_string(), Type::TEXT)]).await?;
        rows.first().map_or(Ok(false), |row| field(row, "pepper", "is_target"))
    }

    /// Whether keys must keep their digests for now, lest an import that is under way gives a token of
    /// theirs to a second key.
    pub async fn is_upgrade_held_up(&self, pepper: PepperId) -> Result<bool, StoreError> {
        let rows = self.query(IS_HELD_UP, &[(&pepper.to_string(), Type::TEXT)]).await?;
        rows.first().map_or(Ok(false), |row| field(row, "job_import", "is_held_up"))
    }

    /// Replaces digests by those that a pepper gives; says how many keys changed. Nothing that operators
    /// see of a key changes, so its version does not. A digest that a key has already is left out.
    pub async fn upgrade_digests(
        &mut self,
        pepper: PepperId,
        upgrades: &[Upgrade],
    ) -> Result<usize, StoreError> {
        let Replaced { keys, current, retiring } = self.lock_replaced(upgrades).await?;
        if keys.is_empty() {
            return Ok(0);
        }
        let id = pepper.to_string();
        let parameters: [Parameter<'_>; 4] = [
            (&keys, Type::UUID_ARRAY),
            (&current, Type::BYTEA_ARRAY),
            (&retiring, Type::BYTEA_ARRAY),
            (&id, Type::TEXT),
        ];
        self.execute(UPGRADE, &parameters).await?;
        let shown = serde_json::json!({ "upgraded": keys.len() });
        self.note_pepper(pepper, shown, &keys);
        Ok(keys.len())
    }

    async fn lock_replaced(&self, upgrades: &[Upgrade]) -> Result<Replaced, StoreError> {
        let new: Vec<Digest> = upgrades.iter().map(|upgrade| upgrade.new).collect();
        let taken: HashSet<Digest> = self.digests_present(&new).await?.into_iter().collect();
        let news: HashMap<Digest, Digest> = upgrades
            .iter()
            .filter(|upgrade| !taken.contains(&upgrade.new))
            .map(|upgrade| (upgrade.old, upgrade.new))
            .collect();
        let old: Vec<Digest> = news.keys().copied().collect();
        let mut replaced = Replaced::default();
        for row in self.query(LOCK, &[(&old, Type::BYTEA_ARRAY)]).await? {
            let current: Digest = field(&row, "key", "digest")?;
            let retiring: Option<Digest> = field(&row, "key", "retiring_digest")?;
            replaced.keys.push(field(&row, "key", "id")?);
            replaced.current.push(news.get(&current).copied());
            replaced.retiring.push(retiring.and_then(|old| news.get(&old).copied()));
        }
        Ok(replaced)
    }
}
