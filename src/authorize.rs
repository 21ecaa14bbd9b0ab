//! The hot path, whole: lease, digest, look-up, decision, record. No await, no I/O, and no lock but
//! the ledger's, once a second for each key.

use std::sync::Arc;

use crate::{
    decide::{Decision, Question, Reason, Subject, decide},
    model::{
        secret::{Brand, Pepper, PresentedKey},
        time::{Now, Timestamp},
        view::KeyView,
    },
    replica::{Knowledge, Replica, lease::NotReady},
    usage::Ledger,
};

/// What every decision needs.
#[derive(Debug)]
pub struct Hot {
    /// The keys.
    pub replica: Arc<Replica>,
    /// Where uses are noted.
    pub ledger: Arc<Ledger>,
    /// What digests are keyed with.
    pub pepper: Arc<Pepper>,
    /// What tokens begin with.
    pub brand: Brand,
}

/// Whether an allowed use is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// It is.
    Use,
    /// Nothing is.
    Nothing,
}

/// A decision and what it was made with.
#[derive(Debug)]
pub struct Outcome {
    /// The answer.
    pub decision: Decision,
    /// The key, if there is one that its presenter may know of.
    pub key: Option<Arc<KeyView>>,
    /// What the replica knew.
    pub knowledge: Knowledge,
}

/// Decides whether the presented key may do what is asked, with knowledge of at least
/// `revision_min`. `now` must have been read after the request arrived.
pub fn authorize(
    hot: &Hot,
    presented: &str,
    question: &Question<'_>,
    terms: Terms,
) -> Result<Outcome, NotReady> {
    let Terms { now, revision_min, record } = terms;
    let knowledge = hot.replica.knowledge(now.boot, revision_min)?;
    let found = find(hot, presented);
    let subject = match &found {
        Found::Missing => Subject::Missing,
        Found::Malformed => Subject::Malformed,
        Found::Unknown => Subject::Unknown,
        Found::Key(key, secret_end) => Subject::Known { key, secret_end: *secret_end },
    };
    let decision = decide(subject, question, now.wall);
    let key = match found {
        Found::Key(key, _) if decision != Decision::Deny(Reason::KeyUnknown) => Some(key),
        _ => None,
    };
    if let (Decision::Allow, Record::Use, Some(key)) = (decision, record, &key) {
        hot.ledger.record(key, now.wall);
    }
    Ok(Outcome { decision, key, knowledge })
}

/// Under which terms to decide.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Read after the request arrived.
    pub now: Now,
    /// What the replica must know at least; 0 for no wish.
    pub revision_min: i64,
    /// Whether to note the use.
    pub record: Record,
}

enum Found {
    Missing,
    Malformed,
    Unknown,
    Key(Arc<KeyView>, Timestamp),
}

fn find(hot: &Hot, presented: &str) -> Found {
    if presented.is_empty() {
        return Found::Missing;
    }
    let Ok(presented) = PresentedKey::parse(presented, &hot.brand) else {
        return Found::Malformed;
    };
    let digest = presented.digest(&hot.pepper);
    let Some(key) = hot.replica.get(&digest) else {
        return Found::Unknown;
    };
    match key.secret_end(&digest) {
        Some(end) => Found::Key(key, end),
        None => Found::Unknown,
    }
}

#[cfg(test)]
mod tests;
