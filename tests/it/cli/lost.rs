//! Connections that end before an answer came: a change that can be repeated is, and doubt is told.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::User;
use crate::support::operator::Site;

/// A key that nobody has.
const NOBODY: &str = "key_01m7xstrfsfh0tx2xay5s0g0qv";

/// A way to a server whose first connections end as soon as something came on them.
struct Way {
    address: SocketAddr,
    came: Arc<AtomicUsize>,
    passing: AbortHandle,
}

impl Way {
    async fn open(broken: usize, to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&came);
        let passing = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let is_broken = count.fetch_add(1, Relaxed) < broken;
                open.spawn(pass(near, to, is_broken));
            }
        });
        Self { address, came, passing: passing.abort_handle() }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

async fn pass(mut near: TcpStream, to: SocketAddr, is_broken: bool) -> io::Result<()> {
    if is_broken {
        return near.read(&mut [0; 4096]).await.map(drop);
    }
    let mut far = TcpStream::connect(to).await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

#[tokio::test]
async fn a_change_with_a_request_id_is_sent_again_after_a_lost_connection() {
    let site = Site::shared();
    let way = Way::open(1, site.server.admin).await;
    let user = User::with(way.address, &site.database.root_token);
    let (id, _) = user.make("Made at the second try").await;
    assert!(way.came.load(Relaxed) > 1);
    let way = Way::open(1, site.server.admin).await;
    let user = User::with(way.address, &site.database.root_token);
    let token = user.good(&["keys", "regenerate", &id]).await.printed;
    assert!(!token.is_empty() && way.came.load(Relaxed) > 1);
}

#[tokio::test]
async fn who_does_not_hear_what_became_of_a_change_is_told_how_to_repeat_it() {
    let site = Site::shared();
    let way = Way::open(usize::MAX, site.server.admin).await;
    let user = User::with(way.address, &site.database.root_token);
    for arguments in [&["keys", "create", "Lost", "-p", "a"][..], &["keys", "regenerate", NOBODY]] {
        let named = user.run(&[arguments, &["--request-id", "mine-1"]].concat()).await;
        named.assert_refusal(5, &["is not known", "`--request-id mine-1`"]);
        user.run(arguments).await.assert_refusal(5, &["is not known", "`--request-id "]);
    }
    let plain = user.run(&["keys", "deactivate", NOBODY]).await;
    plain.assert_refusal(5, &["is not known", "keyward keys show"]);
    for question in [&["keys", "list"][..], &["keys", "create", "Lost", "-p", "a", "--dry-run"]] {
        let asked = user.run(question).await;
        asked.assert_refusal(5, &["does not answer"]);
        assert!(!asked.complained.contains("is not known"), "{asked:?}");
    }
}
