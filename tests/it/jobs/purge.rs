//! Removing deleted keys for good.

use keyward::rpc::pb::{DeleteKeyRequest, GetKeyRequest, JobState, PurgeDeletedKeysRequest};
use tonic::Code;

use super::{counts, ended};
use crate::support::{
    client::{assert_invalid, assert_status, create, new_key},
    operator::{NO_USES, Site},
};

fn purge(expected_count: i64) -> PurgeDeletedKeysRequest {
    PurgeDeletedKeysRequest {
        days: 30,
        domain: String::new(),
        validate_only: false,
        expected_count,
    }
}

#[tokio::test]
async fn keys_that_were_deleted_long_ago_go_with_all_that_is_stored_of_their_use() {
    let site = Site::start(&NO_USES).await;
    let mut admin = site.admin();
    let mut ids = Vec::new();
    for name in ["Old", "Recent"] {
        let request = keyward::rpc::pb::CreateKeyRequest {
            request_id: format!("request-{name}"),
            ..new_key(name)
        };
        let made = create(&mut admin, request).await;
        let id = made.key.id.clone();
        let request =
            DeleteKeyRequest { id: id.clone(), confirm: name.into(), ..Default::default() };
        admin.delete_key(request).await.unwrap();
        ids.push(id);
    }
    let client = site.database.connect().await;
    let prepare = format!(
        "UPDATE keyward.key SET deleted_at = now() - interval '31 days' WHERE display_name = 'Old';
        INSERT INTO keyward.key_usage SELECT id, now() FROM keyward.key WHERE display_name = 'Old';
        INSERT INTO keyward.quota (owner, name, period, start_at, used, credits)
        VALUES ('key/{}', 'calls', 'day', now(), 1, 0)",
        ids[0]
    );
    client.batch_execute(&prepare).await.unwrap();
    let tried = PurgeDeletedKeysRequest { validate_only: true, ..purge(0) };
    assert_eq!(admin.purge_deleted_keys(tried).await.unwrap().into_inner().count, 1);
    let made = admin.purge_deleted_keys(purge(1)).await.unwrap().into_inner();
    let done = ended(&mut site.server.insight(), &made.job.unwrap().id).await;
    assert_eq!(counts(&done), (JobState::Succeeded, [1, 1, 0, 0]));
    let gone = admin.get_key(GetKeyRequest { id: ids[0].clone() }).await;
    assert_status(gone, Code::NotFound, "KEY_NOT_FOUND");
    admin.get_key(GetKeyRequest { id: ids[1].clone() }).await.unwrap();
    for table in ["key_usage", "quota", "job_key"] {
        let left = site.database.number(&format!("SELECT count(*) FROM keyward.{table}")).await;
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(site.database.number("SELECT count(*) FROM keyward.request").await, 1);
}

#[tokio::test]
async fn whatever_is_wrong_with_a_purge_is_named() {
    let site = Site::shared();
    let request = PurgeDeletedKeysRequest { days: 0, domain: "keyward".into(), ..purge(0) };
    let fields = ["days", "domain", "expected_count"];
    assert_invalid(site.admin().purge_deleted_keys(request).await, &fields);
}

#[tokio::test]
async fn the_change_log_is_trimmed_by_a_job_of_keywards_own() {
    let site = Site::start(&NO_USES).await;
    let made = create(&mut site.admin(), new_key("Made long ago")).await;
    site.knows(made.revision).await;
    let again = create(&mut site.admin(), new_key("Made long ago, too")).await;
    let client = site.database.connect().await;
    let age = "UPDATE keyward.change_log SET logged_at = now() - interval '31 days';
        UPDATE keyward.job SET created_at = created_at - interval '2 days'
        WHERE kind = 'trim_change_log'";
    client.batch_execute(age).await.unwrap();
    // a start looks whether there was one within a day
    let second = crate::support::server::Server::start(&site.database).await;
    crate::support::eventually("the log is trimmed", async || {
        let left = site.database.number("SELECT count(*) FROM keyward.change_log").await;
        (left == 1).then_some(())
    })
    .await;
    let last = site.database.number("SELECT max(revision) FROM keyward.change_log").await;
    assert_eq!(last, again.revision, "the last one is what followers are recognised by");
    let new = create(&mut site.admin(), new_key("After it")).await;
    for server in [&site.server, &second] {
        assert_eq!(server.asker().verdict(&new.token, new.revision).await, "ALLOWED");
        assert_eq!(server.count_logged("the change log is broken"), 0);
    }
}
