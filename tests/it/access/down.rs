//! While the database is down, and after.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{
    Thing,
    rpcs::{RPCS, Things},
};
use crate::support::{
    client::{assert_not_permitted, assert_status},
    database::Cluster,
    eventually,
    operator::{NO_USES, Site},
    server::Server,
};

/// The longest that a caller waits for `UNAVAILABLE`.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// The server's connections to the database.
const CONNECTIONS: usize = 8;

/// Kills the database and waits until its last process, which serves on for a moment, has seen it.
async fn kill(cluster: &Cluster, site: &Site, things: &Things) {
    let pid = i32::try_from(cluster.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let channel = site.server.access();
    eventually("no connection answers", async || {
        let calls = (0..CONNECTIONS).map(|_| channel.clone());
        let calls = calls.map(async |mut access| things.domain.get(&mut access).await.is_err());
        let failed = futures_util::future::join_all(calls).await;
        failed.iter().all(|failed| *failed).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_database_calls_say_so_soon_and_recover_by_themselves() {
    let cluster = Cluster::start("access-down");
    let site = {
        let database = cluster.database();
        let server = Server::start_with(&database, &NO_USES).await;
        Site { database, server }
    };
    let things = Things::new(&site).await;
    let mut reader =
        site.server.access_as(&site.operator(&["keyward.users.read"]).await.made.token);
    let access = &mut site.server.access();

    kill(&cluster, &site, &things).await;
    for (rpc, _) in RPCS {
        let result = timeout(ANSWER_TIME_MAX, things.call(access, rpc)).await;
        let result = result.expect("a call is answered soon");
        let status = assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
        let details = status.get_error_details();
        let delay = details.retry_info().and_then(|info| info.retry_delay);
        assert_eq!(delay, Some(Duration::from_secs(1)), "{rpc}");
        assert!(!status.message().contains("postgres"), "{rpc}: {status:?}");
    }
    // what takes no database is known
    let result = things.call(&mut reader, "DeleteUser").await;
    assert_not_permitted(result, "keyward.users.delete");
    let mut nobody = site.server.access_as("");
    let result = things.call(&mut nobody, "GetUser").await;
    assert_status(result, Code::Unauthenticated, "KEY_MISSING");

    let cluster = cluster.restart();
    eventually("the service recovers", async || match things.domain.get(access).await {
        Ok(found) => {
            assert_eq!(found, things.domain);
            Some(())
        }
        Err(status) => {
            assert_status(Err::<(), Status>(status), Code::Unavailable, "DATABASE_UNAVAILABLE");
            None
        }
    })
    .await;
    for (rpc, _) in RPCS {
        let result = things.call(access, rpc).await;
        assert!(result.is_ok(), "{rpc}: {result:?}");
    }
    drop(cluster);
}
