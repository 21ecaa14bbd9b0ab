//! Files of TLS that cannot be used, at the start and while the server runs.

use std::{fs, path::Path};

use rustix::process::Signal;

use super::{
    LISTENER,
    authority::{Authority, Pair, Valid, replace, write},
    client::Client,
    flags, launch,
};
use crate::support::{
    database::{Database, PEPPER},
    eventually,
    program::{program, run},
    server::Server,
};

/// A way to make files unusable, and the words that tell of it.
type Bad<'a> = (&'a str, Box<dyn Fn(&Pair, &Path) + 'a>);

/// All that certificates, keys and authorities may be instead of good.
struct Others {
    late: Pair,
    early: Pair,
    second: Pair,
}

impl Others {
    async fn new(authority: &Authority) -> Self {
        Self {
            late: authority.issue("late", LISTENER, Valid::Before).await,
            early: authority.issue("early", LISTENER, Valid::Later).await,
            second: authority.issue("second", LISTENER, Valid::Now).await,
        }
    }

    fn all(&self) -> Vec<Bad<'_>> {
        let garbage = b"-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n";
        let no_certificate = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let no_key = b"-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
        vec![
            (
                "own.pem: the certificate has expired: it was valid until 2020-02-01T00:00:00Z",
                Box::new(|own, _| own.replace(&self.late)),
            ),
            (
                "own.pem: the certificate is not valid yet: it will be from 2090-01-01T00:00:00Z",
                Box::new(|own, _| own.replace(&self.early)),
            ),
            (
                "own.key: is not the private key of the certificate in",
                Box::new(|own, _| replace(&own.key, &self.second.key)),
            ),
            (
                "own.pem: has no certificate in PEM",
                Box::new(|own, _| replace(&own.certificate, &self.second.key)),
            ),
            ("own.pem: has no certificate in PEM", Box::new(|own, _| write(&own.certificate, b""))),
            ("own.pem: is not in PEM", Box::new(|own, _| write(&own.certificate, garbage))),
            (
                "own.pem: has a certificate that cannot be read",
                Box::new(|own, _| write(&own.certificate, no_certificate)),
            ),
            (
                "own.pem: is larger than 1 MiB",
                Box::new(|own, _| write(&own.certificate, &vec![b'\n'; 1024 * 1024 + 1])),
            ),
            (
                "own.pem: cannot be read: No such file",
                Box::new(|own, _| fs::remove_file(&own.certificate).unwrap()),
            ),
            ("own.key: has no private key in PEM", Box::new(|own, _| write(&own.key, b"garbage"))),
            ("own.key: cannot be used: ", Box::new(|own, _| write(&own.key, no_key))),
            (
                "own.key: cannot be read: No such file",
                Box::new(|own, _| fs::remove_file(&own.key).unwrap()),
            ),
            ("clients.pem: has no certificate in PEM", Box::new(|_, ca| write(ca, b""))),
            ("clients.pem: cannot be used: ", Box::new(|_, ca| write(ca, no_certificate))),
            (
                "clients.pem: cannot be read: No such file",
                Box::new(|_, ca| fs::remove_file(ca).unwrap()),
            ),
        ]
    }
}

#[tokio::test]
async fn files_that_cannot_be_used_end_the_start_and_say_why() {
    let authority = Authority::new("start").await;
    let good = authority.issue("good", LISTENER, Valid::Now).await;
    let others = Others::new(&authority).await;
    let clients = authority.folder().join("clients.pem");
    for (number, (reason, spoil)) in others.all().iter().enumerate() {
        let own = good.copy(authority.folder());
        replace(&clients, &authority.certificate());
        spoil(&own, &clients);
        let listener = ["authorize", "admin", "http"][number % 3];
        let mut serve = program(&["serve"]);
        serve.args(flags(listener, &own, Some(&clients)));
        serve.env("DATABASE_URL", "postgresql:///nowhere?host=/nowhere");
        serve.env("KEYWARD_PEPPER", PEPPER);
        let words = [&format!("TLS of the {listener} listener")[..], reason];
        run(serve).await.assert_refusal(2, &words);
    }
}

