//! Templates: recipes for keys of one kind.

use std::time::Duration;

use thiserror::Error;

use crate::model::{
    limit::Limits,
    name::{EnvironmentName, TemplateName},
    permission::{Grants, InvalidPermission},
    record::Record,
    text::{DisplayName, Prose},
};

const LIFETIME_SECONDS_MAX: u64 = 100 * 366 * 24 * 60 * 60;

/// A recipe for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Never changes.
    pub name: TemplateName,
    /// For people; also what a key of it is called that is given no other name.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What a key of it may do.
    pub permissions: TemplatePermissions,
    /// The environment of a key of it that is given no other.
    pub environment: Option<EnvironmentName>,
    /// The limits of a key of it, but for those that it is given itself.
    pub limits: Limits,
    /// How long a key of it lives that is given no other end.
    pub lifetime: Option<Lifetime>,
    /// Its history in short.
    pub record: Record,
}

/// What a key of a template may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplatePermissions {
    /// What every one may.
    pub required: Grants,
    /// What one may besides, if who makes it says so.
    pub optional: Grants,
}

impl TemplatePermissions {
    /// Whether a key could have all of them; an error tells the field and what is wrong.
    pub fn check(&self) -> Result<(), (String, InvalidPermission)> {
        let all: Vec<&str> = self.required.iter().chain(self.optional.iter()).collect();
        let required = self.required.iter().count();
        let at = |at: usize| format!("optional_permissions[{}]", at.saturating_sub(required));
        Grants::parse(&all).map(drop).map_err(|(position, error)| (at(position), error))
    }

    /// What a key gets with these of the optional permissions; an error tells the position of one
    /// that the template does not have, or that is asked for twice.
    pub fn with<T: AsRef<str>>(&self, chosen: &[T]) -> Result<Grants, (usize, InvalidPermission)> {
        let known = |text: &str| self.optional.iter().any(|optional| optional == text);
        if let Some(at) = chosen.iter().position(|text| !known(text.as_ref())) {
            return Err((at, InvalidPermission::NotOptional));
        }
        let all: Vec<&str> = self.required.iter().chain(chosen.iter().map(AsRef::as_ref)).collect();
        let required = self.required.iter().count();
        Grants::parse(&all).map_err(|(at, error)| (at.saturating_sub(required), error))
    }
}

/// How long a key lives: whole seconds, up to 100 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime(Duration);

/// A time that no key can live.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be whole seconds, from 1 second to 100 years")]
pub struct InvalidLifetime;

impl Lifetime {
    /// Checks the bounds.
    pub fn parse(span: Duration) -> Result<Self, InvalidLifetime> {
        let fits = (1..=LIFETIME_SECONDS_MAX).contains(&span.as_secs());
        if fits && span.subsec_nanos() == 0 { Ok(Self(span)) } else { Err(InvalidLifetime) }
    }

    /// The span.
    pub const fn span(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests;
