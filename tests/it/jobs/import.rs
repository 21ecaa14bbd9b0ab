//! Importing keys.

use keyward::rpc::pb::{self, AuditFilter, ImportConflict, ImportKeyItem, JobState};
use tonic::Code;

use super::{counts, ended, errors, import, item, messages, options, send};
use crate::support::{
    client::{assert_invalid, assert_status, create, new_key},
    operator::{NO_USES, Site},
    server::Server,
};

/// SHA-256 of `legacy-token-by-digest`.
fn digest() -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, b"legacy-token-by-digest").as_ref().to_vec()
}

#[tokio::test]
async fn imported_tokens_and_digests_open_keys_on_every_replica() {
    let site = Site::start(&NO_USES).await;
    let second = Server::start(&site.database).await;
    let mut admin = site.admin();
    let by_digest = ImportKeyItem {
        display_name: "By digest".into(),
        sha256: digest(),
        hint: "lega…gest".into(),
        labels: [("legacy-id".into(), "4711".into())].into(),
        ..ImportKeyItem::default()
    };
    let items = [item("legacy-token-in-plain-text"), by_digest];
    let begun = import(&mut admin, options(), &items).await.unwrap();
    assert_eq!((begun.total, begun.domain.as_str()), (2, "default"));
    let done = ended(&mut site.server.insight(), &begun.id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [2, 2, 0, 0]));
    for server in [&site.server, &second] {
        server.asker().until("legacy-token-in-plain-text", "ALLOWED").await;
        server.asker().until("legacy-token-by-digest", "ALLOWED").await;
    }
    let request = pb::LookupKeyRequest { token: "legacy-token-by-digest".into() };
    let key = admin.lookup_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!((key.hint.as_str(), key.display_name.as_str()), ("lega…gest", "By digest"));
    assert_eq!(key.labels.get("legacy-id").map(String::as_str), Some("4711"));
    assert_eq!(key.created_by, site.root_id().await);

    // the audit names the job, and the job's batch the keys
    let filter = AuditFilter { request_id: begun.id.clone(), ..AuditFilter::default() };
    let request = pb::ListAuditEventsRequest { filter: Some(filter), ..Default::default() };
    let events = site.server.insight().list_audit_events(request).await.unwrap().into_inner();
    let told: Vec<_> =
        events.events.iter().map(|event| (event.action.as_str(), event.kind.as_str())).collect();
    assert_eq!(told, [("keys.import", "job")]);
    assert!(format!("{:?}", events.events[0].after).contains(&key.id));
}

#[tokio::test]
async fn what_is_there_already_is_skipped_or_fails_as_asked() {
    let site = Site::start(&NO_USES).await;
    let (mut admin, mut insight) = (site.admin(), site.server.insight());
    let items = [item("twice-in-one-import"), item("once"), item("twice-in-one-import")];
    let first = import(&mut admin, options(), &items).await.unwrap();
    let first = ended(&mut insight, &first.id).await;
    assert_eq!(counts(&first), (JobState::Succeeded, [3, 2, 0, 1]));
    let again = import(&mut admin, options(), &items).await.unwrap();
    let again = ended(&mut insight, &again.id).await;
    assert_eq!(counts(&again), (JobState::Succeeded, [3, 0, 0, 3]));
    let strict = pb::ImportKeysOptions { on_conflict: ImportConflict::Fail.into(), ..options() };
    let strict = import(&mut admin, strict, &items).await.unwrap();
    let strict = ended(&mut insight, &strict.id).await;
    assert_eq!(counts(&strict), (JobState::Succeeded, [3, 0, 3, 0]));
    let told = errors(&mut insight, &strict.id).await;
    let positions: Vec<_> = told.iter().map(|error| error.position).collect();
    assert_eq!(positions, [1, 2, 3]);
    assert_eq!(told[0].message, "there is a key with this token already");
}

#[tokio::test]
async fn the_token_of_a_key_of_ours_is_there_already() {
    let site = Site::shared();
    let made = create(&mut site.admin(), new_key("Made here")).await;
    let begun = import(&mut site.admin(), options(), &[item(&made.token)]).await.unwrap();
    let done = ended(&mut site.server.insight(), &begun.id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [1, 0, 0, 1]));
}

