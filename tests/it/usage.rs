//! Last uses: noted for what was allowed, with where it came from, stored in time, never lost but by a crash.

use keyward::rpc::pb::{
    AuthorizeRequest, BatchAuthorizeRequest, GetKeyRequest, Key, ListKeysRequest, Mode,
};
use tokio_postgres::Client;

use crate::support::{
    client::{Admin, Asker, Made, create, may_read, new_key, verdict},
    database::Database,
    eventually,
    gate::Gate,
    server::Server,
};

const OFTEN: [&str; 2] = ["--usage-flush-interval", "20ms"];
const SELDOM: [&str; 2] = ["--usage-flush-interval", "30m"];

async fn get(admin: &mut Admin, made: &Made) -> Key {
    let request = GetKeyRequest { id: made.key.id.clone() };
    admin.get_key(request).await.unwrap().into_inner().key.unwrap()
}

async fn last_used(admin: &mut Admin, made: &Made) -> Option<prost_types::Timestamp> {
    get(admin, made).await.last_used_time
}

/// Uses the keys in this order, after the last one is known.
async fn use_all(asker: &mut Asker, keys: &[&Made]) {
    let revision = keys.iter().map(|made| made.revision).max().unwrap();
    for made in keys {
        assert_eq!(asker.verdict(&made.token, revision).await, "ALLOWED");
    }
}

/// How many of the keys with these names have a stored use.
async fn stored(client: &Client, names: &[&str]) -> i64 {
    let count = "SELECT count(*) FROM keyward.key_usage
        JOIN keyward.key ON id = key_id WHERE display_name = ANY ($1)";
    client.query_one(count, &[&names]).await.unwrap().get(0)
}

async fn until_used(admin: &mut Admin, made: &Made) -> prost_types::Timestamp {
    eventually("the use is stored", async || last_used(admin, made).await).await
}

#[tokio::test]
async fn only_an_allowed_and_charged_use_is_noted() {
    let database = Database::new();
    let server = Server::start_with(&database, &OFTEN).await;
    let mut admin = server.admin();
    let mut keys = Vec::new();
    for name in ["Used", "Checked", "Denied", "Failed", "Authenticated"] {
        keys.push(create(&mut admin, new_key(name)).await);
    }
    let [used, checked, denied, failed, authenticated] = keys.try_into().ok().unwrap();
    let mut asker = server.asker();
    let checking = AuthorizeRequest {
        mode: Mode::CheckOnly.into(),
        min_revision: authenticated.revision,
        ..may_read(&checked.token)
    };
    assert_eq!(verdict(&asker.ask(checking).await), "ALLOWED");
    let denying = AuthorizeRequest { permission: "games.play".into(), ..may_read(&denied.token) };
    assert_eq!(verdict(&asker.ask(denying).await), "403 PERMISSION_DENIED");
    let failing = BatchAuthorizeRequest {
        requests: vec![may_read(&failed.token), AuthorizeRequest::default()],
    };
    assert!(asker.0.batch_authorize(failing).await.is_err());
    let authenticating = AuthorizeRequest {
        key: authenticated.token.clone(),
        environment: "production".into(),
        mode: Mode::AuthenticateOnly.into(),
        ..AuthorizeRequest::default()
    };
    assert_eq!(verdict(&asker.ask(authenticating).await), "ALLOWED");
    // what is noted last is stored last
    use_all(&mut asker, &[&used]).await;
    let time = until_used(&mut admin, &used).await;
    assert_eq!(time.nanos, 0, "to the second");
    assert!(time.seconds >= used.key.create_time.unwrap().seconds);
    assert!(last_used(&mut admin, &authenticated).await.is_some());
    for made in [&checked, &denied, &failed] {
        let name = &made.key.display_name;
        assert_eq!(last_used(&mut admin, made).await, None, "{name}");
    }
}

