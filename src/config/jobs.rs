//! Settings of jobs.

use std::time::Duration;

use clap::Args;

use super::parse::duration;

const RETENTION_MIN: Duration = Duration::from_secs(60 * 60);

/// What is done in the background.
#[derive(Debug, Args)]
pub struct JobArgs {
    /// How long changes stay in the change log, one hour at least: a replica that was cut off for
    /// longer loads all keys anew
    #[arg(long, env = "KEYWARD_CHANGE_LOG_RETENTION", value_name = "TIME", default_value = "30d", value_parser = retention)]
    pub change_log_retention: Duration,
}

fn retention(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(time) if time >= RETENTION_MIN => Ok(time),
        _ => Err("must be a time such as 12h or 30d, from one hour to ten years".to_owned()),
    }
}
