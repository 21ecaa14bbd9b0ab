//! The text that Prometheus reads, in its own format, version 0.0.4, and as `OpenMetrics` 1.0.0.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://github.com/OpenObservability/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md>

use std::fmt::{self, Display, Write};

use super::{BOUNDS_NANOS, Family, Kind, Metric, Sample, Spread, Value, number};

/// How the text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Prometheus' own.
    Plain,
    /// `OpenMetrics`.
    Open,
}

impl Form {
    /// What a client wants that accepts this: its own format, if it says nothing of `OpenMetrics`.
    pub fn wanted(accept: &str) -> Self {
        let open = |part: &str| {
            let mut words = part.split(';').map(str::trim);
            words.next() == Some("application/openmetrics-text")
                && words.all(|word| word != "q=0" && word != "q=0.0")
        };
        if accept.split(',').any(open) { Self::Open } else { Self::Plain }
    }

    /// The media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::Open => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All values as text.
pub fn text(families: &[Family], form: Form) -> String {
    let mut text = String::new();
    // a text that grows takes whatever is written
    write_all(families, form, &mut text).unwrap_or_default();
    text
}

fn write_all(families: &[Family], form: Form, text: &mut String) -> fmt::Result {
    for Family { metric, samples } in families {
        write_head(metric, form, text)?;
        for sample in samples {
            match &sample.value {
                Value::Number(value) => write_line(metric.name, sample, None, *value, text)?,
                Value::Spread(spread) => write_spread(metric, sample, spread, text)?,
            }
        }
    }
    match form {
        Form::Plain => Ok(()),
        Form::Open => writeln!(text, "# EOF"),
    }
}

fn write_head(metric: &Metric, form: Form, text: &mut String) -> fmt::Result {
    // OpenMetrics calls a counter by its name without what its values are called by
    let name = match (form, metric.kind) {
        (Form::Open, Kind::Counter) => metric.name.strip_suffix("_total").unwrap_or(metric.name),
        _ => metric.name,
    };
    writeln!(text, "# HELP {name} {}", Escaped(metric.help))?;
    writeln!(text, "# TYPE {name} {}", metric.kind.name())?;
    if form == Form::Open && !metric.unit.is_empty() {
        writeln!(text, "# UNIT {name} {}", metric.unit)?;
    }
    Ok(())
}

fn write_spread(
    metric: &Metric,
    sample: &Sample,
    spread: &Spread,
    text: &mut String,
) -> fmt::Result {
    let mut count = 0;
    let bounds = BOUNDS_NANOS.iter().map(|bound| (number(*bound) / 1e9).to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    let name = format!("{}_bucket", metric.name);
    for (bound, more) in bounds.zip(spread.buckets) {
        count += more;
        write_line(&name, sample, Some(("le", &bound)), number(count), text)?;
    }
    write_line(&format!("{}_sum", metric.name), sample, None, number(spread.nanos) / 1e9, text)?;
    write_line(&format!("{}_count", metric.name), sample, None, number(count), text)
}

fn write_line(
    name: &str,
    sample: &Sample,
    more: Option<(&'static str, &str)>,
    value: f64,
    text: &mut String,
) -> fmt::Result {
    text.push_str(name);
    let mut before = '{';
    for (name, value) in sample.labels().chain(more) {
        write!(text, "{before}{name}=\"{}\"", Escaped(value))?;
        before = ',';
    }
    text.push_str(if before == ',' { "} " } else { " " });
    writeln!(text, "{value}")
}

/// What stands between quotes, or at the end of a line.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}
