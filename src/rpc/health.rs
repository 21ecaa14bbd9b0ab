//! Health (`grpc.health.v1`): serving means that this replica may answer. It is never tied to whether
//! the database can be reached.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{clock, replica::Replica, rpc::pb};

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The services that health is asked for; the empty name stands for the whole process.
const SERVICES: [&str; 7] = [
    "",
    super::authorize::AuthorizeServer::NAME,
    super::ext_authz::ExtAuthzServer::NAME,
    pb::key_admin_server::KeyAdminServer::<super::admin::KeyAdminService>::NAME,
    pb::access_admin_server::AccessAdminServer::<super::access::AccessAdminService>::NAME,
    pb::self_service_server::SelfServiceServer::<super::self_service::SelfServiceService>::NAME,
    pb::insight_server::InsightServer::<super::insight::InsightService>::NAME,
];

/// A reporter for services that do not serve yet.
pub async fn not_serving() -> HealthReporter {
    let reporter = HealthReporter::new(); // which begins with "" as serving
    report(&reporter, ServingStatus::NotServing).await;
    reporter
}

/// When a process goes down, as health tells it.
#[derive(Clone, Debug, Default)]
pub struct Departure {
    /// From here on it does not serve.
    pub announced: CancellationToken,
    /// From here on nobody needs to watch.
    pub begun: CancellationToken,
}

/// Reports whether the replica may answer; from the announcement of the end on, that it does not
/// serve; and ends the calls of `Watch` when the end begins, since they would stay open for as long
/// as their callers like.
pub async fn watch(mut reporter: HealthReporter, replica: Arc<Replica>, departure: Departure) {
    let mut last = ServingStatus::NotServing;
    loop {
        let now = match replica.knowledge(clock::boot(), 0) {
            Ok(_) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        if now != last {
            report(&reporter, now).await;
            last = now;
        }
        if departure.announced.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
            break;
        }
    }
    report(&reporter, ServingStatus::NotServing).await;
    departure.begun.cancelled().await;
    for service in SERVICES {
        reporter.clear_service_status(service).await;
    }
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}
