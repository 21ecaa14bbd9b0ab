//! What was decided, for operators.

use crate::{
    admin::{Admin, AdminError, Call, read::require_known},
    model::{
        caller::{Action, Noun, Right},
        decision::DecisionFilter,
        list::PageSize,
        record::ThingName,
    },
    store::decisions::{DecisionPage, DecisionPlace},
};

const READ: Right = Right { noun: Noun::Decisions, action: Action::Read };

/// A filter that shows no more than the caller may read, as far as memory tells: a caller that is bound to
/// domains reads about keys of them.
pub fn readable(call: &Call, mut filter: DecisionFilter) -> Result<DecisionFilter, AdminError> {
    call.require(READ)?;
    match &filter.domains {
        Some(domains) => {
            for domain in domains {
                call.require_on(READ, &ThingName::in_domain(domain, ""))?;
            }
        }
        None => filter.domains = call.caller.domains(),
    }
    Ok(filter)
}

/// A page of decisions.
pub async fn list_decisions(
    admin: &Admin,
    call: &Call,
    filter: DecisionFilter,
    (size, after): (PageSize, Option<DecisionPlace>),
) -> Result<DecisionPage, AdminError> {
    let filter = readable(call, filter)?;
    require_known(admin, call).await?;
    Ok(admin.store.list_decisions(&filter, size, after).await?)
}
