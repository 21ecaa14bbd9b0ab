//! Giving a key another token.

use std::time::Duration;

use crate::{
    admin::{
        Admin, AdminError, Call, Opened, Target,
        change::{ReachOf, Task},
    },
    model::{caller::Action, key::Key, time::Timestamp},
    store::{
        error::StoreError,
        write::{RepeatableRequest, WriteTx},
    },
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
    let task = Task {
        name: "keys.regenerate",
        action: Action::Write,
        reach: ReachOf::Letting,
        target: &command.target,
    };
    let subject = command.target.id.to_string();
    admin
        .attempt(call, (task.name, &subject), || async {
            call.require_some(task.action)?;
            let mut session = admin.store.session().await?;
            let tx = call.begin(&mut session, task.name).await?;
            let request = command.request.as_ref();
            if let Some(key) = Admin::earlier(&tx, request, command.target.id).await? {
                call.require_key(task.action, &key)?;
                return Opened::nothing(key, tx).await;
            }
            let before = task.lock(&tx, call).await?;
            renew(admin, (tx, before), command.overlap, call.now).await
        })
        .await
}

/// Gives a locked key a new token and ends the transaction.
pub(super) async fn renew(
    admin: &Admin,
    (mut tx, before): (WriteTx<'_>, Key),
    overlap: Duration,
    now: Timestamp,
) -> Result<Opened, AdminError> {
    let Some((token, secret)) = admin.new_token(&tx, &before).await? else {
        return Err(StoreError::corrupt("key", "environment", "unknown").into());
    };
    let overlap_end = (!overlap.is_zero()).then(|| now.after(overlap));
    let mut key = before.clone();
    key.regenerate(secret, overlap_end, now)?;
    tx.update_key(&before, &key).await?;
    Opened::commit(key, token, tx).await
}
