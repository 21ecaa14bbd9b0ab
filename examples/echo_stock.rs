//! The bare service as tonic's guide has it: its own server, the runtime of `tokio::main`, the system's
//! allocator. Flags: `--limits`, `--ext-authz`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

#[path = "shared/echo.rs"]
mod echo_service;

use std::net::TcpListener;

use keyward::rpc::{
    envoy::service::auth::v3::authorization_server::AuthorizationServer,
    pb::authorize_server::AuthorizeServer,
};
use tonic::transport::Server;

use echo_service::Echo;

#[tokio::main]
async fn main() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let echo = Echo::from_arguments();
    let router = if echo.ext_authz {
        Server::builder().add_service(AuthorizationServer::new(echo))
    } else {
        Server::builder().add_service(AuthorizeServer::new(echo))
    };
    let serving = router.serve(address);
    println!("listening on {address}");
    serving.await.unwrap();
}
