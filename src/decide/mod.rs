//! The decision: which checks there are, and in which order. The first that fails gives the reason.
//!
//! [`decide`] is pure and total: the same arguments give the same answer, and it cannot fail.
//! [`explain`] says what each of the same checks comes to.

pub mod explain;

use std::net::IpAddr;

use crate::model::{
    name::EnvironmentName, permission::Permission, route::Path, time::Timestamp, view::KeyView,
};

/// What is known of the key that was presented.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// None was given.
    Missing,
    /// What was given cannot be a key.
    Malformed,
    /// More than one was given.
    Several,
    /// Too many tries from there have failed, so that this one is not looked at.
    Throttled,
    /// No key has this secret.
    Unknown,
    /// A key has it.
    Known {
        /// The key.
        key: &'a KeyView,
        /// From when on this secret of it is denied.
        secret_end: Timestamp,
    },
}

/// What the key wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Which listener asks.
    pub plane: Plane<'a>,
    /// Where the client is, if that is known.
    pub client: Option<IpAddr>,
    /// How much is asked.
    pub ask: Ask<'a>,
}

/// Admin keys open the admin services and nothing else; other keys everything else. Every key lets
/// its own holder ask about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane<'a> {
    /// `Authorize`, for an environment.
    Data(&'a str),
    /// The admin services.
    Admin,
    /// The holder of the key, wherever that works.
    Holder,
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// Only whether the key is good here.
    Authentication,
    /// Whether it may do something.
    Access(Access<'a>),
}

/// What the key wants to do, as the caller sent it.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Empty: none.
    pub customer: &'a str,
    /// Empty: none.
    pub route: &'a str,
    /// Empty: none.
    pub method: &'a str,
    /// What is needed. `None`: the route map says.
    pub permission: Option<Permission<'a>>,
}

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not, for this reason.
    Deny(Reason),
}

/// The one reason of a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No key was given.
    KeyMissing,
    /// What was given cannot be a key.
    KeyMalformed,
    /// More than one key was given.
    KeyAmbiguous,
    /// Too many tries from there have failed.
    FailuresThrottled,
    /// There is no such key on this plane.
    KeyUnknown,
    /// Deactivated or revoked.
    KeyInactive,
    /// Its time is over.
    KeyExpired,
    /// Its time has not come.
    KeyNotYetValid,
    /// Whom it acts for is disabled.
    UserDisabled,
    /// Its domain is disabled.
    DomainDisabled,
    /// It belongs to another environment.
    EnvironmentMismatch,
    /// It may not be used from there.
    AddressDenied,
    /// It may not act for that customer.
    CustomerDenied,
    /// No route rule covers the route.
    RouteDenied,
    /// No grant covers the permission.
    PermissionDenied,
    /// A rate limit does not let it pass now.
    RateLimited,
    /// A quota is used up.
    QuotaExhausted,
    /// Too many reservations are open.
    ConcurrencyExceeded,
}

impl Reason {
    /// All there are, in the order of their places.
    pub const ALL: [Self; 18] = [
        Self::KeyMissing,
        Self::KeyMalformed,
        Self::KeyAmbiguous,
        Self::FailuresThrottled,
        Self::KeyUnknown,
        Self::KeyInactive,
        Self::KeyExpired,
        Self::KeyNotYetValid,
        Self::UserDisabled,
        Self::DomainDisabled,
        Self::EnvironmentMismatch,
        Self::AddressDenied,
        Self::CustomerDenied,
        Self::RouteDenied,
        Self::PermissionDenied,
        Self::RateLimited,
        Self::QuotaExhausted,
        Self::ConcurrencyExceeded,
    ];

    /// Where it is in [`Reason::ALL`].
    #[expect(clippy::as_conversions, reason = "an enum without contents is its place")]
    pub const fn place(self) -> usize {
        self as usize
    }

    /// What programs match on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyMissing => "KEY_MISSING",
            Self::KeyMalformed => "KEY_MALFORMED",
            Self::KeyAmbiguous => "KEY_AMBIGUOUS",
            Self::KeyUnknown => "KEY_UNKNOWN",
            Self::KeyInactive => "KEY_INACTIVE",
            Self::KeyExpired => "KEY_EXPIRED",
            Self::KeyNotYetValid => "KEY_NOT_YET_VALID",
            Self::UserDisabled => "USER_DISABLED",
            Self::DomainDisabled => "DOMAIN_DISABLED",
            Self::EnvironmentMismatch => "ENVIRONMENT_MISMATCH",
            Self::AddressDenied => "ADDRESS_DENIED",
            Self::CustomerDenied => "CUSTOMER_DENIED",
            Self::RouteDenied => "ROUTE_DENIED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::FailuresThrottled => "FAILURES_THROTTLED",
            Self::RateLimited => "RATE_LIMITED",
            Self::QuotaExhausted => "QUOTA_EXHAUSTED",
            Self::ConcurrencyExceeded => "CONCURRENCY_EXCEEDED",
        }
    }

    /// What the denial means in HTTP.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::KeyMissing
            | Self::KeyMalformed
            | Self::KeyAmbiguous
            | Self::KeyUnknown
            | Self::KeyInactive
            | Self::KeyExpired
            | Self::KeyNotYetValid
            | Self::UserDisabled
            | Self::DomainDisabled
            | Self::EnvironmentMismatch => 401,
            Self::AddressDenied
            | Self::CustomerDenied
            | Self::RouteDenied
            | Self::PermissionDenied => 403,
            Self::FailuresThrottled
            | Self::RateLimited
            | Self::QuotaExhausted
            | Self::ConcurrencyExceeded => 429,
        }
    }
}

