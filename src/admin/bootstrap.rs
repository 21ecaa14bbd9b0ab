//! The first admin key, and another one when all are lost: whoever has the database may have it.

use crate::{
    admin::{
        Admin, AdminError, Effect, Opened,
        create::{CreateKey, draft, insert},
    },
    model::{
        address::AddressRules,
        caller::Actor,
        customer::Customers,
        group::{GroupNames, Groups},
        key::{Settings, Validity},
        label::Labels,
        limit::Limits,
        name::{DomainName, EnvironmentName},
        permission::Grants,
        route::RouteRules,
        text::{DisplayName, Prose},
        time::Timestamp,
    },
    store::{error::StoreError, write::Intent},
};

/// All that an admin may do.
const ROOT_GRANT: &str = "keyward";

/// Whether a root key is made although there are admin keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In any case.
    Always,
    /// Only if there has never been an admin key.
    First,
}

/// Makes a root admin key. Of several processes that make the first one at once, one does.
pub async fn make_root_key(
    admin: &Admin,
    when: When,
    now: Timestamp,
) -> Result<Option<Opened>, AdminError> {
    let command = CreateKey {
        domain: DomainName::from_stored(DomainName::OF_ADMINS),
        environment: Some(EnvironmentName::from_stored(EnvironmentName::OF_ADMINS)),
        display_name: None,
        settings: root_settings()?,
        user: None,
        groups: GroupNames::default(),
        template: None,
        request: None,
        effect: Effect::Apply,
    };
    let draft = draft(admin, &command, Actor::Bootstrap, now)?;
    admin
        .store
        .retry(|| async {
            let mut session = admin.store.session().await?;
            let tx = session.write(intent(now)).await?;
            if when == When::First && tx.admin_exists().await? {
                tx.abandon().await?;
                return Ok(None);
            }
            insert(admin, tx, draft.clone(), Effect::Apply).await.map(Some)
        })
        .await
}

fn intent(now: Timestamp) -> Intent {
    Intent {
        action: "keys.bootstrap".into(),
        actor: Actor::Bootstrap,
        peer: None,
        time: now,
        request: None,
    }
}

fn root_settings() -> Result<Settings, StoreError> {
    // texts of ours, which cannot be refused; the store's error only saves a panic
    let wrong = |what| StoreError::Schema(format!("the root key's {what} is refused"));
    Ok(Settings {
        display_name: DisplayName::parse("Root admin key").or(Err(wrong("name")))?,
        description: Prose::default(),
        grants: Grants::parse(&[ROOT_GRANT]).or(Err(wrong("grant")))?,
        route_rules: RouteRules::default(),
        validity: Validity::default(),
        labels: Labels::default(),
        user: None,
        groups: Groups::default(),
        customers: Customers::default(),
        addresses: AddressRules::default(),
        managed_by: None,
        self_regenerate: false,
        delegation: None,
        limits: Limits::default(),
    })
}
