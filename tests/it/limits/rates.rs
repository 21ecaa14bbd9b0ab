//! Rates of keys: what is allowed, what is taken, and what changes of it.

use keyward::rpc::pb::{
    self, AuthorizeRequest, BatchAuthorizeRequest, LimitKind, LimitScope, LimitState, Mode,
};

use super::{
    DAY, ask, change_limits, costing, daily, in_mode, knows, left, limited, look, rate, seconds,
    span, use_once, use_up,
};
use crate::support::{
    client::{Asker, assert_invalid, may_read, verdict},
    eventually,
    operator::Site,
};

#[tokio::test]
async fn a_rate_allows_its_burst_and_then_says_when_to_come_again() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 3)]).await;
    for remaining in [2, 1, 0] {
        let response = ask(&site.server, may_read(&made.token)).await;
        assert_eq!(verdict(&response), "ALLOWED");
        assert_eq!(left(&response), [format!("key calls {remaining}")]);
        assert_eq!((response.retry_after, response.limits_degraded), (None, false));
    }
    let response = ask(&site.server, may_read(&made.token)).await;
    assert_eq!(verdict(&response), "429 RATE_LIMITED");
    assert_eq!(response.key_id, made.key.id);
    // a third of a day for each, less what has passed
    let third = 8.0 * 3600.0;
    let retry = span(response.retry_after);
    assert!(retry <= third && retry > third - 600.0, "{retry}");
    let [state] = response.limits.try_into().unwrap();
    let reset = span(state.reset);
    assert!(reset <= 3.0 * third && reset > 3.0 * third - 600.0, "{reset}");
    let expected = LimitState {
        name: "calls".into(),
        scope: LimitScope::Key.into(),
        kind: LimitKind::Rate.into(),
        limit: 3,
        window: Some(seconds(DAY)),
        remaining: 0,
        reset: state.reset,
        exceeded: true,
        cost_too_high: false,
    };
    assert_eq!(state, expected);
}

#[tokio::test]
async fn what_was_denied_is_allowed_after_its_time() {
    let site = Site::shared();
    let made = limited(&site, &[rate("calls", 1, 4)]).await;
    use_up(&site.server, &made.token, 1).await;
    assert_eq!(use_once(&site.server, &made.token).await, "429 RATE_LIMITED");
    eventually("another one is allowed", async || {
        (use_once(&site.server, &made.token).await == "ALLOWED").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_request_takes_what_it_costs_and_who_pays_nothing_only_looks() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 3)]).await;
    for (cost, expected, remaining) in [
        (0, "ALLOWED", "key calls 3"),
        (2, "ALLOWED", "key calls 1"),
        (2, "429 RATE_LIMITED", "key calls 1!"),
        (0, "ALLOWED", "key calls 1"),
        (1, "ALLOWED", "key calls 0"),
        (0, "ALLOWED", "key calls 0"),
    ] {
        let response = ask(&site.server, costing(&made.token, cost)).await;
        let found = (verdict(&response), left(&response));
        assert_eq!(found, (expected.into(), vec![remaining.into()]), "cost {cost}");
    }
}

#[tokio::test]
async fn what_costs_more_than_the_burst_is_told_that_waiting_does_not_help() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 3)]).await;
    let response = ask(&site.server, costing(&made.token, 4)).await;
    assert_eq!(verdict(&response), "429 RATE_LIMITED");
    assert_eq!((response.retry_after, left(&response)), (None, vec!["key calls 3!".into()]));
    assert!(response.limits[0].cost_too_high);
    use_up(&site.server, &made.token, 3).await;
}

#[tokio::test]
async fn a_burst_larger_than_the_limit_is_allowed_at_once() {
    let site = Site::shared();
    let period = Some(seconds(DAY));
    let bursty = pb::limit::Kind::Rate(pb::RateLimit { limit: 1, period, burst: 5 });
    let made = limited(&site, &[pb::Limit { name: "calls".into(), kind: Some(bursty) }]).await;
    use_up(&site.server, &made.token, 5).await;
    let response = ask(&site.server, may_read(&made.token)).await;
    assert_eq!((verdict(&response).as_str(), response.limits[0].limit), ("429 RATE_LIMITED", 1));
}

