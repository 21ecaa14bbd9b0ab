//! Domains as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use super::{Created, Listed, Stored, Value, disabled_at, limits, parsed, record, text, texts};
use crate::{
    model::{
        domain::Domain,
        name::DomainName,
        record::{Kind, Record, ThingName},
        text::{DisplayName, Prose},
        time::Timestamp,
    },
    store::{error::StoreError, row::field},
};

const TABLE: &str = "domain";

macro_rules! columns {
    () => {
        "t.name, t.display_name, t.description, t.limits, t.disabled_at, t.created_at, t.updated_at,
         t.version FROM keyward.domain AS t"
    };
}

impl Stored for Domain {
    const KIND: Kind = Kind::Domain;
    const GET: &'static str = concat!("-- domain.get\nSELECT ", columns!(), " WHERE t.name = $1");
    const UPDATE: &'static str = "-- domain.update
        UPDATE keyward.domain SET updated_at = $4, version = $5, display_name = $6,
            description = $7,
            disabled_at = CASE WHEN $8::timestamptz IS NULL THEN NULL
                ELSE coalesce(disabled_at, $8) END,
            limits = $9
        WHERE name = $1";

    fn name(&self) -> ThingName {
        ThingName::in_domain(&self.name, "")
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    fn values(&self) -> Vec<Value> {
        vec![
            text(self.display_name.as_str()),
            text(self.description.as_str()),
            disabled_at(self.disabled, &self.record),
            texts(self.limits.iter()),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let disabled_at: Option<Timestamp> = field(row, TABLE, "disabled_at")?;
        Ok(Self {
            name: parsed(row, TABLE, "name", DomainName::parse)?,
            display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
            description: parsed(row, TABLE, "description", Prose::parse)?,
            limits: limits(row, TABLE)?,
            disabled: disabled_at.is_some(),
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "display_name": self.display_name.as_str(),
            "description": self.description.as_str(),
            "limits": self.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "disabled": self.disabled,
            "version": self.record.version,
        })
    }
}

impl Listed for Domain {
    const LIST: &'static str = concat!(
        "-- domain.list\nSELECT ",
        columns!(),
        " WHERE ($1::text[] IS NULL OR t.name = ANY ($1))
            AND ($2::text IS NULL OR t.name COLLATE \"C\" > $2)
            AND ($4::text IS NULL OR position(lower($4) IN t.name) > 0
                OR position(lower($4) IN lower(t.display_name)) > 0)
        ORDER BY t.name COLLATE \"C\" LIMIT $5"
    );
}

impl Created for Domain {
    const INSERT: &'static str = "-- domain.insert
        WITH made AS (
            INSERT INTO keyward.domain
                (name, created_at, updated_at, version, display_name, description, disabled_at,
                limits)
            VALUES ($1, $3, $4, $5, $6, $7, $8, $9)
            RETURNING name
        ), routes AS (
            INSERT INTO keyward.route_map (domain, entries, created_at, updated_at, version)
            SELECT name, '{}', $3, $4, 1 FROM made
        ), known AS (
            INSERT INTO keyward.catalogue (domain, permissions, created_at, updated_at, version)
            SELECT name, '[]', $3, $4, 1 FROM made
        )
        SELECT 0::int8 AS uid FROM made";
}
