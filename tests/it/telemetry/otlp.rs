//! What a collector gets: metrics and spans, whatever it does meanwhile.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use keyward::rpc::{
    otlp_pb::{
        collector::{
            metrics::v1::{
                ExportMetricsServiceRequest, ExportMetricsServiceResponse,
                metrics_service_server::{MetricsService, MetricsServiceServer},
            },
            trace::v1::{
                ExportTraceServiceRequest, ExportTraceServiceResponse,
                trace_service_server::{TraceService, TraceServiceServer},
            },
        },
        common::v1::{KeyValue, any_value::Value},
        metrics::v1::{Metric, metric::Data},
        trace::v1::Span,
    },
    pb::{AuthorizeRequest, GetKeyRequest},
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use super::Shown;
use crate::support::{
    client::{Made, create, may_read, new_key},
    database::Database,
    eventually,
    http1::{ask, get},
    server::Server,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What came.
#[derive(Clone, Default)]
struct Received {
    metrics: Arc<Mutex<Vec<Metric>>>,
    resource: Arc<Mutex<Vec<KeyValue>>>,
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_metrics {
            *self.resource.lock().unwrap() = of_resource.resource.unwrap().attributes;
            for of_scope in of_resource.scope_metrics {
                *self.metrics.lock().unwrap() = of_scope.metrics;
            }
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            for of_scope in of_resource.scope_spans {
                self.spans.lock().unwrap().extend(of_scope.spans);
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Received {
    async fn span(&self, name: &str) -> Span {
        eventually(name, async || {
            self.spans.lock().unwrap().iter().find(|span| span.name == name).cloned()
        })
        .await
    }
}

/// A collector.
struct Collector {
    at: SocketAddr,
    received: Received,
    /// Its connections end with it.
    serving: Option<Runtime>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let mut collector = Self { at, received: Received::default(), serving: None };
        collector.serve(listener);
        collector
    }

    fn serve(&mut self, listener: TcpListener) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (listener, received) = (listener.into_std().unwrap(), self.received.clone());
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            let serving = tonic::transport::Server::builder()
                .add_service(MetricsServiceServer::new(received.clone()))
                .add_service(TraceServiceServer::new(received))
                .serve_with_incoming(incoming);
            serving.await.unwrap();
        });
        self.serving = Some(runtime);
    }

    fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Ends with all its connections.
    fn stop(&mut self) {
        self.serving.take().unwrap().shutdown_background();
    }

    async fn bind_again(&self) -> TcpListener {
        eventually("the address is free", async || TcpListener::bind(self.at).await.ok()).await
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if self.serving.is_some() {
            self.stop();
        }
    }
}

async fn traced(collector: &Collector) -> (Server, Made) {
    let url = collector.url();
    let arguments = ["--otlp-endpoint", &url, "--otlp-metrics-interval", "50"];
    let server = Server::start_with(&Database::new(), &arguments).await;
    let made = create(&mut server.admin(), new_key("Traced")).await;
    assert_eq!(server.asker().verdict(&made.token, made.revision).await, "ALLOWED");
    (server, made)
}

fn with_parent<T>(message: T, flags: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("00-{TRACE}-{PARENT}-{flags}").parse().unwrap();
    request.metadata_mut().insert("traceparent", value);
    request.metadata_mut().insert("tracestate", "vendor=1".parse().unwrap());
    request
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

fn attributes(span: &Span) -> BTreeMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    };
    let pairs = span.attributes.clone().into_iter();
    pairs.map(|pair| (pair.key, text(pair.value.unwrap().value))).collect()
}

#[tokio::test]
async fn a_call_that_its_caller_traces_is_a_span_of_that_trace_and_others_are_not() {
    let collector = Collector::start().await;
    let (server, made) = traced(&collector).await;
    let mut asker = server.asker();
    asker.0.authorize(with_parent(may_read(&made.token), "00")).await.unwrap();
    asker.0.authorize(may_read(&made.token)).await.unwrap();
    let denied = AuthorizeRequest { permission: "games.play".into(), ..may_read(&made.token) };
    asker.0.authorize(with_parent(denied, "01")).await.unwrap();
    let span = collector.received.span("keyward.v1.Authorize/Authorize").await;
    assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!((span.trace_state.as_str(), span.kind), ("vendor=1", 2));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let known = [
        ("keyward.domain", "default"),
        ("keyward.environment", "production"),
        ("keyward.reason", "PERMISSION_DENIED"),
        ("rpc.grpc.status_code", "0"),
    ];
    let known = known.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(attributes(&span), BTreeMap::from(known));
    let lines = format!(
        "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\nTraceparent: 00-{TRACE}-{PARENT}-01\r\n"
    );
    ask(server.http, &get("/authorize?environment=production", &lines)).await;
    let span = collector.received.span("authorize").await;
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(attributes(&span)["http.response.status_code"], "401");
    let spans = collector.received.spans.lock().unwrap();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["keyward.v1.Authorize/Authorize", "authorize"]);
    let sent = format!("{spans:?}");
    assert!(!sent.contains(&made.token) && !sent.contains(&made.key.id), "{sent}");
}

