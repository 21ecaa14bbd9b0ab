//! Where the values of metrics come from.

use std::{fs, sync::Arc};

use rustix::process::{Resource, getrlimit};

use crate::{
    clock,
    config::tls::Listeners,
    journal::Journal,
    limiter::{Limiter, Sharing, shared::Shared},
    metrics::{
        Calls, Counted, Decisions, Flushing, Following, Gathering, Noticing, PepperCounts,
        Registry, Source, Working, number, table,
    },
    model::time::Now,
    replica::Replica,
    rotation::Upgrades,
    rpc::counted,
    store::Store,
    telemetry::trace::Tracer,
    usage::Ledger,
};

/// Where this process counts.
#[derive(Clone, Debug)]
pub struct Meters {
    /// Who knows what.
    pub registry: Arc<Registry>,
    /// Of deciding threads.
    pub decisions: Decisions,
    /// Of the admin listener.
    pub calls: Arc<Calls>,
    /// Of the follower of the change log.
    pub following: Arc<Following>,
    /// Of the flush of last uses.
    pub usage_flush: Arc<Flushing>,
    /// Of the flush of quotas.
    pub quota_flush: Arc<Flushing>,
    /// Of jobs.
    pub working: Arc<Working>,
    /// Of notices.
    pub noticing: Arc<Noticing>,
    /// What was counted in the database.
    pub counted: Arc<Counted>,
    /// Of the flush of new digests.
    pub pepper_flush: Arc<Flushing>,
    /// How many secrets each pepper has.
    pub peppers: Arc<PepperCounts>,
    /// Of what a collector gets of metrics.
    pub otlp_metrics: Arc<Flushing>,
    /// Of what it gets of spans.
    pub otlp_spans: Arc<Flushing>,
}

impl Meters {
    /// Nothing is counted yet; what counts by itself is added to the registry.
    pub fn new(begun: Now) -> Self {
        let meters = Self {
            registry: Arc::default(),
            decisions: Decisions::default(),
            calls: Arc::new(Calls::new(counted::rpcs())),
            following: Arc::default(),
            usage_flush: Arc::new(Flushing::of("usage")),
            quota_flush: Arc::new(Flushing::of("quota")),
            working: Arc::default(),
            noticing: Arc::default(),
            counted: Arc::default(),
            pepper_flush: Arc::new(Flushing::of("peppers")),
            peppers: Arc::default(),
            otlp_metrics: Arc::new(Flushing::of("otlp_metrics")),
            otlp_spans: Arc::new(Flushing::of("otlp_spans")),
        };
        let registry = &meters.registry;
        registry.add(meters.decisions.clone());
        registry.add(of(&meters.calls));
        registry.add(of(&meters.following));
        registry.add(of(&meters.usage_flush));
        registry.add(of(&meters.quota_flush));
        registry.add(of(&meters.working));
        registry.add(of(&meters.noticing));
        registry.add(of(&meters.counted));
        registry.add(of(&meters.pepper_flush));
        registry.add(of(&meters.peppers));
        registry.add(move |to: &mut Gathering| process(begun, to));
        meters
    }

    /// Adds what a collector gets, which is only told if there is one.
    pub fn add_collector(&self, tracer: &Tracer) {
        self.registry.add(of(&self.otlp_metrics));
        self.registry.add(of(&self.otlp_spans));
        let tracer = tracer.clone();
        self.registry.add(move |to: &mut Gathering| {
            let (waiting, dropped) = tracer.queue();
            to.add(&table::QUEUE_LENGTH, &["otlp_spans"], length(waiting));
            to.add(&table::QUEUE_DROPPED, &["otlp_spans"], number(dropped));
        });
    }

    /// Adds the certificates of listeners that have one.
    pub fn add_certificates(&self, listeners: &Listeners) {
        let Listeners { authorize, admin, http } = listeners.clone();
        self.registry.add(move |to: &mut Gathering| {
            for (listener, tls) in [("authorize", &authorize), ("admin", &admin), ("http", &http)] {
                if let Some(tls) = tls {
                    let micros = u64::try_from(tls.expire_time().micros()).unwrap_or(0);
                    to.add(&table::CERTIFICATE_EXPIRY, &[listener], number(micros) / 1e6);
                }
            }
        });
    }

