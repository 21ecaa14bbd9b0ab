//! Spans: what took how long for one request of a caller who traces it, by W3C Trace Context
//! (<https://www.w3.org/TR/trace-context-1/>).
//!
//! A request that is not sampled costs a look at one header, and nothing if tracing is off. Spans that are
//! complete wait in a queue with a bound; who makes one never waits.

use std::{
    cell::Cell,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::{sync::mpsc, task_local};

use crate::{clock, model::time::Timestamp};

/// Complete spans that wait to be sent.
const SPANS_MAX: usize = 4096;
/// What others add to a trace; W3C asks for 512 at least.
const STATE_BYTES_MAX: usize = 512;

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A request that is answered.
    Server,
    /// One that is made, of the database.
    Client,
}

/// Where a span belongs, before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which trace.
    pub trace: [u8; 16],
    /// Of which span of the caller it is a part.
    pub parent: Option<[u8; 8]>,
    /// What others add to the trace.
    pub state: String,
}

/// Something that took a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Where it belongs.
    pub start: Start,
    /// Which one it is.
    pub id: [u8; 8],
    /// What.
    pub name: String,
    /// Of what.
    pub role: Role,
    /// From when.
    pub begun: Timestamp,
    /// Until when.
    pub ended: Timestamp,
    /// What is known of it.
    pub attributes: Vec<(&'static str, String)>,
    /// Whether it failed.
    pub failed: bool,
}

/// Makes spans of what is sampled.
#[derive(Clone, Debug)]
pub struct Tracer {
    queue: mpsc::Sender<Span>,
    dropped: Arc<AtomicU64>,
    /// Traces that begin here and whose random number is below are sampled.
    below: u64,
}

task_local! {
    /// The span that this task works for.
    static CURRENT: Arc<Active>;
}

/// A span that goes on; complete when it is dropped, however that came.
#[derive(Debug)]
struct Active {
    tracer: Tracer,
    span: Mutex<Span>,
}

impl Drop for Active {
    fn drop(&mut self) {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner).clone();
        span.ended = clock::wall();
        if self.tracer.queue.try_send(span).is_err() {
            self.tracer.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Tracer {
    /// One that samples this part of the traces that begin here, from 0 to 1, and where its spans come out.
    pub fn new(ratio: f64) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(SPANS_MAX);
        (Self { queue, dropped: Arc::default(), below: below(ratio) }, spans)
    }

    /// How many spans wait, and how many were lost since too many waited.
    pub fn queue(&self) -> (usize, u64) {
        (SPANS_MAX - self.queue.capacity(), self.dropped.load(Relaxed))
    }

    /// Whether a request is sampled that has these header fields: as its caller says, if that traces it.
    pub fn start(&self, parent: Option<&[u8]>, state: impl FnOnce() -> String) -> Option<Start> {
        match parent.and_then(parse) {
            Some((trace, span, sampled)) => sampled.then(|| {
                let mut state = state();
                if state.len() > STATE_BYTES_MAX {
                    state.clear(); // a part of it would be wrong
                }
                Start { trace, parent: Some(span), state }
            }),
            None if self.below == 0 => None,
            None => {
                let (first, last) = (random(), random());
                (last < self.below).then(|| Start {
                    trace: (u128::from(first) << 64 | u128::from(last)).to_be_bytes(),
                    parent: None,
                    state: String::new(),
                })
            }
        }
    }

    /// Does work as a span.
    pub async fn scope<T>(&self, start: Start, name: String, work: impl Future<Output = T>) -> T {
        let active = Arc::new(self.active(start, name, Role::Server));
        CURRENT.scope(active, work).await
    }

    fn active(&self, start: Start, name: String, role: Role) -> Active {
        let now = clock::wall();
        let id = random().max(1).to_be_bytes();
        let (attributes, failed) = (Vec::new(), false);
        let span = Span { start, id, name, role, begun: now, ended: now, attributes, failed };
        Active { tracer: self.clone(), span: Mutex::new(span) }
    }
}

/// Notes what is known of the span that this task works for, if it works for one.
pub fn note(name: &'static str, value: impl FnOnce() -> String) {
    change(|span| span.attributes.push((name, value())));
}

/// Notes that the span that this task works for failed.
pub fn note_failure() {
    change(|span| span.failed = true);
}

fn change(change: impl FnOnce(&mut Span)) {
    let changed = CURRENT.try_with(|active| {
        change(&mut active.span.lock().unwrap_or_else(PoisonError::into_inner));
    });
    // most work is for no span
    changed.unwrap_or_default();
}

/// Does work that is a part of the span that this task works for, as a span of its own; it fails if the
/// work does.
pub async fn part<T, E>(
    name: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let part = CURRENT.try_with(|active| {
        let span = active.span.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Start { parent: Some(span.id), ..span.start.clone() };
        active.tracer.active(start, name.to_owned(), Role::Client)
    });
    let Ok(part) = part else { return work.await };
    CURRENT
        .scope(Arc::new(part), async {
            let result = work.await;
            if result.is_err() {
                note_failure();
            }
            result
        })
        .await
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "such a conversion saturates"
)]
fn below(ratio: f64) -> u64 {
    (ratio * u64::MAX as f64) as u64
}

