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

use super::{NEW, OLD, digest, id, keys_of, until_keys_of};
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

#[tokio::test]
async fn keys_keep_their_digests_while_an_import_is_under_way_that_knows_no_other() {
    let database = Database::new();
    let client = database.connect().await;
    // one item knows its token by the old pepper alone, the other one by the new one too
    let items = "INSERT INTO keyward.job (id, kind, state, parameters, created_at)
            VALUES (gen_random_uuid(), 'import_keys', 'receiving', '{}', now());
        INSERT INTO keyward.job_import (job_id, position, key_id, digest, other_digests, hint,
            display_name, description, permissions, labels, limits, groups)
        SELECT id, item.position, gen_random_uuid(), sha256('one'), item.others, '', '', '', '{}',
            '{}', '{}', '{}'
        FROM keyward.job, (VALUES (1, '{}'::bytea[]), (2, ARRAY['two'::bytea]))
            AS item (position, others)";
    client.batch_execute(items).await.unwrap();
    let task = Task::start(&database, &[NEW, OLD]).await;
    let [old, new] = [OLD, NEW].map(|pepper| {
        let digest = digest(&database.root_token, pepper);
        Digest::from_bytes(digest.try_into().unwrap())
    });
    eventually("it is noted", async || {
        task.upgrades.note(Upgrade { old, new });
        (task.upgrades.waiting() == 1).then_some(())
    })
    .await;
    task.next_round().await;
    task.next_round().await;
    assert_eq!(keys_of(&database, NEW).await, 0);
    client.batch_execute("DELETE FROM keyward.job_import WHERE position = 1").await.unwrap();
    until_keys_of(&database, NEW, 1).await;
    task.end().await;
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
