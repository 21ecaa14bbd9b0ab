//! Making many keys of what another system knows of them.
//!
//! A stream that breaks off makes nothing, so it is only ended when all items were read; from then on the
//! server's job makes the keys, whether we watch or not.

mod csv;
mod items;
mod job;
mod line;

use std::{future::pending, path::PathBuf, thread};

use clap::{Args, ValueEnum};
use futures_util::{Stream, stream};
use prost_types::Timestamp;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tonic::{Request, Streaming};

pub use self::items::Form;
use self::{items::Items, line::Place};
use super::{
    create::request_id,
    limits::{concurrency, quota, rate},
};
use crate::{
    cli::{
        error::{CliError, Doubt},
        output::{note, progress::Progress},
        read::{instant, label, labels},
        session::Session,
    },
    model::name::DomainName,
    rpc::pb::{
        ImportConflict, ImportKeyItem, ImportKeysOptions, ImportKeysRequest, ImportKeysResponse,
        Job, Limit,
    },
};

/// How many messages wait to be sent.
const WAITING_MAX: usize = 4;

/// Settings of `keyward keys import`.
///
/// A line of JSON is a protobuf message `keyward.v1.ImportKeyItem`, such as
///
/// `{"displayName": "Old key", "sha256": "HEX", "permissions": ["systems.read"]}`
///
/// CSV begins with a line of the names of its columns: `display_name`, `sha256`, `token`, `hint`,
/// `description`, `permissions` and `groups` (each separated by blanks), `user`, `not_before_time`,
/// `expire_time`, `label:NAME`.
///
/// An item needs a name, and the SHA-256 of its token (hexadecimal or base64) or the token itself.
///
/// Of a line of `keyward keys export`, what is only told of the old key is left out. A line is refused if the key
/// is not active, if it is of another domain or environment, or if an import would lose what restricts it:
/// route rules, customers, addresses, groups that were deleted, who manages it, what it may delegate.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file with the items; `-` is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// How the file is written [default: csv if it is named so, else jsonl]
    #[arg(long, value_name = "FORM")]
    pub form: Option<Form>,

    /// The domain of the new keys [default: default]
    #[arg(long, short, value_name = "NAME")]
    pub domain: Option<String>,

    /// The environment of the new keys
    #[arg(long, short, value_name = "NAME", default_value = "production")]
    pub environment: String,

    /// What to do with items whose key is there already
    #[arg(long, value_name = "WHAT", default_value = "skip")]
    pub on_conflict: Conflict,

    /// For items without permissions, groups and user: what they may do; may be given several times
    #[arg(long = "permission", short, value_name = "PERMISSION", value_delimiter = ',')]
    pub permissions: Vec<String>,

    /// For the same items: a permission group; may be given several times
    #[arg(long = "group", short, value_name = "NAME", value_delimiter = ',')]
    pub groups: Vec<String>,

    /// For the same items: the user whom they act for
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// A label for all; may be given several times
    #[arg(long = "label", short, value_name = "NAME=VALUE", value_parser = label)]
    pub labels: Vec<(String, String)>,

    /// For items without limits, as for `keys create`
    #[arg(long = "rate", value_name = "NAME=NUMBER/TIME", value_parser = rate)]
    pub rates: Vec<Limit>,

    /// For items without limits, as for `keys create`
    #[arg(long = "quota", value_name = "NAME=NUMBER/PERIOD", value_parser = quota)]
    pub quotas: Vec<Limit>,

    /// For items without limits, as for `keys create`
    #[arg(long = "concurrency", value_name = "NAME=NUMBER", value_parser = concurrency)]
    pub slots: Vec<Limit>,

    /// For items that do not say until when they work: a date, or a time from now such as 90d
    #[arg(long = "expires", short = 'x', value_name = "TIME", value_parser = instant)]
    pub expire_time: Option<Timestamp>,

    /// Names this import, so that it is done once however often it is sent [default: a random one]
    #[arg(long, value_name = "TEXT")]
    pub request_id: Option<String>,

    /// Do not wait for the job that makes the keys
    #[arg(long)]
    pub no_wait: bool,
}

/// What to do with an item whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Conflict {
    /// The key stays as it is, and the item counts as skipped
    Skip,
    /// The key stays as it is, and the item counts as failed
    Fail,
}

/// What goes to the server.
enum Sent {
    Message(Box<ImportKeysRequest>),
    End,
}

pub(super) async fn import(session: &Session, args: &ImportArgs) -> Result<(), CliError> {
    let options = options(args)?;
    let items = read(Items::open(&args.file, args.form, place(&options))?);
    let mut interrupt = signal(SignalKind::interrupt())
        .map_err(|source| CliError::io("Ctrl-C cannot be listened for", source))?;
    let mut job = Job::default();
    let sent = send(session, options, (items, &mut interrupt), &mut job).await;
    if let Err(CliError::Usage { .. } | CliError::Interrupted) = &sent {
        job::cancel(session, &job).await;
    }
    sent?;
    if args.no_wait {
        return job::show(session, &job);
    }
    job::watch(session, job, &mut interrupt).await
}

