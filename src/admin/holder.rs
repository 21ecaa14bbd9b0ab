//! What the holder of a key may do with it.

use std::time::Duration;

use crate::{
    admin::{
        Admin, AdminError, Call, Changed, Effect, Opened, change::finish, denial::Denial,
        regenerate::renew,
    },
    model::{
        caller::Actor,
        domain::Domain,
        key::{Key, Revocation, RevocationReason},
        record::ThingName,
        text::Prose,
        user::User,
    },
    store::write::{RepeatableRequest, WriteTx},
};

/// Gives the caller's own key a new token, if it lets its holder do so.
pub async fn regenerate_own_key(
    admin: &Admin,
    call: &Call,
    overlap: Duration,
    request: Option<&RepeatableRequest>,
) -> Result<Opened, AdminError> {
    let id = call.caller.key;
    admin
        .attempt(call, ("keys.self_regenerate", &id.to_string()), || async {
            let mut session = admin.store.session().await?;
            let tx = session.write(call.intent("keys.self_regenerate")).await?;
            let key = own_key(&tx, call).await?;
            if !key.settings.self_regenerate {
                return Err(Denial::NoSelfRegenerate.into());
            }
            if let Some(key) = Admin::earlier(&tx, request, id).await? {
                return Opened::nothing(key, tx).await;
            }
            renew(admin, (tx, key), overlap, call.now).await
        })
        .await
}

/// Stops the caller's own key and all its tokens.
pub async fn revoke_own_key(
    admin: &Admin,
    call: &Call,
    reason: RevocationReason,
    comment: &Prose,
) -> Result<Changed, AdminError> {
    let id = call.caller.key;
    admin
        .attempt(call, ("keys.self_revoke", &id.to_string()), || async {
            let mut session = admin.store.session().await?;
            let tx = session.write(call.intent("keys.self_revoke")).await?;
            let before = own_key(&tx, call).await?;
            let mut key = before.clone();
            let by = Actor::Key(id);
            let revocation = Revocation { reason, comment: comment.clone(), time: call.now, by };
            let change = key.revoke(revocation)?;
            finish(tx, (&before, key), change, Effect::Apply).await
        })
        .await
}

/// The caller's own key, which nobody else changes until the end. Like the key itself, its user and
/// its domain are judged by what the database knows of them.
async fn own_key(tx: &WriteTx<'_>, call: &Call) -> Result<Key, AdminError> {
    let key = tx.lock_key(call.caller.key).await?;
    call.recognise(key.clone())?;
    let key = key.ok_or(AdminError::CallerStopped)?;
    let domain = tx.share::<Domain>(&ThingName::in_domain(&key.domain, "")).await?;
    let user = match &key.settings.user {
        None => true,
        Some(user) => {
            let name = ThingName::in_domain(&key.domain, user.id.as_str());
            tx.share::<User>(&name).await?.is_some_and(|user| !user.disabled)
        }
    };
    if user && domain.is_some_and(|domain| !domain.disabled) {
        Ok(key)
    } else {
        Err(AdminError::CallerStopped)
    }
}
