//! `keyward doctor` looks at the files of TLS.

use serde_json::Value;

use super::{
    LISTENER,
    authority::{Authority, Pair, Valid},
    flags,
};
use crate::support::{
    database::{Database, PEPPER},
    program::{program, run},
};

async fn found(database: &Database, pair: &Pair) -> (i32, Value) {
    let mut command = program(&["doctor", "--output", "json"]);
    command.args(flags("http", pair, None));
    command.env("DATABASE_URL", &database.url).env("KEYWARD_PEPPER", PEPPER);
    let ended = run(command).await;
    let all: Value = serde_json::from_str(&ended.printed).unwrap_or_else(|_| panic!("{ended:?}"));
    let tls = all.as_array().unwrap().iter().find(|it| it["check"] == "tls").unwrap();
    (ended.code, tls.clone())
}

#[tokio::test]
async fn certificates_that_are_over_end_soon_or_have_another_key_are_found() {
    let authority = Authority::new("doctor").await;
    let database = Database::new();
    let [good, soon, over] = [Valid::Now, Valid::Days(3), Valid::Before];
    let good = authority.issue("good", LISTENER, good).await;
    let soon = authority.issue("soon", LISTENER, soon).await;
    let over = authority.issue("over", LISTENER, over).await;
    let mixed = Pair { certificate: good.certificate.clone(), key: soon.key.clone() };
    let gone = Pair { certificate: "/nowhere/cert.pem".into(), key: good.key.clone() };
    for (pair, code, level, words) in [
        (&good, 0, "ok", "valid until"),
        (&soon, 0, "warn", "valid until"),
        (&over, 1, "fail", "expired"),
        (&mixed, 1, "fail", "not the private key"),
        (&gone, 1, "fail", "/nowhere/cert.pem"),
    ] {
        let (ended, tls) = found(&database, pair).await;
        assert_eq!((ended, tls["level"].as_str()), (code, Some(level)), "{tls}");
        assert!(tls["found"].as_str().unwrap().contains(words), "{tls}");
    }
}
