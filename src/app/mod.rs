//! The service as a whole: what is built, what starts when, and in which order it ends.
//!
//! Start: listeners (answering "not ready") → database → schema → pepper → follower and flush → all
//! keys loaded → serving. End: not serving → stop accepting → open requests finish → follower and
//! flush end, the last uses are stored → database.

pub mod audit;
pub mod banner;
pub mod commands;
pub mod database;
pub mod envoy;
pub mod planes;

use std::{convert::Infallible, future::pending, sync::Arc, thread, time::Duration};

use anyhow::{Context, anyhow};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::{Notify, oneshot, watch},
    time::sleep,
};
use tonic_health::server::HealthReporter;
use tracing::{error, info, warn};

use crate::{
    admin::{
        Admin, AdminError,
        bootstrap::{When, make_root_key},
        jobs::runner::Runner,
        noting,
    },
    app::{
        banner::Addresses,
        database::{Database, Lifetime, Needs, Private},
        planes::Planes,
    },
    authorize::Hot,
    clock,
    config::{InvalidSetting, ServeArgs, tls::Listeners},
    journal::{Journal, flush::JournalFlush},
    limiter::{Limiter, failures::Failures, flush::QuotaFlush, shared::Shared},
    replica::{Replica, follow::Follower},
    rpc::{
        health::{self, Departure},
        reached::Reached,
    },
    store::{Store, error::StoreError},
    tasks::Tasks,
    telemetry::chain,
    tls::{outgoing::OutgoingTls, reload::Reload},
    usage::{self, Ledger, flush::CountFlush},
};

/// What runs beside decisions: store, follower, flush, admin.
const CONTROL_THREADS: usize = 2;
const CONNECT_AGAIN_AFTER_MIN: Duration = Duration::from_millis(200);
const CONNECT_AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);
/// The follower ends at once; the last flush has a limit of its own.
const TASKS_END_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves until a signal, or until something that must go on does not.
pub fn serve(args: &ServeArgs) -> anyhow::Result<()> {
    args.check()?;
    if args.require_database_url && args.database.url()?.is_none() {
        return Err(InvalidSetting::NoDatabaseUrl.into());
    }
    // before anything is started, so that a port that is taken costs nothing
    let listeners = planes::Listeners::bind(args)?;
    let lifetime = if args.ephemeral { Lifetime::Ephemeral } else { Lifetime::Service };
    let mut database = Database::open(&args.database, Needs::Pepper(&args.secret), lifetime)?;
    if database.private.is_some() && !args.ephemeral {
        warn!("using a private PostgreSQL on this machine; set DATABASE_URL for production");
    }
    let gone = watch_private(database.private.as_ref());
    let control = control_runtime()?;
    let result = control.block_on(run(args, listeners, &database, gone));
    control.shutdown_timeout(Duration::from_secs(1));
    if let Some(private) = database.private.take() {
        private.stop();
    }
    result
}

fn control_runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
        .context("cannot start threads")
}

/// Ends, with the reason, when the private server ends by itself.
fn watch_private(private: Option<&Private>) -> impl Future<Output = String> + use<> {
    let gone = private.map(|private| {
        let (tell, gone) = oneshot::channel();
        let server = Arc::clone(&private.server);
        // ends when the server does, which is before this process
        let _detached = thread::spawn(move || drop(tell.send(server.wait_exit().to_string())));
        gone
    });
    async {
        match gone {
            Some(gone) => gone.await.unwrap_or_default(),
            None => pending().await,
        }
    }
}

/// What serves and what runs beside it, before anything runs.
struct Parts {
    replica: Arc<Replica>,
    follower: Follower,
    ledger: Arc<Ledger>,
    health: HealthReporter,
    services: planes::Services,
    quotas: QuotaFlush,
    counts: CountFlush,
    journal: JournalFlush,
}

