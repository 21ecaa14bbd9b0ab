//! Owns the cluster's files: making a new one, whole or not at all, and reading what an old one says of itself.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Signal, geteuid};

use super::discover::Binaries;
use super::error::{PostgresError, tells_of_full_disk};
use super::identity::{User, make_private_dir};
use super::{DATABASE, Durability, USER, launch, log, pidfile};

/// The major version of the cluster, `None` when there is no cluster yet. Anything else in its place is refused:
/// it may be data.
pub(super) fn major(cluster: &Path) -> Result<Option<u32>, PostgresError> {
    match fs::symlink_metadata(cluster) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(PostgresError::file("open", cluster)(error)),
        Ok(_) => {}
    }
    let not_a_cluster =
        |problem: String| PostgresError::NotACluster { path: cluster.to_path_buf(), problem };
    let path = cluster.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(_no_number) => {
                let text = text.trim().escape_debug();
                Err(not_a_cluster(format!("its PG_VERSION says `{text}`")))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(not_a_cluster("it has no PG_VERSION".to_owned()))
        }
        Err(error) => Err(PostgresError::file("read", &path)(error)),
    }
}

/// Whether the last server of this cluster ended without a shutdown, so that the next one replays its log.
pub(super) fn needs_recovery(cluster: &Path) -> bool {
    // The state is the third field of pg_control, after 8 + 4 + 4 bytes, in every version so far; 1 and 2 are the two
    // ways of being shut down. The answer only words a message, so an unreadable file counts as no.
    let mut head = [0_u8; 20];
    let read = File::open(cluster.join("global/pg_control"))
        .and_then(|mut file| file.read_exact(&mut head));
    let state = head.last_chunk().map(|state| u32::from_ne_bytes(*state));
    read.is_ok() && !matches!(state, Some(1 | 2))
}

/// Makes `cluster` by way of `cluster.new`, so that a start that is killed on the way leaves nothing that looks whole.
pub(super) fn create(
    cluster: &Path,
    binaries: &Binaries,
    user: Option<&User>,
    durability: Durability,
) -> Result<(), PostgresError> {
    let half = cluster.with_extension("new");
    pidfile::end_workers(&half, None)?;
    match fs::remove_dir_all(&half) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(PostgresError::file("clear away", &half)(error));
        }
        _ => {}
    }
    make_private_dir(&half, user)?;
    let made = fill(&half, binaries, user, durability);
    if made.is_err() {
        // The error at hand says more than a failure to tidy up, which the next start repeats anyway.
        fs::remove_dir_all(&half).ok();
    }
    made?;
    fs::rename(&half, cluster).map_err(PostgresError::file("put in place", cluster))?;
    if let (Durability::Durable, Some(parent)) = (durability, cluster.parent()) {
        File::open(parent)
            .and_then(|dir| dir.sync_all())
            .map_err(PostgresError::file("sync", parent))?;
    }
    Ok(())
}

fn fill(
    half: &Path,
    binaries: &Binaries,
    user: Option<&User>,
    durability: Durability,
) -> Result<(), PostgresError> {
    let throwaway = durability == Durability::Throwaway;
    // SIGKILL, since an initdb that is asked politely clears the folder away while the next start may be filling it.
    let mut initdb = launch::command(&binaries.program("initdb"), user, Signal::KILL);
    initdb.arg("--pgdata").arg(half);
    initdb.args(["--auth=trust", "--locale=C", "--encoding=UTF8"]);
    initdb.arg(format!("--username={USER}"));
    if throwaway {
        initdb.arg("--no-sync");
    }
    run("initdb", initdb, user, half, "")?;

    // In single-user mode, so that nothing here has to speak SQL over a socket.
    let mut single = launch::command(&binaries.program("postgres"), user, Signal::KILL);
    single.arg("--single").arg("-D").arg(half);
    // Without this an error in the statement still ends with status 0.
    single.args(["-c", "exit_on_error=on"]);
    if throwaway {
        single.arg("-F");
    }
    single.arg("postgres");
    let statement = format!("CREATE DATABASE {DATABASE} OWNER {USER}\n");
    run("creating the database", single, user, half, &statement)
}

fn run(
    step: &'static str,
    mut command: Command,
    user: Option<&User>,
    half: &Path,
    input: &str,
) -> Result<(), PostgresError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let refused =
        |command: &Command, source| launch::refusal(Path::new(command.get_program()), user, source);
    let mut child = command.spawn().map_err(|source| refused(&command, source))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that is gone before it reads tells why in its output.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(|source| refused(&command, source))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failure(step, &output, half))
}

fn failure(step: &'static str, output: &Output, half: &Path) -> PostgresError {
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if tells_of_full_disk(&said) {
        return PostgresError::DiskFull { path: half.to_path_buf() };
    }
    if said.contains("could not look up effective user ID") {
        return PostgresError::NamelessUser { uid: geteuid().as_raw() };
    }
    PostgresError::InitFailed {
        step,
        status: output.status.to_string(),
        tail: log::last_lines(&said),
    }
}
