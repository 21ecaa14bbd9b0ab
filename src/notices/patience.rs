//! When to try again: each notice by itself, and the receiver as a whole.

use std::time::Duration;

use crate::{
    model::{
        notice::{Notice, NoticeId},
        time::Timestamp,
    },
    notices::Failure,
};

/// For how long a notice is sent; then it is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(3 * 24 * 60 * 60);
const RETRY_MIN: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(4 * 60 * 60);
/// How much longer each wait is than the one before.
const RETRY_FACTOR: u32 = 4;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After 410 (Gone), and the longest that a receiver is left alone because it wants to be.
pub const LEFT_ALONE_MAX: Duration = Duration::from_secs(60 * 60);
const GONE: u16 = 410;

/// When a notice is tried again that just failed; `None`: it is given up. Waits are 5 seconds, 20 seconds and
/// so on up to 4 hours, and between half of that and all of it, so that those that failed together are not
/// tried together.
pub fn next_try(notice: &Notice, now: Timestamp) -> Option<Timestamp> {
    let factor = RETRY_FACTOR.saturating_pow(notice.tries);
    let whole = RETRY_MIN.saturating_mul(factor).min(RETRY_MAX);
    let again = now.after(whole / 2 + (whole / 2).mul_f64(jitter(notice.id, notice.tries)));
    (again <= notice.make_time.after(GIVE_UP_AFTER)).then_some(again)
}

/// A number from 0 to 1 that differs between notices and tries. Ids are random, so nothing else need be.
fn jitter(id: NoticeId, tries: u32) -> f64 {
    let stored = id.stored();
    let bytes = stored.bytes();
    let place = usize::try_from(tries).unwrap_or(0) % bytes.len();
    f64::from(bytes.get(place).copied().unwrap_or(0)) / 255.0
}

/// For how long nothing is sent after so many failures one after the other, of which this was the last: the
/// receiver is down, and what waits is not to be tried one by one.
pub fn pause(failures: u32, last: &Failure) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let pause = PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX);
    match last {
        Failure::Refused { status: GONE, .. } => LEFT_ALONE_MAX,
        Failure::Refused { retry_after: Some(wanted), .. } => {
            pause.max((*wanted).min(LEFT_ALONE_MAX))
        }
        Failure::Refused { retry_after: None, .. } | Failure::Slow(_) | Failure::Unreachable(_) => {
            pause
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::id::KeyId;

    fn notice(bytes: [u8; 16], tries: u32) -> Notice {
        let id = KeyId::from_bytes(bytes);
        let start = Timestamp::from_micros(0);
        Notice {
            id: NoticeId::new(id),
            key: id,
            expire_time: start,
            threshold: Duration::from_secs(1),
            make_time: start,
            tries,
            told: None,
        }
    }

    proptest! {
        #[test]
        fn a_notice_is_tried_some_times_at_growing_intervals_for_three_days(bytes: [u8; 16]) {
            let mut now = Timestamp::from_micros(0);
            let mut tries = 0;
            while let Some(next) = next_try(&notice(bytes, tries), now) {
                let least = [2_500_000, 10_000_000, 40_000_000, 160_000_000, 640_000_000];
                let least = least.get(usize::try_from(tries).unwrap()).copied().unwrap_or(2_560_000_000);
                prop_assert!(next.micros() - now.micros() >= least);
                prop_assert!(next <= now.after(RETRY_MAX));
                now = next;
                tries += 1;
            }
            prop_assert!(now <= Timestamp::from_micros(0).after(GIVE_UP_AFTER));
            prop_assert!(now.after(RETRY_MAX) > Timestamp::from_micros(0).after(GIVE_UP_AFTER));
            prop_assert!((20..=45).contains(&tries), "{tries}");
        }
    }

    #[test]
    fn pauses_double_to_a_minute_and_a_receiver_may_ask_for_an_hour() {
        let refused = |status, seconds: Option<u64>| Failure::Refused {
            status,
            retry_after: seconds.map(Duration::from_secs),
        };
        let seconds = |failures, last: &Failure| pause(failures, last).as_secs();
        let down = refused(500, None);
        assert_eq!([1, 2, 3, 7, 40].map(|count| seconds(count, &down)), [1, 2, 4, 60, 60]);
        assert_eq!(seconds(1, &refused(429, Some(30))), 30);
        assert_eq!(seconds(7, &refused(429, Some(30))), 60);
        assert_eq!(seconds(1, &refused(503, Some(86_400))), 3_600);
        assert_eq!(seconds(1, &refused(410, None)), 3_600);
    }
}
