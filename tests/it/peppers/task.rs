//! The task that moves keys to the current pepper: the library over a real database, without a server.

use std::{sync::Arc, time::Duration};

use keyward::{
    clock,
    metrics::{
        Flushing, Gathering, Registry, Source,
        text::{Form, text},
    },
    model::{
        pepper::{Peppers, Upgrade},
        secret::{Digest, Pepper},
    },
    replica::Replica,
    rotation::{Upgrades, flush::Rotation},
    store::{Address, Store},
};
use tokio::{
    task::{JoinSet, yield_now},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{NEW, OLD, id};
use crate::support::{database::Database, eventually};

/// The task, and what it shares with others.
struct Task {
    upgrades: Arc<Upgrades>,
    flushing: Arc<Flushing>,
    stop: CancellationToken,
    running: JoinSet<()>,
}

impl Task {
    /// Runs with these peppers, the current one first, which the database may not know.
    fn run(store: Store, peppers: Arc<Peppers>) -> Self {
        let (replica, _applier) = Replica::new(Duration::from_secs(10));
        let (upgrades, stop) = (Arc::<Upgrades>::default(), CancellationToken::new());
        let flushing = Arc::new(Flushing::of("peppers"));
        let rotation = Rotation {
            store,
            peppers,
            upgrades: Arc::clone(&upgrades),
            replica,
            flushing: Arc::clone(&flushing),
            counts: Arc::default(),
        };
        let mut running = JoinSet::new();
        running.spawn(rotation.run(stop.clone()));
        Self { upgrades, flushing, stop, running }
    }

    /// Runs as a server does that has begun.
    async fn start(database: &Database, peppers: &[&str]) -> Self {
        let (store, peppers) = parts(database, peppers);
        store.recognise_peppers(&peppers).await.unwrap();
        Self::run(store, peppers)
    }

    /// When a round last ended well; `None`: never.
    fn round_end(&self) -> Option<String> {
        let registry = Registry::default();
        let flushing = Arc::clone(&self.flushing);
        registry.add(move |to: &mut Gathering| flushing.tell(to));
        let shown = text(&registry.gather(clock::now()), Form::Plain);
        let name = "keyward_flush_timestamp_seconds{queue=\"peppers\"} ";
        let at = shown.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        (at != "0").then(|| at.to_owned())
    }

    /// Waits until another round has ended.
    async fn next_round(&self) {
        let before = self.round_end();
        eventually("a round ends", async || {
            self.round_end().filter(|at| Some(at) != before.as_ref())
        })
        .await;
    }

    /// Ends it.
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }
}

/// What a task works with.
fn parts(database: &Database, peppers: &[&str]) -> (Store, Arc<Peppers>) {
    let address = Address { config: database.url.parse().unwrap(), tls: None };
    let mut peppers = peppers.iter().map(|text| Pepper::parse(text.as_bytes()).unwrap());
    let current = peppers.next().unwrap();
    let peppers = Peppers::new(current, peppers.collect()).unwrap();
    (Store::new(&address, 2).unwrap(), Arc::new(peppers))
}

#[tokio::test]
async fn a_database_from_before_a_pepper_came_is_told_of_it() {
    let database = Database::new();
    let (store, peppers) = parts(&database, &[NEW, OLD]);
    let task = Task::run(store, peppers);
    let known = format!(
        "SELECT count(*) FROM keyward.pepper WHERE id = '{}' AND first_current_at IS NOT NULL",
        id(NEW)
    );
    eventually("it is told", async || (database.number(&known).await == 1).then_some(())).await;
    task.end().await;
}

#[tokio::test]
async fn it_ends_when_a_database_from_before_needs_a_pepper_that_is_not_here() {
    let database = Database::new();
    let (store, peppers) = parts(&database, &[NEW]);
    let mut task = Task::run(store, peppers);
    timeout(Duration::from_secs(60), task.running.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(database.number("SELECT count(*) FROM keyward.pepper").await, 1);
}

/// A key that nobody knows.
fn numbered(number: u64) -> Upgrade {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    let old = Digest::from_bytes(bytes);
    bytes[31] = 1;
    Upgrade { old, new: Digest::from_bytes(bytes) }
}

#[tokio::test]
async fn its_rounds_end_while_keys_are_used_one_after_the_other() {
    let task = Task::start(&Database::new(), &[NEW, OLD]).await;
    let upgrades = Arc::clone(&task.upgrades);
    let mut uses = JoinSet::new();
    uses.spawn(async move {
        for number in 0.. {
            upgrades.note(numbered(number));
            while upgrades.waiting() > 0 {
                yield_now().await;
            }
            yield_now().await;
        }
    });
    task.next_round().await;
    task.next_round().await;
    uses.shutdown().await;
    task.end().await;
}
