//! How far something is, in one line of standard error that is written again and again. Only on a terminal.

use std::io::{self, IsTerminal, Write};

const BAR_CHARS: i64 = 30;

/// A line that tells how far something is, until it is dropped.
#[derive(Debug)]
pub struct Progress {
    done: &'static str,
    total: Option<i64>,
    is_shown: bool,
    last: String,
}

impl Progress {
    /// Of something that is done to so many, if that is known.
    pub fn begin(done: &'static str, total: Option<i64>) -> Self {
        Self { done, total, is_shown: io::stderr().is_terminal(), last: String::new() }
    }

    /// Shows how many there are by now.
    pub fn show(&mut self, count: i64, total: Option<i64>) {
        self.total = total.filter(|total| *total > 0).or(self.total);
        let line = line(self.done, count, self.total);
        if self.is_shown && line != self.last {
            // nothing depends on it
            drop(write!(io::stderr(), "\r\x1b[K{line}"));
            drop(io::stderr().flush());
            self.last = line;
        }
    }

    /// Takes the line away.
    pub fn end(&mut self) {
        if !self.last.is_empty() {
            drop(write!(io::stderr(), "\r\x1b[K"));
            self.last.clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn line(done: &str, count: i64, total: Option<i64>) -> String {
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{done} {count}");
    };
    let filled = (count.clamp(0, total) * BAR_CHARS) / total;
    let bar = |char: &str, count: i64| char.repeat(usize::try_from(count).unwrap_or_default());
    let (full, empty) = (bar("█", filled), bar("░", BAR_CHARS - filled));
    format!("{full}{empty} {done} {count} of {total}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_never_longer_than_it_is_wide() {
        for (count, full) in [(-1, 0), (0, 0), (5, 15), (10, 30), (11, 30)] {
            let line = line("Done", count, Some(10));
            assert_eq!(line.matches('█').count(), full, "{line}");
            assert_eq!(line.matches('░').count(), 30 - full, "{line}");
        }
        assert_eq!(line("Done", 3, None), "Done 3");
    }
}
