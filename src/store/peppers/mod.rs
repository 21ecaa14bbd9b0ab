//! The peppers that digests in the database are keyed with: which there are, which a process must have,
//! and how many secrets each of them has.

pub mod retire;
pub mod upgrade;

use tokio_postgres::{Row, Transaction, types::Type};

use crate::{
    model::{
        pepper::{PepperId, Peppers},
        secret::Pepper,
        time::Timestamp,
    },
    store::{BOUNDS, Parameter, Store, error::StoreError, row::field, things::parsed},
};

const TABLE: &str = "pepper";

/// Of several processes that begin at once, one adds what is missing.
const LOCK: &str = "-- peppers.lock
    LOCK TABLE keyward.pepper IN SHARE ROW EXCLUSIVE MODE";

const ALL: &str = "-- peppers.all
    SELECT id, verifier, created_at, current_at, seen_at, retired_at,
        id = (SELECT id FROM keyward.pepper WHERE retired_at IS NULL
            ORDER BY first_current_at DESC NULLS LAST, created_at DESC LIMIT 1) AS is_target
    FROM keyward.pepper ORDER BY created_at, id";

/// The first one of all is the pepper of digests that do not say which.
const ADD: &str = "-- peppers.add
    INSERT INTO keyward.pepper (verifier, is_first)
    SELECT $1, CASE WHEN NOT EXISTS (SELECT FROM keyward.pepper) THEN true END";

const SEE: &str = "-- peppers.see
    UPDATE keyward.pepper SET seen_at = now(),
        current_at = CASE WHEN id = $2 THEN now() ELSE current_at END,
        first_current_at = CASE WHEN id = $2 THEN coalesce(first_current_at, now())
            ELSE first_current_at END
    WHERE id = ANY ($1)";

/// Programs that know of one pepper only would call keys of a second one unknown. The number is that of
/// the migration that brought several.
const REFUSE_OLDER: &str = "-- peppers.refuse_older
    UPDATE keyward.migration SET serves_from = 8 WHERE version = 8 AND serves_from < 8
        AND (SELECT count(*) FROM keyward.pepper) > 1";

/// What opens a key now or may again: deleted keys can come back, a replaced token that has ended
/// cannot, and keys are yet to be made of staged items.
const COUNT: &str = "-- peppers.count
    WITH secret AS (
        SELECT pepper, deleted_at IS NOT NULL AS deleted, 0 AS staged FROM keyward.key
        UNION ALL
        SELECT retiring_pepper, deleted_at IS NOT NULL, 0
        FROM keyward.key WHERE retiring_expire_at > now()
        UNION ALL
        SELECT pepper, false, 1 FROM keyward.job_import
    )
    SELECT coalesce(secret.pepper, (SELECT id FROM keyward.pepper WHERE is_first)) AS id,
        count(*) AS secrets, count(*) FILTER (WHERE secret.deleted) AS deleted,
        sum(secret.staged) AS staged
    FROM secret GROUP BY 1";

const LAST_USED: &str = "-- peppers.last_used
    SELECT coalesce(k.pepper, (SELECT id FROM keyward.pepper WHERE is_first)) AS id,
        max(u.last_used_at) AS last_used_at
    FROM keyward.key AS k JOIN keyward.key_usage AS u ON u.key_id = k.id GROUP BY 1";

/// A pepper as the database knows it.
#[derive(Clone, Debug)]
pub struct KnownPepper {
    /// What it is called.
    pub id: PepperId,
    verifier: Vec<u8>,
    /// When it was first seen.
    pub create_time: Timestamp,
    /// When a replica last said that it makes digests with it.
    pub current_time: Option<Timestamp>,
    /// When a replica last said that it has it.
    pub seen_time: Option<Timestamp>,
    /// When it was retired.
    pub retire_time: Option<Timestamp>,
    /// Whether keys are moved to it: it is the one that became current last.
    pub is_target: bool,
}

/// How much is digested with a pepper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperUse {
    /// Which.
    pub id: PepperId,
    /// Tokens of keys, and of items of imports that are not made yet.
    pub secrets: i64,
    /// Those among them whose keys are deleted and may be undeleted.
    pub deleted: i64,
    /// Those among them that are items of imports.
    pub staged: i64,
}

