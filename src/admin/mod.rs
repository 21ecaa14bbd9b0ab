//! What operators do: one function for each change and each question.
//!
//! Each says first whether the caller may, then does its work in one transaction. Nothing here knows
//! protobuf or SQL.

pub mod bootstrap;
mod change;
pub mod create;
pub mod lifecycle;
pub mod read;
pub mod regenerate;
pub mod update;

use std::{net::IpAddr, sync::Arc};

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::{
    model::{
        caller::{Action, Actor, Caller},
        id::KeyId,
        key::{Key, KeyState, Refusal, Secret, Settings},
        secret::{Brand, NoRandomness, Pepper, Token},
        time::Timestamp,
    },
    store::{
        MayBeConflict, Session, Store,
        error::StoreError,
        write::{Claim, Intent, RepeatableRequest, WriteTx},
    },
};

/// What the functions of this room work with.
#[derive(Debug)]
pub struct Admin {
    /// The database.
    pub store: Store,
    /// What digests are keyed with.
    pub pepper: Arc<Pepper>,
    /// What tokens begin with.
    pub brand: Brand,
    /// Where ids and tokens come from.
    pub random: SystemRandom,
}

/// One call of an operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who asks.
    pub caller: Caller,
    /// From where.
    pub peer: Option<IpAddr>,
    /// When.
    pub now: Timestamp,
}

/// Which key is meant, and in which version if that matters.
#[derive(Clone, Debug)]
pub struct Target {
    /// The key.
    pub id: KeyId,
    /// If given, the key must have this etag.
    pub etag: Option<Box<str>>,
}

/// Whether a change is only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is made.
    Apply,
    /// It is checked and not made.
    ValidateOnly,
}

/// A key after a change, and the revision that knows of it.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The key.
    pub key: Key,
    /// The revision.
    pub revision: i64,
}

/// A key with the token that was just made for it.
#[derive(Debug)]
pub struct Opened {
    /// The key.
    pub changed: Changed,
    /// `None` if nothing was made: the request was made before, or was only tried.
    pub token: Option<Token>,
}

/// Why an operator's call failed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The caller lacks the permission that this takes.
    #[error("this needs the permission {permission}")]
    NotPermitted {
        /// The one that is missing.
        permission: &'static str,
    },
    /// The caller's key was stopped, and this replica has not heard of it yet.
    #[error("the admin key is not active any more")]
    CallerStopped,
    /// The caller's permissions or its expiry were changed, and this replica has not heard of it yet.
    #[error("the admin key was changed just now; try again")]
    CallerChanged,
    /// The admin key concerned may do what the caller may not.
    #[error("the admin key has or would have the permission {grant}, which the caller lacks")]
    OutranksCaller {
        /// The first such permission.
        grant: Box<str>,
    },
    /// The admin key concerned lasts longer than the caller.
    #[error("the admin key lasts or would last longer than the caller's own")]
    OutlivesCaller,
    /// No such key.
    #[error("there is no key {0}")]
    UnknownKey(KeyId),
    /// No key has this token.
    #[error("no key has this token")]
    UnknownToken,
    /// The key has changed since the caller saw it.
    #[error("the key has the etag {present} now; read it again")]
    StaleEtag {
        /// The etag that it has.
        present: Box<str>,
    },
    /// The key's state does not permit this.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A value that cannot be, as only the database or the key itself shows.
    #[error("{field} {message}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What it must be.
        message: &'static str,
    },
    /// No randomness for a token or an id.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MayBeConflict for AdminError {
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_conflict())
    }
}

impl Opened {
    /// Nothing was made: a key as it is, or would be.
    async fn nothing(key: Key, tx: WriteTx<'_>) -> Result<Self, AdminError> {
        Ok(Self { changed: Changed { key, revision: tx.abandon().await? }, token: None })
    }

    /// A token was made for a key.
    async fn commit(key: Key, token: Token, tx: WriteTx<'_>) -> Result<Self, AdminError> {
        Ok(Self { changed: Changed { key, revision: tx.commit().await? }, token: Some(token) })
    }
}

