//! Metrics and spans as OTLP has them.

use crate::{
    metrics::{BOUNDS_NANOS, Family, Kind, Sample, Spread, Value, number},
    model::time::Timestamp,
    rpc::otlp_pb::{
        common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
        metrics::v1::{
            AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
            ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
        },
        resource::v1::Resource,
        trace::v1::{
            ResourceSpans, ScopeSpans, Span as PbSpan, Status, span::SpanKind, status::StatusCode,
        },
    },
    telemetry::trace::{Role, Span},
};

/// Metrics from one time to another.
#[derive(Clone, Copy)]
struct Window {
    begun: u64,
    now: u64,
}

pub(super) fn metrics_to_pb(
    families: &[Family],
    resource: &Resource,
    (begun, now): (Timestamp, Timestamp),
) -> ResourceMetrics {
    let window = Window { begun: nanos(begun), now: nanos(now) };
    let metrics = families.iter().map(|family| family_to_pb(family, window)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
    ResourceMetrics { resource: Some(resource.clone()), scope_metrics }
}

fn family_to_pb(Family { metric, samples }: &Family, window: Window) -> Metric {
    let numbers = || samples.iter().filter_map(|sample| point(sample, window)).collect();
    let spreads = || samples.iter().filter_map(|sample| spread(sample, window)).collect();
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = match metric.kind {
        Kind::Gauge => Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Counter => {
            Data::Sum(Sum { data_points: numbers(), aggregation_temporality, is_monotonic: true })
        }
        Kind::Histogram => {
            Data::Histogram(Histogram { data_points: spreads(), aggregation_temporality })
        }
    };
    // UCUM, as OpenTelemetry wants units
    let unit = match metric.unit {
        "seconds" => "s",
        "bytes" => "By",
        _ => "1",
    };
    Metric {
        name: metric.name.into(),
        description: metric.help.into(),
        unit: unit.into(),
        data: Some(data),
    }
}

fn point(sample: &Sample, window: Window) -> Option<NumberDataPoint> {
    let Value::Number(value) = sample.value else { return None };
    Some(NumberDataPoint {
        start_time_unix_nano: window.begun,
        time_unix_nano: window.now,
        value: Some(number_data_point::Value::AsDouble(value)),
        attributes: sample.labels().map(|(name, value)| attribute(name, value)).collect(),
    })
}

fn spread(sample: &Sample, window: Window) -> Option<HistogramDataPoint> {
    let Value::Spread(spread) = &sample.value else { return None };
    let Spread { buckets, nanos } = &**spread;
    Some(HistogramDataPoint {
        start_time_unix_nano: window.begun,
        time_unix_nano: window.now,
        count: spread.count(),
        sum: Some(number(*nanos) / 1e9),
        bucket_counts: buckets.to_vec(),
        explicit_bounds: BOUNDS_NANOS.iter().map(|bound| number(*bound) / 1e9).collect(),
        attributes: sample.labels().map(|(name, value)| attribute(name, value)).collect(),
    })
}

pub(super) fn spans_to_pb(spans: &[Span], resource: &Resource) -> ResourceSpans {
    let spans = spans.iter().map(span_to_pb).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans }];
    ResourceSpans { resource: Some(resource.clone()), scope_spans }
}

fn span_to_pb(span: &Span) -> PbSpan {
    let kind = match span.role {
        Role::Server => SpanKind::Server,
        Role::Client => SpanKind::Client,
    };
    let code = if span.failed { StatusCode::Error } else { StatusCode::Unset };
    PbSpan {
        trace_id: span.start.trace.to_vec(),
        span_id: span.id.to_vec(),
        trace_state: span.start.state.clone(),
        parent_span_id: span.start.parent.map(|id| id.to_vec()).unwrap_or_default(),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanos(span.begun),
        end_time_unix_nano: nanos(span.ended),
        attributes: span.attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        status: Some(Status { message: String::new(), code: code.into() }),
        flags: 1,
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "keyward".into(), version: env!("CARGO_PKG_VERSION").into() }
}

pub(super) fn attribute(name: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.into()));
    KeyValue { key: name.into(), value: Some(AnyValue { value }) }
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.micros()).unwrap_or(0).saturating_mul(1000)
}