async fn build(args: &ServeArgs, database: &Database) -> anyhow::Result<Parts> {
    let pepper = database.pepper.clone().ok_or_else(|| anyhow!("no pepper"))?;
    let store = Store::new(&database.address, args.database.database_connections.get())?;
    let (replica, applier) = Replica::new(args.max_staleness);
    let ledger = Arc::new(Ledger::default());
    let boot = replica_id()?;
    let (limiter, shared, quotas) = limits(args, &store, &boot)?;
    let counts = CountFlush::new(boot, args.decisions.usage_retention);
    let hot = Arc::new(Hot {
        replica: Arc::clone(&replica),
        ledger: Arc::clone(&ledger),
        pepper: Arc::clone(&pepper),
        brand: args.secret.brand.clone(),
        limiter,
    });
    let admin = Arc::new(Admin {
        store: store.clone(),
        pepper,
        brand: args.secret.brand.clone(),
        random: SystemRandom::new(),
        logins: Arc::default(),
    });
    let (reached, reached_now) = watch::channel(0);
    let nudge = Arc::new(Notify::new());
    let health = health::not_serving().await;
    let journal = JournalFlush {
        store: store.clone(),
        journal: Arc::new(Journal::new(args.decisions.selection(), args.decisions.mask())),
        tail: Arc::default(),
        retention: args.decisions.decision_log_retention,
    };
    let services = planes::Services {
        hot,
        admin,
        shared,
        reached: Reached { revision: reached_now, nudge: Arc::clone(&nudge) },
        health: health.clone(),
        journal: Arc::clone(&journal.journal),
        tail: Arc::clone(&journal.tail),
    };
    let poll_interval = args.poll_interval;
    let follower = Follower { store, applier, poll_interval, nudge, reached };
    Ok(Parts { replica, follower, ledger, health, services, quotas, counts, journal })
}

/// What enforces limits, what shares them with other replicas, and what stores quotas.
fn limits(
    args: &ServeArgs,
    store: &Store,
    replica: &str,
) -> anyhow::Result<(Arc<Limiter>, Option<Arc<Shared>>, QuotaFlush)> {
    let limits = &args.limits;
    let (sharing, server) = limits.sharing()?;
    let failures = Failures::new(limits.failure_limit.0, limits.peer_failure_limit.0);
    let limiter = Arc::new(Limiter::new(sharing, failures, limits.replicas));
    let shared = server.map(|server| {
        let names = (limits.redis_prefix.as_str(), replica);
        let times = (limits.redis_timeout, limits.limit_sync_interval);
        Arc::new(Shared::new(Arc::clone(&limiter), server, names, times))
    });
    let quotas = QuotaFlush::new(store.clone(), Arc::clone(&limiter), replica.to_owned());
    Ok((limiter, shared, quotas))
}

