//! `Authorize`: requests in, decisions out.

use std::{net::IpAddr, time::Duration};

use tonic::Status;

use super::{Violations, duration_from_pb};
use crate::{
    authorize::{Explain, Record},
    decide::{Access, Ask, Plane, Question, Reason},
    model::{
        name::EnvironmentName, permission::Permission, reservation::ReservationId,
        secret::Presented,
    },
    rpc::{pb, wire::read::Asked},
};

const COST_MAX: u32 = 1_000_000_000;
const INVALID_COST: &str = "must be 0 to 1000000000";
/// How long a reservation lasts that does not say.
const RESERVATION_TIME: Duration = Duration::from_secs(60);
const RESERVATION_TIME_MIN: Duration = Duration::from_millis(1);
const RESERVATION_TIME_MAX: Duration = Duration::from_secs(60 * 60);

/// A parsed request, borrowed from its message. It has no `Debug`: it holds a key.
pub(in crate::rpc) struct AuthorizeParts<'a> {
    pub(in crate::rpc) presented: Presented<'a>,
    pub(in crate::rpc) question: Question<'a>,
    pub(in crate::rpc) revision_min: i64,
    pub(in crate::rpc) record: Record,
    pub(in crate::rpc) explain: Explain,
    pub(in crate::rpc) cost: u32,
    /// How long what is reserved lasts, if something is to be.
    pub(in crate::rpc) reserve: Option<Duration>,
}

impl<'a> AuthorizeParts<'a> {
    /// Reads a request. `place` is where it stands in a larger one, as in `requests[3]`.
    pub(in crate::rpc) fn parse(request: &Asked<'a>, place: Option<usize>) -> Result<Self, Status> {
        parse(request).ok_or_else(|| {
            let prefix = place.map(|place| format!("requests[{place}]."));
            complain(request, &prefix.unwrap_or_default())
        })
    }

    /// Reads a request that stands in a larger one, at this prefix.
    pub(in crate::rpc) fn parse_in(request: &Asked<'a>, prefix: &str) -> Result<Self, Status> {
        parse(request).ok_or_else(|| complain(request, prefix))
    }
}

/// The quick way, for requests that are right.
fn parse<'a>(request: &Asked<'a>) -> Option<AuthorizeParts<'a>> {
    let mode = pb::Mode::try_from(request.mode).ok()?;
    // a name that no environment can have would be denied anyway; only absence must be caught
    if request.environment.is_empty() || request.min_revision < 0 {
        return None;
    }
    let client = match request.client_address {
        "" => None,
        address => Some(address.parse().ok()?),
    };
    let ask = match mode {
        pb::Mode::AuthenticateOnly if asks_nothing(request) => Ask::Authentication,
        pb::Mode::AuthenticateOnly => return None,
        pb::Mode::Unspecified | pb::Mode::Charge | pb::Mode::CheckOnly | pb::Mode::Reserve => {
            let permission = match request.permission {
                "" if request.route.is_empty() => return None,
                "" => None,
                text => Some(Permission::parse(text).ok()?),
            };
            Ask::Access(Access {
                customer: request.customer,
                route: request.route,
                method: request.method,
                permission,
            })
        }
    };
    let record = match mode {
        pb::Mode::CheckOnly => Record::Nothing,
        pb::Mode::Unspecified
        | pb::Mode::Charge
        | pb::Mode::AuthenticateOnly
        | pb::Mode::Reserve => Record::Use,
    };
    let cost = match request.cost {
        None => 1,
        Some(cost) => cost_in(cost)?,
    };
    let reserve = match (mode, request.reservation_ttl) {
        (pb::Mode::Reserve, ttl) => Some(ttl_in(ttl)?),
        (_, None) => None,
        (_, Some(_)) => return None,
    };
    Some(AuthorizeParts {
        presented: request.key.into(),
        question: Question { plane: Plane::Data(request.environment), client, ask },
        revision_min: request.min_revision,
        record,
        explain: if request.explain { Explain::Yes } else { Explain::No },
        cost,
        reserve,
    })
}

/// What a request costs.
fn cost_in(cost: i64) -> Option<u32> {
    u32::try_from(cost).ok().filter(|cost| *cost <= COST_MAX)
}

