//! Background tasks: all are known, all are awaited, and one that must not end ends the process.

use std::{future::Future, time::Duration};

use tokio::{sync::mpsc, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of a process.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
    died: mpsc::Sender<&'static str>,
}

impl Tasks {
    /// No tasks yet, and where the name of a vital task arrives that ended before its time.
    pub fn new() -> (Self, mpsc::Receiver<&'static str>) {
        let (died, deaths) = mpsc::channel(1);
        let tasks = Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), died };
        (tasks, deaths)
    }

    /// Cancelled when the tasks are to end.
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Runs a task that goes on until [`Tasks::stop`]; if it ends before, by a panic too, the
    /// process is told.
    pub fn vital(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let alarm = self.alarm(name, &self.stop);
        self.tracker.spawn(async move {
            let _alarm = alarm;
            task.await;
        });
    }

    /// For what runs elsewhere and must go on until `stop`: to be held for as long as it does.
    pub fn alarm(&self, name: &'static str, stop: &CancellationToken) -> Alarm {
        Alarm { name, stop: stop.clone(), died: self.died.clone() }
    }

    /// Tells all tasks to end and waits for them. Says whether they did in time.
    pub async fn end(&self, time_max: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        timeout(time_max, self.tracker.wait()).await.is_ok()
    }
}

/// Tells of the end of what holds it when it is dropped, however that came.
#[derive(Debug)]
pub struct Alarm {
    name: &'static str,
    stop: CancellationToken,
    died: mpsc::Sender<&'static str>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.stop.is_cancelled() {
            // full: another task died before, and that is enough
            self.died.try_send(self.name).ok();
        }
    }
}
