//! Transport security: on the listeners, while its files change, and to PostgreSQL.

pub(crate) mod authority;
mod client;
mod command_line;
mod database;
mod doctor;
mod files;
mod listeners;
mod postgres;
mod refused;
mod rotation;

use std::path::Path;

use self::authority::Pair;
use crate::support::{database::Database, server::Server};

/// The certificate of a listener that tests connect to.
const LISTENER: &str = "IP:127.0.0.1, DNS:localhost";

/// The flags of TLS on one listener, such as `authorize`.
pub(crate) fn flags(listener: &str, own: &Pair, authorities: Option<&Path>) -> Vec<String> {
    let mut flags = vec![
        format!("--{listener}-tls-cert={}", own.certificate.display()),
        format!("--{listener}-tls-key={}", own.key.display()),
    ];
    flags.extend(authorities.map(|file| format!("--{listener}-tls-client-ca={}", file.display())));
    flags
}

/// A server with these flags, as soon as it listens.
async fn launch(database: &Database, flags: &[String]) -> Server {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    Server::launch(database, &flags).await
}
