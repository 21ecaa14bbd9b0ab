//! Catalogues: the permissions that a domain knows, so that typing errors are found.

use thiserror::Error;

use crate::model::{
    name::DomainName,
    permission::{Grant, Grants, InvalidPermission, Permission},
    record::Record,
    text::{DisplayName, Prose},
};

const ENTRIES_MAX: usize = 1000;

/// One permission that a domain knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    name: Grant,
    /// Its `.read` and `.write`.
    actions: Box<[Grant]>,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
}

impl CatalogueEntry {
    /// An entry for a permission without `*`.
    pub fn new(
        name: &str,
        display_name: DisplayName,
        description: Prose,
    ) -> Result<Self, InvalidPermission> {
        Permission::parse(name)?;
        // too long a scope stands for itself alone: nobody could be granted what is below it
        let actions = ["read", "write"].map(|action| Grant::parse(&format!("{name}.{action}")));
        let actions = actions.into_iter().flatten().collect();
        Ok(Self { name: Grant::parse(name)?, actions, display_name, description })
    }

    /// The permission.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Whether a grant is inside of the catalogue by this entry: it covers it, or its `.read` or
    /// `.write`, which a scope stands for as well.
    fn explains(&self, grant: &Grant) -> bool {
        let covered = |own: &Grant| grant.covers_grant(own);
        covered(&self.name) || self.actions.iter().any(covered)
    }
}

/// The permissions that a domain knows. Without entries it takes all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    /// The domain.
    pub domain: DomainName,
    /// The entries.
    pub entries: CatalogueEntries,
    /// Its history in short.
    pub record: Record,
}

/// Entries, no name twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueEntries(Box<[CatalogueEntry]>);

/// Entries that cannot be those of a catalogue.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidCatalogue {
    /// One name twice.
    #[error("is given twice")]
    Duplicate,
    /// More than a catalogue takes.
    #[error("must be {ENTRIES_MAX} at most")]
    TooMany,
}

impl CatalogueEntries {
    /// Checks their number and that no name comes twice.
    pub fn new(entries: Vec<CatalogueEntry>) -> Result<Self, (usize, InvalidCatalogue)> {
        if entries.len() > ENTRIES_MAX {
            return Err((ENTRIES_MAX, InvalidCatalogue::TooMany));
        }
        let mut names = std::collections::HashSet::with_capacity(entries.len());
        if let Some(at) = entries.iter().position(|entry| !names.insert(entry.name.as_str())) {
            return Err((at, InvalidCatalogue::Duplicate));
        }
        drop(names);
        Ok(Self(entries.into()))
    }

    /// The entries in their order.
    pub fn iter(&self) -> impl Iterator<Item = &CatalogueEntry> {
        self.0.iter()
    }

    /// The position of the first grant that is outside.
    pub fn first_unknown(&self, grants: &Grants) -> Option<usize> {
        let inside = |grant: &Grant| self.0.iter().any(|entry| entry.explains(grant));
        if self.0.is_empty() { None } else { grants.as_slice().iter().position(|g| !inside(g)) }
    }

    /// What people call a permission.
    pub fn display_name(&self, permission: &str) -> Option<&str> {
        let found = self.0.iter().find(|entry| entry.name.as_str() == permission);
        found.map(|entry| entry.display_name.as_str())
    }
}

#[cfg(test)]
mod tests;
