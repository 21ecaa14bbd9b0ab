//! Templates as rows.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tokio_postgres::{Row, types::Type};

use super::{Created, Deleted, Listed, Stored, Value, grants, limits, parsed, record, text, texts};
use crate::{
    model::{
        name::{EnvironmentName, TemplateName},
        record::{Kind, Record, ThingName},
        template::{Lifetime, Template, TemplatePermissions},
        text::{DisplayName, Prose},
    },
    store::{error::StoreError, row::field},
};

const TABLE: &str = "template";

macro_rules! columns {
    () => {
        "t.name, t.display_name, t.description, t.required_permissions, t.optional_permissions,
         t.environment, t.lifetime_seconds, t.limits, t.created_at, t.updated_at, t.version
         FROM keyward.template AS t"
    };
}

impl Stored for Template {
    const KIND: Kind = Kind::Template;
    const GET: &'static str = concat!("-- template.get\nSELECT ", columns!(), " WHERE t.name = $2");
    const UPDATE: &'static str = "-- template.update
        UPDATE keyward.template SET updated_at = $4, version = $5, display_name = $6,
            description = $7, required_permissions = $8, optional_permissions = $9,
            environment = $10, lifetime_seconds = $11, limits = $12
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
            text(self.display_name.as_str()),
            text(self.description.as_str()),
            texts(self.permissions.required.iter()),
            texts(self.permissions.optional.iter()),
            text(self.environment.as_ref().map(EnvironmentName::as_str)),
            (Box::new(self.lifetime.map(seconds)), Type::INT8),
            texts(self.limits.iter()),
        ]
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        let lifetime: Option<i64> = field(row, TABLE, "lifetime_seconds")?;
        let lifetime = lifetime.map(|seconds| {
            Lifetime::parse(Duration::from_secs(seconds.try_into().unwrap_or(0)))
                .map_err(|error| StoreError::corrupt(TABLE, "lifetime_seconds", error))
        });
        let environment: Option<&str> = field(row, TABLE, "environment")?;
        Ok(Self {
            name: parsed(row, TABLE, "name", TemplateName::parse)?,
            display_name: parsed(row, TABLE, "display_name", DisplayName::parse)?,
            description: parsed(row, TABLE, "description", Prose::parse)?,
            permissions: TemplatePermissions {
                required: grants(row, TABLE, "required_permissions")?,
                optional: grants(row, TABLE, "optional_permissions")?,
            },
            environment: environment.map(EnvironmentName::from_stored),
            limits: limits(row, TABLE)?,
            lifetime: lifetime.transpose()?,
            record: record(row, TABLE)?,
        })
    }

    fn snapshot(&self) -> Json {
        json!({
            "display_name": self.display_name.as_str(),
            "description": self.description.as_str(),
            "required_permissions": self.permissions.required.iter().collect::<Vec<_>>(),
            "optional_permissions": self.permissions.optional.iter().collect::<Vec<_>>(),
            "default_environment": self.environment.as_ref().map(EnvironmentName::as_str),
            "lifetime_seconds": self.lifetime.map(seconds),
            "limits": self.limits.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "version": self.record.version,
        })
    }
}

impl Listed for Template {
    const LIST: &'static str = concat!(
        "-- template.list\nSELECT ",
        columns!(),
        " WHERE ($3::text IS NULL OR t.name COLLATE \"C\" > $3)
            AND ($4::text IS NULL OR position(lower($4) IN t.name) > 0
                OR position(lower($4) IN lower(t.display_name)) > 0)
        ORDER BY t.name COLLATE \"C\" LIMIT $5"
    );
}

impl Created for Template {
    const INSERT: &'static str = "-- template.insert
        INSERT INTO keyward.template (name, created_at, updated_at, version, display_name,
            description, required_permissions, optional_permissions, environment, lifetime_seconds,
            limits)
        VALUES ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        RETURNING 0::int8 AS uid";
}

impl Deleted for Template {
    const DELETE: &'static str = "-- template.delete
        DELETE FROM keyward.template WHERE name = $2";
}

fn seconds(lifetime: Lifetime) -> i64 {
    i64::try_from(lifetime.span().as_secs()).unwrap_or(i64::MAX)
}