#[tokio::test]
async fn an_admin_call_is_a_span_and_its_transactions_are_parts_of_it() {
    let collector = Collector::start().await;
    let (server, made) = traced(&collector).await;
    let request = GetKeyRequest { id: made.key.id };
    server.admin().get_key(with_parent(request, "01")).await.unwrap();
    let call = collector.received.span("keyward.v1.KeyAdmin/GetKey").await;
    let part = collector.received.span("database transaction").await;
    assert_eq!(hex(&call.parent_span_id), PARENT);
    assert_eq!((hex(&part.trace_id), part.parent_span_id), (TRACE.into(), call.span_id));
    assert_eq!(part.kind, 3);
}

#[tokio::test]
async fn a_collector_gets_the_metrics_that_are_shown() {
    let collector = Collector::start().await;
    let (server, _made) = traced(&collector).await;
    let of_decisions = |metrics: &[Metric]| {
        metrics.iter().find(|metric| metric.name == "keyward_keys_expired")?;
        let decisions = metrics.iter().find(|metric| metric.name == "keyward_decisions_total")?;
        let Some(Data::Sum(sum)) = &decisions.data else { panic!("{decisions:?}") };
        (sum.is_monotonic && sum.aggregation_temporality == 2).then_some(())
    };
    eventually("metrics arrive", async || {
        of_decisions(&collector.received.metrics.lock().unwrap())
    })
    .await;
    let shown = Shown::by(server.http).await.names();
    let sent = collector.received.metrics.lock().unwrap().clone();
    for metric in &sent {
        let name = match &metric.data {
            Some(Data::Histogram(histogram)) => {
                let point = &histogram.data_points[0];
                assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
                format!("{}_count", metric.name)
            }
            _ => metric.name.clone(),
        };
        assert!(shown.contains(&name), "{name}");
    }
    let histograms = sent.iter().filter(|one| matches!(one.data, Some(Data::Histogram(_)))).count();
    assert_eq!(sent.len() + 2 * histograms, shown.len());
    let resource = collector.received.resource.lock().unwrap().clone();
    let keys: Vec<&str> = resource.iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["service.name", "service.version"]);
}

#[tokio::test]
async fn a_collector_that_is_away_or_silent_costs_spans_beyond_the_queue_and_nothing_else() {
    let mut collector = Collector::start().await;
    let (server, made) = traced(&collector).await;
    let ask_traced = async |count: usize| {
        let mut asker = server.asker();
        for _ in 0..count {
            let request = with_parent(may_read(&made.token), "01");
            assert!(asker.0.authorize(request).await.unwrap().into_inner().allowed);
        }
    };
    collector.stop();
    // one that takes connections and never answers
    let silent = collector.bind_again().await;
    ask_traced(6000).await;
    let shown = Shown::by(server.http).await;
    assert!(shown.value("keyward_queue_dropped_total{queue=\"otlp_spans\"}") > 0.0);
    assert!(shown.value("keyward_queue_length{queue=\"otlp_spans\"}") > 0.0);
    drop(silent);
    eventually("a failure is counted", async || {
        let failures = "keyward_flush_failures_total{queue=\"otlp_metrics\"}";
        (Shown::by(server.http).await.value(failures) > 0.0).then_some(())
    })
    .await;
    assert_eq!(server.count_logged("the collector does not take telemetry"), 1);
    collector.received.metrics.lock().unwrap().clear();
    let listener = collector.bind_again().await;
    collector.serve(listener);
    collector.received.span("keyward.v1.Authorize/Authorize").await;
    eventually("metrics arrive again", async || {
        (!collector.received.metrics.lock().unwrap().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_ratio_traces_calls_whose_callers_say_nothing() {
    let collector = Collector::start().await;
    let url = collector.url();
    let arguments = ["--otlp-endpoint", &url, "--trace-sample-ratio", "1"];
    let server = Server::start_with(&Database::new(), &arguments).await;
    server.asker().ask(may_read("")).await;
    let span = collector.received.span("keyward.v1.Authorize/Authorize").await;
    assert_eq!((span.parent_span_id.len(), span.trace_id.len(), span.span_id.len()), (0, 16, 8));
    assert_eq!(attributes(&span)["keyward.reason"], "KEY_MISSING");
}
