//! Health, and what calls say while it is bad.

use std::{net::SocketAddr, time::Duration};

use keyward::rpc::pb::{AuthorizeRequest, ListKeysRequest};
use rustix::process::Signal;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus::{self, NotServing, Serving},
    health_client::HealthClient,
};
use tonic_types::StatusExt;

use crate::support::{
    TIME_MAX,
    client::{assert_status, create, may_read, new_key},
    database::Database,
    eventually,
    gate::Gate,
    server::{Server, connect},
};

const SERVICES: [&str; 3] = ["", "keyward.v1.Authorize", "keyward.v1.KeyAdmin"];

async fn check(at: SocketAddr, service: &str) -> Result<ServingStatus, Status> {
    let request = HealthCheckRequest { service: service.into() };
    let response = HealthClient::new(connect(at)).check(request).await?;
    Ok(response.into_inner().status())
}

/// Asserts what both listeners say of all services.
async fn assert_health(server: &Server, expected: ServingStatus) {
    for at in [server.authorize, server.admin] {
        for service in SERVICES {
            let found = check(at, service).await.unwrap();
            assert_eq!(found, expected, "{service:?}");
        }
    }
}

async fn until_health(server: &Server, expected: ServingStatus) {
    eventually("health changes", async || {
        (server.health(server.authorize, "").await == Some(expected)).then_some(())
    })
    .await;
    // the services are told one after the other
    for at in [server.authorize, server.admin] {
        for service in SERVICES {
            eventually(service, async || {
                (server.health(at, service).await == Some(expected)).then_some(())
            })
            .await;
        }
    }
}

fn retry_delay(status: &Status) -> Option<Duration> {
    status.get_error_details().retry_info()?.retry_delay
}

#[tokio::test]
async fn a_server_without_its_database_listens_waits_and_then_serves() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("start", &database);
    let server = Server::launch(&beyond, &[]).await;
    server.until_logged("waiting for the database").await;
    assert_health(&server, NotServing).await;
    let mut asker = server.asker();
    let decided = asker.0.authorize(may_read("unheard-of")).await;
    let status = assert_status(decided, Code::Unavailable, "REPLICA_NOT_READY");
    assert!(retry_delay(&status).is_some());
    // also for who wants a revision: there is nothing to wait for yet
    let ahead = AuthorizeRequest { min_revision: 1, ..may_read("unheard-of") };
    let decided = asker.0.authorize(ahead).await;
    assert_status(decided, Code::Unavailable, "REPLICA_NOT_READY");
    let listed = server.admin().list_keys(ListKeysRequest::default()).await;
    assert_status(listed, Code::Unavailable, "REPLICA_NOT_READY");

    gate.open();
    until_health(&server, Serving).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    assert_eq!(asker.verdict(&made.token, made.revision).await, "ALLOWED");
}

#[tokio::test]
async fn a_service_that_nobody_knows_is_not_found() {
    let database = Database::new();
    let server = Server::start(&database).await;
    assert_health(&server, Serving).await;
    for at in [server.authorize, server.admin] {
        let status = check(at, "keyward.v1.Other").await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
}

#[tokio::test]
async fn decisions_go_on_without_the_database_and_health_stays_good() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("away", &database);
    gate.open();
    let server = Server::start(&beyond).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    let mut asker = server.asker();
    asker.until(&made.token, "ALLOWED").await;

    gate.shut();
    server.until_logged("lost the change log").await;
    let second = Duration::from_secs(1);
    eventually("the data grows old", async || {
        let answer = asker.ask(may_read(&made.token)).await;
        assert!(answer.allowed, "{answer:?}");
        let age = Duration::try_from(answer.data_age.unwrap()).unwrap();
        (age > second).then_some(())
    })
    .await;
    assert_health(&server, Serving).await;
    let listed = server.admin().list_keys(ListKeysRequest::default()).await;
    let status = assert_status(listed, Code::Unavailable, "DATABASE_UNAVAILABLE");
    assert!(retry_delay(&status).is_some());

    gate.open();
    eventually("the data is young again", async || {
        let age = asker.ask(may_read(&made.token)).await.data_age.unwrap();
        (Duration::try_from(age).unwrap() < second).then_some(())
    })
    .await;
    let next = eventually("the admin service is back", async || {
        let made = server.admin().create_key(new_key("Next")).await.ok()?;
        Some(made.into_inner())
    })
    .await;
    asker.until(&next.token, "ALLOWED").await;
}

#[tokio::test]
async fn data_that_is_too_old_decides_nothing_until_it_is_young_again() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("stale", &database);
    gate.open();
    let server = Server::start_with(&beyond, &["--max-staleness", "1500ms"]).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    let mut asker = server.asker();
    asker.until(&made.token, "ALLOWED").await;

    gate.shut();
    until_health(&server, NotServing).await;
    for request in [may_read(&made.token), may_read(""), may_read("unheard-of")] {
        let decided = asker.0.authorize(request).await;
        let status = assert_status(decided, Code::Unavailable, "REPLICA_STALE");
        assert!(retry_delay(&status).is_some());
    }
    let listed = server.admin().list_keys(ListKeysRequest::default()).await;
    assert_status(listed, Code::Unavailable, "REPLICA_STALE");

    gate.open();
    until_health(&server, Serving).await;
    assert_eq!(asker.verdict(&made.token, 0).await, "ALLOWED");
}

/// What health says of a whole server until it says no more.
async fn watched(mut watch: Streaming<HealthCheckResponse>) -> Vec<ServingStatus> {
    let mut said = Vec::new();
    while let Ok(Some(response)) = timeout(TIME_MAX, watch.message()).await.expect("an end") {
        said.push(response.status());
    }
    said
}

#[tokio::test]
async fn an_open_watch_ends_with_the_server_and_does_not_hold_it_up() {
    let database = Database::new();
    let mut server = Server::start_with(&database, &["--drain-timeout", "20s"]).await;
    let mut watches = Vec::new();
    for at in [server.authorize, server.admin] {
        for service in SERVICES {
            let request = HealthCheckRequest { service: service.into() };
            let watch = HealthClient::new(connect(at)).watch(request).await.unwrap();
            let mut watch = watch.into_inner();
            eventually("it serves", async || {
                let said = watch.message().await.unwrap().unwrap();
                (said.status() == Serving).then_some(())
            })
            .await;
            watches.push(watch);
        }
    }
    server.signal(Signal::TERM);
    for watch in watches {
        let said = watched(watch).await;
        assert!(said.iter().all(|status| *status == NotServing), "{said:?}");
    }
    let status = server.ended().await;
    assert!(status.success(), "{status}");
    assert_eq!(server.log_line("were cut off"), None);
}
