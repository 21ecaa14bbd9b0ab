//! The machine: what it is, where things run, and what they take of it.

use std::{
    fs,
    ops::Sub,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use rustix::{
    param::clock_ticks_per_second,
    thread::{CpuSet, sched_setaffinity},
};
use serde_json::{Value, json};

/// CPU time that all processes together took.
#[derive(Clone, Copy, Debug)]
pub struct Cpu(Duration);

impl Sub for Cpu {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// What all processes took, since the machine started.
pub fn cpu_of_all() -> Result<Cpu> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).flat_map(str::parse).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: the kernel counts guests as users
    let used = fields.iter().enumerate().filter(|(at, _)| matches!(at, 0..=2 | 5..=7));
    Ok(Cpu(ticks(used.map(|(_, ticks)| ticks).sum())))
}

/// What a process took, all of its threads, without its children.
pub fn cpu_of_process(pid: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
    // the name, which may hold anything, is in parentheses
    let (_, rest) = text.rsplit_once(") ").context("a process without a name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Ok(ticks(field(11) + field(12)))
}

fn ticks(count: u64) -> Duration {
    Duration::from_secs(count) / u32::try_from(clock_ticks_per_second()).unwrap_or(100)
}

/// The memory of a process that is in RAM, in bytes.
pub fn memory_of_process(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most of it that there has been.
pub fn memory_max_of_process(pid: u32) -> Result<u64> {
    status_bytes(pid, "VmHWM:")
}

fn status_bytes(pid: u32, field: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no such field")?;
    Ok(kib.parse::<u64>()? * 1024)
}

/// Which cores things run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Cores {
    /// The server on core 0, everything else on core 1
    One,
    /// Everything anywhere
    Both,
}

/// Who is to run where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Server,
    Rest,
}

/// Puts this thread, and what it starts from now on, where it belongs.
pub fn move_to(cores: Cores, place: Place) -> Result<()> {
    let mut set = CpuSet::new();
    match (cores, place) {
        (Cores::One, Place::Server) => set.set(0),
        (Cores::One, Place::Rest) => set.set(1),
        (Cores::Both, _) => (0..CpuSet::MAX_CPU).for_each(|core| set.set(core)),
    }
    sched_setaffinity(None, &set).context("cannot choose cores; --cores one needs two")
}

/// What a reader of results must know.
pub fn description() -> Value {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = info.lines().filter_map(|line| line.strip_prefix("model name"));
    let models: Vec<&str> =
        models.map(|model| model.trim_start_matches([' ', '\t', ':'])).collect();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok());
    let sysctl = |name: &str| {
        let value = fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default();
        value.trim().to_owned()
    };
    json!({
        "cpu": models.first().unwrap_or(&"unknown"),
        "cores": models.len(),
        "memory_gib": kib.unwrap_or(0) / (1024 * 1024),
        "kernel": sysctl("kernel/osrelease"),
        "tcp_congestion_control": sysctl("net/ipv4/tcp_congestion_control"),
        "rustc": output("rustc", &["--version"]),
        "commit": commit(),
        "date": humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    })
}

fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_empty() { commit } else { format!("{commit} and changes") }
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().map(|output| output.stdout);
    String::from_utf8_lossy(&output.unwrap_or_default()).trim().to_owned()
}
