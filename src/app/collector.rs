//! The OpenTelemetry collector that gets metrics and spans, if there is one.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::{
    app::meters::Meters,
    config::telemetry::TelemetryArgs,
    model::time::Now,
    rpc::otlp::{Exporter, Settings},
    tasks::Tasks,
    telemetry::trace::{Span, Tracer},
};

/// What sends to the collector, before it runs.
pub(super) struct Collector {
    /// Where spans are made.
    pub(super) tracer: Tracer,
    spans: mpsc::Receiver<Span>,
    settings: Settings,
    begun: Now,
}

impl Collector {
    /// The collector that was given, if one was.
    pub(super) fn of(args: &TelemetryArgs, meters: &Meters, begun: Now) -> Option<Self> {
        let endpoint = args.otlp_endpoint.0.clone()?;
        let (time_max, metrics_every) = args.times();
        let (tracer, spans) = Tracer::new(args.trace_sample_ratio);
        meters.add_collector(&tracer);
        let attributes = args.attributes();
        let settings = Settings { endpoint, attributes, metrics_every, time_max };
        Some(Self { tracer, spans, settings, begun })
    }

    /// Sends from now on, on this runtime.
    pub(super) fn run(self, meters: &Meters, tasks: &Tasks) {
        let exporter = Arc::new(Exporter::new(self.settings, self.begun));
        let spans = (self.spans, Arc::clone(&meters.otlp_spans));
        let metrics = (Arc::clone(&meters.registry), Arc::clone(&meters.otlp_metrics));
        let sending = Arc::clone(&exporter).send_spans(spans, tasks.stop().clone());
        tasks.vital("spans", sending);
        tasks.vital("sent metrics", exporter.send_metrics(metrics, tasks.stop().clone()));
    }
}
