//! What batches do with keys: make them of items, or change those that are there.

use std::collections::{HashMap, HashSet};

use super::batch::{Outcome, Step};
use crate::{
    admin::{AdminError, Call, resolve},
    model::{
        caller::{Action, Actor, Right},
        job::{Job, JobTask, OnConflict},
        key::{Change, Key, Revocation},
        name::{DomainName, GroupName},
        record::ThingName,
        secret::Digest,
        user::{User, UserId},
    },
    store::{
        jobs::{Imported, Staged},
        write::WriteTx,
    },
};

/// Keys that are made in one transaction: other changes wait for its last part only.
const MADE_MAX: i64 = 2_000;
/// Keys that are changed in one transaction, each with an audit event of its own.
const CHANGED_MAX: i64 = 200;

const PRESENT: &str = "there is a key with this token already";

/// Makes keys of the next items of an import.
pub(super) async fn import(
    tx: &mut WriteTx<'_>,
    call: &Call,
    job: &Job,
) -> Result<(Outcome, Step), AdminError> {
    let JobTask::Import { domain, environment, on_conflict } = &job.task else {
        return Ok((Outcome::default(), Step::Finished));
    };
    call.require_on(Right::on_keys(Action::Write, domain), &ThingName::in_domain(domain, ""))?;
    let items = tx.next_items(job, MADE_MAX).await?;
    let mut outcome = Outcome::default();
    outcome.progress.reached = job.reached;
    let Some(last) = items.last() else { return Ok((outcome, Step::Finished)) };
    outcome.progress.reached = last.position;
    let (fit, mut present) = sort_out(tx, call, (domain, &items), &mut outcome).await?;
    let imported = Imported {
        domain,
        environment,
        created_by: call.caller.key,
        positions: fit.iter().map(|item| item.position).collect(),
        last: last.position,
    };
    let made: HashSet<_> = tx.make_keys(job, &imported).await?.into_iter().collect();
    present.extend(fit.into_iter().filter(|item| !made.contains(&item.id)));
    outcome.progress.done = i64::try_from(made.len()).unwrap_or(i64::MAX);
    for item in present {
        match on_conflict {
            OnConflict::Skip => outcome.progress.skipped += 1,
            OnConflict::Fail => outcome.fail(item.position, &item.display_name, PRESENT),
        }
    }
    Ok((outcome, Step::More))
}

/// The items that keys can be made of, and those whose key is there already. What is wrong with others is
/// noted.
async fn sort_out<'a>(
    tx: &WriteTx<'_>,
    call: &Call,
    (domain, items): (&DomainName, &'a [Staged]),
    outcome: &mut Outcome,
) -> Result<(Vec<&'a Staged>, Vec<&'a Staged>), AdminError> {
    let digests: Vec<Digest> = items.iter().flat_map(forms).collect();
    let mut known: HashSet<Digest> = tx.digests_present(&digests).await?.into_iter().collect();
    let ids: HashSet<&str> =
        items.iter().filter_map(|item| item.user.as_ref()).map(UserId::as_str).collect();
    let ids: Vec<&str> = ids.into_iter().collect();
    let users: HashSet<String> = tx.users_there(domain, &ids).await?.into_iter().collect();
    let (mut fit, mut present) = (Vec::new(), Vec::new());
    // most items of an import are given the same
    let mut verdicts: HashMap<String, Option<String>> = HashMap::new();
    for item in items {
        if forms(item).any(|digest| known.contains(&digest)) {
            present.push(item);
            continue;
        }
        if item.user.as_ref().is_some_and(|user| !users.contains(user.as_str())) {
            outcome.fail(item.position, &item.display_name, "user must be a user of the domain");
            continue;
        }
        let given = given(call, item);
        let verdict = if let Some(verdict) = verdicts.get(&given) {
            verdict.clone()
        } else {
            let verdict = wrong_with(tx, call, domain, item).await?;
            verdicts.insert(given, verdict.clone());
            verdict
        };
        match verdict {
            None => {
                known.extend(forms(item));
                fit.push(item);
            }
            Some(message) => outcome.fail(item.position, &item.display_name, &message),
        }
    }
    Ok((fit, present))
}

/// All forms in which a key may have the token of an item already.
fn forms(item: &Staged) -> impl Iterator<Item = Digest> {
    std::iter::once(item.digest).chain(item.other_digests.iter().copied())
}

