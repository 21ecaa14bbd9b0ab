//! Without a database.

use keyward::rpc::pb;
use tonic::Code;

use super::{abuse, get, held, renewable};
use crate::support::{
    client::assert_status,
    database::Database,
    eventually,
    gate::Gate,
    operator::{NO_USES, Site},
    server::Server,
};

#[tokio::test]
async fn without_a_database_a_holder_is_told_of_its_key_and_changes_nothing() {
    let database = Database::new();
    let (mut gate, beyond) = Gate::new("self-service", &database);
    gate.open();
    let server = Server::start_with(&beyond, &NO_USES).await;
    let site = Site { database, server };
    let (made, mut holder) = held(&site, renewable("Outlives an outage")).await;

    gate.shut();
    let told = holder.who_am_i(pb::WhoAmIRequest {}).await.unwrap().into_inner();
    assert_eq!(told.key_id, made.key.id);
    let another = pb::RegenerateMyKeyRequest::default;
    let result = holder.regenerate_my_key(another()).await;
    assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
    let result = holder.revoke_my_key(abuse()).await;
    assert_status(result, Code::Unavailable, "DATABASE_UNAVAILABLE");
    let mut nobody = site.server.holder("");
    let result = nobody.revoke_my_key(abuse()).await;
    assert_status(result, Code::Unauthenticated, "KEY_MISSING");

    gate.open();
    let found = eventually("the database is back", async || {
        let request = pb::GetKeyRequest { id: made.key.id.clone() };
        site.admin().get_key(request).await.ok()
    });
    assert_eq!(found.await.into_inner().key.as_ref(), Some(&made.key));
    let new = holder.regenerate_my_key(another()).await.unwrap().into_inner();
    site.knows(new.revision).await;
    site.server.holder(&new.token).revoke_my_key(abuse()).await.unwrap();
    assert_eq!(get(&site, &made.key.id).await.state(), pb::KeyState::Revoked);
}
