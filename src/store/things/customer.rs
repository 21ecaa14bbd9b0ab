//! Customers as rows.

use serde_json::{Value as Json, json};
use tokio_postgres::Row;

use super::{Created, Deleted, Listed, Stored, Value, limits, parsed, record, text, texts};
use crate::{
    model::{
        customer::{Customer, CustomerId},
        name::DomainName,
        record::{Kind, Record, ThingName},
        text::{DisplayName, Prose},
    },
    store::error::StoreError,
};

const TABLE: &str = "customer";

macro_rules! columns {
    () => {
        "t.domain, t.id, t.display_name, t.description, t.limits, t.created_at, t.updated_at,
         t.version FROM keyward.customer AS t"
    };
}

impl Stored for Customer {
    const KIND: Kind = Kind::Customer;
    const GET: &'static str =
        concat!("-- customer.get\nSELECT ", columns!(), " WHERE t.domain = $1 AND t.id = $2");
    const UPDATE: &'static str = "-- customer.update
        UPDATE keyward.customer SET updated_at = $4, version = $5, display_name = $6,
            description = $7, limits = $8
        WHERE domain = $1 AND id = $2 AND created_at = $3";

    fn name(&self) -> ThingName {
        ThingName::in_domain(&self.domain, self.id.as_str())
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
            texts(self.limits.iter()),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            domain: parsed(row, TABLE, "domain", DomainName::parse)?,
            id: parsed(row, TABLE, "id", CustomerId::parse)?,
            display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
            description: parsed(row, TABLE, "description", Prose::parse)?,
            limits: limits(row, TABLE)?,
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "display_name": self.display_name.as_str(),
            "description": self.description.as_str(),
            "limits": self.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "version": self.record.version,
        })
    }
}

impl Listed for Customer {
    const LIST: &'static str = concat!(
        "-- customer.list\nSELECT ",
        columns!(),
        " WHERE ($1::text[] IS NULL OR t.domain = ANY ($1))
            AND ($2::text IS NULL
                OR (t.domain COLLATE \"C\", t.id COLLATE \"C\") > ($2, $3))
            AND ($4::text IS NULL OR position(lower($4) IN lower(t.id)) > 0
                OR position(lower($4) IN lower(t.display_name)) > 0)
        ORDER BY t.domain COLLATE \"C\", t.id COLLATE \"C\" LIMIT $5"
    );
}

impl Created for Customer {
    const INSERT: &'static str = "-- customer.insert
        INSERT INTO keyward.customer (domain, id, created_at, updated_at, version, display_name,
            description, limits)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        RETURNING 0::int8 AS uid";
}

/// With what was counted for it.
impl Deleted for Customer {
    const DELETE: &'static str = "-- customer.delete
        WITH counted AS (
            DELETE FROM keyward.usage_customer_hour WHERE customer_uid = (
                SELECT uid FROM keyward.customer WHERE domain = $1 AND id = $2)
        )
        DELETE FROM keyward.customer WHERE domain = $1 AND id = $2";
}
