//! Settings that make no sense together.

use super::receiver::Receiver;
use crate::support::{
    database::{Database, PEPPER},
    program::{program, run},
};

#[tokio::test]
async fn a_receiver_needs_a_secret_and_authorities_need_tls() {
    let receiver = Receiver::start("settings", &[]).await;
    let secret = receiver.secret_file();
    let (secret, database) = (secret.to_str().unwrap(), Database::new());
    let url = ["--notice-url", "http://127.0.0.1:1/"];
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for (flags, words) in [
        (&[url[0], url[1]][..], &["--notice-url", "--notice-secret-file"][..]),
        (&[url[0], url[1], "--notice-secret-file", manifest], &["--notice-secret-file", "whsec_"]),
        (
            &[url[0], url[1], "--notice-secret-file", secret, "--notice-ca", manifest],
            &["--notice-ca", "https"],
        ),
        (
            &[
                url[0],
                "https://127.0.0.1:1/",
                "--notice-secret-file",
                secret,
                "--notice-ca",
                manifest,
            ],
            &["receiver of notices", "certificate"],
        ),
    ] {
        let mut command = program(&["serve"]);
        command.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER).args(flags);
        run(command).await.assert_refusal(2, words);
    }
}

#[tokio::test]
async fn a_url_that_is_refused_is_not_shown() {
    let database = Database::new();
    let url = "https://someone:hunter2@hooks.example.org/private?path=too";
    for as_flag in [true, false] {
        let mut command = program(&["serve"]);
        command.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
        if as_flag {
            command.args(["--notice-url", url]);
        } else {
            command.env("KEYWARD_NOTICE_URL", url);
        }
        let ended = run(command).await;
        ended.assert_refusal(2, &["--notice-url", "without user, password and fragment"]);
        for part in ["someone", "hunter2", "hooks.example.org/private", "path=too"] {
            assert!(!format!("{ended:?}").contains(part), "{part}: {ended:?}");
        }
    }
}
