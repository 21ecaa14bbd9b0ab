//! Where Redis may be: behind a password, behind TLS, in a cluster, behind a sentinel, beside others.

use keyward::rpc::pb::{self, CreateKeyRequest};

use super::{Fleet, HOUR, costing, keys_of, looking, quota, rate, reserving, slots};
use crate::support::{
    client::{may_read, new_key, verdict},
    eventually,
    redis::{Redis, RedisCluster, RedisSentinel},
};

impl Fleet {
    /// Makes sure that replicas decide as one.
    async fn assert_shared(&self) {
        let made = self.key(vec![rate(7, HOUR), quota(100), slots(50)]).await;
        let request = reserving(&made.token, 1);
        self.until_all_degraded(false, &request).await;
        assert_eq!(self.allowed_of(15, &request).await, 7);
    }

    /// Makes sure that each enforces a share, and says why.
    async fn assert_alone(&self, words: &[&str]) {
        let made = self.key(vec![rate(30, HOUR)]).await;
        for server in &self.servers {
            let line = server.until_logged("cannot connect to Redis").await;
            for word in words {
                assert!(line.contains(word), "{word} not in {line}");
            }
        }
        for replica in 0..self.servers.len() {
            for call in 0..12 {
                let answer = self.ask(replica, may_read(&made.token)).await;
                assert!(answer.limits_degraded);
                assert_eq!(answer.allowed, call < 10);
            }
        }
    }
}

#[tokio::test]
async fn a_redis_may_want_a_password_or_a_user() {
    let rules = ["--requirepass", "s3cret-word", "--user", "kw", "on", ">other-w0rd"];
    let rights = ["~keyward:*", "+@all", "-@admin"];
    let redis = Redis::start_with("passwords", &[rules.as_slice(), &rights].concat()).await;
    let at = redis.address();
    for who in [":s3cret-word@", "default:s3cret-word@", "kw:other-w0rd@"] {
        let fleet = Fleet::start("exact", 2, &format!("redis://{who}{at}/0")).await;
        fleet.assert_shared().await;
        fleet.assert_never_logged("s3cret-word");
        fleet.assert_never_logged("other-w0rd");
    }
    for (who, word) in [("", "NOAUTH"), ("kw:wr0ng-word@", "WRONGPASS")] {
        let fleet = Fleet::launch("exact", 1, &format!("redis://{who}{at}/0"), &[]).await;
        let made = fleet.key(vec![rate(30, HOUR)]).await;
        fleet.servers[0].until_logged("enforcing a share of limits").await;
        eventually("the log says why", async || {
            let log = fleet.servers[0].logged().to_uppercase();
            (log.contains(word) || log.contains("AUTHENTICATION FAILED")).then_some(())
        })
        .await;
        let answer = fleet.ask(0, looking(&may_read(&made.token))).await;
        assert!(answer.limits_degraded);
        fleet.assert_never_logged("wr0ng-word");
    }
}

#[tokio::test]
async fn the_url_of_redis_may_be_in_a_file_or_a_variable() {
    let redis = Redis::start("url-file").await;
    let scratch = crate::postgres::support::Scratch::new("redis-url-file");
    let file = scratch.0.join("url");
    std::fs::write(&file, format!("{}\n", redis.url())).unwrap();
    let site = crate::support::operator::Site::start(&[
        "--limit-sharing",
        "exact",
        "--redis-url-file",
        file.to_str().unwrap(),
    ])
    .await;
    site.server.until_logged("limits are shared through Redis").await;
}

#[tokio::test]
async fn a_redis_with_tls_is_trusted_by_its_authority_alone() {
    let redis = Redis::start_tls("limits-tls").await;
    let other = Redis::start_tls("limits-tls-other").await;
    let file = redis.ca_file();
    let trusting = ["--redis-ca-file", file.to_str().unwrap()];
    let fleet = Fleet::launch("exact", 2, &redis.url(), &trusting).await;
    fleet.until_shared(1).await;
    fleet.assert_shared().await;

    let file = other.ca_file();
    let wrong = ["--redis-ca-file", file.to_str().unwrap()];
    for settings in [wrong.as_slice(), &[]] {
        let fleet = Fleet::launch("exact", 1, &redis.url(), settings).await;
        fleet.assert_alone(&["certificate"]).await;
    }
    // without TLS
    let fleet = Fleet::launch("exact", 1, &format!("redis://{}", redis.address()), &[]).await;
    fleet.assert_alone(&[]).await;
}

#[tokio::test]
async fn a_cluster_has_the_limits_of_a_domain_in_one_place() {
    let cluster = RedisCluster::start("limits-cluster").await;
    let url = format!("redis+cluster://{}", cluster.url_hosts());
    let fleet = Fleet::start("exact", 2, &url).await;
    let mut access = fleet.servers[0].access();
    for number in 0..9 {
        let name = format!("domain-{number}");
        let domain = Some(pb::Domain {
            name: name.clone(),
            display_name: name.clone(),
            limits: vec![rate(5, HOUR)],
            ..pb::Domain::default()
        });
        let request = pb::CreateDomainRequest { domain, validate_only: false };
        access.create_domain(request).await.unwrap();
        let limits = vec![rate(100, HOUR), quota(100), slots(100)];
        let request = CreateKeyRequest { domain: name, limits, ..new_key("Key") };
        let made = fleet.make(request).await;
        let request = reserving(&made.token, 1);
        assert_eq!(fleet.allowed_of(8, &request).await, 5);
        assert_eq!(fleet.allowed_at_once(8, &costing(&made.token, 1)).await, 0);
        assert_eq!(fleet.verdict(1, looking(&request)).await, "429 RATE_LIMITED");
    }
    let counts = cluster.nodes.iter().map(|node| {
        let keys = node.command(&["KEYS", "keyward:{*"]);
        keys.lines().filter(|line| !line.is_empty()).count()
    });
    let counts: Vec<_> = counts.collect();
    // the domain's rate, and the key's rate, quota and slots, and five reservations, for each of nine
    assert_eq!(counts.iter().sum::<usize>(), 9 * (4 + 5), "{counts:?}");
    assert!(counts.iter().all(|count| count % 9 == 0 && *count > 0), "{counts:?}");
}

