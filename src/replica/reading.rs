//! From what the store reads into a replica. What cannot be read is logged, and permits nothing.

use tracing::error;

use crate::{
    model::{
        id::KeyId,
        pepper::PepperId,
        shared::{CustomerRow, DomainRow, GroupRow, QuotaRow, UserRow},
        view::KeyRow,
    },
    replica::{Applier, Present},
    store::view_rows::Sink,
    telemetry::chain,
};

/// Applies what is read, and remembers what there is if that is wanted.
#[derive(Debug)]
pub struct Applying<'a> {
    applier: &'a mut Applier,
    /// What there is.
    pub present: Option<Present>,
    /// How many keys were read.
    pub keys: u64,
}

impl<'a> Applying<'a> {
    /// Into a replica.
    pub const fn new(applier: &'a mut Applier, present: Option<Present>) -> Self {
        Self { applier, present, keys: 0 }
    }
}

impl Sink for Applying<'_> {
    fn put(&mut self, row: &KeyRow<'_>) {
        if let Some(present) = &mut self.present {
            if self.keys == 0 {
                // what keys share comes first, so that all of it was read
                self.applier.retain_shared(present);
            }
            present.keys.insert(row.id);
        }
        self.keys += 1;
        if let Err(error) = self.applier.put(row) {
            error!(key.id = %row.id, error = chain(&error), "a key cannot be read and is denied");
        }
    }

    fn remove(&mut self, id: KeyId) {
        self.applier.remove(id);
    }

    fn retire_pepper(&mut self, id: PepperId) {
        self.applier.retire_pepper(id);
    }

    fn put_domain(&mut self, row: &DomainRow<'_>) {
        if let Some(present) = &mut self.present {
            present.domains.insert(row.name.into());
        }
        if let Err(error) = self.applier.put_domain(row) {
            let name = row.name;
            error!(domain = name, error = chain(&error), "a domain cannot be read and is denied");
        }
    }

    fn put_group(&mut self, row: &GroupRow<'_>) {
        if let Some(present) = &mut self.present {
            present.groups.insert(row.uid);
        }
        if let Err(error) = self.applier.put_group(row) {
            let name = row.name;
            error!(group = name, error = chain(&error), "a group cannot be read and gives nothing");
        }
    }

    fn remove_group(&mut self, uid: i64) {
        self.applier.remove_group(uid);
    }

    fn put_user(&mut self, row: &UserRow<'_>) {
        if let Some(present) = &mut self.present {
            present.users.insert(row.uid);
        }
        if let Err(error) = self.applier.put_user(row) {
            error!(user = row.id, error = chain(&error), "a user cannot be read and is denied");
        }
    }

    fn remove_user(&mut self, uid: i64) {
        self.applier.remove_user(uid);
    }

    fn put_customer(&mut self, row: &CustomerRow<'_>) {
        if let Some(present) = &mut self.present {
            present.customers.insert((row.domain.into(), row.id.into()));
        }
        if let Err(error) = self.applier.put_customer(row) {
            let (domain, id) = (row.domain, row.id);
            error!(domain, id, error = chain(&error), "a customer cannot be read and is denied");
        }
    }

    fn remove_customer(&mut self, domain: &str, id: &str) {
        self.applier.remove_customer(domain, id);
    }

    fn put_quota(&mut self, row: &QuotaRow<'_>) {
        self.applier.put_quota(row);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        model::{
            fixture::{digest, id, key},
            permission::Permission,
            user::UserKind,
        },
        replica::Replica,
    };

    const DOMAIN: DomainRow<'_> =
        DomainRow { name: "default", enabled: true, route_map: "", limits: "" };
    const GROUP: GroupRow<'_> = GroupRow { uid: 1, name: "staff", permissions: "systems" };
    const USER: UserRow<'_> = UserRow {
        uid: 7,
        domain: "default",
        id: "alice",
        kind: UserKind::Person,
        enabled: true,
        permissions: "*",
        groups: "",
        limits: "",
    };

    #[test]
    fn what_is_read_is_remembered_also_if_it_is_unreadable() {
        let (_replica, mut applier) = Replica::new(Duration::from_secs(10));
        let mut sink = Applying::new(&mut applier, Some(Present::default()));
        sink.put_domain(&DomainRow { route_map: "?", ..DOMAIN });
        sink.put_group(&GroupRow { permissions: "?", ..GROUP });
        sink.put_user(&UserRow { permissions: "?", ..USER });
        sink.put(&key().row());
        sink.put(&key().id(id(2)).stored_profile("?").row());
        let Applying { present, keys, .. } = sink;
        let present = present.unwrap();
        assert_eq!((keys, present.keys.len()), (2, 2));
        assert!(present.domains.contains("default"));
        assert!(present.groups.contains(&1) && present.users.contains(&7));
    }

    #[test]
    fn a_key_that_is_loaded_anew_never_has_what_a_group_gave_that_is_gone() {
        let (replica, mut applier) = Replica::new(Duration::from_secs(10));
        let mut sink = Applying::new(&mut applier, None);
        sink.put_domain(&DOMAIN);
        sink.put_group(&GROUP);
        applier.reached(1, None);
        let may = || {
            let profile = &replica.get(&digest(1)).unwrap().profile;
            profile.permits(Permission::parse("systems").unwrap())
        };
        let mut sink = Applying::new(&mut applier, Some(Present::default()));
        sink.put_domain(&DOMAIN);
        sink.put(&key().grants(&[]).numbers("", "1").row());
        assert!(!may());
        sink.put(&key().id(id(2)).current(digest(2)).row());
        sink.remove(id(2));
        sink.put_group(&GROUP);
        applier.reached(2, None);
        assert!(may());
        Applying::new(&mut applier, None).remove_group(1);
        applier.reached(3, None);
        assert!(!may());
    }
}
