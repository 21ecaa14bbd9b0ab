//! `KeyAdmin`: what each call does, and whom and what it refuses.

use crate::support::{
    client::{create, new_key},
    database::Database,
    server::Server,
};

#[tokio::test]
async fn a_new_key_is_allowed_what_it_was_granted_and_nothing_else() {
    let database = Database::new();
    let server = Server::start(&database).await;
    let made = create(&mut server.admin(), new_key("First")).await;
    let mut asker = server.asker();
    assert_eq!(asker.verdict(&made.token, made.revision).await, "ALLOWED");
}
