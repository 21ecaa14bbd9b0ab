//! Whatever becomes of the log's tables and its database, decisions go on, and the log when it can.

use keyward::rpc::pb::DecisionFilter;

use super::{ALL, on_route, reading, stored, until_listed};
use crate::support::{
    client::{Asker, Made, create, new_key},
    database::Database,
    eventually,
    gate::Gate,
    operator::Site,
    server::Server,
};

/// Decides so often about a route.
async fn decide(asker: &mut Asker, made: &Made, route: &str, times: usize) {
    for _ in 0..times {
        assert!(asker.ask(reading(made, route)).await.allowed);
    }
}

/// Breaks what the log is written to, decides meanwhile, mends it, and expects what is decided then to be
/// logged, with one warning in all.
async fn survives(breaking: &str, mending: &str) {
    let site = Site::start(&ALL).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let mut asker = site.server.asker();
    decide(&mut asker, &made, "/before", 3).await;
    until_listed(&site.server, on_route("/before"), 3).await;
    let client = site.database.connect().await;
    client.batch_execute(breaking).await.unwrap();
    decide(&mut asker, &made, "/during", 3).await;
    site.server.until_logged("decisions cannot be logged").await;
    client.batch_execute(mending).await.unwrap();
    eventually("it is logged again", async || {
        decide(&mut asker, &made, "/after", 1).await;
        let written = "SELECT count(*) FROM keyward.decision WHERE route = '/after'";
        (site.database.number(written).await > 0).then_some(())
    })
    .await;
    site.server.until_logged("decisions are logged again").await;
    assert_eq!(site.server.count_logged("decisions cannot be logged"), 1);
}

#[tokio::test]
async fn a_table_that_is_gone_comes_back() {
    let gone = "ALTER TABLE keyward.decision RENAME TO decision_elsewhere";
    let back = "ALTER TABLE keyward.decision_elsewhere RENAME TO decision";
    survives(gone, back).await;
}

#[tokio::test]
async fn a_full_disk_is_not_full_for_ever() {
    let full = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON keyward.decision
            FOR EACH ROW EXECUTE FUNCTION refuse()";
    survives(full, "DROP TRIGGER refuse ON keyward.decision").await;
}

#[tokio::test]
async fn what_is_refused_for_ever_is_dropped_and_what_comes_after_is_logged() {
    let refusing = "ALTER TABLE keyward.decision
        ADD CONSTRAINT decision_not_during CHECK (route <> '/during')";
    survives(refusing, "ALTER TABLE keyward.decision DROP CONSTRAINT decision_not_during").await;
}

#[tokio::test]
async fn a_day_that_is_missing_is_made() {
    let site = Site::start(&ALL).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    let mut asker = site.server.asker();
    decide(&mut asker, &made, "/before", 1).await;
    until_listed(&site.server, on_route("/before"), 1).await;
    let drop_days = "DO $$ DECLARE day text; BEGIN
        FOR day IN SELECT inhrelid::regclass::text FROM pg_inherits
            WHERE inhparent = 'keyward.decision'::regclass
        LOOP EXECUTE 'DROP TABLE ' || day; END LOOP; END $$";
    site.database.connect().await.batch_execute(drop_days).await.unwrap();
    decide(&mut asker, &made, "/after", 2).await;
    until_listed(&site.server, DecisionFilter::default(), 2).await;
    assert_eq!(site.server.count_logged("decisions cannot be logged"), 0);
}

#[tokio::test]
async fn days_that_are_over_are_dropped() {
    let database = Database::new();
    let server = Server::start_with(&database, &ALL).await;
    server.stop().await;
    let old = "CREATE TABLE keyward.decision_20200101 PARTITION OF keyward.decision
        FOR VALUES FROM ('2020-01-01Z') TO ('2020-01-02Z')";
    database.connect().await.batch_execute(old).await.unwrap();
    let days = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'keyward.decision'::regclass";
    assert_eq!(database.number(days).await, 5);
    let _server = Server::start_with(&database, &ALL).await;
    eventually("the old day is dropped", async || (database.number(days).await == 4).then_some(()))
        .await;
}

#[tokio::test]
async fn what_is_decided_without_a_database_is_logged_when_it_is_back() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("journal", &database);
    gate.open();
    let server = Server::start_with(&beyond, &ALL).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    let mut asker = server.asker();
    decide(&mut asker, &made, "/before", 1).await;
    until_listed(&server, on_route("/before"), 1).await;
    gate.shut();
    decide(&mut asker, &made, "/during", 50).await;
    server.until_logged("decisions cannot be logged").await;
    gate.open();
    until_listed(&server, on_route("/during"), 50).await;
    server.stop().await;
    assert_eq!(stored(&database).await, 51, "each once");
}

#[tokio::test]
async fn the_log_of_two_replicas_is_one() {
    let site = Site::start(&ALL).await;
    let other = Server::start_with(&site.database, &ALL).await;
    let made = create(&mut site.admin(), new_key("Key")).await;
    decide(&mut site.server.asker(), &made, "/one", 20).await;
    decide(&mut other.asker(), &made, "/other", 20).await;
    until_listed(&other, DecisionFilter::default(), 40).await;
}
