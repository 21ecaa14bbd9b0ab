//! Domains that are disabled.

use keyward::rpc::pb::{CreateKeyRequest, DisableDomainRequest};
use tonic::Code;

use super::{World, is_good, may, user_of};
use crate::support::client::{assert_status, new_key};

#[tokio::test]
async fn a_disabled_domain_denies_all_of_its_keys_and_no_others() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    world.user(user_of("tenant/ida", &["systems"], &[])).await;
    let of_tenant = |user: &str| CreateKeyRequest {
        domain: "tenant".into(),
        user: user.into(),
        ..new_key("Of the tenant")
    };
    let inside = [world.key(of_tenant("")).await, world.key(of_tenant("ida")).await];
    let staged = CreateKeyRequest { environment: "staging".into(), ..of_tenant("") };
    let staged = world.key(staged).await;
    let outside = world.key(new_key("Of another")).await;
    for round in 0..2 {
        for made in &inside {
            assert_eq!(world.verdict(may(&made.token, "systems.read")).await, "ALLOWED");
        }
        let staging = world.verdict(is_good(&staged.token)).await;
        assert_eq!(staging, "401 ENVIRONMENT_MISMATCH");

        world.enable_domain("tenant", false).await;
        for made in inside.iter().chain([&staged]) {
            for request in [may(&made.token, "systems.read"), is_good(&made.token)] {
                let answer = world.ask(request).await;
                assert_eq!(crate::support::client::verdict(&answer), "401 DOMAIN_DISABLED");
                assert_eq!(
                    (answer.key_id, answer.domain.as_str()),
                    (made.key.id.clone(), "tenant")
                );
            }
            let now = world.get(made).await;
            assert_eq!(now, made.key, "nobody touched the key (round {round})");
        }
        assert_eq!(world.verdict(may(&outside.token, "systems.read")).await, "ALLOWED");
        world.enable_domain("tenant", true).await;
    }
    // without asking for any revision
    let mut reader = world.reader.asker();
    world.enable_domain("tenant", false).await;
    reader.until(&inside[0].token, "401 DOMAIN_DISABLED").await;
    world.enable_domain("tenant", true).await;
    reader.until(&inside[0].token, "ALLOWED").await;
}

#[tokio::test]
async fn a_key_that_is_made_in_a_disabled_domain_waits_for_it() {
    let mut world = World::new().await;
    world.domain("tenant").await;
    world.enable_domain("tenant", false).await;
    let request = CreateKeyRequest { domain: "tenant".into(), ..new_key("Early") };
    let made = world.key(request).await;
    assert_eq!(world.verdict(may(&made.token, "systems.read")).await, "401 DOMAIN_DISABLED");
    world.enable_domain("tenant", true).await;
    assert_eq!(world.verdict(may(&made.token, "systems.read")).await, "ALLOWED");
}

#[tokio::test]
async fn the_domain_of_admin_keys_stays_enabled() {
    let mut world = World::new().await;
    let request = DisableDomainRequest { name: "keyward".into(), etag: String::new() };
    let refused = world.access.disable_domain(request).await;
    assert_status(refused, Code::FailedPrecondition, "DOMAIN_PROTECTED");
    world.key(new_key("Still possible")).await;
}
