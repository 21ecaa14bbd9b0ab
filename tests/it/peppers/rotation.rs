//! A whole rotation, step by step.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use keyward::rpc::pb::{LookupKeyRequest, RegenerateKeyRequest};
use tokio::task::JoinSet;

use super::{
    Files, NEW, OLD, assert_audit_whole, forget_replicas, id, keys_of, pepper, status_of,
    until_keys_of,
};
use crate::support::{
    client::{Asker, Made, create, may_read, new_key, verdict},
    database::Database,
    eventually,
    server::Server,
};

/// Asks about keys in turn, and expects every answer to be that they may.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    workers: JoinSet<()>,
}

impl Load {
    fn start(server: &Server, tokens: &[String]) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut workers = JoinSet::new();
        for _ in 0..2 {
            let (Asker(mut client), tokens) = (server.asker(), tokens.to_vec());
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            workers.spawn(async move {
                for token in tokens.iter().cycle() {
                    if stop.load(Relaxed) {
                        return;
                    }
                    let answer = client.authorize(may_read(token)).await.unwrap();
                    assert_eq!(verdict(answer.get_ref()), "ALLOWED");
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        Self { stop, answered, workers }
    }

    /// Waits until so many more were answered.
    async fn goes_on_for(&self, requests: u64) {
        let until = self.answered.load(Relaxed) + requests;
        eventually("requests are answered", async || {
            (self.answered.load(Relaxed) >= until).then_some(())
        })
        .await;
    }

    /// Ends; panics if any answer was another one.
    async fn end(mut self) {
        self.stop.store(true, Relaxed);
        while let Some(worker) = self.workers.join_next().await {
            worker.unwrap();
        }
    }
}

async fn keys(server: &Server, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for number in 0..count {
        let made = create(&mut server.admin(), new_key(&format!("Turned {number}"))).await;
        server.asker().verdict(&made.token, made.revision).await;
        tokens.push(made.token);
    }
    tokens
}

/// That a key which one replica makes works at another one.
async fn assert_made_for(maker: &Server, other: &Server) -> Made {
    let made = create(&mut maker.admin(), new_key("Meanwhile")).await;
    assert_eq!(other.asker().verdict(&made.token, made.revision).await, "ALLOWED");
    made
}

#[tokio::test]
async fn no_answer_is_wrong_while_two_replicas_rotate_the_pepper_one_after_the_other() {
    let (database, files) = (Database::new(), Files::new("rotation"));
    let first = files.server(&database, &[OLD]).await;
    let mut tokens = keys(&first, 40).await;
    tokens.push(assert_made_for(&first, &first).await.token);
    let load = Load::start(&first, &tokens);
    load.goes_on_for(100).await;

    // step 1, while one replica knows nothing of it yet
    let second = files.server(&database, &[OLD, NEW]).await;
    let other_load = Load::start(&second, &tokens);
    other_load.goes_on_for(100).await;
    load.end().await;
    drop(first);
    let first = files.server(&database, &[OLD, NEW]).await;
    let load = Load::start(&first, &tokens);
    load.goes_on_for(100).await;
    assert_eq!(keys_of(&database, NEW).await, 0);

    // step 2 beside step 1, in both directions
    other_load.end().await;
    drop(second);
    let second = files.server(&database, &[NEW, OLD]).await;
    let other_load = Load::start(&second, &tokens);
    let of_old = assert_made_for(&first, &second).await;
    let of_new = assert_made_for(&second, &first).await;
    let admin_of_new = first.admin().lookup_key(LookupKeyRequest { token: of_new.token }).await;
    assert_eq!(admin_of_new.unwrap().into_inner().key, Some(of_new.key));

    // step 3: what is used moves, and the replica of step 1 does not move it back
    other_load.goes_on_for(100).await;
    let moved = tokens.len() + 1;
    let at_least = i64::try_from(moved).unwrap();
    eventually("all that is used has moved", async || {
        (keys_of(&database, NEW).await >= at_least).then_some(())
    })
    .await;
    load.goes_on_for(200).await;
    assert!(keys_of(&database, NEW).await >= at_least);
    load.end().await;
    drop(first);
    let first = files.server(&database, &[NEW, OLD]).await;
    let load = Load::start(&first, &tokens);
    // the root key was used by administrators
    second.asker().until(&of_old.token, "ALLOWED").await;
    until_keys_of(&database, NEW, at_least + 2).await;
    assert!(status_of(&database, OLD).await.contains("other; 0 secret(s)"));

    // step 4: a replica without the old one beside one that still has it
    forget_replicas(&database).await;
    let ended = pepper(&database, &["retire", &id(OLD)]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(status_of(&database, OLD).await.contains("retired"));
    other_load.goes_on_for(100).await;
    other_load.end().await;
    drop(second);
    let second = files.server(&database, &[NEW]).await;
    let other_load = Load::start(&second, &tokens);
    other_load.goes_on_for(100).await;
    load.goes_on_for(100).await;
    other_load.end().await;
    load.end().await;
    assert_audit_whole(&database).await;
    let events = "SELECT count(*) FROM keyward.audit_event WHERE action = 'peppers.upgrade'
        AND actor = 'keyward' AND kind = 'pepper'";
    assert!(database.number(events).await > 0);
}

#[tokio::test]
async fn a_replaced_token_moves_too_and_a_new_token_meanwhile_wins() {
    let (database, files) = (Database::new(), Files::new("grace"));
    let server = files.server(&database, &[OLD]).await;
    let made = create(&mut server.admin(), new_key("Grace")).await;
    let request = RegenerateKeyRequest {
        id: made.key.id.clone(),
        overlap: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        ..RegenerateKeyRequest::default()
    };
    let again = server.admin().regenerate_key(request.clone()).await.unwrap().into_inner();
    server.asker().verdict(&again.token, again.revision).await;
    drop(server);

    let server = files.server(&database, &[NEW, OLD]).await;
    let retiring = format!(
        "SELECT count(*) FROM keyward.key WHERE retiring_pepper = '{}' AND pepper IS DISTINCT FROM \
         retiring_pepper",
        id(NEW)
    );
    server.asker().until(&made.token, "ALLOWED").await;
    eventually("the replaced token has a new digest", async || {
        (database.number(&retiring).await == 1).then_some(())
    })
    .await;
    for token in [&made.token, &again.token] {
        server.asker().until(token, "ALLOWED").await;
    }
    let both = format!(
        "SELECT count(*) FROM keyward.key WHERE retiring_pepper = '{new}' AND pepper = '{new}'",
        new = id(NEW)
    );
    eventually("both have new digests", async || (database.number(&both).await == 1).then_some(()))
        .await;
    let version = "SELECT version FROM keyward.key WHERE display_name = 'Grace'";
    assert_eq!(database.number(version).await, 2);

    let last = server.admin().regenerate_key(request).await.unwrap().into_inner();
    assert_eq!(server.asker().verdict(&last.token, last.revision).await, "ALLOWED");
    assert_eq!(server.asker().verdict(&made.token, 0).await, "401 KEY_UNKNOWN");
    assert_eq!(server.asker().verdict(&again.token, 0).await, "ALLOWED");
}