/// The trace, the caller's span and whether it is sampled, of a field `traceparent` (W3C, 3.2).
fn parse(text: &[u8]) -> Option<([u8; 16], [u8; 8], bool)> {
    let text = str::from_utf8(text).ok()?;
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte) || byte == b'-';
    let (head, rest) = text.split_at_checked(55)?;
    if !head.bytes().all(lower) {
        return None;
    }
    let mut parts = head.split('-');
    let [version, trace, span, flags] =
        [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let fits = (version.len(), trace.len(), span.len(), flags.len()) == (2, 32, 16, 2);
    // later versions may say more at the end
    let known = version != "ff" && (rest.is_empty() || version != "00" && rest.starts_with('-'));
    let trace = u128::from_str_radix(trace, 16).ok()?;
    let span = u64::from_str_radix(span, 16).ok()?;
    let flags = u8::from_str_radix(flags, 16).ok()?;
    (fits && known && trace != 0 && span != 0)
        .then(|| (trace.to_be_bytes(), span.to_be_bytes(), flags & 1 == 1))
}

/// A number that no two spans share: `SplitMix64`, from another beginning in each thread.
fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one("spans"));
    }
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn started(parent: &str) -> Option<Start> {
        let (tracer, _spans) = Tracer::new(0.0);
        tracer.start(Some(parent.as_bytes()), || "a=b".to_owned())
    }

    #[test]
    fn what_the_caller_samples_is_sampled_and_nothing_else_by_default() {
        let start = started(PARENT).unwrap();
        assert_eq!(start.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes());
        assert_eq!(start.parent, Some(0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()));
        assert_eq!(start.state, "a=b");
        assert!(started(&PARENT.replace("-01", "-03")).is_some());
        assert!(started(&format!("{}-more", PARENT.replace("00-4", "01-4"))).is_some());
        let zeros = "00000000000000000000000000000000";
        for bad in [
            PARENT.replace("-01", "-00"),
            PARENT.replace("-01", ""),
            PARENT.replace("00-4", "ff-4"),
            PARENT.to_uppercase(),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", zeros),
            PARENT.replace("00f067aa0ba902b7", &zeros[..16]),
            format!("{PARENT}-more"),
            format!("{PARENT}é"),
            PARENT.replace('-', "_"),
            String::new(),
        ] {
            assert_eq!(started(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_ratio_samples_so_many_of_those_that_begin_here() {
        let (all, _spans) = Tracer::new(1.0);
        let (half, _spans) = Tracer::new(0.5);
        let sampled = |tracer: &Tracer| {
            (0..10_000).filter(|_| tracer.start(None, String::new).is_some()).count()
        };
        assert_eq!(sampled(&all), 10_000);
        assert!((4_500..5_500).contains(&sampled(&half)));
    }

    #[tokio::test]
    async fn a_part_belongs_to_its_span_and_spans_beyond_the_bound_are_dropped_and_counted() {
        let (tracer, mut spans) = Tracer::new(1.0);
        let start = tracer.start(None, String::new).unwrap();
        let work = async {
            note("way", || "batch".to_owned());
            part("database", async { Err::<(), ()>(()) }).await
        };
        tracer.scope(start.clone(), "call".to_owned(), work).await.unwrap_err();
        let (inner, outer) = (spans.recv().await.unwrap(), spans.recv().await.unwrap());
        assert_eq!((inner.start.trace, inner.start.parent), (start.trace, Some(outer.id)));
        assert_eq!((inner.failed, outer.failed), (true, false));
        assert_eq!(outer.attributes, [("way", "batch".to_owned())]);
        for _ in 0..SPANS_MAX + 3 {
            tracer.scope(start.clone(), "call".to_owned(), async {}).await;
        }
        assert_eq!(tracer.queue(), (SPANS_MAX, 3));
    }
}
