//! Builds what is measured.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

/// Where `scripts/ensure-envoy` puts it, in the target folder.
const ENVOY: &str = "envoy/1.40.0";

/// How the programs are built.
#[derive(Clone, Debug, clap::Args)]
pub struct Builds {
    /// Build nothing: what was built before is measured
    #[arg(long, global = true)]
    no_build: bool,
    /// The profile of keyward and of the echo on its listener; `stock` is built soonest
    #[arg(long, global = true, default_value = "release", value_name = "PROFILE")]
    keyward_profile: String,
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Folders {
    /// Of Keyward and of the echo on its listener.
    pub keyward: PathBuf,
    /// Of those that are built as most programs are.
    pub stock: PathBuf,
    /// Where Envoy is, if it is there.
    pub envoy: PathBuf,
}

impl Builds {
    /// Builds all that is measured; the output of cargo is shown.
    pub fn build(&self) -> Result<Folders> {
        let profile = &*self.keyward_profile;
        if !self.no_build {
            cargo(profile, &["--bin", "keyward", "--example", "echo"])?;
            cargo("stock", &["--example", "echo_stock", "--example", "naive"])?;
        }
        // this program is TARGET/PROFILE/examples/keyward-bench
        let own = env::current_exe()?;
        let target = own.ancestors().nth(3).context("not run by cargo")?;
        let folder = |profile: &str| target.join(if profile == "dev" { "debug" } else { profile });
        Ok(Folders { keyward: folder(profile), stock: folder("stock"), envoy: target.join(ENVOY) })
    }
}

fn cargo(profile: &str, what: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // what cargo tells this program of its package would have others built anew that look at it
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let is_own = ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| text.starts_with(start));
        if is_own || text == "OUT_DIR" {
            command.env_remove(&name);
        }
    }
    let status = command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .args(["build", "--locked", "--profile", profile])
        .args(what)
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "what is to be measured cannot be built");
    Ok(())
}
