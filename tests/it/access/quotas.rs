//! What was used of quotas: told, said anew, and added to.

use keyward::{clock, rpc::pb};
use pb::{
    AdjustQuotaRequest, GetQuotaUsageRequest, LimitOwner, QuotaPeriod, QuotaUsage,
    adjust_quota_request::Adjustment::{self, AddCredits, Used},
    limit::Kind,
    limit_owner::Thing as LimitedThing,
};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{
    Answer, Removable, Thing, delete_key, domain, events, key, key_of, made, present, texts,
    user_of,
};
use crate::support::{
    client::{Access, assert_invalid, assert_status, may_read, verdict},
    eventually,
    limits::{daily, fixed, quota, rate, slots, span},
    operator::Site,
};

const DAY: i64 = 24 * 60 * 60;
/// The most that can be said to be used, and the most credits.
const MOST: i64 = 1_000_000_000_000_000;

pub(super) async fn get(
    access: &mut Access,
    owner: &LimitOwner,
) -> Result<Vec<QuotaUsage>, Status> {
    let owner = Some(owner.clone());
    let response = access.get_quota_usage(GetQuotaUsageRequest { owner }).await?;
    Ok(response.into_inner().quotas)
}

pub(super) fn to(owner: &LimitOwner, quota: &str, adjustment: Adjustment) -> AdjustQuotaRequest {
    AdjustQuotaRequest {
        owner: Some(owner.clone()),
        quota: quota.into(),
        adjustment: Some(adjustment),
        validate_only: false,
    }
}

pub(super) async fn adjust(access: &mut Access, request: AdjustQuotaRequest) -> Answer<QuotaUsage> {
    let response = access.adjust_quota(request).await?.into_inner();
    Ok((response.quota.unwrap(), response.revision))
}

/// How much was used of each quota.
pub(super) async fn used(site: &Site, owner: &LimitOwner) -> Vec<i64> {
    let quotas = get(&mut site.server.access(), owner).await.unwrap();
    quotas.into_iter().map(|quota| quota.used).collect()
}

fn of_key(id: &str) -> LimitOwner {
    LimitOwner { domain: String::new(), thing: Some(LimitedThing::KeyId(id.into())) }
}

fn of_customer(domain: &str, id: &str) -> LimitOwner {
    LimitOwner { domain: domain.into(), thing: Some(LimitedThing::Customer(id.into())) }
}

/// A customer with these limits, and itself as what has them.
pub(super) async fn customer(site: &Site, limits: Vec<pb::Limit>) -> (pb::Customer, LimitOwner) {
    let customer = pb::Customer { limits, ..pb::Customer::whole(site).await };
    let customer = made(site, customer).await;
    let owner = of_customer("", &customer.id);
    (customer, owner)
}

fn seconds(time: Option<prost_types::Timestamp>) -> i64 {
    let time = time.unwrap();
    assert_eq!(time.nanos, 0);
    time.seconds
}

/// Limits of each kind, and the quotas among them.
fn mixed() -> Vec<pb::Limit> {
    vec![
        rate("often", 9, span(60, 0), 9),
        daily("zz", 100),
        slots("at-once", 9),
        quota("monthly", 7, QuotaPeriod::Month.into(), None),
        fixed("aa", 0, span(90, 0)),
    ]
}

/// Each kind of thing, with these limits, and how it is named in the audit but for users.
async fn owners(site: &Site, limits: Vec<pb::Limit>) -> [LimitOwner; 4] {
    let request = pb::CreateKeyRequest { limits: limits.clone(), ..key_of("default") };
    let key = of_key(&key(site, request).await.key.id);
    let domain = pb::Domain { limits: limits.clone(), ..pb::Domain::whole(site).await };
    let domain = made(site, domain).await.name;
    let user = pb::User { limits: limits.clone(), ..user_of(&domain, &[]) };
    let user = made(site, user).await;
    let user = LimitOwner { domain: user.domain, thing: Some(LimitedThing::User(user.id)) };
    let customer = customer(site, limits).await.1;
    [key, user, customer, LimitOwner { domain, thing: None }]
}

