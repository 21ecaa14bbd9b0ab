//! What the service counts.

use crate::{
    authorize::Outcome,
    clock,
    metrics::Cause,
    model::{decision::Way, time::Now},
    replica::lease::NotReady,
};

use super::{AuthorizeService, Door};

impl AuthorizeService {
    /// The same for another thread: with a tally of its own.
    pub(in crate::rpc) fn apart(&self) -> Self {
        Self { tally: self.decisions.tally(), ..self.clone() }
    }

    /// Counts a decision. What operators ask is a call of theirs and no decision.
    pub(super) fn count(&self, outcome: &Outcome, way: Way) {
        if self.door == Door::Decisions {
            let degraded = outcome.verdict.as_ref().is_some_and(|verdict| verdict.degraded);
            self.tally.decided(way, outcome.decision, degraded);
        }
    }

    /// Notes how long so many decisions took that began at `begun`.
    pub(in crate::rpc) fn took(&self, way: Way, many: u64, begun: Now) {
        if self.door == Door::Decisions && many > 0 {
            self.tally.took(way, many, clock::boot().since(begun.boot));
        }
    }

    /// Counts a call that gets no decision.
    pub(super) fn unavailable(&self, cause: Cause) {
        if self.door == Door::Decisions {
            self.tally.unavailable(cause);
        }
    }
}

/// Why there is no decision.
pub(super) const fn cause(not_ready: NotReady) -> Cause {
    match not_ready {
        NotReady::Loading => Cause::Loading,
        NotReady::Stale { .. } => Cause::Stale,
        NotReady::Behind { .. } => Cause::Behind,
        NotReady::LacksPepper => Cause::Pepper,
    }
}
