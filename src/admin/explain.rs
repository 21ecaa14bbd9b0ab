//! Why a key may do what it may.

use std::time::Duration;

use crate::{
    admin::{Admin, AdminError, Call, read::require_reader},
    decide::{
        Question, Subject,
        explain::{EffectivePermissions, Explanation, effective, explain},
    },
    model::{caller::Action, id::KeyId, key::Key},
    replica::{Replica, reading::Applying},
};

/// A key and what there is to say of it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The key.
    pub key: Key,
    /// What it may do in all.
    pub permissions: EffectivePermissions,
    /// What a decision about a question comes to, if there was one.
    pub explanation: Option<Explanation>,
    /// The revision as of which this is said.
    pub revision: i64,
}

/// Explains a key, and the answer to a question about it, as the database has it: by the decision
/// itself, in a replica of this one key.
pub async fn explain_key(
    admin: &Admin,
    call: &Call,
    id: KeyId,
    question: Option<&Question<'_>>,
) -> Result<Explained, AdminError> {
    require_reader(admin, call).await?;
    let (replica, mut applier) = Replica::new(Duration::ZERO);
    let mut sink = Applying::new(&mut applier, None);
    let found = admin.store.read_whole(id, &mut sink).await?;
    let (key, revision) = found.ok_or(AdminError::UnknownKey(id))?;
    call.require_key(Action::Read, &key)?;
    applier.reached(revision, None);
    let view = replica.get(&key.secret.digest);
    let subject = match view.as_deref() {
        Some(key) => Subject::Known { key, secret_end: key.secret_end },
        None => Subject::Unknown, // it is deleted
    };
    Ok(Explained {
        key,
        permissions: view.as_deref().map(|key| effective(&key.profile)).unwrap_or_default(),
        explanation: question.map(|question| explain(subject, question, call.now)),
        revision,
    })
}
