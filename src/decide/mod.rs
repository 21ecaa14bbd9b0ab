//! The decision: which checks there are, and in which order. The first that fails gives the reason.
//!
//! [`decide`] is pure and total: the same arguments give the same answer, and it cannot fail.

use crate::model::{permission::Permission, time::Timestamp, view::KeyView};

#[cfg(test)]
mod tests;

/// What is known of the key that was presented.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// None was given.
    Missing,
    /// What was given cannot be a key.
    Malformed,
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
    pub plane: Plane,
    /// The environment that asks.
    pub environment: &'a str,
    /// How much is asked.
    pub ask: Ask<'a>,
}

/// Admin keys open the admin services and nothing else; other keys everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// `Authorize`.
    Data,
    /// The admin services.
    Admin,
}

/// How much is asked.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// Only whether the key is good here.
    Authentication,
    /// Whether it may do something.
    Access {
        /// As the caller sent it; empty: none.
        route: &'a str,
        /// As the caller sent it; empty: none.
        method: &'a str,
        /// What is needed. `None`: nobody knows, which is denied.
        permission: Option<Permission<'a>>,
    },
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
    /// There is no such key on this plane.
    KeyUnknown,
    /// Deactivated or revoked.
    KeyInactive,
    /// Its time is over.
    KeyExpired,
    /// Its time has not come.
    KeyNotYetValid,
    /// It belongs to another environment.
    EnvironmentMismatch,
    /// No route rule covers the route.
    RouteDenied,
    /// No grant covers the permission.
    PermissionDenied,
}

impl Reason {
    /// What the denial means in HTTP.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::KeyMissing
            | Self::KeyMalformed
            | Self::KeyUnknown
            | Self::KeyInactive
            | Self::KeyExpired
            | Self::KeyNotYetValid
            | Self::EnvironmentMismatch => 401,
            Self::RouteDenied | Self::PermissionDenied => 403,
        }
    }
}

/// Decides one question about one key.
pub fn decide(subject: Subject<'_>, question: &Question<'_>, now: Timestamp) -> Decision {
    match first_failure(subject, question, now) {
        None => Decision::Allow,
        Some(reason) => Decision::Deny(reason),
    }
}

fn first_failure(subject: Subject<'_>, question: &Question<'_>, now: Timestamp) -> Option<Reason> {
    let (key, secret_end) = match subject {
        Subject::Missing => return Some(Reason::KeyMissing),
        Subject::Malformed => return Some(Reason::KeyMalformed),
        Subject::Unknown => return Some(Reason::KeyUnknown),
        Subject::Known { key, secret_end } => (key, secret_end),
    };
    // a secret whose overlap is over is as unknown as one that was replaced without overlap
    if !is_on_plane(key, question.plane) || secret_end <= now {
        return Some(Reason::KeyUnknown);
    }
    if let Some(reason) = not_live(key, now) {
        return Some(reason);
    }
    if key.environment.as_str() != question.environment {
        return Some(Reason::EnvironmentMismatch);
    }
    match question.ask {
        Ask::Authentication => None,
        Ask::Access { route, method, permission } => no_access(key, route, method, permission),
    }
}

fn is_on_plane(key: &KeyView, plane: Plane) -> bool {
    match plane {
        Plane::Data => !key.profile.domain.is_of_admins(),
        Plane::Admin => key.profile.domain.is_of_admins(),
    }
}

fn not_live(key: &KeyView, now: Timestamp) -> Option<Reason> {
    if !key.active {
        Some(Reason::KeyInactive)
    } else if key.expire <= now {
        Some(Reason::KeyExpired)
    } else if now < key.not_before {
        Some(Reason::KeyNotYetValid)
    } else {
        None
    }
}

fn no_access(
    key: &KeyView,
    route: &str,
    method: &str,
    permission: Option<Permission<'_>>,
) -> Option<Reason> {
    if !key.profile.route_rules.allow(method, route) {
        return Some(Reason::RouteDenied);
    }
    let granted = permission.is_some_and(|needed| key.profile.grants.cover(needed));
    if granted { None } else { Some(Reason::PermissionDenied) }
}
