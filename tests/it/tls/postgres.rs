//! TLS to PostgreSQL, for each mode that libpq knows but `allow`.

use super::{
    LISTENER,
    authority::{Authority, Pair, Valid},
    database::{Door, Postgres},
};
use crate::support::{
    client::{create, new_key},
    database::Database,
    database::PEPPER,
    eventually,
    program::{program, run},
    server::Server,
};

/// What connections of ours the server has, with TLS or without.
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'keyward'";

/// Asserts that a server works on a database, that it follows changes, and whether its connections have TLS.
async fn assert_works(postgres: &Postgres, (host, settings): (&str, &str), has_tls: bool) {
    let database = postgres.database(host, settings);
    let server = Server::start(&database).await;
    let mut admin = server.admin();
    let made = create(&mut admin, new_key("Key")).await;
    assert_eq!(server.asker().verdict(&made.token, made.revision).await, "ALLOWED");
    let behind = postgres.behind_the_scenes();
    let encrypted = behind.number(&format!("{CONNECTIONS} AND ssl")).await;
    let open = behind.number(&format!("{CONNECTIONS} AND NOT ssl")).await;
    assert_eq!((encrypted >= 2, open >= 2), (has_tls, !has_tls), "{host} {settings}");
    assert_eq!(encrypted.min(open), 0, "{host} {settings}");
    server.stop().await;
}

/// Asserts that a server finds no way to a database, says why, and goes on trying.
async fn assert_fails(database: &Database, words: &str) {
    let server = Server::launch(database, &[]).await;
    let line = eventually(words, async || {
        let logged = server.logged();
        let mut lines = logged.lines().filter(|line| line.contains("waiting for the database"));
        lines.find(|line| line.contains(words)).map(str::to_owned)
    })
    .await;
    assert!(line.contains("error performing TLS handshake"), "{line}");
}

/// A URL's settings with files.
fn with_authority(mode: &str, authority: &Authority) -> String {
    format!("sslmode={mode}&sslrootcert={}", authority.certificate().display())
}

fn with_own(settings: &str, own: &Pair) -> String {
    format!("{settings}&sslcert={}&sslkey={}", own.certificate.display(), own.key.display())
}

#[tokio::test]
async fn each_mode_encrypts_and_verifies_as_much_as_it_says() {
    let (authority, other) = (Authority::new("modes").await, Authority::new("modes-other").await);
    let own = authority.issue("own", "DNS:localhost", Valid::Now).await;
    let postgres = Postgres::start("modes", &own, Door::Any).await;
    for (host, settings, has_tls) in [
        ("localhost", "sslmode=disable".to_owned(), false),
        ("localhost", "sslmode=prefer".to_owned(), true),
        ("localhost", String::new(), true),
        ("localhost", "sslmode=require".to_owned(), true),
        ("localhost", "sslmode=require&channel_binding=require".to_owned(), true),
        ("127.0.0.1", with_authority("require", &authority), true),
        ("127.0.0.1", with_authority("verify-ca", &authority), true),
        ("localhost", with_authority("verify-full", &authority), true),
    ] {
        assert_works(&postgres, (host, &settings), has_tls).await;
    }
    for (host, settings, words) in [
        ("localhost", with_authority("require", &other), "UnknownIssuer"),
        ("localhost", with_authority("verify-ca", &other), "UnknownIssuer"),
        ("localhost", with_authority("verify-full", &other), "UnknownIssuer"),
        ("127.0.0.1", with_authority("verify-full", &authority), "certificate not valid for name"),
        // the authorities of the system, of which ours is none
        ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
    ] {
        assert_fails(&postgres.database(host, &settings), words).await;
    }
}

