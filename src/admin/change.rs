//! One change of one key, in one transaction.

use crate::{
    admin::{Admin, AdminError, Call, Changed, Effect, Target},
    model::{
        caller::Action,
        key::{Change, Key},
    },
};

/// What is to be done to one key.
pub(super) struct Task<'a> {
    pub(super) name: &'static str,
    pub(super) action: Action,
    pub(super) target: &'a Target,
    pub(super) effect: Effect,
}

/// Carries a key from one state to the next, in one transaction. A transition that finds all as
/// asked already leaves no trace.
pub(super) async fn change(
    admin: &Admin,
    call: &Call,
    task: &Task<'_>,
    transition: impl Fn(&mut Key) -> Result<Change, AdminError>,
) -> Result<Changed, AdminError> {
    call.require_some(task.action)?;
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, task.name).await?;
            let before = task.target.lock(&tx, call, task.action).await?;
            let mut key = before.clone();
            let revision = match (transition(&mut key)?, task.effect) {
                (Change::Made, Effect::Apply) => {
                    tx.update_key(&before, &key).await?;
                    tx.commit().await?
                }
                (Change::Made, Effect::ValidateOnly) => {
                    // the version that this would make may become another change's
                    (key.version, key.update_time) = (before.version, before.update_time);
                    tx.abandon().await?
                }
                (Change::Nothing, Effect::Apply | Effect::ValidateOnly) => tx.abandon().await?,
            };
            Ok(Changed { key, revision })
        })
        .await
}
