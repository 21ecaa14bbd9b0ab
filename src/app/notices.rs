//! Who is told of keys that are about to expire, and what counts them.

use std::{sync::Arc, time::Duration};

use crate::{
    app::meters::Meters,
    config::notices::{NoticeArgs, Receiver},
    notices::{census, deliver::Deliver},
    rpc::webhook::Webhook,
    store::Store,
    tasks::Tasks,
};

/// What makes and sends notices, if there is a receiver, and counts in any case.
pub(super) struct Notices {
    store: Store,
    deliver: Option<Deliver<Webhook>>,
    meters: Meters,
    interval: Duration,
}

impl Notices {
    /// Nothing runs yet. `replica` is another name after each start.
    pub(super) fn new(
        args: &NoticeArgs,
        receiver: Option<Receiver>,
        (store, replica): (Store, String),
        meters: &Meters,
    ) -> Self {
        let deliver = receiver.map(|receiver| Deliver {
            store: store.clone(),
            post: Webhook { url: receiver.url, tls: receiver.tls, time_max: args.notice_timeout },
            secrets: receiver.secrets,
            thresholds: args.notice_before.clone(),
            interval: args.notice_interval,
            replica,
            noticing: Arc::clone(&meters.noticing),
        });
        Self { store, deliver, meters: meters.clone(), interval: args.notice_interval }
    }

    /// Runs from now on.
    pub(super) fn start(self, tasks: &Tasks) {
        let counted = Arc::clone(&self.meters.counted);
        let counting = census::run(self.store, counted, self.interval, tasks.stop().clone());
        tasks.vital("counts", counting);
        if let Some(deliver) = self.deliver {
            tasks.vital("notices", deliver.run(tasks.stop().clone()));
        }
    }
}
