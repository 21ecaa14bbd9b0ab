//! A server that is killed in the middle of changes.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use keyward::rpc::pb;
use rustix::process::Signal;
use tokio::task::JoinSet;

use super::{group_of, map_of, mask, user_of};
use crate::support::{client::Access, database::Database, eventually, server::Server};

/// Makes and changes things of every kind in a domain of its own until the server is gone. Returns
/// the names of the groups that it was told to be there.
async fn change(mut access: Access, worker: usize, done: Arc<AtomicU64>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0.. {
        let name = format!("w{worker}-{number}");
        if round(&mut access, &name).await.is_err() {
            break;
        }
        done.fetch_add(1, Relaxed);
        acknowledged.push(name);
    }
    acknowledged
}

/// One change of each kind; what is made last is a group of a certain name.
async fn round(access: &mut Access, name: &str) -> Result<(), tonic::Status> {
    let domain =
        pb::Domain { name: name.into(), display_name: "Domain".into(), ..pb::Domain::default() };
    let request = pb::CreateDomainRequest { domain: Some(domain), validate_only: false };
    access.create_domain(request).await?;
    let user = Some(user_of(&format!("{name}/ida"), &["a"], &[]));
    access.create_user(pb::CreateUserRequest { user, validate_only: false }).await?;
    let route_map = Some(map_of(name, &["* /x a"]));
    access.update_route_map(pb::UpdateRouteMapRequest { route_map, validate_only: false }).await?;
    let request = pb::UpdateUserRequest {
        user: Some(user_of(&format!("{name}/ida"), &["b"], &[])),
        update_mask: Some(mask(&["permissions"])),
        validate_only: false,
    };
    access.update_user(request).await?;
    let request = pb::DisableDomainRequest { name: name.into(), etag: String::new() };
    access.disable_domain(request).await?;
    let group = Some(group_of(&format!("{name}/{name}"), &["a"]));
    let request = pb::CreatePermissionGroupRequest { group, validate_only: false };
    access.create_permission_group(request).await?;
    Ok(())
}

/// What is not as it should be: revisions without log or audit, events without their row, rows of
/// another version than their events tell of.
const BROKEN: &str = "SELECT
    (SELECT count(*) FROM keyward.log_head WHERE revision <>
        (SELECT count(DISTINCT revision) FROM keyward.change_log))
    + (SELECT count(*) FROM keyward.log_head WHERE revision <>
        (SELECT count(DISTINCT revision) FROM keyward.audit_event))
    + (SELECT count(*) FROM (
        SELECT revision FROM keyward.change_log EXCEPT SELECT revision FROM keyward.audit_event
    ) AS unaudited)
    + abs((SELECT count(*) FROM keyward.permission_group)
        - (SELECT count(*) FROM keyward.audit_event WHERE action = 'groups.create'))
    + abs((SELECT count(*) FROM keyward.domain_user)
        - (SELECT count(*) FROM keyward.audit_event WHERE action = 'users.create'))
    + abs((SELECT coalesce(sum(version - 1), 0)::bigint FROM keyward.domain_user)
        - (SELECT count(*) FROM keyward.audit_event WHERE action = 'users.update'))
    + abs((SELECT count(*) FROM keyward.domain)
        - (SELECT count(*) FROM keyward.audit_event WHERE action = 'domains.create') - 2)
    + abs((SELECT count(*) FROM keyward.domain WHERE disabled_at IS NOT NULL)
        - (SELECT count(*) FROM keyward.audit_event WHERE action = 'domains.disable'))
    + abs((SELECT count(*) FROM keyward.route_map WHERE entries <> '{}')
        - (SELECT count(*) FROM keyward.audit_event WHERE action = 'route_maps.update'))";

#[tokio::test]
async fn a_kill_in_the_middle_of_changes_leaves_log_audit_and_tables_in_agreement() {
    let database = Database::new();
    let survivor = Server::start(&database).await;
    for round in 0..3 {
        let mut victim = Server::start(&database).await;
        let done = Arc::new(AtomicU64::new(0));
        let mut workers = JoinSet::new();
        for worker in 0..4 {
            let done = Arc::clone(&done);
            workers.spawn(change(victim.access(), round * 10 + worker, done));
        }
        eventually("changes are made", async || (done.load(Relaxed) >= 12).then_some(())).await;
        victim.signal(Signal::KILL);
        victim.ended().await;
        let mut names: Vec<String> = Vec::new();
        while let Some(acknowledged) = workers.join_next().await {
            names.extend(acknowledged.unwrap());
        }
        assert!(names.len() >= 12);
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND pid <> pg_backend_pid() AND state <> 'idle'";
        eventually("what was under way is over", async || {
            (database.number(busy).await == 0).then_some(())
        })
        .await;
        assert_eq!(database.number(BROKEN).await, 0, "log, audit and tables agree");
        let client = database.connect().await;
        let there = "SELECT count(*) FROM keyward.permission_group WHERE name = ANY ($1)";
        let there: i64 = client.query_one(there, &[&names]).await.unwrap().get(0);
        assert_eq!(usize::try_from(there).unwrap(), names.len(), "all that was acknowledged");
    }
    // and the log leads a replica that was there all along to the head
    let head = database.number("SELECT revision FROM keyward.log_head").await;
    assert_eq!(survivor.asker().verdict("", head).await, "401 KEY_MISSING");
    assert_eq!(survivor.count_logged("loaded all keys"), 1);
}
