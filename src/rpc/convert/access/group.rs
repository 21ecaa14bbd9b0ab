//! Permission groups.

use tonic::Status;

use super::{Violations, not_yet, permission_names, required};
use crate::{
    admin::{
        Effect,
        things::{GroupPatch, ThingTarget},
    },
    model::{
        catalogue::Catalogue, group::PermissionGroup, name::GroupName, permission::Grants,
        record::ThingName,
    },
    rpc::{
        convert::{effect, time_to_pb},
        pb,
    },
};

/// `CreatePermissionGroup`.
pub(in crate::rpc) fn group_in(
    request: &pb::CreatePermissionGroupRequest,
) -> Result<(PermissionGroup, Effect), Status> {
    let mut violations = Violations::default();
    let group = required(&mut violations, "group", request.group.as_ref()).and_then(|sent| {
        let domain = violations.domain("group.domain", &sent.domain);
        let name = violations.required("group.name", &sent.name, GroupName::parse);
        let display_name = violations.display_name("group", &sent.display_name);
        let description = violations.description("group", &sent.description);
        let grants = violations.check_list("group.permissions", Grants::parse(&sent.permissions));
        Some(PermissionGroup {
            uid: 0,
            domain: domain?,
            name: name?,
            display_name: display_name?,
            description: description?,
            grants: grants?,
            record: not_yet(),
        })
    });
    violations.finish(group.map(|group| (group, effect(request.validate_only))))
}

/// A group, outward.
pub(in crate::rpc) fn group_out(
    group: &PermissionGroup,
    catalogue: Option<&Catalogue>,
) -> pb::PermissionGroup {
    pb::PermissionGroup {
        domain: group.domain.to_string(),
        name: group.name.to_string(),
        display_name: group.display_name.as_str().to_owned(),
        description: group.description.as_str().to_owned(),
        permissions: group.grants.iter().map(str::to_owned).collect(),
        create_time: Some(time_to_pb(group.record.create_time)),
        update_time: Some(time_to_pb(group.record.update_time)),
        etag: group.record.etag(),
        permission_names: permission_names(&group.grants, catalogue),
    }
}

/// `UpdatePermissionGroup`.
pub(in crate::rpc) fn group_patch(
    request: &pb::UpdatePermissionGroupRequest,
) -> Result<(ThingTarget, GroupPatch, Effect), Status> {
    let mut violations = Violations::default();
    let absent = pb::PermissionGroup::default();
    let sent = request.group.as_ref().unwrap_or(&absent);
    let domain = violations.domain("group.domain", &sent.domain);
    let name = violations.required("group.name", &sent.name, GroupName::parse);
    let etag = violations.etag("group.etag", &sent.etag);
    let mut patch = GroupPatch::default();
    for path in violations.paths(request.update_mask.as_ref()) {
        match path.as_str() {
            "display_name" => {
                patch.display_name = violations.display_name("group", &sent.display_name);
            }
            "description" => {
                patch.description = violations.description("group", &sent.description);
            }
            "permissions" => {
                patch.grants =
                    violations.check_list("group.permissions", Grants::parse(&sent.permissions));
            }
            _ => violations.unknown_path(path, "display_name, description, permissions"),
        }
    }
    let target = domain.zip(name).map(|(domain, name)| ThingTarget {
        name: ThingName::in_domain(&domain, name.as_str()),
        etag,
    });
    violations.finish(target.map(|target| (target, patch, effect(request.validate_only))))
}
