//! Owns `postmaster.pid` and what an earlier run may have left of itself: a stale file, a zombie's file, live processes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::Deadline;

use super::error::PostgresError;
use super::identity::User;

/// What a running server says of itself. The server writes the file piece by piece, so all but the pid may be missing.
#[derive(Debug)]
pub(super) struct PidFile {
    pub pid: Pid,
    pub port: Option<u16>,
    pub socket_dir: Option<PathBuf>,
    pub ready: bool,
}

pub(super) fn read(cluster: &Path) -> Option<PidFile> {
    parse(&fs::read_to_string(cluster.join("postmaster.pid")).ok()?)
}

fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    // A server in single-user mode writes its pid with a minus.
    let pid = lines.next()?.trim().parse::<i32>().ok()?.checked_abs().and_then(Pid::from_raw)?;
    let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
    let socket_dir = lines.next().filter(|line| !line.is_empty()).map(PathBuf::from);
    let ready = lines.nth(2).is_some_and(|line| line.trim() == "ready");
    Some(PidFile { pid, port, socket_dir, ready })
}

/// Whether this process is a Postgres server at work in this cluster. A pid alone proves nothing: it may be
/// somebody else's by now, or a zombie's, which still answers to signals but has no working folder.
pub(super) fn works_in(pid: Pid, cluster: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let name = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    matches!(name.trim(), "postgres" | "postmaster")
        && fs::read_link(proc.join("cwd")).is_ok_and(|cwd| cwd == cluster)
}

fn workers(cluster: &Path) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| works_in(*pid, cluster))
        .collect()
}

/// What was found and put right before the start.
#[derive(Debug, Default)]
pub(super) struct Healed {
    pub orphan: Option<Pid>,
    pub stale_pid_file: bool,
}

/// Makes the cluster free for a new server. To be called under the owner's lock only: without it, the server found
/// at work could be one that somebody is using.
pub(super) fn heal(cluster: &Path, user: Option<&User>) -> Result<Healed, PostgresError> {
    let named = read(cluster).map(|file| file.pid);
    let orphan = named.filter(|pid| works_in(*pid, cluster));
    end_workers(cluster, orphan)?;
    let path = cluster.join("postmaster.pid");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(Healed { orphan, stale_pid_file: false });
    };
    // PostgreSQL believes any live process with that pid, a zombie too. It does not mind its own parent's pid, and
    // with the other lines kept it still makes sure that the shared memory of the old server is unused.
    let rest: String = text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned());
    let fresh = cluster.join("postmaster.pid.new");
    let write = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // The folder belongs to the user of the server: `create_new` follows no link that lies there.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(format!("{}\n{rest}", process::id()).as_bytes())?;
        if let Some(user) = user {
            // By the open file, for the same reason.
            fchown(&file, Some(user.uid), Some(user.gid))?;
        }
        file.sync_all()
    };
    write().map_err(PostgresError::file("write", &fresh))?;
    fs::rename(&fresh, &path).map_err(PostgresError::file("replace", &path))?;
    Ok(Healed { orphan, stale_pid_file: true })
}

/// Ends every server process that works in `cluster`. The postmaster is asked first, so that it can shut down in
/// order; processes that have lost theirs go by themselves as soon as they notice.
pub(super) fn end_workers(cluster: &Path, postmaster: Option<Pid>) -> Result<(), PostgresError> {
    let patience = match postmaster {
        Some(pid) => {
            signal(pid, Signal::INT);
            Duration::from_secs(30)
        }
        None => Duration::from_secs(5),
    };
    if all_gone(cluster, patience) {
        return Ok(());
    }
    for harder in [Signal::QUIT, Signal::KILL] {
        for pid in workers(cluster) {
            signal(pid, harder);
        }
        if all_gone(cluster, Duration::from_secs(5)) {
            return Ok(());
        }
    }
    match workers(cluster).first() {
        Some(pid) => Err(PostgresError::LeftoverStays {
            pid: pid.as_raw_nonzero().get(),
            path: cluster.to_path_buf(),
        }),
        None => Ok(()),
    }
}

fn all_gone(cluster: &Path, patience: Duration) -> bool {
    let until = Deadline::after(patience);
    loop {
        if workers(cluster).is_empty() {
            return true;
        }
        if until.is_over() {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn signal(pid: Pid, signal: Signal) {
    // A process that is gone already is what is wanted; one that stays is seen by the wait that follows.
    kill_process(pid, signal).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_and_a_beginning_are_read() {
        let whole =
            parse("77\n/d/pg\n1700000000\n5432\n/d/run\n\n  123  456\nready   \n").expect("whole");
        assert_eq!(whole.pid.as_raw_nonzero().get(), 77);
        assert_eq!(whole.port, Some(5432));
        assert_eq!(whole.socket_dir.as_deref(), Some(Path::new("/d/run")));
        assert!(whole.ready);
        let begun = parse("-78\n/d/pg\n").expect("begun");
        assert_eq!(begun.pid.as_raw_nonzero().get(), 78);
        assert!(begun.port.is_none() && begun.socket_dir.is_none() && !begun.ready);
        assert!(parse("").is_none() && parse("0\n").is_none() && parse("x\n").is_none());
    }
}
