//! Things other than keys, all stored in the same way: found by name, with an etag, in pages.

mod catalogue;
mod customer;
mod domain;
mod environment;
mod group;
mod route_map;
mod template;
mod user;

use serde_json::Value as Json;
use tokio_postgres::{
    Row,
    types::{FromSql, ToSql, Type},
};

use crate::{
    model::{
        group::{GroupRef, Groups},
        limit::Limits,
        list::{ThingFilter, ThingPage},
        name::{DomainName, GroupName},
        permission::Grants,
        record::{Kind, Record, ThingName},
        text::SearchText,
        user::UserKind,
    },
    store::{Parameter, Store, error::StoreError, row::field},
};

/// A parameter of a statement, in owned form.
pub(super) type Value = (Box<dyn ToSql + Send + Sync>, Type);

/// How a kind of things is stored. The table is `t` in every statement.
pub trait Stored: Clone + PartialEq + Send + Sync + Sized {
    /// Which kind.
    const KIND: Kind;
    /// One, by domain `$1` and name `$2`.
    const GET: &'static str;
    /// Other content for one. Domain, name, times of creation and change, version, then what
    /// [`Stored::values`] gives.
    const UPDATE: &'static str;

    /// What it is found by.
    fn name(&self) -> ThingName;
    /// Its history in short.
    fn record(&self) -> &Record;
    /// The same, to change it.
    fn record_mut(&mut self) -> &mut Record;
    /// Its number, if its kind has numbers.
    fn uid(&self) -> Option<i64> {
        None
    }
    /// Takes the number that the store gave it.
    fn numbered(&mut self, _uid: i64) {}
    /// All that may change of it, and what was set at creation.
    fn values(&self) -> Vec<Value>;
    /// Reads a row of [`Stored::GET`] or [`Listed::LIST`].
    fn from_row(row: &Row) -> Result<Self, StoreError>;
    /// What an audit event shows of it.
    fn snapshot(&self) -> Json;
}

/// What is shown in pages.
pub trait Listed: Stored {
    /// A page, by the parameters of `list_parameters`.
    const LIST: &'static str;
}

/// What operators make.
pub trait Created: Stored {
    /// A new one, by the parameters of [`Stored::UPDATE`]; returns its number as `uid`.
    const INSERT: &'static str;
}

/// What operators remove.
pub trait Deleted: Stored {
    /// By domain, name and time.
    const DELETE: &'static str;
}

/// Lets others read it, not change it.
pub(super) const SHARED: &str = " FOR SHARE OF t";
/// Lets others do neither of what would lock it.
pub(super) const LOCKED: &str = " FOR UPDATE OF t";

impl Store {
    /// One thing by its name.
    pub async fn get_thing<T: Stored>(&self, name: &ThingName) -> Result<Option<T>, StoreError> {
        let domain = name.domain.as_ref().map(DomainName::as_str);
        let parameters: [Parameter<'_>; 2] = [(&domain, Type::TEXT), (&&*name.name, Type::TEXT)];
        let rows = self.run(T::GET, &parameters).await?;
        rows.first().map(T::from_row).transpose()
    }

    /// A page of things.
    pub async fn list_things<T: Listed>(
        &self,
        filter: &ThingFilter,
    ) -> Result<ThingPage<T>, StoreError> {
        let size = usize::from(filter.size.items());
        let values = list_parameters(filter);
        let rows = self.run(T::LIST, &borrowed(&values)).await?;
        let mut things = rows.iter().map(T::from_row).collect::<Result<Vec<_>, _>>()?;
        let more = things.len() > size;
        things.truncate(size);
        let next = things.last().filter(|_| more).map(T::name);
        Ok(ThingPage { things, next })
    }
}

/// `$1` the domains, `$2` and `$3` the domain and name before the page, `$4` what is searched for,
/// `$5` how many, `$6` the kind of users and `$7` the group that they have.
fn list_parameters(filter: &ThingFilter) -> Vec<Value> {
    let domains = filter.domains.as_ref();
    let domains: Option<Vec<String>> =
        domains.map(|names| names.iter().map(ToString::to_string).collect());
    let after = filter.after.as_ref();
    let after_domain =
        after.map(|after| after.domain.as_ref().map(ToString::to_string).unwrap_or_default());
    let one_more = i64::from(filter.size.items()) + 1; // tells whether there is a next page
    vec![
        (Box::new(domains), Type::TEXT_ARRAY),
        (Box::new(after_domain), Type::TEXT),
        (Box::new(after.map(|after| after.name.to_string())), Type::TEXT),
        text(filter.search.as_ref().map(SearchText::as_str)),
        (Box::new(one_more), Type::INT8),
        text(filter.kind.map(kind_text)),
        text(filter.group.as_ref().map(GroupName::as_str)),
    ]
}

/// The parameters of `INSERT` and `UPDATE`.
pub(super) fn parameters<T: Stored>(thing: &T) -> Vec<Value> {
    let name = thing.name();
    let record = *thing.record();
    let mut values = vec![
        text(name.domain.as_ref().map(DomainName::as_str)),
        text(&*name.name),
        (Box::new(record.create_time), Type::TIMESTAMPTZ),
        (Box::new(record.update_time), Type::TIMESTAMPTZ),
        (Box::new(record.version), Type::INT8),
    ];
    values.extend(thing.values());
    values
}

/// Values as a statement takes them.
pub(super) fn borrowed(values: &[Value]) -> Vec<Parameter<'_>> {
    fn plain(value: &(dyn ToSql + Send + Sync)) -> &(dyn ToSql + Sync) {
        value
    }
    values.iter().map(|(value, kind)| (plain(&**value), kind.clone())).collect()
}