#[tokio::test]
async fn an_item_that_is_wrong_fails_alone() {
    let site = Site::shared();
    let wrong = |change: fn(&mut ImportKeyItem)| {
        let mut item = item("never-stored");
        change(&mut item);
        item
    };
    let items = [
        wrong(|item| item.display_name = String::new()),
        wrong(|item| item.sha256 = vec![0; 31]),
        wrong(|item| {
            item.token = String::new();
            item.sha256 = vec![0; 31];
        }),
        wrong(|item| item.token = String::new()),
        wrong(|item| item.token = "kw_prod_malformed".into()),
        wrong(|item| item.permissions = vec!["Not one".into()]),
        wrong(|item| item.groups = vec!["no-such-group".into()]),
        wrong(|item| item.user = "no-such-user".into()),
        wrong(|item| item.expire_time = Some(prost_types::Timestamp { seconds: 1, nanos: 0 })),
        item("the-only-good-one-of-these"),
    ];
    let begun = import(&mut site.admin(), options(), &items).await.unwrap();
    let mut insight = site.server.insight();
    let done = ended(&mut insight, &begun.id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [10, 1, 9, 0]));
    let told = errors(&mut insight, &begun.id).await;
    let fields: Vec<_> = told
        .iter()
        .map(|error| (error.position, error.message.split(' ').next().unwrap()))
        .collect();
    let expected = [
        (1, "display_name"),
        (2, "token"),
        (3, "sha256"),
        (4, "sha256"),
        (5, "token"),
        (6, "permissions[0]"),
        (7, "groups[0]"),
        (8, "user"),
        (9, "expire_time"),
    ];
    assert_eq!(fields, expected, "{told:?}");
    site.server.asker().until("the-only-good-one-of-these", "ALLOWED").await;
}

#[tokio::test]
async fn whatever_is_wrong_with_options_is_named() {
    let site = Site::shared();
    let mut admin = site.admin();
    let wrong = pb::ImportKeysOptions {
        domain: "Not one".into(),
        environment: String::new(),
        on_conflict: 7,
        permissions: vec!["Not one".into()],
        groups: vec!["Not one".into()],
        user: "not one".into(),
        request_id: "not one".into(),
        expire_time: Some(prost_types::Timestamp { seconds: 1, nanos: 0 }),
        ..pb::ImportKeysOptions::default()
    };
    let fields = [
        "options.request_id",
        "options.domain",
        "options.environment",
        "options.on_conflict",
        "options.permissions[0]",
        "options.groups[0]",
        "options.user",
        "options.expire_time",
    ];
    assert_invalid(import(&mut admin, wrong, &[]).await, &fields);
    for (options, field) in [
        (pb::ImportKeysOptions { domain: "nowhere".into(), ..options() }, "options.domain"),
        (pb::ImportKeysOptions { domain: "keyward".into(), ..options() }, "options.domain"),
        (
            pb::ImportKeysOptions { environment: "nowhere".into(), ..options() },
            "options.environment",
        ),
    ] {
        assert_invalid(import(&mut admin, options, &[]).await, &[field]);
    }
    let nothing = pb::ImportKeysRequest::default();
    assert_invalid(send(&mut admin, vec![nothing]).await, &["options"]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_makes_nothing_and_leaves_its_name_free() {
    let site = Site::start(&NO_USES).await;
    let (mut admin, mut insight) = (site.admin(), site.server.insight());
    let named = pb::ImportKeysOptions { request_id: "nightly".into(), ..options() };
    let mut broken = messages(named.clone(), &[item("of-a-broken-stream")], 1);
    broken.push(pb::ImportKeysRequest { options: Some(named.clone()), items: Vec::new() });
    assert_invalid(send(&mut admin, broken).await, &["options"]);
    let listed = insight.list_jobs(pb::ListJobsRequest::default()).await.unwrap().into_inner();
    let failed: Vec<_> =
        listed.jobs.iter().filter(|job| job.kind() == pb::JobKind::ImportKeys).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].state(), JobState::Failed);
    assert_eq!(failed[0].error, "the stream of items broke off");

    // and again, whole; and once more, which is the same job
    let items = [item("of-a-whole-stream")];
    let first = import(&mut admin, named.clone(), &items).await.unwrap();
    let done = ended(&mut insight, &first.id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [1, 1, 0, 0]));
    let repeated = import(&mut admin, named.clone(), &items).await.unwrap();
    assert_eq!(repeated, done);
    let other = pb::ImportKeysOptions { environment: "staging".into(), ..named };
    assert_invalid(import(&mut admin, other, &items).await, &["options.request_id"]);
    let unknown = site.server.asker().verdict("of-a-broken-stream", 0).await;
    assert_eq!(unknown, "401 KEY_UNKNOWN");
}

#[tokio::test]
async fn too_many_items_in_a_message_are_refused() {
    let site = Site::shared();
    let items: Vec<_> = (0..1001).map(|_| item("x")).collect();
    let result = send(&mut site.admin(), messages(options(), &items, 1001)).await;
    assert_invalid(result, &["items"]);
    let result = send(&mut site.server.admin_as(""), messages(options(), &[], 1)).await;
    assert_status(result, Code::Unauthenticated, "KEY_MISSING");
}
