//! A real Redis: one server, with TLS or without, a cluster, or a master that a sentinel watches.

mod cluster;
mod process;
mod resp;
mod sentinel;
mod tls;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

pub(super) use self::process::free_port;
pub(crate) use self::{cluster::RedisCluster, resp::Connection, sentinel::RedisSentinel};
use self::{process::Process, tls::Certificate};
use super::TIME_MAX;

/// Whom `command` speaks as, so that a test may close the default user. The password is one that
/// no other server has, so that none is taken for ours.
const USER: &str = "support";

/// A running redis-server on a port of its own; killed when dropped, or when the tests end.
pub(crate) struct Redis {
    process: Process,
    way: Way,
    certificate: Option<Certificate>,
}

/// How `command` comes in.
struct Way {
    address: SocketAddr,
    /// Beside TLS, which [`resp`] does not speak.
    socket: Option<PathBuf>,
    password: String,
}

impl Redis {
    /// Starts one that keeps nothing on disk and lets everybody do everything, and waits until it
    /// answers. Its folder is called after `name`, which one test has for itself.
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// The same with more settings, as `--requirepass secret` in two words.
    pub(crate) async fn start_with(name: &str, settings: &[&str]) -> Self {
        Self::launch(name, None, |_, port| {
            let mut arguments = words(&["--port", &port.to_string()]);
            arguments.extend(words(settings));
            arguments
        })
        .await
    }

    /// Starts one that speaks nothing but TLS, with a certificate for `127.0.0.1` and `localhost`
    /// of its own authority. It asks clients for none.
    pub(crate) async fn start_tls(name: &str) -> Self {
        let certificate = Certificate::new(name).await;
        let [authority, own, key] =
            [certificate.authority(), certificate.own(), certificate.key()].map(text);
        Self::launch(name, Some(certificate), |folder, port| {
            words(&[
                "--port",
                "0",
                "--tls-port",
                &port.to_string(),
                "--tls-ca-cert-file",
                &authority,
                "--tls-cert-file",
                &own,
                "--tls-key-file",
                &key,
                "--tls-auth-clients",
                "no",
                "--unixsocket",
                &text(socket(folder)),
            ])
        })
        .await
    }

    async fn launch(
        name: &str,
        certificate: Option<Certificate>,
        settings: impl FnOnce(&Path, u16) -> Vec<String>,
    ) -> Self {
        let password = format!("{USER}-{}-{name}", std::process::id());
        let process = Process::start(name, |folder, port| {
            let mut arguments = words(&[
                "--bind",
                "127.0.0.1",
                "--dir",
                &text(folder),
                "--save",
                "",
                "--appendonly",
                "no",
                // a replica is fed at once, not when others may have come
                "--repl-diskless-sync-delay",
                "0",
                "--user",
                USER,
                "on",
                &format!(">{password}"),
                "~*",
                "&*",
                "+@all",
            ]);
            arguments.extend(settings(folder, port));
            arguments
        });
        let way = Way {
            address: process.address(),
            socket: certificate.as_ref().map(|_| socket(process.folder())),
            password,
        };
        let mut redis = Self { process, way, certificate };
        redis.until_it_answers().await;
        redis
    }

    async fn until_it_answers(&mut self) {
        let answers = || self.way.ask(&["PING"], TIME_MAX).is_ok_and(|answer| answer == "PONG");
        self.process.until("Redis answers", answers).await;
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.way.address
    }

    /// The URL for a client, without a user and a password.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.certificate.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://{}", self.way.address)
    }

    /// The certificate of the authority that a client must trust to speak TLS with it.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.certificate.as_ref().expect("start_tls makes a certificate").authority()
    }

    /// Ends it as a crash does: its port is closed, what it did not write is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again at the same port, with what it has kept on disk, and waits until it answers.
    pub(crate) async fn restart(&mut self) {
        self.process.restart();
        self.until_it_answers().await;
    }

    /// Halts it: connections are accepted by the system and stay open, but nothing is answered.
    pub(crate) fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on; it answers what was asked while it was halted.
    pub(crate) fn resume(&self) {
        self.process.resume();
    }

    /// Forgets all keys.
    pub(crate) fn flush(&self) {
        assert_eq!(self.command(&["FLUSHALL"]), "OK");
    }

    /// What it answers to a command, as a user who may do everything; see [`Connection::ask`] for
    /// how that is shown.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let answer = self.try_command(words, TIME_MAX);
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.process.logged()))
    }

    /// The same where it may not be reached, or not answer within `limit`.
    pub(crate) fn try_command(&self, words: &[&str], limit: Duration) -> io::Result<String> {
        self.way.ask(words, limit)
    }
}

impl Way {
    fn ask(&self, words: &[&str], limit: Duration) -> io::Result<String> {
        let mut connection = match &self.socket {
            Some(socket) => Connection::open_local(socket, limit)?,
            None => Connection::open(self.address, limit)?,
        };
        let welcome = connection.ask(&["AUTH", USER, &self.password])?;
        if welcome != "OK" {
            return Err(io::Error::other(welcome));
        }
        connection.ask(words)
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}