#[tokio::test]
async fn the_quotas_of_whatever_has_them_are_told_in_their_order() {
    let site = Site::shared();
    let access = &mut site.server.access();
    for owner in owners(&site, mixed()).await {
        let before = clock::wall().micros() / 1_000_000;
        let told = get(access, &owner).await.unwrap();
        let after = clock::wall().micros() / 1_000_000;
        let expected: Vec<_> = mixed()
            .into_iter()
            .zip([None, Some(0), None, Some(1), Some(2)])
            .filter_map(|(limit, at)| {
                let Some(Kind::Quota(quota)) = limit.kind else { return None };
                let (start_time, reset_time) = (told[at?].start_time, told[at?].reset_time);
                let (used, credits, remaining) = (0, 0, quota.limit);
                let (name, quota) = (limit.name, Some(quota));
                Some(QuotaUsage { name, quota, used, credits, remaining, start_time, reset_time })
            })
            .collect();
        assert_eq!(told, expected);
        for usage in &told {
            let (start, end) = (seconds(usage.start_time), seconds(usage.reset_time));
            assert!(start <= after && before < end);
            let span = match usage.quota.unwrap().period() {
                QuotaPeriod::Day => DAY,
                QuotaPeriod::Month => {
                    assert!((28 * DAY..=31 * DAY).contains(&(end - start)));
                    assert_eq!(start % DAY, 0);
                    continue;
                }
                _ => 90,
            };
            assert_eq!((start % span, end - start), (0, span));
        }
    }
    let bare = customer(&site, vec![rate("often", 9, span(60, 0), 9)]).await.1;
    assert_eq!(get(access, &bare).await.unwrap(), []);
}

#[tokio::test]
async fn what_was_used_is_said_anew_and_credits_are_added() {
    let site = Site::shared();
    let access = &mut site.server.access();
    // the month, lest a day should end meanwhile; it is told if one did
    for owner in owners(&site, mixed()).await {
        let [_, before, _] = get(access, &owner).await.unwrap().try_into().unwrap();
        let mut expected = before;
        let mut last = 0;
        for (adjustment, used, credits, remaining) in [
            (Used(3), 3, 0, 4),
            (AddCredits(10), 3, 10, 14),
            (Used(17), 17, 10, 0),
            (Used(MOST), MOST, 10, 0),
            (AddCredits(-4), MOST, 6, 0),
            (Used(0), 0, 6, 13),
            (AddCredits(MOST), 0, MOST, MOST + 7),
            (AddCredits(1), 0, MOST, MOST + 7),
            (AddCredits(-MOST), 0, 0, 7),
            (AddCredits(-1), 0, 0, 7),
            (AddCredits(0), 0, 0, 7),
            (AddCredits(5), 0, 5, 12),
            (AddCredits(-MOST), 0, 0, 7),
        ] {
            let request = to(&owner, "monthly", adjustment);
            let tried = AdjustQuotaRequest { validate_only: true, ..request.clone() };
            let known = get(access, &owner).await.unwrap();
            let (tried, _) = adjust(access, tried).await.unwrap();
            assert_eq!(get(access, &owner).await.unwrap(), known);
            let (shown, revision) = adjust(access, request).await.unwrap();
            expected = QuotaUsage { used, credits, remaining, ..expected };
            assert_eq!((&shown, &tried), (&expected, &expected), "{adjustment:?}");
            assert!(revision > last);
            last = revision;
            // and no other one
            let [day, month, other] = get(access, &owner).await.unwrap().try_into().unwrap();
            assert_eq!(month, expected);
            assert_eq!([(day.used, day.credits), (other.used, other.credits)], [(0, 0), (0, 0)]);
        }
    }
}

#[tokio::test]
async fn an_adjustment_has_its_audit_event_and_one_that_is_tried_has_none() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let month = || quota("monthly", 7, QuotaPeriod::Month.into(), None);
    let owners = owners(&site, vec![month()]).await;
    for owner in &owners {
        let [usage] = get(access, owner).await.unwrap().try_into().unwrap();
        let shown = |used: i64, credits: i64| {
            let start = seconds(usage.start_time) * 1_000_000;
            let period = "month";
            Some(json!(
                { "period": period, "start_micros": start, "used": used, "credits": credits }
            ))
        };
        let tried = to(owner, "monthly", Used(9));
        let tried = AdjustQuotaRequest { validate_only: true, ..tried };
        adjust(access, tried).await.unwrap();
        let (_, first) = adjust(access, to(owner, "monthly", Used(3))).await.unwrap();
        let (_, second) = adjust(access, to(owner, "monthly", AddCredits(4))).await.unwrap();
        let expected: Vec<(String, i64, Option<Value>, Option<Value>)> = vec![
            ("quotas.adjust".into(), first, shown(0, 0), shown(3, 0)),
            ("quotas.adjust".into(), second, shown(3, 0), shown(3, 4)),
        ];
        assert_eq!(events(&site, "quota", &subject(&site, owner).await).await, expected);
    }
}

