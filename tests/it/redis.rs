//! The Redis that other tests stand on is a real one and does what they ask of it.

use std::{io::ErrorKind, process::Command, time::Duration};

use crate::support::{
    TIME_MAX, eventually,
    program::{Ended, run},
    redis::{Connection, Redis, RedisCluster, RedisSentinel},
};

#[tokio::test]
async fn a_redis_keeps_keys_until_it_is_flushed_or_restarted() {
    let mut redis = Redis::start("plain").await;
    assert_eq!(redis.url(), format!("redis://{}", redis.address()));
    assert_eq!(redis.command(&["MSET", "a", "1", "b", "two lines\r\nof text"]), "OK");
    assert_eq!(redis.command(&["MGET", "a", "b", "c"]), "1\ntwo lines\r\nof text\n(nil)");
    let wrong = "-ERR value is not an integer or out of range";
    assert_eq!(redis.command(&["INCR", "b"]), wrong);
    redis.flush();
    assert_eq!(redis.command(&["INCR", "a"]), "1");

    redis.kill();
    let gone = redis.try_command(&["PING"], TIME_MAX).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::ConnectionRefused);
    redis.restart().await;
    assert_eq!(redis.command(&["DBSIZE"]), "0");
}

#[tokio::test]
async fn a_redis_that_persists_has_its_keys_after_a_crash() {
    let settings = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut redis = Redis::start_with("persists", &settings).await;
    assert_eq!(redis.command(&["SET", "a", "1"]), "OK");
    redis.restart().await;
    assert_eq!(redis.command(&["GET", "a"]), "1");
}

#[tokio::test]
async fn a_paused_redis_answers_only_when_it_is_resumed() {
    let redis = Redis::start("paused").await;
    let mut connection = Connection::open(redis.address(), Duration::from_millis(200)).unwrap();
    redis.pause();
    let silence = connection.ask(&["PING"]).unwrap_err();
    assert_eq!(silence.kind(), ErrorKind::WouldBlock);
    redis.resume();
    eventually("it answers", async || connection.answer().ok().filter(|a| a == "PONG")).await;
    assert_eq!(redis.command(&["PING"]), "PONG");
}

#[tokio::test]
async fn a_redis_with_users_serves_nobody_who_does_not_log_in() {
    let settings = ["--requirepass", "secret", "--user", "limits", "on", ">word", "~l:*", "+@all"];
    let redis = Redis::start_with("users", &settings).await;
    let mut connection = Connection::open(redis.address(), TIME_MAX).unwrap();
    assert_eq!(connection.ask(&["PING"]).unwrap(), "-NOAUTH Authentication required.");
    assert_eq!(connection.ask(&["AUTH", "secret"]).unwrap(), "OK");
    assert_eq!(connection.ask(&["SET", "a", "1"]).unwrap(), "OK");
    assert_eq!(connection.ask(&["AUTH", "limits", "word"]).unwrap(), "OK");
    assert_eq!(connection.ask(&["SET", "l:a", "1"]).unwrap(), "OK");
    assert!(connection.ask(&["GET", "a"]).unwrap().starts_with("-NOPERM"));
    assert_eq!(redis.command(&["DBSIZE"]), "2");
}

/// Says PING by a client that trusts one authority only, and expects the server to have this name.
async fn ping_over_tls(redis: &Redis, authority: &Redis, name: [&str; 2]) -> Ended {
    let script = "printf 'PING\\r\\nQUIT\\r\\n' | exec openssl s_client -quiet -no-CApath \
                  -no-CAstore -verify_return_error \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", "-connect", &redis.address().to_string()]);
    command.arg("-CAfile").arg(authority.ca_file()).args(name);
    run(command).await
}

#[tokio::test]
async fn a_redis_with_tls_is_trusted_by_its_own_authority_alone() {
    let redis = Redis::start_tls("tls").await;
    let other = Redis::start_tls("tls-other").await;
    assert_eq!(redis.url(), format!("rediss://{}", redis.address()));
    assert_eq!(redis.command(&["SET", "a", "1"]), "OK");
    for name in [["-verify_ip", "127.0.0.1"], ["-verify_hostname", "localhost"]] {
        let ended = ping_over_tls(&redis, &redis, name).await;
        assert_eq!(ended.printed, "+PONG\r\n+OK\r\n", "{ended:?}");
        let refused = ping_over_tls(&redis, &other, name).await;
        assert_eq!(refused.printed, "", "{refused:?}");
    }
    let misnamed = ping_over_tls(&redis, &redis, ["-verify_hostname", "example.com"]).await;
    assert_eq!(misnamed.printed, "", "{misnamed:?}");
    let mut plain = Connection::open(redis.address(), TIME_MAX).unwrap();
    assert!(plain.ask(&["PING"]).is_err(), "it speaks TLS alone");
}

#[tokio::test]
async fn each_node_of_a_cluster_knows_who_has_a_slot() {
    let cluster = RedisCluster::start("cluster").await;
    let [first, second, third] = cluster.nodes.as_slice() else { panic!("three masters") };
    let hosts = [first, second, third].map(|node| node.address().to_string());
    assert_eq!(cluster.url_hosts(), hosts.join(","));
    for node in &cluster.nodes {
        assert!(node.command(&["CLUSTER", "INFO"]).contains("cluster_state:ok\r\n"));
    }
    // the slot of "foo" is 12182
    let moved = format!("-MOVED 12182 {}", third.address());
    assert_eq!(first.command(&["SET", "foo", "1"]), moved);
    assert_eq!(second.command(&["SET", "foo", "1"]), moved);
    assert_eq!(third.command(&["SET", "foo", "1"]), "OK");
}

#[tokio::test]
async fn a_sentinel_makes_the_replica_the_master_when_that_is_killed() {
    let mut redis = RedisSentinel::start("sentinel").await;
    let mut sentinel = Connection::open(redis.sentinel_host().parse().unwrap(), TIME_MAX).unwrap();
    let known = sentinel.ask(&["SENTINEL", "CKQUORUM", redis.master_name()]).unwrap();
    assert!(known.starts_with("OK 1 usable Sentinels"), "{known}");
    assert_eq!(redis.master_address(), redis.master.address());
    assert!(redis.replica.command(&["SET", "a", "1"]).starts_with("-READONLY"));

    redis.kill_master();
    eventually("the sentinel names the replica", async || {
        (redis.master_address() == redis.replica.address()).then_some(())
    })
    .await;
    assert_eq!(redis.replica.command(&["SET", "a", "1"]), "OK");
}
