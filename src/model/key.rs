//! The key as operators manage it: its settings, its states, and which change leads where.

use std::net::IpAddr;

use thiserror::Error;

use crate::model::{
    address::AddressRules,
    caller::Actor,
    customer::Customers,
    delegation::Delegation,
    group::Groups,
    id::KeyId,
    label::Labels,
    limit::Limits,
    name::{DomainName, EnvironmentName, TemplateName},
    pepper::PepperId,
    permission::Grants,
    route::RouteRules,
    secret::{Digest, Hint},
    text::{DisplayName, Prose},
    time::Timestamp,
    user::UserRef,
};

/// A managed API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Never changes.
    pub id: KeyId,
    /// The tenant; set at creation.
    pub domain: DomainName,
    /// Where it works; set at creation.
    pub environment: EnvironmentName,
    /// The template that it was made from.
    pub template: Option<TemplateName>,
    /// What `UpdateKey` may change.
    pub settings: Settings,
    /// Whether it was stopped.
    pub standing: Standing,
    /// The token that opens it.
    pub secret: Secret,
    /// The token that was replaced and works on until its deadline, or did.
    pub retiring: Option<Retiring>,
    /// Who made it.
    pub created_by: Actor,
    /// When it was made.
    pub create_time: Timestamp,
    /// When anything but its use changed last.
    pub update_time: Timestamp,
    /// When it was deleted.
    pub delete_time: Option<Timestamp>,
    /// When it was last allowed something, as far as is known.
    pub last_used_time: Option<Timestamp>,
    /// From where that was, if it is known.
    pub last_used_address: Option<IpAddr>,
    /// Counts the changes; its etag.
    pub version: i64,
}

/// What `UpdateKey` may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What it may do.
    pub grants: Grants,
    /// Where it may do it.
    pub route_rules: RouteRules,
    /// When it may.
    pub validity: Validity,
    /// Names and values of the operators' own.
    pub labels: Labels,
    /// Whom it acts for.
    pub user: Option<UserRef>,
    /// What it may do besides.
    pub groups: Groups,
    /// For which customers.
    pub customers: Customers,
    /// From where.
    pub addresses: AddressRules,
    /// The admin key that alone may change it.
    pub managed_by: Option<KeyId>,
    /// Whether its holder may give it a new token.
    pub self_regenerate: bool,
    /// What it is bound to, if it is an admin key.
    pub delegation: Option<Delegation>,
    /// How much it may be used.
    pub limits: Limits,
}

/// From when until when a key is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// Denied before it.
    pub not_before: Option<Timestamp>,
    /// Denied from it on.
    pub expire: Option<Timestamp>,
}

/// A key that would never be valid.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be after not_before_time")]
pub struct EmptyValidity;

impl Validity {
    /// Refuses a validity that ends before it begins.
    pub fn new(
        not_before: Option<Timestamp>,
        expire: Option<Timestamp>,
    ) -> Result<Self, EmptyValidity> {
        match (not_before, expire) {
            (Some(start), Some(end)) if end <= start => Err(EmptyValidity),
            _ => Ok(Self { not_before, expire }),
        }
    }

    /// From when on it is denied; the distant future if it never is.
    pub fn end(&self) -> Timestamp {
        self.expire.unwrap_or(Timestamp::DISTANT_FUTURE)
    }
}

/// The stored part of a key's state; deletion and expiry are times of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody stopped it.
    Active,
    /// Deactivated for a while.
    Inactive,
    /// Revoked.
    Revoked(Revocation),
}

/// How a key came to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Why.
    pub reason: RevocationReason,
    /// What the caller said of it.
    pub comment: Prose,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub by: Actor,
}

/// Why a key is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// In wrong hands, or may be.
    Compromised,
    /// Whom it served is no longer served.
    NoLongerUsed,
    /// Another key took its place.
    Superseded,
    /// Used against the rules.
    Abuse,
    /// What the comment says.
    Other,
}

/// What is stored of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its one-way form.
    pub digest: Digest,
    /// What that is keyed with.
    pub pepper: PepperId,
    /// What may be shown.
    pub hint: Hint,
}

/// A token that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retiring {
    /// The token.
    pub secret: Secret,
    /// Denied from this time on.
    pub expire: Timestamp,
}

/// The state that operators see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Works, from its not-before time on.
    Active,
    /// Deactivated.
    Inactive,
    /// Revoked.
    Revoked,
    /// Active, but its time is over.
    Expired,
    /// Deleted, whatever it was before.
    Deleted,
}

