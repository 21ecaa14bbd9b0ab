//! Owns `owner.lock`: which process a data folder belongs to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::clock::Deadline;

use super::error::PostgresError;

/// Held for as long as we own the data folder; the kernel lets go of it however we end.
#[derive(Debug)]
pub(super) struct OwnerLock {
    _held: File,
}

impl OwnerLock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, PostgresError> {
        let path = data_dir.join("owner.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(PostgresError::file("open", &path))?;
        if !wait_for(&file).map_err(PostgresError::file("lock", &path))? {
            return Err(PostgresError::InUse { path: data_dir.to_path_buf(), owner: owner(&path) });
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", process::id()))
            .map_err(PostgresError::file("write", &path))?;
        Ok(Self { _held: file })
    }
}

/// Takes the lock; false if somebody keeps it. It is tried for a moment: a child that an owner was
/// starting when it was killed has it until it becomes another program.
fn wait_for(file: &File) -> io::Result<bool> {
    let until = Deadline::after(Duration::from_millis(500));
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) if until.is_over() => return Ok(false),
            Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(5)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The owner writes its pid a moment after it takes the lock, so an empty file is asked again.
fn owner(path: &Path) -> String {
    let until = Deadline::after(Duration::from_millis(500));
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        match text.trim().parse::<u32>() {
            Ok(pid) => return format!("pid {pid}"),
            Err(_) if until.is_over() => return "another process".to_owned(),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}
