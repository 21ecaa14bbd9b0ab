//! What has limits: reading and changing them, whatever it is.

use clap::Args;
use prost_types::FieldMask;

use crate::{
    cli::{
        error::CliError,
        keys::{
            Named,
            find::{self, Among},
        },
        session::Session,
    },
    rpc::pb::{
        Customer, Domain, GetCustomerRequest, GetDomainRequest, GetKeyRequest, GetUserRequest, Key,
        Limit, LimitOwner, UpdateCustomerRequest, UpdateDomainRequest, UpdateKeyRequest,
        UpdateUserRequest, User, limit_owner::Thing,
    },
};

/// Whose limits.
#[derive(Clone, Debug, Args)]
#[command(
    next_help_heading = "Whose limits: of a key, a user or a customer, or of all of a domain"
)]
pub struct OwnerArgs {
    /// Of this key, by its id or its whole name
    #[arg(id = "key_id", long = "key", value_name = "KEY", conflicts_with_all = ["user", "customer", "domain"])]
    pub key: Option<String>,

    /// Of this user
    #[arg(long, short, value_name = "ID", conflicts_with = "customer")]
    pub user: Option<String>,

    /// Of this customer
    #[arg(long, value_name = "ID")]
    pub customer: Option<String>,

    /// Of this domain; with --user and --customer theirs [default: default]
    #[arg(long, short, value_name = "NAME", required_unless_present_any = ["key_id", "user", "customer"])]
    pub domain: Option<String>,
}

/// What has limits.
pub(super) struct Owner {
    domain: String,
    thing: Option<Thing>,
}

/// Limits, and what changes with the thing that has them.
pub(super) struct Owned {
    pub(super) limits: Vec<Limit>,
    pub(super) etag: String,
}

impl Owner {
    pub(super) async fn find(session: &Session, args: &OwnerArgs) -> Result<Self, CliError> {
        if let Some(key) = &args.key {
            let id = find::id(session, &Named { id: key.clone() }, Among::Present).await?;
            return Ok(Self { domain: String::new(), thing: Some(Thing::KeyId(id)) });
        }
        let user = args.user.clone().map(Thing::User);
        let thing = user.or_else(|| args.customer.clone().map(Thing::Customer));
        let domain = args.domain.clone().unwrap_or_else(|| "default".to_owned());
        Ok(Self { domain, thing })
    }

    /// As requests about quotas have it.
    pub(super) fn pb(&self) -> LimitOwner {
        LimitOwner { domain: self.domain.clone(), thing: self.thing.clone() }
    }

    /// Its limits.
    pub(super) async fn get(&self, session: &Session) -> Result<Owned, CliError> {
        let domain = self.domain.clone();
        match self.thing.clone() {
            Some(Thing::KeyId(id)) => {
                let request = GetKeyRequest { id };
                let ask = async |request| session.keys().get_key(request).await;
                let Key { limits, etag, .. } =
                    session.ask(request, ask).await?.key.unwrap_or_default();
                Ok(Owned { limits, etag })
            }
            Some(Thing::User(id)) => {
                let request = GetUserRequest { domain, id };
                let ask = async |request| session.access().get_user(request).await;
                let User { limits, etag, .. } =
                    session.ask(request, ask).await?.user.unwrap_or_default();
                Ok(Owned { limits, etag })
            }
            Some(Thing::Customer(id)) => {
                let request = GetCustomerRequest { domain, id };
                let ask = async |request| session.access().get_customer(request).await;
                let Customer { limits, etag, .. } =
                    session.ask(request, ask).await?.customer.unwrap_or_default();
                Ok(Owned { limits, etag })
            }
            None => {
                let request = GetDomainRequest { name: domain };
                let ask = async |request| session.access().get_domain(request).await;
                let Domain { limits, etag, .. } =
                    session.ask(request, ask).await?.domain.unwrap_or_default();
                Ok(Owned { limits, etag })
            }
        }
    }

    /// Replaces its limits; returns them, and the revision that knows of them.
    pub(super) async fn set(
        &self,
        session: &Session,
        Owned { limits, etag }: Owned,
        validate_only: bool,
    ) -> Result<(Vec<Limit>, i64), CliError> {
        let domain = self.domain.clone();
        let update_mask = Some(FieldMask { paths: vec!["limits".to_owned()] });
        match self.thing.clone() {
            Some(Thing::KeyId(id)) => {
                let key = Some(Key { id, limits, etag, ..Key::default() });
                let request = UpdateKeyRequest { key, update_mask, validate_only };
                let send = async |request| session.keys().update_key(request).await;
                let answer = session.change(request, send).await?;
                Ok((answer.key.unwrap_or_default().limits, answer.revision))
            }
            Some(Thing::User(id)) => {
                let user = Some(User { domain, id, limits, etag, ..User::default() });
                let request = UpdateUserRequest { user, update_mask, validate_only };
                let send = async |request| session.access().update_user(request).await;
                let answer = session.change(request, send).await?;
                Ok((answer.user.unwrap_or_default().limits, answer.revision))
            }
            Some(Thing::Customer(id)) => {
                let customer = Some(Customer { domain, id, limits, etag, ..Customer::default() });
                let request = UpdateCustomerRequest { customer, update_mask, validate_only };
                let send = async |request| session.access().update_customer(request).await;
                let answer = session.change(request, send).await?;
                Ok((answer.customer.unwrap_or_default().limits, answer.revision))
            }
            None => {
                let domain = Some(Domain { name: domain, limits, etag, ..Domain::default() });
                let request = UpdateDomainRequest { domain, update_mask, validate_only };
                let send = async |request| session.access().update_domain(request).await;
                let answer = session.change(request, send).await?;
                Ok((answer.domain.unwrap_or_default().limits, answer.revision))
            }
        }
    }
}
