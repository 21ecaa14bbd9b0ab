//! The hot path, whole: lease, digest, look-up, decision, record. No await, no I/O, and no lock but
//! the ledger's, once a second for each key.

use std::sync::Arc;

use crate::{
    decide::{
        Decision, Question, Reason, Subject, decide,
        explain::{Explanation, explain},
    },
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

/// Whether what each check comes to is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explain {
    /// It is.
    Yes,
    /// It is not.
    No,
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
    /// What each check came to, if that was asked for.
    pub explanation: Option<Box<Explanation>>,
}

/// Decides whether the presented key may do what is asked, with knowledge of at least
/// `revision_min`. `now` must have been read after the request arrived.
pub fn authorize(
    hot: &Hot,
    presented: &str,
    question: &Question<'_>,
    terms: Terms,
) -> Result<Outcome, NotReady> {
    let Terms { now, revision_min, record, explain: wanted } = terms;
    let knowledge = hot.replica.knowledge(now.boot, revision_min)?;
    let (found, decision, explanation) = loop {
        let settlings = hot.replica.settlings();
        let found = find(hot, presented);
        let subject = match &found {
            Found::Missing => Subject::Missing,
            Found::Malformed => Subject::Malformed,
            Found::Unknown => Subject::Unknown,
            Found::Key(key, secret_end) => Subject::Known { key, secret_end: *secret_end },
        };
        let decision = decide(subject, question, now.wall);
        let explanation = match wanted {
            Explain::Yes => Some(Box::new(explained(subject, decision, question, now.wall))),
            Explain::No => None,
        };
        // a change that was completed meanwhile may have been seen in part
        if hot.replica.settlings() == settlings {
            break (found, decision, explanation);
        }
    };
    let key = match found {
        Found::Key(key, _) if decision != Decision::Deny(Reason::KeyUnknown) => Some(key),
        _ => None,
    };
    if let (Decision::Allow, Record::Use, Some(key)) = (decision, record, &key) {
        hot.ledger.record(key, now.wall);
    }
    Ok(Outcome { decision, key, knowledge, explanation })
}

/// Of a key that is unknown here nothing is told: it may be one that who asks may not read.
fn explained(
    subject: Subject<'_>,
    decision: Decision,
    question: &Question<'_>,
    now: Timestamp,
) -> Explanation {
    let told =
        if decision == Decision::Deny(Reason::KeyUnknown) { Subject::Unknown } else { subject };
    explain(told, question, now)
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
    /// Whether to tell what each check comes to.
    pub explain: Explain,
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
