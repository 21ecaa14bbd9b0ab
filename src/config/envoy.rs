//! Settings of `keyward envoy`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    envoy::example::{Choices, HostPort},
    model::{key_source::KeySources, name::EnvironmentName},
};

/// What to do about Envoy.
#[derive(Debug, Subcommand)]
pub enum EnvoyCommand {
    /// Look for what lets requests pass by Keyward in an Envoy configuration
    ///
    /// Ends with 0 if there is nothing but advice, with 1 after an error or a warning, and with 2 if
    /// the file cannot be read or has nothing of Envoy's.
    Check(CheckArgs),
    /// Print an Envoy configuration that is complete and safe, to begin with
    Example(ExampleArgs),
}

/// Settings of `keyward envoy check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration in YAML or JSON; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Which external authorization filter asks Keyward, by its name in the chain of filters [default: all]
    #[arg(long, value_name = "NAME")]
    pub ext_authz: Option<String>,

    /// How to print what was found
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub output: CheckOutput,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckOutput {
    /// Lines for people
    Text,
    /// A list of objects with file, line, rule, severity, path, problem and help
    Json,
}

/// Settings of `keyward envoy example`.
#[derive(Debug, Args)]
pub struct ExampleArgs {
    /// Where Envoy listens
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where allowed requests go
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081", value_parser = HostPort::parse)]
    pub upstream: HostPort,

    /// Keyward's authorize listener
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50051", value_parser = HostPort::parse)]
    pub keyward: HostPort,

    /// The environment of the keys
    #[arg(long, value_name = "NAME", default_value = "production", value_parser = EnvironmentName::parse)]
    pub environment: EnvironmentName,

    /// Where keys are in requests, as in `keyward serve --key-sources`
    #[arg(long, value_name = "LIST", default_value = "header:x-api-key,bearer", value_parser = KeySources::parse)]
    pub key_sources: KeySources,
}

impl ExampleArgs {
    /// What was chosen.
    pub fn choices(&self) -> Choices {
        Choices {
            listen: self.listen,
            upstream: self.upstream.clone(),
            keyward: self.keyward.clone(),
            environment: self.environment.clone(),
            key_sources: self.key_sources.clone(),
        }
    }
}
