//! The service as a whole: what is built, what starts when, and in which order it ends.
//!
//! Start: listeners (answering "not ready") → database → schema → pepper → follower and flush → all
//! keys loaded → serving. End: not serving → stop accepting → open requests finish → follower and
//! flush end, the last uses are stored → database.

pub mod audit;
pub mod banner;
mod collector;
pub mod commands;
pub mod database;
pub mod doctor;
pub mod envoy;
mod levels;
pub mod meters;
mod notices;
mod parts;
pub mod peppers;
pub mod planes;

use std::{convert::Infallible, future::pending, sync::Arc, thread, time::Duration};

use anyhow::{Context, anyhow};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::sleep,
};
use tracing::{error, info, warn};

use crate::{
    admin::{
        Admin, AdminError,
        bootstrap::{When, make_root_key},
    },
    app::{
        banner::Addresses,
        database::{Database, Lifetime, Needs, Private},
        notices::Notices,
        parts::{Parts, build, replica_id},
        planes::Planes,
    },
    clock,
    config::{ServeArgs, notices::Receiver, tls::Listeners},
    rpc::health::{self, Departure},
    store::{Store, error::StoreError},
    tasks::Tasks,
    telemetry::{Levels, chain},
    tls::{outgoing::OutgoingTls, reload::Reload},
};

/// What runs beside decisions: store, follower, flush, admin.
const CONTROL_THREADS: usize = 2;
const CONNECT_AGAIN_AFTER_MIN: Duration = Duration::from_millis(200);
const CONNECT_AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);
/// The follower ends at once; the last flush has a limit of its own.
const TASKS_END_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves until a signal, or until something that must go on does not. What is logged can be changed
/// through `levels`.
pub fn serve(args: &ServeArgs, levels: Levels) -> anyhow::Result<()> {
    args.check()?;
    // before anything is started, so that a port that is taken costs nothing
    let listeners = planes::Listeners::bind(args)?;
    let lifetime = if args.ephemeral { Lifetime::Ephemeral } else { Lifetime::Service };
    let receiver = args.notices.receiver()?;
    let mut database = Database::open(&args.database, Needs::Pepper(&args.secret), lifetime)?;
    if database.private.is_some() && !args.ephemeral {
        warn!("using a private PostgreSQL on this machine; set DATABASE_URL for production");
    }
    let gone = watch_private(database.private.as_ref());
    let control = control_runtime()?;
    let result = control.block_on(run(args, levels, (listeners, &database, receiver), gone));
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

/// What looks at the files of TLS again.
fn reload(
    args: &ServeArgs,
    tls: &Listeners,
    outgoing: [Option<&Arc<OutgoingTls>>; 2],
) -> anyhow::Result<Reload> {
    let mut reloading = tls.reloading();
    for outgoing in outgoing.into_iter().flatten().filter(|tls| tls.has_files()) {
        reloading.push(Arc::<OutgoingTls>::clone(outgoing));
    }
    Ok(Reload::new(reloading, args.tls.tls_reload_interval)?)
}

async fn run(
    args: &ServeArgs,
    levels: Levels,
    (listeners, database, receiver): (planes::Listeners, &Database, Option<Receiver>),
    gone: impl Future<Output = String>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let of_receiver = receiver.as_ref().and_then(|receiver| receiver.tls.as_ref());
    let outgoing = [database.address.tls.as_ref(), of_receiver];
    let reload = reload(args, listeners.tls(), outgoing)?;
    let (tasks, mut deaths) = Tasks::new();
    let Parts { replica, health, services, gatherer, meters, collector, background } =
        build(args, database).await?;
    meters.add_certificates(listeners.tls());
    let admin = Arc::clone(&services.admin);
    let own = (admin.store.clone(), replica_id()?);
    let notices = Notices::new(&args.notices, receiver, own, &meters);
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
    tasks.vital("metrics", gatherer.run(tasks.stop().clone()));
    if let Some(file) = args.telemetry.level_file() {
        let stop = tasks.stop().clone();
        tasks.vital("log levels", async move { levels::follow(&levels, file, stop).await });
    }
    if let Some(collector) = collector {
        collector.run(&meters, &tasks);
    }
    tasks.vital("health", health::watch(health, replica, departure.clone()));
    if let Some(shared) = shared {
        tasks.vital("limit sharing", shared.run(tasks.stop().clone()));
    }
    let start = async {
        let private = database.private.as_ref().map(|_| addresses);
        prepare(args, &admin, private).await?;
        background.start(args, &tasks);
        notices.start(&tasks);
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
    for pepper in admin.store.recognise_peppers(&admin.peppers).await? {
        warn!(%pepper, "a retired pepper is still given; take its file away");
    }
    info!(
        current = %admin.peppers.current().id(),
        others = admin.peppers.others().len(),
        "recognised the peppers"
    );
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
