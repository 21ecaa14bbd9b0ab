//! A way to the database that can be cut: nobody harms the server that tests share.

use std::{fs, path::PathBuf};

use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
};

use super::database::Database;
use crate::postgres::support::Scratch;

/// A socket that leads to the database while it is open.
pub(crate) struct Gate {
    folder: Scratch,
    target: PathBuf,
    passing: Option<AbortHandle>,
}

impl Gate {
    /// A gate, still shut, and the database as it is seen through it.
    pub(crate) fn new(name: &str, database: &Database) -> (Self, Database) {
        let folder = Scratch::new(&format!("gate-{name}"));
        let beyond = database.by_way_of(&folder.0);
        let gate = Self { folder, target: database.socket(), passing: None };
        (gate, beyond)
    }

    fn socket(&self) -> PathBuf {
        self.folder.0.join(self.target.file_name().unwrap())
    }

    /// Lets connections through.
    pub(crate) fn open(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let target = self.target.clone();
        let passing = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let target = target.clone();
                open.spawn(async move {
                    let mut far = UnixStream::connect(&target).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        });
        self.passing = Some(passing.abort_handle());
    }

    /// Cuts what goes through, and lets nothing through any more.
    pub(crate) fn shut(&mut self) {
        if let Some(passing) = self.passing.take() {
            passing.abort();
        }
        fs::remove_file(self.socket()).unwrap();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(passing) = self.passing.take() {
            passing.abort();
        }
    }
}