#[tokio::test]
async fn checking_takes_nothing_and_authenticating_ignores_limits() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 2)]).await;
    for _ in 0..4 {
        let response = ask(&site.server, in_mode(&made.token, Mode::CheckOnly)).await;
        assert_eq!(
            (verdict(&response), left(&response)),
            ("ALLOWED".into(), vec!["key calls 2".into()])
        );
    }
    use_up(&site.server, &made.token, 2).await;
    let response = ask(&site.server, in_mode(&made.token, Mode::CheckOnly)).await;
    assert_eq!(verdict(&response), "429 RATE_LIMITED");
    assert!(response.retry_after.is_some());
    let authenticating = AuthorizeRequest {
        permission: String::new(),
        ..in_mode(&made.token, Mode::AuthenticateOnly)
    };
    let response = ask(&site.server, authenticating).await;
    assert_eq!((verdict(&response), response.limits), ("ALLOWED".into(), vec![]));
}

#[tokio::test]
async fn what_is_denied_for_another_reason_takes_nothing_and_tells_no_limits() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 2)]).await;
    for (request, expected) in [
        (
            AuthorizeRequest { permission: "games.play".into(), ..may_read(&made.token) },
            "403 PERMISSION_DENIED",
        ),
        (
            AuthorizeRequest { environment: "staging".into(), ..may_read(&made.token) },
            "401 ENVIRONMENT_MISMATCH",
        ),
    ] {
        let response = ask(&site.server, request).await;
        assert_eq!((verdict(&response).as_str(), response.limits), (expected, vec![]));
    }
    assert_eq!(look(&site.server, &made.token).await, ["key calls 2"]);
}

#[tokio::test]
async fn of_two_limits_both_hold_and_what_is_denied_takes_from_neither() {
    let site = Site::shared();
    let made = limited(&site, &[daily("many", 10), rate("few", 3, 3600)]).await;
    use_up(&site.server, &made.token, 3).await;
    for _ in 0..3 {
        let response = ask(&site.server, may_read(&made.token)).await;
        assert_eq!(verdict(&response), "429 RATE_LIMITED");
        assert_eq!(left(&response), ["key many 7", "key few 0!"]);
    }
    let response = ask(&site.server, costing(&made.token, 11)).await;
    assert_eq!(left(&response), ["key many 7!", "key few 0!"]);
    assert_eq!(response.retry_after, None, "one of them never lets it pass");
    assert_eq!(look(&site.server, &made.token).await, ["key many 7", "key few 0"]);
}

#[tokio::test]
async fn a_batch_and_a_stream_are_charged_one_by_one() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 3)]).await;
    let Asker(mut client) = site.server.asker();
    let requests = vec![may_read(&made.token); 4];
    let answers = client.batch_authorize(BatchAuthorizeRequest { requests }).await.unwrap();
    let verdicts: Vec<_> = answers.get_ref().responses.iter().map(verdict).collect();
    assert_eq!(verdicts, ["ALLOWED", "ALLOWED", "ALLOWED", "429 RATE_LIMITED"]);

    let made = limited(&site, &[daily("calls", 2)]).await;
    let requests = tokio_stream::iter(vec![may_read(&made.token); 3]);
    let mut answers = client.stream_authorize(requests).await.unwrap().into_inner();
    let mut verdicts = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        verdicts.push(verdict(&answer));
    }
    assert_eq!(verdicts, ["ALLOWED", "ALLOWED", "429 RATE_LIMITED"]);
}

#[tokio::test]
async fn a_batch_that_is_malformed_takes_nothing() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 3)]).await;
    let Asker(mut client) = site.server.asker();
    let requests = vec![may_read(&made.token), costing(&made.token, -1)];
    let result = client.batch_authorize(BatchAuthorizeRequest { requests }).await;
    assert_invalid(result, &["requests[1].cost"]);
    assert_eq!(look(&site.server, &made.token).await, ["key calls 3"]);
}

#[tokio::test]
async fn a_cost_or_time_out_of_bounds_is_an_error_of_the_backend() {
    let site = Site::shared();
    let lasting =
        |mode: Mode, ttl| AuthorizeRequest { reservation_ttl: Some(ttl), ..in_mode("", mode) };
    let sub_millisecond = prost_types::Duration { seconds: 0, nanos: 999_999 };
    for (request, field) in [
        (costing("", -1), "cost"),
        (costing("", 1_000_000_001), "cost"),
        (lasting(Mode::Reserve, sub_millisecond), "reservation_ttl"),
        (lasting(Mode::Reserve, seconds(3601)), "reservation_ttl"),
        (lasting(Mode::Reserve, seconds(-1)), "reservation_ttl"),
        (lasting(Mode::Charge, seconds(1)), "reservation_ttl"),
        (lasting(Mode::CheckOnly, seconds(1)), "reservation_ttl"),
    ] {
        assert_invalid(site.server.asker().0.authorize(request).await, &[field]);
    }
    for request in [costing("", 1_000_000_000), lasting(Mode::Reserve, seconds(3600))] {
        assert_eq!(verdict(&ask(&site.server, request).await), "401 KEY_MISSING");
    }
}

