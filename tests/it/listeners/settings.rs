//! Settings by other ways than flags.

use std::fs;

use crate::{
    postgres::support::Scratch,
    support::{
        client::{create, new_key},
        database::{Database, PEPPER},
        program::{program, run},
        server::Server,
    },
};

#[tokio::test]
async fn without_arguments_it_serves_as_the_environment_says() {
    let database = Database::new();
    let mut command = program(&[]);
    command
        .env("DATABASE_URL", &database.url)
        .env("KEYWARD_PEPPER", PEPPER)
        .env("KEYWARD_REQUIRE_DATABASE_URL", "true")
        .env("KEYWARD_NO_MIGRATE", "true")
        .env("KEYWARD_BRAND", "acme");
    let server = Server::spawn(command, database.root_token.clone()).await;
    server.until_serving().await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    assert!(made.token.starts_with("acme_prod_"), "{}", made.key.hint);
    let verdict = server.asker().verdict(&made.token, made.revision).await;
    assert_eq!(verdict, "ALLOWED");
}

#[tokio::test]
async fn the_database_and_the_pepper_may_be_in_files() {
    let database = Database::new();
    let scratch = Scratch::new("files");
    let (url, pepper) = (scratch.0.join("url"), scratch.0.join("pepper"));
    fs::write(&url, format!("{}\n", database.url)).unwrap();
    fs::write(&pepper, format!("{PEPPER}\n")).unwrap();
    let mut command = program(&["serve", "--pepper-file"]);
    command.arg(&pepper).env("DATABASE_URL_FILE", &url);
    let server = Server::spawn(command, database.root_token.clone()).await;
    server.until_serving().await;
    create(&mut server.admin(), new_key("Key")).await;

    let mut bootstrap = program(&["bootstrap", "--database-url-file"]);
    bootstrap.arg(&url).env("KEYWARD_PEPPER_FILE", &pepper);
    let ended = run(bootstrap).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[tokio::test]
async fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let scratch = Scratch::new("empty");
    let mut command = program(&[]);
    command.env("KEYWARD_EPHEMERAL", "1").env("TMPDIR", &scratch.0);
    for empty in [
        "DATABASE_URL",
        "DATABASE_URL_FILE",
        "KEYWARD_DATA_DIR",
        "KEYWARD_PEPPER",
        "KEYWARD_PEPPER_FILE",
        "KEYWARD_OTHER_PEPPER_FILES",
        "PGBIN",
    ] {
        command.env(empty, "");
    }
    let server = Server::spawn(command, String::new()).await;
    server.until_serving().await;
    create(&mut server.admin_as(&server.root_token_from_print()), new_key("Key")).await;
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "it is the ephemeral one");
    server.stop().await;
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);

    let database = Database::new();
    let mut serve = program(&["serve"]);
    serve.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", "");
    run(serve).await.assert_refusal(2, &["a pepper is needed with a database URL"]);
}
