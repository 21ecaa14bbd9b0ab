//! Who calls: an admin key, or the holder of any key; judged by the same decision as every key.

use std::{net::IpAddr, sync::Arc};

use tonic::{Request, Status};

use crate::{
    admin::{
        AdminError, Call,
        denial::Denial,
        logins::{FailedLogin, FailedLogins},
    },
    authorize::{Explain, Hot, Outcome, Record, Terms, authorize},
    clock,
    decide::{Ask, Decision, Plane, Question, Reason},
    limiter::{Charge, failures::Source},
    model::{
        caller::Caller,
        secret::{Digest, PresentedKey},
        text::RequestId,
        time::Timestamp,
    },
    rpc::{peer, status},
};

/// The holder of a key.
#[derive(Debug)]
pub(super) struct Holder {
    /// The call.
    pub(super) call: Call,
    /// The key, and what the replica knew.
    pub(super) outcome: Outcome,
}

/// What judges callers, and where it is noted that one was not let in.
pub(super) type Gate<'a> = (&'a Hot, &'a FailedLogins);

/// The caller of an admin service.
pub(super) fn authenticate<T>(gate: Gate<'_>, request: &Request<T>) -> Result<Call, Status> {
    judge(gate, request, (Plane::Admin, "login.admin")).map(|holder| holder.call)
}

/// The caller of a service for holders of keys.
pub(super) fn authenticate_holder<T>(
    gate: Gate<'_>,
    request: &Request<T>,
) -> Result<Holder, Status> {
    judge(gate, request, (Plane::Holder, "login.holder"))
}

fn judge<T>(
    (hot, logins): Gate<'_>,
    request: &Request<T>,
    (plane, action): (Plane<'_>, &'static str),
) -> Result<Holder, Status> {
    let now = clock::now();
    let peer = peer::address(request);
    let named = request_id(request);
    let question = Question { plane, client: peer, ask: Ask::Authentication };
    let terms = Terms {
        now,
        revision_min: 0,
        record: Record::Use,
        explain: Explain::No,
        source: peer.map(Source::Peer),
        charge: Charge::ONE,
    };
    let token = bearer(request);
    let outcome = authorize(hot, token, &question, terms).map_err(status::not_ready)?;
    let failed = |reason: Reason| {
        let key = outcome.key.as_ref().map(|key| key.id);
        let (reason, request) = (reason.name(), named.as_ref());
        logins.note(&FailedLogin { peer, action, reason, key, request, time: now.wall });
    };
    match (outcome.decision, PresentedKey::parse(token, &hot.brand)) {
        (Decision::Allow, Ok(presented)) => {
            let digests = hot.peppers.digests(&presented);
            let call = call(&outcome, digests, (peer, now.wall), named);
            let call = call.ok_or_else(|| status::unauthenticated(Reason::KeyUnknown))?;
            Ok(Holder { call, outcome })
        }
        (Decision::Allow, Err(_malformed)) => Err(status::unauthenticated(Reason::KeyMalformed)),
        (Decision::Deny(Reason::AddressDenied), _) => {
            failed(Reason::AddressDenied);
            Err(status::admin(AdminError::Denied(Denial::Address)))
        }
        (Decision::Deny(reason), _) if reason.http_status() == 429 => {
            if reason == Reason::FailuresThrottled {
                failed(reason); // the limits of a key that was found good are no failure
            }
            Err(status::too_often(reason, outcome.retry_after))
        }
        (Decision::Deny(reason), _) => {
            failed(reason);
            Err(status::unauthenticated(reason))
        }
    }
}

fn call(
    outcome: &Outcome,
    digests: Vec<Digest>,
    (peer, now): (Option<IpAddr>, Timestamp),
    request: Option<RequestId>,
) -> Option<Call> {
    let key = outcome.key.as_ref()?;
    let profile = Arc::clone(&key.profile);
    let caller = Caller { key: key.id, digests, expire: key.expire, profile };
    Some(Call { caller, peer, now, request })
}

/// What the caller calls the request in metadata `x-request-id`; what has not the form of an id is ignored.
fn request_id<T>(request: &Request<T>) -> Option<RequestId> {
    let value = request.metadata().get("x-request-id")?.to_str().ok()?;
    RequestId::parse(value).ok()
}

/// The token after the scheme `Bearer` (RFC 6750), whatever its case; empty if there is none.
fn bearer<T>(request: &Request<T>) -> &str {
    let value = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}