#[tokio::test]
async fn decisions_go_on_while_all_nodes_of_a_cluster_are_dead() {
    let mut cluster = RedisCluster::start("limits-cluster-dies").await;
    let url = format!("redis+cluster://{}", cluster.url_hosts());
    let fleet = Fleet::launch("exact", 2, &url, &["--redis-timeout", "100ms"]).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(30, HOUR)]).await;
    for node in &mut cluster.nodes {
        node.kill();
    }
    fleet.until_all_degraded(true, &may_read(&made.token)).await;
    assert!(fleet.ask(0, may_read(&made.token)).await.allowed);
    drop(cluster);
}

#[tokio::test]
async fn a_sentinel_leads_to_the_master_and_to_the_next_one() {
    let mut redis = RedisSentinel::start("limits-sentinel").await;
    let url = format!("redis+sentinel://{}/{}", redis.sentinel_host(), redis.master_name());
    let fleet = Fleet::launch("exact", 2, &url, &["--redis-timeout", "200ms"]).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(30, HOUR), quota(30)]).await;
    let request = may_read(&made.token);
    assert_eq!(fleet.verdict(0, costing(&made.token, 20)).await, "ALLOWED");
    redis.kill_master();
    fleet.until_all_degraded(true, &request).await;
    fleet.until_all_degraded(false, &request).await;
    assert_eq!(redis.master_address(), redis.replica.address());
    assert_eq!(fleet.allowed_of(20, &request).await, 10);
    assert_eq!(keys_of(&redis.replica, "rate").len(), 1);
    // the old one comes back and is no master any more
    redis.master.restart().await;
    eventually("the old master follows", async || {
        redis.master.command(&["INFO", "replication"]).contains("role:slave").then_some(())
    })
    .await;
    fleet.until_all_degraded(false, &request).await;
    fleet.assert_shared().await;
}

#[tokio::test]
async fn a_sentinel_that_hands_over_leaves_nobody_with_the_old_master() {
    let redis = RedisSentinel::start("limits-handover").await;
    let url = format!("redis+sentinel://{}/{}", redis.sentinel_host(), redis.master_name());
    let fleet = Fleet::launch("exact", 2, &url, &["--redis-timeout", "200ms"]).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(30, HOUR)]).await;
    let request = may_read(&made.token);
    assert_eq!(fleet.verdict(0, costing(&made.token, 20)).await, "ALLOWED");
    let sentinel = redis.sentinel_host().parse().unwrap();
    let mut sentinel =
        crate::support::redis::Connection::open(sentinel, crate::support::TIME_MAX).unwrap();
    assert_eq!(sentinel.ask(&["SENTINEL", "FAILOVER", redis.master_name()]).unwrap(), "OK");
    eventually("the sentinel names the replica", async || {
        (redis.master_address() == redis.replica.address()).then_some(())
    })
    .await;
    eventually("the old master follows", async || {
        redis.master.command(&["INFO", "replication"]).contains("role:slave").then_some(())
    })
    .await;
    fleet.until_shared(2).await;
    fleet.until_all_degraded(false, &request).await;
    assert_eq!(fleet.allowed_of(20, &request).await, 10);
    fleet.assert_shared().await;
}

#[tokio::test]
async fn installations_with_another_prefix_or_database_do_not_touch_each_other() {
    let redis = Redis::start("prefixes").await;
    let (url, third) = (redis.url(), format!("{}/3", redis.url()));
    let one = Fleet::launch("exact", 2, &url, &["--redis-prefix", "one"]).await;
    let two = Fleet::launch("exact", 1, &url, &["--redis-prefix", "two"]).await;
    let elsewhere = Fleet::launch("exact", 1, &third, &["--redis-prefix", "one"]).await;
    for fleet in [&one, &two, &elsewhere] {
        fleet.until_shared(1).await;
        // a limit of the domain, which is called the same in all
        let mut access = fleet.servers[0].access();
        let domain = Some(pb::Domain {
            name: "acme".into(),
            display_name: "Acme".into(),
            limits: vec![rate(6, HOUR)],
            ..pb::Domain::default()
        });
        let request = pb::CreateDomainRequest { domain, validate_only: false };
        access.create_domain(request).await.unwrap();
    }
    for fleet in [&one, &two, &elsewhere] {
        let request = CreateKeyRequest { domain: "acme".into(), ..new_key("Key") };
        let made = fleet.make(request).await;
        assert_eq!(fleet.allowed_of(9, &may_read(&made.token)).await, 6);
        let answer = fleet.ask(0, looking(&may_read(&made.token))).await;
        assert_eq!(verdict(&answer), "429 RATE_LIMITED");
    }
    let mut keys: Vec<_> = keys_of(&redis, "rate");
    keys.sort();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(keys[0].starts_with("one:{") && keys[1].starts_with("two:{"), "{keys:?}");
    assert_eq!(redis.command(&["ZCARD", "one:replicas"]), "2");
    assert_eq!(redis.command(&["ZCARD", "two:replicas"]), "1");
}
