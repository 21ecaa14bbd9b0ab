//! All keys in memory, by digest, and how one change is applied to them.
//!
//! [`Replica`] is what decisions read: they never wait. [`Applier`] is the one that changes it, and
//! there is one of it. [`follow`] is the task that feeds the applier from the database.

mod customers;
pub mod follow;
mod lacking;
pub mod lease;
pub mod reading;
mod shared;
mod table;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{
            AtomicI64, AtomicU64, AtomicUsize,
            Ordering::{Acquire, Release},
        },
    },
    time::Duration,
};

use crate::model::{
    id::KeyId,
    label::Labels,
    meter::{Dial, Gauge, Metered, Owner},
    name::{DomainName, LimitName},
    pepper::PepperId,
    reservation::Tag,
    secret::Digest,
    shared::{CustomerRow, DomainRow, GroupRow, QuotaRow, UserRow},
    time::{BootTime, Now, Timestamp},
    view::{KeyRow, KeyView, Profile, UnreadableRow},
};
use customers::CustomerTable;
pub use customers::CustomerView;
use lacking::Lacking;
use lease::{Lease, NotReady};
use shared::Shared;
pub use table::{KeyRef, TOGETHER};
use table::{KeyTable, Place};

/// A replica's copy of what decisions need.
#[derive(Debug)]
pub struct Replica {
    keys: KeyTable,
    customers: CustomerTable,
    revision: AtomicI64,
    settlings: AtomicU64,
    lacking: AtomicUsize,
    lease: Lease,
}

/// What a replica knew when it was asked.
#[derive(Clone, Copy, Debug)]
pub struct Knowledge {
    /// All changes up to this one are in it.
    pub revision: i64,
    /// How long ago it was known complete.
    pub age: Duration,
}

impl Replica {
    /// An empty replica that may not answer, and the one who may fill it.
    pub fn new(staleness_max: Duration) -> (Arc<Self>, Applier) {
        let replica = Arc::new(Self {
            keys: KeyTable::default(),
            customers: CustomerTable::default(),
            revision: AtomicI64::new(0),
            settlings: AtomicU64::new(0),
            lacking: AtomicUsize::new(0),
            lease: Lease::new(staleness_max),
        });
        let applier = Applier {
            replica: Arc::clone(&replica),
            places: HashMap::new(),
            retiring: HashMap::new(),
            lacking: Lacking::default(),
            shared: Shared::default(),
            now: Now { wall: Timestamp::DISTANT_PAST, boot: BootTime::from_nanos(0) },
        };
        (replica, applier)
    }

    /// What may be answered with, at `now`, if at least `revision_min` is wanted. To be asked before
    /// any key is looked up, so that what is found is no older than what this promises.
    pub fn knowledge(&self, now: BootTime, revision_min: i64) -> Result<Knowledge, NotReady> {
        let age = self.lease.age(now)?;
        let revision = self.revision();
        if revision < revision_min {
            return Err(NotReady::Behind { reached: revision });
        }
        Ok(Knowledge { revision, age })
    }

    /// The last revision that was applied whole.
    pub fn revision(&self) -> i64 {
        self.revision.load(Acquire)
    }

    /// How often changes were completed. What is read between two times that tell the same is no
    /// mixture that permits more than old or new contents do; else it is to be read again.
    pub fn settlings(&self) -> u64 {
        self.settlings.load(Acquire)
    }

    /// The key that has this secret.
    pub fn get(&self, digest: &Digest) -> Option<KeyRef> {
        self.keys.get(digest)
    }

    /// The keys that have these secrets, looked up at the same time. What was used of their limits is
    /// at hand soon.
    pub fn get_together(&self, digests: &[Option<Digest>; TOGETHER]) -> [Option<KeyRef>; TOGETHER] {
        let found = self.keys.get_together(digests);
        let limits = || found.iter().flatten().filter_map(|key| key.limits.as_deref());
        limits().for_each(Metered::touch);
        limits().for_each(Metered::touch_meters);
        found
    }

    /// What is known of a customer. An empty id is that of none.
    pub fn customer(&self, domain: &DomainName, id: &str) -> Option<CustomerView> {
        self.customers.get(domain, id)
    }

    /// How long ago the data was known complete, good enough or not; `None`: never.
    pub fn contact_age(&self, now: BootTime) -> Option<Duration> {
        match self.lease.age(now) {
            Ok(age) | Err(NotReady::Stale { age }) => Some(age),
            Err(NotReady::Loading | NotReady::Behind { .. } | NotReady::LacksPepper) => None,
        }
    }

    /// How many keys have a secret that is keyed with a pepper which this process does not have: tokens
    /// that are unknown may be theirs.
    pub fn lacking(&self) -> usize {
        self.lacking.load(Acquire)
    }

