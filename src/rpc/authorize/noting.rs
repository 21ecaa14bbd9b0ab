//! What the decision log is told of a decision.

use super::{Asker, AuthorizeService, Door};
use crate::{
    authorize::{Case, Outcome},
    decide::{Access, Ask, Decision, Plane},
    model::{
        decision::{DecisionId, Entry},
        meter::{Fit, Scope},
    },
    rpc::wire::answer::Answer,
};

impl AuthorizeService {
    /// The answer of a decision, which is counted, and which the log is told of if it is one to note.
    pub(super) fn noted(&self, case: &Case<'_>, asker: &Asker, outcome: Outcome) -> Answer {
        self.count(&outcome, asker.way);
        let answer = Answer::new(outcome);
        let allowed = match (answer.outcome.decision, &answer.outcome.key) {
            (Decision::Allow, Some(key)) => Some(key.id),
            (Decision::Allow, None) | (Decision::Deny(_), _) => None,
        };
        // what an operator tries is no decision about a request
        if self.door == Door::Decisions && self.journal.takes(answer.id, allowed) {
            self.note(case, asker, &answer.outcome, answer.id);
        }
        answer
    }

    /// Apart from the rest, which most decisions end with.
    #[inline(never)]
    fn note(&self, case: &Case<'_>, asker: &Asker, outcome: &Outcome, id: DecisionId) {
        let environment = match case.question.plane {
            Plane::Data(name) => name,
            Plane::Admin | Plane::Holder => "",
        };
        let nothing = Access { customer: "", route: "", method: "", permission: None };
        let access = match &case.question.ask {
            Ask::Access(access) => access,
            Ask::Authentication => &nothing,
        };
        let reason = match outcome.decision {
            Decision::Allow => "",
            Decision::Deny(reason) => reason.name(),
        };
        let key = outcome.key.as_ref();
        let entry = Entry {
            time: case.terms.now.wall,
            id,
            reason,
            key: key.map(|key| key.id),
            domain: key.map_or("", |key| key.profile.domain.name.as_str()),
            environment,
            user: "",
            customer: access.customer,
            method: access.method,
            route: access.route,
            permission: access.permission.map_or("", |permission| permission.as_str()),
            limit: &denying_limit(outcome).unwrap_or_default(),
            address: case.question.client.or(asker.peer),
            way: asker.way,
            revision: outcome.knowledge.revision,
        };
        match key.and_then(|key| key.profile.user.as_ref()) {
            None => self.journal.note(&entry),
            Some(user) => {
                let note = |id: &str| self.journal.note(&Entry { user: id, ..entry });
                user.facts.of_latest(|facts| note(&facts.id));
            }
        }
    }
}

/// The first limit that denied it.
fn denying_limit(outcome: &Outcome) -> Option<String> {
    let verdict = outcome.verdict.as_ref().filter(|verdict| verdict.denied.is_some())?;
    let mut refusing = verdict.readings().filter(|(_, reading)| reading.fit != Fit::Fits);
    let (gauge, _) = refusing.next()?;
    let scope = match gauge.scope {
        Scope::Key => "key",
        Scope::User => "user",
        Scope::Customer => "customer",
        Scope::Domain => "domain",
    };
    Some(format!("{scope}/{}", gauge.limit.name))
}
