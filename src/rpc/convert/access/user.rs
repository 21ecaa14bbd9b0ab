//! Users.

use tonic::Status;

use super::{Violations, not_yet, permission_names, required};
use crate::{
    admin::{
        Effect,
        things::{ThingTarget, UserPatch},
    },
    model::{
        catalogue::Catalogue,
        group::{GroupNames, Groups},
        permission::Grants,
        record::ThingName,
        user::{User, UserId, UserKind},
    },
    rpc::{
        convert::{deleted_group_names, effect, group_names, limits::limits_to_pb, time_to_pb},
        pb,
    },
};

/// Reads the kind of a user, which must be there.
pub(in crate::rpc) fn user_kind(
    violations: &mut Violations,
    field: &str,
    kind: i32,
) -> Option<UserKind> {
    match pb::UserKind::try_from(kind) {
        Ok(pb::UserKind::Person) => Some(UserKind::Person),
        Ok(pb::UserKind::Service) => Some(UserKind::Service),
        Ok(pb::UserKind::Unspecified) | Err(_) => {
            violations.add(field, "is required: PERSON or SERVICE");
            None
        }
    }
}

/// The kind of a user, outward.
pub(in crate::rpc) const fn user_kind_to_pb(kind: UserKind) -> pb::UserKind {
    match kind {
        UserKind::Person => pb::UserKind::Person,
        UserKind::Service => pb::UserKind::Service,
    }
}

/// `CreateUser`. The names of the user's groups are in the patch.
pub(in crate::rpc) fn user_in(
    request: &pb::CreateUserRequest,
) -> Result<(User, UserPatch, Effect), Status> {
    let mut violations = Violations::default();
    let parts = required(&mut violations, "user", request.user.as_ref()).and_then(|sent| {
        let domain = violations.domain("user.domain", &sent.domain);
        let id = violations.required("user.id", &sent.id, UserId::parse);
        let kind = user_kind(&mut violations, "user.kind", sent.kind);
        let display_name = violations.display_name("user", &sent.display_name);
        let description = violations.description("user", &sent.description);
        let grants = violations.check_list("user.permissions", Grants::parse(&sent.permissions));
        let groups = violations.check_list("user.groups", GroupNames::parse(&sent.groups));
        let limits = violations.limits("user.limits", &sent.limits);
        let user = User {
            uid: 0,
            domain: domain?,
            id: id?,
            kind: kind?,
            display_name: display_name?,
            description: description?,
            grants: grants?,
            groups: Groups::default(),
            limits: limits?,
            disabled: false,
            record: not_yet(),
        };
        let patch = UserPatch { groups: Some(groups?), ..UserPatch::default() };
        Some((user, patch, effect(request.validate_only)))
    });
    violations.finish(parts)
}

/// A user, outward.
pub(in crate::rpc) fn user_out(user: &User, catalogue: Option<&Catalogue>) -> pb::User {
    pb::User {
        domain: user.domain.to_string(),
        id: user.id.to_string(),
        kind: user_kind_to_pb(user.kind).into(),
        display_name: user.display_name.as_str().to_owned(),
        description: user.description.as_str().to_owned(),
        permissions: user.grants.iter().map(str::to_owned).collect(),
        groups: group_names(&user.groups),
        deleted_groups: deleted_group_names(&user.groups),
        disabled: user.disabled,
        create_time: Some(time_to_pb(user.record.create_time)),
        update_time: Some(time_to_pb(user.record.update_time)),
        etag: user.record.etag(),
        permission_names: permission_names(&user.grants, catalogue),
        limits: limits_to_pb(&user.limits),
    }
}

/// `UpdateUser`.
pub(in crate::rpc) fn user_patch(
    request: &pb::UpdateUserRequest,
) -> Result<(ThingTarget, UserPatch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::User::default();
    let sent = request.user.as_ref().unwrap_or(&absent);
    let domain = violations.domain("user.domain", &sent.domain);
    let id = violations.required("user.id", &sent.id, UserId::parse);
    let etag = violations.etag("user.etag", &sent.etag);
    let mut patch = UserPatch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        match path.as_str() {
            "display_name" => {
                patch.display_name = violations.display_name("user", &sent.display_name);
            }
            "description" => {
                patch.description = violations.description("user", &sent.description);
            }
            "permissions" => {
                patch.grants =
                    violations.check_list("user.permissions", Grants::parse(&sent.permissions));
            }
            "groups" => {
                patch.groups =
                    violations.check_list("user.groups", GroupNames::parse(&sent.groups));
            }
            "limits" => patch.limits = violations.limits("user.limits", &sent.limits),
            _ => violations
                .unknown_path(path, "display_name, description, permissions, groups, limits"),
        }
    }
    let target = domain
        .zip(id)
        .map(|(domain, id)| ThingTarget { name: ThingName::in_domain(&domain, id.as_str()), etag });
    violations.finish(target.map(|target| (target, patch, effect(request.validate_only))))
}
