//! Another log level for a while: what a file says, until its time is over. So a level that somebody forgets
//! does not fill a disk, and whoever may write that file needs no key.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{clock, model::time::Timestamp, telemetry::Levels};

const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const FILE_BYTES_MAX: u64 = 1024;

/// What a file says.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    level: String,
    until: Timestamp,
}

/// Sets what the file says, and the usual level when its time is over, until told to stop.
pub(super) async fn follow(levels: &Levels, file: PathBuf, stop: CancellationToken) {
    let (mut present, mut known) = (levels.usual.clone(), None);
    while let Some(()) = stop.run_until_cancelled(sleep(LOOK_EVERY)).await {
        let written = written(&file);
        let wish = written.and_then(|written| read(&file, written));
        let wanted = match &wish {
            Some(Ok(wish)) if wish.until > clock::wall() => &wish.level,
            Some(Ok(_)) | None => &levels.usual,
            Some(Err(wrong)) => {
                if known != written {
                    warn!(file = %file.display(), wrong, "the file sets no log level");
                }
                &levels.usual
            }
        };
        if *wanted != present {
            match levels.set(wanted) {
                Ok(()) => info!(levels = wanted, "another log level"),
                Err(error) if known != written => {
                    warn!(file = %file.display(), %error, "the file sets no log level");
                }
                Err(_) => {}
            }
            present.clone_from(wanted);
        }
        known = written;
    }
}

/// When a file was written; `None` if there is none.
fn written(file: &Path) -> Option<Timestamp> {
    let written = fs::metadata(file).ok()?.modified().ok()?;
    let since_1970 = written.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(i64::try_from(since_1970.as_micros()).ok()?))
}

fn read(file: &Path, written: Timestamp) -> Option<Result<Wish, &'static str>> {
    if fs::metadata(file).ok()?.len() > FILE_BYTES_MAX {
        return Some(Err("it is too long"));
    }
    Some(parse(&fs::read_to_string(file).ok()?, written))
}

/// A level and for how long, such as `debug for 15m`.
fn parse(text: &str, written: Timestamp) -> Result<Wish, &'static str> {
    const FORM: &str = "must be a level and a time of a day at most, such as `debug for 15m`";
    let (level, span) = text.trim().split_once(" for ").ok_or(FORM)?;
    let span = humantime::parse_duration(span.trim()).ok().filter(|span| *span <= TIME_MAX);
    Ok(Wish { level: level.trim().to_owned(), until: written.after(span.ok_or(FORM)?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_sets_a_level_for_a_time_that_ends() {
        let written = Timestamp::from_micros(1_000_000);
        let until = written.after(Duration::from_secs(900));
        for text in ["debug for 15m", " debug for 15m\n"] {
            assert_eq!(parse(text, written), Ok(Wish { level: "debug".into(), until }));
        }
        for bad in ["", "debug", "debug for", "debug for ever", "debug for 25h"] {
            assert!(parse(bad, written).is_err(), "{bad}");
        }
    }
}
