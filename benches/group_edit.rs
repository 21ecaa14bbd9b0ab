//! How soon an edit of a permission group that a million keys have is seen by decisions on another
//! replica, and what decisions there take meanwhile. Run with `cargo bench --bench group_edit`.
//!
//! Two servers run on one private PostgreSQL. The keys are put into the database by SQL before the
//! second server starts, so that it loads them as after any start.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

mod support;

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use keyward::rpc::pb::{
    AuthorizeRequest, CreateKeyRequest, CreatePermissionGroupRequest, PermissionGroup,
    UpdatePermissionGroupRequest, access_admin_client::AccessAdminClient,
    authorize_client::AuthorizeClient, key_admin_client::KeyAdminClient,
};
use support::{Server, connect, show, with_token};
use tonic::transport::Channel;

const KEYS: u32 = 1_000_000;
const EDITS: usize = 100;
const ASKERS: usize = 4;

const FILL: &str = "-- group_edit.fill
    INSERT INTO keyward.key (id, domain, environment, display_name, description, permissions,
        route_rules, labels, standing, digest, hint, created_by, created_at, updated_at, version,
        groups)
    SELECT gen_random_uuid(), 'default', 'production', 'Key ' || n, '', '{}', '{}', '{}', 'active',
        sha256(n::text::bytea), 'kw_prod_…', 'bootstrap', now(), now(), 1, ARRAY[
            (SELECT uid FROM keyward.permission_group WHERE name = 'staff')]
    FROM generate_series(1, $1::int) AS n";

/// What one asker saw: what each question took, in microseconds.
async fn ask_on(
    mut client: AuthorizeClient<Channel>,
    question: AuthorizeRequest,
    over: Arc<AtomicBool>,
) -> Vec<u64> {
    let mut took = Vec::new();
    while !over.load(Relaxed) {
        let begun = Instant::now();
        client.authorize(question.clone()).await.unwrap();
        took.push(u64::try_from(begun.elapsed().as_micros()).unwrap());
    }
    took
}

/// Asks with several connections while `work` goes on.
async fn asked_during(
    address: &str,
    question: &AuthorizeRequest,
    work: impl Future<Output = ()>,
) -> Vec<u64> {
    let over = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..ASKERS)
        .map(|_| {
            let client = AuthorizeClient::new(connect(address));
            tokio::spawn(ask_on(client, question.clone(), Arc::clone(&over)))
        })
        .collect();
    work.await;
    over.store(true, Relaxed);
    let mut took = Vec::new();
    for asker in askers {
        took.extend(asker.await.unwrap());
    }
    took.sort_unstable();
    took
}

/// Gives the group other permissions, again and again, and waits each time until the other replica
/// decides by them. What each took, in microseconds: from sending the edit, and from its answer.
async fn edit(
    writer: &Server,
    reader: &Server,
    token: &str,
    question: &AuthorizeRequest,
) -> [Vec<u64>; 2] {
    let mut access = AccessAdminClient::new(connect(&writer.admin));
    let mut asker = AuthorizeClient::new(connect(&reader.authorize));
    let mut seen = [Vec::new(), Vec::new()];
    for number in 0..EDITS {
        let allowed = number % 2 == 1;
        let permission = if allowed { "systems.read" } else { "users.read" };
        let group = PermissionGroup {
            name: "staff".into(),
            permissions: vec![permission.into()],
            ..PermissionGroup::default()
        };
        let paths = vec![String::from("permissions")];
        let update = UpdatePermissionGroupRequest {
            group: Some(group),
            update_mask: Some(prost_types::FieldMask { paths }),
            validate_only: false,
        };
        let sent = Instant::now();
        access.update_permission_group(with_token(token, update)).await.unwrap();
        let answered = Instant::now();
        while asker.authorize(question.clone()).await.unwrap().into_inner().allowed != allowed {}
        for (list, since) in seen.iter_mut().zip([sent, answered]) {
            list.push(u64::try_from(since.elapsed().as_micros()).unwrap());
        }
    }
    seen.each_mut().map(|list| {
        list.sort_unstable();
        std::mem::take(list)
    })
}

#[tokio::main]
async fn main() {
    let folder = support::folder();
    let mut writer = Server::start(&folder, "writer", None, &[]);
    let url = writer.logged("started the private PostgreSQL", "url");
    let token = support::root_token(&folder, "writer");

    let group = PermissionGroup {
        name: "staff".into(),
        display_name: "Staff".into(),
        permissions: vec!["systems.read".into()],
        ..PermissionGroup::default()
    };
    let request = CreatePermissionGroupRequest { group: Some(group), validate_only: false };
    let mut access = AccessAdminClient::new(connect(&writer.admin));
    access.create_permission_group(with_token(&token, request)).await.unwrap();
    let request = CreateKeyRequest {
        environment: "production".into(),
        display_name: "Asked for".into(),
        groups: vec!["staff".into()],
        ..CreateKeyRequest::default()
    };
    let mut keys_admin = KeyAdminClient::new(connect(&writer.admin));
    let made = keys_admin.create_key(with_token(&token, request)).await;
    let key = made.unwrap().into_inner().token;
    let (database, driver) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(driver);
    let keys = i32::try_from(KEYS).unwrap();
    database.execute(FILL, &[&keys]).await.unwrap();

    let mut reader = Server::start(&folder, "reader", Some(&url), &[]);
    println!(
        "{} keys loaded in {} ms, {} MiB in all",
        reader.logged("loaded all keys", "keys"),
        reader.logged("loaded all keys", "took_ms"),
        reader.memory_mib(),
    );
    let question = AuthorizeRequest {
        key,
        environment: "production".into(),
        permission: "systems.read".into(),
        ..AuthorizeRequest::default()
    };
    let pause = tokio::time::sleep(Duration::from_secs(3));
    let quiet = asked_during(&reader.authorize, &question, pause).await;
    let mut seen = [Vec::new(), Vec::new()];
    let editing = async { seen = edit(&writer, &reader, &token, &question).await };
    let busy = asked_during(&reader.authorize, &question, editing).await;
    show("Authorize, nothing changes", &quiet, "µs");
    show("Authorize, the group is edited all the time", &busy, "µs");
    show("edit sent to seen on the other replica", &seen[0], "µs");
    show("edit answered to seen on the other replica", &seen[1], "µs");
    drop((reader, writer));
    fs::remove_dir_all(&folder).unwrap();
}