/// Why a change of state is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// Only undeleting is possible.
    #[error("the key is deleted; UndeleteKey brings it back")]
    Deleted,
    /// There is nothing to undelete.
    #[error("the key is not deleted")]
    NotDeleted,
    /// Deactivating would make a revoked key look harmless.
    #[error("the key is revoked; activate it first, if it must work again")]
    Revoked,
    /// A new token for a key that would not open.
    #[error("the key is not active, so no token could open it; activate or extend it first")]
    NotActive,
    /// The user that the key acted for was deleted.
    #[error("the user that the key acted for is gone, so that it cannot come back; make a new key")]
    UserGone,
}

/// Whether a request changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It did.
    Made,
    /// All was as asked already.
    Nothing,
}

impl Key {
    /// What operators see at `now`.
    pub fn state(&self, now: Timestamp) -> KeyState {
        if self.delete_time.is_some() {
            return KeyState::Deleted;
        }
        match self.standing {
            Standing::Revoked(_) => KeyState::Revoked,
            Standing::Inactive => KeyState::Inactive,
            Standing::Active if self.settings.validity.expire.is_some_and(|end| end <= now) => {
                KeyState::Expired
            }
            Standing::Active => KeyState::Active,
        }
    }

    /// Whether a token opens the key at `now`, if the key is live. `digests` are the forms in which
    /// the token may be stored.
    pub fn is_opened_by(&self, digests: &[Digest], now: Timestamp) -> bool {
        let retiring = self.retiring.as_ref().filter(|retiring| retiring.expire > now);
        digests.contains(&self.secret.digest)
            || retiring.is_some_and(|old| digests.contains(&old.secret.digest))
    }

    /// Changes with every change of the key.
    pub fn etag(&self) -> String {
        format!("v{}", self.version)
    }

    /// Makes a deactivated or revoked key work again.
    pub fn activate(&mut self, now: Timestamp) -> Result<Change, Refusal> {
        self.refuse_deleted()?;
        match self.standing {
            Standing::Active => Ok(Change::Nothing),
            Standing::Inactive | Standing::Revoked(_) => {
                self.standing = Standing::Active;
                Ok(self.changed(now))
            }
        }
    }

    /// Stops a key for a while.
    pub fn deactivate(&mut self, now: Timestamp) -> Result<Change, Refusal> {
        self.refuse_deleted()?;
        match self.standing {
            Standing::Inactive => Ok(Change::Nothing),
            Standing::Revoked(_) => Err(Refusal::Revoked),
            Standing::Active => {
                self.standing = Standing::Inactive;
                Ok(self.changed(now))
            }
        }
    }

    /// Stops a key in an emergency; a token that is retiring ends for good.
    pub fn revoke(&mut self, revocation: Revocation) -> Result<Change, Refusal> {
        self.refuse_deleted()?;
        match self.standing {
            Standing::Revoked(_) => Ok(Change::Nothing),
            Standing::Active | Standing::Inactive => {
                let now = revocation.time;
                self.standing = Standing::Revoked(revocation);
                self.retiring = None;
                Ok(self.changed(now))
            }
        }
    }

    /// Hides a key; its history stays.
    pub fn delete(&mut self, now: Timestamp) -> Result<Change, Refusal> {
        self.refuse_deleted()?;
        self.delete_time = Some(now);
        Ok(self.changed(now))
    }

    /// Brings a deleted key back as it was.
    pub fn undelete(&mut self, now: Timestamp) -> Result<Change, Refusal> {
        if self.delete_time.take().is_none() {
            return Err(Refusal::NotDeleted);
        }
        Ok(self.changed(now))
    }

    /// Gives the key another token. The old one works until `overlap_end`, or no longer; one that
    /// was retiring already ends in any case.
    pub fn regenerate(
        &mut self,
        secret: Secret,
        overlap_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Change, Refusal> {
        self.refuse_deleted()?;
        if self.state(now) != KeyState::Active {
            return Err(Refusal::NotActive);
        }
        let old = std::mem::replace(&mut self.secret, secret);
        self.retiring = overlap_end.map(|expire| Retiring { secret: old, expire });
        Ok(self.changed(now))
    }

    /// Takes over new settings.
    pub fn update(&mut self, settings: Settings, now: Timestamp) -> Result<Change, Refusal> {
        self.refuse_deleted()?;
        if self.settings == settings {
            return Ok(Change::Nothing);
        }
        self.settings = settings;
        Ok(self.changed(now))
    }

    /// Whether it is there to be changed.
    pub fn refuse_deleted(&self) -> Result<(), Refusal> {
        if self.delete_time.is_some() { Err(Refusal::Deleted) } else { Ok(()) }
    }

    fn changed(&mut self, now: Timestamp) -> Change {
        self.update_time = now;
        self.version += 1;
        Change::Made
    }
}
