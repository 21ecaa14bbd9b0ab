//! Lists of keys and of other things: filters, order, pages.

use thiserror::Error;

use crate::model::{
    caller::{Actor, Reach},
    id::KeyId,
    key::{Key, KeyState},
    label::Labels,
    name::{DomainName, EnvironmentName, GroupName},
    record::ThingName,
    text::SearchText,
    time::Timestamp,
    user::{UserId, UserKind},
};

const PAGE_ITEMS_DEFAULT: u16 = 50;
const PAGE_ITEMS_MAX: u16 = 1000;

/// Which keys a list shows. Each filter narrows.
#[derive(Clone, Debug)]
pub struct KeyFilter {
    /// Only of this domain.
    pub domain: Option<DomainName>,
    /// Only of this environment.
    pub environment: Option<EnvironmentName>,
    /// Only in these states; empty: all but deleted, or all with `show_deleted`.
    pub states: Vec<KeyState>,
    /// Only made by this actor.
    pub created_by: Option<Actor>,
    /// Only with all these labels.
    pub labels: Labels,
    /// Only with this text in name or hint.
    pub search: Option<SearchText>,
    /// Only last used before; one that was never used counts as used when it was made.
    pub last_used_before: Option<Timestamp>,
    /// Only expiring before.
    pub expires_before: Option<Timestamp>,
    /// Only expiring then or after.
    pub expires_after: Option<Timestamp>,
    /// Only having a replaced token that still works and ends before.
    pub retiring_before: Option<Timestamp>,
    /// Deleted ones too.
    pub show_deleted: bool,
    /// Only acting for this user.
    pub user: Option<UserId>,
    /// Only acting for a user of this kind.
    pub user_kind: Option<UserKind>,
    /// Only having this group.
    pub group: Option<GroupName>,
    /// Only naming this customer.
    pub customer: Option<Box<str>>,
    /// Only managed by this admin key.
    pub managed_by: Option<KeyId>,
    /// Which kinds of keys the caller may see.
    pub reach: Reach,
}

/// What a list is sorted by; the id decides between equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// When they were made.
    CreateTime,
    /// Byte order of the name.
    DisplayName,
    /// Never used first.
    LastUsedTime,
    /// Never expiring last.
    ExpireTime,
}

/// How many keys, or other things, a page has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u16);

/// A page size below zero.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must not be negative")]
pub struct InvalidPageSize;

impl PageSize {
    /// As large as a page is if nothing is said.
    pub const DEFAULT: Self = Self(PAGE_ITEMS_DEFAULT);
    /// As large as a page can be.
    pub const MAX: Self = Self(PAGE_ITEMS_MAX);

    /// 0 means 50; more than 1000 means 1000.
    pub fn parse(number: i32) -> Result<Self, InvalidPageSize> {
        match u32::try_from(number) {
            Ok(0) => Ok(Self(PAGE_ITEMS_DEFAULT)),
            Ok(n) => Ok(Self(u16::try_from(n).unwrap_or(PAGE_ITEMS_MAX).min(PAGE_ITEMS_MAX))),
            Err(_negative) => Err(InvalidPageSize),
        }
    }

    /// The number of keys, or of other things.
    pub const fn items(self) -> u16 {
        self.0
    }
}

/// Where a page begins: after the key with this place in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What the key is sorted by.
    pub place: Place,
    /// The key.
    pub id: KeyId,
}

/// The value that a key is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// For orders by time.
    Time(Timestamp),
    /// For the order by name.
    Name(Box<str>),
}

impl KeyOrder {
    /// The place of a key in this order.
    pub fn place(self, key: &Key) -> Place {
        match self {
            Self::CreateTime => Place::Time(key.create_time),
            Self::DisplayName => Place::Name(key.settings.display_name.as_str().into()),
            Self::LastUsedTime => {
                Place::Time(key.last_used_time.unwrap_or(Timestamp::DISTANT_PAST))
            }
            Self::ExpireTime => {
                Place::Time(key.settings.validity.expire.unwrap_or(Timestamp::DISTANT_FUTURE))
            }
        }
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct KeyPage {
    /// The keys, in order.
    pub keys: Vec<Key>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

/// What page is asked for.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The order.
    pub order: KeyOrder,
    /// Whether the order is turned round.
    pub descending: bool,
    /// How many.
    pub size: PageSize,
    /// Where it begins; `None`: at the start.
    pub after: Option<Cursor>,
}

/// Which things a page shows. Each filter narrows.
#[derive(Clone, Debug)]
pub struct ThingFilter {
    /// Only of these domains.
    pub domains: Option<Vec<DomainName>>,
    /// Only with this text in name or display name.
    pub search: Option<SearchText>,
    /// Of users: only of this kind.
    pub kind: Option<UserKind>,
    /// Of users: only having this group.
    pub group: Option<GroupName>,
    /// Only those after this one in the order of names.
    pub after: Option<ThingName>,
    /// How many.
    pub size: PageSize,
}

/// One page of things, by name.
#[derive(Clone, Debug)]
pub struct ThingPage<T> {
    /// The things.
    pub things: Vec<T>,
    /// The last one, if there are more after it.
    pub next: Option<ThingName>,
}
