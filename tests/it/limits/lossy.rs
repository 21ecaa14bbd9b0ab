//! A way to the database on which the answer to a COMMIT can be lost.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
};

use crate::{postgres::support::Scratch, support::database::Database};

/// A socket that leads to the database.
pub(super) struct Lossy {
    _folder: Scratch,
    losing: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
    passing: AbortHandle,
}

impl Lossy {
    /// One that loses nothing yet, and the database as it is seen through it.
    pub(super) fn new(name: &str, database: &Database) -> (Self, Database) {
        let folder = Scratch::new(&format!("lossy-{name}"));
        let beyond = database.by_way_of(&folder.0);
        let target = database.socket();
        let listener = UnixListener::bind(folder.0.join(target.file_name().unwrap())).unwrap();
        let (losing, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flags = (Arc::clone(&losing), Arc::clone(&lost));
        let passing = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                open.spawn(pass(near, target.clone(), flags.clone()));
            }
        });
        (Self { _folder: folder, losing, lost, passing: passing.abort_handle() }, beyond)
    }

    /// Loses the answer to the next COMMIT of a transaction that writes quotas, and its connection.
    pub(super) fn lose_next(&self) {
        self.lost.store(false, Relaxed);
        self.losing.store(true, Relaxed);
    }

    /// Whether it was lost: the database has committed.
    pub(super) fn has_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

/// Passes on what is said between two ends, until the answer that is to be lost.
async fn pass(
    mut near: UnixStream,
    target: PathBuf,
    (losing, lost): (Arc<AtomicBool>, Arc<AtomicBool>),
) -> io::Result<()> {
    let mut far = UnixStream::connect(&target).await?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut writes_quotas = false;
    loop {
        tokio::select! {
            length = near.read(&mut asked) => {
                let asked = asked.get(..length?).unwrap_or_default();
                if asked.is_empty() {
                    return Ok(());
                }
                writes_quotas |= has(asked, b"quota.write");
                far.write_all(asked).await?;
                if writes_quotas && has(asked, b"COMMIT") && losing.swap(false, Relaxed) {
                    // the answer says that it is done
                    let length = far.read(&mut answered).await?;
                    let answer = answered.get(..length).unwrap_or_default();
                    lost.store(has(answer, b"COMMIT"), Relaxed);
                    return Ok(());
                }
                if has(asked, b"COMMIT") {
                    writes_quotas = false;
                }
            }
            length = far.read(&mut answered) => {
                let answer = answered.get(..length?).unwrap_or_default();
                if answer.is_empty() {
                    return Ok(());
                }
                near.write_all(answer).await?;
            }
        }
    }
}

fn has(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
