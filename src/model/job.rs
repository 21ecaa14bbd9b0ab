//! Jobs: what is done to many keys in the background, a batch at a time.

use std::fmt;

use thiserror::Error;

use crate::model::{
    id::KeyId,
    key::RevocationReason,
    list::PageSize,
    name::{DomainName, EnvironmentName},
    text::Prose,
    time::Timestamp,
};

const PREFIX: &str = "job_";
const KEY_PREFIX: &str = "key_";

/// The id of a job: `job_` and digits as in the id of a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(KeyId);

/// A text that is not the id of a job.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be `job_` and 26 characters of 0-9 and a-z without i, l, o, u")]
pub struct InvalidJobId;

impl JobId {
    /// From an id that was made for it, or that is stored.
    pub const fn new(id: KeyId) -> Self {
        Self(id)
    }

    /// What is stored of it.
    pub const fn stored(self) -> KeyId {
        self.0
    }

    /// Reads `job_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidJobId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidJobId)?;
        KeyId::parse(&format!("{KEY_PREFIX}{digits}")).map(Self).or(Err(InvalidJobId))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        write!(f, "{PREFIX}{}", text.strip_prefix(KEY_PREFIX).unwrap_or_default())
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Makes keys of items.
    ImportKeys,
    /// Revokes keys.
    RevokeKeys,
    /// Deactivates keys.
    DeactivateKeys,
    /// Removes deleted keys for good.
    PurgeKeys,
    /// Removes what the change log has of long ago.
    TrimChangeLog,
}

impl JobKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ImportKeys,
        Self::RevokeKeys,
        Self::DeactivateKeys,
        Self::PurgeKeys,
        Self::TrimChangeLog,
    ];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImportKeys => "import_keys",
            Self::RevokeKeys => "revoke_keys",
            Self::DeactivateKeys => "deactivate_keys",
            Self::PurgeKeys => "purge_keys",
            Self::TrimChangeLog => "trim_change_log",
        }
    }

    /// What its changes are called in the audit.
    pub const fn action(self) -> &'static str {
        match self {
            Self::ImportKeys => "keys.import",
            Self::RevokeKeys => "keys.revoke",
            Self::DeactivateKeys => "keys.deactivate",
            Self::PurgeKeys => "keys.purge",
            Self::TrimChangeLog => "change_log.trim",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Its items are still arriving.
    Receiving,
    /// It waits for a replica.
    Pending,
    /// A replica works on it.
    Running,
    /// All items were dealt with.
    Succeeded,
    /// It ended before its time.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Receiving,
        Self::Pending,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiving => "receiving",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the stored form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether nothing comes after it.
    pub const fn is_end(self) -> bool {
        match self {
            Self::Receiving | Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// What to do with an item whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing; it counts as skipped.
    Skip,
    /// Nothing; it counts as failed.
    Fail,
}

/// What a job was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobTask {
    /// Makes keys of the items that are stored for it.
    Import {
        /// The keys' tenant.
        domain: DomainName,
        /// Where they work.
        environment: EnvironmentName,
        /// What to do with keys that are there.
        on_conflict: OnConflict,
    },
    /// Revokes the keys that are noted for it.
    Revoke {
        /// Why.
        reason: RevocationReason,
        /// What the caller said of it.
        comment: Prose,
    },
    /// Deactivates the keys that are noted for it.
    Deactivate,
    /// Removes the keys that are noted for it, if they are still deleted.
    Purge {
        /// Only those that were deleted before.
        deleted_before: Timestamp,
    },
    /// Removes changes from the log.
    Trim {
        /// Only those that were written before.
        logged_before: Timestamp,
    },
}

impl JobTask {
    /// Its kind.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Import { .. } => JobKind::ImportKeys,
            Self::Revoke { .. } => JobKind::RevokeKeys,
            Self::Deactivate => JobKind::DeactivateKeys,
            Self::Purge { .. } => JobKind::PurgeKeys,
            Self::Trim { .. } => JobKind::TrimChangeLog,
        }
    }
}

/// What became of items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Items in all; 0: not known.
    pub total: i64,
    /// Done.
    pub done: i64,
    /// Could not be done.
    pub failed: i64,
    /// There was nothing to do.
    pub skipped: i64,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Never changes.
    pub id: JobId,
    /// What it was told.
    pub task: JobTask,
    /// How far it is.
    pub state: JobState,
    /// The domain whose keys it is about; `None`: of several.
    pub domain: Option<DomainName>,
    /// What became of its items.
    pub counts: JobCounts,
    /// The position of the last item that was dealt with.
    pub reached: i64,
    /// The admin key that made it; `None`: Keyward itself.
    pub created_by: Option<KeyId>,
    /// Where its maker called from.
    pub peer: Option<std::net::IpAddr>,
    /// When it was made.
    pub create_time: Timestamp,
    /// When a replica began to work on it.
    pub start_time: Option<Timestamp>,
    /// When it ended.
    pub finish_time: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<Box<str>>,
}

/// What went wrong with one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemError {
    /// Counts the items, from 1.
    pub position: i64,
    /// The display name of a key that was to be made, or the id of a key.
    pub subject: Box<str>,
    /// What is wrong.
    pub message: Box<str>,
}

/// Which jobs a page shows.
#[derive(Clone, Debug)]
pub struct JobFilter {
    /// Only of this kind.
    pub kind: Option<JobKind>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only made by this admin key.
    pub created_by: Option<KeyId>,
    /// Only those made before this one.
    pub after: Option<(Timestamp, JobId)>,
    /// How many.
    pub size: PageSize,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_what_was_shown_gives_the_same_id(bytes: [u8; 16]) {
            let id = JobId::new(KeyId::from_bytes(bytes));
            prop_assert_eq!(JobId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn any_text_is_an_id_or_an_error(text in "(job_)?.*") {
            if let Ok(id) = JobId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn the_id_of_a_key_is_not_the_id_of_a_job() {
        let id = KeyId::from_bytes([7; 16]);
        assert_eq!(JobId::parse(&id.to_string()), Err(InvalidJobId));
        assert!(JobId::new(id).to_string().starts_with("job_"));
    }

    #[test]
    fn kinds_and_states_are_read_as_they_are_stored() {
        for kind in JobKind::ALL {
            assert_eq!(JobKind::parse(kind.as_str()), Some(kind));
        }
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
        assert_eq!((JobKind::parse("x"), JobState::parse("x")), (None, None));
    }
}
