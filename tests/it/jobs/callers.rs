//! Who may make, see and end jobs, and what is said without a database.

use keyward::rpc::pb::{
    self, CreateKeyRequest, Delegation, JobState, ListKeysRequest, RevocationReason,
};
use tonic::{Code, Status};

use super::{counts, ended, errors, import, item, job, options};
use crate::support::{
    client::{
        Admin, Insight, assert_invalid, assert_not_permitted, assert_status, create, new_admin_key,
        new_key,
    },
    operator::{NO_USES, Site},
};

/// What each call about one job says.
async fn every_call(insight: &mut Insight, id: &str) -> Vec<Result<(), Status>> {
    let id = || id.to_owned();
    vec![
        insight.get_job(pb::GetJobRequest { id: id() }).await.map(drop),
        insight.watch_job(pb::WatchJobRequest { id: id() }).await.map(drop),
        insight
            .list_job_errors(pb::ListJobErrorsRequest { id: id(), ..Default::default() })
            .await
            .map(drop),
        insight.cancel_job(pb::CancelJobRequest { id: id() }).await.map(drop),
    ]
}

/// What each call that makes a job says.
async fn every_maker(admin: &mut Admin) -> Vec<(&'static str, Result<(), Status>)> {
    let filter = || Some(ListKeysRequest { search: "nothing".into(), ..Default::default() });
    let revoke = pb::RevokeKeysRequest {
        filter: filter(),
        reason: RevocationReason::Abuse.into(),
        expected_count: 1,
        ..Default::default()
    };
    let deactivate =
        pb::DeactivateKeysRequest { filter: filter(), expected_count: 1, ..Default::default() };
    let purge = pb::PurgeDeletedKeysRequest { days: 1, expected_count: 1, ..Default::default() };
    vec![
        ("keyward.keys.write", import(admin, options(), &[]).await.map(drop)),
        ("keyward.keys.revoke", admin.revoke_keys(revoke).await.map(drop)),
        ("keyward.keys.write", admin.deactivate_keys(deactivate).await.map(drop)),
        ("keyward.keys.delete", admin.purge_deleted_keys(purge).await.map(drop)),
    ]
}

#[tokio::test]
async fn jobs_are_made_seen_and_ended_by_who_may() {
    let site = Site::start(&NO_USES).await;
    let done = import(&mut site.admin(), options(), &[item("of-root")]).await.unwrap();
    ended(&mut site.server.insight(), &done.id).await;
    let nobody = site.operator(&["keyward.keys.read", "keyward.audit"]).await;
    for (needed, result) in every_maker(&mut site.server.admin_as(&nobody.made.token)).await {
        assert_not_permitted(result, needed);
    }
    let mut insight = site.server.insight_as(&nobody.made.token);
    let results = every_call(&mut insight, &done.id).await;
    let needed = ["read", "read", "read", "write"];
    for (result, action) in results.into_iter().zip(needed) {
        assert_not_permitted(result, &format!("keyward.jobs.{action}"));
    }
    let listed = insight.list_jobs(pb::ListJobsRequest::default()).await;
    assert_not_permitted(listed, "keyward.jobs.read");
    let reader = site.operator(&["keyward.jobs.read"]).await;
    let mut insight = site.server.insight_as(&reader.made.token);
    assert_eq!(job(&mut insight, &done.id).await.state(), JobState::Succeeded);
}

#[tokio::test]
async fn a_job_that_is_not_there_or_has_no_id_is_said_so() {
    let site = Site::shared();
    let mut insight = site.server.insight();
    for result in every_call(&mut insight, "job_01hf7yat00fzzvzzzzzzzzzzzz").await {
        assert_status(result, Code::NotFound, "JOB_NOT_FOUND");
    }
    for result in every_call(&mut insight, "key_01hf7yat00fzzvzzzzzzzzzzzz").await {
        assert_invalid(result, &["id"]);
    }
    let wrong = pb::ListJobsRequest {
        page_size: -1,
        page_token: "of another list".into(),
        kind: 77,
        state: 77,
    };
    let fields = ["kind", "state", "page_size", "page_token"];
    assert_invalid(insight.list_jobs(wrong).await, &fields);
}

