//! While the database is down, and after.

use std::{collections::BTreeSet, time::Duration};

use keyward::rpc::pb;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Outcome, every_call, get};
use crate::support::{
    client::{Admin, Made, assert_invalid, assert_not_permitted, assert_status, create, new_key},
    database::Cluster,
    eventually,
    operator::{NO_USES, Site},
    server::Server,
};

/// The longest that a caller waits for `UNAVAILABLE`.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

/// Kills the database and waits until its last process, which serves on for a moment, has seen it.
async fn kill(cluster: &Cluster, site: &Site, id: &str) {
    let pid = i32::try_from(cluster.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let channel = site.admin();
    eventually("no connection answers", async || {
        let calls = (0..CONNECTIONS).map(|_| channel.clone()).map(async |mut admin| {
            let id = id.to_owned();
            admin.get_key(pb::GetKeyRequest { id }).await.is_err()
        });
        let failed = futures_util::future::join_all(calls).await;
        failed.iter().all(|failed| *failed).then_some(())
    })
    .await;
}

/// The server's connections to the database.
const CONNECTIONS: usize = 8;

/// That each call says to try again later, and when.
fn assert_unavailable(outcomes: Vec<Outcome>) {
    assert_eq!(outcomes.len(), 11);
    for (call, result) in outcomes {
        let status = assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
        let details = status.get_error_details();
        let delay = details.retry_info().and_then(|info| info.retry_delay);
        assert_eq!(delay, Some(Duration::from_secs(1)), "{call}");
        assert!(!status.message().contains("postgres"), "{call}: {status:?}");
    }
}

/// Waits until a call on the database succeeds; until then it must say that there is none.
async fn recovered(admin: &mut Admin, id: &str) {
    eventually("the admin service recovers", async || {
        let id = id.to_owned();
        match admin.get_key(pb::GetKeyRequest { id }).await {
            Ok(_) => Some(()),
            Err(status) => {
                assert_status(Err::<(), Status>(status), Code::Unavailable, "DATABASE_UNAVAILABLE");
                None
            }
        }
    })
    .await;
}

#[tokio::test]
async fn without_a_database_calls_say_so_soon_and_recover_by_themselves() {
    let cluster = Cluster::start("admin-down");
    let site = {
        let database = cluster.database();
        let server = Server::start_with(&database, &NO_USES).await;
        Site { database, server }
    };
    let mut admin = site.admin();
    let mut reader = site.operator(&["keyward.keys.read"]).await.admin;
    let key = create(&mut admin, new_key("Outlives an outage")).await;
    site.knows(key.revision).await;

    kill(&cluster, &site, &key.key.id).await;
    let calls = timeout(ANSWER_TIME_MAX, every_call(&mut admin, &key));
    assert_unavailable(calls.await.expect("all calls are answered soon"));
    // all at once, more than there are connections
    let crowd =
        (0..3).map(|_| site.admin()).map(async |mut admin| every_call(&mut admin, &key).await);
    let calls = timeout(ANSWER_TIME_MAX, futures_util::future::join_all(crowd));
    for outcomes in calls.await.expect("all calls are answered soon") {
        assert_unavailable(outcomes);
    }
    assert_knows_what_it_can(&site, &mut admin, &mut reader, &key).await;

    let cluster = cluster.restart();
    recovered(&mut admin, &key.key.id).await;
    assert_eq!(get(&mut admin, &key.key.id).await, key.key);
    let new = create(&mut admin, new_key("After an outage")).await;
    let mut asker = site.server.asker();
    assert_eq!(asker.verdict(&new.token, new.revision).await, "ALLOWED");
    for (call, result) in every_call(&mut admin, &key).await {
        assert!(result.is_ok(), "{call}: {result:?}");
    }

    assert_a_second_outage_is_survived(cluster, &site, &new).await;
}

/// What takes no database goes on: decisions, and refusals of callers and requests.
async fn assert_knows_what_it_can(site: &Site, admin: &mut Admin, reader: &mut Admin, key: &Made) {
    let mut asker = site.server.asker();
    assert_eq!(asker.verdict(&key.token, key.revision).await, "ALLOWED");
    assert_eq!(asker.verdict("unknown", key.revision).await, "401 KEY_UNKNOWN");
    let id = key.key.id.as_str();
    assert_invalid(super::delete(admin, id, "").await, &["confirm"]);
    assert_not_permitted(super::deactivate(reader, id).await, "keyward.keys.write");
    let result = super::deactivate(&mut site.server.admin_as(&key.token), id).await;
    assert_status(result, Code::Unauthenticated, "KEY_UNKNOWN");
}

/// An outage that a retry spans: a request with an id is carried out once.
async fn assert_a_second_outage_is_survived(cluster: Cluster, site: &Site, known: &Made) {
    let mut admin = site.admin();
    let request = pb::CreateKeyRequest {
        request_id: "across-the-outage".into(),
        ..new_key("Across the outage")
    };
    kill(&cluster, site, &known.key.id).await;
    let result = admin.create_key(request.clone()).await;
    assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
    let cluster = cluster.restart();
    recovered(&mut admin, &known.key.id).await;
    let made = create(&mut admin, request.clone()).await;
    let again = admin.create_key(request).await.unwrap().into_inner();
    let ids = [made.key.id, again.key.unwrap().id];
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(again.token, "");
    drop(cluster);
}
