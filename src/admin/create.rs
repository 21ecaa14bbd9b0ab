//! Creating a key.

use crate::{
    admin::{Admin, AdminError, Call, Effect, Opened},
    model::{
        caller::{Action, Actor},
        environment::{DomainName, EnvironmentName},
        key::{Key, Secret, Settings, Standing},
        secret::{Digest, Hint},
        time::Timestamp,
    },
    store::write::{RepeatableRequest, WriteTx},
};

/// The key that is wanted.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// Its tenant.
    pub domain: DomainName,
    /// Where it is to work.
    pub environment: EnvironmentName,
    /// All else.
    pub settings: Settings,
    /// What makes a retry safe.
    pub request: Option<RepeatableRequest>,
    /// Whether to make it.
    pub effect: Effect,
}

/// Makes a key and its first token.
pub async fn create_key(
    admin: &Admin,
    call: &Call,
    command: &CreateKey,
) -> Result<Opened, AdminError> {
    let draft = draft(admin, command, Actor::Key(call.caller.key), call.now)?;
    call.require(Action::Write, &draft)?; // of rank, too
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let tx = call.begin(&mut session, "keys.create").await?;
            insert(admin, tx, command, &draft).await
        })
        .await
}

/// The key as it will be, but for its secret.
pub(super) fn draft(
    admin: &Admin,
    command: &CreateKey,
    creator: Actor,
    now: Timestamp,
) -> Result<Key, AdminError> {
    let of_admins = command.domain.is_of_admins();
    if of_admins && command.environment.as_str() != EnvironmentName::OF_ADMINS {
        return Err(AdminError::Invalid {
            field: "environment",
            message: "must be production for keys of domain keyward",
        });
    }
    Ok(Key {
        id: admin.new_id(now)?,
        domain: command.domain.clone(),
        environment: command.environment.clone(),
        settings: command.settings.clone(),
        standing: Standing::Active,
        secret: Secret {
            digest: Digest::from_bytes([0; 32]),
            hint: Hint::from_stored(String::new()),
        },
        retiring: None,
        created_by: creator,
        create_time: now,
        update_time: now,
        delete_time: None,
        last_used_time: None,
        version: 1,
    })
}

/// Gives a draft its secret, stores it and ends the transaction.
pub(super) async fn insert(
    admin: &Admin,
    mut tx: WriteTx<'_>,
    command: &CreateKey,
    draft: &Key,
) -> Result<Opened, AdminError> {
    if let Some(key) = Admin::earlier(&tx, command.request.as_ref(), draft.id).await? {
        return Opened::nothing(key, tx).await;
    }
    // after a repeated request is recognised, whose time may have passed meanwhile
    if draft.settings.validity.expire.is_some_and(|end| end <= draft.create_time) {
        return Err(EXPIRED_FROM_THE_START);
    }
    if !tx.domain_exists(&draft.domain).await? {
        return Err(UNKNOWN_DOMAIN);
    }
    let Some((token, secret)) = admin.new_token(&tx, draft).await? else {
        return Err(UNKNOWN_ENVIRONMENT);
    };
    let mut key = draft.clone();
    if command.effect == Effect::ValidateOnly {
        return Opened::nothing(key, tx).await;
    }
    key.secret = secret;
    tx.insert_key(&key).await?;
    Opened::commit(key, token, tx).await
}

const EXPIRED_FROM_THE_START: AdminError =
    AdminError::Invalid { field: "expire_time", message: "must lie in the future" };

const UNKNOWN_DOMAIN: AdminError =
    AdminError::Invalid { field: "domain", message: "must be a domain that exists" };

const UNKNOWN_ENVIRONMENT: AdminError = AdminError::Invalid {
    field: "environment",
    message: "must be an environment that exists, such as production, staging or development",
};
