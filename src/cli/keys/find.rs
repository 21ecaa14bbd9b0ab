//! Finding a key by what people call it.

use super::{Named, fields::LINES};
use crate::{
    cli::{error::CliError, session::Session},
    rpc::pb::{GetKeyRequest, Key, KeyState, ListKeysRequest},
};

const PAGE_KEYS: i32 = 1000;
/// How many keys of a name are told.
const TOLD_MAX: usize = 5;

/// Whether deleted keys are found by their names, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Among {
    /// They are not.
    Present,
    /// Only they are.
    Deleted,
}

pub(super) async fn show(session: &Session, named: &Named) -> Result<(), CliError> {
    let key = key(session, named, Among::Present).await?;
    session.out.show(&key, &LINES)
}

/// The key as it is now.
pub(in crate::cli) async fn key(
    session: &Session,
    named: &Named,
    among: Among,
) -> Result<Key, CliError> {
    if !is_id(&named.id) {
        return by_name(session, &named.id, among).await;
    }
    let request = GetKeyRequest { id: named.id.clone() };
    let answer =
        session.ask(request, async |request| session.keys().get_key(request).await).await?;
    Ok(answer.key.unwrap_or_default())
}

/// The id of a key; only a name is looked up.
pub(in crate::cli) async fn id(
    session: &Session,
    named: &Named,
    among: Among,
) -> Result<String, CliError> {
    if is_id(&named.id) {
        return Ok(named.id.clone());
    }
    by_name(session, &named.id, among).await.map(|key| key.id)
}

fn is_id(text: &str) -> bool {
    text.starts_with("key_")
}

async fn by_name(session: &Session, name: &str, among: Among) -> Result<Key, CliError> {
    let states = match among {
        Among::Present => Vec::new(),
        Among::Deleted => vec![KeyState::Deleted.into()],
    };
    let mut request = ListKeysRequest {
        page_size: PAGE_KEYS,
        search: name.to_owned(),
        states,
        ..ListKeysRequest::default()
    };
    let mut found: Vec<Key> = Vec::new();
    loop {
        let ask = async |request| session.keys().list_keys(request).await;
        let page = session.ask(request.clone(), ask).await?;
        found.extend(page.keys.into_iter().filter(|key| key.display_name == name));
        if page.next_page_token.is_empty() || found.len() > TOLD_MAX {
            break;
        }
        request.page_token = page.next_page_token;
    }
    let ids: Vec<_> = found.iter().take(TOLD_MAX).map(|key| key.id.as_str()).collect();
    let no_key = match among {
        Among::Present => "no key",
        Among::Deleted => "no deleted key",
    };
    match (ids.join(", "), found.len(), found.pop()) {
        (_, 1, Some(key)) => Ok(key),
        (_, _, None) => Err(CliError::not_found(
            format!("{no_key} has the name {name:?}"),
            "`keyward keys list --search TEXT` finds keys by a part of their name",
        )),
        (ids, _, Some(_)) => Err(CliError::usage(
            format!("several keys have the name {name:?}: {ids}"),
            "give the id of the one that is meant",
        )),
    }
}
