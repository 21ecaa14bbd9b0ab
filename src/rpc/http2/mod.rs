//! HTTP/2 (RFC 9113) on the authorize listener, by the crate `h2`.
//!
//! Requests for one decision, which are nearly all, are answered in the task of their connection as
//! soon as they are read (`hot`), and all answers to what came together leave together. Everything else
//! gets a task of its own and the services of tonic (`long`).

mod connection;
mod hot;
mod keepalive;
mod long;

use std::{pin::pin, time::Duration};

use tokio_stream::StreamExt;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::server::Connected;
use tracing::warn;

use crate::{
    rpc::{
        front::Front,
        listen::{
            CONNECTION_AGE_MAX, KEEPALIVE_EVERY, KEEPALIVE_TIME_MAX, Lane, Limits, Opening,
            REQUEST_TIME_MAX,
        },
    },
    telemetry::chain,
};

/// How long things may last.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From one sign of life of a client to the next ping.
    keepalive_every: Duration,
    /// From a ping to its answer.
    keepalive_max: Duration,
    /// Until a connection is asked to go.
    age_max: Duration,
    /// From a request to the first of its answer.
    request_max: Duration,
}

const TIMES: Times = Times {
    keepalive_every: KEEPALIVE_EVERY,
    keepalive_max: KEEPALIVE_TIME_MAX,
    age_max: CONNECTION_AGE_MAX,
    request_max: REQUEST_TIME_MAX,
};

/// What all connections of a lane have in common.
#[derive(Clone, Debug)]
struct Common {
    front: Front,
    streams_max: u32,
    times: Times,
    /// Cancelled when connections are to end as soon as their requests are answered.
    leaving: CancellationToken,
    /// The connections, and the requests that have tasks of their own.
    tasks: TaskTracker,
}

impl Common {
    fn new(front: &Front, streams_max: u32, times: Times) -> Self {
        let (leaving, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self { front: front.apart(), streams_max, times, leaving, tasks }
    }
}

/// Serves the connections of a lane until there are no more to come, then lets the open ones end.
pub async fn serve(lane: Lane, front: &Front, limits: Limits) {
    let common = Common::new(front, limits.streams_max, TIMES);
    let mut incoming = pin!(lane.incoming(Opening::Http2));
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok(stream) => {
                let peer = stream.connect_info();
                common.tasks.spawn(connection::serve(stream, peer, common.clone()));
            }
            Err(error) => warn!(error = chain(&error), "a connection was lost as it was taken"),
        }
    }
    common.leaving.cancel();
    common.tasks.close();
    common.tasks.wait().await;
}

#[cfg(test)]
mod tests;
