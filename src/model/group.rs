//! Permission groups, and which of them a key or a user has.

use thiserror::Error;

use crate::model::{
    name::{DomainName, GroupName, InvalidName},
    permission::Grants,
    record::Record,
    text::{DisplayName, Prose},
};

const GROUPS_MAX: usize = 10;

/// A named set of permissions in a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionGroup {
    /// Given by the store and never twice; 0 before that.
    pub uid: i64,
    /// The domain that it belongs to; set at creation.
    pub domain: DomainName,
    /// Never changes.
    pub name: GroupName,
    /// For people.
    pub display_name: DisplayName,
    /// For people.
    pub description: Prose,
    /// What it gives.
    pub grants: Grants,
    /// Its history in short.
    pub record: Record,
}

/// A group as a key or a user has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRef {
    /// The group.
    pub uid: i64,
    /// Its name.
    pub name: GroupName,
    /// Whether it was deleted since: it gives nothing, but it still counts as one.
    pub deleted: bool,
}

/// The groups that a key or a user has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(Box<[GroupRef]>);

impl Groups {
    /// From what the store found.
    pub fn new(groups: Vec<GroupRef>) -> Self {
        Self(groups.into())
    }

    /// The groups.
    pub fn iter(&self) -> impl Iterator<Item = &GroupRef> {
        self.0.iter()
    }

    /// Whether there are none, deleted ones included.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The names of the groups that a key or a user is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupNames(Box<[GroupName]>);

/// Names that cannot be those of a key's groups.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum InvalidGroups {
    /// One of them.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// One name twice.
    #[error("is given twice")]
    Duplicate,
    /// More than a key takes.
    #[error("must be {GROUPS_MAX} at most")]
    TooMany,
}

impl GroupNames {
    /// Reads a list of names; an error says which of them is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, (usize, InvalidGroups)> {
        if texts.len() > GROUPS_MAX {
            return Err((GROUPS_MAX, InvalidGroups::TooMany));
        }
        let mut names: Vec<GroupName> = Vec::with_capacity(texts.len());
        for (position, text) in texts.iter().enumerate() {
            let name = GroupName::parse(text.as_ref()).map_err(|error| (position, error.into()))?;
            if names.contains(&name) {
                return Err((position, InvalidGroups::Duplicate));
            }
            names.push(name);
        }
        Ok(Self(names.into()))
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &GroupName> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests;
