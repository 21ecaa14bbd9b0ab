//! Catalogues as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::{Row, types::Type};

use super::{Listed, Stored, Value, parsed, record};
use crate::{
    model::{
        catalogue::{Catalogue, CatalogueEntries, CatalogueEntry},
        name::DomainName,
        record::{Kind, Record, ThingName},
        text::{DisplayName, Prose},
    },
    store::{error::StoreError, row::field},
};

const TABLE: &str = "catalogue";

impl Stored for Catalogue {
    const KIND: Kind = Kind::Catalogue;
    const GET: &'static str = "-- catalogue.get
        SELECT t.domain, t.permissions, t.created_at, t.updated_at, t.version
        FROM keyward.catalogue AS t WHERE t.domain = $1";
    const UPDATE: &'static str = "-- catalogue.update
        UPDATE keyward.catalogue SET updated_at = $4, version = $5, permissions = $6
        WHERE domain = $1";

    fn name(&self) -> ThingName {
        ThingName::in_domain(&self.domain, "")
    }

    fn record(&self) -> &Record {
        &self.record
    }

    fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    fn values(&self) -> Vec<Value> {
        vec![(Box::new(entries_json(&self.entries)), Type::JSONB)]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let stored: Json = field(row, TABLE, "permissions")?;
        let entries = stored.as_array().into_iter().flatten().map(entry_from_json);
        let entries = CatalogueEntries::new(entries.collect::<Result<_, _>>()?);
        Ok(Self {
            domain: parsed(row, TABLE, "domain", DomainName::parse)?,
            entries: entries.map_err(|(_, e)| StoreError::corrupt(TABLE, "permissions", e))?,
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "permissions": entries_json(&self.entries),
            "version": self.record.version,
        })
    }
}

impl Listed for Catalogue {
    const LIST: &'static str = "-- catalogue.list
        SELECT t.domain, t.permissions, t.created_at, t.updated_at, t.version
        FROM keyward.catalogue AS t
        WHERE ($1::text[] IS NULL OR t.domain = ANY ($1))
            AND ($2::text IS NULL OR t.domain COLLATE \"C\" > $2)
        ORDER BY t.domain COLLATE \"C\" LIMIT $5";
}

fn entries_json(entries: &CatalogueEntries) -> Json {
    let shown = entries.iter().map(|entry| {
        json!({
            "name": entry.name(),
            "display_name": entry.display_name.as_str(),
            "description": entry.description.as_str(),
        })
    });
    shown.collect()
}

fn entry_from_json(stored: &Json) -> Result<CatalogueEntry, StoreError> {
    fn wrong(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
        StoreError::corrupt(TABLE, "permissions", error)
    }
    let text = |member: &str| stored.get(member).and_then(Json::as_str).unwrap_or_default();
    let display_name = DisplayName::parse(text("display_name")).map_err(wrong)?;
    let description = Prose::parse(text("description")).map_err(wrong)?;
    CatalogueEntry::new(text("name"), display_name, description).map_err(wrong)
}
