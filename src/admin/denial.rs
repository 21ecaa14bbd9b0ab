//! What a caller may do: its rights, the domains that it reaches, and what it may give to others.

use thiserror::Error;

use crate::{
    admin::{AdminError, Call},
    model::{
        caller::{Action, Right},
        id::KeyId,
        key::Key,
        name::DomainName,
        permission::Grants,
        record::ThingName,
        user::User,
    },
    store::write::WriteTx,
};

/// Why a caller may not. Changes that are refused for such a reason are audited.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Denial {
    /// The caller lacks the permission that this takes.
    #[error("this needs the permission {right}")]
    NotPermitted {
        /// What is missing.
        right: Right,
    },
    /// The caller is bound to other domains.
    #[error("the admin key is not delegated this domain")]
    NotDelegated,
    /// What belongs to the whole installation is not for a caller that is bound to domains.
    #[error("an admin key that is delegated some domains may not change what belongs to all")]
    Delegated,
    /// Something would be, or is, able to do more than the caller's ceiling.
    #[error("it has or would have the permission {grant}, which is beyond the admin key's ceiling")]
    ExceedsCeiling {
        /// The first such permission.
        grant: Box<str>,
    },
    /// The admin key concerned may do what the caller may not.
    #[error("the admin key has or would have the permission {grant}, which the caller lacks")]
    OutranksCaller {
        /// The first such permission.
        grant: Box<str>,
    },
    /// The admin key concerned lasts longer than the caller.
    #[error("the admin key lasts or would last longer than the caller's own")]
    OutlivesCaller,
    /// Another admin key manages the key.
    #[error("the key is managed by {manager}, which alone may change it")]
    ManagedByAnother {
        /// That admin key.
        manager: KeyId,
    },
    /// The key does not let its holder do this.
    #[error("the key does not let its holder give it a new token")]
    NoSelfRegenerate,
    /// The holder of a key calls from where it may not be used.
    #[error("the key may not be used from this address")]
    Address,
}

impl Denial {
    /// What programs match on.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotPermitted { .. } => "PERMISSION_MISSING",
            Self::NotDelegated => "DOMAIN_NOT_DELEGATED",
            Self::Delegated => "DELEGATED",
            Self::ExceedsCeiling { .. } => "EXCEEDS_CEILING",
            Self::OutranksCaller { .. } => "OUTRANKS_CALLER",
            Self::OutlivesCaller => "OUTLIVES_CALLER",
            Self::ManagedByAnother { .. } => "MANAGED_BY_ANOTHER",
            Self::NoSelfRegenerate => "SELF_REGENERATE_NOT_ALLOWED",
            Self::Address => "ADDRESS_DENIED",
        }
    }

    /// The permission that it is about, for programs.
    pub fn permission(&self) -> Option<String> {
        match self {
            Self::NotPermitted { right } => Some(right.to_string()),
            Self::ExceedsCeiling { grant } | Self::OutranksCaller { grant } => {
                Some(grant.to_string())
            }
            Self::NotDelegated
            | Self::Delegated
            | Self::OutlivesCaller
            | Self::ManagedByAnother { .. }
            | Self::NoSelfRegenerate
            | Self::Address => None,
        }
    }
}

impl Call {
    /// Whether the caller has a right at all.
    pub(super) fn require(&self, right: Right) -> Result<(), Denial> {
        if self.caller.may(right) { Ok(()) } else { Err(Denial::NotPermitted { right }) }
    }

    /// Whether the caller has a right on something of this name.
    pub(super) fn require_on(&self, right: Right, name: &ThingName) -> Result<(), Denial> {
        self.require(right)?;
        match &name.domain {
            Some(domain) => self.require_domain(domain),
            None if right.action == Action::Read => Ok(()),
            None if self.caller.profile.delegation.is_some() => Err(Denial::Delegated),
            None => Ok(()),
        }
    }

    fn require_domain(&self, domain: &DomainName) -> Result<(), Denial> {
        if self.caller.reaches(domain) { Ok(()) } else { Err(Denial::NotDelegated) }
    }

