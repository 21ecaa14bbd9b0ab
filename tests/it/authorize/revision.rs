//! Decisions with knowledge of at least some revision.

use keyward::rpc::pb::AuthorizeRequest;
use tokio::time::timeout;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{
    TIME_MAX,
    client::{assert_status, create, may_read, new_key},
    database::Database,
    pgbouncer::PgBouncer,
    server::Server,
};

#[tokio::test]
async fn a_revision_that_is_far_away_is_not_waited_for() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut asker = server.asker();
    let request = AuthorizeRequest { min_revision: i64::MAX, ..may_read("unheard-of") };
    // the limit is a quarter of a second, and no part of this test's claim is how fast it runs
    let result = timeout(TIME_MAX / 6, asker.0.authorize(request)).await;
    let status = assert_status(result.unwrap(), Code::Unavailable, "REVISION_NOT_REACHED");
    let details = status.get_error_details();
    let retry = details.retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some_and(|delay| !delay.is_zero()), "{status:?}");
}

#[tokio::test]
async fn a_revision_just_made_is_fetched_where_neither_notice_nor_timer_comes() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let (_bouncer, behind) = PgBouncer::start("nudge", &database).await;
    let replica = Server::start_with(&behind, &["--poll-interval", "30m"]).await;
    let mut asker = replica.asker();
    for name in ["First", "Second", "Third"] {
        let made = create(&mut server.admin(), new_key(name)).await;
        assert_eq!(asker.verdict(&made.token, 0).await, "401 KEY_UNKNOWN");
        assert_eq!(asker.verdict(&made.token, made.revision).await, "ALLOWED");
    }
}
