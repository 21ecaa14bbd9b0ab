//! Several peppers: one takes the place of another while keys go on working.

mod commands;
mod faults;
mod refusal;
mod rotation;
mod task;

use std::{fs, process::Command};

use keyward::model::secret::{Brand, Pepper, PresentedKey};

use crate::{
    postgres::support::Scratch,
    support::{
        database::{Database, PEPPER},
        eventually,
        program::{Ended, program, run},
        server::Server,
    },
};

/// The pepper that takes the place of the one of all test databases.
const NEW: &str = "a newer pepper for tests, of 32 bytes and more";
/// Yet another one.
const THIRD: &str = "a third pepper for tests, of 32 bytes and more";

/// What a pepper is called.
fn id(pepper: &str) -> String {
    Pepper::parse(pepper.as_bytes()).unwrap().id().to_string()
}

/// How a token is stored by a pepper.
fn digest(token: &str, pepper: &str) -> Vec<u8> {
    let pepper = Pepper::parse(pepper.as_bytes()).unwrap();
    let presented = PresentedKey::parse(token, &Brand::parse("kw").unwrap()).unwrap();
    presented.digest(&pepper).bytes().to_vec()
}

/// Files with peppers.
struct Files(Scratch);

impl Files {
    fn new(name: &str) -> Self {
        let scratch = Scratch::new(&format!("peppers-{name}"));
        Self(scratch)
    }

    /// A file with this pepper; its name.
    fn of(&self, pepper: &str) -> String {
        let path = self.0.0.join(id(pepper));
        fs::write(&path, pepper).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Lets a command use these peppers, the current one first.
    fn give(&self, command: &mut Command, peppers: &[&str]) {
        let (current, others) = peppers.split_first().unwrap();
        let others: Vec<String> = others.iter().map(|other| self.of(other)).collect();
        command.env("KEYWARD_PEPPER", current);
        command.env("KEYWARD_OTHER_PEPPER_FILES", others.join(","));
    }

    /// `keyward serve` with these peppers, the current one first.
    fn serve(&self, database: &Database, peppers: &[&str]) -> Command {
        let mut command = program(&["serve", "--failure-limit", "off"]);
        command.env("DATABASE_URL", &database.url);
        self.give(&mut command, peppers);
        command
    }

    /// A server that uses these peppers, when it serves.
    async fn server(&self, database: &Database, peppers: &[&str]) -> Server {
        let command = self.serve(database, peppers);
        let server = Server::spawn(command, database.root_token.clone()).await;
        server.until_serving().await;
        server
    }
}

/// `keyward pepper` with these arguments.
async fn pepper(database: &Database, arguments: &[&str]) -> Ended {
    let mut command = program(&[&["pepper"], arguments].concat());
    command.env("DATABASE_URL", &database.url);
    run(command).await
}

/// How many keys have a digest that a pepper other than the first of all gives.
async fn keys_of(database: &Database, pepper: &str) -> i64 {
    let query = format!("SELECT count(*) FROM keyward.key WHERE pepper = '{}'", id(pepper));
    database.number(&query).await
}

/// Waits until so many keys have a digest by this pepper.
async fn until_keys_of(database: &Database, pepper: &str, keys: i64) {
    eventually("keys have new digests", async || {
        (keys_of(database, pepper).await == keys).then_some(())
    })
    .await;
}

/// The line of `keyward pepper status` about a pepper.
async fn status_of(database: &Database, pepper_text: &str) -> String {
    let ended = pepper(database, &["status"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let line = ended.printed.lines().find(|line| line.starts_with(&id(pepper_text)));
    line.unwrap_or_else(|| panic!("{ended:?}")).to_owned()
}

/// Lets it be long ago that a replica said which peppers it has.
async fn forget_replicas(database: &Database) {
    let old = "UPDATE keyward.pepper SET current_at = now() - interval '1 hour'";
    database.connect().await.batch_execute(old).await.unwrap();
}

/// That nobody changed the audit.
async fn assert_audit_whole(database: &Database) {
    let mut command = program(&["audit", "verify"]);
    command.env("DATABASE_URL", &database.url);
    let ended = run(command).await;
    assert_eq!(ended.code, 0, "{ended:?}");
}

/// The pepper of all test databases.
const OLD: &str = PEPPER;
