//! Owns the question as whom the server runs, since Postgres refuses to be root, and opens that user's way in.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use super::error::PostgresError;

/// The user that a root process hands the server to.
#[derive(Debug, Clone)]
pub(super) struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// `None` when we are an ordinary user and the server simply runs as us.
/// An existing cluster keeps its owner: a `postgres` user that was installed later could not open it.
pub(super) fn choose(cluster: &Path) -> Result<Option<User>, PostgresError> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let users: Vec<User> = passwd.lines().filter_map(parse).collect();
    if let Ok(owner) = fs::metadata(cluster)
        && owner.uid() != 0
    {
        let known = users.iter().find(|user| user.uid == owner.uid());
        let name = known.map_or_else(|| format!("uid {}", owner.uid()), |user| user.name.clone());
        return Ok(Some(User { name, uid: owner.uid(), gid: owner.gid() }));
    }
    let named = |name: &str| users.iter().find(|user| user.name == name && user.uid != 0).cloned();
    match named("postgres").or_else(|| named("nobody")) {
        Some(user) => Ok(Some(user)),
        None => Err(PostgresError::NobodyToRunAs),
    }
}

fn parse(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(User { name, uid, gid })
}

/// Makes a folder that only its owner may use and hands it to the user of the server.
pub(super) fn make_private_dir(path: &Path, user: Option<&User>) -> Result<(), PostgresError> {
    fs::DirBuilder::new().mode(0o700).create(path).map_err(PostgresError::file("create", path))?;
    match user {
        Some(user) => chown(path, Some(user.uid), Some(user.gid)).map_err(refused(path, user)),
        None => Ok(()),
    }
}

fn refused(path: &Path, user: &User) -> impl FnOnce(io::Error) -> PostgresError {
    let name = user.name.clone();
    let as_file = PostgresError::file("change the owner of", path);
    move |source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            PostgresError::CannotDropPrivileges { user: name, source }
        }
        _ => as_file(source),
    }
}

/// Makes the data folder unless it is there, and returns its real path.
pub(super) fn make_data_dir(path: &Path) -> Result<PathBuf, PostgresError> {
    if !path.is_dir() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(PostgresError::file("create", parent))?;
        }
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(PostgresError::file("create", path)(error));
            }
            _ => {}
        }
    }
    fs::canonicalize(path).map_err(PostgresError::file("open", path))
}

/// Lets `user` walk through the data folder to the cluster inside, and no more than that: the folder stays root's,
/// since it also holds files of the service that the database's user must be able neither to read nor to replace.
pub(super) fn open_way(data_dir: &Path, user: &User) -> Result<(), PostgresError> {
    if let Some(parent) = data_dir.parent() {
        check_way(parent, data_dir, user)?;
    }
    let facts = fs::metadata(data_dir).map_err(PostgresError::file("open", data_dir))?;
    if may_enter(&facts, user) {
        return Ok(());
    }
    chown(data_dir, None, Some(user.gid)).map_err(refused(data_dir, user))?;
    let mode = (facts.mode() & 0o7707) | 0o010;
    fs::set_permissions(data_dir, fs::Permissions::from_mode(mode))
        .map_err(PostgresError::file("change the mode of", data_dir))?;
    check_way(data_dir, data_dir, user)
}

/// Refuses when `user` may not enter `dir` or a folder above it. Only mode bits are read, as access lists are rare here.
pub(super) fn check_way(dir: &Path, goal: &Path, user: &User) -> Result<(), PostgresError> {
    let mut steps: Vec<&Path> = dir.ancestors().collect();
    steps.reverse();
    for step in steps {
        let facts = fs::metadata(step).map_err(PostgresError::file("open", step))?;
        if !may_enter(&facts, user) {
            return Err(PostgresError::NotReachable {
                user: user.name.clone(),
                blocked: step.to_path_buf(),
                path: goal.to_path_buf(),
            });
        }
    }
    Ok(())
}

fn may_enter(facts: &fs::Metadata, user: &User) -> bool {
    let bit = if facts.uid() == user.uid {
        0o100
    } else if facts.gid() == user.gid {
        0o010
    } else {
        0o001
    };
    facts.mode() & bit != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines_give_name_and_ids() {
        let user =
            parse("postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash")
                .expect("whole");
        assert_eq!((user.name.as_str(), user.uid, user.gid), ("postgres", 101, 104));
        assert!(parse("+::::::").is_none());
    }
}
