//! Sends metrics and spans to an OpenTelemetry collector (OTLP over gRPC), from tasks that nothing waits for.
//!
//! A collector that is away, slow or restarts costs what does not fit the queue of spans, which is counted;
//! metrics are sums since the start, of which the next are as good.

mod convert;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tracing::{info, warn};

use crate::{
    clock::{self, Deadline},
    metrics::{Flushing, Registry},
    model::time::Now,
    rpc::otlp_pb::{
        collector::{
            metrics::v1::{
                ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
            },
            trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
        },
        resource::v1::Resource,
    },
    telemetry::{chain, trace::Span},
};
use convert::{attribute, metrics_to_pb, spans_to_pb};

/// Spans that are sent together.
const BATCH_SPANS_MAX: usize = 512;
/// How long spans wait for others, and a batch that could not be sent for the next try.
const BATCH_WAIT: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// How often the log says that a collector does not answer.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// What the last batch may take when the process ends.
const LAST_SEND_TIME_MAX: Duration = Duration::from_secs(2);

/// How to send.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the collector is.
    pub endpoint: Endpoint,
    /// What this service is called there, and other attributes of the resource.
    pub attributes: Vec<(String, String)>,
    /// How often metrics are sent.
    pub metrics_every: Duration,
    /// How long the collector may take.
    pub time_max: Duration,
}

/// Sends metrics and spans.
#[derive(Debug)]
pub struct Exporter {
    channel: Channel,
    resource: Resource,
    settings: Settings,
    begun: Now,
    /// Until when the log does not say again that the collector does not answer.
    quiet_until: Mutex<Deadline>,
}

/// What the log said of a collector that does not answer.
struct Complaints<'a> {
    quiet_until: &'a Mutex<Deadline>,
    failing: bool,
}

impl<'a> Complaints<'a> {
    const fn new(quiet_until: &'a Mutex<Deadline>) -> Self {
        Self { quiet_until, failing: false }
    }

    fn hear(&mut self, result: &Result<(), Status>, what: &'static str) {
        match result {
            Ok(()) if self.failing => {
                info!(what, "the collector takes telemetry again");
                self.failing = false;
            }
            Ok(()) => {}
            Err(status) => {
                let mut quiet_until =
                    self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
                if quiet_until.is_over() {
                    warn!(what, error = chain(status), "the collector does not take telemetry");
                    *quiet_until = Deadline::after(WARN_EVERY);
                }
                self.failing = true;
            }
        }
    }
}

impl Exporter {
    /// Connects when it first sends. Must be called on the runtime that sends.
    pub fn new(settings: Settings, begun: Now) -> Self {
        let attributes = settings.attributes.iter();
        let attributes = attributes.map(|(name, value)| attribute(name, value)).collect();
        let channel = settings.endpoint.connect_lazy();
        let quiet_until = Mutex::new(Deadline::after(Duration::ZERO));
        Self { channel, resource: Resource { attributes }, settings, begun, quiet_until }
    }

    /// Sends all metrics at an interval, and once more when told to stop.
    pub async fn send_metrics(
        self: Arc<Self>,
        (registry, flushing): (Arc<Registry>, Arc<Flushing>),
        stop: CancellationToken,
    ) {
        let mut complaints = Complaints::new(&self.quiet_until);
        while let Some(()) = stop.run_until_cancelled(sleep(self.settings.metrics_every)).await {
            let sent = self.send_all(&registry, self.settings.time_max).await;
            flushing.ended(&sent, clock::wall());
            complaints.hear(&sent, "metrics");
        }
        drop(self.send_all(&registry, LAST_SEND_TIME_MAX).await);
    }

    async fn send_all(&self, registry: &Registry, time_max: Duration) -> Result<(), Status> {
        let now = clock::now();
        let times = (self.begun.wall, now.wall);
        let metrics = metrics_to_pb(&registry.gather(now), &self.resource, times);
        let request = ExportMetricsServiceRequest { resource_metrics: vec![metrics] };
        let mut client = MetricsServiceClient::new(self.channel.clone());
        in_time(time_max, client.export(request)).await
    }

    /// Sends spans as they come, some together, and what is left when told to stop.
    pub async fn send_spans(
        self: Arc<Self>,
        (mut spans, flushing): (mpsc::Receiver<Span>, Arc<Flushing>),
        stop: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(BATCH_SPANS_MAX);
        let sending = self.send_on(&mut spans, &mut batch, &flushing);
        stop.run_until_cancelled(sending).await;
        while let Ok(span) = spans.try_recv() {
            batch.push(span);
        }
        if !batch.is_empty() {
            drop(self.send_batch(&batch, LAST_SEND_TIME_MAX).await);
        }
    }

    async fn send_on(
        &self,
        spans: &mut mpsc::Receiver<Span>,
        batch: &mut Vec<Span>,
        flushing: &Flushing,
    ) -> Infallible {
        let mut complaints = Complaints::new(&self.quiet_until);
        let mut retry_after = BATCH_WAIT;
        loop {
            if batch.is_empty() {
                spans.recv_many(batch, BATCH_SPANS_MAX).await;
            }
            sleep(retry_after).await;
            if let Some(room) = BATCH_SPANS_MAX.checked_sub(batch.len()).filter(|room| *room > 0)
                && !spans.is_empty()
            {
                spans.recv_many(batch, room).await;
            }
            let sent = self.send_batch(batch, self.settings.time_max).await;
            flushing.ended(&sent, clock::wall());
            complaints.hear(&sent, "spans");
            match sent {
                Err(status) if may_be_repeated(&status) => {
                    retry_after = (retry_after * 2).min(RETRY_AFTER_MAX);
                }
                Ok(()) | Err(_) => {
                    batch.clear();
                    retry_after = BATCH_WAIT;
                }
            }
        }
    }

    async fn send_batch(&self, batch: &[Span], time_max: Duration) -> Result<(), Status> {
        let resource_spans = vec![spans_to_pb(batch, &self.resource)];
        let mut client = TraceServiceClient::new(self.channel.clone());
        in_time(time_max, client.export(ExportTraceServiceRequest { resource_spans })).await
    }
}

async fn in_time<T>(
    time_max: Duration,
    sending: impl Future<Output = Result<T, Status>>,
) -> Result<(), Status> {
    match timeout(time_max, sending).await {
        Ok(sent) => sent.map(drop),
        Err(_elapsed) => Err(super::status::too_slow()),
    }
}

/// By the specification of OTLP (OTLP/gRPC, Failures).
fn may_be_repeated(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    )
}
