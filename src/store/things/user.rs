//! Users as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use super::{
    Created, Deleted, Listed, Stored, Value, disabled_at, grants, group_columns, group_uids,
    groups, kind_text, limits, parsed, record, text, texts,
};
use crate::{
    model::{
        name::DomainName,
        record::{Kind, Record, ThingName},
        text::{DisplayName, Prose},
        time::Timestamp,
        user::{User, UserId, UserKind},
    },
    store::{error::StoreError, row::field},
};

const TABLE: &str = "domain_user";

macro_rules! columns {
    () => {
        concat!(
            "t.uid, t.domain, t.id, t.kind, t.display_name, t.description, t.permissions,
             t.limits, t.disabled_at, t.created_at, t.updated_at, t.version, ",
            group_columns!("t"),
            " FROM keyward.domain_user AS t WHERE t.deleted_at IS NULL"
        )
    };
}

impl Stored for User {
    const KIND: Kind = Kind::User;
    const GET: &'static str =
        concat!("-- user.get\nSELECT ", columns!(), " AND t.domain = $1 AND t.id = $2");
    const UPDATE: &'static str = "-- user.update
        UPDATE keyward.domain_user SET updated_at = $4, version = $5, display_name = $7,
            description = $8, permissions = $9, groups = $10,
            disabled_at = CASE WHEN $11::timestamptz IS NULL THEN NULL
                ELSE coalesce(disabled_at, $11) END,
            limits = $12
        WHERE domain = $1 AND id = $2 AND kind = $6 AND deleted_at IS NULL";

    fn name(&self) -> ThingName {
        ThingName::in_domain(&self.domain, self.id.as_str())
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    fn uid(&self) -> Option<i64> {
        Some(self.uid)
    }

    fn numbered(&mut self, uid: i64) {
        self.uid = uid;
    }

    fn values(&self) -> Vec<Value> {
        vec![
            text(kind_text(self.kind)),
            text(self.display_name.as_str()),
            text(self.description.as_str()),
            texts(self.grants.iter()),
            group_uids(&self.groups),
            disabled_at(self.disabled, &self.record),
            texts(self.limits.iter()),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let disabled_at: Option<Timestamp> = field(row, TABLE, "disabled_at")?;
        let kind = match field(row, TABLE, "kind")? {
            "person" => UserKind::Person,
            "service" => UserKind::Service,
            _ => return Err(StoreError::corrupt(TABLE, "kind", "unknown kind")),
        };
        Ok(Self {
            uid: field(row, TABLE, "uid")?,
            domain: parsed(row, TABLE, "domain", DomainName::parse)?,
            id: parsed(row, TABLE, "id", UserId::parse)?,
            kind,
            display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
            description: parsed(row, TABLE, "description", Prose::parse)?,
            grants: grants(row, TABLE, "permissions")?,
            groups: groups(row, TABLE)?,
            limits: limits(row, TABLE)?,
            disabled: disabled_at.is_some(),
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "uid": self.uid,
            "kind": kind_text(self.kind),
            "display_name": self.display_name.as_str(),
            "description": self.description.as_str(),
            "permissions": self.grants.iter().collect::<Vec<_>>(),
            "groups": self.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(),
            "limits": self.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "disabled": self.disabled,
            "version": self.record.version,
        })
    }
}

impl Listed for User {
    const LIST: &'static str = concat!(
        "-- user.list\nSELECT ",
        columns!(),
        " AND ($1::text[] IS NULL OR t.domain = ANY ($1))
            AND ($2::text IS NULL OR (t.domain COLLATE \"C\", t.id COLLATE \"C\") > ($2, $3))
            AND ($4::text IS NULL OR position(lower($4) IN lower(t.id)) > 0
                OR position(lower($4) IN lower(t.display_name)) > 0)
            AND ($6::text IS NULL OR t.kind = $6)
            AND ($7::text IS NULL OR t.groups <> '{}' AND t.groups && ARRAY(
                SELECT g.uid FROM keyward.permission_group AS g
                WHERE g.name = $7 AND g.deleted_at IS NULL))
        ORDER BY t.domain COLLATE \"C\", t.id COLLATE \"C\" LIMIT $5"
    );
}

impl Created for User {
    const INSERT: &'static str = "-- user.insert
        INSERT INTO keyward.domain_user (domain, id, created_at, updated_at, version, kind,
            display_name, description, permissions, groups, disabled_at, limits)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        RETURNING uid";
}

impl Deleted for User {
    const DELETE: &'static str = "-- user.delete
        UPDATE keyward.domain_user SET deleted_at = $3
        WHERE domain = $1 AND id = $2 AND deleted_at IS NULL";
}