/// Tells this run of this process from all others.
fn replica_id() -> anyhow::Result<String> {
    let mut random = [0; 16];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|ring::error::Unspecified| anyhow!("the system has no randomness"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}

/// What looks at the files of TLS again.
fn reload(args: &ServeArgs, tls: &Listeners, database: &Database) -> anyhow::Result<Reload> {
    let mut reloading = tls.reloading();
    if let Some(outgoing) = database.address.tls.as_ref().filter(|tls| tls.has_files()) {
        reloading.push(Arc::<OutgoingTls>::clone(outgoing));
    }
    Ok(Reload::new(reloading, args.tls.tls_reload_interval)?)
}

async fn run(
    args: &ServeArgs,
    listeners: planes::Listeners,
    database: &Database,
    gone: impl Future<Output = String>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let reload = reload(args, listeners.tls(), database)?;
    let (tasks, mut deaths) = Tasks::new();
    let Parts { replica, follower, ledger, health, services, quotas, counts, journal } =
        build(args, database).await?;
    let admin = Arc::clone(&services.admin);
    let shared = services.shared.clone();
    let addresses = listeners.addresses();
    let planes = listeners.serve(args, services, &tasks)?;
    info!(
        authorize = %addresses.authorize, authorize_tls = %addresses.tls.authorize,
        admin = %addresses.admin, admin_tls = %addresses.tls.admin,
        http = %addresses.http, http_tls = %addresses.tls.http,
        "listening"
    );
    tasks.vital("TLS reload", reload.run(tasks.stop().clone()));

    let departure = Departure::default();
    let name = replica_id()?;
    tasks.vital("health", health::watch(health, replica, departure.clone()));
    if let Some(shared) = shared {
        tasks.vital("limit sharing", shared.run(tasks.stop().clone()));
    }
    let start = async {
        let private = database.private.as_ref().map(|_| addresses);
        prepare(args, &admin, private).await?;
        let (store, stop) = (admin.store.clone(), tasks.stop());
        let logins = noting::run(store.clone(), Arc::clone(&admin.logins), stop.clone());
        tasks.vital("failed logins", logins);
        let interval = args.usage_flush_interval;
        tasks.vital("follower", follower.run(stop.clone()));
        let runner = Runner {
            admin: Arc::clone(&admin),
            replica: name,
            change_log_retention: args.jobs.change_log_retention,
        };
        tasks.vital("jobs", runner.run(stop.clone()));
        let quota_interval = args.limits.quota_flush_interval;
        tasks.vital("quotas", quotas.run(quota_interval, stop.clone()));
        tasks.vital("decision log", journal.run(stop.clone()));
        tasks.vital("flush", usage::flush::run((store, ledger), counts, interval, stop.clone()));
        anyhow::Ok(pending::<Infallible>().await)
    };
    let result = tokio::select! {
        signal = signals.next() => {
            info!(signal, "going down");
            Ok(())
        }
        failed = start => failed.map(|never| match never {}),
        Some(name) = deaths.recv() => Err(anyhow!("the task {name} ended")),
        end = gone => Err(anyhow!("the private PostgreSQL ended: {end}")),
    };
    tokio::select! {
        () = drain(args, planes, &tasks, &departure, &admin.store) => {}
        signal = signals.next() => warn!(signal, "going down at once"),
    }
    result
}

/// Gets the database ready, for as long as that takes.
async fn prepare(
    args: &ServeArgs,
    admin: &Admin,
    private: Option<Addresses>,
) -> anyhow::Result<()> {
    let mut again_after = CONNECT_AGAIN_AFTER_MIN;
    loop {
        match prepare_once(args, admin, private).await {
            Err(AdminError::Store(error @ StoreError::Unavailable(_))) => {
                warn!(error = chain(&error), "waiting for the database");
                sleep(again_after).await;
                again_after = (again_after * 2).min(CONNECT_AGAIN_AFTER_MAX);
            }
            result => return result.context("the database cannot be used"),
        }
    }
}

async fn prepare_once(
    args: &ServeArgs,
    admin: &Admin,
    private: Option<Addresses>,
) -> Result<(), AdminError> {
    admin.store.check_version().await?;
    if args.no_migrate {
        admin.store.check_schema().await?;
    } else {
        let migrated = admin.store.migrate().await?;
        if migrated.applied > 0 {
            info!(version = migrated.version, applied = migrated.applied, "migrated the schema");
        }
    }
    admin.store.recognise_pepper(&admin.pepper).await?;
    match private {
        Some(addresses) => {
            let made = make_root_key(admin, When::First, clock::wall()).await?;
            match made.map(|made| banner::show_root_key(&made, Some(addresses))) {
                Some(Ok(())) => {}
                Some(Err(failure)) => {
                    error!(%failure, "cannot show the root admin key; run `keyward bootstrap`");
                }
                None => {
                    info!("there is an admin key; if its token is lost, run `keyward bootstrap`");
                }
            }
        }
        // standard output of a service often ends in a log, where no token belongs
        None if !admin.store.admin_exists().await? => {
            warn!("there is no admin key yet; run `keyward bootstrap` to make one");
        }
        None => {}
    }
    Ok(())
}

/// Ends in order: nothing that is open is cut off before its time is over.
async fn drain(
    args: &ServeArgs,
    planes: Planes,
    tasks: &Tasks,
    departure: &Departure,
    store: &Store,
) {
    departure.announced.cancel();
    sleep(args.drain_delay).await;
    departure.begun.cancel();
    if !planes.drain(args.drain_timeout).await {
        warn!("some requests did not end in time and were cut off");
    }
    if !tasks.end(TASKS_END_TIME_MAX).await {
        warn!("some tasks did not end in time");
    }
    store.close();
    info!("ended");
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
