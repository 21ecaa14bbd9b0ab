//! Something that each thread has its own of, so that threads do not wait for each other.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Threads beyond so many share.
const PLACES: usize = 64;

/// One for each thread. Its lock is free whenever that thread comes, but for when another one gathers.
#[derive(Debug)]
pub struct PerThread<T>([Place<T>; PLACES]);

/// It has cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place<T>(Mutex<T>);

impl<T: Default> Default for PerThread<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Place::default()))
    }
}

impl<T> PerThread<T> {
    /// This thread's.
    pub fn own(&self) -> Option<MutexGuard<'_, T>> {
        self.0.get(own_place()).map(|Place(mutex)| lock(mutex))
    }

    /// Those of all threads, one after the other. None is to be held for long.
    pub fn each(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        self.0.iter().map(|Place(mutex)| lock(mutex))
    }
}

fn own_place() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = THREADS.fetch_add(1, Relaxed) % PLACES;
    }
    OWN.with(|own| *own)
}

/// A panic while it was locked is no reason to lose what it holds: who uses this changes it in steps that
/// each leave it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn what_threads_have_of_their_own_is_found_by_who_gathers() {
        let numbers = PerThread::<Vec<usize>>::default();
        thread::scope(|scope| {
            for number in 0..200 {
                let numbers = &numbers;
                scope.spawn(move || numbers.own().unwrap().push(number));
            }
        });
        let mut all: Vec<usize> =
            numbers.each().flat_map(|mut own| std::mem::take(&mut *own)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
    }
}
