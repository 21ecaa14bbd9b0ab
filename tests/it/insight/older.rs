//! Databases of the version before, whose events had no chain.

use keyward::rpc::pb::AuditFilter;
use tokio_postgres::types::Type;

use super::{list, verdict};
use crate::support::{
    client::{create, new_key},
    database::{Database, keyward},
    operator::Site,
    server::Server,
};

/// The migrations of the version before.
const OLD: [(&str, &str); 3] = [
    ("keys", include_str!("../../../src/store/migrations/0001_keys.sql")),
    ("access", include_str!("../../../src/store/migrations/0002_access.sql")),
    ("limits", include_str!("../../../src/store/migrations/0003_limits.sql")),
];

const BASE: &str = "CREATE SCHEMA keyward;
    CREATE TABLE keyward.migration (
        version integer CONSTRAINT migration_pkey PRIMARY KEY,
        name text NOT NULL,
        checksum bytea NOT NULL,
        serves_from integer NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    )";

const RECORD: &str = "INSERT INTO keyward.migration (version, name, checksum, serves_from)
    VALUES ($1, $2, sha256(convert_to($3, 'UTF8')), 1)";

/// Events of every kind, in a table that has them in another order.
const EVENTS: &str = "INSERT INTO keyward.audit_event
        (revision, position, occurred_at, actor, peer, action, kind, subject, before, after)
    SELECT 1000 - number, 1, now(), 'bootstrap', NULL, kind || 's.update', kind, subject,
        CASE WHEN number % 2 = 0 THEN shown END, CASE WHEN number % 2 = 1 THEN shown END
    FROM generate_series(0, 999) AS number, LATERAL (
        SELECT kind, subject, '{\"domain\": \"of-key\", \"text\": \"Käse\"}'::jsonb AS shown
        FROM unnest(
            '{key, domain, user, group, customer, route_map, catalogue, environment, quota, quota}'
                ::text[],
            ARRAY['key_1', 'red', 'red/ida', 'red/g', 'red/C/2', 'red', 'red', 'test',
                'customer/red/C/2 daily', 'domain/red daily']
        ) WITH ORDINALITY AS event (kind, subject, place)
        WHERE place = number % 10 + 1
    ) AS event;
    UPDATE keyward.log_head SET revision = 1000;
    INSERT INTO keyward.refusal VALUES
        ('key_1', 'keys.revoke', 'OLD', now(), 3, now(), 'key_1', now(), 'key_1', NULL);";

/// What a program of the version before does when it refuses.
const REFUSE: &str = "INSERT INTO keyward.refusal AS known (actor, action, reason, hour, times,
        first_at, first_subject, last_at, last_subject, last_peer)
    VALUES ($1, 'keys.revoke', 'OLD', date_trunc('hour', now(), 'UTC'), 1, now(), 'a', now(), 'a', '')
    ON CONFLICT (actor, action, reason, hour) DO UPDATE SET times = known.times + 1";

async fn old_database() -> Database {
    let database = Database::empty();
    let client = database.connect().await;
    client.batch_execute(BASE).await.unwrap();
    for ((name, sql), version) in OLD.iter().zip(1_i32..) {
        client.batch_execute(sql).await.unwrap();
        client.execute(RECORD, &[&version, name, sql]).await.unwrap();
    }
    client.batch_execute(EVENTS).await.unwrap();
    database
}

#[tokio::test]
async fn events_of_the_version_before_are_chained_when_it_is_left() {
    let mut database = old_database().await;
    keyward(&database.url, &["migrate"]);
    let shown = keyward(&database.url, &["bootstrap"]);
    let token = shown.lines().find_map(|line| line.strip_prefix("export KEYWARD_TOKEN="));
    database.root_token = token.unwrap().to_owned();
    let oldest = "SELECT serves_from::int8 FROM keyward.migration WHERE version = 4";
    assert_eq!(database.number(oldest).await, 2);
    let site = Site { server: Server::start(&database).await, database };
    drop(create(&mut site.admin(), new_key("New")).await);
    let found = verdict(&site).await;
    assert_eq!((found.intact, found.last_number, found.last_revision), (true, 1002, 1002));
    let client = site.database.connect().await;
    for _ in 0..2 {
        client.execute_typed(REFUSE, &[(&"key_2", Type::TEXT)]).await.unwrap();
    }
    let old = AuditFilter { revision_max: 1000, ..AuditFilter::default() };
    let of = |domain: &str| AuditFilter { domain: domain.into(), ..old.clone() };
    let mut insight = site.server.insight();
    for (filter, count) in [(old.clone(), 1000), (of("red"), 800), (of("of-key"), 100)] {
        assert_eq!(list(&mut insight, filter.clone()).await.len(), count, "{filter:?}");
    }
    let refused = AuditFilter { action: "keys.revoke".into(), ..AuditFilter::default() };
    let refused = list(&mut insight, refused).await;
    let times: Vec<_> = refused.iter().map(|event| (event.actor.as_str(), event.times)).collect();
    assert_eq!(times, [("key_2", 2), ("key_1", 3)]);
}
