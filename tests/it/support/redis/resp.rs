//! RESP, the language of Redis, as far as tests speak it.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A connection, of nobody in particular until it says `AUTH`.
pub(crate) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
}

impl Connection {
    /// Connects, and will wait for an answer no longer than `limit`.
    pub(crate) fn open(address: SocketAddr, limit: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, limit)?;
        stream.set_read_timeout(Some(limit))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)) })
    }

    /// The same by a socket in the file system.
    pub(super) fn open_local(socket: &Path, limit: Duration) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(limit))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)) })
    }

    /// What is answered to a command: text and numbers as they are, an error with a `-` before it,
    /// what is not there as `(nil)`, and of an array one line for each element.
    pub(crate) fn ask(&mut self, words: &[&str]) -> io::Result<String> {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            write!(request, "${}\r\n{word}\r\n", word.len())?;
        }
        self.stream.get_mut().write_all(&request)?;
        self.answer()
    }

    /// The next answer, also of a command whose answer did not come in time.
    pub(crate) fn answer(&mut self) -> io::Result<String> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
        match kind {
            "+" | ":" => Ok(rest.to_owned()),
            "-" => Ok(line),
            "$" | "*" if rest == "-1" => Ok("(nil)".to_owned()),
            "$" => {
                let mut bytes = vec![0; rest.parse().map_err(io::Error::other)?];
                self.stream.read_exact(&mut bytes)?;
                self.line()?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            "*" => {
                let count: usize = rest.parse().map_err(io::Error::other)?;
                let elements: io::Result<Vec<_>> = (0..count).map(|_| self.answer()).collect();
                Ok(elements?.join("\n"))
            }
            _ => Err(io::Error::new(ErrorKind::InvalidData, line)),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let whole = line.strip_suffix("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        Ok(whole.to_owned())
    }
}
