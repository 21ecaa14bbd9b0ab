//! Starts that fail, and what they say.

use std::process::Command;

use crate::support::{
    database::{Database, PEPPER},
    program::{program, run},
    server::Server,
};

fn serve_on(database: &Database, arguments: &[&str]) -> Command {
    let mut command = program(&["serve"]);
    command.args(arguments).env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
    command
}

#[tokio::test]
async fn another_pepper_is_refused() {
    let database = Database::new();
    let other = "a pepper of 32 bytes and more that is another one";
    let mut serve = serve_on(&database, &[]);
    serve.env("KEYWARD_PEPPER", other);
    let words = ["is needed and was not given: 1 token(s)", "KEYWARD_PEPPER_FILE"];
    run(serve).await.assert_refusal(1, &words);
    let mut bootstrap = program(&["bootstrap"]);
    bootstrap.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", other);
    let ended = run(bootstrap).await;
    ended.assert_refusal(1, &words);
    assert_eq!(ended.printed, "");
}

#[tokio::test]
async fn a_database_of_ones_own_needs_a_pepper() {
    let database = Database::new();
    let mut serve = serve_on(&database, &[]);
    serve.env_remove("KEYWARD_PEPPER");
    let words = ["a pepper is needed with a database URL", "KEYWARD_PEPPER_FILE"];
    run(serve).await.assert_refusal(2, &words);
    let mut serve = serve_on(&database, &[]);
    serve.env("KEYWARD_PEPPER", "short");
    let words = ["KEYWARD_PEPPER", "at least 32 bytes"];
    run(serve).await.assert_refusal(2, &words);
}

#[tokio::test]
async fn a_database_url_can_be_required() {
    let mut serve = program(&["serve", "--require-database-url"]);
    let words = ["--require-database-url", "DATABASE_URL_FILE"];
    serve.env("KEYWARD_PEPPER", PEPPER);
    run(serve).await.assert_refusal(2, &words);
    let mut serve = program(&[]);
    serve.env("KEYWARD_REQUIRE_DATABASE_URL", "true");
    run(serve).await.assert_refusal(2, &words);
}

#[tokio::test]
async fn a_database_url_that_cannot_be_used_is_refused_at_once() {
    for (url, word) in [
        ("postgresql://keyward@localhost/keyward?sslmode=always", "sslmode must be"),
        ("mysql://keyward@localhost/keyward", "must be like"),
    ] {
        let mut serve = program(&["serve"]);
        serve.env("DATABASE_URL", url).env("KEYWARD_PEPPER", PEPPER);
        let words = ["--database-url (DATABASE_URL)", word];
        run(serve).await.assert_refusal(2, &words);
    }
    let mut serve = program(&["serve", "--database-url-file", "/nowhere/url"]);
    serve.env("KEYWARD_PEPPER", PEPPER);
    let words = ["--database-url-file (DATABASE_URL_FILE)", "/nowhere/url"];
    run(serve).await.assert_refusal(2, &words);
}

#[tokio::test]
async fn a_wrong_value_names_its_flag() {
    for (flag, value) in [
        ("--poll-interval", "soon"),
        ("--poll-interval", "1ms"),
        ("--usage-flush-interval", "0s"),
        ("--max-staleness", "11years"),
        ("--drain-timeout", "-1s"),
        ("--authorize-listen", "localhost"),
        ("--admin-listen", "127.0.0.1:65536"),
        ("--authorize-connections", "0"),
        ("--admin-connections", "many"),
        ("--authorize-threads", "0"),
        ("--database-connections", "0"),
        ("--brand", "TooLong!"),
        ("--log-format", "xml"),
        ("--log-level", "keyward=loud"),
    ] {
        let ended = run(program(&["serve", &format!("{flag}={value}")])).await;
        ended.assert_refusal(2, &[flag]);
    }
    let both = program(&["serve", "--ephemeral", "--data-dir", "/nowhere"]);
    run(both).await.assert_refusal(2, &["--ephemeral", "--data-dir"]);
}

#[tokio::test]
async fn staleness_that_comes_between_two_looks_is_refused() {
    let names =
        ["--max-staleness (KEYWARD_MAX_STALENESS)", "--poll-interval (KEYWARD_POLL_INTERVAL)"];
    for (staleness, interval) in [("1999ms", "1s"), ("0s", "10ms"), ("1h", "31m")] {
        let arguments = ["serve", "--max-staleness", staleness, "--poll-interval", interval];
        run(program(&arguments)).await.assert_refusal(2, &names);
        let mut set = program(&[]);
        set.env("KEYWARD_MAX_STALENESS", staleness).env("KEYWARD_POLL_INTERVAL", interval);
        run(set).await.assert_refusal(2, &names);
    }
    let arguments = ["--max-staleness", "2s", "--poll-interval", "1s"];
    Server::start_with(&Database::new(), &arguments).await;
}

#[tokio::test]
async fn an_address_that_is_taken_names_its_setting() {
    let database = Database::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, setting) in [
        ("--authorize-listen", "--authorize-listen (KEYWARD_AUTHORIZE_LISTEN)"),
        ("--admin-listen", "--admin-listen (KEYWARD_ADMIN_LISTEN)"),
    ] {
        let mut serve = program(&["serve", &format!("{flag}={address}")]);
        serve.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
        run(serve).await.assert_refusal(1, &[setting, &address]);
    }
}

fn migrate(database: &Database) -> Command {
    let mut command = program(&["migrate"]);
    command.env("DATABASE_URL", &database.url);
    command
}

#[tokio::test]
async fn a_schema_is_only_made_by_who_may() {
    let database = Database::empty();
    let words = ["run `keyward migrate`"];
    run(serve_on(&database, &["--no-migrate"])).await.assert_refusal(1, &words);
    let mut bootstrap = program(&["bootstrap"]);
    bootstrap.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
    run(bootstrap).await.assert_refusal(1, &words);

    for applied in ["version 9; 9 migration(s)", "version 9; 0 migration(s)"] {
        let ended = run(migrate(&database)).await;
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(ended.printed.contains(applied), "{ended:?}");
    }
}

#[tokio::test]
async fn a_schema_of_another_program_is_refused() {
    for (edit, word) in [
        (
            "INSERT INTO keyward.migration (version, name, checksum, serves_from)
                VALUES (100, 'later', '', 100)",
            "use a newer keyward",
        ),
        ("UPDATE keyward.migration SET checksum = ''", "is not the one that this program has"),
    ] {
        let database = Database::new();
        let client = database.connect().await;
        client.batch_execute(edit).await.unwrap();
        for command in
            [serve_on(&database, &[]), serve_on(&database, &["--no-migrate"]), migrate(&database)]
        {
            run(command).await.assert_refusal(1, &[word]);
        }
    }
}

#[tokio::test]
async fn a_later_schema_that_serves_this_version_is_served() {
    let database = Database::new();
    let later = "INSERT INTO keyward.migration (version, name, checksum, serves_from)
        VALUES (100, 'later', '', 3)";
    database.connect().await.batch_execute(later).await.unwrap();
    Server::start(&database).await;
    Server::start_with(&database, &["--no-migrate"]).await;
}
