//! From columns to what decisions need.

use tokio_postgres::{Row, binary_copy::BinaryCopyOutRow, types::FromSql};

use crate::{
    model::{
        meter::quota::StoredQuota,
        secret::Digest,
        shared::{CustomerRow, DomainRow, GroupRow, QuotaRow, UserRow},
        user::UserKind,
        view::KeyRow,
    },
    store::{
        error::StoreError,
        row::{copied, field},
    },
};

/// A row, of a query or of COPY, which has no names.
pub(super) trait Columns {
    fn get<'a, T: FromSql<'a>>(&'a self, at: usize, name: &'static str) -> Result<T, StoreError>;
}

pub(super) struct Queried<'r>(pub(super) &'r Row, pub(super) &'static str);

impl Columns for Queried<'_> {
    fn get<'a, T: FromSql<'a>>(&'a self, _at: usize, name: &'static str) -> Result<T, StoreError> {
        field(self.0, self.1, name)
    }
}

pub(super) struct Copied<'r>(pub(super) &'r BinaryCopyOutRow, pub(super) &'static str);

impl Columns for Copied<'_> {
    fn get<'a, T: FromSql<'a>>(&'a self, at: usize, name: &'static str) -> Result<T, StoreError> {
        copied(self.0, at, self.1, name)
    }
}

pub(super) fn key_row(row: &impl Columns) -> Result<KeyRow<'_>, StoreError> {
    let retiring: Option<Digest> = row.get(7, "retiring_digest")?;
    Ok(KeyRow {
        id: row.get(0, "id")?,
        profile: row.get(1, "profile")?,
        labels: row.get(2, "labels")?,
        active: row.get(3, "active")?,
        not_before: row.get(4, "not_before_at")?,
        expire: row.get(5, "expire_at")?,
        current: row.get(6, "digest")?,
        retiring: retiring.zip(row.get(8, "retiring_expire_at")?),
        peppers: [row.get(9, "pepper")?, row.get(10, "retiring_pepper")?],
    })
}

pub(super) fn domain_row(row: &impl Columns) -> Result<DomainRow<'_>, StoreError> {
    Ok(DomainRow {
        name: row.get(0, "name")?,
        enabled: row.get(1, "enabled")?,
        route_map: row.get(2, "route_map")?,
        limits: row.get(3, "limits")?,
    })
}

pub(super) fn group_row(row: &impl Columns) -> Result<GroupRow<'_>, StoreError> {
    Ok(GroupRow {
        uid: row.get(0, "uid")?,
        name: row.get(1, "name")?,
        permissions: row.get(2, "permissions")?,
    })
}

pub(super) fn user_row(row: &impl Columns) -> Result<UserRow<'_>, StoreError> {
    let person: bool = row.get(2, "person")?;
    Ok(UserRow {
        uid: row.get(0, "uid")?,
        id: row.get(1, "id")?,
        kind: if person { UserKind::Person } else { UserKind::Service },
        enabled: row.get(3, "enabled")?,
        permissions: row.get(4, "permissions")?,
        groups: row.get(5, "groups")?,
        limits: row.get(6, "limits")?,
        domain: row.get(7, "domain")?,
    })
}

pub(super) fn customer_row(row: &impl Columns) -> Result<CustomerRow<'_>, StoreError> {
    Ok(CustomerRow {
        domain: row.get(0, "domain")?,
        id: row.get(1, "id")?,
        limits: row.get(2, "limits")?,
        uid: row.get(3, "uid")?,
    })
}

pub(super) fn quota_row(row: &impl Columns) -> Result<QuotaRow<'_>, StoreError> {
    let period: &str = row.get(5, "period")?;
    let stored = StoredQuota {
        period: period.parse().map_err(|error| StoreError::corrupt("quota", "period", error))?,
        start: row.get(2, "start_at")?,
        used: row.get(3, "used")?,
        credits: row.get(4, "credits")?,
        generation: row.get(6, "generation")?,
    };
    Ok(QuotaRow { owner: row.get(0, "owner")?, name: row.get(1, "name")?, stored })
}