impl Admin {
    fn new_id(&self, now: Timestamp) -> Result<KeyId, NoRandomness> {
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes).map_err(|ring::error::Unspecified| NoRandomness)?;
        Ok(KeyId::new(now, bytes))
    }

    /// The key that came of the same request before; `None` for a request that is new, or has no
    /// name. `key` is what will come of it.
    async fn earlier(
        tx: &WriteTx<'_>,
        request: Option<&RepeatableRequest>,
        key: KeyId,
    ) -> Result<Option<Key>, AdminError> {
        let Some(request) = request else { return Ok(None) };
        match tx.claim_request(request, key).await? {
            Claim::First => Ok(None),
            Claim::Repeated(id) => {
                tx.lock_key(id).await?.ok_or(AdminError::UnknownKey(id)).map(Some)
            }
            Claim::Other => Err(AdminError::Invalid {
                field: "request_id",
                message: "must be a new one: another request had it within the last 24 hours",
            }),
        }
    }

    /// Makes a token for an environment that is known to exist.
    async fn new_token(
        &self,
        tx: &WriteTx<'_>,
        key: &Key,
    ) -> Result<Option<(Token, Secret)>, AdminError> {
        let Some(tag) = tx.environment_tag(&key.environment).await? else {
            return Ok(None);
        };
        let token = Token::generate(&self.brand, &tag, &self.random)?;
        let secret = Secret { digest: token.digest(&self.pepper), hint: token.hint() };
        Ok(Some((token, secret)))
    }
}

impl Call {
    /// Begins a change. Nobody can stop the caller's key between this and the end, so that no change
    /// follows the answer that it is stopped.
    async fn begin<'a>(
        &self,
        session: &'a mut Session,
        action: &'static str,
    ) -> Result<WriteTx<'a>, AdminError> {
        let actor = Actor::Key(self.caller.key);
        let intent = Intent { action, actor, peer: self.peer, time: self.now };
        let tx = session.write(intent).await?;
        self.recognise(tx.share_key(self.caller.key).await?)?;
        Ok(tx)
    }

    /// Compares the caller, who was judged from memory, with its key in the database: memory may be
    /// old when the follower hangs.
    fn recognise(&self, key: Option<Key>) -> Result<(), AdminError> {
        let key = key.filter(|key| {
            key.state(self.now) == KeyState::Active
                && key.is_opened_by(&self.caller.digest, self.now)
        });
        match key {
            None => Err(AdminError::CallerStopped),
            Some(Key { settings, .. })
                if settings.grants != self.caller.profile.grants
                    || settings.validity.end() != self.caller.expire =>
            {
                Err(AdminError::CallerChanged)
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether the caller may do this to any key at all; asked before the database is.
    fn require_some(&self, action: Action) -> Result<(), AdminError> {
        let reach = self.caller.reach(action);
        if reach.keys || reach.admins {
            Ok(())
        } else {
            Err(AdminError::NotPermitted { permission: action.names().0 })
        }
    }

    /// Whether the caller may do this to this key.
    fn require(&self, action: Action, key: &Key) -> Result<(), AdminError> {
        if !self.caller.may(action, &key.domain) {
            return Err(AdminError::NotPermitted { permission: action.permission(&key.domain) });
        }
        match action {
            Action::Read => Ok(()),
            Action::Write | Action::Revoke | Action::Delete => {
                self.require_rank(key, &key.settings)
            }
        }
    }

    /// Nobody makes or touches an admin key that may do more, or for longer, than the caller.
    fn require_rank(&self, key: &Key, settings: &Settings) -> Result<(), AdminError> {
        if !key.domain.is_of_admins() {
            return Ok(());
        }
        if let Some(grant) = self.caller.profile.grants.first_uncovered(&settings.grants) {
            return Err(AdminError::OutranksCaller { grant: grant.as_str().into() });
        }
        if settings.validity.end() > self.caller.expire {
            return Err(AdminError::OutlivesCaller);
        }
        Ok(())
    }
}

impl Target {
    /// Reads the key, keeps others from it, and checks that the caller may and means this version.
    async fn lock(&self, tx: &WriteTx<'_>, call: &Call, action: Action) -> Result<Key, AdminError> {
        let key = tx.lock_key(self.id).await?.ok_or(AdminError::UnknownKey(self.id))?;
        call.require(action, &key)?;
        let present = key.etag();
        match &self.etag {
            Some(etag) if **etag != *present => {
                Err(AdminError::StaleEtag { present: present.into() })
            }
            _ => Ok(key),
        }
    }
}
