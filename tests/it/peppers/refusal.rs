//! Peppers that cannot be used, and what is said of them; replicas that lack one.

use std::{fs, os::unix::fs::PermissionsExt};

use keyward::rpc::pb::{AuthorizeRequest, ListKeysRequest};
use tonic::Code;

use super::{Files, NEW, OLD, THIRD, forget_replicas, id, pepper, until_keys_of};
use crate::support::{
    client::{assert_status, create, may_read, new_key, verdict},
    database::Database,
    eventually, log,
    program::{program, run},
    server::Server,
};

#[tokio::test]
async fn a_start_without_a_pepper_that_keys_need_is_refused_and_names_it() {
    let (database, files) = (Database::new(), Files::new("needed"));
    let words = [&*id(OLD), "1 token(s)", "KEYWARD_OTHER_PEPPER_FILES"];
    run(files.serve(&database, &[NEW])).await.assert_refusal(1, &words);
    // nothing was settled by that
    let server = files.server(&database, &[NEW, OLD]).await;
    drop(server);
    let words = [&*id(NEW), "is needed and was not given"];
    run(files.serve(&database, &[OLD])).await.assert_refusal(1, &words);
    let mut bootstrap = program(&["bootstrap"]);
    bootstrap.env("DATABASE_URL", &database.url);
    files.give(&mut bootstrap, &[OLD]);
    run(bootstrap).await.assert_refusal(1, &words);
}

#[tokio::test]
async fn a_second_pepper_that_nobody_uses_yet_is_needed_by_nobody() {
    let (database, files) = (Database::new(), Files::new("unused"));
    drop(files.server(&database, &[OLD, NEW]).await);
    drop(files.server(&database, &[OLD]).await);
    let ended = pepper(&database, &["retire", &id(NEW)]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.printed.contains("Nothing needed it"), "{ended:?}");
}

#[tokio::test]
async fn peppers_that_cannot_be_used_are_refused_and_it_is_said_what_to_do() {
    let (database, files) = (Database::new(), Files::new("unusable"));
    let again = files.serve(&database, &[OLD, OLD]);
    run(again).await.assert_refusal(2, &[&id(OLD), "given twice", "KEYWARD_OTHER_PEPPER_FILES"]);
    let twice = files.serve(&database, &[OLD, NEW, NEW]);
    run(twice).await.assert_refusal(2, &[&id(NEW), "given twice"]);
    let peppers: Vec<String> =
        (0..6).map(|n| format!("pepper number {n} for tests{OLD}")).collect();
    let six: Vec<&str> = peppers.iter().map(String::as_str).collect();
    run(files.serve(&database, &six))
        .await
        .assert_refusal(2, &["5 other peppers", "4 are the most"]);
    let mut missing = files.serve(&database, &[OLD]);
    missing.env("KEYWARD_OTHER_PEPPER_FILES", "/nowhere/pepper");
    run(missing).await.assert_refusal(2, &["cannot read /nowhere/pepper"]);
    let path = files.0.0.join("short");
    fs::write(&path, "short").unwrap();
    let mut short = files.serve(&database, &[OLD]);
    short.env("KEYWARD_OTHER_PEPPER_FILES", &path);
    run(short).await.assert_refusal(2, &[path.to_str().unwrap(), "at least 32 bytes"]);
    let mut alone = files.serve(&database, &[OLD, NEW]);
    alone.env_remove("KEYWARD_PEPPER");
    run(alone).await.assert_refusal(2, &["a pepper is needed with a database URL"]);
}

#[tokio::test]
async fn a_file_that_all_may_read_is_warned_of() {
    let (database, files) = (Database::new(), Files::new("open"));
    let path = files.of(NEW);
    for (mode, warnings) in [(0o600, 0), (0o644, 1)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let mut serve = files.serve(&database, &[OLD]);
        serve.env("KEYWARD_OTHER_PEPPER_FILES", &path);
        let server = Server::spawn(serve, database.root_token.clone()).await;
        assert_eq!(server.count_logged("all users of this machine may read"), warnings, "{mode:o}");
    }
}

#[tokio::test]
async fn a_retired_pepper_is_refused_as_the_current_one_and_does_no_harm_as_another() {
    let (database, files) = (Database::new(), Files::new("retired"));
    let server = files.server(&database, &[NEW, OLD]).await;
    until_root_moved(&database, &server).await;
    drop(server);
    forget_replicas(&database).await;
    assert_eq!(pepper(&database, &["retire", &id(OLD)]).await.code, 0);
    let words = [&*id(OLD), "was retired"];
    run(files.serve(&database, &[OLD, NEW])).await.assert_refusal(1, &words);
    let server = files.server(&database, &[NEW, OLD]).await;
    create(&mut server.admin(), new_key("Unharmed")).await;
    server.until_logged("a retired pepper is still given").await;
}

/// Uses the root key until it has a new digest.
async fn until_root_moved(database: &Database, server: &Server) {
    server.admin().list_keys(ListKeysRequest::default()).await.unwrap();
    until_keys_of(database, NEW, 1).await;
}