    /// Whether the caller may do this to any key at all; asked before the database is.
    pub(super) fn require_some(&self, action: Action) -> Result<(), Denial> {
        let reach = self.caller.reach(action);
        if reach.keys || reach.admins {
            return Ok(());
        }
        let domain = DomainName::from_stored(DomainName::DEFAULT);
        Err(Denial::NotPermitted { right: Right::on_keys(action, &domain) })
    }

    /// Whether the caller may do this to this key. Nobody makes or touches an admin key that may do
    /// more, or for longer, than the caller.
    pub(super) fn require_key(&self, action: Action, key: &Key) -> Result<(), Denial> {
        self.require(Right::on_keys(action, &key.domain))?;
        self.require_domain(&key.domain)?;
        match action {
            Action::Read => Ok(()),
            Action::Write | Action::Revoke | Action::Delete => self.require_rank(key),
        }
    }

    /// The same for what a key is to become.
    pub(super) fn require_rank(&self, key: &Key) -> Result<(), Denial> {
        if !key.domain.is_of_admins() {
            return Ok(());
        }
        if let Some(grant) = self.caller.profile.grants.first_uncovered(&key.settings.grants) {
            return Err(Denial::OutranksCaller { grant: grant.as_str().into() });
        }
        if key.settings.validity.end() > self.caller.expire {
            return Err(Denial::OutlivesCaller);
        }
        Ok(())
    }

    /// Whether the caller may change a key that may have a manager.
    pub(super) fn require_manager(&self, key: &Key) -> Result<(), Denial> {
        match key.settings.managed_by {
            Some(manager) if manager != self.caller.key => {
                Err(Denial::ManagedByAnother { manager })
            }
            _ => Ok(()),
        }
    }

    /// Whether the caller has the whole installation.
    pub(super) fn require_not_delegated(&self) -> Result<(), Denial> {
        if self.caller.profile.delegation.is_some() { Err(Denial::Delegated) } else { Ok(()) }
    }

    /// Whether grants are within the caller's ceiling, if it has one.
    pub(super) fn require_ceiling(&self, grants: &Grants) -> Result<(), Denial> {
        let Some(bound) = &self.caller.profile.delegation else { return Ok(()) };
        match bound.ceiling.first_uncovered(grants) {
            Some(grant) => Err(Denial::ExceedsCeiling { grant: grant.as_str().into() }),
            None => Ok(()),
        }
    }

    /// Whether the caller may give everything, as all who are not delegated may.
    pub(super) fn require_no_ceiling(&self) -> Result<(), Denial> {
        match Grants::parse(&["*"]) {
            Ok(everything) => self.require_ceiling(&everything),
            Err(_impossible) => Err(Denial::Delegated),
        }
    }

    /// Whether all that a key may do is within the caller's ceiling: what it is granted, or if that
    /// is nothing, what its user may do.
    pub(super) async fn require_ceiling_of_key(
        &self,
        tx: &WriteTx<'_>,
        key: &Key,
    ) -> Result<(), AdminError> {
        if self.caller.profile.delegation.is_none() {
            return Ok(());
        }
        let settings = &key.settings;
        self.require_ceiling(&settings.grants)?;
        for group in tx.groups_of(&settings.groups).await? {
            self.require_ceiling(&group.grants)?;
        }
        match &settings.user {
            Some(user) if settings.grants.is_empty() && settings.groups.is_empty() => {
                let name = ThingName::in_domain(&key.domain, user.id.as_str());
                match tx.share::<User>(&name).await? {
                    Some(user) => self.require_ceiling_of_user(tx, &user).await,
                    None => Ok(()), // a user that was deleted gives nothing
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether all that a user may do is within the caller's ceiling.
    pub(super) async fn require_ceiling_of_user(
        &self,
        tx: &WriteTx<'_>,
        user: &User,
    ) -> Result<(), AdminError> {
        if self.caller.profile.delegation.is_none() {
            return Ok(());
        }
        self.require_ceiling(&user.grants)?;
        for group in tx.groups_of(&user.groups).await? {
            self.require_ceiling(&group.grants)?;
        }
        Ok(())
    }
}
