//! What is shown of a scenario: a table, JSON and a plot.

use std::{fmt::Write, fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::plot;

/// A measured value with its name and what it was in each round.
#[derive(Clone, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub values: Vec<f64>,
}

/// What was measured of one variant.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub baseline: Option<String>,
    pub metrics: Vec<Metric>,
}

/// What the rates of a report count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counted {
    #[default]
    Decisions,
    Writes,
    Requests,
}

impl Counted {
    /// For titles.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decisions => "decisions",
            Self::Writes => "writes",
            Self::Requests => "requests",
        }
    }
}

/// What was measured in a scenario.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub counted: Counted,
    /// Variants of the rounds.
    pub rows: Vec<Row>,
    /// Single values with their units, such as what a fill took.
    pub facts: Vec<(String, f64, &'static str)>,
    /// Names of variants that are to be compared besides those with their baselines.
    pub pairs: Vec<(String, String)>,
    /// What must be known to read the values.
    pub notes: Vec<String>,
}

/// How a variant is to another one: what of it is compared, and the ratios that were made in each round.
type Ratios = [(&'static str, Option<Summary>); 4];

/// The middle of values, and their ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Summary {
    /// Of no values: nothing.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (below, above) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: f64::midpoint(below, above), min, max })
    }

    fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }

    fn text(self, digits: usize) -> String {
        let Self { median, min, max } = self;
        format!("{median:.digits$} [{min:.digits$}-{max:.digits$}]")
    }
}

impl Row {
    /// A row without values.
    pub fn new(name: &str, baseline: Option<&str>) -> Self {
        Self { name: name.to_owned(), baseline: baseline.map(str::to_owned), metrics: Vec::new() }
    }

    /// Adds the value of a round.
    pub fn add(&mut self, name: &'static str, value: f64) {
        match self.metrics.iter_mut().find(|metric| metric.name == name) {
            Some(metric) => metric.values.push(value),
            None => self.metrics.push(Metric { name, values: vec![value] }),
        }
    }

    /// The values of all rounds; none if it has none of this name.
    pub fn values(&self, name: &str) -> &[f64] {
        let found = self.metrics.iter().find(|metric| metric.name == name);
        found.map_or(&[], |metric| &metric.values)
    }

    /// The middle of them.
    pub fn summary(&self, name: &str) -> Option<Summary> {
        Summary::of(self.values(name))
    }
}

impl Report {
    /// The row of this name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// How a row's rate is to that of its baseline, of ratios that were made in each round.
    pub fn ratio(&self, row: &Row) -> Option<Summary> {
        let rate = |row: &Row| row.values("rate").to_vec();
        self.ratio_of(row, rate)
    }

    /// The same of decisions for each second of the server's CPU time, which other work on the machine
    /// disturbs less.
    pub fn cpu_ratio(&self, row: &Row) -> Option<Summary> {
        let rate = |row: &Row| row.values("cpu_us").iter().map(|micros| 1e6 / micros).collect();
        self.ratio_of(row, rate)
    }

    /// How a row's p99 is to that of its baseline, of ratios that were made in each round.
    pub fn p99_ratio(&self, row: &Row) -> Option<Summary> {
        self.ratio_of(row, |row| row.values("p99_us").to_vec())
    }

