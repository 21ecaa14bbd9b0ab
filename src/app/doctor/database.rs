//! The database: whether it is there, fits, and has what is needed.

use std::sync::Arc;

use tokio_postgres::{Config, config::SslMode};

use super::{Finding, clocks, now, role};
use crate::{
    app::database::{peppers_in, together},
    config::{DatabaseArgs, InvalidSetting, ServeArgs, database_url::DatabaseUrl},
    model::{
        job::{Job, JobFilter, JobState},
        list::PageSize,
        pepper::Peppers,
        time::Timestamp,
    },
    postgres::PrivatePostgres,
    store::{
        Address, Store,
        diagnosis::{Access, Partitions},
        error::StoreError,
    },
    telemetry::chain,
};

/// Two that are open at once tell whether a pooler shares them.
const CONNECTIONS: usize = 3;
/// Jobs that failed longer ago are history.
const FAILED_JOBS_DAYS: u64 = 7;
const MEBIBYTE: i64 = 1024 * 1024;
const SCHEMA: &str = "schema";

/// What is found, and the last revision that the database has.
pub(super) async fn examine(args: &ServeArgs) -> (Option<i64>, Vec<Finding>) {
    let store = match store(&args.database) {
        Ok(store) => store,
        Err(finding) => return (None, vec![*finding]),
    };
    let mut findings = Vec::new();
    if !server(&store, &mut findings).await {
        return (None, findings);
    }
    let has_schema = schema(&store, args, &mut findings).await;
    if has_schema {
        findings.push(pepper(&store, args).await);
    }
    findings.extend(connections(&store, args).await);
    if !has_schema {
        return (None, findings);
    }
    findings.push(decision_log(&store).await);
    findings.push(jobs(&store).await);
    let revision = match store.last_revision().await {
        Ok(revision) => Some(revision),
        Err(error) => {
            findings.push(refused("change log", &error));
            None
        }
    };
    (revision, findings)
}

/// A statement that was refused.
pub(super) fn refused(check: &'static str, error: &StoreError) -> Finding {
    Finding::failure(check, chain(error), "see the rights of the role, and PostgreSQL's log")
}

/// The database that a server with these settings would use. Starts none.
fn store(args: &DatabaseArgs) -> Result<Store, Box<Finding>> {
    const CHECK: &str = "database";
    let invalid = |invalid: InvalidSetting| {
        Box::new(Finding::failure(CHECK, chain(&invalid), "mend this setting"))
    };
    let unusable = |why: String| Box::new(Finding::failure(CHECK, why, "mend this setting"));
    let address = if let Some(DatabaseUrl { config, tls }) = args.url().map_err(invalid)? {
        Address { config, tls }
    } else {
        let folder = args.folder().map_err(invalid)?;
        let Some(connection) = PrivatePostgres::attach(&folder) else {
            let found = format!(
                "no database URL is given, and no private PostgreSQL runs in {}",
                folder.display()
            );
            let help = "start `keyward serve`, or give --database-url (DATABASE_URL)";
            return Err(Box::new(Finding::failure(CHECK, found, help)));
        };
        let mut config: Config =
            connection.url().parse().map_err(|error| unusable(chain(&error)))?;
        config.ssl_mode(SslMode::Disable);
        Address { config, tls: None }
    };
    Store::new(&address, CONNECTIONS).map_err(|error| unusable(chain(&error)))
}

/// Whether it answers, and is new enough; its clock.
async fn server(store: &Store, findings: &mut Vec<Finding>) -> bool {
    let before = now();
    let facts = match store.server_facts().await {
        Ok(facts) => facts,
        Err(error) => {
            let help = "is PostgreSQL running, and may this machine and role reach it?";
            findings.push(Finding::failure("database", chain(&error), help));
            return false;
        }
    };
    let times = (before, facts.clock.micros(), now());
    if let Err(error) = store.check_version().await {
        findings.push(Finding::failure("database", chain(&error), "upgrade PostgreSQL"));
        return false;
    }
    let found = format!("PostgreSQL {}, as role {}", facts.version, facts.role);
    findings.push(if facts.read_only {
        let help = "give the URL of the primary, or unset default_transaction_read_only";
        Finding::failure("database", format!("{found}, which is read-only"), help)
    } else {
        Finding::fine("database", found)
    });
    findings.push(clocks("database clock", "the database's", times));
    true
}

/// What can be seen of the schema.
#[derive(Debug)]
pub(super) enum Schema {
    /// There is none yet.
    Absent,
    /// Our role may not look into it.
    Closed,
    /// It is there; whether it is this version's.
    There(Result<(), StoreError>),
}

/// Whether the schema is as this version needs it; what our role may do with it.
async fn schema(store: &Store, args: &ServeArgs, findings: &mut Vec<Finding>) -> bool {
    let schema = match store.schema_access().await {
        Ok(Access::Absent) => Schema::Absent,
        Ok(Access::Closed) => Schema::Closed,
        Ok(Access::Open) => Schema::There(store.check_schema().await),
        Err(error) => {
            findings.push(refused(SCHEMA, &error));
            return false;
        }
    };
    findings.extend(role::examine(store, args, &schema).await);
    let found = match &schema {
        // the role's lack is told
        Schema::Closed => return false,
        Schema::Absent => missing(args, "is not there yet".to_owned()),
        Schema::There(Ok(())) => Finding::fine(SCHEMA, "is this version's"),
        Schema::There(Err(error)) => schema_fault(error, args),
    };
    findings.push(found);
    matches!(schema, Schema::There(Ok(())))
}

