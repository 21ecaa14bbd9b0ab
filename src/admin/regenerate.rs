//! Giving a key another token.

use std::time::Duration;

use crate::{
    admin::{Admin, AdminError, Call, Opened, Target},
    model::caller::Action,
    store::{error::StoreError, write::RepeatableRequest},
};

/// What is wanted.
#[derive(Clone, Debug)]
pub struct RegenerateKey {
    /// The key.
    pub target: Target,
    /// How long the old token works on; zero: not at all.
    pub overlap: Duration,
    /// What makes a retry safe.
    pub request: Option<RepeatableRequest>,
}

/// Gives a key another token under the same id and settings.
pub async fn regenerate_key(
    admin: &Admin,
    call: &Call,
    command: &RegenerateKey,
) -> Result<Opened, AdminError> {
    call.require_some(Action::Write)?;
    let overlap_end = (!command.overlap.is_zero()).then(|| call.now.after(command.overlap));
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, "keys.regenerate").await?;
            let request = command.request.as_ref();
            if let Some(key) = Admin::earlier(&tx, request, command.target.id).await? {
                call.require(Action::Write, &key)?;
                return Opened::nothing(key, tx).await;
            }
            let before = command.target.lock(&tx, call, Action::Write).await?;
            let Some((token, secret)) = admin.new_token(&tx, &before).await? else {
                return Err(StoreError::corrupt("key", "environment", "unknown").into());
            };
            let mut key = before.clone();
            key.regenerate(secret, overlap_end, call.now)?;
            tx.update_key(&before, &key).await?;
            Opened::commit(key, token, tx).await
        })
        .await
}