#[tokio::test]
async fn channel_binding_goes_with_each_digest_of_certificates() {
    let authority = Authority::new("binding").await;
    for digest in ["sha256", "sha384", "sha512"] {
        let own = authority.issue_with(digest, LISTENER, Valid::Now, digest).await;
        let postgres = Postgres::start(&format!("binding-{digest}"), &own, Door::Tls).await;
        // not verified: of ECDSA with SHA-512 the verifier knows nothing, but the binding must
        let settings = "sslmode=require&channel_binding=require";
        assert_works(&postgres, ("127.0.0.1", settings), true).await;
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let authority = Authority::new("without").await;
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let postgres = Postgres::start("without", &own, Door::Plain).await;
    assert_works(&postgres, ("localhost", "sslmode=prefer"), false).await;
    for mode in ["require", "verify-full"] {
        let database = postgres.database("localhost", &format!("sslmode={mode}"));
        assert_fails(&database, "server does not support TLS").await;
    }
}

#[tokio::test]
async fn a_certificate_of_our_own_opens_a_server_that_asks_for_one() {
    let (authority, other) = (Authority::new("own").await, Authority::new("own-other").await);
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let door = authority.certificate();
    let postgres = Postgres::start("own", &own, Door::Certificate(&door)).await;
    let settings = with_authority("verify-full", &authority);
    let client = authority.issue("client", "DNS:keyward", Valid::Now).await;
    assert_works(&postgres, ("127.0.0.1", &with_own(&settings, &client)), true).await;
    let foreign = other.issue("foreign", "DNS:keyward", Valid::Now).await;
    let database = postgres.database("127.0.0.1", &with_own(&settings, &foreign));
    let server = Server::launch(&database, &[]).await;
    server.until_logged("waiting for the database").await;
}

#[tokio::test]
async fn the_servers_authority_and_our_certificate_are_replaced_while_we_run() {
    let (old, new) = (Authority::new("pg-old").await, Authority::new("pg-new").await);
    let own = old.issue("own", LISTENER, Valid::Now).await;
    let postgres = Postgres::start("replaced", &own, Door::Tls).await;
    let trusted = old.folder().join("trusted.pem");
    super::authority::replace(&trusted, &old.certificate());
    let settings = format!("sslmode=verify-full&sslrootcert={}", trusted.display());
    let database = postgres.database("127.0.0.1", &settings);
    let server = Server::start_with(&database, &["--tls-reload-interval=20ms"]).await;
    postgres.replace(&new.issue("own", LISTENER, Valid::Now).await);
    super::authority::replace(&trusted, &new.certificate());
    eventually("the authorities are taken again", async || {
        (server.count_logged("took the authorities for TLS") >= 2).then_some(())
    })
    .await;
    // connections that were made before are ended, so that others must be made
    let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
               AND application_name = 'keyward'";
    postgres.behind_the_scenes().connect().await.batch_execute(all).await.unwrap();
    let made = create(&mut server.admin(), new_key("Key")).await;
    assert_eq!(server.asker().verdict(&made.token, made.revision).await, "ALLOWED");
}

#[tokio::test]
async fn what_a_url_says_of_tls_and_cannot_be_is_refused_at_once() {
    let authority = Authority::new("url").await;
    let (own, second) = (
        authority.issue("own", LISTENER, Valid::Now).await,
        authority.issue("second", LISTENER, Valid::Now).await,
    );
    let mixed = Pair { certificate: own.certificate.clone(), key: second.key };
    let late = authority.issue("late", LISTENER, Valid::Before).await;
    let ca = authority.certificate().display().to_string();
    for (settings, words) in [
        ("sslmode=allow".to_owned(), "sslmode must be disable"),
        (format!("sslrootcert={ca}"), "sslrootcert needs sslmode"),
        (format!("sslmode=prefer&sslrootcert={ca}"), "sslrootcert needs sslmode"),
        ("sslmode=require&sslcert=x".to_owned(), "go together"),
        (with_own("sslmode=disable", &own), "do not go with"),
        ("sslmode=verify-ca&sslrootcert=/nowhere".to_owned(), "/nowhere: cannot be read"),
        (with_own("sslmode=require", &mixed), "is not the private key of the certificate in"),
        (with_own("sslmode=require", &late), "has expired"),
    ] {
        let mut serve = program(&["serve"]);
        serve.env("DATABASE_URL", format!("postgresql://keyward@localhost/keyward?{settings}"));
        serve.env("KEYWARD_PEPPER", PEPPER);
        run(serve).await.assert_refusal(2, &["--database-url (DATABASE_URL)", words]);
    }
}
