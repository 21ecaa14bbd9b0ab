//! The programs that are measured.

use crate::{
    collector::Collector,
    envoy::{self, Guarded},
};

/// A program that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Keyward, over the keys of the site.
    Keyward,
    /// The same, with the limits of its keys shared or not.
    KeywardSharing(Sharing),
    /// The same, with all decisions logged or none.
    KeywardLogging(Logging),
    /// The same, with 1 % of the calls traced, and metrics sent.
    KeywardTracing(Collector),
    /// The bare service on Keyward's listener, allocator and runtimes; answers with a limit or without.
    Echo { limits: bool },
    /// The bare service as tonic's guide has it.
    EchoStock { limits: bool },
    /// A service that asks the database, and notes each use in it or not.
    Naive { update: bool },
    /// Envoy, and whom it asks about each request.
    Envoy(Guarded),
}

/// How replicas share limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    Local,
    Fast,
    Exact,
}

impl Sharing {
    /// As `--limit-sharing` wants it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Fast => "fast",
            Self::Exact => "exact",
        }
    }
}

/// Which decisions are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logging {
    Off,
    All,
}

impl Logging {
    /// As `--decision-log` wants it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::All => "all",
        }
    }
}

impl Program {
    /// Whether it is Keyward itself.
    pub const fn is_keyward(self) -> bool {
        matches!(
            self,
            Self::Keyward
                | Self::KeywardSharing(_)
                | Self::KeywardLogging(_)
                | Self::KeywardTracing(_)
        )
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Keyward
            | Self::KeywardSharing(_)
            | Self::KeywardLogging(_)
            | Self::KeywardTracing(_) => "keyward",
            Self::Echo { .. } => "echo",
            Self::EchoStock { .. } => "echo_stock",
            Self::Naive { .. } => "naive",
            Self::Envoy(_) => "envoy",
        }
    }

    /// Whether it is nothing without the keys of a database.
    pub const fn needs_keys(self) -> bool {
        self.is_keyward() || matches!(self, Self::Naive { .. })
    }

    pub fn args(self) -> &'static [&'static str] {
        match self {
            Self::Keyward
            | Self::KeywardSharing(_)
            | Self::KeywardLogging(_)
            | Self::KeywardTracing(_) => &[
                "serve",
                "--authorize-listen=127.0.0.1:0",
                "--admin-listen=127.0.0.1:0",
                "--http-listen=127.0.0.1:0",
                "--log-format=json",
            ],
            Self::Echo { limits: true } | Self::EchoStock { limits: true } => &["--limits"],
            Self::Naive { update: false } => &["--no-update"],
            Self::Echo { .. } | Self::EchoStock { .. } | Self::Naive { .. } => &[],
            Self::Envoy(_) => envoy::FLAGS,
        }
    }
}
