//! The command line over TLS.

use std::process::Command;

use super::{
    LISTENER,
    authority::{Authority, Valid},
    client::Client,
    flags, launch,
};
use crate::support::{
    database::Database,
    program::{program, run},
};

#[tokio::test]
async fn the_command_line_verifies_the_server_and_shows_a_certificate() {
    let authority = Authority::new("cli").await;
    let own = authority.issue("own", LISTENER, Valid::Now).await;
    let client = authority.issue("client", "DNS:operator.example.org", Valid::Now).await;
    let database = Database::new();
    let settings =
        [flags("admin", &own, Some(&authority.certificate())), flags("authorize", &own, None)];
    let server = launch(&database, &settings.concat()).await;
    Client::new(&authority.certificate(), None).until_serving(server.authorize).await;

    let ask = |server: String, flags: &[(&str, &std::path::Path)]| -> Command {
        let mut command = program(&["keys", "list", "--server", &server]);
        command.env("KEYWARD_TOKEN", &database.root_token);
        for (flag, file) in flags {
            command.arg(flag).arg(file);
        }
        command
    };
    let (certificate, https) = (authority.certificate(), format!("https://{}", server.admin));
    let all = [
        ("--ca", &*certificate),
        ("--client-cert", &*client.certificate),
        ("--client-key", &*client.key),
    ];
    let ended = run(ask(https.clone(), &all)).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.printed.contains("Root admin key"), "{ended:?}");

    let named = https.replace("127.0.0.1", "localhost");
    assert_eq!(run(ask(named, &all)).await.code, 0);
    let unverified = run(ask(https.clone(), &all[1..])).await;
    unverified.assert_refusal(5, &["certificate", "UnknownIssuer"]);
    run(ask(https.clone(), &all[..1])).await.assert_refusal(5, &["does not answer"]);
    run(ask(https, &all[..2])).await.assert_refusal(2, &["--client-key"]);
    let http = format!("http://{}", server.admin);
    run(ask(http.clone(), &all)).await.assert_refusal(2, &["https"]);
    run(ask(http, &[])).await.assert_refusal(5, &["does not answer", "http or https"]);
}
