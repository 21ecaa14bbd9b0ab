//! Questions about keys.

use crate::{
    admin::{Admin, AdminError, Call},
    model::{
        caller::{Action, Right},
        id::KeyId,
        key::Key,
        list::{KeyFilter, KeyPage, PageRequest},
        record::ThingName,
        secret::{MalformedKey, PresentedKey},
    },
};

/// A key by its id.
pub async fn get_key(admin: &Admin, call: &Call, id: KeyId) -> Result<Key, AdminError> {
    require_reader(admin, call).await?;
    let key = admin.store.get_key(id).await?.ok_or(AdminError::UnknownKey(id))?;
    call.require_key(Action::Read, &key)?;
    Ok(key)
}

/// A page of the keys that the caller may read.
pub async fn list_keys(
    admin: &Admin,
    call: &Call,
    filter: &KeyFilter,
    page: &PageRequest,
) -> Result<KeyPage, AdminError> {
    require_reader(admin, call).await?;
    if let Some(domain) = &filter.domain {
        let name = ThingName::in_domain(domain, "");
        call.require_on(Right::on_keys(Action::Read, domain), &name)?;
    }
    Ok(admin.store.list_keys(filter, page, call.now).await?)
}

/// The key that a token opens, or would if it were live.
pub async fn lookup_key(admin: &Admin, call: &Call, token: &str) -> Result<Key, AdminError> {
    require_reader(admin, call).await?;
    let presented = PresentedKey::parse(token, &admin.brand).map_err(|MalformedKey| {
        AdminError::invalid("token", "has not the form or checksum of a token")
    })?;
    let digests = admin.peppers.digests(&presented);
    let key = admin.store.get_key_by_digests(&digests, call.now).await?;
    let key = key.ok_or(AdminError::UnknownToken)?;
    call.require_key(Action::Read, &key)?;
    Ok(key)
}

/// Whether the caller may read any key at all, and is still who the replica takes it for.
pub(super) async fn require_reader(admin: &Admin, call: &Call) -> Result<(), AdminError> {
    call.require_some(Action::Read)?;
    require_known(admin, call).await
}

/// Whether the caller is still who the replica takes it for.
pub(super) async fn require_known(admin: &Admin, call: &Call) -> Result<(), AdminError> {
    call.recognise(admin.store.get_key(call.caller.key).await?)
}
