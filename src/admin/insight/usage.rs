//! How much keys are used, for operators.

use crate::{
    admin::{Admin, AdminError, Call, read::require_known},
    model::{
        caller::{Action, Noun, Right},
        customer::Customer,
        domain::Domain,
        record::{Kind, ThingName},
        usage::UsageOf,
        user::User,
    },
    store::usage_hours::{UsageQuery, UsageTable},
};

const READ: Right = Right { noun: Noun::Usage, action: Action::Read };

/// How much something was used that is there, and that the caller may read about.
pub async fn query_usage(
    admin: &Admin,
    call: &Call,
    mut query: UsageQuery,
) -> Result<UsageTable, AdminError> {
    call.require(READ)?;
    require_known(admin, call).await?;
    match &query.of {
        UsageOf::All => {}
        UsageOf::Key(id) => {
            let key = admin.store.get_key(*id).await?.ok_or(AdminError::UnknownKey(*id))?;
            call.require_on(READ, &ThingName::in_domain(&key.domain, ""))?;
        }
        UsageOf::Domain(domain) => {
            let name = ThingName::in_domain(domain, "");
            call.require_on(READ, &name)?;
            let found: Option<Domain> = admin.store.get_thing(&name).await?;
            if found.is_none() {
                return Err(AdminError::NotFound { kind: Kind::Domain, name });
            }
        }
        UsageOf::Customer(domain, customer) => {
            let name = ThingName::in_domain(domain, customer.as_str());
            call.require_on(READ, &name)?;
            let found: Option<Customer> = admin.store.get_thing(&name).await?;
            if found.is_none() {
                return Err(AdminError::NotFound { kind: Kind::Customer, name });
            }
        }
        UsageOf::User(domain, user) => {
            let name = ThingName::in_domain(domain, user.as_str());
            call.require_on(READ, &name)?;
            let found: Option<User> = admin.store.get_thing(&name).await?;
            if found.is_none() {
                return Err(AdminError::NotFound { kind: Kind::User, name });
            }
        }
    }
    // what a caller reads without naming a domain is bound to its domains too
    query.domains = call.caller.domains();
    Ok(admin.store.query_usage(&query).await?)
}
