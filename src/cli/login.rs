//! `keyward login`, `logout` and `contexts`: which servers are remembered.

use clap::{Args, Subcommand};
use tokio::runtime::Runtime;

use super::{
    args::{ConnectionArgs, Format, OutputArgs},
    connection::{DEFAULT_SERVER, Route, with_scheme},
    contexts::{self, Context, Contexts},
    error::CliError,
    output::{Cell, Fit, Output, note},
    prompt,
    read::{Secret, secret_file, secret_input},
    session::{Session, route},
};
use crate::rpc::pb::{WhoAmIRequest, WhoAmIResponse};

const ADMIN_DOMAIN: &str = "keyward";
const NAME_CHARS_MAX: usize = 63;

/// Settings of `keyward login`.
///
/// The token is asked for and not shown; without a terminal it is read from standard input, or from
/// `--token-file`. It is tried before it is remembered.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Which server, and under which name to remember it.
    #[command(flatten)]
    pub connection: ConnectionArgs,
}

/// Settings of `keyward logout`.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Which one to forget [default: the chosen one]
    #[arg(long, env = "KEYWARD_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
}

/// Settings of `keyward contexts`.
#[derive(Debug, Subcommand)]
pub enum ContextsCommand {
    /// Show the servers that are remembered
    List(ListArgs),
    /// Ask this one from now on, if no other is named
    Use {
        /// Its name
        name: String,
    },
    /// Forget this one
    Remove {
        /// Its name
        name: String,
    },
}

/// Settings of `keyward contexts list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// How to print them.
    #[command(flatten)]
    pub output: OutputArgs,
}

pub(super) fn login(args: &LoginArgs, runtime: &Runtime) -> Result<(), CliError> {
    let connection = &args.connection;
    let mut contexts = Contexts::load()?;
    let current = contexts.current.clone();
    let name = connection.context().map(str::to_owned).or(current);
    let name = name.unwrap_or_else(|| contexts::DEFAULT.to_owned());
    check_name(&name)?;
    let known = contexts.all.get(&name);
    let server = match (connection.server(), known) {
        (Some(server), _) => with_scheme(server)?,
        (None, Some(known)) => known.route.server.clone(),
        (None, None) => DEFAULT_SERVER.to_owned(),
    };
    let known = known.filter(|known| known.route.server == server);
    let route = route(connection, server, known)?;
    route.warn_of_plaintext();
    let token = match connection.token_file() {
        Some(file) => secret_file("--token-file", file)?,
        None if prompt::is_possible() => {
            prompt::secret(&format!("Token of an admin key for {}: ", route.server))?
        }
        None => secret_input("the token of an admin key")?,
    };

    let key = runtime.block_on(who_is(&route, &token, connection))?;
    let context = Context { route, token, key_id: key.key_id.clone() };
    note(&format!("Logged in to {} as {} (context {name}).", context.route.server, key.key_id));
    contexts.all.insert(name.clone(), context);
    contexts.current = Some(name);
    contexts.store()?;
    note(&format!("Remembered in {}.", contexts.file().display()));
    if Secret::of_variable("KEYWARD_TOKEN").is_some() {
        note("KEYWARD_TOKEN is set, and wins over what is remembered: `unset KEYWARD_TOKEN`.");
    }
    Ok(())
}

/// Whose token this is; an error if the server does not take it.
async fn who_is(
    route: &Route,
    token: &Secret,
    args: &ConnectionArgs,
) -> Result<WhoAmIResponse, CliError> {
    let output = OutputArgs { output: Format::Table, no_color: true, wide: false, no_pager: true };
    let session = Session::connect(route, token, args.timeout, Output::new(&output))?;
    let ask = async |request| session.own().who_am_i(request).await;
    let key = session.ask(WhoAmIRequest {}, ask).await?;
    if key.domain == ADMIN_DOMAIN {
        return Ok(key);
    }
    Err(CliError::failed(
        format!("{} is a key of domain {}, not an admin key", key.key_id, key.domain),
        "`keyward bootstrap` on the server makes an admin key, and so does `keyward keys create --domain keyward`",
    ))
}

fn check_name(name: &str) -> Result<(), CliError> {
    let is_good = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    if !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.chars().all(is_good) {
        return Ok(());
    }
    Err(CliError::usage(
        format!("--context: {name:?} is no name for a context"),
        "1 to 63 letters, digits, `-`, `_` and `.`",
    ))
}

pub(super) fn logout(args: &LogoutArgs) -> Result<(), CliError> {
    let mut contexts = Contexts::load()?;
    let name = contexts
        .chosen(args.context.as_deref().filter(|name| !name.is_empty()))?
        .map(|(name, _)| name.clone());
    let Some(name) = name else {
        note("Nothing is remembered.");
        return Ok(());
    };
    remove(&mut contexts, &name)
}

fn remove(contexts: &mut Contexts, name: &str) -> Result<(), CliError> {
    let Some(gone) = contexts.all.remove(name) else {
        return Err(contexts::unknown(name));
    };
    if contexts.current.as_deref() == Some(name) {
        contexts.current = None;
    }
    contexts.store()?;
    note(&format!(
        "Forgot {name}. The admin key {} still works: `keyward keys revoke` ends it.",
        gone.key_id
    ));
    if contexts.current.is_none() && !contexts.all.is_empty() {
        note("None is chosen now: `keyward contexts use NAME`.");
    }
    Ok(())
}

pub(super) fn contexts(command: &ContextsCommand) -> Result<(), CliError> {
    let mut contexts = Contexts::load()?;
    match command {
        ContextsCommand::List(args) => list(&contexts, &Output::new(&args.output)),
        ContextsCommand::Remove { name } => remove(&mut contexts, name),
        ContextsCommand::Use { name } => {
            if !contexts.all.contains_key(name) {
                return Err(contexts::unknown(name));
            }
            contexts.current = Some(name.clone());
            contexts.store()
        }
    }
}

fn list(contexts: &Contexts, out: &Output) -> Result<(), CliError> {
    let is_current = |name: &String| contexts.current.as_ref() == Some(name);
    if out.is_for_people() {
        let rows = contexts.all.iter().map(|(name, context)| {
            let mark = if is_current(name) { Cell::text("*") } else { Cell::text(" ") };
            let server = Cell::text(&context.route.server);
            vec![mark, Cell::text(name), server, Cell::text(&context.key_id)]
        });
        let columns =
            [("", Fit::Whole), ("Name", Fit::Cut), ("Server", Fit::Cut), ("Admin key", Fit::Whole)];
        return out.print(&out.table(&columns, rows.collect()));
    }
    let values = contexts.all.iter().map(|(name, context)| {
        serde_json::json!({
            "name": name,
            "current": is_current(name),
            "server": context.route.server,
            "keyId": context.key_id,
        })
    });
    out.raw(&serde_json::Value::Array(values.collect()))
}
