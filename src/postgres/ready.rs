//! Owns the question whether our server answers, as opposed to any server.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::clock::Deadline;

use super::pidfile;
use super::server::{End, Server};
use super::{Connection, DATABASE, USER};

/// The replay of a long log after a crash may take minutes; a server that fails is seen at once by its end.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until the server takes sessions. The error is the reason in words.
pub(super) fn wait(server: &Server, cluster: &Path, connection: &Connection) -> Result<(), String> {
    let until = Deadline::after(PATIENCE);
    let mut last = "it has not said that it is ready".to_owned();
    loop {
        match server.wait(Some(Duration::ZERO)) {
            Some(End::Status(status)) => return Err(format!("it ended with {status}")),
            Some(End::Unknown) => return Err("it ended".to_owned()),
            None => {}
        }
        // The socket alone could be an orphan's; the file alone is written before the socket answers.
        let ours = pidfile::read(cluster).is_some_and(|file| file.pid == server.pid && file.ready);
        if ours {
            match greet(connection) {
                Ok(()) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
        }
        if until.is_over() {
            return Err(format!("{last} after {} s", PATIENCE.as_secs()));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Opens one session on the service's database and leaves it again.
fn greet(connection: &Connection) -> io::Result<()> {
    let mut stream = UnixStream::connect(connection.socket())?;
    let limit = Some(Duration::from_secs(5));
    stream.set_read_timeout(limit)?;
    stream.set_write_timeout(limit)?;
    stream.write_all(&hello()?)?;
    loop {
        let (kind, body) = message(&mut stream)?;
        match kind {
            b'Z' => break,
            b'E' => return Err(io::Error::other(complaint(&body))),
            b'R' if !body.starts_with(&[0; 4]) => {
                return Err(io::Error::other("it asks for a password"));
            }
            _ => {}
        }
    }
    // Terminate: type and a length that counts itself.
    stream.write_all(&[b'X', 0, 0, 0, 4])
}

fn hello() -> io::Result<Vec<u8>> {
    const PROTOCOL_3: u32 = 3 << 16;
    let words = format!("user\0{USER}\0database\0{DATABASE}\0\0");
    let length = u32::try_from(words.len() + 8).map_err(io::Error::other)?;
    let mut packet = Vec::from(length.to_be_bytes());
    packet.extend(PROTOCOL_3.to_be_bytes());
    packet.extend(words.as_bytes());
    Ok(packet)
}

fn message(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let (mut kind, mut length) = ([0_u8; 1], [0_u8; 4]);
    stream.read_exact(&mut kind)?;
    stream.read_exact(&mut length)?;
    // The length counts its own four bytes. No message of a session's beginning comes near the bound.
    let length = u32::from_be_bytes(length).saturating_sub(4);
    if length > 1 << 16 {
        return Err(io::Error::other("it does not speak PostgreSQL's protocol"));
    }
    let mut body = Vec::new();
    let read = stream.take(u64::from(length)).read_to_end(&mut body)?;
    if u32::try_from(read).ok() != Some(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((u8::from_be_bytes(kind), body))
}

/// An error is a row of texts, each led by a letter and ended by a NUL; `M` leads the sentence.
fn complaint(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let sentence = fields.find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(sentence.unwrap_or(b"it refuses sessions")).into_owned()
}
