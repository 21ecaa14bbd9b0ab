//! Customers: whom a key may act for.

use keyward::rpc::pb::{AuthorizeRequest, CreateKeyRequest, Key};

use super::{World, is_good, key_with, may, texts};
use crate::support::client::assert_invalid;

fn for_customer(token: &str, customer: &str) -> AuthorizeRequest {
    AuthorizeRequest { customer: customer.into(), ..may(token, "systems.read") }
}

#[tokio::test]
async fn a_key_with_customers_may_act_for_those_alone() {
    let mut world = World::new().await;
    let request = CreateKeyRequest { customers: texts(&["c-1"]), ..key_with(&["systems"]) };
    let made = world.key(request).await;
    let free = world.key(key_with(&["systems"])).await;
    for (customer, expected) in [
        ("c-1", "ALLOWED"),
        ("", "403 CUSTOMER_DENIED"),
        ("c-2", "403 CUSTOMER_DENIED"),
        ("C-1", "403 CUSTOMER_DENIED"),
        ("c-1 ", "403 CUSTOMER_DENIED"),
        ("*", "403 CUSTOMER_DENIED"),
        ("ä", "403 CUSTOMER_DENIED"),
    ] {
        assert_eq!(world.verdict(for_customer(&made.token, customer)).await, expected);
        assert_eq!(world.verdict(for_customer(&free.token, customer)).await, "ALLOWED");
    }
    let key = Key { customers: texts(&["C/2", "c-1"]), ..Key::default() };
    world.change_key(&made, key, &["customers"]).await;
    assert_eq!(world.verdict(for_customer(&made.token, "C/2")).await, "ALLOWED");
    let key = Key { customers: texts(&["C/2"]), ..Key::default() };
    world.change_key(&made, key, &["customers"]).await;
    assert_eq!(world.verdict(for_customer(&made.token, "c-1")).await, "403 CUSTOMER_DENIED");
    let mut waiting = world.reader.asker();
    waiting.until(&made.token, "403 CUSTOMER_DENIED").await;
    world.change_key(&made, Key::default(), &["customers"]).await;
    waiting.until(&made.token, "ALLOWED").await;
    assert_eq!(world.verdict(for_customer(&made.token, "anybody")).await, "ALLOWED");
}

#[tokio::test]
async fn whether_a_key_is_good_has_nothing_to_do_with_customers() {
    let mut world = World::new().await;
    let request = CreateKeyRequest { customers: texts(&["c-1"]), ..key_with(&[]) };
    let made = world.key(request).await;
    assert_eq!(world.verdict(is_good(&made.token)).await, "ALLOWED");
    let named = AuthorizeRequest { customer: "c-1".into(), ..is_good(&made.token) };
    assert_invalid(Err::<(), _>(world.refuses(named).await), &["customer"]);
}
