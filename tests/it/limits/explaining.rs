//! Limits as operators see them who ask what a decision would be.

use keyward::rpc::pb::{AuthorizeRequest, Check, CheckOutcome, CheckResult, Reason, SettleRequest};
use tonic::Code;

use super::{daily, in_mode, limited, look, use_up};
use crate::support::{
    client::{assert_status, may_read, verdict},
    operator::Site,
};

async fn explained(site: &Site, token: &str) -> (String, CheckResult) {
    let mut explainer = site.server.explainer_as(&site.database.root_token);
    let request = AuthorizeRequest { explain: true, ..may_read(token) };
    let response = explainer.authorize(request).await.unwrap().into_inner();
    let verdict = verdict(&response);
    (verdict, response.explanation.unwrap().checks.pop().unwrap())
}

#[tokio::test]
async fn an_explanation_tells_what_limits_say_and_takes_nothing() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 2)]).await;
    let check = |outcome: CheckOutcome, reason: Reason, detail: &str| CheckResult {
        check: Check::Limits.into(),
        outcome: outcome.into(),
        reason: reason.into(),
        detail: detail.into(),
    };
    let passed = check(CheckOutcome::Passed, Reason::Unspecified, "calls: 2 left");
    for _ in 0..3 {
        assert_eq!(explained(&site, &made.token).await, ("ALLOWED".into(), passed.clone()));
    }
    assert_eq!(look(&site.server, &made.token).await, ["key calls 2"]);
    use_up(&site.server, &made.token, 2).await;
    let failed = check(CheckOutcome::Failed, Reason::RateLimited, "calls: exceeded, 0 left");
    assert_eq!(explained(&site, &made.token).await, ("429 RATE_LIMITED".into(), failed));
}

#[tokio::test]
async fn an_operator_neither_reserves_nor_settles() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 2)]).await;
    let mut explainer = site.server.explainer_as(&site.database.root_token);
    let request = in_mode(&made.token, keyward::rpc::pb::Mode::Reserve);
    let response = explainer.authorize(request).await.unwrap().into_inner();
    assert_eq!((verdict(&response), response.reservation), ("ALLOWED".into(), None));
    assert_eq!(look(&site.server, &made.token).await, ["key calls 2"]);
    let request = SettleRequest { reservation: format!("rsv_{}", "0".repeat(32)), actual_cost: 0 };
    let result = explainer.settle(request).await;
    assert_status(result, Code::Unimplemented, "OTHER_LISTENER");
}
