//! Permission groups as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use super::{Created, Deleted, Listed, Stored, Value, grants, parsed, record, text, texts};
use crate::{
    model::{
        group::PermissionGroup,
        name::{DomainName, GroupName},
        record::{Kind, Record, ThingName},
        text::{DisplayName, Prose},
    },
    store::{error::StoreError, row::field},
};

const TABLE: &str = "permission_group";

macro_rules! columns {
    () => {
        "t.uid, t.domain, t.name, t.display_name, t.description, t.permissions, t.created_at,
         t.updated_at, t.version FROM keyward.permission_group AS t WHERE t.deleted_at IS NULL"
    };
}

impl Stored for PermissionGroup {
    const KIND: Kind = Kind::Group;
    const GET: &'static str =
        concat!("-- group.get\nSELECT ", columns!(), " AND t.domain = $1 AND t.name = $2");
    const UPDATE: &'static str = "-- group.update
        UPDATE keyward.permission_group SET updated_at = $4, version = $5, display_name = $6,
            description = $7, permissions = $8
        WHERE domain = $1 AND name = $2 AND deleted_at IS NULL";

    fn name(&self) -> ThingName {
        ThingName::in_domain(&self.domain, self.name.as_str())
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
            text(self.display_name.as_str()),
            text(self.description.as_str()),
            texts(self.grants.iter()),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            uid: field(row, TABLE, "uid")?,
            domain: parsed(row, TABLE, "domain", DomainName::parse)?,
            name: parsed(row, TABLE, "name", GroupName::parse)?,
            display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
            description: parsed(row, TABLE, "description", Prose::parse)?,
            grants: grants(row, TABLE, "permissions")?,
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "uid": self.uid,
            "display_name": self.display_name.as_str(),
            "description": self.description.as_str(),
            "permissions": self.grants.iter().collect::<Vec<_>>(),
            "version": self.record.version,
        })
    }
}

impl Listed for PermissionGroup {
    const LIST: &'static str = concat!(
        "-- group.list\nSELECT ",
        columns!(),
        " AND ($1::text[] IS NULL OR t.domain = ANY ($1))
            AND ($2::text IS NULL
                OR (t.domain COLLATE \"C\", t.name COLLATE \"C\") > ($2, $3))
            AND ($4::text IS NULL OR position(lower($4) IN t.name) > 0
                OR position(lower($4) IN lower(t.display_name)) > 0)
        ORDER BY t.domain COLLATE \"C\", t.name COLLATE \"C\" LIMIT $5"
    );
}

impl Created for PermissionGroup {
    const INSERT: &'static str = "-- group.insert
        INSERT INTO keyward.permission_group
            (domain, name, created_at, updated_at, version, display_name, description, permissions)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        RETURNING uid";
}

impl Deleted for PermissionGroup {
    const DELETE: &'static str = "-- group.delete
        UPDATE keyward.permission_group SET deleted_at = $3
        WHERE domain = $1 AND name = $2 AND deleted_at IS NULL";
}
