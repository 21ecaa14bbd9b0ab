//! Stopping keys and letting them work again.

use crate::{
    admin::{Admin, AdminError, Call, Changed, Effect, Target},
    model::{
        caller::{Action, Actor},
        key::{Change, Key, Revocation, RevocationReason},
        text::Prose,
    },
};

/// Makes a deactivated or revoked key work again.
pub async fn activate_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
) -> Result<Changed, AdminError> {
    let task = Task { name: "keys.activate", action: Action::Write, target, effect: Effect::Apply };
    change(admin, call, &task, |key| Ok(key.activate(call.now)?)).await
}

/// Stops a key for a while.
pub async fn deactivate_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
) -> Result<Changed, AdminError> {
    let task =
        Task { name: "keys.deactivate", action: Action::Write, target, effect: Effect::Apply };
    change(admin, call, &task, |key| Ok(key.deactivate(call.now)?)).await
}

/// Stops a key and all its tokens in an emergency.
pub async fn revoke_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
    reason: RevocationReason,
    comment: &Prose,
) -> Result<Changed, AdminError> {
    let task = Task { name: "keys.revoke", action: Action::Revoke, target, effect: Effect::Apply };
    change(admin, call, &task, |key| {
        let by = Actor::Key(call.caller.key);
        let revocation = Revocation { reason, comment: comment.clone(), time: call.now, by };
        Ok(key.revoke(revocation)?)
    })
    .await
}

/// Hides a key whose display name the caller repeats.
pub async fn delete_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
    confirm: &str,
) -> Result<Changed, AdminError> {
    let task = Task { name: "keys.delete", action: Action::Delete, target, effect: Effect::Apply };
    change(admin, call, &task, |key| {
        if key.settings.display_name.as_str() != confirm {
            return Err(AdminError::Invalid {
                field: "confirm",
                message: "must be the key's display name, letter for letter",
            });
        }
        Ok(key.delete(call.now)?)
    })
    .await
}

/// Brings a deleted key back.
pub async fn undelete_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
) -> Result<Changed, AdminError> {
    let task =
        Task { name: "keys.undelete", action: Action::Delete, target, effect: Effect::Apply };
    change(admin, call, &task, |key| Ok(key.undelete(call.now)?)).await
}

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
                (Change::Nothing, _) | (_, Effect::ValidateOnly) => tx.abandon().await?,
            };
            Ok(Changed { key, revision })
        })
        .await
}
