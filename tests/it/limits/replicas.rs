//! Quotas of two replicas over one database.

use keyward::rpc::pb::{self, Mode, adjust_quota_request::Adjustment, limit_owner::Thing};

use super::{
    ask, in_mode, key_with, knows, left, long_quota, look, made, quotas::until_stored, use_once,
    use_up,
};
use crate::support::{
    client::{Made, verdict},
    database::Database,
    eventually,
    server::Server,
};

const OFTEN: [&str; 2] = ["--quota-flush-interval", "20ms"];
const SELDOM: [&str; 2] = ["--quota-flush-interval", "30m"];

/// Two replicas, and a key with a quota that both know.
async fn pair(arguments: &[&str], limit: i64) -> (Database, [Server; 2], Made) {
    let database = Database::new();
    let one = Server::start_with(&database, arguments).await;
    let other = Server::start_with(&database, arguments).await;
    let made = made(&one, key_with(&[long_quota("calls", limit)])).await;
    knows(&other, made.revision).await;
    (database, [one, other], made)
}

async fn until_left(server: &Server, made: &Made, expected: &str) {
    eventually(expected, async || (look(server, &made.token).await == [expected]).then_some(()))
        .await;
}

async fn adjust(server: &Server, made: &Made, adjustment: Adjustment) -> pb::AdjustQuotaResponse {
    let thing = Some(Thing::KeyId(made.key.id.clone()));
    let request = pb::AdjustQuotaRequest {
        owner: Some(pb::LimitOwner { domain: String::new(), thing }),
        quota: "calls".into(),
        adjustment: Some(adjustment),
        validate_only: false,
    };
    server.access().adjust_quota(request).await.unwrap().into_inner()
}

/// What is left, by a question that takes nothing.
async fn checked(server: &Server, made: &Made) -> Vec<String> {
    left(&ask(server, in_mode(&made.token, Mode::CheckOnly)).await)
}

#[tokio::test]
async fn replicas_learn_what_the_others_have_used() {
    let (_database, [one, other], made) = pair(&OFTEN, 100).await;
    use_up(&one, &made.token, 30).await;
    use_up(&other, &made.token, 20).await;
    until_left(&one, &made, "key calls 50").await;
    until_left(&other, &made, "key calls 50").await;
}

#[tokio::test]
async fn a_replica_that_is_only_asked_whether_learns_it_too() {
    let (database, [one, other], made) = pair(&OFTEN, 3).await;
    use_up(&one, &made.token, 3).await;
    until_stored(&database, 3).await;
    eventually("the other one knows that nothing is left", async || {
        let response = ask(&other, in_mode(&made.token, Mode::CheckOnly)).await;
        (verdict(&response) == "429 QUOTA_EXHAUSTED").then_some(())
    })
    .await;
}

#[tokio::test]
async fn replicas_together_overshoot_by_no_more_than_one_of_them_allows_in_an_interval() {
    // none is stored meanwhile: the most that two can allow is the quota twice
    let (database, [one, other], made) = pair(&SELDOM, 10).await;
    for server in [&one, &other] {
        use_up(server, &made.token, 10).await;
        assert_eq!(use_once(server, &made.token).await, "429 QUOTA_EXHAUSTED");
    }
    one.stop().await;
    other.stop().await;
    until_stored(&database, 20).await;
    // and nothing is allowed when that is known
    let server = Server::start_with(&database, &SELDOM).await;
    assert_eq!(use_once(&server, &made.token).await, "429 QUOTA_EXHAUSTED");
}

#[tokio::test]
async fn a_quota_that_others_have_used_up_is_used_up_here_after_an_interval() {
    let (database, [one, other], made) = pair(&OFTEN, 10).await;
    use_up(&one, &made.token, 10).await;
    until_stored(&database, 10).await;
    let mut allowed = 0;
    eventually("the other one denies", async || {
        let verdict = use_once(&other, &made.token).await;
        allowed += i64::from(verdict == "ALLOWED");
        (verdict == "429 QUOTA_EXHAUSTED").then_some(())
    })
    .await;
    assert!(allowed <= 10, "{allowed}");
    until_stored(&database, 10 + allowed).await;
}

#[tokio::test]
async fn what_an_operator_says_was_used_counts_at_once_on_both() {
    let (_database, [one, other], made) = pair(&OFTEN, 10).await;
    use_up(&one, &made.token, 10).await;
    until_left(&other, &made, "key calls 0").await;
    let adjusted = adjust(&one, &made, Adjustment::Used(0)).await;
    let usage = adjusted.quota.unwrap();
    assert_eq!((usage.used, usage.remaining), (0, 10));
    for server in [&one, &other] {
        knows(server, adjusted.revision).await;
        assert_eq!(checked(server, &made).await, ["key calls 10"]);
    }
    use_up(&other, &made.token, 10).await;
    assert_eq!(use_once(&other, &made.token).await, "429 QUOTA_EXHAUSTED");
}

#[tokio::test]
async fn credits_count_at_once_on_both() {
    let (_database, [one, other], made) = pair(&OFTEN, 10).await;
    use_up(&one, &made.token, 10).await;
    until_left(&other, &made, "key calls 0").await;
    for (credits, expected) in [(5, "key calls 5"), (-3, "key calls 2"), (-99, "key calls 0")] {
        let adjusted = adjust(&other, &made, Adjustment::AddCredits(credits)).await;
        for server in [&one, &other] {
            knows(server, adjusted.revision).await;
            let state = checked(server, &made).await;
            assert_eq!(state[0].trim_end_matches('!'), expected, "{credits} credits");
        }
    }
}

#[tokio::test]
async fn what_is_not_stored_yet_is_added_to_what_an_operator_says() {
    let (database, [one, other], made) = pair(&SELDOM, 10).await;
    use_up(&one, &made.token, 4).await;
    let adjusted = adjust(&other, &made, Adjustment::Used(1)).await;
    knows(&one, adjusted.revision).await;
    knows(&other, adjusted.revision).await;
    assert_eq!(checked(&one, &made).await, ["key calls 5"]);
    assert_eq!(checked(&other, &made).await, ["key calls 9"]);
    one.stop().await;
    until_stored(&database, 5).await;
}
