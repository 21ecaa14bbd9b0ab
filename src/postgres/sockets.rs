//! Owns the folder of the server's socket: where it is and who may enter it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::error::PostgresError;
use super::identity::{User, make_private_dir};

/// The port in the socket's name. Nothing listens on a network.
pub(super) const PORT: u16 = 5432;

/// `sun_path` holds 108 bytes, one of them the NUL.
pub(super) const LONGEST_SOCKET: usize = 107;

/// Makes an empty folder that only the server's user (and root) may enter: below the data folder, or under /tmp when
/// the path of the socket would be too long there.
pub(super) fn make(data_dir: &Path, user: Option<&User>) -> Result<PathBuf, PostgresError> {
    let usual = data_dir.join("run");
    if fits(&usual) {
        // It is ours under the owner's lock, so whatever a dead server left there can go.
        match fs::remove_dir_all(&usual) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PostgresError::file("clear away", &usual)(error));
            }
            _ => {}
        }
        make_private_dir(&usual, user)?;
        return Ok(usual);
    }
    let owner = user.map_or_else(|| geteuid().as_raw(), |user| user.uid);
    // The same name at every start, so that a killed run leaves at most one folder behind.
    let mut hasher = DefaultHasher::new();
    data_dir.hash(&mut hasher);
    let short = PathBuf::from(format!("/tmp/keyward-{owner}-{:016x}", hasher.finish()));
    let unusable = |problem: String| PostgresError::SocketPathTooLong {
        path: data_dir.to_path_buf(),
        instead: short.clone(),
        problem,
    };
    // /tmp is everybody's: what lies there under our name is only trusted if it is ours alone.
    match fs::symlink_metadata(&short) {
        Ok(facts) if facts.is_dir() && facts.uid() == owner && facts.mode() & 0o7777 == 0o700 => {
            fs::remove_dir_all(&short).map_err(|error| unusable(error.to_string()))?;
        }
        Ok(_) => return Err(unusable("somebody else made it".to_owned())),
        Err(_) => {}
    }
    make_private_dir(&short, user).map_err(|error| unusable(error.to_string()))?;
    Ok(short)
}

fn fits(dir: &Path) -> bool {
    let socket = dir.join(format!(".s.PGSQL.{PORT}"));
    // PostgreSQL splits its list of socket folders at commas, with quotes around a name that holds one: not worth it.
    let plain = |byte: &u8| !matches!(byte, b',' | b'"' | b'\n');
    socket.as_os_str().len() <= LONGEST_SOCKET && dir.as_os_str().as_bytes().iter().all(plain)
}

/// Removes the folder if it is the stand-in under /tmp; the usual one stays for the next start.
pub(super) fn forget(socket_dir: &Path, data_dir: &Path) {
    if !socket_dir.starts_with(data_dir) {
        // A leftover is found and reused by the next start.
        fs::remove_dir_all(socket_dir).ok();
    }
}
