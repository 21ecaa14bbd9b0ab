//! Stopping keys, ending them, and bringing them back.

use clap::{Args, ValueEnum};

use super::{
    Named,
    fields::sentence,
    find::{Among, id, key},
};
use crate::{
    cli::{
        error::CliError,
        output::{messages::Shown, note, text::plain},
        prompt,
        session::Session,
    },
    rpc::pb::{
        ActivateKeyRequest, DeactivateKeyRequest, DeleteKeyRequest, Key, RevocationReason,
        RevokeKeyRequest, UndeleteKeyRequest,
    },
};

/// A key that is to be changed.
#[derive(Debug, Args)]
pub struct TargetArgs {
    /// Which key.
    #[command(flatten)]
    pub named: Named,

    /// Only if the key is still as it was when it had this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,
}

/// Settings of `keyward keys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Which key.
    #[command(flatten)]
    pub target: TargetArgs,

    /// Why
    #[arg(long, value_name = "WHY")]
    pub reason: Why,

    /// What to say of it, which is kept; needed with the reason `other`
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,

    /// Do not ask whether to
    #[arg(long, short)]
    pub yes: bool,
}

/// Why a key is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Why {
    /// Its token is, or may be, in wrong hands
    Compromised,
    /// Whom it served is no longer served
    NoLongerUsed,
    /// Another key took its place
    Superseded,
    /// It was used against the rules
    Abuse,
    /// Anything else; --comment must say what
    Other,
}

/// Settings of `keyward keys delete`.
///
/// Asks for the key's name. Programs say it with `--yes --confirm NAME`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which key.
    #[command(flatten)]
    pub target: TargetArgs,

    /// Do not ask; needs --confirm
    #[arg(long, short, requires = "confirm")]
    pub yes: bool,

    /// The key's name, letter for letter; needs --yes
    #[arg(long, value_name = "NAME", requires = "yes")]
    pub confirm: Option<String>,
}

impl From<Why> for RevocationReason {
    fn from(why: Why) -> Self {
        match why {
            Why::Compromised => Self::Compromised,
            Why::NoLongerUsed => Self::NoLongerUsed,
            Why::Superseded => Self::Superseded,
            Why::Abuse => Self::Abuse,
            Why::Other => Self::Other,
        }
    }
}

impl TargetArgs {
    fn etag(&self) -> String {
        self.etag.clone().unwrap_or_default()
    }
}

pub(super) async fn activate(session: &Session, args: &TargetArgs) -> Result<(), CliError> {
    let id = id(session, &args.named, Among::Present).await?;
    let request = ActivateKeyRequest { id, etag: args.etag() };
    let send = async |request| session.keys().activate_key(request).await;
    let answer = session.change(request, send).await?;
    told(session, &answer, (answer.key.as_ref(), answer.revision), "Activated")
}

pub(super) async fn deactivate(session: &Session, args: &TargetArgs) -> Result<(), CliError> {
    let id = id(session, &args.named, Among::Present).await?;
    let request = DeactivateKeyRequest { id, etag: args.etag() };
    let send = async |request| session.keys().deactivate_key(request).await;
    let answer = session.change(request, send).await?;
    told(session, &answer, (answer.key.as_ref(), answer.revision), "Deactivated")
}

pub(super) async fn revoke(session: &Session, args: &RevokeArgs) -> Result<(), CliError> {
    let named = &args.target.named;
    let id = if args.yes {
        id(session, named, Among::Present).await?
    } else {
        require_terminal("--yes revokes without asking")?;
        let key = key(session, named, Among::Present).await?;
        let question = format!("Revoke {}? All its tokens stop at once.", sentence(&key));
        if !prompt::confirm(&question)? {
            return Err(CliError::Interrupted);
        }
        key.id
    };
    let request = RevokeKeyRequest {
        id,
        reason: RevocationReason::from(args.reason).into(),
        comment: args.comment.clone().unwrap_or_default(),
        etag: args.target.etag(),
    };
    let send = async |request| session.keys().revoke_key(request).await;
    let answer = session.change(request, send).await?;
    told(session, &answer, (answer.key.as_ref(), answer.revision), "Revoked")
}

pub(super) async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), CliError> {
    let named = &args.target.named;
    let (id, confirm) = if let Some(confirm) = &args.confirm {
        (id(session, named, Among::Present).await?, confirm.clone())
    } else {
        require_terminal("--yes --confirm NAME deletes without asking")?;
        let key = key(session, named, Among::Present).await?;
        note(&format!("{} will be unknown at once.", sentence(&key)));
        let name = plain(&key.display_name);
        let typed = prompt::line(&format!("To delete it, type its name ({name}): "))?;
        if typed != key.display_name {
            let help = "names are compared letter for letter";
            return Err(CliError::failed("that is not its name; nothing was deleted", help));
        }
        (key.id, typed)
    };
    let request = DeleteKeyRequest { id, confirm, etag: args.target.etag() };
    let send = async |request| session.keys().delete_key(request).await;
    let answer = session.change(request, send).await?;
    told(session, &answer, (answer.key.as_ref(), answer.revision), "Deleted")
}

pub(super) async fn undelete(session: &Session, args: &TargetArgs) -> Result<(), CliError> {
    let id = id(session, &args.named, Among::Deleted).await?;
    let request = UndeleteKeyRequest { id, etag: args.etag() };
    let send = async |request| session.keys().undelete_key(request).await;
    let answer = session.change(request, send).await?;
    told(session, &answer, (answer.key.as_ref(), answer.revision), "Brought back")
}

fn require_terminal(help: &str) -> Result<(), CliError> {
    if prompt::is_possible() {
        return Ok(());
    }
    Err(CliError::usage("this asks a question, and there is no terminal to answer it", help))
}

/// Says what was done: to people in a sentence, to programs by the answer.
pub(super) fn told<T: Shown>(
    session: &Session,
    answer: &T,
    (key, revision): (Option<&Key>, i64),
    done: &str,
) -> Result<(), CliError> {
    if !session.out.is_for_people() {
        return session.out.value(answer);
    }
    let key = key.map(sentence).unwrap_or_default();
    note(&format!("{done} {key}, revision {revision}."));
    Ok(())
}