/// How the audit calls the quota `monthly` of something.
async fn subject(site: &Site, owner: &LimitOwner) -> String {
    let LimitOwner { domain, thing } = owner;
    match thing {
        Some(LimitedThing::KeyId(id)) => format!("key/{id} monthly"),
        Some(LimitedThing::User(id)) => {
            let query = "SELECT uid FROM keyward.domain_user WHERE domain = $1 AND id = $2";
            let database = site.database.connect().await;
            let row = database.query_one(query, &[domain, id]).await.unwrap();
            format!("user/{} monthly", row.get::<_, i64>("uid"))
        }
        Some(LimitedThing::Customer(id)) => format!("customer/default/{id} monthly"),
        None => format!("domain/{domain} monthly"),
    }
}

#[tokio::test]
async fn a_decision_knows_of_an_adjustment_from_its_revision_on() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let month = || quota("monthly", 2, QuotaPeriod::Month.into(), None);
    let domain = domain(&site).await;
    let user = pb::User { limits: vec![month()], ..user_of(&domain, &["systems"]) };
    let user = made(&site, user).await;
    let customer = pb::Customer {
        domain: domain.clone(),
        limits: vec![month()],
        ..pb::Customer::whole(&site).await
    };
    let customer = made(&site, customer).await;
    let request = pb::CreateKeyRequest {
        user: user.id.clone(),
        limits: vec![month()],
        permissions: texts(&["systems"]),
        ..key_of(&domain)
    };
    let made = key(&site, request).await;
    let limited = pb::Domain { name: domain.clone(), limits: vec![month()], ..Default::default() };
    limited.update(access, &["limits"], false).await.unwrap();
    let of_user = LimitedThing::User(user.id.clone());
    let mut asker = site.server.asker();
    for owner in [
        of_key(&made.key.id),
        LimitOwner { domain: domain.clone(), thing: Some(of_user) },
        of_customer(&domain, &customer.id),
        LimitOwner { domain: domain.clone(), thing: None },
    ] {
        for (adjustment, expected) in [
            (Used(2), "429 QUOTA_EXHAUSTED"),
            (AddCredits(1), "ALLOWED"),
            (AddCredits(-1), "429 QUOTA_EXHAUSTED"),
            (Used(0), "ALLOWED"),
        ] {
            let request = to(&owner, "monthly", adjustment);
            let (_, min_revision) = adjust(access, request).await.unwrap();
            let wanted = pb::AuthorizeRequest {
                customer: customer.id.clone(),
                min_revision,
                mode: pb::Mode::CheckOnly.into(),
                ..may_read(&made.token)
            };
            assert_eq!(verdict(&asker.ask(wanted).await), expected, "{owner:?} {adjustment:?}");
        }
    }
}

#[tokio::test]
async fn what_decisions_used_is_told_soon() {
    let site = Site::shared();
    let month = quota("monthly", 5, QuotaPeriod::Month.into(), None);
    let (customer, owner) = customer(&site, vec![month]).await;
    let request = pb::CreateKeyRequest { permissions: texts(&["systems"]), ..key_of("default") };
    let made = key(&site, request).await;
    let mut asker = site.server.asker();
    for _ in 0..3 {
        let wanted =
            pb::AuthorizeRequest { customer: customer.id.clone(), ..may_read(&made.token) };
        assert_eq!(verdict(&asker.ask(wanted).await), "ALLOWED");
    }
    eventually("the use is stored", async || (used(&site, &owner).await == [3]).then_some(()))
        .await;
}

#[tokio::test]
async fn what_has_no_such_quota_is_not_found() {
    let site = Site::shared();
    let access = &mut site.server.access();
    for owner in owners(&site, mixed()).await {
        for name in ["often", "at-once", "nothing"] {
            for validate_only in [true, false] {
                let request = to(&owner, name, Used(0));
                let request = AdjustQuotaRequest { validate_only, ..request };
                let result = adjust(access, request).await;
                assert_status(result, Code::NotFound, "QUOTA_NOT_FOUND");
            }
        }
    }
    let gone = customer(&site, mixed()).await;
    present(&gone.0).delete(access, false).await.unwrap();
    for (owner, reason) in [
        (of_key("key_00000000000000000000000000"), "KEY_NOT_FOUND"),
        (
            LimitOwner { domain: String::new(), thing: Some(LimitedThing::User("none".into())) },
            "USER_NOT_FOUND",
        ),
        (of_customer("", "none"), "CUSTOMER_NOT_FOUND"),
        (of_customer("nowhere", "none"), "CUSTOMER_NOT_FOUND"),
        (of_customer("keyward", "none"), "CUSTOMER_NOT_FOUND"),
        (gone.1, "CUSTOMER_NOT_FOUND"),
        (LimitOwner { domain: "nowhere".into(), thing: None }, "DOMAIN_NOT_FOUND"),
    ] {
        assert_status(get(access, &owner).await, Code::NotFound, reason);
        let result = adjust(access, to(&owner, "monthly", Used(0))).await;
        assert_status(result, Code::NotFound, reason);
    }
    let keyward = LimitOwner { domain: "keyward".into(), thing: None };
    assert_eq!(get(access, &keyward).await.unwrap(), []);
    let result = adjust(access, to(&keyward, "monthly", Used(0))).await;
    assert_status(result, Code::NotFound, "QUOTA_NOT_FOUND");
}