fn text<'a>(text: impl Into<Option<&'a str>>) -> Value {
    (Box::new(text.into().map(str::to_owned)), Type::TEXT)
}

fn texts<T: ToString>(texts: impl Iterator<Item = T>) -> Value {
    (Box::new(texts.map(|text| text.to_string()).collect::<Vec<_>>()), Type::TEXT_ARRAY)
}

fn group_uids(groups: &Groups) -> Value {
    (Box::new(groups.iter().map(|group| group.uid).collect::<Vec<_>>()), Type::INT8_ARRAY)
}

/// When something was disabled, if it is: as far as is known, at its last change.
fn disabled_at(disabled: bool, record: &Record) -> Value {
    (Box::new(disabled.then_some(record.update_time)), Type::TIMESTAMPTZ)
}

pub(super) const fn kind_text(kind: UserKind) -> &'static str {
    match kind {
        UserKind::Person => "person",
        UserKind::Service => "service",
    }
}

/// Reads a column and what it must be.
pub(super) fn parsed<'a, T, P, E>(
    row: &'a Row,
    table: &'static str,
    column: &'static str,
    parse: impl Fn(P) -> Result<T, E>,
) -> Result<T, StoreError>
where
    P: FromSql<'a>,
    E: std::error::Error + Send + Sync + 'static,
{
    parse(field(row, table, column)?).map_err(|error| StoreError::corrupt(table, column, error))
}

/// Reads a column of grants.
pub(super) fn grants(
    row: &Row,
    table: &'static str,
    column: &'static str,
) -> Result<Grants, StoreError> {
    parsed(row, table, column, |texts: Vec<&str>| Grants::parse(&texts).map_err(|(_, error)| error))
}

/// Reads a column of limits.
pub(super) fn limits(row: &Row, table: &'static str) -> Result<Limits, StoreError> {
    parsed(row, table, "limits", |texts: Vec<&str>| {
        Limits::parse(&texts).map_err(|(_, error)| error)
    })
}

/// The columns that [`groups`] reads, of a table that has groups.
macro_rules! group_columns {
    ($table:literal) => {
        concat!(
            $table,
            ".groups, ARRAY(SELECT g.name FROM unnest(",
            $table,
            ".groups) WITH ORDINALITY AS has (uid, place)
                JOIN keyward.permission_group AS g USING (uid) ORDER BY place) AS group_names,
            ARRAY(SELECT g.deleted_at IS NOT NULL FROM unnest(",
            $table,
            ".groups) WITH ORDINALITY AS has (uid, place)
                JOIN keyward.permission_group AS g USING (uid) ORDER BY place) AS groups_deleted"
        )
    };
}
pub(super) use group_columns;

/// Reads the groups that a key or a user has.
pub(super) fn groups(row: &Row, table: &'static str) -> Result<Groups, StoreError> {
    let uids: Vec<i64> = field(row, table, "groups")?;
    let names: Vec<&str> = field(row, table, "group_names")?;
    let deleted: Vec<bool> = field(row, table, "groups_deleted")?;
    if uids.len() != names.len() {
        return Err(StoreError::corrupt(table, "groups", "a group is not there"));
    }
    let known = uids.into_iter().zip(names).zip(deleted);
    let refs = known.map(|((uid, name), deleted)| GroupRef {
        uid,
        name: GroupName::from_stored(name),
        deleted,
    });
    Ok(Groups::new(refs.collect()))
}

fn record(row: &Row, table: &'static str) -> Result<Record, StoreError> {
    Ok(Record {
        create_time: field(row, table, "created_at")?,
        update_time: field(row, table, "updated_at")?,
        version: field(row, table, "version")?,
    })
}
