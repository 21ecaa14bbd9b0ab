//! The two planes: decisions, for backends and proxies, on threads of their own, one single-threaded runtime
//! each, and administration on the runtime of everything else. Nothing there can delay a decision.

use std::{future::pending, net::TcpListener, sync::Arc, thread, time::Duration};

use anyhow::Context;
use ring::rand::SystemRandom;
use tokio::{runtime::Builder, sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{server::NamedService, service::Routes};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};
use tonic_reflection::server::Builder as ReflectionBuilder;
use tracing::error;

use crate::{
    admin::Admin,
    app::{banner::Addresses, meters::Meters},
    authorize::Hot,
    config::{ServeArgs, tls},
    journal::{Journal, tail::Tail},
    limiter::shared::Shared,
    metrics::Gathering,
    rpc::{
        DESCRIPTORS,
        access::AccessAdminService,
        admin::KeyAdminService,
        authorize::{AuthorizeServer, AuthorizeService, Door},
        counted::Counted,
        ext_authz::ExtAuthzServer,
        forward_auth::ForwardAuth,
        front::Front,
        http1, http2,
        insight::InsightService,
        listen::{
            ADMIN_MESSAGE_BYTES_MAX, AUTHORIZE_MESSAGE_BYTES_MAX, Acceptor, Lane, Limits, Opening,
            bind, server,
        },
        pb::{
            access_admin_server::AccessAdminServer, insight_server::InsightServer,
            key_admin_server::KeyAdminServer, self_service_server::SelfServiceServer,
        },
        proxies::ProxyService,
        reached::Reached,
        scrape::Scraper,
        self_service::SelfServiceService,
    },
    tasks::{Alarm, Tasks},
    telemetry::{chain, trace::Tracer},
    tls::listener::ListenerTls,
};

const AUTHORIZE_STREAMS_MAX: u32 = 1024;
const ADMIN_STREAMS_MAX: u32 = 64;

/// Bound listeners.
#[derive(Debug)]
pub struct Listeners {
    authorize: TcpListener,
    admin: TcpListener,
    http: TcpListener,
    addresses: Addresses,
    tls: tls::Listeners,
}

/// What the services work with.
#[derive(Debug)]
pub struct Services {
    /// For decisions.
    pub hot: Arc<Hot>,
    /// For operators.
    pub admin: Arc<Admin>,
    /// What asks the other replicas about limits.
    pub shared: Option<Arc<Shared>>,
    /// Tells of the revisions that the replica reaches.
    pub reached: Reached,
    /// What health answers from.
    pub health: HealthReporter,
    /// Where decisions are noted.
    pub journal: Arc<Journal>,
    /// Shows decisions to who watches.
    pub tail: Arc<Tail>,
    /// Where is counted.
    pub meters: Meters,
    /// Shows what is counted.
    pub scraper: Scraper,
    /// Traces calls.
    pub tracer: Option<Tracer>,
}

/// Both planes while they serve.
#[derive(Debug)]
pub struct Planes {
    stop: CancellationToken,
    admin: TaskTracker,
    /// Ends when the last of the deciding threads has.
    authorize: mpsc::Receiver<()>,
}

impl Listeners {
    /// Reads the files of TLS, and takes all addresses.
    pub fn bind(args: &ServeArgs) -> anyhow::Result<Self> {
        let tls = args.tls.listeners()?;
        let (authorize, authorize_address) = bind(args.authorize_listen).with_context(|| {
            format!("--authorize-listen (KEYWARD_AUTHORIZE_LISTEN): {}", args.authorize_listen)
        })?;
        let (admin, admin_address) = bind(args.admin_listen).with_context(|| {
            format!("--admin-listen (KEYWARD_ADMIN_LISTEN): {}", args.admin_listen)
        })?;
        let http_listen = args.proxies.http_listen;
        let (http, http_address) = bind(http_listen)
            .with_context(|| format!("--http-listen (KEYWARD_HTTP_LISTEN): {http_listen}"))?;
        let addresses = Addresses {
            authorize: authorize_address,
            admin: admin_address,
            http: http_address,
            tls: tls.described(),
        };
        Ok(Self { authorize, admin, http, addresses, tls })
    }

    /// Where they listen: with port 0 the system has chosen one.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// TLS on them.
    pub const fn tls(&self) -> &tls::Listeners {
        &self.tls
    }