/// The checks of a decision about a key that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// There is such a key on this plane.
    Key,
    /// It is active, and now is within its times.
    KeyLive,
    /// Its user is enabled.
    User,
    /// Its domain is enabled.
    Domain,
    /// It is of the environment that asks.
    Environment,
    /// Its address lists allow the client.
    Address,
    /// It may act for the customer.
    Customer,
    /// Its route rules cover the route.
    Route,
    /// It has the permission.
    Permission,
    /// All limits let it pass. Not one of [`CHECKS`]: it is made when all of these hold, where limits are
    /// kept.
    Limits,
}

/// All checks of [`decide`], in their order.
pub const CHECKS: [Check; 9] = [
    Check::Key,
    Check::KeyLive,
    Check::User,
    Check::Domain,
    Check::Environment,
    Check::Address,
    Check::Customer,
    Check::Route,
    Check::Permission,
];

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It holds.
    Passed,
    /// It does not.
    Failed(Reason),
    /// There is nothing to check, or it is not asked for.
    Skipped,
}

impl Finding {
    const fn passed_if(holds: bool, otherwise: Reason) -> Self {
        if holds { Self::Passed } else { Self::Failed(otherwise) }
    }
}

/// Decides one question about one key.
pub fn decide(subject: Subject<'_>, question: &Question<'_>, now: Timestamp) -> Decision {
    let (key, secret_end) = match subject {
        Subject::Missing => return Decision::Deny(Reason::KeyMissing),
        Subject::Malformed => return Decision::Deny(Reason::KeyMalformed),
        Subject::Several => return Decision::Deny(Reason::KeyAmbiguous),
        Subject::Throttled => return Decision::Deny(Reason::FailuresThrottled),
        Subject::Unknown => return Decision::Deny(Reason::KeyUnknown),
        Subject::Known { key, secret_end } => (key, secret_end),
    };
    for check in CHECKS {
        match check.find(key, secret_end, question, now) {
            Finding::Failed(reason) => return Decision::Deny(reason),
            Finding::Passed | Finding::Skipped => {}
        }
    }
    Decision::Allow
}

impl Check {
    fn find(
        self,
        key: &KeyView,
        secret_end: Timestamp,
        question: &Question<'_>,
        now: Timestamp,
    ) -> Finding {
        let profile = &*key.profile;
        match self {
            // a secret whose overlap is over is as unknown as one that was replaced without overlap
            Self::Key => Finding::passed_if(
                is_on_plane(key, question.plane) && secret_end > now,
                Reason::KeyUnknown,
            ),
            Self::KeyLive => live(key, now),
            Self::User => match &profile.user {
                None => Finding::Skipped,
                Some(user) => Finding::passed_if(user.is_enabled(), Reason::UserDisabled),
            },
            Self::Domain => Finding::passed_if(profile.domain.is_enabled(), Reason::DomainDisabled),
            Self::Environment => environment(key, question.plane),
            Self::Address if profile.addresses.is_empty() => Finding::Skipped,
            Self::Address => {
                Finding::passed_if(profile.addresses.allow(question.client), Reason::AddressDenied)
            }
            Self::Customer => of_access(question, |access| customer(key, access)),
            Self::Route => of_access(question, |access| route(key, access)),
            Self::Permission => of_access(question, |access| {
                Finding::passed_if(is_permitted(key, access), Reason::PermissionDenied)
            }),
            Self::Limits => Finding::Skipped,
        }
    }
}

fn of_access(question: &Question<'_>, find: impl FnOnce(&Access<'_>) -> Finding) -> Finding {
    match &question.ask {
        Ask::Authentication => Finding::Skipped,
        Ask::Access(access) => find(access),
    }
}

fn is_on_plane(key: &KeyView, plane: Plane<'_>) -> bool {
    match plane {
        Plane::Data(_) => !key.profile.domain.name.is_of_admins(),
        Plane::Admin => key.profile.domain.name.is_of_admins(),
        Plane::Holder => true,
    }
}

fn live(key: &KeyView, now: Timestamp) -> Finding {
    if !key.active {
        Finding::Failed(Reason::KeyInactive)
    } else if key.expire <= now {
        Finding::Failed(Reason::KeyExpired)
    } else if now < key.not_before {
        Finding::Failed(Reason::KeyNotYetValid)
    } else {
        Finding::Passed
    }
}

fn environment(key: &KeyView, plane: Plane<'_>) -> Finding {
    let asking = match plane {
        Plane::Data(name) => name,
        Plane::Admin => EnvironmentName::OF_ADMINS,
        Plane::Holder => return Finding::Skipped,
    };
    Finding::passed_if(key.profile.environment.as_str() == asking, Reason::EnvironmentMismatch)
}

fn customer(key: &KeyView, access: &Access<'_>) -> Finding {
    let customers = &key.profile.customers;
    if customers.is_empty() {
        return Finding::Skipped;
    }
    Finding::passed_if(customers.allow(access.customer), Reason::CustomerDenied)
}

/// A path of two readings is denied wherever a rule or the route map has to read it.
fn route(key: &KeyView, access: &Access<'_>) -> Finding {
    let rules = &key.profile.route_rules;
    let mapped = access.permission.is_none();
    if rules.is_empty() && !mapped {
        return Finding::Skipped;
    }
    let readable = !mapped || Path::parse(access.route).is_ok();
    Finding::passed_if(readable && rules.allow(access.method, access.route), Reason::RouteDenied)
}

fn is_permitted(key: &KeyView, access: &Access<'_>) -> bool {
    let profile = &*key.profile;
    if let Some(needed) = access.permission {
        return profile.permits(needed);
    }
    let needed =
        |path| profile.domain.route_needs(access.method, path, |needed| profile.permits(needed));
    Path::parse(access.route).is_ok_and(needed)
}

#[cfg(test)]
mod tests;
