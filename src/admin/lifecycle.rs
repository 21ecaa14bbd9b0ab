//! Stopping keys and letting them work again.

use crate::{
    admin::{
        Admin, AdminError, Call, Changed, Effect, Target,
        change::{ReachOf, Task, change, finish},
    },
    model::{
        caller::{Action, Actor},
        key::{Refusal, Revocation, RevocationReason},
        text::Prose,
    },
};

/// Makes a deactivated or revoked key work again.
pub async fn activate_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
) -> Result<Changed, AdminError> {
    let task =
        Task { name: "keys.activate", action: Action::Write, reach: ReachOf::Letting, target };
    change(admin, call, &task, |key| Ok(key.activate(call.now)?)).await
}

/// Stops a key for a while.
pub async fn deactivate_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
) -> Result<Changed, AdminError> {
    let task =
        Task { name: "keys.deactivate", action: Action::Write, reach: ReachOf::Stopping, target };
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
    let task =
        Task { name: "keys.revoke", action: Action::Revoke, reach: ReachOf::Emergency, target };
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
    let task =
        Task { name: "keys.delete", action: Action::Delete, reach: ReachOf::Stopping, target };
    change(admin, call, &task, |key| {
        if key.settings.display_name.as_str() != confirm {
            return Err(AdminError::invalid(
                "confirm",
                "must be the key's display name, letter for letter",
            ));
        }
        Ok(key.delete(call.now)?)
    })
    .await
}

/// Brings a deleted key back, unless its user was deleted meanwhile.
pub async fn undelete_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
) -> Result<Changed, AdminError> {
    let task =
        Task { name: "keys.undelete", action: Action::Delete, reach: ReachOf::Letting, target };
    let subject = target.id.to_string();
    admin
        .attempt(call, (task.name, &subject), || async {
            call.require_some(task.action)?;
            let mut session = admin.store.session().await?;
            let (tx, before) = task.begin(&mut session, call).await?;
            let mut key = before.clone();
            let change = key.undelete(call.now)?;
            if let Some(user) = &key.settings.user
                && !tx.user_is_there(user.uid).await?
            {
                return Err(Refusal::UserGone.into());
            }
            finish(tx, (&before, key), change, Effect::Apply).await
        })
        .await
}
