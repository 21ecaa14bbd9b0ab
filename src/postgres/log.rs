//! Owns the server's log file: one file and its predecessor, so that it does not grow from start to start.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::error::PostgresError;

const LARGEST: u64 = 4 << 20;
const LINES_SHOWN: usize = 12;
const BYTES_SHOWN: u64 = 8 << 10;

/// The log from the beginning of this start.
#[derive(Debug)]
pub(super) struct ServerLog {
    pub path: PathBuf,
    begin: u64,
}

impl ServerLog {
    /// Opens the log for a server that is about to start, and puts one that has grown large aside.
    pub(super) fn open(data_dir: &Path) -> Result<(Self, File), PostgresError> {
        let path = data_dir.join("postgres.log");
        let mut begin = fs::metadata(&path).map_or(0, |facts| facts.len());
        if begin > LARGEST {
            fs::rename(&path, data_dir.join("postgres.log.1"))
                .map_err(PostgresError::file("put aside", &path))?;
            begin = 0;
        }
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(PostgresError::file("open", &path))?;
        Ok((Self { path, begin }, file))
    }

    /// The last lines that were written since [`ServerLog::open`]; empty if there are none or they cannot be read.
    pub(super) fn tail(&self) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&self.path)?;
            let end = file.metadata()?.len();
            file.seek(SeekFrom::Start(self.begin.max(end.saturating_sub(BYTES_SHOWN))))?;
            let mut text = Vec::new();
            file.take(BYTES_SHOWN).read_to_end(&mut text)?;
            Ok(text)
        };
        last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()))
    }
}

pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(LINES_SHOWN);
    lines.into_iter().skip(skipped).collect::<Vec<_>>().join("\n")
}
