//! Creating a key.

use std::borrow::Cow;

use crate::{
    admin::{Admin, AdminError, Call, Effect, Opened, resolve},
    model::{
        caller::{Action, Actor},
        domain::Domain,
        group::GroupNames,
        key::{EmptyValidity, Key, Secret, Settings, Standing, Validity},
        name::{DomainName, EnvironmentName, TemplateName},
        record::ThingName,
        secret::{Digest, Hint},
        template::Template,
        text::DisplayName,
        time::Timestamp,
        user::UserId,
    },
    store::write::{RepeatableRequest, WriteTx},
};

/// The key that is wanted. What a template may say is absent if it shall.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// Its tenant.
    pub domain: DomainName,
    /// Where it is to work.
    pub environment: Option<EnvironmentName>,
    /// For people.
    pub display_name: Option<DisplayName>,
    /// All else but what names other things. Its display name does not count.
    pub settings: Settings,
    /// Whom it is to act for.
    pub user: Option<UserId>,
    /// Which groups it is to have.
    pub groups: GroupNames,
    /// What it is made from.
    pub template: Option<FromTemplate>,
    /// What makes a retry safe.
    pub request: Option<RepeatableRequest>,
    /// Whether to make it.
    pub effect: Effect,
}

/// What a key is made from.
#[derive(Clone, Debug)]
pub struct FromTemplate {
    /// The template.
    pub name: TemplateName,
    /// Which of its optional permissions the key gets.
    pub with_optional: Vec<String>,
}

/// Makes a key and its first token.
pub async fn create_key(
    admin: &Admin,
    call: &Call,
    command: &CreateKey,
) -> Result<Opened, AdminError> {
    let draft = draft(admin, command, Actor::Key(call.caller.key), call.now)?;
    let subject = command.domain.as_str();
    admin
        .attempt(call, ("keys.create", subject), || async {
            call.require_key(Action::Write, &draft)?; // of rank, too
            if draft.settings.managed_by.is_some_and(|manager| manager != call.caller.key) {
                return Err(AdminError::invalid("managed_by", "must be the caller's own id"));
            }
            let mut session = admin.store.session().await?;
            let tx = call.begin(&mut session, "keys.create").await?;
            if let Some(key) = Admin::earlier(&tx, command.request.as_ref(), draft.id).await? {
                return Opened::nothing(key, tx).await;
            }
            let key = completed(&tx, command, &draft).await?;
            resolve::settings(&tx, call, (None, &key), "").await?;
            call.require_key(Action::Write, &key)?;
            call.require_ceiling_of_key(&tx, &key).await?;
            insert(admin, tx, key, command.effect).await
        })
        .await
}

/// The key as it will be, but for its secret and for what others say of it.
pub(super) fn draft(
    admin: &Admin,
    command: &CreateKey,
    creator: Actor,
    now: Timestamp,
) -> Result<Key, AdminError> {
    let mut settings = command.settings.clone();
    if let Some(name) = &command.display_name {
        settings.display_name = name.clone();
    }
    let of_admins = EnvironmentName::from_stored(EnvironmentName::OF_ADMINS);
    if let Some(environment) = &command.environment {
        check_environment(&command.domain, environment)?;
    }
    Ok(Key {
        id: admin.new_id(now)?,
        domain: command.domain.clone(),
        environment: command.environment.clone().unwrap_or(of_admins),
        template: command.template.as_ref().map(|template| template.name.clone()),
        settings,
        standing: Standing::Active,
        secret: Secret {
            digest: Digest::from_bytes([0; 32]),
            pepper: admin.peppers.current().id(),
            hint: Hint::from_stored(String::new()),
        },
        retiring: None,
        created_by: creator,
        create_time: now,
        update_time: now,
        delete_time: None,
        last_used_time: None,
        last_used_address: None,
        version: 1,
    })
}

/// The draft with what its template and the things that it names add.
async fn completed(tx: &WriteTx<'_>, command: &CreateKey, draft: &Key) -> Result<Key, AdminError> {
    let name = ThingName::in_domain(&draft.domain, "");
    if tx.share::<Domain>(&name).await?.is_none() {
        return Err(AdminError::invalid("domain", "must be a domain that exists"));
    }
    let mut key = draft.clone();
    let named = (command.user.as_ref(), &command.groups);
    key.settings = resolve::named(tx, &key.domain, &key.settings, named).await?;
    if let Some(from) = &command.template {
        let name = ThingName::of_all(from.name.as_str());
        let Some(template) = tx.share::<Template>(&name).await? else {
            return Err(AdminError::invalid("template", "must be a template that exists"));
        };
        apply(&template, from, command, &mut key)?;
    }
    if command.environment.is_none() && command.template.is_none() {
        return Err(AdminError::invalid("environment", "is required"));
    }
    check_environment(&key.domain, &key.environment)?;
    Ok(key)
}

fn check_environment(domain: &DomainName, name: &EnvironmentName) -> Result<(), AdminError> {
    if domain.is_of_admins() && name.as_str() != EnvironmentName::OF_ADMINS {
        let message = "must be production for keys of domain keyward";
        return Err(AdminError::invalid("environment", message));
    }
    Ok(())
}

/// Fills in what the command leaves to its template.
fn apply(
    template: &Template,
    from: &FromTemplate,
    command: &CreateKey,
    key: &mut Key,
) -> Result<(), AdminError> {
    let settings = &mut key.settings;
    settings.grants = template.permissions.with(&from.with_optional).map_err(|(at, error)| {
        AdminError::Invalid {
            field: format!("with_optional[{at}]").into(),
            message: Cow::Owned(error.to_string()),
        }
    })?;
    settings.limits = settings.limits.with_others(&template.limits).map_err(|(_, error)| {
        AdminError::Invalid {
            field: Cow::Borrowed("limits"),
            message: Cow::Owned(format!("with those of the template {error}")),
        }
    })?;
    if command.display_name.is_none() {
        settings.display_name = template.display_name.clone();
    }
    if let (None, Some(lifetime)) = (settings.validity.expire, template.lifetime) {
        let end = Some(key.create_time.after(lifetime.span()));
        settings.validity =
            Validity::new(settings.validity.not_before, end).map_err(|EmptyValidity| {
                let message = "must be before the end of the template's lifetime";
                AdminError::invalid("not_before_time", message)
            })?;
    }
    match (&command.environment, &template.environment) {
        (Some(_), _) => Ok(()),
        (None, Some(name)) => {
            key.environment = name.clone();
            Ok(())
        }
        (None, None) => {
            let message = "is required: the template has none";
            Err(AdminError::invalid("environment", message))
        }
    }
}

/// Gives a complete key its secret, stores it and ends the transaction.
pub(super) async fn insert(
    admin: &Admin,
    mut tx: WriteTx<'_>,
    mut key: Key,
    effect: Effect,
) -> Result<Opened, AdminError> {
    if key.settings.validity.expire.is_some_and(|end| end <= key.create_time) {
        return Err(AdminError::invalid("expire_time", "must lie in the future"));
    }
    let Some((token, secret)) = admin.new_token(&tx, &key).await? else {
        let message =
            "must be an environment that exists, such as production, staging or development";
        return Err(AdminError::invalid("environment", message));
    };
    if effect == Effect::ValidateOnly {
        return Opened::nothing(key, tx).await;
    }
    key.secret = secret;
    tx.insert_key(&key).await?;
    Opened::commit(key, token, tx).await
}
