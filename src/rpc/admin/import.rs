//! `ImportKeys`: items come in, are stored some thousands at a time, and each time it is told how many are.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use super::{Answer, KeyAdminService};
use crate::{
    admin::{
        Admin, Call,
        jobs::{Arrived, Begun, begin_import, break_off, finish_import, receive_items},
    },
    clock::Deadline,
    model::job::Job,
    rpc::{
        convert::{ItemReader, import_options, job_to_pb},
        pb, status,
    },
    telemetry::chain,
};

/// Items that are stored at once.
const STORED_TOGETHER: usize = 5_000;
/// How long items wait for others that are to be stored with them.
const STORED_AFTER: Duration = Duration::from_secs(5);
const ITEMS_OF_MESSAGE_MAX: usize = 1_000;
const ITEMS_MAX: i64 = 10_000_000;

type Answers = <KeyAdminService as pb::key_admin_server::KeyAdmin>::ImportKeysStream;

/// An import whose items are arriving.
struct Arriving {
    admin: Arc<Admin>,
    call: Call,
    requests: Streaming<pb::ImportKeysRequest>,
    options: pb::ImportKeysOptions,
    job: Job,
    /// How many items have arrived.
    received: i64,
}

enum State {
    /// The job is to be told.
    Begun(Arriving),
    /// More items are to come.
    Receiving(Arriving),
    Ended,
}

pub(super) async fn import_keys(
    service: &KeyAdminService,
    request: Request<Streaming<pb::ImportKeysRequest>>,
) -> Answer<Answers> {
    let call = service.call(&request)?;
    let mut requests = request.into_inner();
    let first = requests.message().await?.unwrap_or_default();
    let Some(options) = first.options else {
        return Err(status::invalid_field("options", "is required in the first message"));
    };
    if !first.items.is_empty() {
        return Err(status::invalid_field("items", "must be absent in the first message"));
    }
    let import = import_options(&options, call.now)?;
    let admin = Arc::clone(&service.admin);
    let begun = begin_import(&admin, &call, &import).await.map_err(status::admin)?;
    let job = match begun {
        Begun::New(job) => job,
        Begun::Earlier(job) => {
            let told = told(&job, job.counts.total);
            return Ok(Response::new(stream::iter([Ok(told)]).boxed()));
        }
    };
    let arriving = Arriving { admin, call, requests, options, job, received: 0 };
    let answers = stream::try_unfold(State::Begun(arriving), |state| async {
        match state {
            State::Begun(arriving) => {
                let told = told(&arriving.job, 0);
                Ok(Some((told, State::Receiving(arriving))))
            }
            State::Receiving(arriving) => arriving.next().await.map(Some),
            State::Ended => Ok(None),
        }
    });
    Ok(Response::new(answers.boxed()))
}

fn told(job: &Job, received: i64) -> pb::ImportKeysResponse {
    pb::ImportKeysResponse { job: Some(job_to_pb(job)), received }
}

impl Arriving {
    /// Stores the next items and tells so, or lets the job begin. If the stream breaks off, so does the job.
    async fn next(mut self) -> Result<(pb::ImportKeysResponse, State), Status> {
        let (admin, call, id) = (Arc::clone(&self.admin), self.call.clone(), self.job.id);
        let result = self.store_some().await;
        match result {
            Ok(false) => Ok((told(&self.job, self.received), State::Receiving(self))),
            Ok(true) => Ok((told(&self.job, self.received), State::Ended)),
            Err(failure) => {
                if let Err(error) = break_off(&admin, &call, id).await {
                    debug!(error = chain(&error), "an import that broke off is ended later");
                }
                Err(failure)
            }
        }
    }

    /// Says whether the last items have arrived.
    async fn store_some(&mut self) -> Result<bool, Status> {
        let mut arrived = Arrived::default();
        let mut ended = false;
        let stored_at = Deadline::after(STORED_AFTER);
        while arrived.items.len() + arrived.errors.len() < STORED_TOGETHER {
            match timeout(stored_at.left(), self.requests.message()).await {
                Ok(Ok(Some(request))) => self.take(&request, &mut arrived)?,
                Ok(Ok(None)) => {
                    ended = true;
                    break;
                }
                Ok(Err(broken)) => return Err(broken),
                // the job is told that its stream still lives, be it that nothing has come
                Err(_elapsed) => break,
            }
        }
        let stored = receive_items(&self.admin, &self.call, &self.job, &arrived).await;
        self.job = stored.map_err(status::admin)?;
        if ended {
            let begun = finish_import(&self.admin, &self.call, self.job.id).await;
            self.job = begun.map_err(status::admin)?;
        }
        Ok(ended)
    }

    /// Reads the items of a message.
    fn take(
        &mut self,
        request: &pb::ImportKeysRequest,
        arrived: &mut Arrived,
    ) -> Result<(), Status> {
        if request.options.is_some() {
            return Err(status::invalid_field("options", "must be in the first message only"));
        }
        if request.items.len() > ITEMS_OF_MESSAGE_MAX {
            return Err(status::invalid_field("items", "must be 1000 at most"));
        }
        let reader = ItemReader {
            defaults: &self.options,
            peppers: &self.admin.peppers,
            brand: &self.admin.brand,
            now: self.call.now,
        };
        for item in &request.items {
            self.received += 1;
            let id = self.admin.new_id(self.call.now);
            let id = id.map_err(|error| status::admin(error.into()))?;
            match reader.read(item, self.received, id) {
                Ok(item) => arrived.items.push(item),
                Err(error) => arrived.errors.push(error),
            }
        }
        if self.received > ITEMS_MAX {
            return Err(status::invalid_field("items", "must be 10 000 000 at most in all"));
        }
        Ok(())
    }
}
