//! Which events are shown, and how.

use std::collections::BTreeSet;

use keyward::rpc::pb::{
    self, AuditEvent, AuditFilter, AuditOutcome, CreateKeyRequest, ListAuditEventsRequest,
};
use tonic::Request;

use super::{deactivate, export, list, list_by, site_with};
use crate::support::{
    client::{Made, assert_invalid, create, new_key},
    operator::Site,
};

/// One change of each sort, and one refused attempt.
struct Story {
    site: Site,
    key: Made,
    /// Who is refused.
    reader: Made,
    root_id: String,
}

impl Story {
    async fn new() -> Self {
        let (site, _) = site_with(0).await;
        let root_id = site.root_id().await;
        let request = CreateKeyRequest { request_id: "make-it".into(), ..new_key("Told of") };
        let key = create(&mut site.admin(), request).await;
        deactivate(&mut site.admin(), &key.key.id).await;
        let user = pb::User {
            id: "ida".into(),
            kind: pb::UserKind::Person.into(),
            display_name: "Ida".into(),
            ..pb::User::default()
        };
        let mut request =
            Request::new(pb::CreateUserRequest { user: Some(user), validate_only: false });
        request.metadata_mut().insert("x-request-id", "from-metadata".parse().unwrap());
        site.server.access().create_user(request).await.unwrap();
        let reader = site.operator(&["keyward.keys.read"]).await;
        let mut request = Request::new(pb::DeactivateKeyRequest {
            id: key.key.id.clone(),
            ..pb::DeactivateKeyRequest::default()
        });
        request.metadata_mut().insert("x-request-id", "refused-1".parse().unwrap());
        reader.admin.clone().deactivate_key(request).await.unwrap_err();
        Self { site, key, reader: reader.made, root_id }
    }

    /// The actions of the events that a filter lets through.
    async fn actions(&self, filter: AuditFilter) -> Vec<String> {
        let events = list(&mut self.site.server.insight(), filter).await;
        events.into_iter().map(|event| event.action).collect()
    }
}

/// All of the story, the newest first.
const ALL: [&str; 6] = [
    "keys.deactivate",
    "keys.create",
    "users.create",
    "keys.deactivate",
    "keys.create",
    "keys.bootstrap",
];

fn by(set: impl FnOnce(&mut AuditFilter)) -> AuditFilter {
    let mut filter = AuditFilter::default();
    set(&mut filter);
    filter
}

