//! What the database lets our role do.

use super::{
    Finding,
    database::{Schema, refused},
};
use crate::{
    config::ServeArgs,
    store::{Store, error::StoreError},
};

const SERVE: &str = "role: serve";
const MIGRATE: &str = "role: migrate";

/// What serving and migrating need.
pub(super) async fn examine(store: &Store, args: &ServeArgs, schema: &Schema) -> Vec<Finding> {
    let migrate = match store.may_migrate().await {
        Ok(true) => Finding::fine(MIGRATE, "may change the schema"),
        Ok(false) if args.no_migrate => {
            Finding::fine(MIGRATE, "may not change the schema, and need not")
        }
        Ok(false) => may_not_migrate(schema),
        Err(error) => refused(MIGRATE, &error),
    };
    let mut findings = vec![migrate];
    match schema {
        Schema::Absent => {}
        // what is in the schema cannot even be named
        Schema::Closed => findings.push(Finding::failure(
            SERVE,
            "may not look into the schema keyward: it lacks USAGE on it",
            "GRANT USAGE ON SCHEMA keyward TO this role, and ask again: it may lack more",
        )),
        Schema::There(_) => findings.push(serve(store).await),
    }
    findings
}

fn may_not_migrate(schema: &Schema) -> Finding {
    const BY_OWNER: &str =
        "run `keyward migrate` as its owner, and set --no-migrate (KEYWARD_NO_MIGRATE)";
    match schema {
        Schema::Absent => Finding::failure(
            MIGRATE,
            "may not make the schema",
            "GRANT CREATE ON DATABASE … to this role, or run `keyward migrate` as another one",
        ),
        Schema::There(Err(StoreError::MissingMigrations(_))) => Finding::failure(
            MIGRATE,
            "may not change the schema, which is older than this program",
            BY_OWNER,
        ),
        Schema::Closed | Schema::There(_) => Finding::warning(
            MIGRATE,
            "may not change the schema, which the next version may want to",
            BY_OWNER,
        ),
    }
}

async fn serve(store: &Store) -> Finding {
    match store.lacking_rights().await {
        Ok(lacking) if lacking.is_empty() => Finding::fine(SERVE, "may do all that serving needs"),
        Ok(lacking) => Finding::failure(
            SERVE,
            format!("lacks rights in schema keyward: {}", lacking.join("; ")),
            "GRANT these to the role, or serve as the schema's owner",
        ),
        Err(error) => refused(SERVE, &error),
    }
}
