//! The hot path, whole: lease, digest, look-up, decision, limits, record. No await, no I/O, and no lock
//! that is held for more than a few instructions.

mod seek;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    decide::{
        Ask, Decision, Finding, Plane, Question, Reason, Subject, decide,
        explain::{Explanation, explain},
    },
    limiter::{Applicable, Charge, Due, Limiter, Take, Verdict, Wish, failures::Source},
    model::{
        pepper::Peppers,
        reservation::ReservationId,
        secret::{Brand, Presented},
        time::{Now, Timestamp},
        usage::DenialClass,
        view::KeyView,
    },
    replica::{CustomerView, KeyRef, Knowledge, Replica, TOGETHER, lease::NotReady},
    rotation::Upgrades,
    usage::{Ledger, Occasion},
};
use seek::{Sought, SoughtKey, find_by_others, seek};

/// What every decision needs.
#[derive(Debug)]
pub struct Hot {
    /// The keys.
    pub replica: Arc<Replica>,
    /// Where uses are noted.
    pub ledger: Arc<Ledger>,
    /// What digests are keyed with.
    pub peppers: Arc<Peppers>,
    /// Where keys are noted that are to be digested anew.
    pub upgrades: Arc<Upgrades>,
    /// What tokens begin with.
    pub brand: Brand,
    /// What enforces limits.
    pub limiter: Arc<Limiter>,
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
    pub key: Option<KeyRef>,
    /// What the replica knew.
    pub knowledge: Knowledge,
    /// What each check came to, if that was asked for.
    pub explanation: Option<Box<Explanation>>,
    /// What limits came to, if any apply.
    pub verdict: Option<Verdict>,
    /// When it makes sense to try again, if that is known.
    pub retry_after: Option<Duration>,
    /// What was reserved, and until when.
    pub reservation: Option<(ReservationId, Timestamp)>,
    /// What is still to be asked of limits, of all replicas together: then [`conclude`] makes this
    /// the answer.
    pub due: Option<Box<Open>>,
}

/// A decision that limits have still to be asked for.
#[derive(Debug)]
pub struct Open {
    /// What they are to be asked.
    pub due: Due,
    /// What is noted when they have answered.
    pub occasion: Occasion,
}

/// One question about one key.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The key as it was sent.
    pub presented: Presented<'a>,
    /// What is asked.
    pub question: Question<'a>,
    /// Under which terms.
    pub terms: Terms,
}

/// Without the key, which is a secret.
impl fmt::Debug for Case<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("question", &self.question).finish_non_exhaustive()
    }
}

impl Outcome {
    /// The same, to be kept while something is waited for.
    pub fn detached(self) -> Self {
        Self { key: self.key.map(KeyRef::detached), ..self }
    }
}

/// Decides whether the presented key may do what is asked, with knowledge of at least
/// `revision_min`. `now` must have been read after the request arrived.
pub fn authorize<'a>(
    hot: &Hot,
    presented: impl Into<Presented<'a>>,
    question: &Question<'_>,
    terms: Terms,
) -> Result<Outcome, NotReady> {
    let sought = seek(hot, presented.into(), &terms)?;
    let settlings = hot.replica.settlings();
    let found = sought.digest().and_then(|digest| hot.replica.get(&digest));
    judge(hot, sought, (settlings, found), question, terms)
}

