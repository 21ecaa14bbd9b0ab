//! Route maps as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use super::{Stored, Value, parsed, record, texts};
use crate::{
    model::{
        domain::DomainRoutes,
        name::DomainName,
        record::{Kind, Record, ThingName},
        route_map::RouteMap,
    },
    store::error::StoreError,
};

const TABLE: &str = "route_map";

impl Stored for DomainRoutes {
    const KIND: Kind = Kind::RouteMap;
    const GET: &'static str = "-- route_map.get
        SELECT t.domain, t.entries, t.created_at, t.updated_at, t.version
        FROM keyward.route_map AS t WHERE t.domain = $1";
    const UPDATE: &'static str = "-- route_map.update
        UPDATE keyward.route_map SET updated_at = $4, version = $5, entries = $6
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
        vec![texts(self.map.iter())]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            domain: parsed(row, TABLE, "domain", DomainName::parse)?,
            map: parsed(row, TABLE, "entries", |lines: Vec<&str>| {
                RouteMap::parse(&lines).map_err(|(_, error)| error)
            })?,
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "entries": self.map.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "version": self.record.version,
        })
    }
}
