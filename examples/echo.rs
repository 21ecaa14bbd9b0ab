//! The bare service on Keyward's own listener, allocator and runtimes: what is left of a call when
//! nothing is decided. Flags: `--limits`, `--ext-authz`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

#[path = "shared/echo.rs"]
mod echo_service;

use std::{net::SocketAddr, thread};

use keyward::rpc::{
    envoy::service::auth::v3::authorization_server::AuthorizationServer,
    listen::{AUTHORIZE_MESSAGE_BYTES_MAX, Acceptor, Lane, Limits, Opening, bind},
    pb::authorize_server::AuthorizeServer,
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use echo_service::Echo;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STREAMS_MAX: u32 = 1024;

fn main() {
    let echo = Echo::from_arguments();
    let (listener, address) = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    println!("listening on {address}");
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let limits = Limits { connections_max: 10_000, streams_max: STREAMS_MAX };
    let (acceptor, mut lanes) = Acceptor::new(listener, threads, limits, None);
    let last = lanes.pop().unwrap();
    for lane in lanes {
        let _detached = thread::spawn(move || runtime().block_on(serve(lane, echo)));
    }
    runtime().block_on(async {
        let mut terminated =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
        tokio::select! {
            _ = terminated.recv() => {}
            () = acceptor.run(CancellationToken::new()) => {}
            () = serve(last, echo) => {}
        }
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn serve(lane: Lane, echo: Echo) {
    let server = Server::builder().max_concurrent_streams(STREAMS_MAX);
    let (incoming, bytes_max) = (lane.incoming(Opening::Http2), AUTHORIZE_MESSAGE_BYTES_MAX);
    let outcome = if echo.ext_authz {
        let service = AuthorizationServer::new(echo).max_decoding_message_size(bytes_max);
        server.serve_with_incoming(service, incoming).await
    } else {
        let service = AuthorizeServer::new(echo).max_decoding_message_size(bytes_max);
        server.serve_with_incoming(service, incoming).await
    };
    outcome.unwrap();
}