#[tokio::test]
async fn a_replica_that_lacks_a_pepper_says_so_and_calls_no_key_unknown() {
    let (database, files) = (Database::new(), Files::new("lacking"));
    let behind = files.server(&database, &[OLD]).await;
    let known = create(&mut behind.admin(), new_key("Known")).await;
    let unknown = format!("{}x", "unknown-".repeat(4));
    assert_eq!(behind.asker().verdict(&unknown, known.revision).await, "401 KEY_UNKNOWN");

    // step 1 was left out
    let ahead = files.server(&database, &[NEW, OLD]).await;
    let made = create(&mut ahead.admin(), new_key("Foreign")).await;
    assert_eq!(ahead.asker().verdict(&made.token, made.revision).await, "ALLOWED");
    eventually("it knows that it does not know", async || {
        let answer = behind.asker().0.authorize(may_read(&made.token)).await;
        answer.is_err().then_some(())
    })
    .await;
    for token in [&made.token, &unknown] {
        let answer = behind.asker().0.authorize(may_read(token)).await;
        assert_status(answer, Code::Unavailable, "PEPPER_MISSING");
    }
    assert_eq!(behind.asker().verdict(&known.token, 0).await, "ALLOWED");
    assert_eq!(ahead.asker().verdict(&unknown, 0).await, "401 KEY_UNKNOWN");
    let line = behind.until_logged("keys need a pepper that this process does not have").await;
    assert!(line.contains(&id(NEW)), "{line}");
}

#[tokio::test]
async fn a_pepper_that_is_retired_is_lacked_no_more_and_is_one_row_of_the_log() {
    let (database, files) = (Database::new(), Files::new("lacked"));
    let behind = files.server(&database, &[OLD]).await;
    let ahead = files.server(&database, &[NEW, OLD]).await;
    let made = create(&mut ahead.admin(), new_key("Foreign")).await;
    eventually("it knows that it does not know", async || {
        behind.asker().0.authorize(may_read(&made.token)).await.is_err().then_some(())
    })
    .await;
    drop(ahead);
    drop(files.server(&database, &[THIRD, NEW, OLD]).await);
    forget_replicas(&database).await;
    let ended = pepper(&database, &["retire", &id(NEW), "--force"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    eventually("it needs to know no more", async || {
        let answer = behind.asker().0.authorize(may_read(&made.token)).await.ok()?;
        (verdict(answer.get_ref()) == "401 KEY_UNKNOWN").then_some(())
    })
    .await;
    let rows = "SELECT count(*) FROM keyward.change_log
        WHERE revision = (SELECT revision FROM keyward.log_head)";
    assert_eq!(database.number(rows).await, 1);
}

#[tokio::test]
async fn a_replaced_token_of_a_pepper_that_is_missing_counts_until_its_end() {
    let (database, files) = (Database::new(), Files::new("overlap"));
    let behind = files.server(&database, &[OLD]).await;
    let made = create(&mut behind.admin(), new_key("Overlap")).await;
    let unknown = format!("{}x", "unknown-".repeat(4));
    let mut client = database.connect().await;
    let statement = format!(
        "UPDATE keyward.key SET retiring_digest = sha256('other'), retiring_pepper = '{}',
            retiring_hint = '', retiring_expire_at = now() + interval '5 seconds' WHERE display_name = 'Overlap'",
        id(NEW)
    );
    let revision = log::change(&mut client, &statement, &[&made.key.id]).await;
    let request = AuthorizeRequest { min_revision: revision, ..may_read(&unknown) };
    let answer = behind.asker().0.authorize(request).await;
    assert_status(answer, Code::Unavailable, "PEPPER_MISSING");
    eventually("the token has ended", async || {
        let answer = behind.asker().0.authorize(may_read(&unknown)).await.ok()?;
        (verdict(answer.get_ref()) == "401 KEY_UNKNOWN").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_restored_backup_needs_the_peppers_that_it_was_made_with() {
    let (database, files) = (Database::new(), Files::new("backup"));
    drop(files.server(&database, &[OLD]).await);
    let backup = database.restored();
    let server = files.server(&database, &[NEW, OLD]).await;
    until_root_moved(&database, &server).await;
    drop(server);
    run(files.serve(&backup, &[NEW])).await.assert_refusal(1, &[&id(OLD)]);
    let server = files.server(&backup, &[NEW, OLD]).await;
    until_root_moved(&backup, &server).await;
}

#[tokio::test]
async fn programs_of_the_version_before_are_refused_from_when_there_is_a_second_pepper() {
    let (database, files) = (Database::new(), Files::new("older"));
    let serves = "SELECT serves_from FROM keyward.migration WHERE version = 8";
    let serves = async || database.connect().await.query_one(serves, &[]).await.unwrap().get(0);
    drop(files.server(&database, &[OLD]).await);
    let before: i32 = serves().await;
    drop(files.server(&database, &[OLD, THIRD]).await);
    let after: i32 = serves().await;
    assert_eq!((before, after), (2, 8));
}
