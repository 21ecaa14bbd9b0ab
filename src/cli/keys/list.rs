//! Listing keys.

use clap::{Args, ValueEnum};
use prost_types::Timestamp;

use super::fields::COLUMNS;
use crate::{
    cli::{
        error::CliError,
        output::note,
        read::{instant, label, labels},
        session::Session,
    },
    rpc::pb::{Key, KeyOrder, KeyState, ListKeysRequest, UserKind},
};

const PAGE_KEYS: usize = 1000;

/// Settings of `keyward keys list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Which keys.
    #[command(flatten)]
    pub filter: FilterArgs,

    /// How many at most; 0: all
    #[arg(long, value_name = "NUMBER", default_value = "500")]
    pub limit: usize,

    /// By what they are sorted
    #[arg(long = "sort", value_name = "WHAT", default_value = "created")]
    pub order: Order,

    /// Largest, latest or last name first
    #[arg(long)]
    pub descending: bool,
}

/// Which keys; each of these narrows.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Filter")]
pub struct FilterArgs {
    /// Keys of this domain
    #[arg(long, value_name = "NAME")]
    pub domain: Option<String>,

    /// Keys of this environment
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,

    /// Keys in this state, which may be given several times [default: all but deleted]
    #[arg(long = "state", value_name = "STATE")]
    pub states: Vec<State>,

    /// Keys with this text in their name or hint
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// Keys with this label, which may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,

    /// Keys that act for this user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Keys that act for users of this kind
    #[arg(long, value_name = "KIND")]
    pub user_kind: Option<Kind>,

    /// Keys that have this permission group
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,

    /// Keys that may act for this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,

    /// Keys that this admin key made
    #[arg(long, value_name = "ID")]
    pub created_by: Option<String>,

    /// Keys that this admin key manages
    #[arg(long, value_name = "ID")]
    pub managed_by: Option<String>,

    /// Keys last used before this time, or never, such as 2026-06-30
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub last_used_before: Option<Timestamp>,

    /// Keys that expire before this time, such as 2026-06-30 or, from now, 30d
    #[arg(long, value_name = "TIME", value_parser = instant)]
    pub expires_before: Option<Timestamp>,

    /// Deleted keys too
    #[arg(long = "deleted")]
    pub show_deleted: bool,
}

/// A state of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// They work.
    Active,
    /// Deactivated.
    Inactive,
    /// Revoked.
    Revoked,
    /// Their time is over.
    Expired,
    /// Deleted.
    Deleted,
}

/// A kind of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// People.
    Person,
    /// Programs.
    Service,
}

/// By what keys are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// When they were made
    Created,
    /// Their names
    Name,
    /// When they were last used
    LastUsed,
    /// When they expire
    Expires,
}

impl FilterArgs {
    /// The request for the first page.
    pub fn request(&self) -> ListKeysRequest {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        ListKeysRequest {
            domain: text(&self.domain),
            environment: text(&self.environment),
            states: self.states.iter().map(|state| KeyState::from(*state).into()).collect(),
            created_by: text(&self.created_by),
            labels: labels(&self.labels),
            search: text(&self.search),
            last_used_before: self.last_used_before,
            expires_before: self.expires_before,
            show_deleted: self.show_deleted,
            user: text(&self.user),
            user_kind: self.user_kind.map_or(UserKind::Unspecified, UserKind::from).into(),
            group: text(&self.group),
            customer: text(&self.customer),
            managed_by: text(&self.managed_by),
            ..ListKeysRequest::default()
        }
    }
}

impl From<State> for KeyState {
    fn from(state: State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Inactive => Self::Inactive,
            State::Revoked => Self::Revoked,
            State::Expired => Self::Expired,
            State::Deleted => Self::Deleted,
        }
    }
}

impl From<Kind> for UserKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Person => Self::Person,
            Kind::Service => Self::Service,
        }
    }
}

impl From<Order> for KeyOrder {
    fn from(order: Order) -> Self {
        match order {
            Order::Created => Self::CreateTime,
            Order::Name => Self::DisplayName,
            Order::LastUsed => Self::LastUsedTime,
            Order::Expires => Self::ExpireTime,
        }
    }
}

pub(super) async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let request = ListKeysRequest {
        order: KeyOrder::from(args.order).into(),
        descending: args.descending,
        ..args.filter.request()
    };
    let most = if args.limit == 0 { usize::MAX } else { args.limit };
    let mut pages = Pages::new(request, most);
    let mut keys = Vec::new();
    while let Some(page) = pages.next(session).await? {
        keys.extend(page);
    }
    session.out.list(&keys, &COLUMNS)?;
    if pages.more {
        note(&format!("There are more than {most}: --limit NUMBER shows more, --limit 0 all."));
    }
    Ok(())
}

/// Keys in pages, one after the other.
pub(super) struct Pages {
    request: ListKeysRequest,
    /// How many may still come.
    left: usize,
    ended: bool,
    /// Whether there are more than were wanted.
    pub(super) more: bool,
}

impl Pages {
    pub(super) const fn new(request: ListKeysRequest, most: usize) -> Self {
        Self { request, left: most, ended: false, more: false }
    }

    pub(super) async fn next(&mut self, session: &Session) -> Result<Option<Vec<Key>>, CliError> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        let size = self.left.min(PAGE_KEYS);
        self.request.page_size = i32::try_from(size).unwrap_or(i32::MAX);
        let ask = async |request| session.keys().list_keys(request).await;
        let page = session.ask(self.request.clone(), ask).await?;
        self.left = self.left.saturating_sub(page.keys.len());
        self.ended = page.next_page_token.is_empty();
        self.more = !self.ended;
        self.request.page_token = page.next_page_token;
        Ok(Some(page.keys))
    }
}