    /// How many secrets are known.
    pub fn secrets(&self) -> usize {
        self.keys.len()
    }
}

/// All that there is after a load.
#[derive(Debug, Default)]
pub struct Present {
    /// Ids of keys.
    pub keys: HashSet<KeyId>,
    /// Names of domains.
    pub domains: HashSet<Box<str>>,
    /// Numbers of groups.
    pub groups: HashSet<i64>,
    /// Numbers of users.
    pub users: HashSet<i64>,
    /// Domains and ids of customers.
    pub customers: HashSet<(Box<str>, Box<str>)>,
}

/// Changes a replica. Applying the same content twice is the same as once.
#[derive(Debug)]
pub struct Applier {
    replica: Arc<Replica>,
    /// Where the current secret of each key is.
    places: HashMap<KeyId, Place>,
    /// The secrets that were replaced and that open their keys for a while.
    retiring: HashMap<KeyId, Digest>,
    lacking: Lacking,
    shared: Shared,
    now: Now,
}

impl Applier {
    /// Whether there is nothing yet.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.shared.is_empty()
    }

    /// Which peppers this process has: keys with another one are counted.
    pub fn has_peppers(&mut self, peppers: impl Iterator<Item = PepperId>) {
        self.lacking.peppers = Some(peppers.collect());
    }

    /// What is applied from here on is applied at this time. It matters to limits that change: what
    /// was used of them by then is carried over.
    pub fn at(&mut self, now: Now) {
        self.now = now;
    }

    /// Takes over a key's present content. An unreadable one is kept as a key that is not active:
    /// what cannot be read grants nothing. The error is for the log.
    pub fn put(&mut self, row: &KeyRow<'_>) -> Result<(), UnreadableRow> {
        let (view, outcome) = match self.view(row) {
            Ok(view) => (view, Ok(())),
            Err(error) => (self.closed_view(row), Err(error)),
        };
        self.lacking.note(row, &self.replica.lacking);
        let old = self.digests(row.id);
        let retiring =
            row.retiring.map(|(digest, secret_end)| KeyView { digest, secret_end, ..view.clone() });
        self.replica.keys.insert(view);
        self.places.insert(row.id, Place::of(&row.current));
        match retiring {
            Some(retiring) => {
                self.retiring.insert(row.id, retiring.digest);
                self.replica.keys.insert(retiring);
            }
            None => drop(self.retiring.remove(&row.id)),
        }
        let kept = [Some(row.current), row.retiring.map(|(digest, _)| digest)];
        for digest in old.into_iter().flatten().filter(|old| !kept.contains(&Some(*old))) {
            self.forget(row.id, &digest);
        }
        self.lacking.tell(&self.replica.lacking);
        outcome
    }

    /// Forgets a key that is deleted.
    pub fn remove(&mut self, id: KeyId) {
        let old = self.digests(id);
        for digest in old.into_iter().flatten() {
            self.forget(id, &digest);
        }
        self.places.remove(&id);
        self.retiring.remove(&id);
        self.lacking.forget(id, &self.replica.lacking);
    }

    /// Keys that need this pepper are unknown from here on: nobody has to have it any more.
    pub fn retire_pepper(&mut self, id: PepperId) {
        self.lacking.retire(id, &self.replica.lacking);
    }

    /// Takes over a domain's present content. From here to [`Applier::reached`] its keys may do only
    /// what they may both before and after the change; so it is with groups and users. Of one that
    /// cannot be read, no key may do anything. The error is for the log.
    pub fn put_domain(&mut self, row: &DomainRow<'_>) -> Result<(), UnreadableRow> {
        self.shared.put_domain(row, self.now.boot)
    }

    /// Takes over a group's present content.
    pub fn put_group(&mut self, row: &GroupRow<'_>) -> Result<(), UnreadableRow> {
        self.shared.put_group(row)
    }

    /// A group that is deleted gives nothing.
    pub fn remove_group(&mut self, uid: i64) {
        self.shared.remove_group(uid);
    }

    /// Takes over a user's present content.
    pub fn put_user(&mut self, row: &UserRow<'_>) -> Result<(), UnreadableRow> {
        self.shared.put_user(row, self.now.boot)
    }

    /// A user that is deleted has no keys that work.
    pub fn remove_user(&mut self, uid: i64) {
        self.shared.remove_user(uid);
    }

    /// Takes over a customer's present content. Of one that cannot be read, nothing may be done. The
    /// error is for the log.
    pub fn put_customer(&mut self, row: &CustomerRow<'_>) -> Result<(), UnreadableRow> {
        self.replica.customers.put(row, self.now.boot)
    }

    /// A customer that is deleted has no limits, and is counted no more.
    pub fn remove_customer(&mut self, domain: &str, id: &str) {
        self.replica.customers.remove(domain, id);
    }

    /// Takes over what the database knows to be used of a quota, if there is such a quota.
    pub fn put_quota(&mut self, row: &QuotaRow<'_>) {
        let owner = Owner::parse(row.owner);
        let metered = owner.and_then(|owner| self.metered(&owner));
        let name = LimitName::from_stored(row.name);
        let gauge = metered.as_ref().and_then(|metered| metered.gauge(&name));
        if let Some(Gauge { dial: Dial::Quota(quota, meter), .. }) = gauge {
            meter.stored(quota, &row.stored, self.now.wall);
        }
    }

    fn metered(&self, owner: &Owner) -> Option<Arc<Metered>> {
        match owner {
            Owner::Key(id) => self.key(*id)?.limits.clone(),
            Owner::Customer(domain, id) => self.replica.customers.get(domain, id.as_str())?.limits,
            Owner::User(_) | Owner::Domain(_) => self.shared.metered(owner),
        }
    }

    /// Closes all domains, groups and users but these, after all of these were put and before any
    /// key is: the new content of a key must not meet what its old one did not have and what is gone.
    pub fn retain_shared(&mut self, present: &Present) {
        self.shared.retain(present);
    }

    /// Forgets all but these, after all of these were put.
    pub fn retain(&mut self, present: &Present) {
        let gone: Vec<KeyId> =
            self.places.keys().filter(|id| !present.keys.contains(id)).copied().collect();
        for id in gone {
            self.remove(id);
        }
        self.replica.customers.retain(|place| {
            let place = (place.domain.as_str().into(), place.id.as_str().into());
            present.customers.contains(&place)
        });
        self.shared.retain(present);
    }

    /// All changes up to `revision` are in place. If at an instant there were no others, that
    /// instant, read before the database was asked.
    pub fn reached(&mut self, revision: i64, complete_at: Option<BootTime>) {
        // counted first: whoever has seen something settled sees the number too
        self.replica.settlings.fetch_add(1, Release);
        self.shared.settle();
        self.lacking.sweep(self.now.wall, &self.replica.lacking);
        self.replica.revision.store(revision, Release);
        if let Some(asked) = complete_at {
            self.replica.lease.extend(asked);
        }
        self.shared.sweep();
    }

    /// Another history goes on from here: what was reached promises nothing in it. What is changing
    /// has not changed until it is reached.
    pub fn restart(&mut self) {
        self.replica.revision.store(0, Release);
    }

    /// A key as its current secret opens it.
    fn key(&self, id: KeyId) -> Option<KeyRef> {
        let is_it = |view: &KeyView| view.id == id && view.secret_end == Timestamp::DISTANT_FUTURE;
        self.replica.keys.get_at(*self.places.get(&id)?, is_it)
    }

    /// The secrets that open a key, but for one that another key has by now.
    fn digests(&self, id: KeyId) -> [Option<Digest>; 2] {
        let current = self.key(id).map(|view| view.digest);
        [current, self.retiring.get(&id).copied()]
    }

    /// Forgets a secret of a key, but not if another key has it by now.
    fn forget(&self, id: KeyId, digest: &Digest) {
        self.replica.keys.remove(digest, |view| view.id == id);
    }

    fn view(&mut self, row: &KeyRow<'_>) -> Result<KeyView, UnreadableRow> {
        let profile = self.shared.profile(row.profile)?;
        let labels = self.shared.labels(row.labels)?;
        Ok(self.assemble(row, profile, labels, row.active))
    }

    fn closed_view(&mut self, row: &KeyRow<'_>) -> KeyView {
        let profile = self.shared.no_profile();
        self.assemble(row, profile, Arc::default(), false)
    }

    fn assemble(
        &self,
        row: &KeyRow<'_>,
        profile: Arc<Profile>,
        labels: Arc<Labels>,
        active: bool,
    ) -> KeyView {
        let old = self.key(row.id);
        let last_used = old.as_deref().map(|old| old.last_used.clone()).unwrap_or_default();
        let used = old.as_deref().and_then(|old| old.limits.as_ref());
        let limits = profile.limits.clone();
        let place = (Owner::Key(row.id), Tag::of(&profile.domain.name));
        let limits = shared::metered(place, limits, used, self.now.boot);
        KeyView {
            digest: row.current,
            secret_end: Timestamp::DISTANT_FUTURE,
            id: row.id,
            profile,
            labels,
            active,
            not_before: row.not_before.unwrap_or(Timestamp::DISTANT_PAST),
            expire: row.expire.unwrap_or(Timestamp::DISTANT_FUTURE),
            last_used,
            limits,
        }
    }
}

#[cfg(test)]
mod tests;