/// The same for some at once, one after the other, each of which is taken as soon as it is decided: what
/// is known of their keys is read from memory at the same time, which is most of what a decision costs
/// when there are many keys.
pub fn authorize_together(
    hot: &Hot,
    cases: &[Option<Case<'_>>; TOGETHER],
    mut take: impl FnMut(usize, Result<Outcome, NotReady>),
) {
    let sought = cases.map(|case| case.map(|case| seek(hot, case.presented, &case.terms)));
    let digests = std::array::from_fn(|at| sought.get(at)?.as_ref()?.as_ref().ok()?.digest());
    let settlings = hot.replica.settlings();
    let found = hot.replica.get_together(&digests);
    for (at, ((case, sought), found)) in cases.iter().zip(sought).zip(found).enumerate() {
        match (case, sought) {
            (Some(Case { question, terms, .. }), Some(Ok(sought))) => {
                take(at, judge(hot, sought, (settlings, found), question, *terms));
            }
            (_, Some(Err(not_ready))) => take(at, Err(not_ready)),
            (None, _) | (_, None) => {}
        }
    }
}

/// Decides about a key that was looked up when so many changes had settled.
fn judge(
    hot: &Hot,
    Sought { knowledge, throttled, key: sought, mut lacking }: Sought,
    (mut settlings, mut found): (u64, Option<KeyRef>),
    question: &Question<'_>,
    terms: Terms,
) -> Result<Outcome, NotReady> {
    let Terms { now, explain: wanted, source, .. } = terms;
    let (decision, explanation) = loop {
        if let (SoughtKey::Digest(sought), None) = (&sought, &found) {
            found = find_by_others(hot, sought);
            if found.is_none() && (lacking || hot.replica.lacking() > 0) {
                return Err(NotReady::LacksPepper);
            }
        }
        let subject = match (&sought, &found) {
            (SoughtKey::Missing, _) => Subject::Missing,
            (SoughtKey::Malformed, _) => Subject::Malformed,
            (SoughtKey::Several, _) => Subject::Several,
            (SoughtKey::Throttled, _) => Subject::Throttled,
            (SoughtKey::Digest(_), None) => Subject::Unknown,
            (SoughtKey::Digest(_), Some(key)) => Subject::Known { key, secret_end: key.secret_end },
        };
        let decision = decide(subject, question, now.wall);
        let explanation = match wanted {
            Explain::Yes => Some(Box::new(explained(subject, decision, question, now.wall))),
            Explain::No => None,
        };
        // a change that was completed meanwhile may have been seen in part
        let settled = hot.replica.settlings();
        if settled == settlings {
            break (decision, explanation);
        }
        settlings = settled;
        if let SoughtKey::Digest(sought) = &sought {
            lacking = hot.replica.lacking() > 0;
            found = hot.replica.get(&sought.current);
        }
    };
    let key = found.filter(|_| decision != Decision::Deny(Reason::KeyUnknown));
    let retry_after = throttled.filter(|_| decision == Decision::Deny(Reason::FailuresThrottled));
    let (verdict, reservation, due) = (None, None, None);
    let outcome =
        Outcome { decision, key, knowledge, explanation, verdict, retry_after, reservation, due };
    if throttled.is_none()
        && let Some(source) = source
        && let Decision::Deny(Reason::KeyMalformed | Reason::KeyAmbiguous | Reason::KeyUnknown) =
            decision
    {
        hot.limiter.failures.note(source, now.boot);
    }
    Ok(limited(hot, outcome, question, &terms))
}

/// What comes of a decision that was made but for limits.
fn limited(hot: &Hot, mut outcome: Outcome, question: &Question<'_>, terms: &Terms) -> Outcome {
    let key = match (outcome.decision, &outcome.key) {
        (Decision::Allow, Some(key)) => key,
        (Decision::Deny(reason), Some(key)) if terms.record == Record::Use => {
            let customer = customer(hot, key, question);
            deny(hot, (key, reason), &occasion(question, terms.now, customer.as_ref()));
            return outcome;
        }
        (Decision::Allow | Decision::Deny(_), _) => return outcome,
    };
    let customer = customer(hot, key, question);
    let occasion = occasion(question, terms.now, customer.as_ref());
    let take = match terms.record {
        Record::Use => Take::Yes,
        Record::Nothing => Take::No,
    };
    let domain = &key.profile.domain.name;
    let due = applicable(key, question, customer)
        .and_then(|it| hot.limiter.due((it, domain), terms.charge, take, terms.now));
    match due {
        None if take == Take::Yes => {
            hot.ledger.allow(key, &occasion, terms.charge.cost);
        }
        None => {}
        // an operator's call waits for nobody
        Some(due)
            if matches!(question.plane, Plane::Data(_))
                && terms.explain == Explain::No
                && hot.limiter.is_for_all(&due) =>
        {
            outcome.due = Some(Box::new(Open { due, occasion }));
        }
        Some(due) => {
            let wish = due.wish;
            let verdict = hot.limiter.decide(due);
            conclude(hot, &mut outcome, (&wish, &occasion), verdict);
        }
    }
    outcome
}

/// Makes what limits came to a part of the answer.
pub fn conclude(
    hot: &Hot,
    outcome: &mut Outcome,
    (wish, occasion): (&Wish, &Occasion),
    verdict: Verdict,
) {
    if let Some(explanation) = &mut outcome.explanation {
        let finding = verdict.denied.map_or(Finding::Passed, Finding::Failed);
        explanation.add_limits(finding, verdict.summary());
    }
    match (verdict.denied, &outcome.key) {
        (Some(reason), key) => {
            if let Some(key) = key.as_ref().filter(|_| wish.take == Take::Yes) {
                deny(hot, (key, reason), occasion);
            }
            outcome.decision = Decision::Deny(reason);
            outcome.retry_after = verdict.retry_after;
        }
        (None, Some(key)) if wish.take == Take::Yes => {
            hot.ledger.allow(key, occasion, wish.ask.cost);
            outcome.reservation = wish.ask.slot.map(|(id, _)| id).zip(wish.end);
        }
        (None, _) => {}
    }
    outcome.verdict = Some(verdict);
}

/// Counts a denial of a key.
fn deny(hot: &Hot, (key, reason): (&KeyView, Reason), occasion: &Occasion) {
    let class = match reason {
        // not about a key that is known
        Reason::KeyMissing
        | Reason::KeyMalformed
        | Reason::KeyAmbiguous
        | Reason::KeyUnknown
        | Reason::FailuresThrottled => return,
        Reason::KeyInactive
        | Reason::KeyExpired
        | Reason::KeyNotYetValid
        | Reason::UserDisabled
        | Reason::DomainDisabled => DenialClass::Stopped,
        Reason::EnvironmentMismatch | Reason::AddressDenied | Reason::CustomerDenied => {
            DenialClass::Misplaced
        }
        Reason::RouteDenied | Reason::PermissionDenied => DenialClass::Forbidden,
        Reason::RateLimited | Reason::QuotaExhausted | Reason::ConcurrencyExceeded => {
            DenialClass::Limited
        }
    };
    hot.ledger.deny(key, occasion, class);
}

/// The customer that is asked for, if it is a known one.
fn customer(hot: &Hot, key: &KeyView, question: &Question<'_>) -> Option<CustomerView> {
    match (question.plane, &question.ask) {
        (Plane::Data(_), Ask::Access(access)) => {
            hot.replica.customer(&key.profile.domain.name, access.customer)
        }
        (Plane::Data(_), Ask::Authentication) | (Plane::Admin | Plane::Holder, _) => None,
    }
}

/// What is noted of a use.
fn occasion(question: &Question<'_>, now: Now, customer: Option<&CustomerView>) -> Occasion {
    let customer = customer.map(|customer| customer.number);
    Occasion { time: now.wall, address: question.client, customer }
}

/// What limits a question about a key, if it is one that limits are for.
fn applicable(
    key: &KeyView,
    question: &Question<'_>,
    customer: Option<CustomerView>,
) -> Option<Applicable> {
    match (question.plane, &question.ask) {
        (Plane::Data(_), Ask::Access(_)) => {
            Some(Applicable::new(key, customer.and_then(|customer| customer.limits)))
        }
        (Plane::Admin, _) => Some(Applicable::new(key, None)),
        (Plane::Data(_), Ask::Authentication) | (Plane::Holder, _) => None,
    }
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
    /// Where this comes from, for whom failed tries are counted.
    pub source: Option<Source>,
    /// What it takes from limits.
    pub charge: Charge,
}

#[cfg(test)]
mod tests;
