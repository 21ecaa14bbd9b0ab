//! Answers: prost writes the same bytes.

use std::time::Duration;

use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{select, subsequence},
};
use prost::Message;

use crate::{
    authorize::Outcome,
    decide::{
        Check, Decision, Finding, Reason,
        explain::{Explained, Explanation},
    },
    limiter::{Applicable, Verdict},
    model::{
        customer::CustomerId,
        decision::DecisionId,
        fixture::{KeyBuilder, key, user},
        id::KeyId,
        limit::{Limits, Rule},
        meter::{Fit, Gauge, Metered, Owner, Reading, Scope},
        name::DomainName,
        reservation::{ReservationId, Tag},
        time::{BootTime, Timestamp},
    },
    replica::Knowledge,
    rpc::{
        convert::{explanation_to_pb, reason_to_pb},
        pb,
        wire::answer::{Answer, next_id},
    },
};

fn duration_to_pb(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: duration.subsec_nanos().try_into().unwrap() }
}

fn reading_to_pb((gauge, reading): (Gauge<'_>, &Reading)) -> pb::LimitState {
    let (kind, limit) = match &gauge.limit.rule {
        Rule::Rate(rate) => (pb::LimitKind::Rate, rate.limit().into()),
        Rule::Quota(quota) => (pb::LimitKind::Quota, quota.limit()),
        Rule::Concurrency(slots) => (pb::LimitKind::Concurrency, slots.limit().into()),
    };
    let scope = match gauge.scope {
        Scope::Key => pb::LimitScope::Key,
        Scope::User => pb::LimitScope::User,
        Scope::Customer => pb::LimitScope::Customer,
        Scope::Domain => pb::LimitScope::Domain,
    };
    pb::LimitState {
        name: gauge.limit.name.to_string(),
        scope: scope.into(),
        kind: kind.into(),
        limit,
        window: reading.window.map(duration_to_pb),
        remaining: reading.remaining,
        reset: Some(duration_to_pb(reading.reset)),
        exceeded: reading.fit != Fit::Fits,
        cost_too_high: reading.fit == Fit::TooCostly,
    }
}

fn reservation_to_pb((id, end): (ReservationId, Timestamp)) -> pb::Reservation {
    let nanos = end.micros().rem_euclid(1_000_000) * 1000;
    let seconds = end.micros().div_euclid(1_000_000);
    let end = prost_types::Timestamp { seconds, nanos: nanos.try_into().unwrap() };
    pb::Reservation { id: id.to_string(), expire_time: Some(end) }
}

/// The message that an answer is.
fn answer_to_pb(answer: &Answer) -> pb::AuthorizeResponse {
    let outcome = &answer.outcome;
    let (allowed, http_status, reason) = match outcome.decision {
        Decision::Allow => (true, 200, pb::Reason::Unspecified),
        Decision::Deny(reason) => (false, i32::from(reason.http_status()), reason_to_pb(reason)),
    };
    let mut response = pb::AuthorizeResponse {
        allowed,
        http_status,
        reason: reason.into(),
        revision: outcome.knowledge.revision,
        data_age: Some(duration_to_pb(outcome.knowledge.age)),
        decision_id: answer.id.to_string(),
        ..pb::AuthorizeResponse::default()
    };
    if let Some(key) = &outcome.key {
        response.key_id = key.id.to_string();
        response.domain = key.profile.domain.name.to_string();
        if let Some(user) = &key.profile.user {
            response.user = user.facts.latest().id.to_string();
        }
        let labels = key.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        response.labels = labels.collect();
    }
    if let Some(verdict) = &outcome.verdict {
        response.limits = verdict.readings().map(reading_to_pb).collect();
        response.limits_degraded = verdict.degraded;
    }
    response.retry_after = outcome.retry_after.map(duration_to_pb);
    response.reservation = outcome.reservation.map(reservation_to_pb);
    response.explanation = outcome.explanation.as_deref().map(explanation_to_pb);
    response
}

const REASONS: [Reason; 18] = [
    Reason::KeyMissing,
    Reason::KeyMalformed,
    Reason::KeyAmbiguous,
    Reason::FailuresThrottled,
    Reason::KeyUnknown,
    Reason::KeyInactive,
    Reason::KeyExpired,
    Reason::KeyNotYetValid,
    Reason::UserDisabled,
    Reason::DomainDisabled,
    Reason::EnvironmentMismatch,
    Reason::AddressDenied,
    Reason::CustomerDenied,
    Reason::RouteDenied,
    Reason::PermissionDenied,
    Reason::RateLimited,
    Reason::QuotaExhausted,
    Reason::ConcurrencyExceeded,
];

fn decisions() -> impl Strategy<Value = Decision> {
    prop_oneof![1 => Just(Decision::Allow), 3 => select(&REASONS).prop_map(Decision::Deny)]
}

fn keys() -> impl Strategy<Value = KeyBuilder> {
    let labels = vec(("[a-z][a-z0-9]{0,20}", "[a-zé]{0,60}"), 0..5).prop_map(|labels| {
        let labels: std::collections::BTreeMap<_, _> = labels.into_iter().collect();
        let lines = labels.iter().map(|(name, value)| format!("{name}={value}"));
        lines.collect::<Vec<_>>().join("\n")
    });
    (any::<[u8; 16]>(), labels, any::<bool>()).prop_map(|(id, labels, has_user)| {
        let key = key().id(KeyId::from_bytes(id)).stored_labels(&labels);
        if has_user { key.user(user(&["*"], &[])) } else { key }
    })
}

fn readings() -> impl Strategy<Value = Reading> {
    let fits = select(vec![Fit::Fits, Fit::Exceeded, Fit::TooCostly]);
    let durations = (option::of(any::<Duration>()), any::<i64>(), any::<Duration>());
    (fits, durations).prop_map(|(fit, (window, remaining, reset))| Reading {
        window,
        remaining,
        reset,
        fit,
        wait: None,
    })
}

/// The limits of a key and of a customer, some of each.
fn limits() -> impl Strategy<Value = Applicable> {
    let rules = ["r:rate:100:1000000:5", "quota-of-the-day:quota:1000:day", "c:concurrency:10"];
    let some = move || subsequence(rules.to_vec(), 0..=3);
    (some(), some()).prop_map(|(of_key, of_customer)| {
        let domain = DomainName::parse("default").unwrap();
        let customer = CustomerId::parse("c-1").unwrap();
        let place = (Owner::Customer(domain.clone(), customer), Tag::of(&domain));
        let limits = Limits::parse(&of_customer).unwrap();
        let customer = Metered::new(place, limits, None, BootTime::from_nanos(1));
        Applicable::new(&key().limits(&of_key).build(), Some(customer))
    })
}

fn explanations() -> impl Strategy<Value = Explanation> {
    (decisions(), vec(".{0,80}", 0..4), option::of("[a-z]{1,9}")).prop_map(
        |(decision, details, needed)| {
            let finding = Finding::Failed(Reason::UserDisabled);
            let check = |detail| Explained { check: Check::User, finding, detail };
            let checks = details.into_iter().map(check).collect();
            Explanation { checks, decision, needed: needed.map(Into::into) }
        },
    )
}

/// All that can be answered, and more.
pub(in crate::rpc) fn answers() -> impl Strategy<Value = Answer> {
    let reservations = (any::<[u8; 16]>(), any::<i32>()).prop_map(|(random, end)| {
        let text = format!("rsv_{:032x}", u128::from_be_bytes(random));
        (ReservationId::parse(&text).unwrap(), Timestamp::from_micros(i64::from(end) * 999_983))
    });
    let verdicts = (limits(), vec(readings(), 6), any::<bool>());
    let verdicts = verdicts.prop_map(|(applicable, readings, degraded)| {
        Verdict::new(applicable, readings.into(), degraded)
    });
    let parts = (
        decisions(),
        option::of(keys()),
        (any::<i64>(), any::<Duration>()),
        option::of(explanations()),
        option::of(verdicts),
        option::of(any::<Duration>()),
        option::of(reservations),
        (any::<u64>(), any::<u64>(), 0..64_u32),
    );
    parts.prop_map(|parts| {
        let (decision, key, (revision, age), explanation, verdict, retry_after, ..) = &parts;
        let (.., reservation, (thread, count, shift)) = &parts;
        let outcome = Outcome {
            decision: *decision,
            key: key.as_ref().map(|key| key.build().into()),
            knowledge: Knowledge { revision: *revision, age: *age },
            explanation: explanation.clone().map(Box::new),
            verdict: verdict.clone(),
            retry_after: *retry_after,
            reservation: *reservation,
            due: None,
        };
        Answer { outcome, id: DecisionId { thread: *thread, count: count >> shift } }
    })
}

proptest! {
    #[test]
    fn an_answer_is_written_as_prost_writes_it(answer in answers()) {
        let mut written = Vec::new();
        answer.write(&mut written);
        prop_assert_eq!(written, answer_to_pb(&answer).encode_to_vec());
    }

    #[test]
    fn a_batch_is_written_as_prost_writes_it(answers in vec(answers(), 0..4)) {
        let mut written = b"before".to_vec();
        for answer in &answers {
            answer.write_next(&mut written);
        }
        let responses = answers.iter().map(answer_to_pb).collect();
        let expected = pb::BatchAuthorizeResponse { responses }.encode_to_vec();
        prop_assert_eq!(written, [&b"before"[..], &expected].concat());
    }
}

#[test]
fn ids_of_decisions_differ_and_count() {
    let [first, second] = [next_id(), next_id()];
    assert_eq!(first.thread, second.thread);
    assert_eq!(first.count + 1, second.count);
    let id = DecisionId { thread: 0xabc, count: 0 };
    assert_eq!(id.to_string(), "dec_0000000000000abc0");
}
