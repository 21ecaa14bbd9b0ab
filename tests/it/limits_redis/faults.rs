//! Redis away, under load: nobody waits and nobody fails, each replica enforces its share, and all heals
//! by itself.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{CALL_TIME_MAX, Fleet, HOUR, left, looking, quota, rate};
use crate::support::{
    client::{may_read, verdict},
    eventually,
    redis::Redis,
};

/// The limit of these tests: so many in a second, all of them at once.
const LIMIT: i64 = 30;
const HASTY: [&str; 2] = ["--redis-timeout", "100ms"];
/// What is on its way when a window begins or ends.
const FLYING: f64 = 9.0;

/// Asks all replicas for one key, far more often than its limit allows.
struct Load {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Seen>>>,
    workers: JoinSet<()>,
}

#[derive(Clone, Copy)]
struct Seen {
    at: Instant,
    allowed: bool,
    degraded: bool,
}

/// What was answered in some time.
struct Count {
    seconds: f64,
    allowed: f64,
    degraded: usize,
    all: usize,
}

impl Load {
    fn start(fleet: &Fleet, token: &str) -> Self {
        let (stop, seen) = <(Arc<AtomicBool>, Arc<Mutex<Vec<Seen>>>)>::default();
        let mut workers = JoinSet::new();
        for server in &fleet.servers {
            let (mut asker, request) = (server.asker(), may_read(token));
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            workers.spawn(async move {
                let mut pace = interval(Duration::from_millis(8));
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.load(Relaxed) {
                    pace.tick().await;
                    let answer = timeout(CALL_TIME_MAX, asker.0.authorize(request.clone())).await;
                    let answer = answer.expect("no call hangs").expect("no call fails");
                    let answer = answer.into_inner();
                    let (allowed, degraded) = (answer.allowed, answer.limits_degraded);
                    seen.lock().unwrap().push(Seen { at: Instant::now(), allowed, degraded });
                }
            });
        }
        Self { stop, seen, workers }
    }

    /// Waits until so many more were allowed, and counts what was answered meanwhile.
    async fn until_allowed(&self, wanted: usize) -> Count {
        let since = Instant::now();
        eventually("calls are allowed", async || {
            let seen = self.seen.lock().unwrap();
            let new = seen.iter().filter(|seen| seen.at >= since && seen.allowed);
            (new.count() >= wanted).then_some(())
        })
        .await;
        self.since(since)
    }

    fn since(&self, since: Instant) -> Count {
        let seconds = since.elapsed().as_secs_f64();
        let seen = self.seen.lock().unwrap();
        let new: Vec<_> = seen.iter().filter(|seen| seen.at >= since).collect();
        let allowed = new.iter().filter(|seen| seen.allowed).count();
        let degraded = new.iter().filter(|seen| seen.degraded).count();
        let allowed = f64::from(u32::try_from(allowed).unwrap());
        Count { seconds, allowed, degraded, all: new.len() }
    }

    /// Ends; panics if any call failed.
    async fn end(mut self) {
        self.stop.store(true, Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
    }
}

impl Count {
    /// No more than the limit, with what a full burst adds; no less than one replica's share.
    fn assert_within(&self, bursts: f64) {
        let limit = 30.0;
        let Self { seconds, allowed, .. } = self;
        let most = limit * (seconds + bursts) + FLYING;
        assert!(*allowed <= most, "{allowed} in {seconds} s, more than {most}");
        let least = limit / 3.0 * seconds - FLYING;
        assert!(*allowed >= least, "{allowed} in {seconds} s, less than {least}");
    }
}

enum Fault {
    Kill,
    Pause,
    Refuse,
}

/// Bursts that a mode may add when a fault begins or ends: in mode fast each replica may allow one that
/// the others do not hear of.
fn bursts(sharing: &str) -> f64 {
    if sharing == "exact" { 1.0 } else { 3.0 }
}

async fn all_goes_on(sharing: &str, fault: Fault) {
    let word = match fault {
        Fault::Kill => "kill",
        Fault::Pause => "pause",
        Fault::Refuse => "refuse",
    };
    let mut redis = Redis::start(&format!("fault-{word}-{sharing}")).await;
    let fleet = Fleet::launch(sharing, 3, &redis.url(), &HASTY).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(LIMIT, 1)]).await;
    let probe = may_read(&made.token);
    let load = Load::start(&fleet, &made.token);
    load.until_allowed(60).await.assert_within(bursts(sharing));

    let whole = Instant::now();
    match fault {
        Fault::Kill => redis.kill(),
        Fault::Pause => redis.pause(),
        Fault::Refuse => drop(redis.command(&["CONFIG", "SET", "maxmemory", "1"])),
    }
    fleet.until_all_degraded(true, &probe).await;
    let away = load.until_allowed(60).await;
    away.assert_within(1.0);
    assert_eq!(away.degraded, away.all, "every answer says that it is a share's");

    match fault {
        Fault::Kill => redis.restart().await,
        Fault::Pause => redis.resume(),
        Fault::Refuse => drop(redis.command(&["CONFIG", "SET", "maxmemory", "0"])),
    }
    fleet.until_all_degraded(false, &probe).await;
    load.until_allowed(60).await.assert_within(bursts(sharing));
    load.since(whole).assert_within(bursts(sharing));
    load.end().await;
    for server in &fleet.servers {
        assert!(server.log_line("enforcing a share of limits until it does not").is_some());
    }
}