#[tokio::test]
async fn a_delegated_admin_imports_within_its_ceiling_and_sees_its_own_jobs() {
    let site = Site::start(&NO_USES).await;
    let acme =
        pb::Domain { name: "acme".into(), display_name: "Acme".into(), ..pb::Domain::default() };
    let request = pb::CreateDomainRequest { domain: Some(acme), validate_only: false };
    site.server.access().create_domain(request).await.unwrap();
    let of_root = import(&mut site.admin(), options(), &[]).await.unwrap();
    let bound = Delegation { domains: vec!["acme".into()], ceiling: vec!["systems".into()] };
    let request = CreateKeyRequest {
        delegation: Some(bound),
        ..new_admin_key("Clerk", &["keyward.keys", "keyward.jobs"])
    };
    let clerk = create(&mut site.admin(), request).await;
    site.knows(clerk.revision).await;
    let mut admin = site.server.admin_as(&clerk.token);
    let refused = import(&mut admin, options(), &[]).await;
    assert_status(refused, Code::PermissionDenied, "DOMAIN_NOT_DELEGATED");
    let beyond = pb::ImportKeyItem { permissions: vec!["money".into()], ..item("beyond-it") };
    let options = pb::ImportKeysOptions { domain: "acme".into(), ..options() };
    let begun = import(&mut admin, options, &[item("within-it"), beyond]).await.unwrap();
    let mut insight = site.server.insight_as(&clerk.token);
    let done = ended(&mut insight, &begun.id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [2, 1, 1, 0]));
    let told = errors(&mut insight, &begun.id).await;
    assert!(told[0].message.contains("beyond the admin key's ceiling"), "{told:?}");
    let listed = insight.list_jobs(pb::ListJobsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.jobs, [done]);
    for result in every_call(&mut insight, &of_root.id).await {
        assert_status(result, Code::NotFound, "JOB_NOT_FOUND");
    }
}

#[tokio::test]
async fn a_job_is_cancelled_once_and_what_it_has_done_remains() {
    let site = Site::start(&NO_USES).await;
    let (mut admin, mut insight) = (site.admin(), site.server.insight());
    let kept = create(&mut admin, new_key("Made before")).await;
    let items: Vec<_> = (0..20_000).map(|n| item(&format!("to-be-cancelled-{n}"))).collect();
    let begun = import(&mut admin, options(), &items).await.unwrap();
    let request = || pb::CancelJobRequest { id: begun.id.clone() };
    let ended = insight.cancel_job(request()).await.unwrap().into_inner().job.unwrap();
    assert_eq!(ended.state(), JobState::Cancelled);
    assert!(ended.done < ended.total, "{ended:?}");
    let again = insight.cancel_job(request()).await;
    assert_status(again, Code::FailedPrecondition, "JOB_ENDED");
    let made = "SELECT count(*) FROM keyward.key WHERE display_name LIKE 'Imported%'";
    assert_eq!(site.database.number(made).await, ended.done);
    assert_eq!(job(&mut insight, &begun.id).await.done, ended.done);
    site.server.asker().verdict(&kept.token, kept.revision).await;
}

#[tokio::test]
async fn a_watched_job_is_told_until_its_end() {
    let site = Site::shared();
    let items: Vec<_> = (0..3000).map(|n| item(&format!("watched-{n}"))).collect();
    let begun = import(&mut site.admin(), options(), &items).await.unwrap();
    let request = pb::WatchJobRequest { id: begun.id.clone() };
    let mut watched = site.server.insight().watch_job(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(told) = watched.message().await.unwrap() {
        last = told.job;
    }
    assert_eq!(counts(&last.unwrap()), (JobState::Succeeded, [3000, 3000, 0, 0]));
}

#[tokio::test]
async fn a_job_whose_maker_is_stopped_fails() {
    let site = Site::start(&NO_USES).await;
    let maker = site.operator(&["keyward.keys.write", "keyward.jobs"]).await;
    let items: Vec<_> = (0..20_000).map(|n| item(&format!("of-a-stopped-maker-{n}"))).collect();
    let mut admin = site.server.admin_as(&maker.made.token);
    let begun = import(&mut admin, options(), &items).await.unwrap();
    let request = pb::DeactivateKeyRequest { id: maker.made.key.id.clone(), ..Default::default() };
    site.admin().deactivate_key(request).await.unwrap();
    let failed = ended(&mut site.server.insight(), &begun.id).await;
    assert_eq!(failed.state(), JobState::Failed, "{failed:?}");
    assert_eq!(failed.error, "the admin key that made the job is not active any more");
}
