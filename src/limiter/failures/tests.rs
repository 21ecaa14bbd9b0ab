//! Who is throttled, for how long, and who never is.

use super::*;

const NOW: BootTime = BootTime::from_nanos(5_000_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn limit(count: u32, period: Duration) -> Option<FailureLimit> {
    FailureLimit::new(count, period).ok()
}

fn client(text: &str) -> Source {
    Source::Client(text.parse().unwrap())
}

fn numbered(number: u32) -> Source {
    Source::Client(IpAddr::V4(number.into()))
}

fn later(span: Duration) -> BootTime {
    NOW.after(span)
}

fn note(failures: &Failures, source: Source, times: usize) {
    for _ in 0..times {
        failures.note(source, NOW);
    }
}

#[test]
fn so_many_may_fail_and_then_one_is_forgiven_in_each_interval() {
    let failures = Failures::new(limit(60, MINUTE), None);
    let (source, second) = (client("192.0.2.1"), Duration::from_secs(1));
    note(&failures, source, 59);
    assert_eq!(failures.wait(source, NOW), None);
    note(&failures, source, 1);
    assert_eq!(failures.wait(source, NOW), Some(second));
    let almost = later(Duration::from_millis(999));
    assert_eq!(failures.wait(source, almost), Some(Duration::from_millis(1)));
    assert_eq!(failures.wait(source, later(second)), None);
    failures.note(source, later(second));
    assert_eq!(failures.wait(source, later(second)), Some(second));
    for _ in 0..1000 {
        failures.note(source, later(second));
    }
    assert_eq!(failures.wait(source, later(second)), Some(second), "more make it no longer");
    // after the whole period all are there again
    let whole = later(2 * MINUTE);
    for _ in 0..59 {
        failures.note(source, whole);
    }
    assert_eq!(failures.wait(source, whole), None);
    failures.note(source, whole);
    assert_eq!(failures.wait(source, whole), Some(second));
}

#[test]
fn addresses_of_one_subscriber_are_one_and_others_are_not() {
    for (failed, same, other) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"),
    ] {
        let failures = Failures::new(limit(1, MINUTE), None);
        note(&failures, client(failed), 1);
        assert_eq!(failures.wait(client(same), NOW), Some(MINUTE), "{same}");
        assert_eq!(failures.wait(client(other), NOW), None, "{other}");
    }
}

#[test]
fn clients_and_peers_are_counted_apart_each_by_its_limit() {
    let address = "192.0.2.1".parse().unwrap();
    let (client, peer) = (Source::Client(address), Source::Peer(address));
    let failures = Failures::new(limit(1, MINUTE), limit(2, MINUTE));
    note(&failures, client, 1);
    assert_eq!(failures.wait(peer, NOW), None);
    note(&failures, peer, 1);
    assert_eq!(failures.wait(peer, NOW), None);
    note(&failures, peer, 1);
    assert_eq!(failures.wait(peer, NOW), Some(MINUTE / 2));
    for (clients, peers, source) in
        [(None, limit(1, MINUTE), client), (limit(1, MINUTE), None, peer), (None, None, client)]
    {
        let failures = Failures::new(clients, peers);
        note(&failures, source, 100);
        assert_eq!(failures.wait(source, NOW), None, "{source:?} is not counted");
    }
}

#[test]
fn a_flood_of_addresses_takes_no_more_memory_and_throttles_nobody_else() {
    let failures = Failures::new(limit(1, MINUTE), None);
    for number in 0..600_000 {
        failures.note(numbered(number), NOW);
    }
    assert_eq!(failures.buckets.len(), BUCKETS);
    let throttled = |number: &u32| failures.wait(numbered(*number), NOW).is_some();
    // one in two million looks like one of the eight others in its bucket
    let innocent = (1_000_000..1_010_000).filter(throttled).count();
    assert!(innocent <= 2, "{innocent} were throttled");
    let guilty = (0..600_000).filter(throttled).count();
    assert!((300_000..=BUCKETS * SLOTS).contains(&guilty), "{guilty} are known");
}

#[test]
fn who_is_nearest_to_being_forgiven_makes_room() {
    let failures = Failures::new(limit(1_000, MINUTE), None);
    let (bucket, _) = failures.place(numbered(0)).unwrap();
    let shares = |number: &u32| {
        failures.place(numbered(*number)).is_some_and(|(other, _)| std::ptr::eq(other, bucket))
    };
    let neighbours: Vec<u32> = (0..).filter(shares).take(SLOTS + 1).collect();
    // the one in the middle has failed least
    for (at, number) in neighbours[..SLOTS].iter().enumerate() {
        note(&failures, numbered(*number), if at == 3 { 1 } else { 10 + at });
    }
    note(&failures, numbered(neighbours[SLOTS]), 1);
    let is_there = |number: u32| {
        let (bucket, tag) = failures.place(numbered(number)).unwrap();
        bucket.0.iter().any(|slot| is_of(slot.load(Relaxed), tag))
    };
    let gone: Vec<u32> = neighbours.iter().copied().filter(|number| !is_there(*number)).collect();
    assert_eq!(gone, [neighbours[3]]);
    // who makes room leaves nothing of its failures behind
    let failures = Failures { clients: limit(2, MINUTE), ..failures };
    note(&failures, numbered(neighbours[3]), 1);
    assert_eq!(failures.wait(numbered(neighbours[3]), NOW), None);
}

#[test]
fn failures_that_go_on_for_ever_leave_a_time_that_can_be_told() {
    let day = Duration::from_secs(86_400);
    let failures = Failures::new(limit(1, day), None);
    let source = client("192.0.2.1");
    note(&failures, source, 20_000);
    assert!(failures.wait(source, NOW).is_some());
    assert_eq!(failures.wait(client("192.0.2.2"), NOW), None);
}

#[test]
fn numbers_beyond_their_bounds_make_no_limit() {
    let day = Duration::from_secs(86_400);
    let milli = Duration::from_millis(1);
    for (count, period, fits) in [
        (0, MINUTE, false),
        (1, MINUTE, true),
        (1_000_000, day, true),
        (1_000_001, day, false),
        (1, day, true),
        (1, day + milli, false),
        (1, milli, true),
        (1, Duration::from_micros(999), false),
        (2, milli, false),
        (60_000, MINUTE, true),
        (60_001, MINUTE, false),
        (1, Duration::ZERO, false),
        (1, Duration::MAX, false),
    ] {
        assert_eq!(FailureLimit::new(count, period).is_ok(), fits, "{count} in {period:?}");
    }
}
