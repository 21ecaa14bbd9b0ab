//! One change of one key, in one transaction.

use crate::{
    admin::{Admin, AdminError, Call, Changed, Effect, Target, check_etag},
    model::{
        caller::Action,
        key::{Change, Key},
    },
    store::{Session, write::WriteTx},
};

/// What is to be done to one key.
pub(super) struct Task<'a> {
    pub(super) name: &'static str,
    pub(super) action: Action,
    pub(super) reach: ReachOf,
    pub(super) target: &'a Target,
}

/// Which keys something may be done to, of those that the caller's rights reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReachOf {
    /// It could let a key do something: not to one beyond the caller's ceiling or with another
    /// manager.
    Letting,
    /// It only stops a key: also to one beyond the caller's ceiling.
    Stopping,
    /// It stops a key in an emergency: to every one.
    Emergency,
}

impl Task<'_> {
    /// Begins the change of the key.
    pub(super) async fn begin<'a>(
        &self,
        session: &'a mut Session,
        call: &Call,
    ) -> Result<(WriteTx<'a>, Key), AdminError> {
        let tx = call.begin(session, self.name).await?;
        let key = self.lock(&tx, call).await?;
        Ok((tx, key))
    }

    /// Reads the key, keeps others from it, and checks that the caller may and means this version.
    pub(super) async fn lock(&self, tx: &WriteTx<'_>, call: &Call) -> Result<Key, AdminError> {
        let id = self.target.id;
        let key = tx.lock_key(id).await?.ok_or(AdminError::UnknownKey(id))?;
        call.require_key(self.action, &key)?;
        match self.reach {
            ReachOf::Letting => {
                call.require_manager(&key)?;
                call.require_ceiling_of_key(tx, &key).await?;
            }
            ReachOf::Stopping => call.require_manager(&key)?,
            ReachOf::Emergency => {}
        }
        check_etag(self.target.etag.as_deref(), &key.etag())?;
        Ok(key)
    }
}

/// Carries a key from one state to the next, in one transaction. A transition that finds all as
/// asked already leaves no trace.
pub(super) async fn change(
    admin: &Admin,
    call: &Call,
    task: &Task<'_>,
    transition: impl Fn(&mut Key) -> Result<Change, AdminError>,
) -> Result<Changed, AdminError> {
    let subject = task.target.id.to_string();
    admin
        .attempt(call, (task.name, &subject), || async {
            call.require_some(task.action)?;
            let mut session = admin.store.session().await?;
            let (tx, before) = task.begin(&mut session, call).await?;
            let mut key = before.clone();
            let change = transition(&mut key)?;
            finish(tx, (&before, key), change, Effect::Apply).await
        })
        .await
}

/// Ends the transaction of a change.
pub(super) async fn finish(
    mut tx: WriteTx<'_>,
    (before, mut key): (&Key, Key),
    change: Change,
    effect: Effect,
) -> Result<Changed, AdminError> {
    let revision = match (change, effect) {
        (Change::Made, Effect::Apply) => {
            tx.update_key(before, &key).await?;
            tx.commit().await?
        }
        (Change::Made, Effect::ValidateOnly) => {
            // the version that this would make may become another change's
            (key.version, key.update_time) = (before.version, before.update_time);
            tx.abandon().await?
        }
        (Change::Nothing, Effect::Apply | Effect::ValidateOnly) => tx.abandon().await?,
    };
    Ok(Changed { key, revision })
}
