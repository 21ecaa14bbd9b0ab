//! Waiting until the replica knows of a revision.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

/// How long anyone waits for a revision.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Tells of the revisions that the replica reaches.
#[derive(Clone, Debug)]
pub struct Reached {
    /// The last one.
    pub revision: watch::Receiver<i64>,
    /// Asks the follower to look at once.
    pub nudge: Arc<Notify>,
}

impl Reached {
    /// Waits until the replica has reached a revision, a quarter of a second at most. What holds
    /// after that, a decision says.
    pub(super) async fn wait_for(&self, wanted: i64) {
        let mut revision = self.revision.clone();
        if *revision.borrow_and_update() < wanted {
            self.nudge.notify_one();
            drop(timeout(WAIT_MAX, revision.wait_for(|now| *now >= wanted)).await);
        }
    }
}