    /// Serves on all. Must be called on the control runtime.
    pub fn serve(
        self,
        args: &ServeArgs,
        services: Services,
        tasks: &Tasks,
    ) -> anyhow::Result<Planes> {
        let stop = CancellationToken::new();
        let authorize = AuthorizeService {
            hot: Arc::clone(&services.hot),
            reached: services.reached.clone(),
            stop: stop.clone(),
            door: Door::Decisions,
            shared: services.shared.clone(),
            random: SystemRandom::new(),
            logins: Arc::clone(&services.admin.logins),
            journal: Arc::clone(&services.journal),
            tally: services.meters.decisions.tally(),
            decisions: services.meters.decisions.clone(),
        };
        let explaining = AuthorizeService { door: Door::Operators, ..authorize.clone() };
        let proxies = ProxyService {
            authorize: authorize.clone(),
            settings: Arc::new(args.proxies.settings()),
            complained: Arc::default(),
        };
        let forward_auth = ForwardAuth(proxies.clone());
        let health = HealthService::from_health_reporter(services.health.clone());
        let health = HealthServer::new(health);
        let fronts = Fronts {
            grpc: Front {
                authorize: AuthorizeServer::new(authorize, AUTHORIZE_MESSAGE_BYTES_MAX),
                ext_authz: ExtAuthzServer::new(proxies, AUTHORIZE_MESSAGE_BYTES_MAX),
                health: health.clone(),
                tracer: services.tracer.clone(),
            },
            http: http1::Front {
                forward_auth,
                health: services.health.clone(),
                scraper: services.scraper.clone(),
                tracer: services.tracer.clone(),
            },
        };
        let (meters, tracer) = (services.meters.clone(), services.tracer.clone());
        let listeners = [(self.authorize, &self.tls.authorize), (self.http, &self.tls.http)];
        let deciding = (tasks, &stop, &meters);
        let ended = serve_decisions(listeners, args, &fronts, deciding)?;

        let admin_routes = admin_routes(services, explaining, (health, stop.clone()))?;
        let limits = Limits {
            connections_max: args.admin_connections.get(),
            streams_max: ADMIN_STREAMS_MAX,
        };
        let (acceptor, lanes) = Acceptor::new(self.admin, 1, limits, self.tls.admin.as_ref());
        count_connections(&acceptor, "admin", &meters);
        let admin_routes = Counted::new(admin_routes.prepare(), Arc::clone(&meters.calls), tracer);
        let admin_tasks = TaskTracker::new();
        let alarm = || tasks.alarm("admin listener", &stop);
        admin_tasks.spawn(guarded(acceptor.run(stop.clone()), alarm()));
        for lane in lanes {
            admin_tasks.spawn(guarded(serve_lane(lane, admin_routes.clone(), limits), alarm()));
        }
        admin_tasks.close();
        Ok(Planes { stop, admin: admin_tasks, authorize: ended })
    }
}

/// All that operators and holders of keys may call.
fn admin_routes(
    services: Services,
    explaining: AuthorizeService,
    (health, stop): (HealthServer<HealthService>, CancellationToken),
) -> anyhow::Result<Routes> {
    let Services { hot, admin, reached, tail, .. } = services;
    let keys = KeyAdminService {
        hot: Arc::clone(&hot),
        admin: Arc::clone(&admin),
        reached: reached.clone(),
    };
    let access = AccessAdminService {
        hot: Arc::clone(&hot),
        admin: Arc::clone(&admin),
        reached: reached.clone(),
    };
    let insight = InsightService { hot: Arc::clone(&hot), admin: Arc::clone(&admin), tail, stop };
    let own = SelfServiceService { hot, admin, reached };
    let keys = KeyAdminServer::new(keys).max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX);
    let access = AccessAdminServer::new(access).max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX);
    let insight = InsightServer::new(insight).max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX);
    let own = SelfServiceServer::new(own).max_decoding_message_size(ADMIN_MESSAGE_BYTES_MAX);
    let explaining = AuthorizeServer::new(explaining, ADMIN_MESSAGE_BYTES_MAX);
    Ok(Routes::new(keys)
        .add_service(access)
        .add_service(own)
        .add_service(insight)
        .add_service(explaining)
        .add_service(health)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
}

