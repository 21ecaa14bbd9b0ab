//! Owns the words for reaching a private server.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::{DATABASE, USER, sockets};

/// How to reach a private server. There is no password: who may enter the socket's folder may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// The folder of the socket, which takes the place of a host.
    pub socket_dir: PathBuf,
    /// The number in the socket's name.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database.
    pub database: String,
}

impl Connection {
    pub(super) fn of_ours(socket_dir: PathBuf) -> Self {
        Self {
            socket_dir,
            port: sockets::PORT,
            user: USER.to_owned(),
            database: DATABASE.to_owned(),
        }
    }

    /// The socket itself.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket_dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// The connection as a URL that psql and other clients take.
    #[must_use]
    pub fn url(&self) -> String {
        let mut host = String::new();
        for byte in self.socket_dir.as_os_str().as_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                    host.push(char::from(*byte));
                }
                // Writing to a String cannot fail.
                other => write!(host, "%{other:02X}").unwrap_or_default(),
            }
        }
        let Self { port, user, database, .. } = self;
        format!("postgresql:///{database}?host={host}&port={port}&user={user}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_survives_a_strange_path() {
        let connection = Connection::of_ours(PathBuf::from("/a b/ü&c"));
        assert_eq!(
            connection.url(),
            "postgresql:///keyward?host=/a%20b/%C3%BC%26c&port=5432&user=keyward"
        );
    }
}
