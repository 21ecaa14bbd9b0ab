//! Stopping keys and letting them work again.

use crate::{
    admin::{
        Admin, AdminError, Call, Changed, Effect, Target,
        change::{Task, change},
    },
    model::{
        caller::{Action, Actor},
        key::{Revocation, RevocationReason},
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
