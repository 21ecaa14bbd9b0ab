//! A key with all that decides about it, as of one revision.

use tokio_postgres::{IsolationLevel, types::Type};

use crate::{
    model::{id::KeyId, key::Key},
    store::{
        OPERATION_TIME_MAX, Store,
        error::StoreError,
        in_time,
        key_row::key_from_row,
        keys,
        row::field,
        view_rows::{self, Changed, Sink},
        write,
    },
};

const GROUPS_OF_USER: &str = "-- explained.groups_of_user
    SELECT groups FROM keyward.domain_user WHERE uid = $1";

impl Store {
    /// Reads a key, and into the sink what decisions need to know of it. `None`: there is no such
    /// key. Also tells the last revision.
    pub async fn read_whole(
        &self,
        id: KeyId,
        sink: &mut dyn Sink,
    ) -> Result<Option<(Key, i64)>, StoreError> {
        in_time(OPERATION_TIME_MAX, self.read_snapshot(id, sink)).await?
    }

    async fn read_snapshot(
        &self,
        id: KeyId,
        sink: &mut dyn Sink,
    ) -> Result<Option<(Key, i64)>, StoreError> {
        let mut session = self.session().await?;
        let isolation = IsolationLevel::RepeatableRead;
        let builder = session.client.build_transaction().isolation_level(isolation);
        let tx = builder.read_only(true).start().await?;
        let head = tx.query_typed_one(write::HEAD, &[]).await?;
        let Some(row) = tx.query_typed_opt(keys::GET, &[(&id, Type::UUID)]).await? else {
            return Ok(None);
        };
        let key = key_from_row(&row)?;
        let mut needed = Changed {
            keys: vec![id],
            domains: vec![key.domain.to_string()],
            groups: key.settings.groups.iter().map(|group| group.uid).collect(),
            users: key.settings.user.iter().map(|user| user.uid).collect(),
            customers: Vec::new(),
            quotas: Vec::new(),
            peppers: Vec::new(),
        };
        for uid in &needed.users {
            let row = tx.query_typed_one(GROUPS_OF_USER, &[(uid, Type::INT8)]).await?;
            needed.groups.extend(field::<Vec<i64>>(&row, "domain_user", "groups")?);
        }
        needed.dedup();
        view_rows::changed(&*tx, &needed, sink).await?;
        tx.commit().await?;
        Ok(Some((key, field(&head, "log_head", "revision")?)))
    }
}
