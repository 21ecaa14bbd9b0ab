//! A real Caddy, which asks before it lets requests through.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::net::TcpStream;

use super::{child, eventually, redis::free_port};
use crate::postgres::support::Scratch;

/// A running Caddy; killed when dropped, or when the tests end.
pub(crate) struct Caddy {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: child::Server,
    _folder: Scratch,
}

impl Caddy {
    /// Starts one whose only site has these directives, in this order, and waits until it listens. Its
    /// folder is called after `name`, which one test has for itself.
    pub(crate) async fn start(name: &str, directives: &str) -> Self {
        let whole = |address: SocketAddr| {
            let port = address.port();
            format!("http://:{port} {{\nbind 127.0.0.1\nroute {{\n{directives}\n}}\n}}\n")
        };
        Self::start_whole(name, whole).await
    }

    /// The same with all of a configuration but what is for all sites.
    pub(crate) async fn start_whole(
        name: &str,
        configuration: impl Fn(SocketAddr) -> String,
    ) -> Self {
        let folder = Scratch::new(&format!("caddy-{name}"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let config = folder.0.join("Caddyfile");
        let storage = folder.0.display();
        let sites = configuration(address);
        let general = format!("admin off\nauto_https off\nstorage file_system {storage}");
        fs::write(&config, format!("{{\n{general}\n}}\n{sites}")).unwrap();
        let program = child::find(&["caddy"]);
        let program = program.expect("Caddy is needed for this test: scripts/ensure-nginx");
        // where it keeps its settings, which would be beside those of the user
        let home = format!("XDG_CONFIG_HOME={storage}");
        let (program, config) = (program.to_str().unwrap(), config.to_str().unwrap());
        let words = [&home, program, "run", "--adapter", "caddyfile", "--config", config];
        let env = child::find(&["env"]).expect("env is on every system");
        let process = child::Server::start(&env, &words.map(str::to_owned));
        let mut caddy = Self { address, process, _folder: folder };
        eventually("Caddy listens", async || {
            if let Some(status) = caddy.process.ended() {
                panic!("Caddy ended with {status}; it may not like {sites}");
            }
            TcpStream::connect(address).await.ok()
        })
        .await;
        caddy
    }
}
