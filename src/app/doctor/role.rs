//! What the database lets our role do.

use super::{Finding, database::refused};
use crate::{config::ServeArgs, store::Store};

/// What serving and migrating need.
pub(super) async fn examine(store: &Store, args: &ServeArgs, has_schema: bool) -> Vec<Finding> {
    let migrate = match store.may_migrate().await {
        Ok(true) => Finding::fine("role: migrate", "may change the schema"),
        Ok(false) if args.no_migrate => {
            Finding::fine("role: migrate", "may not change the schema, and need not")
        }
        Ok(false) if has_schema => Finding::warning(
            "role: migrate",
            "may not change the schema, which the next version may want to",
            "run `keyward migrate` as its owner, and set --no-migrate (KEYWARD_NO_MIGRATE)",
        ),
        Ok(false) => Finding::failure(
            "role: migrate",
            "may not make the schema",
            "GRANT CREATE ON DATABASE … to this role, or run `keyward migrate` as another one",
        ),
        Err(error) => refused("role: migrate", &error),
    };
    let mut findings = vec![migrate];
    if has_schema {
        findings.push(serve(store).await);
    }
    findings
}

async fn serve(store: &Store) -> Finding {
    const CHECK: &str = "role: serve";
    match store.lacking_rights().await {
        Ok(lacking) if lacking.is_empty() => Finding::fine(CHECK, "may do all that serving needs"),
        Ok(lacking) => Finding::failure(
            CHECK,
            format!("lacks rights in schema keyward: {}", lacking.join("; ")),
            "GRANT these to the role, or serve as the schema's owner",
        ),
        Err(error) => refused(CHECK, &error),
    }
}
