//! `keyward pepper`, the metrics, and the folder of the private database.

use std::{fs, process::Command};

use super::{Files, NEW, OLD, forget_replicas, id, pepper, status_of, until_keys_of};
use crate::{
    postgres::support::Scratch,
    support::{
        client::{create, may_read, new_key},
        database::Database,
        eventually,
        http1::{ask, get},
        program::program,
        server::Server,
    },
};

#[tokio::test]
async fn a_pepper_is_retired_only_when_nothing_needs_it() {
    let (database, files) = (Database::new(), Files::new("retire"));
    let server = files.server(&database, &[OLD]).await;
    let made = create(&mut server.admin(), new_key("Unused")).await;
    server.asker().verdict(&made.token, made.revision).await;
    drop(server);
    let retire =
        async |arguments: &[&str]| pepper(&database, &[&["retire"], arguments].concat()).await;
    retire(&["12345678"]).await.assert_refusal(1, &["no pepper 12345678"]);
    retire(&["OLD"]).await.assert_refusal(2, &["8 digits"]);
    retire(&[&id(OLD)]).await.assert_refusal(1, &["keys are moved to it"]);
    retire(&[&id(OLD), "--force"]).await.assert_refusal(1, &["keys are moved to it"]);

    let server = files.server(&database, &[NEW, OLD]).await;
    retire(&[&id(OLD)]).await.assert_refusal(1, &["within 5 minutes"]);
    forget_replicas(&database).await;
    retire(&[&id(OLD)]).await.assert_refusal(1, &["secret(s) need the pepper", "--force"]);
    let shown = ask(server.http, &get("/metrics", "")).await;
    let shown = String::from_utf8(shown.body).unwrap();
    for (pepper, secrets) in [(OLD, 2), (NEW, 0)] {
        let line = format!("keyward_pepper_secrets{{pepper=\"{}\"}} {secrets}\n", id(pepper));
        assert!(shown.contains(&line), "{line} not in {shown}");
    }
    let status = status_of(&database, OLD).await;
    assert!(status.contains("other; 2 secret(s)"), "{status}");
    assert!(status.contains("replicas last had it: 2"), "{status}");
    let hint = pepper(&database, &["status"]).await.printed;
    assert!(hint.contains("last_used_before"), "{hint}");

    server.asker().until(&made.token, "ALLOWED").await;
    server.admin().create_key(new_key("By root")).await.unwrap();
    until_keys_of(&database, NEW, 3).await;
    let retired = retire(&[&id(OLD)]).await;
    assert_eq!(retired.code, 0, "{retired:?}");
    assert!(retired.printed.contains("Nothing needed it"), "{retired:?}");
    retire(&[&id(OLD)]).await.assert_refusal(1, &["retired already"]);

    // with one that is left there is nothing to count
    drop(server);
    let server = files.server(&database, &[NEW, OLD]).await;
    let shown = eventually("the task has looked", async || {
        let shown = String::from_utf8(ask(server.http, &get("/metrics", "")).await.body).unwrap();
        let name = "keyward_flush_timestamp_seconds{queue=\"peppers\"} ";
        let at = shown.lines().find_map(|line| line.strip_prefix(name))?;
        (at != "0").then(|| shown.clone())
    })
    .await;
    assert!(!shown.contains("keyward_pepper_secrets{"), "{shown}");
}

#[tokio::test]
async fn after_going_back_keys_still_move_to_the_pepper_that_became_current_last() {
    let (database, files) = (Database::new(), Files::new("back"));
    drop(files.server(&database, &[OLD, NEW]).await);
    assert!(status_of(&database, OLD).await.contains("  keys move to it; "));
    drop(files.server(&database, &[NEW, OLD]).await);
    let _server = files.server(&database, &[OLD, NEW]).await;
    let (old, new) = (status_of(&database, OLD).await, status_of(&database, NEW).await);
    assert!(old.contains("  other; ") && new.contains("  keys move to it; "), "{old}\n{new}");
    let refused = pepper(&database, &["retire", &id(NEW)]).await;
    refused
        .assert_refusal(1, &["keys are moved to it; bring a third pepper and make that current"]);
}

#[tokio::test]
async fn a_pepper_that_is_lost_is_retired_by_force_and_nobody_needs_it_any_more() {
    let (database, files) = (Database::new(), Files::new("force"));
    let server = files.server(&database, &[OLD]).await;
    let made = create(&mut server.admin(), new_key("Lost")).await;
    server.asker().verdict(&made.token, made.revision).await;
    drop(files.server(&database, &[NEW, OLD]).await);
    // what a replica that lacks it sees of new keys is not what it sees of old ones
    let maker = files.server(&database, &[NEW, OLD]).await;
    let newer = create(&mut maker.admin(), new_key("Newer")).await;
    eventually("it lacks the new pepper", async || {
        server.asker().0.authorize(may_read(&newer.token)).await.is_err().then_some(())
    })
    .await;
    drop(server);
    forget_replicas(&database).await;
    let ended = pepper(&database, &["retire", &id(OLD), "--force"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.printed.contains("secret(s) are unknown from now on"), "{ended:?}");
    let server = files.server(&database, &[NEW]).await;
    assert_eq!(server.asker().verdict(&made.token, 0).await, "401 KEY_UNKNOWN");
    assert_eq!(server.asker().verdict(&newer.token, 0).await, "ALLOWED");
    // whoever still has it goes on as before, and so its keys come back
    assert_eq!(maker.asker().verdict(&made.token, 0).await, "ALLOWED");
    server.asker().until(&made.token, "ALLOWED").await;
}

#[tokio::test]
async fn the_files_of_the_private_database_are_one_pepper_and_others() {
    let scratch = Scratch::new("peppers-private");
    let serve = || -> Command {
        let mut command = program(&["serve"]);
        command.env("KEYWARD_DATA_DIR", scratch.data());
        command
    };
    let server = Server::spawn(serve(), String::new()).await;
    server.until_serving().await;
    let token = server.root_token_from_print();
    server.stop().await;
    let path = scratch.data().join("pepper");
    fs::rename(&path, scratch.data().join("pepper.old")).unwrap();
    fs::write(&path, NEW).unwrap();
    let server = Server::spawn(serve(), token.clone()).await;
    server.until_serving().await;
    create(&mut server.admin(), new_key("By root")).await;
    server.until_logged("keys have digests of the current pepper now").await;
    server.stop().await;
    fs::remove_file(scratch.data().join("pepper.old")).unwrap();
    let server = Server::spawn(serve(), token).await;
    server.until_serving().await;
    create(&mut server.admin(), new_key("By root again")).await;
    server.stop().await;
}