#[tokio::test]
async fn what_cannot_be_is_told_by_its_field() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let (_, good) = customer(&site, vec![daily("much", 7)]).await;
    let owner = |domain: &str, thing| LimitOwner { domain: domain.into(), thing: Some(thing) };
    let key_id = || LimitedThing::KeyId("key_00000000000000000000000000".into());
    let long = "a".repeat(129);
    let mut bad = vec![
        (owner("default", key_id()), "owner.domain"),
        (LimitOwner { domain: "A".into(), thing: None }, "owner.domain"),
        (of_customer("A", "c"), "owner.domain"),
        (owner("A", LimitedThing::User("u".into())), "owner.domain"),
    ];
    for id in ["", "x", "key_0", "KEY_00000000000000000000000000"] {
        bad.push((of_key(id), "owner.key_id"));
    }
    for id in ["", "a b", "a/b", "ä", long.as_str()] {
        bad.push((owner("", LimitedThing::User(id.into())), "owner.user"));
    }
    for id in ["", "a b", "ä", "a\n", long.as_str()] {
        bad.push((of_customer("", id), "owner.customer"));
    }
    for (owner, told) in bad {
        assert_invalid(get(access, &owner).await, &[told]);
        assert_invalid(adjust(access, to(&owner, "much", Used(0))).await, &[told]);
    }
    for name in ["", "A", "1a", "a b", "a_b", "ä", &"a".repeat(64)] {
        assert_invalid(adjust(access, to(&good, name, Used(0))).await, &["quota"]);
    }
    for used in [-1, MOST + 1, i64::MIN, i64::MAX] {
        assert_invalid(adjust(access, to(&good, "much", Used(used))).await, &["used"]);
    }
    for credits in [-MOST - 1, MOST + 1, i64::MIN, i64::MAX] {
        let result = adjust(access, to(&good, "much", AddCredits(credits))).await;
        assert_invalid(result, &["add_credits"]);
    }
    let nothing = AdjustQuotaRequest { adjustment: None, ..to(&good, "much", Used(0)) };
    assert_invalid(adjust(access, nothing).await, &["used"]);
    let worst = to(&owner("A", LimitedThing::User(String::new())), "", Used(-1));
    let told = ["owner.domain", "owner.user", "quota", "used"];
    assert_invalid(adjust(access, worst).await, &told);
    assert_eq!(used(&site, &good).await, [0]);
}

#[tokio::test]
async fn a_quota_whose_numbers_change_keeps_what_was_used_and_one_of_another_name_begins_anew() {
    let site = Site::shared();
    let access = &mut site.server.access();
    let month = |name: &str, limit| quota(name, limit, QuotaPeriod::Month.into(), None);
    let (customer, owner) = customer(&site, vec![month("one", 9)]).await;
    adjust(access, to(&owner, "one", Used(7))).await.unwrap();
    for (limits, expected) in [
        (vec![month("one", 5)], vec![(7, 0)]),
        (vec![month("other", 9)], vec![(0, 9)]),
        (vec![], vec![]),
        (vec![month("other", 9), month("one", 9)], vec![(0, 9), (7, 2)]),
    ] {
        let changed = pb::Customer { limits, ..present(&customer) };
        changed.update(access, &["limits"], false).await.unwrap();
        let told = get(access, &owner).await.unwrap();
        let told: Vec<_> = told.iter().map(|usage| (usage.used, usage.remaining)).collect();
        assert_eq!(told, expected);
    }
}

#[tokio::test]
async fn the_quotas_of_a_deleted_key_are_told_and_stay_as_they_are() {
    let site = Site::shared();
    let request = pb::CreateKeyRequest { limits: mixed(), ..key_of("default") };
    let made = key(&site, request).await;
    delete_key(&mut site.admin(), &made.key).await.unwrap();
    let owner = of_key(&made.key.id);
    assert_eq!(used(&site, &owner).await, [0, 0, 0]);
    for validate_only in [true, false] {
        let request = AdjustQuotaRequest { validate_only, ..to(&owner, "monthly", AddCredits(1)) };
        let refused = adjust(&mut site.server.access(), request).await;
        assert_status(refused, Code::FailedPrecondition, "KEY_DELETED");
    }
}