impl Planes {
    /// Stops accepting and lets open requests end. Says whether they did in time.
    pub async fn drain(mut self, time_max: Duration) -> bool {
        self.stop.cancel();
        let ended = async {
            self.admin.wait().await;
            while self.authorize.recv().await.is_some() {}
        };
        timeout(time_max, ended).await.is_ok()
    }
}

/// What is served on the deciding threads.
#[derive(Clone)]
struct Fronts {
    grpc: Front,
    http: http1::Front,
}

/// Starts the deciding threads, each with a lane of both listeners; the first also accepts for all. The
/// receiver ends with the last.
fn serve_decisions(
    [(authorize, authorize_tls), (http, http_tls)]: [(TcpListener, &Option<Arc<ListenerTls>>); 2],
    args: &ServeArgs,
    fronts: &Fronts,
    (tasks, stop, meters): (&Tasks, &CancellationToken, &Meters),
) -> anyhow::Result<mpsc::Receiver<()>> {
    let threads = match args.authorize_threads {
        Some(threads) => threads.get(),
        None => thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let limits = Limits {
        connections_max: args.authorize_connections.get(),
        streams_max: AUTHORIZE_STREAMS_MAX,
    };
    let http_limits =
        Limits { connections_max: args.proxies.http_connections.get(), streams_max: 1 };
    let (acceptor, lanes) = Acceptor::new(authorize, threads, limits, authorize_tls.as_ref());
    let (http_acceptor, http_lanes) = Acceptor::new(http, threads, http_limits, http_tls.as_ref());
    count_connections(&acceptor, "authorize", meters);
    count_connections(&http_acceptor, "http", meters);
    let (alive, ended) = mpsc::channel(1);
    let mut acceptors = Some((acceptor, http_acceptor));
    for (number, (lane, http_lane)) in lanes.into_iter().zip(http_lanes).enumerate() {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let alarm = tasks.alarm("authorize listener", stop);
        let (fronts, stop, alive) = (fronts.clone(), stop.clone(), alive.clone());
        let accepting = acceptors.take();
        let run = move || {
            let serving = async {
                tokio::join!(
                    http2::serve(lane, &fronts.grpc, limits),
                    http1::serve(http_lane, &fronts.http)
                )
            };
            runtime.block_on(async {
                match accepting {
                    Some((acceptor, http)) => {
                        tokio::join!(acceptor.run(stop.clone()), http.run(stop), serving);
                    }
                    None => {
                        serving.await;
                    }
                }
            });
            drop((alive, alarm));
        };
        let _detached = thread::Builder::new()
            .name(format!("authorize-{number}"))
            .spawn(run)
            .context("cannot start a thread")?;
    }
    Ok(ended)
}

/// Lets metrics have the number of a listener's connections.
fn count_connections(acceptor: &Acceptor, listener: &'static str, meters: &Meters) {
    let occupancy = acceptor.occupancy();
    meters.registry.add(move |to: &mut Gathering| occupancy.tell(listener, to));
}

/// Does work that must not end before its time.
async fn guarded(work: impl Future<Output = ()>, alarm: Alarm) {
    work.await;
    drop(alarm);
}

/// Serves the connections of the admin listener until there are no more to come, then lets the open ones end.
async fn serve_lane(lane: Lane, routes: Counted<Routes>, limits: Limits) {
    // the end of the lane is the signal; the future only tells tonic to be graceful about it
    let serving = server(limits).serve_with_incoming_shutdown(
        routes,
        lane.incoming(Opening::Http2),
        pending(),
    );
    if let Err(failure) = serving.await {
        error!(error = chain(&failure), "a listener ended");
    }
}

fn reflection() -> ReflectionBuilder<'static> {
    ReflectionBuilder::configure()
        .with_service_name(KeyAdminServer::<KeyAdminService>::NAME)
        .with_service_name(AccessAdminServer::<AccessAdminService>::NAME)
        .with_service_name(SelfServiceServer::<SelfServiceService>::NAME)
        .with_service_name(InsightServer::<InsightService>::NAME)
        .with_service_name(AuthorizeServer::NAME)
        .with_service_name(HealthServer::<HealthService>::NAME)
        // so that clients can show the details of errors; before ours, since of two files of one name the
        // first counts, and of google.rpc we have a part
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