    /// Adds what spans were like, as single values.
    pub fn add_spans(&mut self, name: &str, mut spans: Vec<Duration>) {
        spans.sort_unstable();
        let Some(last) = spans.len().checked_sub(1) else { return };
        for (part, share) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            let span = spans[(share * last as f64).round() as usize];
            let name = format!("{name}, {part} of {}", spans.len());
            self.facts.push((name, span.as_secs_f64() * 1e6, "µs"));
        }
    }

    fn ratio_of(&self, row: &Row, values: impl Fn(&Row) -> Vec<f64>) -> Option<Summary> {
        self.ratio_between(row, row.baseline.as_ref()?, values)
    }

    fn ratio_between(
        &self,
        row: &Row,
        other: &str,
        values: impl Fn(&Row) -> Vec<f64>,
    ) -> Option<Summary> {
        let (own, other) = (values(row), values(self.row(other)?));
        let rounds = own.iter().zip(&other).map(|(own, other)| own / other);
        Summary::of(&rounds.collect::<Vec<_>>())
    }

    /// How a variant is to another one, in each round; `None` if there is no such variant.
    fn ratios(&self, name: &str, other: &str) -> Option<Ratios> {
        let row = self.row(name)?;
        let ratio = |metric: &'static str, title| {
            (title, self.ratio_between(row, other, |row| row.values(metric).to_vec()))
        };
        Some([
            ratio("rate", "rate"),
            ratio("cpu_us", "CPU time"),
            ratio("p50_us", "p50"),
            ratio("p99_us", "p99"),
        ])
    }

    /// The pairs, and each variant with its baseline, where there are pairs.
    fn compared(&self) -> Vec<(&str, &str)> {
        if self.pairs.is_empty() {
            return Vec::new();
        }
        let rows = self.rows.iter().filter_map(|row| Some((&*row.name, row.baseline.as_deref()?)));
        rows.chain(self.pairs.iter().map(|(own, other)| (&**own, &**other))).collect()
    }

    fn table_of_pairs(&self) -> String {
        let mut lines = Vec::new();
        for (name, other) in self.compared() {
            let Some(ratios) = self.ratios(name, other) else { continue };
            if lines.is_empty() {
                let titles = ["to one another"].into_iter().chain(ratios.map(|(title, _)| title));
                lines.push(titles.map(str::to_owned).collect());
            }
            let text = |(_, ratio): (_, Option<Summary>)| ratio.map(|ratio| ratio.text(3));
            let mut line = vec![format!("{name} / {other}")];
            line.extend(ratios.map(|ratio| text(ratio).unwrap_or_default()));
            lines.push(line);
        }
        aligned(&lines)
    }

    /// The table for people.
    pub fn table(&self) -> String {
        let rate = format!("{}/s", self.counted.name());
        let mut columns = vec![
            ("rate", &*rate, 0),
            ("cpu_us", "server CPU µs", 2),
            ("asked_cpu_us", "of that, asked", 2),
            ("p50_us", "p50 µs", 0),
            ("p90_us", "p90 µs", 0),
            ("p99_us", "p99 µs", 0),
            ("p999_us", "p99.9 µs", 0),
            ("generator_us", "generator µs", 2),
            ("other_cores", "others, cores", 2),
        ];
        let is_asked = |row: &Row| !row.values("asked_cpu_us").is_empty();
        columns.retain(|(name, ..)| *name != "asked_cpu_us" || self.rows.iter().any(is_asked));
        let mut lines = Vec::new();
        if !self.rows.is_empty() {
            let mut head =
                ["variant", "ratio", "CPU ratio", "p99 ratio"].map(str::to_owned).to_vec();
            head.extend(columns.iter().map(|(_, title, _)| (*title).to_owned()));
            lines.push(head);
        }
        for row in &self.rows {
            let text = |ratio: Option<Summary>| ratio.map_or_else(String::new, |it| it.text(3));
            let ratios = [self.ratio(row), self.cpu_ratio(row), self.p99_ratio(row)];
            let mut line = vec![row.name.clone()];
            line.extend(ratios.map(text));
            for (metric, _, digits) in &columns {
                let found = row.summary(metric);
                line.push(found.map_or_else(String::new, |found| found.text(*digits)));
            }
            lines.push(line);
        }
        let mut text = aligned(&lines);
        for row in &self.rows {
            if let Some(baseline) = &row.baseline {
                writeln!(text, "`{}` is compared with `{baseline}`", row.name).unwrap();
            }
        }
        for (name, value, unit) in &self.facts {
            writeln!(text, "{name}: {value:.3} {unit}").unwrap();
        }
        text += &self.table_of_pairs();
        for note in &self.notes {
            writeln!(text, "{note}").unwrap();
        }
        text
    }

    /// Everything, with each round's values.
    pub fn json(&self, scenario: &str, machine: &Value) -> Value {
        let row = |row: &Row| {
            let metric = |metric: &Metric| {
                let summary = Summary::of(&metric.values).map(Summary::json);
                (metric.name.to_owned(), json!({ "summary": summary, "rounds": metric.values }))
            };
            json!({
                "name": row.name,
                "baseline": row.baseline,
                "ratio": self.ratio(row).map(Summary::json),
                "cpu_ratio": self.cpu_ratio(row).map(Summary::json),
                "p99_ratio": self.p99_ratio(row).map(Summary::json),
                "metrics": row.metrics.iter().map(metric).collect::<Map<_, _>>(),
            })
        };
        let pair = |(name, other): (&str, &str)| {
            let ratios = self.ratios(name, other).into_iter().flatten();
            let ratios =
                ratios.map(|(title, ratio)| (title.to_owned(), json!(ratio.map(Summary::json))));
            json!({ "name": name, "other": other, "ratios": ratios.collect::<Map<_, _>>() })
        };
        let fact = |(name, value, unit): &(String, f64, &str)| json!({ "name": name, "value": value, "unit": unit });
        json!({
            "scenario": scenario,
            "machine": machine,
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "facts": self.facts.iter().map(fact).collect::<Vec<_>>(),
            "compared": self.compared().into_iter().map(pair).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        for (cell, width) in line.iter().zip(&widths) {
            write!(text, "{cell:<width$}  ").unwrap();
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Where to write, besides standard output.
#[derive(Clone, Debug, clap::Args)]
pub struct Outputs {
    /// Write all values of all rounds to this file
    #[arg(long, value_name = "FILE", global = true)]
    json: Option<String>,
    /// Draw the rates into this file
    #[arg(long, value_name = "FILE", global = true)]
    svg: Option<String>,
    /// Write .txt, .json and .svg of this name, e.g. benches/results/unary
    #[arg(long, value_name = "NAME", global = true)]
    out: Option<String>,
}

impl Outputs {
    /// Shows a report and writes what is wanted.
    pub fn write(&self, scenario: &str, machine: &Value, report: &Report) -> Result<()> {
        let field = |name: &str| match &machine[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let mut text = format!("keyward-bench {}\n", arguments.join(" "));
        let (cpu, cores, memory) = (field("cpu"), field("cores"), field("memory_gib"));
        writeln!(text, "{cpu}, {cores} cores, {memory} GiB, Linux {}", field("kernel"))?;
        let (rustc, commit, date) = (field("rustc"), field("commit"), field("date"));
        let congestion = field("tcp_congestion_control");
        writeln!(text, "{rustc}, commit {commit}, {date}, TCP with {congestion}")?;
        writeln!(text, "median [min-max] of the rounds; ratios are made in each round\n")?;
        text.push_str(&report.table());
        print!("{text}");
        let of = |ending: &str| self.out.as_ref().map(|name| format!("{name}.{ending}"));
        let json = serde_json::to_string_pretty(&report.json(scenario, machine))? + "\n";
        let svg = plot::draw(scenario, report);
        let files = [
            (of("txt"), &text),
            (of("json"), &json),
            (of("svg"), &svg),
            (self.json.clone(), &json),
            (self.svg.clone(), &svg),
        ];
        for (path, content) in files {
            if let Some(path) = path {
                if let Some(folder) = Path::new(&path).parent() {
                    fs::create_dir_all(folder)?;
                }
                fs::write(&path, content).with_context(|| format!("cannot write {path}"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
