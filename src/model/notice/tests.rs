use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND)
}

fn thresholds(seconds: &[u64]) -> Thresholds {
    Thresholds::new(seconds.iter().copied().map(Duration::from_secs).collect()).unwrap()
}

#[test]
fn what_cannot_be_a_threshold_is_refused() {
    let times = |seconds: &[u64]| seconds.iter().copied().map(Duration::from_secs).collect();
    let many: Vec<u64> = (1..=11).collect();
    for bad in [&[][..], &[0], &[5, 5], &[367 * 86_400], &many] {
        assert_eq!(Thresholds::new(times(bad)), Err(InvalidThresholds), "{bad:?}");
    }
    assert_eq!(Thresholds::new(vec![Duration::from_millis(1500)]), Err(InvalidThresholds));
    assert_eq!(thresholds(&[7, 1, 30]), thresholds(&[30, 7, 1]));
}

#[test]
fn windows_follow_each_other_from_what_is_late_to_the_longest_threshold() {
    let window = |after, until, threshold| Window {
        after: at(after),
        until: at(until),
        threshold: Duration::from_secs(threshold),
    };
    let found = thresholds(&[30, 10]).windows(at(95), at(100));
    assert_eq!(found, [window(95, 110, 10), window(110, 130, 30)]);
    let found = thresholds(&[10]).windows(at(200), at(100));
    assert_eq!(found, [window(100, 110, 10)], "a clock that went back looks from now");
}

/// What looks at these times make for one key: threshold by look, as the statement does it.
fn made(thresholds: &Thresholds, looks: &[i64], expire: Timestamp) -> Vec<(i64, Duration)> {
    let mut noticed: HashMap<Duration, i64> = HashMap::new();
    let mut looked = None;
    let mut made = Vec::new();
    for look in looks {
        let now = at(*look);
        for window in thresholds.windows(looked.unwrap_or(now), now) {
            let inside = window.after < expire && expire <= window.until;
            if inside && noticed.keys().all(|threshold| *threshold > window.threshold) {
                assert_eq!(noticed.insert(window.threshold, *look), None, "twice");
                made.push((*look, window.threshold));
            }
        }
        looked = Some(now);
    }
    made
}

fn some_thresholds() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::btree_set(1_u64..60, 1..5).prop_map(|set| set.into_iter().collect())
}

proptest! {
    #[test]
    fn each_end_is_in_one_window_of_the_shortest_threshold_that_it_has_passed(
        seconds in some_thresholds(), late in 0_i64..50, expire in 0_i64..200,
    ) {
        let now = 100;
        let windows = thresholds(&seconds).windows(at(late), at(now));
        let inside: Vec<_> = windows
            .iter()
            .filter(|window| window.after < at(expire) && at(expire) <= window.until)
            .map(|window| window.threshold)
            .collect();
        let passed = seconds.iter().copied().find(|threshold| {
            expire - now <= i64::try_from(*threshold).unwrap() && expire > late
        });
        prop_assert_eq!(inside, passed.map(Duration::from_secs).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn no_notice_is_made_twice_and_after_any_look_the_shortest_passed_threshold_was_told(
        seconds in some_thresholds(),
        gaps in proptest::collection::vec(1_i64..40, 1..12),
        expire in 1_i64..150,
    ) {
        let looks: Vec<i64> = gaps.iter().scan(0, |now, gap| { *now += gap; Some(*now) }).collect();
        let made = made(&thresholds(&seconds), &looks, at(expire));
        prop_assert!(made.windows(2).all(|pair| pair[0].1 > pair[1].1), "{made:?}");
        // from the first look on, whatever was passed until it or between two of them is told
        let first = looks[0];
        for look in looks.iter().copied().filter(|_| expire > first) {
            let passed = seconds.iter().find(|threshold| expire - look <= i64::try_from(**threshold).unwrap());
            let told = made.iter().rev().find(|(at, _)| *at <= look).map(|(_, told)| told.as_secs());
            if let Some(passed) = passed {
                prop_assert_eq!(told, Some(*passed), "at {}: {:?}", look, &made);
            }
        }
    }
}

#[test]
fn the_id_of_a_notice_is_not_the_id_of_a_key() {
    let id = NoticeId::new(KeyId::from_bytes([7; 16]));
    assert!(id.to_string().starts_with("msg_") && id.to_string().len() == 30, "{id}");
}
