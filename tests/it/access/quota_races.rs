//! Quotas that several change at once: nothing that was said or used is lost.

use keyward::rpc::pb::{QuotaPeriod, adjust_quota_request::Adjustment::AddCredits};
use tonic::Code;

use super::quotas::{adjust, customer, get, to};
use crate::support::{
    client::{Access, assert_status},
    eventually,
    limits::{daily, quota},
    operator::Site,
};

#[tokio::test]
async fn credits_that_many_add_at_once_all_count() {
    let site = Site::shared();
    for _ in 0..5 {
        let (_, owner) = customer(&site, vec![daily("fresh", 0)]).await;
        let calls = (0..8).map(|_| site.server.access()).map(async |mut access: Access| {
            adjust(&mut access, to(&owner, "fresh", AddCredits(1))).await
        });
        let results = futures_util::future::join_all(calls).await;
        // who loses three times is told so, and nothing was added
        let (added, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        for result in lost {
            assert_status(result, Code::Aborted, "CONFLICT");
        }
        let [usage] = get(&mut site.server.access(), &owner).await.unwrap().try_into().unwrap();
        assert_eq!(usage.credits, i64::try_from(added.len()).unwrap());
    }
}

#[tokio::test]
async fn what_a_replica_stores_while_a_quota_is_adjusted_for_the_first_time_counts() {
    let site = Site::shared();
    let month = quota("monthly", 9, QuotaPeriod::Month.into(), None);
    let (customer, owner) = customer(&site, vec![month]).await;
    let mut replica = site.database.connect().await;
    let row = replica.query_one("SELECT pg_backend_pid()", &[]).await.unwrap();
    let pid: i32 = row.get(0);
    let tx = replica.transaction().await.unwrap();
    let store = "INSERT INTO keyward.quota (owner, name, period, start_at, used, credits)
        VALUES ('customer/default/' || $1::text, 'monthly', 'month',
            date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC', 5, 0)";
    tx.execute(store, &[&customer.id]).await.unwrap();

    let mut access = site.server.access();
    let request = to(&owner, "monthly", AddCredits(2));
    let adjusting = tokio::spawn(async move { adjust(&mut access, request).await });
    let waiting =
        format!("SELECT count(*) FROM pg_stat_activity WHERE {pid} = ANY (pg_blocking_pids(pid))");
    eventually("the adjustment waits for the replica", async || {
        (site.database.number(&waiting).await > 0).then_some(())
    })
    .await;
    tx.commit().await.unwrap();
    let (shown, _) = adjusting.await.unwrap().unwrap();
    assert_eq!((shown.used, shown.credits), (5, 2));
    assert_eq!(get(&mut site.server.access(), &owner).await.unwrap(), [shown]);
}
