//! Clients that answer pings and clients that do not.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use tokio::{io::duplex, time::timeout};

use super::{TIMES, Times, keepalive::Keepalive};

const TIME_MAX: Duration = Duration::from_secs(30);

/// Pings a client. Says `true` when it has answered so often, `false` when it did not in time.
async fn answers(times: Times, rounds: usize, client_listens: bool) -> bool {
    let (near, far) = duplex(1024);
    let client = h2::client::handshake(far);
    let (server, client) = tokio::join!(h2::server::handshake(near), client);
    let (mut server, (requests, client)): (h2::server::Connection<_, Bytes>, _) =
        (server.unwrap(), client.unwrap());
    let mut client = pin!(client);
    let mut keepalive = Keepalive::new(server.ping_pong().unwrap(), &times);
    let mut answered = 0;
    let seen = poll_fn(|context| {
        if client_listens {
            assert!(client.as_mut().poll(context).is_pending());
        }
        let waited = keepalive.awaits_answer();
        if keepalive.poll(context).is_ready() {
            return Poll::Ready(false);
        }
        answered += usize::from(waited && !keepalive.awaits_answer());
        assert!(server.poll_closed(context).is_pending());
        if answered >= rounds { Poll::Ready(true) } else { Poll::Pending }
    });
    let seen = timeout(TIME_MAX, seen).await.expect("a ping or its end");
    drop(requests);
    seen
}

#[tokio::test]
async fn a_client_that_answers_pings_is_pinged_again_and_again() {
    let keepalive_every = Duration::from_millis(1);
    assert!(answers(Times { keepalive_every, ..TIMES }, 3, true).await);
}

#[tokio::test]
async fn a_client_that_does_not_answer_a_ping_is_found_out() {
    let [keepalive_every, keepalive_max] = [Duration::from_millis(1), Duration::from_millis(20)];
    assert!(!answers(Times { keepalive_every, keepalive_max, ..TIMES }, 1, false).await);
}
