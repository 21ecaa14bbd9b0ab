//! What was used of quotas, for operators.

use crate::{
    admin::{Admin, AdminError, Call, Effect, Written},
    model::{
        caller::{Action, Noun, Right},
        customer::{Customer, CustomerId},
        domain::Domain,
        id::KeyId,
        limit::{Limit, Limits, Rule, quota::Quota},
        meter::{Owner, quota::StoredQuota},
        name::{DomainName, LimitName},
        record::{Kind, ThingName},
        time::Timestamp,
        user::{User, UserId},
    },
    store::{quota::Known, things::Stored, write::WriteTx},
};

const CREDITS_MAX: i64 = 1_000_000_000_000_000;

/// What has limits, as operators name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitOwner {
    /// A key.
    Key(KeyId),
    /// A user.
    User(DomainName, UserId),
    /// A customer.
    Customer(DomainName, CustomerId),
    /// A domain.
    Domain(DomainName),
}

/// What to do to a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// To say what was used in the running period.
    Used(i64),
    /// To add credits, or to take some away.
    AddCredits(i64),
}

/// A quota and what was used of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Its name.
    pub name: LimitName,
    /// The quota.
    pub quota: Quota,
    /// What was used, in the running period.
    pub stored: StoredQuota,
}

/// What was used of all quotas of something.
pub async fn quota_usage(
    admin: &Admin,
    call: &Call,
    owner: &LimitOwner,
) -> Result<Vec<QuotaUsage>, AdminError> {
    let work = || async {
        let mut session = admin.store.session().await?;
        let tx = call.begin(&mut session, "quotas.read").await?;
        let (owner, _, limits) = found(&tx, call, owner, Action::Read).await?;
        let known = tx.quotas_of(&owner).await?;
        tx.abandon().await?;
        Ok(usages(&limits, &known, call.now))
    };
    admin.store.retry(work).await
}

/// Changes what is known of a quota.
pub async fn adjust_quota(
    admin: &Admin,
    call: &Call,
    (owner, name): (&LimitOwner, &LimitName),
    adjustment: Adjustment,
    effect: Effect,
) -> Result<Written<QuotaUsage>, AdminError> {
    const ACTION: &str = "quotas.adjust";
    let subject = format!("{owner} {name}");
    admin
        .attempt(call, (ACTION, &subject), || async {
            let mut session = admin.store.session().await?;
            let mut tx = call.begin(&mut session, ACTION).await?;
            let (owner, domain, limits) = found(&tx, call, owner, Action::Write).await?;
            let Some(Rule::Quota(quota)) = limits.get(name).map(|limit| limit.rule) else {
                let name = ThingName::of_all(&subject);
                return Err(AdminError::NotFound { kind: Kind::Quota, name });
            };
            let unused = StoredQuota::unused(&quota, call.now);
            let before = tx.lock_quota((&owner, name), &unused).await?.at(&quota, call.now);
            let after = adjusted(&before, adjustment);
            let revision = match effect {
                Effect::Apply => {
                    tx.set_quota((&domain, &owner, name), &before, &after).await?;
                    tx.commit().await?
                }
                Effect::ValidateOnly => tx.abandon().await?,
            };
            let thing = QuotaUsage { name: name.clone(), quota, stored: after };
            Ok(Written { thing, revision })
        })
        .await
}

fn adjusted(before: &StoredQuota, adjustment: Adjustment) -> StoredQuota {
    match adjustment {
        Adjustment::Used(used) => {
            StoredQuota { used, generation: before.generation + 1, ..*before }
        }
        Adjustment::AddCredits(credits) => {
            let credits = before.credits.saturating_add(credits).clamp(0, CREDITS_MAX);
            StoredQuota { credits, ..*before }
        }
    }
}

impl std::fmt::Display for LimitOwner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::User(domain, id) => write!(f, "user {domain}/{id}"),
            Self::Customer(domain, id) => write!(f, "customer {domain}/{id}"),
            Self::Domain(name) => write!(f, "domain {name}"),
        }
    }
}

/// The quotas among limits, with what was used by now.
fn usages(limits: &Limits, known: &[Known], now: Timestamp) -> Vec<QuotaUsage> {
    let usage = |limit: &Limit| {
        let Rule::Quota(quota) = limit.rule else { return None };
        let stored = known.iter().find(|known| known.name == limit.name);
        let unused = StoredQuota::unused(&quota, now);
        let stored = stored.map_or(unused, |known| known.stored.at(&quota, now));
        Some(QuotaUsage { name: limit.name.clone(), quota, stored })
    };
    limits.iter().filter_map(usage).collect()
}

/// What has the limits, and its domain, if the caller may do this to it.
async fn found(
    tx: &WriteTx<'_>,
    call: &Call,
    owner: &LimitOwner,
    action: Action,
) -> Result<(Owner, DomainName, Limits), AdminError> {
    match owner {
        LimitOwner::Key(id) => {
            call.require_some(action)?;
            let key = tx.share_key(*id).await?.ok_or(AdminError::UnknownKey(*id))?;
            call.require_key(action, &key)?;
            if action == Action::Write {
                call.require_manager(&key)?;
                call.require_ceiling_of_key(tx, &key).await?;
                key.refuse_deleted()?;
            }
            Ok((Owner::Key(*id), key.domain, key.settings.limits))
        }
        LimitOwner::User(domain, id) => {
            let name = ThingName::in_domain(domain, id.as_str());
            let user: User = thing(tx, call, (Noun::Users, action), &name).await?;
            if action == Action::Write {
                call.require_ceiling_of_user(tx, &user).await?;
            }
            Ok((Owner::User(user.uid), domain.clone(), user.limits))
        }
        LimitOwner::Customer(domain, id) => {
            let name = ThingName::in_domain(domain, id.as_str());
            let customer: Customer = thing(tx, call, (Noun::Customers, action), &name).await?;
            Ok((Owner::Customer(domain.clone(), id.clone()), domain.clone(), customer.limits))
        }
        LimitOwner::Domain(domain) => {
            if action == Action::Write {
                call.require_not_delegated()?;
            }
            let name = ThingName::in_domain(domain, "");
            let found: Domain = thing(tx, call, (Noun::Domains, action), &name).await?;
            Ok((Owner::Domain(domain.clone()), domain.clone(), found.limits))
        }
    }
}

async fn thing<T: Stored>(
    tx: &WriteTx<'_>,
    call: &Call,
    (noun, action): (Noun, Action),
    name: &ThingName,
) -> Result<T, AdminError> {
    call.require_on(Right { noun, action }, name)?;
    let missing = || AdminError::NotFound { kind: T::KIND, name: name.clone() };
    tx.share(name).await?.ok_or_else(missing)
}
