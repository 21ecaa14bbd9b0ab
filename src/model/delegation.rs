//! Delegation: an admin key that is bound to domains and to a ceiling of permissions.

use thiserror::Error;

use crate::model::{
    name::{DomainName, InvalidName},
    permission::Grants,
};

const DOMAINS_MAX: usize = 100;

/// What an admin key is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    domains: Box<[DomainName]>,
    /// What the keys, users and groups that it makes may do at most.
    pub ceiling: Grants,
}

/// Domains that no admin key can be bound to.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidDelegation {
    /// One of them.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The domain of admin keys.
    #[error("must not be keyward: nobody is delegated the making of admin keys")]
    OfAdmins,
    /// One twice.
    #[error("is given twice")]
    Duplicate,
    /// None, or too many.
    #[error("must be 1 to {DOMAINS_MAX} domains")]
    Number,
}

impl Delegation {
    /// Reads the domains; an error says which of them is wrong.
    pub fn new<T: AsRef<str>>(
        domains: &[T],
        ceiling: Grants,
    ) -> Result<Self, (usize, InvalidDelegation)> {
        if domains.is_empty() || domains.len() > DOMAINS_MAX {
            return Err((domains.len().min(DOMAINS_MAX), InvalidDelegation::Number));
        }
        let mut names: Vec<DomainName> = Vec::with_capacity(domains.len());
        for (position, text) in domains.iter().enumerate() {
            let name =
                DomainName::parse(text.as_ref()).map_err(|error| (position, error.into()))?;
            if name.is_of_admins() {
                return Err((position, InvalidDelegation::OfAdmins));
            }
            if names.contains(&name) {
                return Err((position, InvalidDelegation::Duplicate));
            }
            names.push(name);
        }
        Ok(Self { domains: names.into(), ceiling })
    }

    /// The domains.
    pub fn domains(&self) -> &[DomainName] {
        &self.domains
    }

    /// Whether it reaches a domain.
    pub fn reaches(&self, domain: &DomainName) -> bool {
        self.domains.contains(domain)
    }
}

#[cfg(test)]
mod tests;
