//! `keyward customers`: what is said of customers.

use clap::{Args, Subcommand};

use super::{
    ChangeArgs, EtagArgs, SureArgs, ago, edits::Mask, line, show_change, show_end, text, when,
};
use crate::{
    cli::{
        error::CliError,
        keys::fields::limits,
        limits::spec::LimitFlags,
        output::{Field, Fit, text::plain},
        pages::PageArgs,
        session::Session,
    },
    rpc::pb::{
        CreateCustomerRequest, Customer, DeleteCustomerRequest, GetCustomerRequest,
        ListCustomersRequest, UpdateCustomerRequest,
    },
};

/// What to do with customers.
#[derive(Debug, Subcommand)]
pub enum CustomersCommand {
    /// List customers
    #[command(after_help = "Example: keyward customers list --domain acme")]
    List(ListArgs),
    /// Show all that is known of a customer
    #[command(after_help = "Example: keyward customers show acme-inc")]
    Show(Named),
    /// Say something of a customer, such as what all requests for it share
    #[command(
        after_help = "Example: keyward customers create acme-inc --quota monthly=10000/month"
    )]
    Create(CreateArgs),
    /// Change what is said of a customer
    #[command(after_help = "Example: keyward customers update acme-inc --display-name 'Acme Inc.'")]
    Update(UpdateArgs),
    /// Forget what was said of a customer; keys that name it stay as they are
    #[command(after_help = "Example: keyward customers delete acme-inc --yes")]
    Delete(DeleteArgs),
}

/// Settings of `keyward customers list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Customers of this domain [default: of all]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// Customers with this text in their name or display name
    #[arg(long, value_name = "TEXT")]
    pub search: Option<String>,

    /// How many.
    #[command(flatten)]
    pub page: PageArgs,
}

/// A customer.
#[derive(Clone, Debug, Args)]
pub struct Named {
    /// Its id
    #[arg(value_name = "CUSTOMER")]
    pub id: String,

    /// The domain that it belongs to [default: default]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,
}

/// Settings of `keyward customers create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// What people call it [default: its id]
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward customers update`.
#[derive(Debug, Args)]
pub struct UpdateArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// What people call it
    #[arg(long, value_name = "TEXT")]
    pub display_name: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,

    /// What it may use.
    #[command(flatten)]
    pub limits: LimitFlags,

    /// A field to clear, which may be given several times
    #[arg(long, value_name = "FIELD", value_parser = ["description", "limits"])]
    pub clear: Vec<String>,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Settings of `keyward customers delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which one.
    #[command(flatten)]
    pub named: Named,

    /// If it is still so.
    #[command(flatten)]
    pub etag: EtagArgs,

    /// That it is meant.
    #[command(flatten)]
    pub sure: SureArgs,

    /// Whether this is meant.
    #[command(flatten)]
    pub change: ChangeArgs,
}

const COLUMNS: [Field<Customer>; 5] = [
    line!("Id", id),
    line!("Name", display_name, Fit::Cut),
    line!("Domain", domain, Fit::Spare(1)),
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Cut },
    Field {
        name: "Changed",
        cell: |thing, look| ago(thing.update_time.as_ref(), look),
        fit: Fit::Spare(2),
    },
];

const LINES: [Field<Customer>; 8] = [
    line!("Id", id),
    line!("Domain", domain),
    line!("Name", display_name),
    line!("Description", description),
    Field { name: "Limits", cell: |thing, _| limits(&thing.limits), fit: Fit::Whole },
    when!("Created", create_time),
    when!("Changed", update_time),
    line!("Etag", etag),
];

pub(in crate::cli) async fn run(
    session: &Session,
    command: &CustomersCommand,
) -> Result<(), CliError> {
    match command {
        CustomersCommand::List(args) => list(session, args).await,
        CustomersCommand::Show(named) => session.out.show(&get(session, named).await?, &LINES),
        CustomersCommand::Create(args) => create(session, args).await,
        CustomersCommand::Update(args) => update(session, args).await,
        CustomersCommand::Delete(args) => delete(session, args).await,
    }
}

async fn list(session: &Session, args: &ListArgs) -> Result<(), CliError> {
    let page = async |page_size, page_token| {
        let request = ListCustomersRequest {
            page_size,
            page_token,
            domain: text(args.domain.as_ref()),
            search: text(args.search.as_ref()),
        };
        let ask = async |request| session.access().list_customers(request).await;
        let answer = session.ask(request, ask).await?;
        Ok((answer.customers, answer.next_page_token))
    };
    args.page.collect(page).await?.show(session, &COLUMNS)
}

async fn get(session: &Session, named: &Named) -> Result<Customer, CliError> {
    let request = GetCustomerRequest { domain: text(named.domain.as_ref()), id: named.id.clone() };
    let ask = async |request| session.access().get_customer(request).await;
    Ok(session.ask(request, ask).await?.customer.unwrap_or_default())
}

async fn create(session: &Session, args: &CreateArgs) -> Result<(), CliError> {
    let customer = Customer {
        id: args.named.id.clone(),
        domain: text(args.named.domain.as_ref()),
        display_name: args.display_name.as_ref().unwrap_or(&args.named.id).clone(),
        description: text(args.description.as_ref()),
        limits: args.limits.all(),
        ..Customer::default()
    };
    let dry = args.change.dry_run;
    let request = CreateCustomerRequest { customer: Some(customer), validate_only: dry };
    let send = async |request| session.access().create_customer(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.customer.as_ref(), &LINES),
        ("The customer was made", dry, answer.revision),
    )
}

async fn update(session: &Session, args: &UpdateArgs) -> Result<(), CliError> {
    let mut mask = Mask::new(&args.clear);
    let customer = Customer {
        id: args.named.id.clone(),
        domain: text(args.named.domain.as_ref()),
        display_name: mask.field("display_name", args.display_name.clone()),
        description: mask.field("description", args.description.clone()),
        limits: mask.field("limits", args.limits.given()),
        etag: args.etag.text(),
        ..Customer::default()
    };
    let (update_mask, dry) = (mask.finish()?, args.change.dry_run);
    let request =
        UpdateCustomerRequest { customer: Some(customer), update_mask, validate_only: dry };
    let send = async |request| session.access().update_customer(request).await;
    let answer = session.change(request, send).await?;
    show_change(
        session,
        &answer,
        (answer.customer.as_ref(), &LINES),
        ("The customer was changed", dry, answer.revision),
    )
}

async fn delete(session: &Session, args: &DeleteArgs) -> Result<(), CliError> {
    let (name, dry) = (plain(&args.named.id), args.change.dry_run);
    if !dry {
        args.sure.ask(&format!("Forget the customer {name} and its limits?"))?;
    }
    let request = DeleteCustomerRequest {
        domain: text(args.named.domain.as_ref()),
        id: args.named.id.clone(),
        etag: args.etag.text(),
        validate_only: dry,
    };
    let send = async |request| session.access().delete_customer(request).await;
    let answer = session.change(request, send).await?;
    show_end(session, &answer, (&format!("The customer {name} was deleted"), dry, answer.revision))
}
