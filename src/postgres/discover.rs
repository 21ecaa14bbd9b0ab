//! Owns the search for installed Postgres server binaries.
//!
//! `scripts/ensure-postgres` looks in the same places in the same order: change both together.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::PostgresError;

/// The oldest major version that the service's SQL runs on.
pub(super) const MINIMUM_MAJOR: u32 = 15;

/// A server that can be run.
#[derive(Debug)]
pub(super) struct Binaries {
    /// The folder with all the programs, free of symlinks.
    pub dir: PathBuf,
    /// What `postgres --version` says after its name.
    pub version: String,
    major: u32,
}

impl Binaries {
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// Finds the newest usable server, or, when `cluster` names data of a given major version, a server for that.
/// `explicit` is the user's word and has no fallback.
pub(super) fn discover(
    explicit: Option<&Path>,
    cluster: Option<(&Path, u32)>,
) -> Result<Binaries, PostgresError> {
    let places = match explicit {
        Some(dir) => vec![dir.to_path_buf()],
        None => usual_places(),
    };
    let mut rejected = Vec::new();
    let mut usable: Vec<Binaries> = Vec::new();
    let mut seen = BTreeSet::new();
    for place in &places {
        let Some(dir) = home_of(place).filter(|dir| seen.insert(dir.clone())) else {
            continue;
        };
        match inspect(dir) {
            Ok(found) if found.major >= MINIMUM_MAJOR => usable.push(found),
            Ok(old) => rejected.push(format!("{} is {}", old.dir.display(), old.version)),
            Err(problem) => rejected.push(problem),
        }
    }
    if usable.is_empty() {
        return Err(no_binaries(explicit, &places, &rejected));
    }
    let Some((path, data)) = cluster else {
        // The earliest place wins a tie, hence the reversal: `max_by_key` keeps the last.
        let newest = usable.into_iter().rev().max_by_key(|found| found.major);
        return newest.ok_or_else(|| no_binaries(explicit, &places, &rejected));
    };
    let majors: BTreeSet<u32> = usable.iter().map(|found| found.major).collect();
    let matching = usable.into_iter().find(|found| found.major == data);
    matching.ok_or_else(|| PostgresError::MajorMismatch {
        path: path.to_path_buf(),
        data,
        installed: majors.iter().map(u32::to_string).collect::<Vec<_>>().join(" and "),
    })
}

fn no_binaries(explicit: Option<&Path>, places: &[PathBuf], rejected: &[String]) -> PostgresError {
    let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
    PostgresError::NoBinaries {
        looked: match explicit {
            Some(dir) => format!("PGBIN={} only", dir.display()),
            None => looked.join(", "),
        },
        rejected: if rejected.is_empty() {
            String::new()
        } else {
            format!(" ({})", rejected.join("; "))
        },
    }
}

fn usual_places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    // libpq's development package ships pg_config alone, so its word is one more place to look, not an answer.
    places.extend(say("pg_config", "--bindir").map(PathBuf::from));
    places.extend(versioned("/usr/lib/postgresql", "", "bin"));
    if let Some(path) = env::var_os("PATH") {
        places.extend(env::split_paths(&path).filter(|dir| dir.is_absolute()));
    }
    places.extend(versioned("/usr", "pgsql-", "bin"));
    places.extend(versioned("/usr/libexec", "postgresql", ""));
    places.extend(versioned("/opt/homebrew/opt", "postgresql", "bin"));
    places.extend(versioned("/usr/local/opt", "postgresql", "bin"));
    let fixed =
        ["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin", "/run/current-system/sw/bin"];
    places.extend(fixed.map(PathBuf::from));
    let mut seen = BTreeSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

/// The folders `parent/<prefix>…/<below>` that exist, in the order of their names.
fn versioned(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(below))
        .filter(|dir| dir.is_dir())
        .collect();
    found.sort();
    found
}

/// Where the `postgres` of this place really lives, provided that `initdb` lives beside it: a symlink on PATH says
/// nothing about the files that the server needs around it.
fn home_of(place: &Path) -> Option<PathBuf> {
    let server = fs::canonicalize(place.join("postgres")).ok()?;
    let dir = server.parent()?;
    (server.is_file() && dir.join("initdb").is_file()).then(|| dir.to_path_buf())
}

fn inspect(dir: PathBuf) -> Result<Binaries, String> {
    let said = say(dir.join("postgres"), "--version")
        .ok_or_else(|| format!("{}/postgres does not run", dir.display()))?;
    let version = said.split_once(") ").map_or(said.as_str(), |(_, version)| version);
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse() {
        Ok(major) => Ok(Binaries { dir, version: version.to_owned(), major }),
        Err(_) => Err(format!("{}/postgres says `{said}`, which names no version", dir.display())),
    }
}

fn say(program: impl AsRef<std::ffi::OsStr>, question: &str) -> Option<String> {
    let output = Command::new(program)
        .arg(question)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_named_explicitly_has_no_fallback() {
        let error = discover(Some(Path::new("/proc/self/fdinfo")), None)
            .expect_err("no server lives there")
            .to_string();
        for word in [
            "PGBIN=/proc/self/fdinfo only",
            "apt-get install postgresql",
            "make run",
            "DATABASE_URL=",
        ] {
            assert!(error.contains(word), "{word} is missing in: {error}");
        }
    }
}
