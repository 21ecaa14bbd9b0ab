//! What operators do: one function for each change and each question.
//!
//! Each says first whether the caller may, then does its work in one transaction. Nothing here knows
//! protobuf or SQL.

pub mod bootstrap;
mod change;
pub mod create;
pub mod denial;
pub mod explain;
pub mod holder;
pub mod insight;
pub mod jobs;
pub mod lifecycle;
pub mod logins;
pub mod noting;
pub mod quota;
pub mod read;
pub mod regenerate;
mod resolve;
pub mod things;
pub mod update;

use std::{borrow::Cow, net::IpAddr, sync::Arc};

use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use tracing::warn;

use crate::{
    admin::{denial::Denial, logins::FailedLogins},
    model::{
        caller::{Actor, Caller},
        id::KeyId,
        key::{Key, KeyState, Refusal, Secret},
        pepper::Peppers,
        record::{Kind, ThingName},
        secret::{Brand, NoRandomness, Token},
        text::RequestId,
        time::Timestamp,
    },
    store::{
        MayBeConflict, Session, Store,
        audit::refusal::RefusedAttempt,
        error::StoreError,
        write::{Claim, Intent, RepeatableRequest, WriteTx},
    },
    telemetry::chain,
};

/// What the functions of this room work with.
#[derive(Debug)]
pub struct Admin {
    /// The database.
    pub store: Store,
    /// What digests are keyed with.
    pub peppers: Arc<Peppers>,
    /// What tokens begin with.
    pub brand: Brand,
    /// Where ids and tokens come from.
    pub random: SystemRandom,
    /// Logins that failed.
    pub logins: Arc<FailedLogins>,
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
    /// What the caller calls the request.
    pub request: Option<RequestId>,
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

/// A thing after a change, and the revision that knows of it.
#[derive(Clone, Debug)]
pub struct Written<T> {
    /// The thing.
    pub thing: T,
    /// The revision.
    pub revision: i64,
}

/// Why an operator's call failed.
#[derive(Debug, Error)]
pub enum AdminError {
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denial),
    /// The caller's key was stopped, and this replica has not heard of it yet.
    #[error("the admin key is not active any more")]
    CallerStopped,
    /// What the caller may do, from where or until when was changed, and this replica has not heard of
    /// it yet.
    #[error("the admin key was changed just now; try again")]
    CallerChanged,
    /// No such key.
    #[error("there is no key {0}")]
    UnknownKey(KeyId),
    /// No key has this token.
    #[error("no key has this token")]
    UnknownToken,
    /// No such thing.
    #[error("there is no {} {name}", .kind.as_str())]
    NotFound {
        /// Its kind.
        kind: Kind,
        /// What it was looked for by.
        name: ThingName,
    },
    /// There is one of that name already.
    #[error("there is a {} {name} already", .kind.as_str())]
    Exists {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: ThingName,
    },
    /// Others refer to it.
    #[error("{message}")]
    InUse {
        /// Its kind.
        kind: Kind,
        /// Who refers to it, and what to do.
        message: String,
        /// The same for programs, by name.
        details: Vec<(&'static str, String)>,
    },
    /// Keyward itself needs it.
    #[error("{name} is needed by Keyward itself: admin keys are of it")]
    Protected {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: ThingName,
    },
    /// It has changed since the caller saw it.
    #[error("it has the etag {present} now; read it again")]
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
        field: Cow<'static, str>,
        /// What it must be.
        message: Cow<'static, str>,
    },
    /// More keys than one job takes.
    #[error("there are more than {max} such keys; narrow the filter")]
    TooManyKeys {
        /// How many one takes.
        max: i64,
    },
    /// Another number of keys than the caller expects.
    #[error("there are {found} such keys, not as many as expected_count says")]
    CountMismatch {
        /// How many there are.
        found: i64,
    },
    /// The job has ended.
    #[error("the job has ended")]
    JobEnded,
    /// The items of the same request are arriving by another stream.
    #[error("another stream with this request_id is being received; try again when it has ended")]
    StillReceiving,
    /// No randomness for a token or an id.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// A value that cannot be.
    const fn invalid(field: &'static str, message: &'static str) -> Self {
        Self::Invalid { field: Cow::Borrowed(field), message: Cow::Borrowed(message) }
    }
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
    /// Does a change, again if it lost against another one. What is refused for want of rights
    /// leaves a note of that.
    async fn attempt<T, F: Future<Output = Result<T, AdminError>>>(
        &self,
        call: &Call,
        (action, subject): (&str, &str),
        work: impl Fn() -> F,
    ) -> Result<T, AdminError> {
        let result = self.store.retry(work).await;
        if let Err(AdminError::Denied(denial)) = &result {
            let refusal = RefusedAttempt::of(&call.intent(action), subject, denial.reason());
            if let Err(error) = self.store.note_refusals(&[refusal]).await {
                warn!(error = chain(&error), action, subject, "a refusal could not be noted");
            }
        }
        result
    }

