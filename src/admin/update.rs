//! Changing a key's settings.

use crate::{
    admin::{
        Admin, AdminError, Call, Changed, Effect, Target,
        change::{Task, change},
    },
    model::{
        caller::Action,
        key::{EmptyValidity, Settings, Validity},
        label::Labels,
        permission::Grants,
        route::RouteRules,
        text::{DisplayName, Prose},
        time::Timestamp,
    },
};

/// What is to change; `None`: not that.
#[derive(Clone, Debug, Default)]
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
}

impl Patch {
    fn applied_to(&self, old: &Settings) -> Result<Settings, EmptyValidity> {
        Ok(Settings {
            display_name: self.display_name.clone().unwrap_or_else(|| old.display_name.clone()),
            description: self.description.clone().unwrap_or_else(|| old.description.clone()),
            grants: self.grants.clone().unwrap_or_else(|| old.grants.clone()),
            route_rules: self.route_rules.clone().unwrap_or_else(|| old.route_rules.clone()),
            validity: Validity::new(
                self.not_before.unwrap_or(old.validity.not_before),
                self.expire.unwrap_or(old.validity.expire),
            )?,
            labels: self.labels.clone().unwrap_or_else(|| old.labels.clone()),
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
    let task = Task { name: "keys.update", action: Action::Write, target, effect };
    change(admin, call, &task, |key| {
        let settings =
            patch.applied_to(&key.settings).map_err(|EmptyValidity| AdminError::Invalid {
                field: "key.expire_time",
                message: "must be after not_before_time",
            })?;
        call.require_rank(key, &settings)?;
        Ok(key.update(settings, call.now)?)
    })
    .await
}