#[tokio::test]
async fn decisions_go_on_while_redis_is_killed_and_restarted_empty_exact() {
    all_goes_on("exact", Fault::Kill).await;
}

#[tokio::test]
async fn decisions_go_on_while_redis_is_killed_and_restarted_empty_fast() {
    all_goes_on("fast", Fault::Kill).await;
}

#[tokio::test]
async fn decisions_go_on_while_redis_hangs_exact() {
    all_goes_on("exact", Fault::Pause).await;
}

#[tokio::test]
async fn decisions_go_on_while_redis_hangs_fast() {
    all_goes_on("fast", Fault::Pause).await;
}

#[tokio::test]
async fn decisions_go_on_while_redis_has_no_memory_exact() {
    all_goes_on("exact", Fault::Refuse).await;
}

#[tokio::test]
async fn decisions_go_on_while_redis_has_no_memory_fast() {
    all_goes_on("fast", Fault::Refuse).await;
}

async fn a_share_from_the_start(sharing: &str) {
    let mut redis = Redis::start(&format!("late-{sharing}")).await;
    redis.kill();
    let fleet = Fleet::launch(sharing, 3, &redis.url(), &HASTY).await;
    let made = fleet.key(vec![rate(30, HOUR), quota(90)]).await;
    let request = may_read(&made.token);
    for replica in 0..3 {
        let answer = fleet.ask(replica, looking(&request)).await;
        assert!(answer.limits_degraded);
        assert_eq!(left(&answer)[0], ("rate", 10, false));
        for call in 0..12 {
            let answer = fleet.ask(replica, request.clone()).await;
            assert!(answer.limits_degraded);
            assert_eq!(answer.allowed, call < 10, "{answer:?}");
        }
        let logged = fleet.servers[replica].log_line("cannot connect to Redis").unwrap();
        assert!(logged.contains("\"share_of\":3"), "{logged}");
    }
    redis.restart().await;
    fleet.until_shared(1).await;
    // what each took by itself is not given once more
    for call in 0..9 {
        let answer = fleet.ask(call % 3, request.clone()).await;
        assert!(!answer.limits_degraded);
        assert_eq!(verdict(&answer), "429 RATE_LIMITED");
    }
}

#[tokio::test]
async fn a_redis_that_comes_later_is_used_when_it_is_there_exact() {
    a_share_from_the_start("exact").await;
}

#[tokio::test]
async fn a_redis_that_comes_later_is_used_when_it_is_there_fast() {
    a_share_from_the_start("fast").await;
}

/// Errors that a program must not: rights that are taken away, a master that is none any more.
#[tokio::test]
async fn a_redis_that_refuses_scripts_or_writes_is_away_until_it_does_not() {
    let rules = ["--user", "kw", "on", ">word", "~*", "+@all"];
    let redis = Redis::start_with("refuses", &rules).await;
    let url = format!("redis://kw:word@{}", redis.address());
    let fleet = Fleet::start("exact", 3, &url).await;
    let port = redis.address().port().to_string();
    let no_memory: [&[&str]; 2] =
        [&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]];
    let no_scripts: [&[&str]; 2] = [
        &["ACL", "SETUSER", "kw", "-evalsha", "-eval"],
        &["ACL", "SETUSER", "kw", "+evalsha", "+eval"],
    ];
    let no_writes: [&[&str]; 2] = [&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"]];
    let no_password: [&[&str]; 2] =
        [&["ACL", "SETUSER", "kw", "off"], &["ACL", "SETUSER", "kw", "on"]];
    let forgets_scripts: [&[&str]; 2] = [&["SCRIPT", "FLUSH"], &["PING"]];
    assert_ne!(port, "1");
    for [begin, end] in [no_memory, no_scripts, no_writes, no_password] {
        let made = fleet.key(vec![rate(30, HOUR)]).await;
        assert_eq!(fleet.allowed_of(3, &may_read(&made.token)).await, 3);
        assert_eq!(redis.command(begin), "OK");
        if begin.contains(&"off") {
            redis.command(&["CLIENT", "KILL", "USER", "kw"]);
        }
        fleet.until_all_degraded(true, &may_read(&made.token)).await;
        for replica in 0..3 {
            let answer = fleet.ask(replica, may_read(&made.token)).await;
            assert_eq!((verdict(&answer).as_str(), answer.limits_degraded), ("ALLOWED", true));
        }
        assert_eq!(redis.command(end), "OK");
        fleet.until_all_degraded(false, &may_read(&made.token)).await;
        let more = fleet.allowed_at_once(60, &may_read(&made.token)).await;
        assert!((18..=27).contains(&more), "{begin:?}: {more} more");
    }
    // a script that is forgotten is loaded again, and nobody notices
    let made = fleet.key(vec![rate(30, HOUR)]).await;
    for words in forgets_scripts {
        redis.command(words);
        assert_eq!(fleet.allowed_of(3, &may_read(&made.token)).await, 3);
    }
    fleet.assert_never_logged("word@");
}

