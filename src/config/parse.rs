//! Reading single settings.

use std::{
    ffi::{OsStr, OsString},
    fmt, fs,
    path::Path,
    time::Duration,
};

use super::InvalidSetting;

/// A text that is in no log, whoever prints the settings.
#[derive(Clone)]
pub struct Hidden(String);

impl Hidden {
    /// Whether there is nothing in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(..)")
    }
}

/// A variable that is set to nothing is as good as one that is not set.
pub(super) fn filled<T: AsRef<OsStr>>(value: Option<&T>) -> Option<&OsStr> {
    value.map(AsRef::as_ref).filter(|value| !value.is_empty())
}

/// A text that is given as it is or in a file; the names are those of the two settings.
pub(super) fn text_or_file(
    (text, file): (Option<&Hidden>, Option<&OsString>),
    (text_setting, file_setting): (&'static str, &'static str),
) -> Result<Option<String>, InvalidSetting> {
    match (text.filter(|text| !text.0.is_empty()), filled(file)) {
        (Some(_), Some(_)) => Err(InvalidSetting::Both(text_setting, file_setting)),
        (Some(text), None) => Ok(Some(text.0.clone())),
        (None, Some(path)) => read(file_setting, Path::new(path)).map(Some),
        (None, None) => Ok(None),
    }
}

/// The content of a file.
pub(super) fn read(setting: &'static str, path: &Path) -> Result<String, InvalidSetting> {
    fs::read_to_string(path).map_err(|source| InvalidSetting::File {
        setting,
        path: path.to_owned(),
        source,
    })
}

const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        _ => Err("must be a time such as 500ms, 5s, 10m or 1h, ten years at most".to_owned()),
    }
}

pub(super) fn interval(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(interval) if interval >= Duration::from_millis(10) => Ok(interval),
        _ => Err("must be a time such as 500ms or 5s, 10ms at least".to_owned()),
    }
}
