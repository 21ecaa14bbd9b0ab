//! Settings of the decision log and of what is kept of how keys are used.

use std::time::Duration;

use clap::{Args, ValueEnum, builder::BoolishValueParser};

use super::parse::duration;
use crate::{
    journal::{Denials, Mask, Selection, Share},
    model::{address::AddressDetail, id::KeyId},
};

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept of decisions.
#[derive(Debug, Args)]
#[command(next_help_heading = "Decision log and usage")]
pub struct DecisionArgs {
    /// Which decisions are logged in the database
    #[arg(long, env = "KEYWARD_DECISION_LOG", value_name = "WHICH", default_value = "denials")]
    pub decision_log: Logged,

    /// How many of the allowed decisions are logged besides denials, from 0 to 1: 0.01 is one in a hundred
    #[arg(long, env = "KEYWARD_DECISION_LOG_ALLOW_RATIO", value_name = "RATIO", default_value = "0", value_parser = share)]
    pub decision_log_allow_ratio: Share,

    /// The ids of keys of which all decisions are logged, separated by commas
    #[arg(
        long,
        env = "KEYWARD_DECISION_LOG_KEYS",
        value_name = "LIST",
        value_delimiter = ',',
        value_parser = KeyId::parse
    )]
    pub decision_log_keys: Vec<KeyId>,

    /// How many segments of a route are logged at most; the rest of it becomes `*`. Queries never are
    #[arg(long, env = "KEYWARD_DECISION_LOG_MASK_ROUTES", value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(..=100))]
    pub decision_log_mask_routes: Option<u16>,

    /// Keep only the network of a client's address, in the log and with the last use of a key: its /24, or of
    /// IPv6 its /64
    #[arg(long, env = "KEYWARD_DECISION_LOG_MASK_ADDRESSES", value_parser = BoolishValueParser::new())]
    pub decision_log_mask_addresses: bool,

    /// How long decisions are kept, by whole days (UTC). Of replicas that share a database, the shortest
    /// counts
    #[arg(long, env = "KEYWARD_DECISION_LOG_RETENTION", value_name = "TIME", default_value = "7d", value_parser = log_retention)]
    pub decision_log_retention: Duration,

    /// How long it is kept how much keys were used in each hour. Of replicas that share a database, the
    /// shortest counts
    #[arg(long, env = "KEYWARD_USAGE_RETENTION", value_name = "TIME", default_value = "400d", value_parser = usage_retention)]
    pub usage_retention: Duration,
}

/// Which decisions are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Logged {
    /// None
    Off,
    /// Denied ones, and of allowed ones as many as other settings say
    Denials,
    /// All
    All,
}

impl DecisionArgs {
    /// Which decisions are noted.
    pub fn selection(&self) -> Selection {
        let keys = || self.decision_log_keys.clone();
        match self.decision_log {
            Logged::Off => Selection::nothing(),
            Logged::Denials => {
                Selection::new(Denials::Noted, self.decision_log_allow_ratio, keys())
            }
            Logged::All => Selection::new(Denials::Noted, Share::ALL, Vec::new()),
        }
    }

    /// How much of clients' addresses is kept, of decisions and of a key's last use.
    pub const fn address_detail(&self) -> AddressDetail {
        if self.decision_log_mask_addresses { AddressDetail::Network } else { AddressDetail::Whole }
    }

    /// What is left out of what is noted.
    pub fn mask(&self) -> Mask {
        Mask {
            segments: self.decision_log_mask_routes.map(usize::from),
            addresses: self.address_detail(),
        }
    }
}

fn share(text: &str) -> Result<Share, &'static str> {
    const WRONG: &str = "must be a number from 0 to 1 such as 0.01, to six places";
    let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || !digits(rest) || rest.len() > 6 {
        return Err(WRONG);
    }
    let parts: u32 = format!("{whole}{rest:0<6}").parse().or(Err(WRONG))?;
    if parts <= 1_000_000 { Ok(Share::of_million(parts)) } else { Err(WRONG) }
}

fn log_retention(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(time) if time >= HOUR && time <= 400 * DAY => Ok(time),
        _ => Err("must be a time from 1h to 400d".to_owned()),
    }
}

fn usage_retention(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(time) if time >= DAY => Ok(time),
        _ => Err("must be a time from 1d to 10 years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_number_from_0_to_1() {
        for (text, millionths) in [
            ("0", 0),
            ("0.0", 0),
            ("0.01", 10_000),
            ("0.000001", 1),
            ("1", 1_000_000),
            ("1.0", 1_000_000),
        ] {
            assert_eq!(share(text), Ok(Share::of_million(millionths)), "{text}");
        }
        for text in ["", ".5", "1.1", "2", "-0", "0.", "0.0000001", "1e-3", "50%"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
