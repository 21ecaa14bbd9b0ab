//! The keys by their secrets: a hash table that readers never wait for and that one writer changes.
//!
//! It is made of *buckets* of some keys each, which never change: the writer puts another bucket in the
//! place of one, and a reader keeps what it has found for as long as it holds it. A look-up reads two
//! places in memory that are far apart, the slot of the bucket and the bucket. The table grows by one
//! bucket at a time (linear hashing, W. Litwin 1980), so that no change takes long however many keys there
//! are. It never shrinks.

use std::{
    fmt,
    ops::Deref,
    sync::{
        OnceLock,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use arc_swap::{ArcSwapAny, Guard};
use triomphe::ThinArc;

use crate::model::{secret::Digest, touch::touch, view::KeyView};

/// Keys a bucket, on average.
const BUCKET_KEYS: usize = 6;
/// Of so many keys of a bucket it can be told by a byte that they are not the one; the rare others are
/// compared.
const TAGS: usize = 16;
/// Buckets of the first directory. Each of the others has as many as all before it.
const FIRST_BUCKETS: usize = 256;
/// Enough for the 2^32 buckets that [`Place`] can tell apart.
const DIRECTORIES: usize = 25;

/// How many keys are looked up together. A thread should hold no more: the guards of [`arc_swap`] are
/// quick for eight at a time, and a decision needs some for what keys share.
pub const TOGETHER: usize = 6;

/// Some keys, after a byte of the digest of each.
type Bucket = ThinArc<[u8; TAGS], KeyView>;

/// Where a bucket is.
#[repr(align(16))]
struct Slot {
    bucket: ArcSwapAny<Bucket>,
    /// The first tags of the bucket once more, so that the key can be read at the same time as what it is
    /// counted by. They may be those of the bucket before: what they lead to is looked at.
    hint: AtomicU64,
}

/// Keys by their secrets.
pub(super) struct KeyTable {
    directories: [OnceLock<Box<[Slot]>>; DIRECTORIES],
    /// How many buckets there are. A bucket is split in an order in which every reader finds every key:
    /// the new one is there, then counted, and then the old one is left with less.
    buckets: AtomicUsize,
    keys: AtomicUsize,
}

/// A key that was found. It stays as it was found.
pub struct KeyRef {
    bucket: Guard<Bucket>,
    at: usize,
}

/// Where a key is, by the first bytes of its digest: they are random, and nobody without the pepper can
/// choose them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

impl Place {
    pub(super) fn of(digest: &Digest) -> Self {
        let [a, b, c, d, ..] = *digest.bytes();
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    /// The bucket, if there are so many.
    fn bucket(self, buckets: usize) -> usize {
        let mask = buckets.next_power_of_two() - 1;
        let bucket = usize::try_from(self.0).unwrap_or(0) & mask;
        // the second half is not all there yet
        if bucket < buckets { bucket } else { bucket & (mask >> 1) }
    }
}

/// The byte of a digest by which keys of a bucket are told apart.
fn tag(digest: &Digest) -> u8 {
    let [_, _, _, _, tag, ..] = *digest.bytes();
    tag
}

fn bucket(views: Vec<KeyView>) -> Bucket {
    let mut tags = [0; TAGS];
    for (byte, view) in tags.iter_mut().zip(&views) {
        *byte = tag(&view.digest);
    }
    ThinArc::from_header_and_iter(tags, views.into_iter())
}

/// Where in a bucket the key with a secret is.
fn find(bucket: &Bucket, digest: &Digest) -> Option<usize> {
    let tag = tag(digest);
    let views = &bucket.slice;
    let mut tagged = bucket.header.header.iter().zip(views);
    let is_it = |(byte, view): (&u8, &KeyView)| *byte == tag && view.digest == *digest;
    tagged.position(is_it).or_else(|| {
        let rest = views.get(TAGS..)?;
        rest.iter().position(|view| view.digest == *digest).map(|at| TAGS + at)
    })
}

impl Slot {
    fn new(bucket: Bucket) -> Self {
        let hint = AtomicU64::new(hint(&bucket));
        Self { bucket: ArcSwapAny::new(bucket), hint }
    }

    fn load(&self) -> Guard<Bucket> {
        self.bucket.load()
    }

    fn store(&self, bucket: Bucket) {
        let hint = hint(&bucket);
        self.bucket.store(bucket);
        self.hint.store(hint, Relaxed);
    }

    /// Where in the bucket the key with a secret may be.
    fn guess(&self, digest: &Digest) -> usize {
        let (tag, hint) = (tag(digest), self.hint.load(Relaxed).to_le_bytes());
        hint.iter().position(|byte| *byte == tag).unwrap_or(0)
    }
}

fn hint(bucket: &Bucket) -> u64 {
    bucket.header.header.first_chunk().map_or(0, |tags| u64::from_le_bytes(*tags))
}

impl Default for KeyTable {
    fn default() -> Self {
        let table = Self {
            directories: [const { OnceLock::new() }; DIRECTORIES],
            buckets: AtomicUsize::new(FIRST_BUCKETS),
            keys: AtomicUsize::new(0),
        };
        table.slot(0);
        table
    }
}

impl KeyTable {
    /// The key that has this secret.
    pub(super) fn get(&self, digest: &Digest) -> Option<KeyRef> {
        let place = Place::of(digest);
        let slot = self.slot(place.bucket(self.buckets.load(Acquire)));
        let found = KeyRef { at: slot.guess(digest), bucket: slot.load() };
        found.is_of(digest).then_some(found).or_else(|| self.get_exactly(digest))
    }

    fn get_exactly(&self, digest: &Digest) -> Option<KeyRef> {
        self.search(Place::of(digest), |bucket| find(bucket, digest))
    }

    /// The key that is at this place and that is the one.
    pub(super) fn get_at(&self, place: Place, is_it: impl Fn(&KeyView) -> bool) -> Option<KeyRef> {
        self.search(place, |bucket| bucket.slice.iter().position(&is_it))
    }

    /// The keys that have these secrets. What they are made of is read from far memory at the same time,
    /// as far as the processor can, and not one after the other.
    pub(super) fn get_together(
        &self,
        digests: &[Option<Digest>; TOGETHER],
    ) -> [Option<KeyRef>; TOGETHER] {
        let buckets = self.buckets.load(Acquire);
        let mut found = digests.each_ref().map(|digest| {
            let digest = digest.as_ref()?;
            let slot = self.slot(Place::of(digest).bucket(buckets));
            Some(KeyRef { at: slot.guess(digest), bucket: slot.load() })
        });
        // each loop begins to read what the next one needs
        for found in found.iter().flatten() {
            touch(found.bucket.header.length);
        }
        for found in found.iter().flatten() {
            if let Some(view) = found.bucket.slice.get(found.at) {
                view.touch();
            }
        }
        std::array::from_fn(|number| {
            let (found, digest) = (found.get_mut(number)?.take()?, digests.get(number)?.as_ref()?);
            found.is_of(digest).then_some(found).or_else(|| self.get_exactly(digest))
        })
    }

    fn search(&self, place: Place, find: impl Fn(&Bucket) -> Option<usize>) -> Option<KeyRef> {
        let mut buckets = self.buckets.load(Acquire);
        loop {
            let bucket = self.slot(place.bucket(buckets)).load();
            if let Some(at) = find(&bucket) {
                return Some(KeyRef { bucket, at });
            }
            // what is not there may have moved to a new bucket
            let now = self.buckets.load(Acquire);
            if now == buckets {
                return None;
            }
            buckets = now;
        }
    }

    /// How many secrets there are.
    pub(super) fn len(&self) -> usize {
        self.keys.load(Relaxed)
    }

    /// Does something with each key. Keys that change meanwhile are seen before or after.
    #[cfg(test)]
    pub(super) fn for_each(&self, mut see: impl FnMut(&KeyView)) {
        for number in 0..self.buckets.load(Acquire) {
            self.slot(number).load().slice.iter().for_each(&mut see);
        }
    }

    /// Puts a key in, in the place of another one with this secret if there is one. There must be one
    /// writer at a time.
    pub(super) fn insert(&self, view: KeyView) {
        let slot = self.slot_of(&view.digest);
        let old = slot.load();
        let mut views = Vec::with_capacity(old.slice.len() + 1);
        views.extend_from_slice(&old.slice);
        if let Some(place) = find(&old, &view.digest).and_then(|at| views.get_mut(at)) {
            *place = view;
            slot.store(bucket(views));
            return;
        }
        views.push(view);
        slot.store(bucket(views));
        let keys = self.keys.load(Relaxed) + 1;
        self.keys.store(keys, Relaxed);
        if keys > self.buckets.load(Relaxed) * BUCKET_KEYS {
            self.split();
        }
    }

    /// Takes a key out, if it is the one. There must be one writer at a time.
    pub(super) fn remove(&self, digest: &Digest, is_it: impl Fn(&KeyView) -> bool) {
        let slot = self.slot_of(digest);
        let old = slot.load();
        let kept = |view: &&KeyView| view.digest != *digest || !is_it(view);
        let views: Vec<KeyView> = old.slice.iter().filter(kept).cloned().collect();
        let removed = old.slice.len() - views.len();
        if removed > 0 {
            slot.store(bucket(views));
            self.keys.store(self.keys.load(Relaxed) - removed, Relaxed);
        }
    }

    /// One bucket more: it takes its keys from the one that had them until now.
    fn split(&self) {
        let new = self.buckets.load(Relaxed);
        let old = new - (new + 1).next_power_of_two() / 2;
        let slot = self.slot(old);
        let content = slot.load();
        let moves = |view: &KeyView| Place::of(&view.digest).bucket(new + 1) == new;
        let (there, here): (Vec<KeyView>, _) = content.slice.iter().cloned().partition(moves);
        self.slot(new).store(bucket(there));
        self.buckets.store(new + 1, Release);
        slot.store(bucket(here));
    }

    fn slot_of(&self, digest: &Digest) -> &Slot {
        self.slot(Place::of(digest).bucket(self.buckets.load(Relaxed)))
    }

    /// A bucket's slot. Its directory is made when it is asked for first, by the writer.
    #[expect(clippy::indexing_slicing, reason = "there is a directory for each number of a bucket")]
    fn slot(&self, number: usize) -> &Slot {
        let (directory, size, at) = match number / FIRST_BUCKETS {
            0 => (0, FIRST_BUCKETS, number),
            rest => {
                let doublings = rest.ilog2();
                let size = FIRST_BUCKETS << doublings;
                (usize::try_from(doublings).unwrap_or(0) + 1, size, number - size)
            }
        };
        let empty = || {
            let nothing = bucket(Vec::new());
            std::iter::repeat_with(|| Slot::new(nothing.clone())).take(size).collect()
        };
        &self.directories[directory].get_or_init(empty)[at]
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyTable").field("keys", &self.len()).finish_non_exhaustive()
    }
}

impl KeyRef {
    /// Whether this secret opens it. Else the guess was wrong: it is behind another one with its tag, or
    /// has moved, or is not there.
    fn is_of(&self, digest: &Digest) -> bool {
        self.bucket.slice.get(self.at).is_some_and(|view| view.digest == *digest)
    }

    /// The same, to be held for long. Of those that were found and not detached, a thread should hold a
    /// few only: more of them make every look-up slower.
    pub fn detached(self) -> Self {
        let bucket = Guard::from_inner(Guard::into_inner(self.bucket));
        Self { bucket, at: self.at }
    }
}

impl Deref for KeyRef {
    type Target = KeyView;

    #[expect(clippy::indexing_slicing, reason = "it was found there, and buckets do not change")]
    fn deref(&self) -> &KeyView {
        &self.bucket.slice[self.at]
    }
}

/// One that is in no table.
#[cfg(test)]
impl From<KeyView> for KeyRef {
    fn from(view: KeyView) -> Self {
        Self { bucket: Guard::from_inner(bucket(vec![view])), at: 0 }
    }
}

impl fmt::Debug for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests;
