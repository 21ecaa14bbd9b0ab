//! Keys as lines of JSON.

use clap::Args;

use super::list::{FilterArgs, Pages};
use crate::cli::{error::CliError, output::messages::json_line, session::Session};

/// Settings of `keyward keys export`.
///
/// Prints a line of JSON for each key: the protobuf message `keyward.v1.Key`, without its token, which nobody
/// has. `keyward keys import` reads such lines, once `sha256` or `token` is added to each, and refuses those of
/// keys that have ended or have restrictions that an import cannot make.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Which keys.
    #[command(flatten)]
    pub filter: FilterArgs,
}

pub(super) async fn export(session: &Session, args: &ExportArgs) -> Result<(), CliError> {
    let mut pages = Pages::new(args.filter.request(), usize::MAX);
    while let Some(page) = pages.next(session).await? {
        let mut text = String::new();
        for key in &page {
            text.push_str(&json_line(key)?);
            text.push('\n');
        }
        session.out.print(&text)?;
    }
    Ok(())
}
