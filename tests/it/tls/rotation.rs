//! Certificates that are replaced while calls are made, none of which fails.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use tokio::task::JoinSet;
use tonic_health::pb::health_check_response::ServingStatus;

use super::{
    LISTENER,
    authority::{Authority, Pair, Valid, write},
    client::Client,
    flags, launch,
};
use crate::support::{
    client::{Asker, may_read, verdict},
    database::Database,
    eventually,
    server::Server,
};

const CALLERS: usize = 3;

/// The files of clients, which are read for each connection.
#[derive(Clone)]
struct Files {
    authorities: PathBuf,
    own: Arc<Mutex<Pair>>,
}

impl Files {
    fn client(&self) -> Client {
        Client::new(&self.authorities, Some(&self.own.lock().unwrap()))
    }
}

/// Calls that go on until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    /// Calls on connections of their own, and on those that stay.
    calls: [Arc<AtomicU64>; 2],
    callers: JoinSet<()>,
    staying: Vec<Client>,
}

impl Load {
    fn start(server: &Server, files: &Files) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let calls = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let (mut callers, mut staying) = (JoinSet::new(), Vec::new());
        let at = server.authorize;
        for _ in 0..CALLERS {
            let client = files.client();
            let mut staying_asker = Asker::new(client.channel(at));
            staying.push(client);
            let (stop_now, count, files) =
                (Arc::clone(&stop), Arc::clone(&calls[0]), files.clone());
            callers.spawn(async move {
                while !stop_now.load(Relaxed) {
                    let mut asker = Asker::new(files.client().channel(at));
                    for _ in 0..5 {
                        ask(&mut asker, &count).await;
                    }
                }
            });
            let (stop_now, count) = (Arc::clone(&stop), Arc::clone(&calls[1]));
            callers.spawn(async move {
                while !stop_now.load(Relaxed) {
                    ask(&mut staying_asker, &count).await;
                }
            });
        }
        Self { stop, calls, callers, staying }
    }

    /// Waits until more calls were made, of both kinds.
    async fn go_on(&self) {
        let before = self.calls.each_ref().map(|calls| calls.load(Relaxed));
        eventually("calls are made", async || {
            let now = self.calls.each_ref().map(|calls| calls.load(Relaxed));
            let more = now.iter().zip(before).all(|(now, before)| *now > before + 30);
            more.then_some(())
        })
        .await;
    }

    /// Asserts that no call has failed, and that connections that were to stay have.
    async fn end(mut self) {
        self.stop.store(true, Relaxed);
        while let Some(caller) = self.callers.join_next().await {
            caller.expect("no call fails");
        }
        for client in self.staying {
            assert_eq!(client.made(), 1, "it was not cut off");
        }
    }
}

async fn ask(asker: &mut Asker, count: &AtomicU64) {
    let answer = asker.0.authorize(may_read("unheard-of")).await.expect("an answer");
    assert_eq!(verdict(answer.get_ref()), "401 KEY_UNKNOWN");
    count.fetch_add(1, Relaxed);
}

/// Waits until new connections get this certificate.
async fn until_met(server: &Server, files: &Files, own: &Pair) {
    eventually("the certificate is used", async || {
        let client = files.client();
        assert_eq!(client.health(server.authorize).await.unwrap(), ServingStatus::Serving);
        client.has_met(own).then_some(())
    })
    .await;
}

/// Puts authorities into a file.
fn trust(file: &Path, authorities: &[&Authority]) {
    let all: Vec<u8> =
        authorities.iter().flat_map(|one| fs::read(one.certificate()).unwrap()).collect();
    write(file, &all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authorities_are_replaced_under_load_without_a_failed_call() {
    let (old, new) = (Authority::new("rotation-old").await, Authority::new("rotation-new").await);
    let name = "URI:spiffe://example.org/orders";
    let first = old.issue("first", LISTENER, Valid::Now).await;
    let client_first = old.issue("client-first", name, Valid::Now).await;
    let (servers, clients) = (new.folder().join("servers"), new.folder().join("clients"));
    fs::create_dir_all(&servers).unwrap();
    fs::create_dir_all(&clients).unwrap();
    let own = first.copy(&servers);
    let authorities = servers.join("authorities.pem");
    trust(&authorities, &[&old]);
    let files = Files {
        authorities: clients.join("ca.pem"),
        own: Arc::new(Mutex::new(client_first.clone())),
    };
    trust(&files.authorities, &[&old]);

    let mut settings = flags("authorize", &own, Some(&authorities));
    settings.push("--authorize-tls-clients=spiffe://example.org/*".into());
    settings.push("--tls-reload-interval=20ms".into());
    let server = launch(&Database::new(), &settings).await;
    files.client().until_serving(server.authorize).await;
    let load = Load::start(&server, &files);
    load.go_on().await;

    // the server's certificate
    let second = old.issue("second", LISTENER, Valid::Now).await;
    own.replace(&second);
    until_met(&server, &files, &second).await;
    load.go_on().await;

    // everything is from the new authority from now on; first both are trusted
    let taken = server.count_logged("took a certificate for TLS");
    trust(&authorities, &[&old, &new]);
    trust(&files.authorities, &[&old, &new]);
    eventually("both authorities are trusted", async || {
        (server.count_logged("took a certificate for TLS") > taken).then_some(())
    })
    .await;
    load.go_on().await;
    let third = new.issue("third", LISTENER, Valid::Now).await;
    own.replace(&third);
    until_met(&server, &files, &third).await;
    load.go_on().await;
    let client_second = new.issue("client-second", name, Valid::Now).await;
    *files.own.lock().unwrap() = client_second;
    load.go_on().await;
    trust(&authorities, &[&new]);
    // connections that it let in before stay
    let before = Client::new(&files.authorities, Some(&client_first));
    eventually("the old authority is trusted no more", async || {
        before.health(server.authorize).await.err()
    })
    .await;
    load.go_on().await;
    load.end().await;
    files.client().health(server.authorize).await.unwrap();
}
