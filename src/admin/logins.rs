//! Logins that failed, folded in memory until they are stored: by where they came from, to which services,
//! and why. There is room for so many; what is beyond is counted as that of others, so that a flood costs
//! nothing but a look at a map, and nothing is lost.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::{
    model::{
        audit::{OTHERS, network_of},
        id::KeyId,
        text::RequestId,
        time::Timestamp,
    },
    store::audit::refusal::RefusedAttempt,
};

/// How many different ones are kept, before those of others are counted together.
const DIFFERENT_MAX: usize = 1000;

/// A login that failed.
#[derive(Clone, Debug)]
pub struct FailedLogin<'a> {
    /// From where.
    pub peer: Option<IpAddr>,
    /// To what: `login.admin` or `login.holder`.
    pub action: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The key, if it is a known one.
    pub key: Option<KeyId>,
    /// What the caller calls the request.
    pub request: Option<&'a RequestId>,
    /// When.
    pub time: Timestamp,
}

/// Logins that failed and are not stored yet.
#[derive(Debug, Default)]
pub struct FailedLogins(Mutex<HashMap<Same, RefusedAttempt>>);

/// What logins have in common that are counted together: actor, action, reason.
type Same = (String, String, String);

impl FailedLogins {
    /// Notes one.
    pub fn note(&self, login: &FailedLogin<'_>) {
        let peer = login.peer.map(|peer| peer.to_canonical());
        let network = peer.map(|peer| network_of(peer).to_string());
        self.add(RefusedAttempt {
            actor: network.unwrap_or_else(|| String::from("unknown")),
            action: login.action.to_owned(),
            reason: login.reason.to_owned(),
            times: 1,
            first: login.time,
            last: login.time,
            subject: login.key.map(|key| key.to_string()).unwrap_or_default(),
            peer: peer.map(|peer| peer.to_string()),
            request: login.request.map_or_else(String::new, |id| id.as_str().to_owned()),
        });
    }

    /// Takes out all that are noted.
    pub fn drain(&self) -> Vec<RefusedAttempt> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.drain().map(|(_, refusal)| refusal).collect()
    }

    /// Takes back what could not be stored.
    pub fn put_back(&self, refusals: Vec<RefusedAttempt>) {
        for refusal in refusals {
            self.add(refusal);
        }
    }

    fn add(&self, mut refusal: RefusedAttempt) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut same = same(&refusal);
        if noted.len() >= DIFFERENT_MAX && !noted.contains_key(&same) {
            OTHERS.clone_into(&mut refusal.actor);
            OTHERS.clone_into(&mut same.0);
        }
        match noted.get_mut(&same) {
            Some(known) => fold(known, refusal),
            None => drop(noted.insert(same, refusal)),
        }
    }
}

fn same(refusal: &RefusedAttempt) -> Same {
    (refusal.actor.clone(), refusal.action.clone(), refusal.reason.clone())
}

/// Counts refusals to those that they are like.
fn fold(known: &mut RefusedAttempt, other: RefusedAttempt) {
    let times = known.times.saturating_add(other.times);
    let first = known.first.min(other.first);
    if other.last >= known.last {
        *known = other;
    }
    known.times = times;
    known.first = first;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(peer: [u8; 4], at: i64) -> FailedLogin<'static> {
        FailedLogin {
            peer: Some(IpAddr::from(peer)),
            action: "login.admin",
            reason: "KEY_UNKNOWN",
            key: None,
            request: None,
            time: Timestamp::from_micros(at),
        }
    }

    #[test]
    fn logins_from_one_place_for_one_reason_are_counted_together() {
        let logins = FailedLogins::default();
        for at in [5, 3, 9] {
            logins.note(&login([192, 0, 2, 7], at));
        }
        logins.note(&FailedLogin { reason: "KEY_MISSING", ..login([192, 0, 2, 7], 4) });
        let mut noted = logins.drain();
        noted.sort_by_key(|refusal| refusal.times);
        let of = |refusal: &RefusedAttempt| {
            let times = (refusal.times, refusal.first.micros(), refusal.last.micros());
            (refusal.actor.clone(), refusal.reason.clone(), times)
        };
        let place = || String::from("192.0.2.7/32");
        assert_eq!(
            noted.iter().map(of).collect::<Vec<_>>(),
            [
                (place(), "KEY_MISSING".into(), (1, 4, 4)),
                (place(), "KEY_UNKNOWN".into(), (3, 3, 9)),
            ]
        );
        assert_eq!(logins.drain(), []);
        logins.put_back(noted.clone());
        logins.note(&login([192, 0, 2, 7], 10));
        let again = logins.drain();
        assert_eq!(again.iter().map(|refusal| refusal.times).sum::<i64>(), 5);
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn a_flood_from_everywhere_takes_bounded_room_and_is_counted() {
        let logins = FailedLogins::default();
        for number in 0..5000_u32 {
            let [_, b, c, d] = number.to_be_bytes();
            logins.note(&login([10, b, c, d], i64::from(number)));
        }
        let noted = logins.drain();
        assert_eq!(noted.len(), DIFFERENT_MAX + 1);
        assert_eq!(noted.iter().map(|refusal| refusal.times).sum::<i64>(), 5000);
        let others = noted.iter().find(|refusal| refusal.actor == OTHERS).unwrap();
        assert_eq!((others.times, others.first.micros(), others.last.micros()), (4000, 1000, 4999));
    }
}