fn schema_fault(error: &StoreError, args: &ServeArgs) -> Finding {
    match error {
        StoreError::MissingMigrations(_) => missing(args, chain(error)),
        StoreError::Schema(_) => {
            let help = "use the version of keyward that this database is for";
            Finding::failure(SCHEMA, chain(error), help)
        }
        error => refused(SCHEMA, error),
    }
}

/// What the next server makes, unless it must not.
fn missing(args: &ServeArgs, found: String) -> Finding {
    if args.no_migrate {
        let help = "run `keyward migrate`, as --no-migrate (KEYWARD_NO_MIGRATE) is set";
        return Finding::failure(SCHEMA, found, help);
    }
    Finding::warning(SCHEMA, found, "`keyward serve` migrates it when it starts")
}

async fn pepper(store: &Store, args: &ServeArgs) -> Finding {
    const CHECK: &str = "pepper";
    let given = match given_peppers(args) {
        Ok(Some(given)) => given,
        Ok(None) => {
            let invalid = chain(&InvalidSetting::NoPepper);
            return Finding::failure(CHECK, invalid, "give the pepper of this database");
        }
        Err(why) => return Finding::failure(CHECK, why, "mend this setting"),
    };
    let id = given.current().id();
    let missing = "give it by KEYWARD_PEPPER_FILE, or by KEYWARD_OTHER_PEPPER_FILES while another one takes its place";
    match store.check_peppers(&given).await {
        Ok(true) => Finding::fine(CHECK, format!("{id} is current; none is missing")),
        Ok(false) => Finding::fine(CHECK, format!("{id} is given; the first server settles it")),
        Err(error @ StoreError::MissingPepper { .. }) => {
            Finding::failure(CHECK, chain(&error), missing)
        }
        Err(error @ StoreError::RetiredPepper { .. }) => {
            let help = "`keyward pepper status` shows the one that keys move to";
            Finding::failure(CHECK, chain(&error), help)
        }
        Err(error) => refused(CHECK, &error),
    }
}

/// The peppers of the settings, or of the private PostgreSQL's folder.
fn given_peppers(args: &ServeArgs) -> Result<Option<Arc<Peppers>>, String> {
    let given = args.secret.pepper().map_err(|invalid| chain(&invalid))?;
    let others = args.secret.other_peppers().map_err(|invalid| chain(&invalid))?;
    let is_private = args.database.url().is_ok_and(|url| url.is_none());
    if given.is_some() || !is_private {
        return together(given, others).map_err(|invalid| chain(&invalid));
    }
    let folder = args.database.folder().map_err(|invalid| chain(&invalid))?;
    peppers_in(&folder, others).map_err(|error| chain(&error))
}

/// Whether a pooler stands between, and whether changes are told at once.
async fn connections(store: &Store, args: &ServeArgs) -> Vec<Finding> {
    let pooled = match store.shares_connections().await {
        Ok(true) => Finding::fine(
            "pooler",
            "connections are shared by turns, as by PgBouncer in transaction mode, which works",
        ),
        Ok(false) => Finding::fine("pooler", "none that shares connections is in between"),
        Err(error) => refused("pooler", &error),
    };
    let interval = args.poll_interval;
    let notified = match store.is_notified().await {
        Ok(true) => Finding::fine("notifications", "LISTEN works: changes are followed at once"),
        Ok(false) => Finding::warning(
            "notifications",
            format!("LISTEN does not work: changes are found every {interval:?}"),
            "a pooler in transaction mode swallows notifications; connect to PostgreSQL itself, or \
             set a shorter --poll-interval (KEYWARD_POLL_INTERVAL)",
        ),
        Err(error) => refused("notifications", &error),
    };
    vec![pooled, notified]
}

async fn decision_log(store: &Store) -> Finding {
    const CHECK: &str = "decision log";
    let Partitions { count, bytes, first, coming } = match store.partitions().await {
        Ok(partitions) => partitions,
        Err(error) => return refused(CHECK, &error),
    };
    if count == 0 {
        return Finding::fine(CHECK, "has no days yet; the first server makes them");
    }
    let mebibytes = bytes / MEBIBYTE;
    let first = first.trim_start_matches("decision_");
    let found = format!("{count} day(s) since {first}, {mebibytes} MiB");
    if coming < 2 {
        let help = "a running server makes today's and tomorrow's partitions; look at its log";
        return Finding::warning(CHECK, format!("{found}; a day to come is missing"), help);
    }
    Finding::fine(CHECK, found)
}

async fn jobs(store: &Store) -> Finding {
    const CHECK: &str = "jobs";
    let filter = JobFilter {
        kind: None,
        state: Some(JobState::Failed),
        created_by: None,
        after: None,
        size: PageSize::DEFAULT,
    };
    let failed = match store.list_jobs(&filter).await {
        Ok(page) => page.jobs,
        Err(error) => return refused(CHECK, &error),
    };
    let since = std::time::Duration::from_secs(FAILED_JOBS_DAYS * 24 * 60 * 60);
    let since: Timestamp = now().before(since);
    let recent: Vec<&Job> = failed.iter().filter(|job| job.create_time >= since).collect();
    let Some(last) = recent.first() else {
        return Finding::fine(CHECK, format!("none failed within {FAILED_JOBS_DAYS} days"));
    };
    let why = last.error.as_deref().unwrap_or("no reason is known");
    Finding::warning(
        CHECK,
        format!("{} failed within {FAILED_JOBS_DAYS} days, {} last: {why}", recent.len(), last.id),
        format!("`keyward jobs show {}` tells more", last.id),
    )
}
