//! Processes that are halted, as a database is that hangs.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A PostgreSQL of which no process runs, until this is dropped: what is asked of it is not refused, it is
/// not answered.
#[derive(Debug)]
pub struct Halted {
    processes: Vec<Pid>,
}

impl Halted {
    /// Halts the server with this process and all those that it has started.
    pub fn postgres(postmaster: u32) -> Result<Self> {
        let pid = |number: u32| Pid::from_raw(i32::try_from(number).unwrap_or(0));
        let first = pid(postmaster).context("no process")?;
        let mut halted = Self { processes: Vec::new() };
        // it first, so that no others are started meanwhile
        halted.halt(first)?;
        for child in children(postmaster)?.into_iter().filter_map(pid) {
            halted.halt(child)?;
        }
        Ok(halted)
    }

    fn halt(&mut self, process: Pid) -> Result<()> {
        kill_process(process, Signal::STOP).context("cannot halt PostgreSQL")?;
        self.processes.push(process);
        Ok(())
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        for process in self.processes.iter().rev() {
            if let Err(error) = kill_process(*process, Signal::CONT) {
                eprintln!("cannot resume a process of PostgreSQL: {error}");
            }
        }
    }
}

fn children(parent: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // one that has ended since is no child
        let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        // the name, which may hold anything, is in parentheses; after it come state and parent
        let fields = text.rsplit_once(") ").map(|(_, rest)| rest.split_whitespace());
        let its_parent = fields.and_then(|mut fields| fields.nth(1)?.parse().ok());
        if its_parent == Some(parent) {
            found.push(process);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::{
        process::Command,
        time::{Duration, Instant},
    };

    use super::*;

    fn wait_for_state(process: u32, is_wanted: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
            if is_wanted(text.split_whitespace().nth(2).unwrap()) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{text}");
        }
    }

    #[test]
    fn what_is_halted_with_its_children_goes_on_when_that_is_dropped() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60; true"]).spawn().unwrap();
        let begun = Instant::now();
        let child = loop {
            // a child that is not `sleep` yet has its parent wait so that it cannot be halted (vfork)
            let is_sleep = |child: &u32| {
                let name = fs::read_to_string(format!("/proc/{child}/comm"));
                name.is_ok_and(|name| name.trim() == "sleep")
            };
            if let Some(child) = children(shell.id()).unwrap().into_iter().find(is_sleep) {
                break child;
            }
            assert!(begun.elapsed() < Duration::from_secs(10));
        };
        let halted = Halted::postgres(shell.id()).unwrap();
        for process in [shell.id(), child] {
            wait_for_state(process, |state| state == "T");
        }
        drop(halted);
        for process in [shell.id(), child] {
            wait_for_state(process, |state| state != "T");
        }
        kill_process(Pid::from_raw(child.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
        shell.wait().unwrap();
    }
}
