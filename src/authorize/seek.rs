//! What to look a presented key up by.

use std::time::Duration;

use super::{Hot, Terms};
use crate::{
    model::{
        pepper::{PEPPERS_MAX, Upgrade},
        secret::{Digest, Presented, PresentedKey},
    },
    replica::{KeyRef, Knowledge, lease::NotReady},
};

/// What is to be looked up for a question.
pub(super) struct Sought {
    pub(super) knowledge: Knowledge,
    pub(super) throttled: Option<Duration>,
    pub(super) key: SoughtKey,
    /// Whether a key may be here that only a pepper finds which this process has not. To be read before
    /// any look-up: one that gets another digest meanwhile may be missed by it.
    pub(super) lacking: bool,
}

/// What was presented.
pub(super) enum SoughtKey {
    Missing,
    Malformed,
    Several,
    Throttled,
    Digest(SoughtDigest),
}

/// A token by the current pepper, and what its digests by others are made of.
#[derive(Clone, Copy)]
pub(super) struct SoughtDigest {
    pub(super) current: Digest,
    sha256: [u8; 32],
}

impl Sought {
    pub(super) fn digest(&self) -> Option<Digest> {
        match self.key {
            SoughtKey::Digest(sought) => Some(sought.current),
            SoughtKey::Missing
            | SoughtKey::Malformed
            | SoughtKey::Several
            | SoughtKey::Throttled => None,
        }
    }
}

/// What to look up for a question, if this replica may answer.
pub(super) fn seek(hot: &Hot, presented: Presented<'_>, terms: &Terms) -> Result<Sought, NotReady> {
    let Terms { now, revision_min, source, .. } = terms;
    let knowledge = hot.replica.knowledge(now.boot, *revision_min)?;
    let lacking = hot.replica.lacking() > 0;
    let throttled = source.and_then(|source| hot.limiter.failures.wait(source, now.boot));
    let key = match presented {
        Presented::Several => SoughtKey::Several,
        Presented::Text("") => SoughtKey::Missing,
        Presented::Text(text) => match PresentedKey::parse(text, &hot.brand) {
            Err(_malformed) => SoughtKey::Malformed,
            Ok(_) if throttled.is_some() => SoughtKey::Throttled,
            Ok(presented) => {
                let sha256 = presented.sha256();
                let current = hot.peppers.current().digest_of_sha256(&sha256);
                SoughtKey::Digest(SoughtDigest { current, sha256 })
            }
        },
    };
    Ok(Sought { knowledge, throttled, key, lacking })
}

/// A key that the current pepper did not find, by the others.
pub(super) fn find_by_others(hot: &Hot, sought: &SoughtDigest) -> Option<KeyRef> {
    if hot.peppers.others().is_empty() {
        return None;
    }
    let mut digests = [sought.current; PEPPERS_MAX];
    let (current, others) = digests.split_first_mut()?;
    for (digest, pepper) in others.iter_mut().zip(hot.peppers.others()) {
        *digest = pepper.digest_of_sha256(&sought.sha256);
        if let Some(key) = hot.replica.get(digest) {
            hot.upgrades.note(Upgrade { old: *digest, new: *current });
            return Some(key);
        }
    }
    // Between two looks the key may have moved from a digest that was not looked at yet to one that was.
    let mut looked_at = digests.iter().take(1 + hot.peppers.others().len());
    looked_at.find_map(|digest| hot.replica.get(digest))
}