#[tokio::test]
async fn a_redis_that_is_slow_for_a_while_is_away_for_that_while() {
    let redis = Redis::start("slow").await;
    let fleet = Fleet::launch("exact", 3, &redis.url(), &["--redis-timeout", "20ms"]).await;
    fleet.until_shared(1).await;
    let made = fleet.key(vec![rate(300, HOUR)]).await;
    assert_eq!(redis.command(&["CLIENT", "PAUSE", "1500", "ALL"]), "OK");
    fleet.until_all_degraded(true, &may_read(&made.token)).await;
    let mut allowed = 0;
    for call in 0..90 {
        let answer = fleet.ask(call % 3, may_read(&made.token)).await;
        allowed += usize::from(answer.allowed);
    }
    assert_eq!(allowed, 90, "a share is less than the limit, and not nothing");
    fleet.until_all_degraded(false, &may_read(&made.token)).await;
    let mut asked = 0;
    while fleet.ask(asked % 3, may_read(&made.token)).await.allowed {
        asked += 1;
        assert!(asked <= 210, "{asked} more than the 90 of 300 that were allowed");
    }
}

/// One that Redis lets see how many replicas there are and nothing else.
#[tokio::test]
async fn a_redis_that_refuses_limits_alone_is_degraded_and_said_once() {
    let rules = ["--user", "kw", "on", ">word", "~keyward:replicas", "+@all"];
    let redis = Redis::start_with("refuses-limits", &rules).await;
    let url = format!("redis://kw:word@{}", redis.address());
    let fleet = Fleet::start("exact", 1, &url).await;
    let made = fleet.key(vec![rate(30, HOUR)]).await;
    let mut allowed = 0;
    for _ in 0..120 {
        let answer = fleet.ask(0, may_read(&made.token)).await;
        assert!(answer.limits_degraded);
        allowed += usize::from(answer.allowed);
    }
    assert_eq!(allowed, 10, "a third");
    let server = &fleet.servers[0];
    server.until_logged("NoPerm").await;
    for _ in 0..120 {
        assert!(fleet.ask(0, may_read(&made.token)).await.limits_degraded);
    }
    for said in
        ["\"message\":\"limits are shared through Redis\"", "Redis fails; enforcing a share"]
    {
        assert_eq!(server.count_logged(said), 1, "{said}, for 240 decisions");
    }
    redis.command(&["ACL", "SETUSER", "kw", "~*"]);
    fleet.until_degraded(0, false, &may_read(&made.token)).await;
    assert_eq!(verdict(&fleet.ask(0, may_read(&made.token)).await), "429 RATE_LIMITED");
}

/// Forgetting what is known is an outage too, though Redis answers all the time.
#[tokio::test]
async fn a_redis_that_is_flushed_gives_no_burst_once_more() {
    for sharing in ["exact", "fast"] {
        let redis = Redis::start(&format!("flushed-{sharing}")).await;
        let fleet = Fleet::start(sharing, 3, &redis.url()).await;
        let made = fleet.key(vec![rate(30, HOUR)]).await;
        fleet.allowed_at_once(120, &may_read(&made.token)).await;
        eventually("all know that nothing is left", async || {
            let mut left = 0;
            for replica in 0..3 {
                left += usize::from(fleet.ask(replica, may_read(&made.token)).await.allowed);
            }
            (left == 0).then_some(())
        })
        .await;
        redis.flush();
        for server in &fleet.servers {
            server.until_logged("Redis may have forgotten").await;
        }
        for call in 0..6 {
            let answer = fleet.ask(call % 3, may_read(&made.token)).await;
            assert_eq!(verdict(&answer), "429 RATE_LIMITED", "{sharing}");
        }
    }
}