#[tokio::test]
async fn settings_that_lack_others_are_refused() {
    for (given, lacking) in [
        ("--authorize-tls-cert", "--authorize-tls-key"),
        ("--admin-tls-key", "--admin-tls-cert"),
        ("--http-tls-client-ca", "--http-tls-cert"),
        ("--authorize-tls-clients", "--authorize-tls-client-ca"),
    ] {
        let ended = run(program(&["serve", &format!("{given}=x")])).await;
        ended.assert_refusal(2, &[given, "needs", lacking]);
    }
    for (flag, value) in [
        ("--authorize-tls-clients", "spiffe://*"),
        ("--admin-tls-clients", "*.example.org"),
        ("--http-tls-clients", ","),
        ("--tls-reload-interval", "1ms"),
    ] {
        let ended = run(program(&["serve", &format!("{flag}={value}")])).await;
        ended.assert_refusal(2, &[flag]);
    }
}

#[tokio::test]
async fn files_that_become_unusable_are_told_of_once_and_the_old_ones_stay() {
    let authority = Authority::new("reload").await;
    let good = authority.issue("good", LISTENER, Valid::Now).await;
    let others = Others::new(&authority).await;
    let clients = authority.folder().join("clients.pem");
    let own = good.copy(authority.folder());
    replace(&clients, &authority.certificate());
    let mut settings = flags("authorize", &own, Some(&clients));
    settings.push("--tls-reload-interval=20ms".into());
    let server = launch(&Database::new(), &settings).await;
    let client = Client::new(&authority.certificate(), Some(&good));
    client.until_serving(server.authorize).await;
    for (reason, spoil) in &others.all() {
        let errors = server.count_logged("\"level\":\"ERROR\"");
        let taken = server.count_logged("took a certificate for TLS");
        spoil(&own, &clients);
        let line = eventually(reason, async || {
            let logged = server.logged();
            let all = logged.lines().filter(|line| line.contains("\"level\":\"ERROR\""));
            all.skip(errors).find(|line| line.contains(reason)).map(str::to_owned)
        })
        .await;
        for words in ["the old ones stay", "TLS of the authorize listener"] {
            assert!(line.contains(words), "{words} not in {line}");
        }
        client.health(server.authorize).await.unwrap();
        assert!(client.has_met(&good), "{reason}");
        own.replace(&good);
        replace(&clients, &authority.certificate());
        eventually("the good files are taken again", async || {
            (server.count_logged("took a certificate for TLS") > taken).then_some(())
        })
        .await;
        client.health(server.authorize).await.unwrap();
        // one for each look at files that were half replaced, and not one for each look
        assert!(server.count_logged("\"level\":\"ERROR\"") <= errors + 4, "{}", server.logged());
    }
}

#[tokio::test]
async fn sighup_looks_at_once() {
    let authority = Authority::new("sighup").await;
    let first = authority.issue("first", LISTENER, Valid::Now).await;
    let second = authority.issue("second", LISTENER, Valid::Now).await;
    let own = first.copy(authority.folder());
    let mut settings = flags("authorize", &own, None);
    settings.push("--tls-reload-interval=1h".into());
    let server = launch(&Database::new(), &settings).await;
    let client = Client::new(&authority.certificate(), None);
    client.until_serving(server.authorize).await;
    assert!(client.has_met(&first));
    own.replace(&second);
    server.signal(Signal::HUP);
    server.until_logged("\"changed\":1,").await;
    client.health(server.authorize).await.unwrap();
    assert!(client.has_met(&second));
    let line = server.until_logged("\"names\":\"localhost\"").await;
    assert!(line.contains("\"not_after\":\"20"), "{line}");
}

#[tokio::test]
async fn without_tls_sighup_changes_nothing() {
    let server = Server::start(&Database::new()).await;
    server.signal(Signal::HUP);
    server.until_logged("looked at the files of TLS after SIGHUP").await;
    server.until_serving().await;
}

#[tokio::test]
async fn a_certificate_that_ends_within_a_week_is_warned_of_once() {
    let authority = Authority::new("soon").await;
    let own = authority.issue("own", LISTENER, Valid::Days(6)).await;
    let long = authority.issue("long", LISTENER, Valid::Days(8)).await;
    let mut settings = flags("authorize", &own, None);
    settings.extend(flags("admin", &long, None));
    settings.push("--tls-reload-interval=10ms".into());
    let server = launch(&Database::new(), &settings).await;
    let line = server.until_logged("is about to expire").await;
    assert!(line.contains("\"level\":\"WARN\"") && line.contains("authorize listener"), "{line}");
    // some looks later
    let taken = server.count_logged("took a certificate");
    long.replace(&own.copy(authority.folder()));
    eventually("it is looked at again", async || {
        (server.count_logged("took a certificate") > taken).then_some(())
    })
    .await;
    eventually("the other one is warned of", async || {
        (server.count_logged("is about to expire") == 2).then_some(())
    })
    .await;
}
