//! Who calls: an admin key, judged by the same decision as every key.

use std::sync::Arc;

use tonic::{Request, Status};

use crate::{
    admin::Call,
    authorize::{Hot, Record, Terms, authorize},
    clock,
    decide::{Ask, Decision, Plane, Question, Reason},
    model::{caller::Caller, environment::EnvironmentName, secret::PresentedKey},
    rpc::status,
};

/// The caller of an admin service.
pub(super) fn authenticate<T>(hot: &Hot, request: &Request<T>) -> Result<Call, Status> {
    let now = clock::now();
    let question = Question {
        plane: Plane::Admin,
        environment: EnvironmentName::OF_ADMINS,
        ask: Ask::Authentication,
    };
    let terms = Terms { now, revision_min: 0, record: Record::Use };
    let token = bearer(request);
    let outcome = authorize(hot, token, &question, terms).map_err(status::not_ready)?;
    match (outcome.decision, outcome.key, PresentedKey::parse(token, &hot.brand)) {
        (Decision::Allow, Some(key), Ok(presented)) => Ok(Call {
            caller: Caller {
                key: key.id,
                digest: presented.digest(&hot.pepper),
                expire: key.expire,
                profile: Arc::clone(&key.profile),
            },
            peer: request.remote_addr().map(|address| address.ip()),
            now: now.wall,
        }),
        (Decision::Allow, _, _) => Err(status::unauthenticated(Reason::KeyUnknown)),
        (Decision::Deny(reason), _, _) => Err(status::unauthenticated(reason)),
    }
}

/// The token after the scheme `Bearer` (RFC 6750), whatever its case; empty if there is none.
fn bearer<T>(request: &Request<T>) -> &str {
    let value = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
    match value.and_then(|value| value.split_once(' ')) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}
