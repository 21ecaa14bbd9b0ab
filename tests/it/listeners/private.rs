//! The PostgreSQL that it runs by itself.

use std::{fs, process::Command};

use crate::{
    postgres::support::Scratch,
    support::{
        client::{create, new_key},
        eventually,
        program::{program, run},
        server::Server,
    },
};

const TOKEN_LINE: &str = "export KEYWARD_TOKEN=";

/// The tokens that were shown.
fn tokens(printed: &str) -> Vec<String> {
    let lines = printed.lines();
    lines.filter_map(|line| line.strip_prefix(TOKEN_LINE)).map(str::to_owned).collect()
}

/// Makes a key with an admin token, once the server knows it, and asks for it.
async fn assert_root(server: &Server, token: &str) {
    let mut admin = server.admin_as(token);
    let made = eventually("the server knows the key", async || {
        admin.create_key(new_key("Key")).await.ok()
    })
    .await
    .into_inner();
    let verdict = server.asker().verdict(&made.token, made.revision).await;
    assert_eq!(verdict, "ALLOWED");
}

#[tokio::test]
async fn an_ephemeral_server_shows_its_key_once_and_leaves_nothing() {
    let scratch = Scratch::new("ephemeral");
    let mut command = program(&["serve", "--ephemeral"]);
    command.env("TMPDIR", &scratch.0);
    let server = Server::spawn(command, String::new()).await;
    server.until_serving().await;
    let shown = tokens(&server.printed());
    assert_eq!(shown.len(), 1);
    assert_root(&server, &shown[0]).await;
    // what is printed to be tried says where it listens
    for address in [server.authorize, server.admin] {
        assert!(server.printed().contains(&address.to_string()));
    }
    assert!(!server.logged().contains(&shown[0]));
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    server.stop().await;
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
}

fn with_data(command: &str, scratch: &Scratch) -> Command {
    let mut command = program(&[command, "--data-dir"]);
    command.arg(scratch.data());
    command
}

#[tokio::test]
async fn a_data_folder_has_one_server_and_as_many_root_keys_as_are_made() {
    let scratch = Scratch::new("private");
    let server = Server::spawn(with_data("serve", &scratch), String::new()).await;
    server.until_serving().await;
    let [first] = tokens(&server.printed()).try_into().unwrap();
    assert_root(&server, &first).await;

    let ended = run(with_data("bootstrap", &scratch)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let [second] = tokens(&ended.printed).try_into().unwrap();
    assert_root(&server, &second).await;

    let another = with_data("serve", &scratch);
    let owner = format!("in use by pid {}", server.pid().as_raw_nonzero());
    run(another).await.assert_refusal(1, &[&owner, "--data-dir"]);
    create(&mut server.admin_as(&first), new_key("Unharmed")).await;
    server.stop().await;

    let server = Server::spawn(with_data("serve", &scratch), String::new()).await;
    server.until_serving().await;
    assert_eq!(server.printed(), "");
    for token in [first, second] {
        assert_root(&server, &token).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_root_key_is_only_made_where_a_service_has_been() {
    let scratch = Scratch::new("never-served");
    fs::create_dir(scratch.data()).unwrap();
    let pepper = scratch.data().join("pepper");
    let ended = run(with_data("bootstrap", &scratch)).await;
    ended.assert_refusal(1, &[pepper.to_str().unwrap(), "`keyward serve`"]);
    assert_eq!(ended.printed, "");
    let left = fs::read_dir(scratch.data()).unwrap().flatten();
    let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    left.retain(|name| name.to_string_lossy().starts_with("pepper"));
    assert_eq!(left, [""; 0]);

    let server = Server::spawn(with_data("serve", &scratch), String::new()).await;
    server.until_serving().await;
    let [token] = tokens(&server.printed()).try_into().unwrap();
    assert_root(&server, &token).await;
    assert!(pepper.exists());
    server.stop().await;
}

#[tokio::test]
async fn an_ephemeral_start_that_fails_leaves_nothing() {
    let scratch = Scratch::new("ephemeral-fails");
    let [nothing, temporary] = ["nothing", "temporary"].map(|name| scratch.0.join(name));
    for folder in [&nothing, &temporary] {
        fs::create_dir(folder).unwrap();
    }
    let mut serve = program(&["serve", "--ephemeral"]);
    serve.env("PGBIN", &nothing).env("TMPDIR", &temporary);
    run(serve).await.assert_refusal(69, &[nothing.to_str().unwrap(), "PGBIN="]);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}
