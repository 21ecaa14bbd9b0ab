//! What the parts of a decision cost, in one thread unless told otherwise. Run with
//! `cargo bench --bench decision`, or a part of it: `KEYWARD_BENCH_KEYS=1000000 cargo bench --bench decision -- look_up`.
//!
//! Keys are asked in a random order, so that of a million most are not in a cache. Times are of a whole
//! decision, clocks and the note of its use included.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

#[path = "support/check.rs"]
mod check;
#[path = "support/loaded.rs"]
mod loaded;

use std::{
    cell::Cell,
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use check::Checking;
use divan::{Bencher, counter::ItemsCount};
use keyward::replica::TOGETHER;
use keyward::{
    authorize::{Case, authorize, authorize_together},
    clock,
    decide::Decision,
    model::{
        secret::{Digest, PresentedKey},
        view::StoredProfile,
    },
};
use loaded::{Loaded, profile, question, terms};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Decisions in one measured run.
const RUN: usize = 10_000;

fn main() {
    divan::main();
}

/// How many keys there are: the number in `KEYWARD_BENCH_KEYS`, or some.
fn sizes() -> Vec<usize> {
    match std::env::var("KEYWARD_BENCH_KEYS") {
        Ok(number) => vec![number.parse().unwrap()],
        Err(_unset) => vec![10_000, 1_000_000, 10_000_000],
    }
}

/// Numbers below a bound, in an order that no prefetcher follows.
struct Shuffled {
    state: Cell<u64>,
    below: u64,
}

impl Shuffled {
    fn below(below: usize) -> Self {
        Self { state: Cell::new(1), below: below as u64 }
    }

    fn next(&self) -> usize {
        let mut state = self.state.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        self.state.set(state);
        (state % self.below) as usize
    }
}

#[divan::bench]
fn parse_a_token(bencher: Bencher<'_, '_>) {
    let loaded = Loaded::with(10_000, false);
    let token = &loaded.tokens[7];
    bencher.bench_local(|| PresentedKey::parse(black_box(token), &loaded.hot.brand).is_ok());
}

#[divan::bench]
fn digest_a_token(bencher: Bencher<'_, '_>) {
    let loaded = Loaded::with(10_000, false);
    let presented = PresentedKey::parse(&loaded.tokens[7], &loaded.hot.brand).unwrap();
    bencher.bench_local(|| black_box(&presented).digest(loaded.hot.peppers.current()));
}

#[divan::bench]
fn compile_a_profile(bencher: Bencher<'_, '_>) {
    let text = profile(7, true);
    bencher.bench_local(|| StoredProfile::parse(black_box(&text)).is_ok());
}

#[divan::bench(args = sizes(), sample_count = 20)]
fn look_up(bencher: Bencher<'_, '_>, keys: usize) {
    let loaded = Loaded::with(keys, false);
    let digest = |token: &String| {
        PresentedKey::parse(token, &loaded.hot.brand).unwrap().digest(loaded.hot.peppers.current())
    };
    // few enough to be at hand themselves
    let order = Shuffled::below(keys);
    let digests: Vec<Digest> =
        (0..RUN * 20).map(|_| digest(&loaded.tokens[order.next()])).collect();
    let mut runs = digests.chunks(RUN).cycle();
    bencher.counter(ItemsCount::new(RUN)).bench_local(|| {
        let found = runs.next().unwrap().iter().filter(|digest| {
            loaded.hot.replica.get(digest).is_some_and(|key| black_box(key.active))
        });
        assert_eq!(found.count(), RUN);
    });
}

#[divan::bench(args = sizes(), sample_count = 20)]
fn decide(bencher: Bencher<'_, '_>, keys: usize) {
    decisions(bencher, Loaded::with(keys, false));
}

#[divan::bench(args = sizes(), sample_count = 20)]
fn decide_with_a_rate_limit_each(bencher: Bencher<'_, '_>, keys: usize) {
    decisions(bencher, Loaded::with(keys, true));
}

#[divan::bench(args = sizes(), sample_count = 20)]
fn decide_together(bencher: Bencher<'_, '_>, keys: usize) {
    decisions_together(bencher, Loaded::with(keys, false));
}

#[divan::bench(args = sizes(), sample_count = 20)]
fn decide_together_with_a_rate_limit_each(bencher: Bencher<'_, '_>, keys: usize) {
    decisions_together(bencher, Loaded::with(keys, true));
}

/// As a batch does it.
fn decisions_together(bencher: Bencher<'_, '_>, loaded: &'static Loaded) {
    let order = Shuffled::below(loaded.tokens.len());
    let question = question();
    let tokens = || {
        loaded.hot.ledger.drain(); // another thread does that
        (0..RUN).map(|_| loaded.tokens[order.next()].as_str()).collect::<String>()
    };
    bencher.counter(ItemsCount::new(RUN)).with_inputs(tokens).bench_local_refs(|tokens| {
        for batch in 0..RUN / 100 {
            let terms = terms(&question, clock::now());
            for group in 0..100_usize.div_ceil(TOGETHER) {
                let cases = std::array::from_fn(|at| {
                    let at = group * TOGETHER + at;
                    let at = (at < 100).then_some(batch * 100 + at)?;
                    let presented = &tokens[at * 46..(at + 1) * 46];
                    Some(Case { presented: presented.into(), question, terms })
                });
                authorize_together(&loaded.hot, &cases, |_, outcome| {
                    let outcome = outcome.unwrap();
                    assert_eq!(outcome.decision, Decision::Allow);
                    black_box(&outcome);
                });
            }
        }
    });
}

/// Tokens lie apart in memory: in the service they have just arrived. Those of a run are copied first.
fn decisions(bencher: Bencher<'_, '_>, loaded: &'static Loaded) {
    let order = Shuffled::below(loaded.tokens.len());
    let question = question();
    let tokens = || {
        loaded.hot.ledger.drain(); // another thread does that
        (0..RUN).map(|_| loaded.tokens[order.next()].as_str()).collect::<String>()
    };
    bencher.counter(ItemsCount::new(RUN)).with_inputs(tokens).bench_local_refs(|tokens| {
        for at in 0..RUN {
            let token = &tokens[at * 46..(at + 1) * 46];
            let outcome =
                authorize(&loaded.hot, token, &question, terms(&question, clock::now())).unwrap();
            assert_eq!(outcome.decision, Decision::Allow);
            black_box(&outcome);
        }
    });
}

/// From the bytes of what Envoy asks to those of the answer, without HTTP/2.
#[divan::bench(args = sizes(), sample_count = 20)]
fn check_with_a_rate_limit_each(bencher: Bencher<'_, '_>, keys: usize) {
    let loaded = Loaded::with(keys, true);
    let order = Shuffled::below(keys);
    let mut checking = Checking::of(loaded);
    bencher.counter(ItemsCount::new(RUN)).bench_local(|| {
        loaded.hot.ledger.drain(); // another thread does that
        for _ in 0..RUN {
            black_box(checking.answer(&loaded.tokens[order.next()]));
        }
    });
}

/// All threads ask with one key that has a rate limit.
#[divan::bench(threads = [1, 2], sample_count = 20)]
fn one_limited_key(bencher: Bencher<'_, '_>) {
    let loaded = Loaded::with(10_000, true);
    let question = question();
    bencher.counter(ItemsCount::new(RUN)).bench(|| {
        for _ in 0..RUN {
            let token = &loaded.tokens[7];
            black_box(
                authorize(&loaded.hot, token.as_str(), &question, terms(&question, clock::now()))
                    .unwrap(),
            );
        }
    });
}

/// Decisions while another thread changes a thousand keys a second.
#[divan::bench(sample_count = 20)]
fn decide_while_keys_change(bencher: Bencher<'_, '_>) {
    let loaded = Loaded::with(1_000_000, false);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let order = Shuffled::below(loaded.tokens.len());
            let mut due = Instant::now();
            while !over.load(Relaxed) {
                loaded.put(order.next(), true);
                due += Duration::from_millis(1);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        decisions(bencher, loaded);
        over.store(true, Relaxed);
    });
}
