//! The audit, for operators: lists of events, and whether their chain is whole.

use crate::{
    admin::{Admin, AdminError, Call, read::require_known},
    model::{
        audit::{AuditFilter, AuditPageRequest, Revisions},
        caller::{Action, Noun, Right},
        chain::KnownSeal,
        record::ThingName,
    },
    store::audit::{list::AuditPage, verify::Verification},
};

const READ: Right = Right { noun: Noun::Audit, action: Action::Read };

/// A filter that shows no more than the caller may read: a caller that is bound to domains reads of what
/// belongs to them.
pub async fn readable(
    admin: &Admin,
    call: &Call,
    mut filter: AuditFilter,
) -> Result<AuditFilter, AdminError> {
    call.require(READ)?;
    match &filter.domains {
        Some(domains) => {
            for domain in domains {
                call.require_on(READ, &ThingName::in_domain(domain, ""))?;
            }
        }
        None => filter.domains = call.caller.domains(),
    }
    require_known(admin, call).await?;
    Ok(filter)
}

/// A page of events; the filter is one that [`readable`] made.
pub async fn list_audit_events(
    admin: &Admin,
    filter: &AuditFilter,
    page: &AuditPageRequest,
) -> Result<AuditPage, AdminError> {
    Ok(admin.store.list_audit(filter, page).await?)
}

/// Begins to check the chain, which is one for all domains.
pub async fn verify_audit(
    admin: &Admin,
    call: &Call,
    revisions: Revisions,
    known: Option<KnownSeal>,
) -> Result<Verification, AdminError> {
    call.require(READ)?;
    call.require_not_delegated()?;
    require_known(admin, call).await?;
    Ok(Verification::begin(admin.store.clone(), revisions, known).await?)
}
