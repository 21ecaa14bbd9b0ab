//! Signals to end: servers and folders of a bench that is interrupted must go too.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use anyhow::{Result, ensure};
use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

static STOPPED: AtomicBool = AtomicBool::new(false);

/// Begins to listen for SIGINT and SIGTERM.
pub fn watch() -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    let _detached = thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        STOPPED.store(true, Relaxed);
    });
    Ok(())
}

/// An error once a signal has come; asked wherever something takes long.
pub fn check() -> Result<()> {
    ensure!(!STOPPED.load(Relaxed), "ended by a signal");
    Ok(())
}