/// How long a reservation lasts.
fn ttl_in(ttl: Option<prost_types::Duration>) -> Option<Duration> {
    let Some(ttl) = ttl else { return Some(RESERVATION_TIME) };
    duration_from_pb(ttl).filter(|ttl| (RESERVATION_TIME_MIN..=RESERVATION_TIME_MAX).contains(ttl))
}

/// `Settle`.
pub(in crate::rpc) fn settlement(
    request: &pb::SettleRequest,
) -> Result<(ReservationId, u32), Status> {
    let mut violations = Violations::default();
    let id = violations.required("reservation", &request.reservation, ReservationId::parse);
    let cost = violations.check("actual_cost", cost_in(request.actual_cost).ok_or(INVALID_COST));
    violations.finish(id.zip(cost))
}

const fn asks_nothing(request: &Asked<'_>) -> bool {
    request.route.is_empty()
        && request.method.is_empty()
        && request.permission.is_empty()
        && request.customer.is_empty()
}

/// The slow way: what is wrong, all of it.
fn complain(request: &Asked<'_>, prefix: &str) -> Status {
    let mut violations = Violations::default();
    let field = |name: &str| format!("{prefix}{name}");
    violations.required(&field("environment"), request.environment, EnvironmentName::parse);
    violations.optional(&field("permission"), request.permission, |text| {
        Permission::parse(text).map(|_permission| ())
    });
    violations.optional(&field("client_address"), request.client_address, |text| {
        text.parse::<IpAddr>().or(Err("must be an IPv4 or IPv6 address, without a port"))
    });
    if request.cost.is_some_and(|cost| cost_in(cost).is_none()) {
        violations.add(field("cost"), INVALID_COST);
    }
    let reserves = pb::Mode::try_from(request.mode) == Ok(pb::Mode::Reserve);
    if request.reservation_ttl.is_some() && !reserves {
        violations.add(field("reservation_ttl"), "is for mode RESERVE");
    } else if ttl_in(request.reservation_ttl).is_none() {
        violations.add(field("reservation_ttl"), "must be 1 millisecond to 1 hour");
    }
    if request.min_revision < 0 {
        violations.add(field("min_revision"), "must not be negative");
    }
    match pb::Mode::try_from(request.mode) {
        Err(_unknown) => violations.add(field("mode"), "is not a mode that this server knows"),
        Ok(pb::Mode::AuthenticateOnly) => {
            let unchecked = [
                ("route", request.route),
                ("method", request.method),
                ("permission", request.permission),
                ("customer", request.customer),
            ];
            for (name, _) in unchecked.iter().filter(|(_, value)| !value.is_empty()) {
                violations.add(field(name), "must be empty with mode AUTHENTICATE_ONLY");
            }
        }
        Ok(_) if request.permission.is_empty() && request.route.is_empty() => violations.add(
            field("permission"),
            "is required without a route; mode AUTHENTICATE_ONLY asks for no permission",
        ),
        Ok(_) => {}
    }
    violations.into_status()
}

/// A reason on the wire.
pub(in crate::rpc) const fn reason_to_pb(reason: Reason) -> pb::Reason {
    match reason {
        Reason::KeyMissing => pb::Reason::KeyMissing,
        Reason::KeyMalformed => pb::Reason::KeyMalformed,
        Reason::KeyAmbiguous => pb::Reason::KeyAmbiguous,
        Reason::KeyUnknown => pb::Reason::KeyUnknown,
        Reason::KeyInactive => pb::Reason::KeyInactive,
        Reason::KeyExpired => pb::Reason::KeyExpired,
        Reason::KeyNotYetValid => pb::Reason::KeyNotYetValid,
        Reason::UserDisabled => pb::Reason::UserDisabled,
        Reason::DomainDisabled => pb::Reason::DomainDisabled,
        Reason::EnvironmentMismatch => pb::Reason::EnvironmentMismatch,
        Reason::AddressDenied => pb::Reason::AddressDenied,
        Reason::CustomerDenied => pb::Reason::CustomerDenied,
        Reason::RouteDenied => pb::Reason::RouteDenied,
        Reason::PermissionDenied => pb::Reason::PermissionDenied,
        Reason::FailuresThrottled => pb::Reason::FailuresThrottled,
        Reason::RateLimited => pb::Reason::RateLimited,
        Reason::QuotaExhausted => pb::Reason::QuotaExhausted,
        Reason::ConcurrencyExceeded => pb::Reason::ConcurrencyExceeded,
    }
}
