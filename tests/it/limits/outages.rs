//! Quotas while the database is away, hangs, or answers what nobody hears.

use rustix::process::{Signal, kill_process};

use super::{
    key_with, long_quota, look,
    lossy::Lossy,
    made,
    quotas::{stored, until_stored},
    use_once, use_up,
};
use crate::{
    faults::{children, pid},
    support::{
        database::{Cluster, Database},
        eventually,
        gate::Gate,
        server::Server,
    },
};

const OFTEN: [&str; 2] = ["--quota-flush-interval", "20ms"];

#[tokio::test]
async fn uses_are_kept_while_the_database_is_away_and_counted_once() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("quotas", &database);
    gate.open();
    let server = Server::start_with(&beyond, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    use_up(&server, &made.token, 10).await;
    until_stored(&database, 10).await;

    gate.shut();
    use_up(&server, &made.token, 7).await;
    server.until_logged("quotas cannot be stored").await;
    use_up(&server, &made.token, 5).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 28"]);
    assert_eq!(stored(&database).await, 10);
    gate.open();
    server.until_logged("quotas are stored again").await;
    until_stored(&database, 22).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 28"]);
    use_up(&server, &made.token, 28).await;
    assert_eq!(use_once(&server, &made.token).await, "429 QUOTA_EXHAUSTED");
    until_stored(&database, 50).await;
}

#[tokio::test]
async fn a_quota_is_enforced_while_the_database_is_away() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("enforced", &database);
    gate.open();
    let server = Server::start_with(&beyond, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 3)])).await;
    gate.shut();
    use_up(&server, &made.token, 3).await;
    server.until_logged("quotas cannot be stored").await;
    assert_eq!(use_once(&server, &made.token).await, "429 QUOTA_EXHAUSTED");
}

#[tokio::test]
async fn what_a_lost_answer_had_stored_is_not_counted_twice() {
    let database = Database::new();
    let (lossy, beyond) = Lossy::new("answer", &database);
    let server = Server::start_with(&beyond, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 100)])).await;
    let mut used = 0;
    for round in 1..=3 {
        lossy.lose_next();
        use_up(&server, &made.token, 5).await;
        used += 5;
        eventually("the answer is lost", async || lossy.has_lost().then_some(())).await;
        eventually("it was found out", async || {
            (server.count_logged("quotas are stored again") == round).then_some(())
        })
        .await;
        use_up(&server, &made.token, 2).await;
        used += 2;
        until_stored(&database, used).await;
        assert_eq!(look(&server, &made.token).await, [format!("key calls {}", 100 - used)]);
    }
    server.stop().await;
    assert_eq!(stored(&database).await, used);
}

#[tokio::test]
async fn a_postgresql_that_is_killed_comes_back_to_what_was_used() {
    let cluster = Cluster::start("quotas");
    let database = cluster.database();
    let server = Server::start_with(&database, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    use_up(&server, &made.token, 10).await;
    until_stored(&database, 10).await;

    // a backend that its postmaster leaves behind may still serve what it is at
    let backends = children(cluster.pid());
    kill_process(pid(cluster.pid()), Signal::KILL).unwrap();
    for backend in backends {
        kill_process(backend, Signal::KILL).ok();
    }
    use_up(&server, &made.token, 7).await;
    server.until_logged("quotas cannot be stored").await;
    let cluster = cluster.restart();
    use_up(&server, &made.token, 3).await;
    server.until_logged("quotas are stored again").await;
    assert_eq!(look(&server, &made.token).await, ["key calls 30"]);
    until_stored(&database, 20).await;
    drop(server);
    drop(cluster);
}

#[tokio::test]
async fn a_postgresql_that_hangs_gets_each_use_once_when_it_goes_on() {
    let cluster = Cluster::start("quotas-hanging");
    let database = cluster.database();
    let server = Server::start_with(&database, &OFTEN).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    use_up(&server, &made.token, 10).await;
    until_stored(&database, 10).await;

    let mut processes = children(cluster.pid());
    processes.push(pid(cluster.pid()));
    for process in &processes {
        kill_process(*process, Signal::STOP).unwrap();
    }
    use_up(&server, &made.token, 7).await;
    server.until_logged("quotas cannot be stored").await;
    use_up(&server, &made.token, 3).await;
    for process in &processes {
        kill_process(*process, Signal::CONT).unwrap();
    }
    server.until_logged("quotas are stored again").await;
    until_stored(&database, 20).await;
    assert_eq!(look(&server, &made.token).await, ["key calls 30"]);
    server.stop().await;
    assert_eq!(stored(&database).await, 20);
}

#[tokio::test]
async fn an_end_while_the_database_is_away_comes_in_time_and_says_what_is_lost() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("end", &database);
    gate.open();
    let mut server = Server::start_with(&beyond, &["--quota-flush-interval", "30m"]).await;
    let made = made(&server, key_with(&[long_quota("calls", 50)])).await;
    use_up(&server, &made.token, 10).await;
    gate.shut();
    server.signal(Signal::TERM);
    server.ended().await;
    assert!(server.logged().contains("the last uses of quotas are lost"));
    assert_eq!(stored(&database).await, 0);
}