#[tokio::test]
async fn a_limit_that_changes_counts_at_once_and_keeps_what_was_used() {
    let site = Site::shared();
    let server = &site.server;
    let made = limited(&site, &[daily("calls", 3)]).await;
    use_up(server, &made.token, 3).await;
    assert_eq!(use_once(server, &made.token).await, "429 RATE_LIMITED");
    change_limits(server, &made, &[daily("calls", 6)]).await;
    assert_eq!(look(server, &made.token).await, ["key calls 3"]);
    use_up(server, &made.token, 1).await;
    change_limits(server, &made, &[daily("calls", 5)]).await;
    assert_eq!(look(server, &made.token).await, ["key calls 1"]);
    change_limits(server, &made, &[daily("calls", 2)]).await;
    assert_eq!(look(server, &made.token).await, ["key calls 0"]);
    assert_eq!(use_once(server, &made.token).await, "429 RATE_LIMITED");
    change_limits(server, &made, &[daily("renamed", 2)]).await;
    assert_eq!(look(server, &made.token).await, ["key renamed 2"]);
    change_limits(server, &made, &[]).await;
    assert_eq!(look(server, &made.token).await, [""; 0]);
}

#[tokio::test]
async fn a_limit_that_is_added_leaves_the_others_as_they_are() {
    let site = Site::shared();
    let made = limited(&site, &[daily("calls", 3)]).await;
    use_up(&site.server, &made.token, 2).await;
    change_limits(&site.server, &made, &[daily("more", 9), daily("calls", 3)]).await;
    assert_eq!(look(&site.server, &made.token).await, ["key more 9", "key calls 1"]);
}

#[tokio::test]
async fn other_changes_of_a_key_keep_what_was_used() {
    let site = Site::shared();
    let (server, mut admin) = (&site.server, site.admin());
    let made = limited(&site, &[daily("calls", 3)]).await;
    use_up(server, &made.token, 2).await;
    let key = pb::Key {
        id: made.key.id.clone(),
        labels: [("team".to_owned(), "maps".to_owned())].into(),
        ..pb::Key::default()
    };
    let request = pb::UpdateKeyRequest {
        key: Some(key),
        update_mask: Some(prost_types::FieldMask { paths: vec!["labels".into()] }),
        validate_only: false,
    };
    let labelled = admin.update_key(request).await.unwrap().into_inner();
    knows(server, labelled.revision).await;
    assert_eq!(look(server, &made.token).await, ["key calls 1"]);

    let id = made.key.id.clone();
    let request =
        pb::DeactivateKeyRequest { id: id.clone(), ..pb::DeactivateKeyRequest::default() };
    let stopped = admin.deactivate_key(request).await.unwrap().into_inner();
    knows(server, stopped.revision).await;
    assert_eq!(use_once(server, &made.token).await, "401 KEY_INACTIVE");
    let request = pb::ActivateKeyRequest { id, ..pb::ActivateKeyRequest::default() };
    let started = admin.activate_key(request).await.unwrap().into_inner();
    knows(server, started.revision).await;
    assert_eq!(look(server, &made.token).await, ["key calls 1"]);
}

#[tokio::test]
async fn of_many_requests_at_once_exactly_as_many_pass_as_are_allowed() {
    let site = Site::shared();
    for limit in [daily("calls", 100), super::long_quota("calls", 100)] {
        let made = limited(&site, &[limit, daily("more", 1000)]).await;
        let mut workers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (Asker(mut client), token) = (site.server.asker(), made.token.clone());
            workers.spawn(async move {
                let mut allowed = 0;
                for _ in 0..40 {
                    let answer = client.authorize(may_read(&token)).await.unwrap();
                    allowed += usize::from(answer.get_ref().allowed);
                }
                allowed
            });
        }
        let mut allowed = 0;
        while let Some(worker) = workers.join_next().await {
            allowed += worker.unwrap();
        }
        assert_eq!(allowed, 100);
        assert_eq!(look(&site.server, &made.token).await, ["key calls 0", "key more 900"]);
    }
}
