//! What was used of quotas.

use tonic::Status;

use super::{Violations, required};
use crate::{
    admin::{
        Effect,
        quota::{Adjustment, LimitOwner, QuotaUsage},
    },
    model::{customer::CustomerId, id::KeyId, name::LimitName, user::UserId},
    rpc::{
        convert::{effect, limits::quota_to_pb, time_to_pb},
        pb::{self, adjust_quota_request, limit_owner::Thing},
    },
};

const USED_MAX: i64 = 1_000_000_000_000_000;

/// `AdjustQuota`.
#[derive(Debug)]
pub(in crate::rpc) struct QuotaTask {
    pub(in crate::rpc) owner: LimitOwner,
    pub(in crate::rpc) name: LimitName,
    pub(in crate::rpc) adjustment: Adjustment,
    pub(in crate::rpc) effect: Effect,
}

/// `GetQuotaUsage`.
pub(in crate::rpc) fn owner_in(request: &pb::GetQuotaUsageRequest) -> Result<LimitOwner, Status> {
    let mut violations = Violations::default();
    let owner = owner(&mut violations, request.owner.as_ref());
    violations.finish(owner)
}

/// `AdjustQuota`.
pub(in crate::rpc) fn adjustment(request: &pb::AdjustQuotaRequest) -> Result<QuotaTask, Status> {
    use adjust_quota_request::Adjustment as Sent;
    let mut violations = Violations::default();
    let owner = owner(&mut violations, request.owner.as_ref());
    let name = violations.required("quota", &request.quota, LimitName::parse);
    let bounds = -USED_MAX..=USED_MAX;
    let adjustment = match request.adjustment {
        None => {
            violations.add("used", "is required, or add_credits");
            None
        }
        Some(Sent::Used(used)) if used < 0 || !bounds.contains(&used) => {
            violations.add("used", "must be 0 to 1000000000000000");
            None
        }
        Some(Sent::Used(used)) => Some(Adjustment::Used(used)),
        Some(Sent::AddCredits(credits)) if !bounds.contains(&credits) => {
            violations.add("add_credits", "must be -1000000000000000 to 1000000000000000");
            None
        }
        Some(Sent::AddCredits(credits)) => Some(Adjustment::AddCredits(credits)),
    };
    let effect = effect(request.validate_only);
    let task = match (owner, name, adjustment) {
        (Some(owner), Some(name), Some(adjustment)) => {
            Some(QuotaTask { owner, name, adjustment, effect })
        }
        _ => None,
    };
    violations.finish(task)
}

fn owner(violations: &mut Violations, sent: Option<&pb::LimitOwner>) -> Option<LimitOwner> {
    let sent = required(violations, "owner", sent)?;
    match &sent.thing {
        Some(Thing::KeyId(id)) => {
            if !sent.domain.is_empty() {
                violations.add("owner.domain", "must be empty with key_id");
            }
            violations.check("owner.key_id", KeyId::parse(id)).map(LimitOwner::Key)
        }
        Some(Thing::User(id)) => {
            let domain = violations.domain("owner.domain", &sent.domain);
            let id = violations.check("owner.user", UserId::parse(id));
            domain.zip(id).map(|(domain, id)| LimitOwner::User(domain, id))
        }
        Some(Thing::Customer(id)) => {
            let domain = violations.domain("owner.domain", &sent.domain);
            let id = violations.check("owner.customer", CustomerId::parse(id));
            domain.zip(id).map(|(domain, id)| LimitOwner::Customer(domain, id))
        }
        None => violations.domain("owner.domain", &sent.domain).map(LimitOwner::Domain),
    }
}

/// What was used of a quota, outward.
pub(in crate::rpc) fn quota_out(usage: &QuotaUsage) -> pb::QuotaUsage {
    let QuotaUsage { name, quota, stored } = usage;
    let left = quota.with_credits(stored.credits).saturating_sub(stored.used);
    pb::QuotaUsage {
        name: name.to_string(),
        quota: Some(quota_to_pb(quota)),
        used: stored.used.max(0),
        credits: stored.credits,
        remaining: left.max(0),
        start_time: Some(time_to_pb(stored.start)),
        reset_time: Some(time_to_pb(quota.window(stored.start).end)),
    }
}
