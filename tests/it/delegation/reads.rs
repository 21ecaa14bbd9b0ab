//! Lists and look-ups: a delegated admin sees its domains and nothing else.

use keyward::rpc::pb;

use super::{FOREIGN, OWN, World, key_in, update};
use crate::support::client::{Admin, create};

async fn listed(admin: &mut Admin, request: pb::ListKeysRequest) -> (Vec<String>, String) {
    let page = admin.list_keys(request).await.unwrap().into_inner();
    let names = page.keys.iter().map(|key| format!("{}/{}", key.domain, key.display_name));
    (names.collect(), page.next_page_token)
}

#[tokio::test]
async fn no_list_shows_keys_of_other_domains_whatever_it_is_filtered_by() {
    let mut world = World::start().await;
    for domain in [OWN, FOREIGN, "default"] {
        for name in ["One", "Two"] {
            let request = pb::CreateKeyRequest {
                customers: vec!["c1".into()],
                ..key_in(domain, name, &["systems.read"])
            };
            create(&mut world.root, request).await;
        }
    }
    let all = pb::ListKeysRequest::default;
    let own = ["acme/One", "acme/Two"];
    for request in [
        all(),
        pb::ListKeysRequest { domain: OWN.into(), ..all() },
        pb::ListKeysRequest { show_deleted: true, ..all() },
        pb::ListKeysRequest { created_by: world.root_id.clone(), ..all() },
        pb::ListKeysRequest { customer: "c1".into(), ..all() },
        pb::ListKeysRequest { search: "o".into(), ..all() },
        pb::ListKeysRequest { environment: "production".into(), ..all() },
        pb::ListKeysRequest { states: vec![pb::KeyState::Active.into()], ..all() },
    ] {
        println!("{request:?}");
        assert_eq!(listed(&mut world.keys, request).await.0, own);
    }
    for request in [
        pb::ListKeysRequest { created_by: "bootstrap".into(), ..all() },
        pb::ListKeysRequest { search: "Clerk".into(), ..all() },
        pb::ListKeysRequest { user: "them".into(), ..all() },
        pb::ListKeysRequest { group: "theirs".into(), ..all() },
    ] {
        println!("{request:?}");
        assert_eq!(listed(&mut world.keys, request).await.0, [""; 0]);
    }
}

#[tokio::test]
async fn a_page_token_of_another_caller_shows_no_more() {
    let mut world = World::start().await;
    let small = || pb::ListKeysRequest { page_size: 1, ..pb::ListKeysRequest::default() };
    for domain in [OWN, FOREIGN, OWN, FOREIGN] {
        create(&mut world.root, key_in(domain, "Key", &[])).await;
    }
    let mut token = String::new();
    loop {
        let page_token = token.clone();
        let (_, next) =
            listed(&mut world.root, pb::ListKeysRequest { page_token, ..small() }).await;
        if next.is_empty() {
            break;
        }
        let page_token = next.clone();
        let request = pb::ListKeysRequest { page_token, ..small() };
        let (names, _) = listed(&mut world.keys, request).await;
        assert!(names.iter().all(|name| name == "acme/Key"), "{names:?}");
        token = next;
    }
    assert_ne!(token, "");
}

#[tokio::test]
async fn lists_of_domains_users_and_groups_show_its_own() {
    let mut world = World::start().await;
    let access = &mut world.access;
    let request = pb::ListDomainsRequest::default();
    let found = access.list_domains(request).await.unwrap().into_inner().domains;
    assert_eq!(found.iter().map(|domain| domain.name.as_str()).collect::<Vec<_>>(), [OWN]);
    let request = pb::ListUsersRequest::default();
    let found = access.list_users(request).await.unwrap().into_inner().users;
    let ids: Vec<_> = found.iter().map(|user| user.id.as_str()).collect();
    assert_eq!(ids, ["boss", "heir", "intern"]);
    let request = pb::ListUsersRequest { group: "theirs".into(), ..Default::default() };
    let found = access.list_users(request).await.unwrap().into_inner().users;
    assert_eq!(found, []);
    let request = pb::ListPermissionGroupsRequest::default();
    let found = access.list_permission_groups(request).await.unwrap().into_inner().groups;
    let names: Vec<_> = found.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["mighty", "modest"]);
}

#[tokio::test]
async fn keys_beyond_the_ceiling_are_read_and_explained() {
    let mut world = World::start().await;
    let strong = world.key("Strong", &["control"]).await;
    let id = strong.key.id.clone();
    world.keys.get_key(pb::GetKeyRequest { id: id.clone() }).await.unwrap();
    let request = pb::LookupKeyRequest { token: strong.token };
    world.keys.lookup_key(request).await.unwrap();
    let request = pb::ExplainKeyRequest { id: id.clone(), request: None };
    let explained = world.keys.explain_key(request).await.unwrap().into_inner();
    assert_eq!(explained.permissions.len(), 1);
    let renamed =
        update(&id, pb::Key { description: "x".into(), ..Default::default() }, &["description"]);
    world.root.update_key(renamed).await.unwrap();
}