    /// Adds what the rooms know by themselves.
    pub fn add_rooms(&self, rooms: Rooms, begun: Now) {
        self.registry.add(move |to: &mut Gathering| {
            replica(&rooms.replica, begun, to);
            queues(&rooms.ledger, &rooms.limiter, &rooms.journal, to);
            to.add(&table::QUEUE_LENGTH, &["peppers"], length(rooms.upgrades.waiting()));
            to.add(&table::QUEUE_DROPPED, &["peppers"], number(rooms.upgrades.dropped()));
            pool(&rooms.store, to);
            limits(&rooms.limiter, rooms.shared.as_deref(), to);
        });
    }
}

/// What knows values by itself.
#[derive(Debug)]
pub struct Rooms {
    /// The keys.
    pub replica: Arc<Replica>,
    /// The uses.
    pub ledger: Arc<Ledger>,
    /// Keys that get other digests.
    pub upgrades: Arc<Upgrades>,
    /// The limits.
    pub limiter: Arc<Limiter>,
    /// The decision log.
    pub journal: Arc<Journal>,
    /// What shares limits.
    pub shared: Option<Arc<Shared>>,
    /// The database.
    pub store: Store,
}

/// A source that others write to.
fn of<S: Source + 'static>(source: &Arc<S>) -> impl Source + 'static {
    let source = Arc::clone(source);
    move |to: &mut Gathering| source.tell(to)
}

/// A length as metrics have it.
fn length(length: usize) -> f64 {
    number(u64::try_from(length).unwrap_or(u64::MAX))
}

fn replica(replica: &Replica, begun: Now, to: &mut Gathering) {
    let now = to.now.boot;
    let ready = replica.knowledge(now, 0).is_ok();
    to.add(&table::READY, &[], f64::from(u8::from(ready)));
    to.add(&table::REVISION, &[], number(u64::try_from(replica.revision()).unwrap_or(0)));
    let age = replica.contact_age(now).unwrap_or_else(|| now.since(begun.boot));
    to.add(&table::CONTACT_AGE, &[], age.as_secs_f64());
    to.add(&table::KEYS, &[], length(replica.secrets()));
    to.add(&table::PEPPER_LACKING, &[], length(replica.lacking()));
}

fn queues(ledger: &Ledger, limiter: &Limiter, journal: &Journal, to: &mut Gathering) {
    to.add(&table::QUEUE_LENGTH, &["decisions"], length(journal.backlog()));
    to.add(&table::QUEUE_DROPPED, &["decisions"], number(journal.dropped()));
    to.add(&table::QUEUE_LENGTH, &["usage"], length(ledger.waiting()));
    to.add(&table::QUEUE_DROPPED, &["usage"], number(ledger.dropped()));
    to.add(&table::QUEUE_LENGTH, &["quota"], length(limiter.waiting()));
}

fn pool(store: &Store, to: &mut Gathering) {
    let pool = store.pool();
    let used = pool.size.saturating_sub(pool.available);
    to.add(&table::DATABASE_CONNECTIONS, &["used"], length(used));
    to.add(&table::DATABASE_CONNECTIONS, &["idle"], length(pool.available));
    to.add(&table::DATABASE_CONNECTIONS_MAX, &[], length(pool.max_size));
    to.add(&table::DATABASE_WAITING, &[], length(pool.waiting));
}

fn limits(limiter: &Limiter, shared: Option<&Shared>, to: &mut Gathering) {
    let mode = match limiter.sharing {
        Sharing::Local => "local",
        Sharing::Fast => "fast",
        Sharing::Exact => "exact",
    };
    to.add_state(&table::SHARING, &["local", "fast", "exact"], mode);
    to.add(&table::REPLICAS, &[], f64::from(limiter.replicas()));
    if let Some(shared) = shared {
        to.add(&table::REDIS_UP, &[], f64::from(u8::from(!limiter.is_degraded())));
        to.add(&table::SYNC_AGE, &[], shared.syncing.age(to.now).as_secs_f64());
    }
}

/// What the kernel knows of this process. What it does not say is left out.
fn process(begun: Now, to: &mut Gathering) {
    to.add(&table::BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
    to.add(&table::CPU, &[], clock::processor().as_secs_f64());
    if let Some(bytes) = resident_bytes() {
        to.add(&table::MEMORY, &[], number(bytes));
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        // the one that reads them is not open any more
        to.add(&table::FILES, &[], length(files.count().saturating_sub(1)));
    }
    if let Some(files) = getrlimit(Resource::Nofile).current {
        to.add(&table::FILES_MAX, &[], number(files));
    }
    let micros = u64::try_from(begun.wall.micros()).unwrap_or(0);
    to.add(&table::START, &[], number(micros) / 1e6);
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}
