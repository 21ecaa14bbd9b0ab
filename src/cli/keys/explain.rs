//! What a key may do, and why.

use clap::Args;

use super::{
    Named,
    fields::LINES,
    find::{Among, id},
};
use crate::{
    cli::{
        authorize::{AskedArgs, checks},
        error::CliError,
        output::{Cell, Fit, Tone, note},
        session::Session,
    },
    rpc::pb::{
        AuthorizeRequest, EffectivePermission, ExplainKeyRequest, PermissionSource,
        PermissionSourceKind,
    },
};

/// Settings of `keyward keys explain`.
///
/// With an environment, or anything else of a request, it also says what each check of that request comes to.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Which key.
    #[command(flatten)]
    pub named: Named,

    /// The environment that asks [default: production, if there is anything else of a request]
    #[arg(long, short, value_name = "NAME")]
    pub environment: Option<String>,

    /// What is asked.
    #[command(flatten)]
    pub asked: AskedArgs,
}

pub(super) async fn explain(session: &Session, args: &ExplainArgs) -> Result<(), CliError> {
    let id = id(session, &args.named, Among::Present).await?;
    let request = ExplainKeyRequest { id, request: request(args) };
    let ask = async |request: tonic::Request<ExplainKeyRequest>| {
        session.keys().explain_key(request).await
    };
    let answer = session.ask(request, ask).await?;
    if !session.out.is_for_people() {
        return session.out.value(&answer);
    }
    session.out.show(&answer.key.unwrap_or_default(), &LINES)?;
    let columns = [("May", Fit::Whole), ("By", Fit::Cut)];
    let rows: Vec<_> = answer.permissions.iter().map(permission).collect();
    let table = session.out.table(&columns, rows);
    let may = if answer.permissions.is_empty() { "May do nothing.\n".to_owned() } else { table };
    session.out.print(&format!("\n{may}"))?;
    if answer.permissions_truncated {
        note("There are more permissions than are shown.");
    }
    let Some(explanation) = &answer.explanation else {
        return Ok(());
    };
    let verdict = if explanation.allowed {
        session.out.style("allowed", Tone::Good)
    } else {
        session.out.style("denied", Tone::Bad)
    };
    session.out.print(&format!("\nSuch a request is {verdict}.\n{}", checks(session, explanation)))
}

fn request(args: &ExplainArgs) -> Option<AuthorizeRequest> {
    if args.environment.is_none() && args.asked.is_empty() {
        return None;
    }
    let environment = args.environment.clone().unwrap_or_else(|| "production".to_owned());
    Some(args.asked.request(environment))
}

fn permission(effective: &EffectivePermission) -> Vec<Cell> {
    let sources: Vec<_> = effective.sources.iter().map(source).collect();
    vec![Cell::text(&effective.permission), Cell::list(&sources)]
}

fn source(source: &PermissionSource) -> String {
    let (name, permission) = (&source.name, &source.permission);
    match source.kind() {
        PermissionSourceKind::Direct => format!("itself ({permission})"),
        PermissionSourceKind::Group => format!("group {name} ({permission})"),
        PermissionSourceKind::User => format!("user {name} ({permission})"),
        PermissionSourceKind::UserGroup => format!("its user's group {name} ({permission})"),
        PermissionSourceKind::Unspecified => permission.clone(),
    }
}
