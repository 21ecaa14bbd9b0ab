//! Settings of traces and of what a collector gets.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use tonic::transport::Endpoint;

use super::parse::filled;

/// What a collector gets.
#[derive(Debug, Args)]
#[command(next_help_heading = "OpenTelemetry")]
pub struct TelemetryArgs {
    /// A file that sets another log level for a while, such as `debug for 15m`, counted from when it was
    /// written, a day at most. It is looked at once a second, and need not be there
    #[arg(long, env = "KEYWARD_LOG_LEVEL_FILE", value_name = "FILE", help_heading = None)]
    pub log_level_file: Option<std::ffi::OsString>,

    /// A collector that gets metrics and traces (OTLP over gRPC), such as `http://collector:4317`; without
    /// it none are sent
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", default_value = "", hide_default_value = true, value_parser = endpoint)]
    pub otlp_endpoint: Destination,

    /// How long the collector may take, in milliseconds
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", value_name = "MILLISECONDS", default_value = "10000", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub otlp_timeout: u64,

    /// How often metrics are sent, in milliseconds
    #[arg(long, env = "OTEL_METRIC_EXPORT_INTERVAL", value_name = "MILLISECONDS", default_value = "60000", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    pub otlp_metrics_interval: u64,

    /// What this service is called there
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME", default_value = "keyward")]
    pub otlp_service_name: String,

    /// What else is told of this process there, as name=value pairs separated by commas
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES", value_name = "LIST", default_value = "", value_parser = attributes)]
    pub otlp_resource_attributes: Attributes,

    /// How many of the calls are traced whose caller does not say whether to: 0 for none, to 1 for all
    #[arg(long, env = "KEYWARD_TRACE_SAMPLE_RATIO", value_name = "NUMBER", default_value = "0", value_parser = ratio)]
    pub trace_sample_ratio: f64,
}

/// Where a collector is, if there is one.
#[derive(Clone, Debug)]
pub struct Destination(pub Option<Endpoint>);

/// Names and values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes(pub Vec<(String, String)>);

impl TelemetryArgs {
    /// The file that sets another log level, if there may be one.
    pub fn level_file(&self) -> Option<PathBuf> {
        filled(self.log_level_file.as_ref()).map(PathBuf::from)
    }

    /// How long the collector may take, and how often it gets metrics.
    pub const fn times(&self) -> (Duration, Duration) {
        let time_max = Duration::from_millis(self.otlp_timeout);
        (time_max, Duration::from_millis(self.otlp_metrics_interval))
    }

    /// What the collector is told of this process.
    pub fn attributes(&self) -> Vec<(String, String)> {
        let mut all = self.otlp_resource_attributes.0.clone();
        all.retain(|(name, _)| name != "service.name");
        all.push(("service.name".to_owned(), self.otlp_service_name.clone()));
        all.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
        all
    }
}

fn endpoint(text: &str) -> Result<Destination, &'static str> {
    const FORM: &str =
        "must be like http://collector:4317; TLS is for a collector or proxy beside this process";
    if text.is_empty() {
        return Ok(Destination(None));
    }
    if !text.starts_with("http://") {
        return Err(FORM);
    }
    let endpoint = Endpoint::from_shared(text.to_owned()).ok().ok_or(FORM)?;
    Ok(Destination(Some(endpoint.connect_timeout(Duration::from_secs(5)))))
}

fn attributes(text: &str) -> Result<Attributes, &'static str> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').ok_or("must be name=value pairs")?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    pairs.collect::<Result<_, _>>().map(Attributes)
}

fn ratio(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err("must be a number from 0 to 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(endpoint("http://collector:4317").unwrap().0.is_some());
        assert!(endpoint("").unwrap().0.is_none());
        for bad in ["collector:4317", "https://collector:4317", "http://"] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
        for bad in ["-0.1", "1.1", "NaN", "half", ""] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
        assert_eq!(ratio("0.01"), Ok(0.01));
        let told = attributes("a=b, c = d,").unwrap();
        assert_eq!(told.0, [("a".into(), "b".into()), ("c".into(), "d".into())]);
        assert!(attributes("a").is_err());
    }
}
