//! The commands that do one thing and end.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, anyhow};
use ring::rand::SystemRandom;

use crate::{
    admin::{
        Admin,
        bootstrap::{When, make_root_key},
    },
    app::{
        banner,
        database::{Database, Lifetime, Needs},
    },
    clock,
    config::{BootstrapArgs, DatabaseArgs, MigrateArgs},
    model::time::Timestamp,
    store::Store,
};

/// Runs `keyward migrate`.
pub fn migrate(args: &MigrateArgs) -> anyhow::Result<()> {
    let database = Database::open(&args.database, Needs::NoPepper, Lifetime::Command)?;
    let result = run(async {
        let store = store(&database, &args.database)?;
        store.check_version().await?;
        let migrated = store.migrate().await?;
        banner::say(&format!(
            "The schema is at version {}; {} migration(s) applied.",
            migrated.version, migrated.applied
        ))?;
        anyhow::Ok(())
    });
    close(database);
    result
}

/// Runs `keyward bootstrap`.
pub fn bootstrap(args: &BootstrapArgs) -> anyhow::Result<()> {
    let database = Database::open(&args.database, Needs::Pepper(&args.secret), Lifetime::Command)?;
    let result = run(async {
        let store = store(&database, &args.database)?;
        store.check_version().await?;
        store.check_schema().await?;
        let peppers = database.peppers.clone().ok_or_else(|| anyhow!("no pepper"))?;
        store.recognise_peppers(&peppers).await?;
        let admin = Admin {
            store,
            peppers,
            brand: args.secret.brand.clone(),
            random: SystemRandom::new(),
            logins: Arc::default(),
        };
        let made = make_root_key(&admin, When::Always, clock::wall()).await?;
        let made = made.context("no key was made")?;
        banner::show_root_key(&made, None)?;
        Ok(())
    });
    close(database);
    result
}

pub(super) fn store(database: &Database, args: &DatabaseArgs) -> anyhow::Result<Store> {
    Ok(Store::new(&database.address, args.database_connections.get())?)
}

/// Does work with a database whose schema is this version's, and that needs no pepper.
pub(super) fn run_with_store(
    args: &DatabaseArgs,
    work: impl AsyncFnOnce(Store) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let database = Database::open(args, Needs::NoPepper, Lifetime::Command)?;
    let result = run(async {
        let store = store(&database, args)?;
        store.check_version().await?;
        store.check_schema().await?;
        work(store).await
    });
    close(database);
    result
}

/// A time as people and programs read it (RFC 3339).
pub(super) fn shown(time: Timestamp) -> String {
    let since_1970 = Duration::from_micros(u64::try_from(time.micros()).unwrap_or(0));
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + since_1970).to_string()
}

pub(super) fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

pub(super) fn close(database: Database) {
    if let Some(private) = database.private {
        private.stop();
    }
}
