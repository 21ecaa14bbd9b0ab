//! Many requests in one message.

use keyward::rpc::pb::{AuthorizeRequest, BatchAuthorizeRequest};

use crate::support::{
    client::{assert_invalid, create, may_read, new_key, verdict},
    database::Database,
    server::Server,
};

fn batch(requests: Vec<AuthorizeRequest>) -> BatchAuthorizeRequest {
    BatchAuthorizeRequest { requests }
}

#[tokio::test]
async fn a_thousand_answers_come_in_the_order_of_their_requests() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("Batch")).await;
    let mut asker = server.asker();
    asker.until(&made.token, "ALLOWED").await;
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for number in 0..1000_u32 {
        let (token, permission, answer) = match number * number % 7 {
            0 => (made.token.as_str(), "systems.read", "ALLOWED"),
            1 => (made.token.as_str(), "games.play", "403 PERMISSION_DENIED"),
            2 => ("", "systems.read", "401 KEY_MISSING"),
            _ => ("unheard-of", "systems.read", "401 KEY_UNKNOWN"),
        };
        requests.push(AuthorizeRequest {
            permission: permission.into(),
            min_revision: made.revision,
            ..may_read(token)
        });
        expected.push(answer);
    }
    let answers = asker.0.batch_authorize(batch(requests)).await.unwrap();
    let found: Vec<_> = answers.get_ref().responses.iter().map(verdict).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_batch_of_none_or_too_many_is_refused() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut asker = server.asker();
    for size in [0, 1001] {
        let requests = vec![may_read("unheard-of"); size];
        let result = asker.0.batch_authorize(batch(requests)).await;
        assert_invalid(result, &["requests"]);
    }
}

#[tokio::test]
async fn a_wrong_request_in_a_batch_is_named_by_its_place() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let mut asker = server.asker();
    let mut requests = vec![may_read("unheard-of"); 5];
    requests[3].environment.clear();
    requests[3].min_revision = -5;
    let result = asker.0.batch_authorize(batch(requests)).await;
    let named = ["requests[3].environment", "requests[3].min_revision"];
    assert_invalid(result, &named);
}
