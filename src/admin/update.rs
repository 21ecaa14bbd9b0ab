//! Changing a key's settings.

use crate::{
    admin::{
        Admin, AdminError, Call, Changed, Effect, Target,
        change::{ReachOf, Task, finish},
        resolve,
    },
    model::{
        address::{AddressRules, Networks},
        caller::Action,
        customer::Customers,
        delegation::Delegation,
        group::GroupNames,
        id::KeyId,
        key::{EmptyValidity, Key, Settings, Validity},
        label::Labels,
        limit::Limits,
        permission::Grants,
        route::RouteRules,
        text::{DisplayName, Prose},
        time::Timestamp,
        user::UserId,
    },
    store::write::WriteTx,
};

/// What is to change; `None`: not that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// For people.
    pub display_name: Option<DisplayName>,
    /// For people.
    pub description: Option<Prose>,
    /// What it may do.
    pub grants: Option<Grants>,
    /// Where it may do it.
    pub route_rules: Option<RouteRules>,
    /// From when on it is valid; `Some(None)`: from the start.
    pub not_before: Option<Option<Timestamp>>,
    /// Until when it is valid; `Some(None)`: for ever.
    pub expire: Option<Option<Timestamp>>,
    /// Its labels.
    pub labels: Option<Labels>,
    /// Whom it acts for; `Some(None)`: nobody.
    pub user: Option<Option<UserId>>,
    /// Which groups it has.
    pub groups: Option<GroupNames>,
    /// For which customers.
    pub customers: Option<Customers>,
    /// From where.
    pub allowed: Option<Networks>,
    /// From where not.
    pub denied: Option<Networks>,
    /// Who alone may change it; `Some(None)`: everyone who may change keys.
    pub managed_by: Option<Option<KeyId>>,
    /// Whether its holder may give it a new token.
    pub self_regenerate: Option<bool>,
    /// What it is bound to; `Some(None)`: nothing.
    pub delegation: Option<Option<Delegation>>,
    /// How much it may be used.
    pub limits: Option<Limits>,
}

impl Patch {
    /// Whether it changes nothing but who manages the key.
    fn hands_over(&self) -> bool {
        let rest = Self { managed_by: None, ..self.clone() };
        self.managed_by.is_some() && rest == Self::default()
    }

    /// What settings become by it, with what it names found.
    async fn applied_to(&self, tx: &WriteTx<'_>, key: &Key) -> Result<Settings, AdminError> {
        let old = &key.settings;
        let validity = Validity::new(
            self.not_before.unwrap_or(old.validity.not_before),
            self.expire.unwrap_or(old.validity.expire),
        )
        .map_err(|EmptyValidity| {
            AdminError::invalid("key.expire_time", "must be after not_before_time")
        })?;
        let user = match &self.user {
            None => old.user.clone(),
            Some(None) => None,
            Some(Some(id)) => Some(resolve::user(tx, &key.domain, id, "key.user").await?),
        };
        let groups = match &self.groups {
            None => old.groups.clone(),
            Some(names) => resolve::groups(tx, &key.domain, names, "key.groups").await?,
        };
        let patch = self.clone();
        Ok(Settings {
            display_name: patch.display_name.unwrap_or_else(|| old.display_name.clone()),
            description: patch.description.unwrap_or_else(|| old.description.clone()),
            grants: patch.grants.unwrap_or_else(|| old.grants.clone()),
            route_rules: patch.route_rules.unwrap_or_else(|| old.route_rules.clone()),
            validity,
            labels: patch.labels.unwrap_or_else(|| old.labels.clone()),
            user,
            groups,
            customers: patch.customers.unwrap_or_else(|| old.customers.clone()),
            addresses: AddressRules {
                allowed: patch.allowed.unwrap_or_else(|| old.addresses.allowed.clone()),
                denied: patch.denied.unwrap_or_else(|| old.addresses.denied.clone()),
            },
            managed_by: patch.managed_by.unwrap_or(old.managed_by),
            self_regenerate: patch.self_regenerate.unwrap_or(old.self_regenerate),
            delegation: patch.delegation.unwrap_or_else(|| old.delegation.clone()),
            limits: patch.limits.unwrap_or_else(|| old.limits.clone()),
        })
    }
}

/// Changes settings of a key.
pub async fn update_key(
    admin: &Admin,
    call: &Call,
    target: &Target,
    patch: &Patch,
    effect: Effect,
) -> Result<Changed, AdminError> {
    // a key whose manager is gone is given another one by whoever reaches all keys
    let takes_over = patch.hands_over() && call.caller.profile.delegation.is_none();
    let reach = if takes_over { ReachOf::Emergency } else { ReachOf::Letting };
    let task = Task { name: "keys.update", action: Action::Write, reach, target };
    let subject = target.id.to_string();
    admin
        .attempt(call, (task.name, &subject), || async {
            call.require_some(task.action)?;
            let mut session = admin.store.session().await?;
            let (tx, before) = task.begin(&mut session, call).await?;
            let mut key = before.clone();
            let settings = patch.applied_to(&tx, &before).await?;
            let change = key.update(settings, call.now)?;
            call.require_rank(&key)?;
            call.require_ceiling_of_key(&tx, &key).await?;
            resolve::settings(&tx, call, (Some(&before), &key), "key.").await?;
            finish(tx, (&before, key), change, effect).await
        })
        .await
}
