//! What serves and what runs beside it, before anything runs.

use std::sync::Arc;

use anyhow::anyhow;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Notify, watch};
use tonic_health::server::HealthReporter;

use crate::{
    admin::{Admin, jobs::runner::Runner, noting},
    app::{
        collector::Collector,
        database::Database,
        meters::{Meters, Rooms},
        planes::Services,
    },
    authorize::Hot,
    clock,
    config::ServeArgs,
    journal::{Journal, flush::JournalFlush},
    limiter::{Limiter, failures::Failures, flush::QuotaFlush, shared::Shared},
    model::pepper::Peppers,
    replica::{Replica, follow::Follower},
    rotation::flush::Rotation,
    rpc::{
        health,
        reached::Reached,
        scrape::{Gatherer, Scraper},
    },
    store::Store,
    tasks::Tasks,
    usage::{self, Ledger, flush::CountFlush},
};

/// What serves and what runs beside it.
pub(super) struct Parts {
    pub(super) replica: Arc<Replica>,
    pub(super) health: HealthReporter,
    pub(super) services: Services,
    pub(super) gatherer: Gatherer,
    pub(super) meters: Meters,
    pub(super) collector: Option<Collector>,
    pub(super) background: Background,
}

/// What runs once the database can be used.
pub(super) struct Background {
    admin: Arc<Admin>,
    follower: Follower,
    ledger: Arc<Ledger>,
    meters: Meters,
    quotas: QuotaFlush,
    counts: CountFlush,
    journal: JournalFlush,
    runner: Runner,
    rotation: Rotation,
}

impl Background {
    /// Starts all of it.
    pub(super) fn start(self, args: &ServeArgs, tasks: &Tasks) {
        let (store, stop) = (self.admin.store.clone(), tasks.stop());
        let logins = Arc::clone(&self.admin.logins);
        tasks.vital("failed logins", noting::run(store.clone(), logins, stop.clone()));
        tasks.vital("follower", self.follower.run(stop.clone()));
        tasks.vital("peppers", self.rotation.run(stop.clone()));
        tasks.vital("jobs", self.runner.run(stop.clone()));
        let quota_interval = args.limits.quota_flush_interval;
        tasks.vital("quotas", self.quotas.run(quota_interval, stop.clone()));
        tasks.vital("decision log", self.journal.run(stop.clone()));
        let uses = (self.ledger, Arc::clone(&self.meters.usage_flush));
        let interval = args.usage_flush_interval;
        let flush = usage::flush::run((store, uses), self.counts, interval, stop.clone());
        tasks.vital("flush", flush);
    }
}

/// Builds all of it. Nothing runs yet.
pub(super) async fn build(args: &ServeArgs, database: &Database) -> anyhow::Result<Parts> {
    let peppers = database.peppers.clone().ok_or_else(|| anyhow!("no pepper"))?;
    let store = Store::new(&database.address, args.database.database_connections.get())?;
    let (replica, mut applier) = Replica::new(args.max_staleness);
    applier.has_peppers(peppers.ids());
    let ledger = Arc::new(Ledger::new(args.decisions.address_detail()));
    let begun = clock::now();
    let meters = Meters::new(begun);
    let rotation = rotation((&store, peppers), &replica, &meters);
    let boot = replica_id()?;
    let (limiter, shared, quotas) = limits(args, &store, (&boot, &meters))?;
    let counts = CountFlush::new(boot, args.decisions.usage_retention);
    let journal = journal(args, &store);
    let rooms = Rooms {
        journal: Arc::clone(&journal.journal),
        replica: Arc::clone(&replica),
        ledger: Arc::clone(&ledger),
        upgrades: Arc::clone(&rotation.upgrades),
        limiter: Arc::clone(&limiter),
        shared: shared.clone(),
        store: store.clone(),
    };
    meters.add_rooms(rooms, begun);
    let collector = Collector::of(&args.telemetry, &meters, begun);
    let tracer = collector.as_ref().map(|collector| collector.tracer.clone());
    let (scraper, gatherer) = Scraper::new(Arc::clone(&meters.registry));
    let hot = Hot {
        replica: Arc::clone(&replica),
        ledger: Arc::clone(&ledger),
        peppers: Arc::clone(&rotation.peppers),
        upgrades: Arc::clone(&rotation.upgrades),
        brand: args.secret.brand.clone(),
        limiter,
    };
    let admin = admin(args, &store, &rotation);
    let ((reached, reached_now), nudge) = (watch::channel(0), Arc::new(Notify::new()));
    let health = health::not_serving().await;
    let services = Services {
        hot: Arc::new(hot),
        admin: Arc::clone(&admin),
        shared,
        reached: Reached { revision: reached_now, nudge: Arc::clone(&nudge) },
        health: health.clone(),
        journal: Arc::clone(&journal.journal),
        tail: Arc::clone(&journal.tail),
        meters: meters.clone(),
        scraper,
        tracer,
    };
    let (poll_interval, following) = (args.poll_interval, Arc::clone(&meters.following));
    let background = Background {
        rotation,
        follower: Follower { store, applier, poll_interval, nudge, reached, following },
        runner: Runner {
            admin: Arc::clone(&admin),
            replica: replica_id()?,
            change_log_retention: args.jobs.change_log_retention,
            working: Arc::clone(&meters.working),
        },
        meters: meters.clone(),
        admin,
        ledger,
        quotas,
        counts,
        journal,
    };
    Ok(Parts { replica, health, services, gatherer, meters, collector, background })
}

/// What moves keys to the current pepper.
fn rotation(
    (store, peppers): (&Store, Arc<Peppers>),
    replica: &Arc<Replica>,
    meters: &Meters,
) -> Rotation {
    Rotation {
        store: store.clone(),
        peppers,
        upgrades: Arc::default(),
        replica: Arc::clone(replica),
        flushing: Arc::clone(&meters.pepper_flush),
        counts: Arc::clone(&meters.peppers),
    }
}

/// What operators' calls are done with.
fn admin(args: &ServeArgs, store: &Store, rotation: &Rotation) -> Arc<Admin> {
    Arc::new(Admin {
        store: store.clone(),
        peppers: Arc::clone(&rotation.peppers),
        brand: args.secret.brand.clone(),
        random: SystemRandom::new(),
        logins: Arc::default(),
    })
}

/// What keeps the decision log.
fn journal(args: &ServeArgs, store: &Store) -> JournalFlush {
    JournalFlush {
        store: store.clone(),
        journal: Arc::new(Journal::new(args.decisions.selection(), args.decisions.mask())),
        tail: Arc::default(),
        retention: args.decisions.decision_log_retention,
    }
}

/// What enforces limits, what shares them with other replicas, and what stores quotas.
fn limits(
    args: &ServeArgs,
    store: &Store,
    (replica, meters): (&str, &Meters),
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
    let flushing = Arc::clone(&meters.quota_flush);
    let quotas = QuotaFlush::new(store.clone(), Arc::clone(&limiter), replica.to_owned(), flushing);
    Ok((limiter, shared, quotas))
}

/// Tells this run of this process from all others.
pub(super) fn replica_id() -> anyhow::Result<String> {
    let mut random = [0; 16];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|ring::error::Unspecified| anyhow!("the system has no randomness"))?;
    Ok(format!("{:032x}", u128::from_be_bytes(random)))
}