    /// An id for something new.
    pub fn new_id(&self, now: Timestamp) -> Result<KeyId, NoRandomness> {
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
            Claim::Other => Err(AdminError::invalid(
                "request_id",
                "must be a new one: another request had it within the last 24 hours",
            )),
        }
    }

    /// Makes a token for an environment that is known to exist.
    async fn new_token(
        &self,
        tx: &WriteTx<'_>,
        key: &Key,
    ) -> Result<Option<(Token, Secret)>, AdminError> {
        let Some(tag) = tx.environment_tag(&key.environment, self.peppers.current().id()).await?
        else {
            return Ok(None);
        };
        let token = Token::generate(&self.brand, &tag, &self.random)?;
        let pepper = self.peppers.current();
        let secret =
            Secret { digest: token.digest(pepper), pepper: pepper.id(), hint: token.hint() };
        Ok(Some((token, secret)))
    }
}

impl Call {
    /// What the caller is about to do.
    fn intent(&self, action: &str) -> Intent {
        let actor = Actor::Key(self.caller.key);
        let request = self.request.clone();
        Intent { action: action.to_owned(), actor, peer: self.peer, time: self.now, request }
    }

    /// The same call, by the name that the request itself has, if it has one.
    #[must_use]
    pub fn named(self, request: Option<&RepeatableRequest>) -> Self {
        let request = request.map(|request| request.id.clone()).or(self.request);
        Self { request, ..self }
    }

    /// Begins a change. Nobody can stop the caller's key between this and the end, so that no change
    /// follows the answer that it is stopped.
    async fn begin<'a>(
        &self,
        session: &'a mut Session,
        action: &str,
    ) -> Result<WriteTx<'a>, AdminError> {
        let tx = session.write(self.intent(action)).await?;
        self.recognise(tx.share_key(self.caller.key).await?)?;
        Ok(tx)
    }

    /// Compares the caller, who was judged from memory, with its key in the database: memory may be
    /// old when the follower hangs.
    fn recognise(&self, key: Option<Key>) -> Result<(), AdminError> {
        let key = key.filter(|key| {
            key.state(self.now) == KeyState::Active
                && key.is_opened_by(&self.caller.digests, self.now)
        });
        let profile = &self.caller.profile;
        match key {
            None => Err(AdminError::CallerStopped),
            Some(Key { settings, .. })
                if settings.grants != profile.grants
                    || settings.delegation != profile.delegation
                    || settings.addresses != profile.addresses
                    || settings.validity.end() != self.caller.expire =>
            {
                Err(AdminError::CallerChanged)
            }
            Some(_) => Ok(()),
        }
    }
}

/// Whether an etag that a caller sent, if it did, is the present one.
fn check_etag(sent: Option<&str>, present: &str) -> Result<(), AdminError> {
    match sent {
        Some(etag) if etag != present => Err(AdminError::StaleEtag { present: present.into() }),
        _ => Ok(()),
    }
}
