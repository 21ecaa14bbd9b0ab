//! The servers that people have logged in to, in a file that nobody else may read.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::{connection::Route, error::CliError, read::Secret};

const FILE: &str = "config.json";
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The name of a context that is given none.
pub const DEFAULT: &str = "default";

/// A server and an admin key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// How to reach it.
    pub route: Route,
    /// The admin key's token.
    pub token: Secret,
    /// The admin key's id.
    pub key_id: String,
}

/// All servers that are remembered.
#[derive(Debug, PartialEq, Eq)]
pub struct Contexts {
    file: PathBuf,
    /// Which one is used if none is named.
    pub current: Option<String>,
    /// By name.
    pub all: BTreeMap<String, Context>,
}

impl Contexts {
    /// Those in the user's file; none if there is no file.
    pub fn load() -> Result<Self, CliError> {
        match folder() {
            Some(folder) => Self::read(folder.join(FILE)),
            None => Ok(Self { file: PathBuf::new(), current: None, all: BTreeMap::new() }),
        }
    }

    fn read(file: PathBuf) -> Result<Self, CliError> {
        let opened = match File::open(&file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { file, current: None, all: BTreeMap::new() });
            }
            Err(error) => return Err(unusable(&file, &error.to_string(), "")),
        };
        let metadata = opened.metadata();
        let metadata = metadata.map_err(|error| unusable(&file, &error.to_string(), ""))?;
        let mode = metadata.mode() & 0o777;
        if mode & 0o077 != 0 {
            let problem = format!("has tokens in it, and others may open it (mode {mode:04o})");
            let help =
                format!("`chmod 600 {}`, and make new tokens if somebody did", file.display());
            return Err(unusable(&file, &problem, &help));
        }
        let mut text = Zeroizing::new(String::new());
        let read = opened.take(FILE_BYTES_MAX).read_to_string(&mut text);
        read.map_err(|error| unusable(&file, &error.to_string(), ""))?;
        Self::parse(&file, &text).ok_or_else(|| {
            unusable(&file, "is not what `keyward login` writes", "mend or remove it")
        })
    }

    fn parse(file: &Path, text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let mut all = BTreeMap::new();
        for (name, context) in value.get("contexts")?.as_object()? {
            all.insert(name.clone(), context_of(context)?);
        }
        let current = value.get("current").and_then(Value::as_str).map(str::to_owned);
        Some(Self { file: file.to_owned(), current, all })
    }

    /// The context of this name, which must be there, or else the current one, if there is one.
    pub fn chosen(&self, name: Option<&str>) -> Result<Option<(&String, &Context)>, CliError> {
        match (name, &self.current) {
            (Some(name), _) => match self.all.get_key_value(name) {
                Some(found) => Ok(Some(found)),
                None => Err(unknown(name)),
            },
            (None, Some(current)) => Ok(self.all.get_key_value(current)),
            (None, None) => Ok(None),
        }
    }

    /// Writes the file: whole or not at all, for its owner alone.
    pub fn store(&self) -> Result<(), CliError> {
        if self.file.as_os_str().is_empty() {
            let problem = "neither XDG_CONFIG_HOME nor HOME says where servers may be remembered";
            return Err(CliError::usage(problem, "set one, or KEYWARD_SERVER and KEYWARD_TOKEN"));
        }
        let failed =
            |source| CliError::io(format!("{} cannot be written", self.file.display()), source);
        let folder = self.file.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(failed)?;
        let draft = folder.join(format!(".{FILE}.{}", std::process::id()));
        let written = self.write(&draft).and_then(|()| fs::rename(&draft, &self.file));
        if written.is_err() {
            drop(fs::remove_file(&draft));
        }
        written.map_err(failed)
    }

    fn write(&self, draft: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
        file.write_all(self.to_json().as_bytes())?;
        file.sync_all()
    }

    fn to_json(&self) -> Zeroizing<String> {
        let contexts = self.all.iter().map(|(name, context)| (name.clone(), of_context(context)));
        let contexts: Map<String, Value> = contexts.collect();
        let value = json!({ "current": self.current, "contexts": contexts });
        Zeroizing::new(format!("{value:#}\n"))
    }

    /// Where they are kept.
    pub fn file(&self) -> &Path {
        &self.file
    }
}

/// No context of this name.
pub fn unknown(name: &str) -> CliError {
    CliError::not_found(
        format!("there is no context {name:?}"),
        "`keyward contexts list` shows which there are, `keyward login --context NAME` makes one",
    )
}

fn unusable(file: &Path, problem: &str, help: &str) -> CliError {
    CliError::Contexts { file: file.to_owned(), problem: problem.into(), help: help.into() }
}

/// `$XDG_CONFIG_HOME/keyward`, or what stands for it (XDG Base Directory Specification).
fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    Some(home.or_else(|| set("HOME").map(|home| home.join(".config")))?.join("keyward"))
}

fn context_of(value: &Value) -> Option<Context> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let path = |name: &str| text(name).map(PathBuf::from);
    Some(Context {
        route: Route {
            server: text("server")?,
            ca: path("ca"),
            client_cert: path("client_cert"),
            client_key: path("client_key"),
        },
        token: Secret::new(text("token")?)?,
        key_id: text("key_id").unwrap_or_default(),
    })
}

fn of_context(context: &Context) -> Value {
    let Route { server, ca, client_cert, client_key } = &context.route;
    let mut value = json!({
        "server": server,
        "token": context.token.reveal(),
        "key_id": context.key_id,
    });
    for (name, path) in [("ca", ca), ("client_cert", client_cert), ("client_key", client_key)] {
        if let (Some(path), Some(object)) = (path, value.as_object_mut()) {
            object.insert(name.into(), path.to_string_lossy().into());
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let file = PathBuf::from("/nowhere/config.json");
        let context = Context {
            route: Route {
                server: "https://a:1".into(),
                ca: Some("/ca.pem".into()),
                ..Route::default()
            },
            token: Secret::new("secret".into()).unwrap(),
            key_id: "key_1".into(),
        };
        let all = BTreeMap::from([("one".to_owned(), context)]);
        let contexts = Contexts { file: file.clone(), current: Some("one".into()), all };
        assert_eq!(Contexts::parse(&file, &contexts.to_json()), Some(contexts));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for text in ["", "[]", "{}", r#"{"contexts": 1}"#, r#"{"contexts": {"a": {}}}"#] {
            assert_eq!(Contexts::parse(Path::new("x"), text), None, "{text}");
        }
    }
}
