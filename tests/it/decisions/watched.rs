//! Who watches sees what is decided, and nothing of others.

use keyward::rpc::pb::{
    DecisionFilter, RevocationReason, RevokeKeyRequest, WatchDecisionsResponse,
};
use tonic::{Code, Streaming};

use super::{ALL, of_key, on_route, reading, watch};
use crate::support::{
    client::{assert_status, create, may_read, new_key},
    database::Database,
    gate::Gate,
    operator::Site,
    server::Server,
};

/// The routes of what is shown, until there are so many.
async fn routes(shown: &mut Streaming<WatchDecisionsResponse>, count: usize) -> Vec<String> {
    let mut routes = Vec::new();
    while routes.len() < count {
        let message = shown.message().await.unwrap().unwrap();
        assert_eq!(message.dropped, 0);
        routes.extend(message.decisions.into_iter().map(|one| one.route));
    }
    routes
}

#[tokio::test]
async fn what_is_decided_is_shown_by_filter_also_without_a_database() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("watched", &database);
    gate.open();
    let server = Server::start_with(&beyond, &ALL).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    let mut asker = server.asker();
    asker.ask(reading(&made, "/before")).await;
    let mut insight = server.insight();
    let mut all = watch(&mut insight, of_key(&made)).await.unwrap();
    let mut some = watch(&mut insight, on_route("/some")).await.unwrap();
    gate.shut();
    for route in ["/any/1", "/some/2"] {
        asker.ask(reading(&made, route)).await;
    }
    assert_eq!(routes(&mut some, 1).await, ["/some/2"]);
    let shown = routes(&mut all, 2).await;
    assert_eq!(shown[shown.len() - 2..], ["/any/1", "/some/2"]);
}

#[tokio::test]
async fn who_may_no_more_is_shown_no_more() {
    let site = Site::start(&ALL).await;
    let reader = site.operator(&["keyward.decisions.read"]).await;
    let mut insight = site.server.insight_as(&reader.made.token);
    let mut shown = watch(&mut insight, DecisionFilter::default()).await.unwrap();
    let request = RevokeKeyRequest {
        reason: RevocationReason::Compromised.into(),
        id: reader.made.key.id.clone(),
        ..RevokeKeyRequest::default()
    };
    site.admin().revoke_key(request).await.unwrap();
    let mut asker = site.server.asker();
    let ended = loop {
        // as busy a replica as can be does not put it off
        asker.ask(may_read("")).await;
        match shown.message().await {
            Ok(message) => assert!(message.is_some()),
            Err(status) => break status,
        }
    };
    assert_status::<()>(Err(ended), Code::Unauthenticated, "KEY_INACTIVE");
}

#[tokio::test]
async fn a_replica_that_goes_down_ends_what_is_watched() {
    let site = Site::start(&ALL).await;
    let mut shown = watch(&mut site.server.insight(), DecisionFilter::default()).await.unwrap();
    let stopping = site.server.stop();
    let ended = async { shown.message().await.unwrap_err() };
    let ((), ended) = tokio::join!(stopping, ended);
    assert_status::<()>(Err(ended), Code::Unavailable, "DRAINING");
}

#[tokio::test]
async fn no_more_than_sixteen_watch() {
    let site = Site::start(&ALL).await;
    let mut insight = site.server.insight();
    let mut shown = Vec::new();
    for _ in 0..16 {
        shown.push(watch(&mut insight, DecisionFilter::default()).await.unwrap());
    }
    let result = watch(&mut insight, DecisionFilter::default()).await;
    assert_status(result, Code::ResourceExhausted, "TOO_MANY_WATCHERS");
}
