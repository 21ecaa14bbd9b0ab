//! Crashes in the middle, several replicas, and a database that goes away.

use keyward::rpc::pb::{self, JobState};
use rustix::process::{Pid, Signal, kill_process};
use tonic::Code;

use super::{counts, ended, import, item, job, options};
use crate::support::{
    client::{Insight, assert_status},
    database::{Cluster, Database},
    eventually,
    operator::NO_USES,
    server::Server,
};

const KEYS: i64 = 12_000;
const IMPORTED: &str = "SELECT count(*) FROM keyward.key WHERE display_name LIKE 'Imported%'";

/// Waits until a job has done so many items, or has ended.
async fn done(insight: &mut Insight, id: &str, at_least: i64) {
    eventually("the job moves on", async || {
        let job = job(insight, id).await;
        (job.done >= at_least || job.finish_time.is_some()).then_some(())
    })
    .await;
}

/// That an import of [`KEYS`] is exact although the server that does it is killed when it has come so far.
async fn exact_when_killed_at(progress: i64) {
    let database = Database::new();
    let first = Server::start_with(&database, &NO_USES).await;
    let items: Vec<_> = (0..KEYS).map(|n| item(&format!("crash-{progress}-{n}"))).collect();
    let begun = import(&mut first.admin(), options(), &items).await.unwrap();
    done(&mut first.insight(), &begun.id, progress).await;
    first.signal(Signal::KILL);
    let second = Server::start_with(&database, &NO_USES).await;
    let ended = ended(&mut second.insight(), &begun.id).await;
    assert_eq!(counts(&ended), (JobState::Succeeded, [KEYS, KEYS, 0, 0]));
    assert_eq!(database.number(IMPORTED).await, KEYS);
    let logged = "SELECT count(*) FROM keyward.change_log JOIN keyward.audit_event USING (revision)
        WHERE audit_event.action = 'keys.import' AND change_log.kind = 'key'";
    assert_eq!(database.number(logged).await, KEYS);
    second.asker().until(&format!("crash-{progress}-{}", KEYS - 1), "ALLOWED").await;
}

#[tokio::test]
async fn an_import_is_exact_when_killed_before_its_first_batch() {
    exact_when_killed_at(0).await;
}

#[tokio::test]
async fn an_import_is_exact_when_killed_after_its_first_batch() {
    exact_when_killed_at(1).await;
}

#[tokio::test]
async fn an_import_is_exact_when_killed_near_its_end() {
    exact_when_killed_at(9_000).await;
}

#[tokio::test]
async fn a_stopped_replica_hands_its_job_to_another_at_once() {
    let database = Database::new();
    let (first, second) = tokio::join!(
        Server::start_with(&database, &NO_USES),
        Server::start_with(&database, &NO_USES)
    );
    let items: Vec<_> = (0..KEYS).map(|n| item(&format!("handed-over-{n}"))).collect();
    let begun = import(&mut first.admin(), options(), &items).await.unwrap();
    done(&mut first.insight(), &begun.id, 1).await;
    first.stop().await;
    let ended = ended(&mut second.insight(), &begun.id).await;
    assert_eq!(counts(&ended), (JobState::Succeeded, [KEYS, KEYS, 0, 0]));
    assert_eq!(database.number(IMPORTED).await, KEYS);
}

#[tokio::test]
async fn a_job_goes_on_after_the_database_was_away_and_calls_say_so_meanwhile() {
    let cluster = Cluster::start("jobs-down");
    let database = cluster.database();
    let server = Server::start_with(&database, &NO_USES).await;
    let (mut admin, mut insight) = (server.admin(), server.insight());
    let items: Vec<_> = (0..KEYS).map(|n| item(&format!("outage-{n}"))).collect();
    let begun = import(&mut admin, options(), &items).await.unwrap();
    done(&mut insight, &begun.id, 1).await;
    let pid = i32::try_from(cluster.pid()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    eventually("the database is away", async || {
        let request = pb::GetJobRequest { id: begun.id.clone() };
        insight.get_job(request).await.is_err().then_some(())
    })
    .await;
    let id = || begun.id.clone();
    let away = "DATABASE_UNAVAILABLE";
    let result = insight.list_jobs(pb::ListJobsRequest::default()).await;
    assert_status(result, Code::Unavailable, away);
    let result = insight.cancel_job(pb::CancelJobRequest { id: id() }).await;
    assert_status(result, Code::Unavailable, away);
    let result = insight.watch_job(pb::WatchJobRequest { id: id() }).await;
    assert_status(result, Code::Unavailable, away);
    let request = pb::ListJobErrorsRequest { id: id(), ..Default::default() };
    assert_status(insight.list_job_errors(request).await, Code::Unavailable, away);
    assert_status(import(&mut admin, options(), &[]).await, Code::Unavailable, away);
    let request = pb::PurgeDeletedKeysRequest { days: 1, expected_count: 1, ..Default::default() };
    assert_status(admin.purge_deleted_keys(request).await, Code::Unavailable, away);

    let _cluster = cluster.restart();
    eventually("the database is back", async || {
        let request = pb::GetJobRequest { id: id() };
        insight.get_job(request).await.is_ok().then_some(())
    })
    .await;
    let ended = ended(&mut insight, &begun.id).await;
    assert_eq!(counts(&ended), (JobState::Succeeded, [KEYS, KEYS, 0, 0]));
    assert_eq!(database.number(IMPORTED).await, KEYS);
}