/// All that says whether an item may be given what it is.
fn given(call: &Call, item: &Staged) -> String {
    let grants: Vec<&str> = item.grants.iter().collect();
    let groups: Vec<&str> = item.groups.iter().map(GroupName::as_str).collect();
    let bound = call.caller.profile.delegation.is_some();
    let user = item.user.as_ref().filter(|_| bound).map_or("", UserId::as_str);
    format!("{}\n{}\n{user}", grants.join(" "), groups.join(" "))
}

/// What is wrong with what an item is given, if something is: it is not there, or beyond what the caller
/// may give.
async fn wrong_with(
    tx: &WriteTx<'_>,
    call: &Call,
    domain: &DomainName,
    item: &Staged,
) -> Result<Option<String>, AdminError> {
    match check(tx, call, domain, item).await {
        Ok(()) => Ok(None),
        Err(AdminError::Denied(denial)) => Ok(Some(denial.to_string())),
        Err(AdminError::Invalid { field, message }) => Ok(Some(format!("{field} {message}"))),
        Err(error) => Err(error),
    }
}

async fn check(
    tx: &WriteTx<'_>,
    call: &Call,
    domain: &DomainName,
    item: &Staged,
) -> Result<(), AdminError> {
    resolve::groups(tx, domain, &item.groups, "groups").await?;
    resolve::permissions(tx, domain, &item.grants, "permissions").await?;
    call.require_ceiling(&item.grants)?;
    for group in tx.groups_by_name(domain, &item.groups).await? {
        call.require_ceiling(&group.grants)?;
    }
    match &item.user {
        Some(user) if item.grants.is_empty() && item.groups.iter().next().is_none() => {
            let name = ThingName::in_domain(domain, user.as_str());
            match tx.share::<User>(&name).await? {
                Some(user) => call.require_ceiling_of_user(tx, &user).await,
                None => Ok(()), // it is looked for by itself
            }
        }
        _ => Ok(()),
    }
}

/// Changes the next keys that are noted for a job.
pub(super) async fn change(
    tx: &mut WriteTx<'_>,
    call: &Call,
    job: &Job,
) -> Result<(Outcome, Step), AdminError> {
    let mut noted = tx.next_keys(job, CHANGED_MAX).await?;
    noted.sort_unstable();
    let mut outcome = Outcome::default();
    outcome.progress.reached = job.reached;
    let Some((last, _)) = noted.last() else { return Ok((outcome, Step::Finished)) };
    outcome.progress.reached = *last;
    let ids: Vec<_> = noted.iter().map(|(_, id)| *id).collect();
    let keys = tx.lock_keys(&ids).await?;
    let keys: HashMap<_, _> = keys.into_iter().map(|key| (key.id, key)).collect();
    let mut purged = Vec::new();
    for (position, id) in noted {
        let Some(before) = keys.get(&id) else {
            outcome.progress.skipped += 1;
            continue;
        };
        let mut key = before.clone();
        match turn(call, &job.task, &mut key) {
            Err(AdminError::Denied(denial)) => {
                outcome.fail(position, &id.to_string(), &denial.to_string());
            }
            // it is not what it was when it was found
            Ok(Change::Nothing) | Err(AdminError::Refused(_)) => outcome.progress.skipped += 1,
            Err(error) => return Err(error),
            Ok(Change::Made) => {
                outcome.progress.done += 1;
                match &job.task {
                    JobTask::Purge { .. } => purged.push(key),
                    _ => tx.update_key(before, &key).await?,
                }
            }
        }
    }
    if !purged.is_empty() {
        tx.purge_keys(&purged).await?;
    }
    Ok((outcome, Step::More))
}

/// What a job makes of one key, if its maker may do that.
fn turn(call: &Call, task: &JobTask, key: &mut Key) -> Result<Change, AdminError> {
    match task {
        JobTask::Revoke { reason, comment } => {
            call.require_key(Action::Revoke, key)?;
            let by = Actor::Key(call.caller.key);
            let (reason, comment) = (*reason, comment.clone());
            Ok(key.revoke(Revocation { reason, comment, time: call.now, by })?)
        }
        JobTask::Deactivate => {
            call.require_key(Action::Write, key)?;
            call.require_manager(key)?;
            Ok(key.deactivate(call.now)?)
        }
        JobTask::Purge { deleted_before } => {
            call.require_key(Action::Delete, key)?;
            call.require_manager(key)?;
            let old = key.delete_time.is_some_and(|time| time < *deleted_before);
            Ok(if old { Change::Made } else { Change::Nothing })
        }
        JobTask::Import { .. } | JobTask::Trim { .. } => Ok(Change::Nothing),
    }
}
