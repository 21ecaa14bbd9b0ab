//! A real nginx, which asks before it lets requests through.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use tokio::net::TcpStream;

use super::{child, eventually, log_folder, redis::free_port};
use crate::postgres::support::Scratch;

/// A running nginx; killed when dropped, or when the tests end.
pub(crate) struct Nginx {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: child::Server,
    _folder: Scratch,
}

impl Nginx {
    /// Starts one whose only server has these directives, and waits until it listens. Its folder is
    /// called after `name`, which one test has for itself.
    pub(crate) async fn start(name: &str, directives: &str) -> Self {
        let server = |address| format!("server {{\nlisten {address};\n{directives}\n}}\n");
        let whole = |address| {
            format!("events {{ worker_connections 256; }}\nhttp {{\n{}\n}}\n", server(address))
        };
        Self::start_whole(name, whole).await
    }

    /// The same with all of a configuration, in which something stands in blocks `events` and `http`.
    pub(crate) async fn start_whole(
        name: &str,
        configuration: impl Fn(SocketAddr) -> String,
    ) -> Self {
        let folder = Scratch::new(&format!("nginx-{name}"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = log_folder().join(format!("nginx-{}-{name}.log", std::process::id()));
        let config = folder.0.join("nginx.conf");
        let configuration = settings(&folder.0, &log, &configuration(address));
        fs::write(&config, configuration).unwrap();
        let program = child::find(&["nginx"]);
        let program = program.expect("nginx is needed for this test: scripts/ensure-nginx");
        let words = ["-p", folder.0.to_str().unwrap(), "-c", config.to_str().unwrap()];
        let process = child::Server::start(&program, &words.map(str::to_owned));
        let mut nginx = Self { address, process, _folder: folder };
        eventually("nginx listens", async || {
            if let Some(status) = nginx.process.ended() {
                panic!("nginx ended with {status}: {:?}", fs::read_to_string(&log));
            }
            TcpStream::connect(address).await.ok()
        })
        .await;
        nginx
    }
}

/// Adds that it is one process that stays with the one that started it, and writes nowhere but to its
/// folder.
fn settings(folder: &Path, log: &Path, configuration: &str) -> String {
    let (folder, log) = (folder.display(), log.display());
    let parts = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders: Vec<_> =
        parts.iter().map(|part| format!("{part}_temp_path {folder}/{part};\n")).collect();
    let configuration =
        configuration.replacen("http {", &format!("http {{\n{}", folders.concat()), 1);
    // less grave errors quote the request, and with it a key in the query
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {log} crit;\n\
         {configuration}"
    )
}
