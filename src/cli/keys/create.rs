//! Making keys, and new tokens for them: where a secret is printed, once.

use clap::Args;
use prost_types::Duration;

use super::{
    Named,
    fields::{LINES, sentence},
    find::{Among, id},
    settings::SettingsArgs,
};
use crate::{
    cli::{
        error::CliError,
        output::{messages::Shown, note},
        read::{random_id, span},
        session::Session,
    },
    rpc::pb::{CreateKeyRequest, Key, RegenerateKeyRequest},
};

/// Settings of `keyward keys create`.
///
/// The token is printed once, on standard output and alone there, so that `keyward keys create … > FILE` has
/// it and nothing else.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// What to call it; may be left out with a template
    #[arg(value_name = "NAME", default_value = "", hide_default_value = true)]
    pub display_name: String,

    /// Its domain [default: default]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Its environment [default: that of the template, else production]
    #[arg(long, short, value_name = "NAME")]
    pub environment: Option<String>,

    /// The template that it is made from
    #[arg(long, short, value_name = "NAME")]
    pub template: Option<String>,

    /// An optional permission of the template that it gets; may be given several times
    #[arg(long, value_name = "PERMISSION", requires = "template", value_delimiter = ',')]
    pub with_optional: Vec<String>,

    /// Its settings.
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Check everything, and make nothing
    #[arg(long = "dry-run")]
    pub validate_only: bool,

    /// Names this request, so that it makes one key however often it is sent [default: a random one]
    #[arg(long, value_name = "TEXT")]
    pub request_id: Option<String>,
}

/// Settings of `keyward keys regenerate`.
#[derive(Debug, Args)]
pub struct RegenerateArgs {
    /// Which key.
    #[command(flatten)]
    pub named: Named,

    /// How long the old token works on, such as 1h, 30 days at most [default: not at all]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub overlap: Option<Duration>,

    /// Only if the key is still as it was when it had this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,

    /// Names this request, so that it makes one token however often it is sent [default: a random one]
    #[arg(long, value_name = "TEXT")]
    pub request_id: Option<String>,
}

pub(super) async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let request = request(args)?;
    let send = async |request| session.keys().create_key(request).await;
    let answer = if args.validate_only {
        session.ask(request, send).await?
    } else {
        let id = request.request_id.clone();
        session.repeat((request, &id), send).await?
    };
    let key = answer.key.clone().unwrap_or_default();
    if args.validate_only {
        session.out.show(&key, &LINES)?;
        note("Nothing was made: the key would be like this.");
        return Ok(());
    }
    show_token(session, &answer, (&key, &answer.token), "Made")
}

fn request(args: &CreateArgs) -> Result<CreateKeyRequest, CliError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let environment = match (&args.environment, &args.template) {
        (None, None) => "production".to_owned(),
        (environment, _) => text(environment),
    };
    let key = args.settings.key();
    Ok(CreateKeyRequest {
        domain: text(&args.domain),
        environment,
        display_name: args.display_name.clone(),
        description: key.description,
        permissions: key.permissions,
        route_rules: key.route_rules,
        not_before_time: key.not_before_time,
        expire_time: key.expire_time,
        labels: key.labels,
        request_id: request_id(args.request_id.as_ref())?,
        validate_only: args.validate_only,
        user: key.user,
        groups: key.groups,
        customers: key.customers,
        allowed_addresses: key.allowed_addresses,
        denied_addresses: key.denied_addresses,
        managed_by: key.managed_by,
        allow_self_regenerate: key.allow_self_regenerate,
        delegation: key.delegation,
        template: text(&args.template),
        with_optional: args.with_optional.clone(),
        limits: key.limits,
    })
}

pub(super) async fn regenerate(session: &Session, args: &RegenerateArgs) -> Result<(), CliError> {
    let request = RegenerateKeyRequest {
        id: id(session, &args.named, Among::Present).await?,
        overlap: args.overlap,
        etag: args.etag.clone().unwrap_or_default(),
        request_id: request_id(args.request_id.as_ref())?,
    };
    let send = async |request| session.keys().regenerate_key(request).await;
    let id = request.request_id.clone();
    let answer = session.repeat((request, &id), send).await?;
    let key = answer.key.clone().unwrap_or_default();
    show_token(session, &answer, (&key, &answer.token), "Made a new token for")
}

/// An id that makes a retry safe.
pub(super) fn request_id(given: Option<&String>) -> Result<String, CliError> {
    given.cloned().map_or_else(random_id, Ok)
}

fn show_token<T: Shown>(
    session: &Session,
    answer: &T,
    (key, token): (&Key, &str),
    done: &str,
) -> Result<(), CliError> {
    let again = format!("`keyward keys regenerate {}` makes a new token", key.id);
    if token.is_empty() {
        return Err(CliError::failed(
            format!(
                "an earlier request with this id made {}; its token is not shown again",
                key.id
            ),
            again,
        ));
    }
    note(&format!("{done} {}.", sentence(key)));
    let printed = if session.out.is_for_people() {
        session.out.print(&format!("{token}\n"))
    } else {
        session.out.value(answer)
    };
    // whoever reads what is printed must have got it, else nobody has
    printed.map_err(|error| {
        let problem = format!("the token of {} could not be printed and is lost ({error})", key.id);
        CliError::failed(problem, again)
    })?;
    if session.out.is_terminal {
        note(
            "Copy the token now: it is not shown again. `keyward keys create … > FILE` writes it to a file.",
        );
    }
    Ok(())
}
