//! Changing what a key is and may do: the fields that are given, and no others.

use std::collections::BTreeSet;

use clap::{Args, ValueEnum};
use prost_types::FieldMask;

use super::{
    Named,
    change::told,
    fields::LINES,
    find::{Among, id},
    settings::SettingsArgs,
};
use crate::{
    cli::{error::CliError, output::note, session::Session},
    rpc::pb::{Key, UpdateKeyRequest},
};

/// Settings of `keyward keys update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Which key.
    #[command(flatten)]
    pub named: Named,

    /// What to call it
    #[arg(long = "name", value_name = "NAME")]
    pub display_name: Option<String>,

    /// Its settings.
    #[command(flatten)]
    pub settings: SettingsArgs,

    /// Takes a setting away; may be given several times
    #[arg(long, value_name = "FIELD")]
    pub clear: Vec<Field>,

    /// Only if the key is still as it was when it had this etag
    #[arg(long, value_name = "ETAG")]
    pub etag: Option<String>,

    /// Check everything, and change nothing
    #[arg(long = "dry-run")]
    pub validate_only: bool,
}

/// What can be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Field {
    /// What it is for
    Description,
    /// Its own permissions
    Permissions,
    /// Its groups
    Groups,
    /// The user whom it acts for
    User,
    /// Its route rules
    Routes,
    /// The customers that it is bound to
    Customers,
    /// Where it must be used from
    AllowFrom,
    /// Where it must not be used from
    DenyFrom,
    /// From when on it works
    NotBefore,
    /// Until when it works
    Expires,
    /// Its labels
    Labels,
    /// Its limits
    Limits,
    /// Its manager
    ManagedBy,
    /// What an admin key is bound to
    Delegation,
}

impl Field {
    /// The field of a key.
    const fn path(self) -> &'static str {
        match self {
            Self::Description => "description",
            Self::Permissions => "permissions",
            Self::Groups => "groups",
            Self::User => "user",
            Self::Routes => "route_rules",
            Self::Customers => "customers",
            Self::AllowFrom => "allowed_addresses",
            Self::DenyFrom => "denied_addresses",
            Self::NotBefore => "not_before_time",
            Self::Expires => "expire_time",
            Self::Labels => "labels",
            Self::Limits => "limits",
            Self::ManagedBy => "managed_by",
            Self::Delegation => "delegation",
        }
    }
}

pub(super) async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let paths = paths(args)?;
    let key = Key {
        id: id(session, &args.named, Among::Present).await?,
        display_name: args.display_name.clone().unwrap_or_default(),
        etag: args.etag.clone().unwrap_or_default(),
        ..args.settings.key()
    };
    let request = UpdateKeyRequest {
        key: Some(key),
        update_mask: Some(FieldMask { paths }),
        validate_only: args.validate_only,
    };
    let send = async |request| session.keys().update_key(request).await;
    let answer = session.change(request, send).await?;
    if args.validate_only {
        session.out.show(&answer.key.unwrap_or_default(), &LINES)?;
        note("Nothing was changed: the key would be like this.");
        return Ok(());
    }
    told(session, &answer, (answer.key.as_ref(), answer.revision), "Changed")
}

/// Which fields are to be changed.
fn paths(args: &UpdateArgs) -> Result<Vec<String>, CliError> {
    let name = args.display_name.as_ref().map(|_| "display_name");
    let given: BTreeSet<&str> = args.settings.given().into_iter().chain(name).collect();
    let cleared: BTreeSet<&str> = args.clear.iter().map(|field| field.path()).collect();
    if let Some(both) = given.intersection(&cleared).next() {
        return Err(CliError::usage(
            format!("{both} is both given and to be cleared"),
            "lists are replaced as a whole: give the new one only",
        ));
    }
    if given.is_empty() && cleared.is_empty() {
        return Err(CliError::usage(
            "nothing is to be changed",
            "give what is to be set, or --clear FIELD; see `keyward keys update --help`",
        ));
    }
    Ok(given.union(&cleared).map(|path| (*path).to_owned()).collect())
}