#[tokio::test]
async fn an_admin_key_is_used_by_its_calls() {
    let database = Database::new();
    let server = Server::start_with(&database, &OFTEN).await;
    create(&mut server.admin(), new_key("Any")).await;
    let client = database.connect().await;
    eventually("the root key's use is stored", async || {
        (stored(&client, &["Root admin key"]).await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_use_is_stored_at_the_end_and_survives_a_restart() {
    let database = Database::new();
    let server = Server::start_with(&database, &SELDOM).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    use_all(&mut server.asker(), &[&made]).await;
    let client = database.connect().await;
    assert_eq!(stored(&client, &["Key"]).await, 0);
    server.stop().await;
    assert_eq!(stored(&client, &["Key"]).await, 1);

    let server = Server::start_with(&database, &SELDOM).await;
    let before = last_used(&mut server.admin(), &made).await.unwrap();
    assert!(before.seconds >= made.key.create_time.unwrap().seconds);
}

#[tokio::test]
async fn a_later_use_that_is_known_is_not_taken_back() {
    let database = Database::new();
    let server = Server::start_with(&database, &OFTEN).await;
    let mut admin = server.admin();
    let (made, other) =
        (create(&mut admin, new_key("Key")).await, create(&mut admin, new_key("Other")).await);
    // as another replica stored it, whose clock is ahead
    let ahead = "INSERT INTO keyward.key_usage
        SELECT id, '2100-01-01Z', '203.0.113.5' FROM keyward.key WHERE display_name = 'Key'";
    let client = database.connect().await;
    client.batch_execute(ahead).await.unwrap();
    use_all(&mut server.asker(), &[&made, &other]).await;
    until_used(&mut admin, &other).await;
    let key = get(&mut admin, &made).await;
    let time = key.last_used_time.unwrap();
    assert_eq!((time.seconds, &*key.last_used_address), (4_102_444_800, "203.0.113.5"));
}

/// Uses a key from there until this address is shown: a use is noted once in a second.
async fn until_used_from(server: &Server, made: &Made, (client, shown): (&str, &str)) {
    let (mut admin, mut asker) = (server.admin(), server.asker());
    let before = get(&mut admin, made).await.last_used_time.map(|time| time.seconds);
    eventually("the use is shown with its address", async || {
        let request = AuthorizeRequest {
            client_address: client.into(),
            min_revision: made.revision,
            ..may_read(&made.token)
        };
        assert_eq!(verdict(&asker.ask(request).await), "ALLOWED");
        let key = get(&mut admin, made).await;
        let newer = key.last_used_time.map(|time| time.seconds) > before;
        (newer && key.last_used_address == shown).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_address_of_the_last_use_is_shown_and_moves_on_with_it() {
    let database = Database::new();
    let server = Server::start_with(&database, &OFTEN).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    assert_eq!(made.key.last_used_address, "");
    for place in [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        // nobody tells where the client is: its caller's address is not the client's
        ("", ""),
    ] {
        until_used_from(&server, &made, place).await;
    }
    let request = ListKeysRequest { search: "Root admin".into(), ..ListKeysRequest::default() };
    let root = eventually("the root key's use is stored", async || {
        let listed = server.admin().list_keys(request.clone()).await.unwrap().into_inner();
        listed.keys.into_iter().find(|key| key.last_used_time.is_some())
    })
    .await;
    assert_eq!(root.last_used_address, "127.0.0.1", "an operator is the client itself");
}

#[tokio::test]
async fn of_the_address_of_the_last_use_the_network_alone_is_kept_if_that_is_set() {
    let database = Database::new();
    let flags = [&OFTEN[..], &["--decision-log-mask-addresses"]].concat();
    let server = Server::start_with(&database, &flags).await;
    let made = create(&mut server.admin(), new_key("Key")).await;
    for place in [("192.0.2.7", "192.0.2.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")] {
        until_used_from(&server, &made, place).await;
    }
    let kept = "SELECT count(*) FROM keyward.key_usage
        WHERE host(last_used_address) NOT IN ('2001:db8:1:2::', '127.0.0.0')";
    assert_eq!(database.number(kept).await, 0);
}

#[tokio::test]
async fn uses_are_kept_while_the_database_is_away() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("usage", &database);
    gate.open();
    let server = Server::start_with(&beyond, &OFTEN).await;
    let mut admin = server.admin();
    let before = create(&mut admin, new_key("Before")).await;
    let during = create(&mut admin, new_key("During")).await;
    let mut asker = server.asker();
    // with the later revision, so that the server knows both keys when the database goes
    let verdict = asker.verdict(&before.token, during.revision).await;
    assert_eq!(verdict, "ALLOWED");
    until_used(&mut admin, &before).await;

    gate.shut();
    use_all(&mut asker, &[&during]).await;
    server.until_logged("last uses cannot be stored").await;
    let client = database.connect().await;
    assert_eq!(stored(&client, &["During"]).await, 0);
    gate.open();
    server.until_logged("last uses are stored again").await;
    assert_eq!(stored(&client, &["Before", "During"]).await, 2);
}
