//! `ImportKeys`: options and items in.

use tonic::Status;

use super::{Violations, request::tagged};
use crate::{
    admin::jobs::ImportKeys,
    model::{
        group::GroupNames,
        id::KeyId,
        job::{ItemError, OnConflict},
        key::Validity,
        limit::Limits,
        name::EnvironmentName,
        pepper::Peppers,
        permission::Grants,
        secret::{Brand, Hint, PresentedKey},
        text::{DisplayName, Prose, RequestId},
        time::Timestamp,
        user::UserId,
    },
    rpc::pb,
    store::jobs::{ImportItem, JobRequest},
};

/// Longer subjects of errors are cut.
const SUBJECT_CHARS_MAX: usize = 100;

/// What items are read with.
#[derive(Debug)]
pub(in crate::rpc) struct ItemReader<'a> {
    /// What items get that say nothing of it.
    pub(in crate::rpc) defaults: &'a pb::ImportKeysOptions,
    /// What digests are keyed with.
    pub(in crate::rpc) peppers: &'a Peppers,
    /// What our own tokens begin with.
    pub(in crate::rpc) brand: &'a Brand,
    /// When keys must not have expired yet.
    pub(in crate::rpc) now: Timestamp,
}

/// The options of an import. Those that are for items are looked at too.
pub(in crate::rpc) fn import_options(
    options: &pb::ImportKeysOptions,
    now: Timestamp,
) -> Result<ImportKeys, Status> {
    let mut violations = Violations::default();
    let content = pb::ImportKeysOptions { request_id: String::new(), ..options.clone() };
    let id = violations.optional("options.request_id", &options.request_id, RequestId::parse);
    let id = id.as_ref().map_or("", RequestId::as_str);
    let request = JobRequest::new(id, &tagged("import", &content));
    let domain = violations.domain("options.domain", &options.domain);
    let environment = &options.environment;
    let environment =
        violations.required("options.environment", environment, EnvironmentName::parse);
    let on_conflict = match pb::ImportConflict::try_from(options.on_conflict) {
        Ok(pb::ImportConflict::Unspecified | pb::ImportConflict::Skip) => Some(OnConflict::Skip),
        Ok(pb::ImportConflict::Fail) => Some(OnConflict::Fail),
        Err(_unknown) => {
            violations.add("options.on_conflict", "is not one that this server knows");
            None
        }
    };
    // read again with each item
    drop((
        violations.check_list("options.permissions", Grants::parse(&options.permissions)),
        violations.check_list("options.groups", GroupNames::parse(&options.groups)),
        violations.optional("options.user", &options.user, UserId::parse),
        violations.labels("options.labels", &options.labels),
        violations.limits("options.limits", &options.limits),
    ));
    if let Some(expire) = violations.time("options.expire_time", options.expire_time)
        && expire <= now
    {
        violations.add("options.expire_time", "must lie in the future");
    }
    let import = match (domain, environment, on_conflict) {
        (Some(domain), Some(environment), Some(on_conflict)) => {
            Some(ImportKeys { domain, environment, on_conflict, request })
        }
        _ => None,
    };
    violations.finish(import)
}

impl ItemReader<'_> {
    /// Reads an item, or says what is wrong with it. `id` is what its key will be called.
    pub(in crate::rpc) fn read(
        &self,
        item: &pb::ImportKeyItem,
        position: i64,
        id: KeyId,
    ) -> Result<ImportItem, ItemError> {
        let mut violations = Violations::default();
        let read = self.parts(&mut violations, item, (position, id));
        match read {
            Some(item) if violations.0.is_empty() => Ok(item),
            _ => {
                let texts = violations.0.iter();
                let texts = texts.map(|one| format!("{} {}", one.field, one.description));
                let message = texts.collect::<Vec<_>>().join("; ").into();
                let subject: String = item
                    .display_name
                    .chars()
                    .filter(|char| !char.is_control())
                    .take(SUBJECT_CHARS_MAX)
                    .collect();
                Err(ItemError { position, subject: subject.into(), message })
            }
        }
    }

    fn parts(
        &self,
        violations: &mut Violations,
        item: &pb::ImportKeyItem,
        (position, id): (i64, KeyId),
    ) -> Option<ImportItem> {
        let display_name =
            violations.required("display_name", &item.display_name, DisplayName::parse);
        let secret = self.secret(violations, item);
        let description = violations.check("description", Prose::parse(&item.description));
        let bare = item.permissions.is_empty() && item.groups.is_empty() && item.user.is_empty();
        let (permissions, groups, user) = if bare {
            (&self.defaults.permissions, &self.defaults.groups, &self.defaults.user)
        } else {
            (&item.permissions, &item.groups, &item.user)
        };
        let grants = violations.check_list("permissions", Grants::parse(permissions));
        let groups = violations.check_list("groups", GroupNames::parse(groups));
        let user = violations.optional("user", user, UserId::parse);
        let mut labels = self.defaults.labels.clone();
        labels.extend(item.labels.clone());
        let labels = violations.labels("labels", &labels);
        let limits = match item.limits.as_slice() {
            [] => &self.defaults.limits,
            limits => limits,
        };
        let limits: Option<Limits> = violations.limits("limits", limits);
        let not_before = violations.time("not_before_time", item.not_before_time);
        let expire = item.expire_time.or(self.defaults.expire_time);
        let expire = violations.time("expire_time", expire);
        if expire.is_some_and(|expire| expire <= self.now) {
            violations.add("expire_time", "must lie in the future");
        }
        let validity = violations.check("expire_time", Validity::new(not_before, expire));
        let (sha256, hint) = secret?;
        let pepper = self.peppers.current();
        let others = self.peppers.others().iter();
        Some(ImportItem {
            position,
            id,
            digest: pepper.digest_of_sha256(&sha256),
            pepper: pepper.id(),
            other_digests: others.map(|other| other.digest_of_sha256(&sha256)).collect(),
            hint,
            display_name: display_name?,
            description: description?,
            grants: grants?,
            labels: labels?,
            limits: limits?,
            user,
            groups: groups?,
            validity: validity?,
        })
    }

    /// The SHA-256 of what opens the key, and what lists show of it.
    fn secret(
        &self,
        violations: &mut Violations,
        item: &pb::ImportKeyItem,
    ) -> Option<([u8; 32], Hint)> {
        match (item.sha256.as_slice(), item.token.as_str()) {
            ([], "") => {
                violations.add("sha256", "or token is required");
                None
            }
            (sha256, "") => {
                let hint = violations.check("hint", Hint::parse(&item.hint));
                let sha256: Option<&[u8; 32]> = sha256.try_into().ok();
                let sha256 = violations.check("sha256", sha256.ok_or("must be 32 bytes"));
                Some((*sha256?, hint?))
            }
            ([], token) => {
                if !item.hint.is_empty() {
                    violations.add("hint", "is for items with sha256");
                }
                let presented = PresentedKey::parse(token, self.brand);
                let presented = violations.check("token", presented)?;
                Some((presented.sha256(), Hint::of_foreign(token)))
            }
            (_, _) => {
                violations.add("token", "must be absent with sha256");
                None
            }
        }
    }
}
