//! Environments as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use super::{Created, Deleted, Listed, Stored, Value, parsed, record, text};
use crate::{
    model::{
        environment::{Environment, EnvironmentTag},
        name::EnvironmentName,
        record::{Kind, Record, ThingName},
        text::{DisplayName, Prose},
    },
    store::error::StoreError,
};

const TABLE: &str = "environment";

macro_rules! columns {
    () => {
        "t.name, t.tag, t.display_name, t.description, t.created_at, t.updated_at, t.version
         FROM keyward.environment AS t"
    };
}

impl Stored for Environment {
    const KIND: Kind = Kind::Environment;
    const GET: &'static str =
        concat!("-- environment.get\nSELECT ", columns!(), " WHERE t.name = $2");
    const UPDATE: &'static str = "-- environment.update
        UPDATE keyward.environment SET updated_at = $4, version = $5, tag = $6, display_name = $7,
            description = $8
        WHERE name = $2";

    fn name(&self) -> ThingName {
        ThingName::of_all(self.name.as_str())
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    fn values(&self) -> Vec<Value> {
        vec![
            text(self.tag.as_str()),
            text(self.display_name.as_str()),
            text(self.description.as_str()),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            name: parsed(row, TABLE, "name", EnvironmentName::parse)?,
            tag: parsed(row, TABLE, "tag", EnvironmentTag::parse)?,
            display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
            description: parsed(row, TABLE, "description", Prose::parse)?,
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "tag": self.tag.as_str(),
            "display_name": self.display_name.as_str(),
            "description": self.description.as_str(),
            "version": self.record.version,
        })
    }
}

impl Listed for Environment {
    const LIST: &'static str = concat!(
        "-- environment.list\nSELECT ",
        columns!(),
        " WHERE ($3::text IS NULL OR t.name COLLATE \"C\" > $3)
            AND ($4::text IS NULL OR position(lower($4) IN t.name) > 0
                OR position(lower($4) IN lower(t.display_name)) > 0)
        ORDER BY t.name COLLATE \"C\" LIMIT $5"
    );
}

impl Created for Environment {
    const INSERT: &'static str = "-- environment.insert
        INSERT INTO keyward.environment
            (name, created_at, updated_at, version, tag, display_name, description)
        VALUES ($2, $3, $4, $5, $6, $7, $8)
        RETURNING 0::int8 AS uid";
}

impl Deleted for Environment {
    const DELETE: &'static str = "-- environment.delete
        DELETE FROM keyward.environment WHERE name = $2";
}