#[tokio::test]
async fn each_filter_narrows() {
    let story = Story::new().await;
    let Story { key, reader, root_id, .. } = &story;
    let all = list(&mut story.site.server.insight(), AuditFilter::default()).await;
    let made = all[4].time;
    let cases: Vec<(AuditFilter, Vec<&str>)> = vec![
        (AuditFilter::default(), ALL.to_vec()),
        (by(|it| it.kind = "user".into()), vec!["users.create"]),
        (by(|it| it.kind = "key".into()), vec![ALL[0], ALL[1], ALL[3], ALL[4], ALL[5]]),
        (by(|it| it.subject = key.key.id.clone()), vec![ALL[0], ALL[3], ALL[4]]),
        (by(|it| it.subject = "default/ida".into()), vec!["users.create"]),
        (by(|it| it.actor = reader.key.id.clone()), vec!["keys.deactivate"]),
        (by(|it| it.actor = root_id.clone()), ALL[1..5].to_vec()),
        (by(|it| it.actor = "bootstrap".into()), vec!["keys.bootstrap"]),
        (by(|it| it.action = "keys.".into()), vec![ALL[0], ALL[1], ALL[3], ALL[4], ALL[5]]),
        (by(|it| it.action = "keys.de".into()), vec!["keys.deactivate"; 2]),
        (by(|it| it.action = "%".into()), vec![]),
        (by(|it| it.domain = "default".into()), vec![ALL[0], ALL[2], ALL[3], ALL[4]]),
        (by(|it| it.domain = "keyward".into()), vec!["keys.create", "keys.bootstrap"]),
        (by(|it| it.set_outcome(AuditOutcome::Refused)), vec!["keys.deactivate"]),
        (by(|it| it.set_outcome(AuditOutcome::Changed)), ALL[1..].to_vec()),
        (by(|it| it.start_time = made), ALL[..5].to_vec()),
        (by(|it| it.end_time = made), vec!["keys.bootstrap"]),
        (by(|it| it.revision_min = key.revision), ALL[1..5].to_vec()),
        (by(|it| it.revision_max = key.revision), vec!["keys.create", "keys.bootstrap"]),
        (by(|it| it.request_id = "make-it".into()), vec!["keys.create"]),
        (by(|it| it.request_id = "from-metadata".into()), vec!["users.create"]),
        (by(|it| it.request_id = "refused-1".into()), vec!["keys.deactivate"]),
        (by(|it| it.subject = "nobody".into()), vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(story.actions(filter.clone()).await, expected, "{filter:?}");
        let mut exported = export(&mut story.site.server.insight(), filter.clone()).await.unwrap();
        exported.reverse();
        let listed = list(&mut story.site.server.insight(), filter.clone()).await;
        assert_eq!(exported, listed, "{filter:?}");
    }
}

#[tokio::test]
async fn an_event_says_who_did_what_to_what_and_how_it_was() {
    let story = Story::new().await;
    let Story { key, reader, root_id, .. } = &story;
    let all = list(&mut story.site.server.insight(), AuditFilter::default()).await;
    let (refused, stopped, made) = (&all[0], &all[3], &all[4]);
    let expected = AuditEvent {
        outcome: AuditOutcome::Changed.into(),
        time: made.time,
        actor: root_id.clone(),
        peer: "127.0.0.1".into(),
        action: "keys.create".into(),
        kind: "key".into(),
        subject: key.key.id.clone(),
        domain: "default".into(),
        request_id: "make-it".into(),
        revision: key.revision,
        position: 1,
        number: 2,
        hash: made.hash.clone(),
        before: None,
        after: stopped.before.clone(),
        ..AuditEvent::default()
    };
    assert_eq!(made, &expected);
    assert_eq!(made.hash.len(), 64);
    let after = made.after.clone().unwrap().fields;
    assert_eq!(
        after["display_name"].kind,
        Some(prost_types::value::Kind::StringValue("Told of".into()))
    );
    let expected = AuditEvent {
        outcome: AuditOutcome::Refused.into(),
        time: refused.time,
        actor: reader.key.id.clone(),
        peer: "127.0.0.1".into(),
        action: "keys.deactivate".into(),
        kind: "key".into(),
        subject: key.key.id.clone(),
        domain: "default".into(),
        request_id: "refused-1".into(),
        reason: "PERMISSION_MISSING".into(),
        times: 1,
        last_time: refused.time,
        last_subject: key.key.id.clone(),
        ..AuditEvent::default()
    };
    assert_eq!(refused, &expected);
    // no token, and no part of one that no hint has
    let told = format!("{all:?}");
    for token in [&key.token, &reader.token] {
        let (_, random) = token.rsplit_once('_').unwrap();
        let inner = &random[4..random.len() - 4];
        let parts = inner.as_bytes().windows(8).map(|part| str::from_utf8(part).unwrap());
        assert_eq!(parts.filter(|part| told.contains(part)).count(), 0);
    }
}

#[tokio::test]
async fn pages_have_every_event_once_though_others_come_meanwhile() {
    let story = Story::new().await;
    let mut insight = story.site.server.insight();
    let whole = list(&mut insight, AuditFilter::default()).await;
    for size in 1..=7 {
        assert_eq!(list_by(&mut insight, AuditFilter::default(), size).await.unwrap(), whole);
    }
    let request = ListAuditEventsRequest { page_size: 2, ..ListAuditEventsRequest::default() };
    let first = insight.list_audit_events(request.clone()).await.unwrap().into_inner();
    // a new event, and one more attempt of those that are counted together
    drop(create(&mut story.site.admin(), new_key("Meanwhile")).await);
    let id = story.key.key.id.clone();
    let again = pb::DeactivateKeyRequest { id, ..pb::DeactivateKeyRequest::default() };
    story.site.server.admin_as(&story.reader.token).deactivate_key(again).await.unwrap_err();
    let mut seen: Vec<_> = first.events.clone();
    let mut page_token = first.next_page_token;
    while !page_token.is_empty() {
        let request = ListAuditEventsRequest { page_token, ..request.clone() };
        let page = insight.list_audit_events(request).await.unwrap().into_inner();
        seen.extend(page.events);
        page_token = page.next_page_token;
    }
    assert_eq!(seen, whole);
    let newer = list(&mut insight, AuditFilter::default()).await;
    let times: BTreeSet<i64> = newer.iter().map(|event| event.times).collect();
    assert_eq!((newer.len(), times), (7, BTreeSet::from([0, 2])));
}

#[tokio::test]
async fn a_page_goes_on_with_its_own_filter_only() {
    let story = Story::new().await;
    let mut insight = story.site.server.insight();
    let request = ListAuditEventsRequest { page_size: 1, ..ListAuditEventsRequest::default() };
    let page_token =
        insight.list_audit_events(request.clone()).await.unwrap().into_inner().next_page_token;
    let filter = Some(by(|it| it.kind = "key".into()));
    let other = ListAuditEventsRequest { filter, page_token, ..request };
    assert_invalid(insight.list_audit_events(other).await, &["page_token"]);
}
