//! The decision log and usage: what was decided, and how much keys are used.

mod callers;
mod faults;
mod listed;
mod usage;
mod usage_of_customers;
mod watched;

use keyward::rpc::pb::{
    AuthorizeRequest, DecisionFilter, ListDecisionsRequest, LoggedDecision, WatchDecisionsRequest,
    WatchDecisionsResponse,
};
use tonic::{Status, Streaming};

use crate::support::{
    client::{Insight, Made, may_read},
    database::Database,
    eventually,
    server::Server,
};

/// Logs all decisions, and does not throttle tests that try bad keys.
const ALL: [&str; 4] = ["--decision-log", "all", "--failure-limit", "off"];

/// All decisions that a filter shows, page by page.
async fn list_by(
    insight: &mut Insight,
    filter: DecisionFilter,
    page_size: i32,
) -> Result<Vec<LoggedDecision>, Status> {
    let mut decisions = Vec::new();
    let mut page_token = String::new();
    loop {
        let filter = Some(filter.clone());
        let request = ListDecisionsRequest { filter, page_size, page_token };
        let page = insight.list_decisions(request).await?.into_inner();
        decisions.extend(page.decisions);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(decisions);
        }
    }
}

/// Waits until a filter shows so many decisions, and returns them.
async fn until_listed(
    server: &Server,
    filter: DecisionFilter,
    count: usize,
) -> Vec<LoggedDecision> {
    let mut insight = server.insight();
    eventually("the decisions are stored", async || {
        let listed = list_by(&mut insight, filter.clone(), 0).await.unwrap();
        assert!(listed.len() <= count, "{listed:?}");
        (listed.len() == count).then_some(listed)
    })
    .await
}

/// Begins to watch: what is decided from now on is shown.
async fn watch(
    insight: &mut Insight,
    filter: DecisionFilter,
) -> Result<Streaming<WatchDecisionsResponse>, Status> {
    let request = WatchDecisionsRequest { filter: Some(filter) };
    let mut shown = insight.watch_decisions(request).await?.into_inner();
    let first = shown.message().await?;
    assert_eq!(first, Some(WatchDecisionsResponse::default()));
    Ok(shown)
}

/// Whether a key may read a route, by its method and on behalf of somebody.
fn reading(made: &Made, route: &str) -> AuthorizeRequest {
    AuthorizeRequest {
        route: route.into(),
        method: "GET".into(),
        customer: "acme".into(),
        client_address: "192.0.2.7".into(),
        min_revision: made.revision,
        ..may_read(&made.token)
    }
}

/// Only decisions about this key.
fn of_key(made: &Made) -> DecisionFilter {
    DecisionFilter { key_id: made.key.id.clone(), ..DecisionFilter::default() }
}

/// Only decisions on routes that begin so.
fn on_route(prefix: &str) -> DecisionFilter {
    DecisionFilter { route_prefix: prefix.into(), ..DecisionFilter::default() }
}

/// How many decisions are stored.
async fn stored(database: &Database) -> i64 {
    database.number("SELECT count(*) FROM keyward.decision").await
}
