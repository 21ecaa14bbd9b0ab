//! Quotas of users, customers and domains: stored, learned and adjusted as those of keys are.

use keyward::rpc::pb::{
    self, AuthorizeRequest, CreateKeyRequest, Mode, adjust_quota_request::Adjustment,
    limit_owner::Thing,
};

use super::{
    ask, key_with, knows, left, long_quota, made,
    shared_by_keys::{customer, domain, for_customer, user},
};
use crate::support::{
    client::{Made, verdict},
    database::Database,
    eventually,
    server::Server,
};

const OFTEN: [&str; 2] = ["--quota-flush-interval", "20ms"];

/// A key with a quota in each scope.
struct Everywhere {
    key: Made,
    domain: String,
    user: String,
    customer: String,
}

impl Everywhere {
    async fn new(server: &Server) -> Self {
        let quota = &[long_quota("calls", 10)];
        let domain = domain(server, quota).await;
        let user = user(server, &domain, quota).await;
        let customer = customer(server, &domain, quota).await;
        let request =
            CreateKeyRequest { domain: domain.clone(), user: user.clone(), ..key_with(quota) };
        let key = made(server, request).await;
        Self { key, domain, user, customer }
    }

    /// The verdict on one use.
    async fn used_at(&self, server: &Server) -> String {
        verdict(&ask(server, for_customer(&self.key.token, &self.customer)).await)
    }

    /// What is left as a replica knows it.
    async fn left_at(&self, server: &Server) -> Vec<String> {
        let request = AuthorizeRequest {
            mode: Mode::CheckOnly.into(),
            ..for_customer(&self.key.token, &self.customer)
        };
        left(&ask(server, request).await)
    }

    async fn until_left_at(&self, server: &Server, expected: &[String]) {
        eventually("the replica knows what is left", async || {
            (self.left_at(server).await == expected).then_some(())
        })
        .await;
    }
}

fn each(remaining: [i64; 4]) -> Vec<String> {
    let scopes = ["key", "user", "customer", "domain"].iter().zip(remaining);
    scopes.map(|(scope, remaining)| format!("{scope} calls {remaining}")).collect()
}

#[tokio::test]
async fn quotas_of_every_scope_are_stored_learned_and_adjusted() {
    let database = Database::new();
    let one = Server::start_with(&database, &OFTEN).await;
    let other = Server::start_with(&database, &OFTEN).await;
    let all = Everywhere::new(&one).await;
    knows(&other, all.key.revision).await;
    for _ in 0..4 {
        assert_eq!(all.used_at(&one).await, "ALLOWED");
    }
    all.until_left_at(&other, &each([6, 6, 6, 6])).await;

    let things = [
        (String::new(), Some(Thing::KeyId(all.key.key.id.clone()))),
        (all.domain.clone(), Some(Thing::User(all.user.clone()))),
        (all.domain.clone(), Some(Thing::Customer(all.customer.clone()))),
        (all.domain.clone(), None),
    ];
    for ((domain, thing), used) in things.into_iter().zip(1..) {
        let owner = Some(pb::LimitOwner { domain, thing });
        let request = pb::AdjustQuotaRequest {
            owner: owner.clone(),
            quota: "calls".into(),
            adjustment: Some(Adjustment::Used(used)),
            validate_only: false,
        };
        let adjusted = one.access().adjust_quota(request).await.unwrap().into_inner();
        knows(&one, adjusted.revision).await;
        knows(&other, adjusted.revision).await;
        let request = pb::GetQuotaUsageRequest { owner };
        let usage = other.access().get_quota_usage(request).await.unwrap().into_inner();
        assert_eq!(usage.quotas, [adjusted.quota.unwrap()]);
    }
    for server in [&one, &other] {
        assert_eq!(all.left_at(server).await, each([9, 8, 7, 6]));
    }
    other.stop().await;
    let other = Server::start_with(&database, &OFTEN).await;
    assert_eq!(all.left_at(&other).await, each([9, 8, 7, 6]));
    assert_eq!(all.used_at(&other).await, "ALLOWED");
    all.until_left_at(&one, &each([8, 7, 6, 5])).await;
}