fn options(args: &ImportArgs) -> Result<ImportKeysOptions, CliError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let on_conflict = match args.on_conflict {
        Conflict::Skip => ImportConflict::Skip,
        Conflict::Fail => ImportConflict::Fail,
    };
    let limits = [&args.rates, &args.quotas, &args.slots];
    Ok(ImportKeysOptions {
        domain: text(&args.domain),
        environment: args.environment.clone(),
        on_conflict: on_conflict.into(),
        permissions: args.permissions.clone(),
        groups: args.groups.clone(),
        user: text(&args.user),
        labels: labels(&args.labels),
        limits: limits.into_iter().flatten().cloned().collect(),
        expire_time: args.expire_time,
        request_id: request_id(args.request_id.as_ref())?,
    })
}

fn place(options: &ImportKeysOptions) -> Place {
    let domain = Some(&*options.domain).filter(|name| !name.is_empty());
    Place {
        domain: domain.unwrap_or(DomainName::DEFAULT).to_owned(),
        environment: options.environment.clone(),
    }
}

type Read = mpsc::Receiver<Result<Vec<ImportKeyItem>, CliError>>;

/// Reads items on a thread of its own, so that a slow input does not hold up the connection.
fn read(mut items: Items) -> Read {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    thread::spawn(move || {
        loop {
            let some = items.some();
            let is_last = some.as_ref().map_or(true, Vec::is_empty);
            let is_empty = some.as_ref().is_ok_and(Vec::is_empty);
            if is_empty || sender.blocking_send(some).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// Sends all items; the job is as the server told of it last, and begins at the end.
async fn send(
    session: &Session,
    options: ImportKeysOptions,
    (mut items, interrupt): (Read, &mut Signal),
    job: &mut Job,
) -> Result<(), CliError> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let request_id = options.request_id.clone();
    let first = ImportKeysRequest { options: Some(options), items: Vec::new() };
    let mut next = Some(Sent::Message(Box::new(first)));
    let mut keys = session.keys();
    // until the end is sent the server makes nothing
    let refused = |status, ended: bool| {
        let named = || Doubt::Repeatable { request_id: request_id.clone() };
        session.refused(status, if ended { named() } else { Doubt::Nothing })
    };
    let mut beginning = Box::pin(keys.import_keys(Request::new(messages(receiver))));
    let mut answers: Option<Streaming<ImportKeysResponse>> = None;
    let mut progress = Progress::begin("Sent", None);
    let (mut read, mut ended) = (0, false);
    loop {
        tokio::select! {
            begun = &mut beginning, if answers.is_none() => {
                answers = Some(begun.map_err(|status| refused(status, ended))?.into_inner());
            }
            answer = next_of(&mut answers) => match answer.map_err(|status| refused(status, ended))? {
                Some(answer) => {
                    *job = answer.job.unwrap_or_default();
                    progress.show(answer.received, None);
                }
                None => return Ok(()),
            },
            permit = sender.reserve(), if next.is_some() => {
                if let (Ok(permit), Some(next)) = (permit, next.take()) {
                    permit.send(next);
                }
            }
            some = items.recv(), if next.is_none() && !ended => {
                let items = some.transpose()?.unwrap_or_default();
                read += items.len();
                ended = items.is_empty();
                next = Some(if ended { Sent::End } else { more(items) });
            }
            _ = interrupt.recv() => return Err(stopped(&mut progress, (ended, read), job)),
        }
    }
}

fn more(items: Vec<ImportKeyItem>) -> Sent {
    Sent::Message(Box::new(ImportKeysRequest { options: None, items }))
}

async fn next_of(
    answers: &mut Option<Streaming<ImportKeysResponse>>,
) -> Result<Option<ImportKeysResponse>, tonic::Status> {
    match answers {
        Some(answers) => answers.message().await,
        None => pending().await,
    }
}

/// What is sent. It ends when it is told to, and not when who sends gives up: the server takes an end as the
/// order to begin.
fn messages(
    receiver: mpsc::Receiver<Sent>,
) -> impl Stream<Item = ImportKeysRequest> + Send + 'static {
    stream::unfold(receiver, |mut receiver| async {
        match receiver.recv().await {
            Some(Sent::Message(message)) => Some((*message, receiver)),
            Some(Sent::End) => None,
            None => pending().await,
        }
    })
}

/// Ctrl-C while items were sent.
fn stopped(progress: &mut Progress, (ended, read): (bool, usize), job: &Job) -> CliError {
    progress.end();
    if ended {
        return CliError::failed(
            format!("stopped while the job {} was about to begin", job.id),
            "the server may make the keys: look at `keyward keys list`, or send the same again, which skips those that are there",
        );
    }
    note(&format!("{read} items had been read, and no key was made of them. Send them all again."));
    CliError::Interrupted
}