impl Store {
    /// Refuses peppers with which keys would be unknown that are not, and adds those that the database
    /// does not know yet. The first one of all that asks settles what the database begins with. Returns
    /// those that were retired, which nobody has to have any more.
    pub async fn recognise_peppers(&self, peppers: &Peppers) -> Result<Vec<PepperId>, StoreError> {
        let mut session = self.session().await?;
        let tx = session.begin(BOUNDS).await?;
        tx.query_typed(LOCK, &[]).await?;
        let known = known_unless_refused(&tx, peppers).await?;
        let mut rows = known.len();
        let mut retired = Vec::new();
        for pepper in peppers.all() {
            if let Some(known) = known.iter().find(|known| known.id == pepper.id()) {
                retired.extend(known.retire_time.map(|_| known.id));
            } else {
                let verifier = pepper.verifier().to_vec();
                tx.execute_typed(ADD, &[(&verifier, Type::BYTEA)]).await?;
                rows += 1;
            }
        }
        let (ids, current) = stored(peppers);
        let see: [Parameter<'_>; 2] = [(&ids, Type::TEXT_ARRAY), (&current, Type::TEXT)];
        tx.execute_typed(SEE, &see).await?;
        if rows > 1 {
            tx.execute_typed(REFUSE_OLDER, &[]).await?;
        }
        tx.commit().await?;
        Ok(retired)
    }

    /// Refuses peppers as [`Self::recognise_peppers`] does, and adds none. Says whether the database knows
    /// any yet.
    pub async fn check_peppers(&self, peppers: &Peppers) -> Result<bool, StoreError> {
        let mut session = self.session().await?;
        let tx = session.begin(BOUNDS).await?;
        Ok(!known_unless_refused(&tx, peppers).await?.is_empty())
    }

    /// Says which peppers this process has, and with which it makes digests; returns all that the
    /// database knows.
    pub async fn see_peppers(&self, peppers: &Peppers) -> Result<Vec<KnownPepper>, StoreError> {
        let (ids, current) = stored(peppers);
        let see: [Parameter<'_>; 2] = [(&ids, Type::TEXT_ARRAY), (&current, Type::TEXT)];
        self.run(SEE, &see).await?;
        self.known_peppers().await
    }

    /// All peppers that the database knows, by when they came.
    pub async fn known_peppers(&self) -> Result<Vec<KnownPepper>, StoreError> {
        known(&self.run(ALL, &[]).await?)
    }

    /// When a key was last used whose current token is digested with each pepper. Reads all keys.
    pub async fn pepper_last_uses(&self) -> Result<Vec<(PepperId, Timestamp)>, StoreError> {
        let read = |row| {
            let id = parsed(row, TABLE, "id", PepperId::parse)?;
            Ok((id, field(row, TABLE, "last_used_at")?))
        };
        self.run(LAST_USED, &[]).await?.iter().map(read).collect()
    }

    /// How many secrets each pepper has that has any. Reads all keys: to be asked seldom.
    pub async fn pepper_uses(&self) -> Result<Vec<PepperUse>, StoreError> {
        uses(&self.run(COUNT, &[]).await?)
    }
}

/// All peppers that the database knows, unless these must not serve it.
async fn known_unless_refused(
    tx: &Transaction<'_>,
    peppers: &Peppers,
) -> Result<Vec<KnownPepper>, StoreError> {
    let known = known(&tx.query_typed(ALL, &[]).await?)?;
    let lacking: Vec<&KnownPepper> = known
        .iter()
        .filter(|known| known.retire_time.is_none() && !is_among(known.id, peppers))
        .collect();
    if !lacking.is_empty() {
        // reads all keys, so only where something may be wrong
        let uses = uses(&tx.query_typed(COUNT, &[]).await?)?;
        for known in lacking {
            let found = uses.iter().find(|found| found.id == known.id);
            let secrets = found.map_or(0, |found| found.secrets);
            if secrets > 0 || known.is_target {
                return Err(StoreError::MissingPepper { id: known.id, secrets });
            }
        }
    }
    for pepper in peppers.all() {
        if let Some(known) = known.iter().find(|known| known.id == pepper.id()) {
            check(known, pepper, peppers)?;
        }
    }
    Ok(known)
}

fn is_among(id: PepperId, peppers: &Peppers) -> bool {
    peppers.ids().any(|ours| ours == id)
}

fn stored(peppers: &Peppers) -> (Vec<String>, String) {
    let ids = peppers.ids().map(|id| id.to_string()).collect();
    (ids, peppers.current().id().to_string())
}

/// What the database says of a pepper that this process has. One that is retired may still be given as
/// another one, until its file is taken away from every replica.
fn check(known: &KnownPepper, pepper: &Pepper, peppers: &Peppers) -> Result<(), StoreError> {
    if known.verifier != pepper.verifier() {
        return Err(StoreError::corrupt(TABLE, "verifier", "another pepper has the same id"));
    }
    if known.retire_time.is_some() && pepper.id() == peppers.current().id() {
        return Err(StoreError::RetiredPepper { id: pepper.id() });
    }
    Ok(())
}

fn known(rows: &[Row]) -> Result<Vec<KnownPepper>, StoreError> {
    let read = |row| {
        Ok(KnownPepper {
            id: parsed(row, TABLE, "id", PepperId::parse)?,
            verifier: field(row, TABLE, "verifier")?,
            create_time: field(row, TABLE, "created_at")?,
            current_time: field(row, TABLE, "current_at")?,
            seen_time: field(row, TABLE, "seen_at")?,
            retire_time: field(row, TABLE, "retired_at")?,
            is_target: field(row, TABLE, "is_target")?,
        })
    };
    rows.iter().map(read).collect()
}

fn uses(rows: &[Row]) -> Result<Vec<PepperUse>, StoreError> {
    let read = |row| {
        Ok(PepperUse {
            id: parsed(row, TABLE, "id", PepperId::parse)?,
            secrets: field(row, TABLE, "secrets")?,
            deleted: field(row, TABLE, "deleted")?,
            staged: field(row, TABLE, "staged")?,
        })
    };
    rows.iter().map(read).collect()
}
