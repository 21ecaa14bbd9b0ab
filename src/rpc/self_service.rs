//! The service `SelfService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    admin::{
        Admin, Opened,
        holder::{regenerate_own_key, revoke_own_key},
    },
    authorize::Hot,
    decide::explain::effective,
    model::{time::Timestamp, view::KeyView},
    rpc::{
        admin::revealed,
        caller::{Holder, authenticate_holder},
        convert::{self, access::user_kind_to_pb, effective_to_pb, limits_to_pb, time_to_pb},
        pb,
        reached::Reached,
        status,
    },
};

/// Answers the holders of keys.
#[derive(Clone, Debug)]
pub struct SelfServiceService {
    /// Judges the callers' keys.
    pub hot: Arc<Hot>,
    /// Does what they want.
    pub admin: Arc<Admin>,
    /// Tells of the revisions that the replica reaches.
    pub reached: Reached,
}

type Answer<T> = Result<Response<T>, Status>;

impl SelfServiceService {
    fn holder<T>(&self, request: &Request<T>) -> Result<Holder, Status> {
        authenticate_holder((&self.hot, &self.admin.logins), request)
    }
}

#[tonic::async_trait]
impl pb::self_service_server::SelfService for SelfServiceService {
    async fn who_am_i(&self, request: Request<pb::WhoAmIRequest>) -> Answer<pb::WhoAmIResponse> {
        let Holder { outcome, .. } = self.holder(&request)?;
        let mut answer = outcome.key.as_deref().map(who).unwrap_or_default();
        let end = outcome.key.map(|key| key.secret_end);
        answer.token_expire_time = end.filter(|end| *end <= Timestamp::LAST).map(time_to_pb);
        answer.revision = outcome.knowledge.revision;
        Ok(Response::new(answer))
    }

    async fn regenerate_my_key(
        &self,
        request: Request<pb::RegenerateMyKeyRequest>,
    ) -> Answer<pb::RegenerateMyKeyResponse> {
        let Holder { call, .. } = self.holder(&request)?;
        let (overlap, named) = convert::regenerate_own(request.get_ref())?;
        let call = call.named(named.as_ref());
        let Opened { changed, token } =
            regenerate_own_key(&self.admin, &call, overlap, named.as_ref())
                .await
                .map_err(status::admin)?;
        self.reached.wait_for(changed.revision).await;
        Ok(Response::new(pb::RegenerateMyKeyResponse {
            token: revealed(token.as_ref()),
            hint: changed.key.secret.hint.as_str().to_owned(),
            revision: changed.revision,
        }))
    }

    async fn revoke_my_key(
        &self,
        request: Request<pb::RevokeMyKeyRequest>,
    ) -> Answer<pb::RevokeMyKeyResponse> {
        let Holder { call, .. } = self.holder(&request)?;
        let (reason, comment) = convert::revoke_own(request.get_ref())?;
        let revoked = revoke_own_key(&self.admin, &call, reason, &comment).await;
        let revision = revoked.map_err(status::admin)?.revision;
        self.reached.wait_for(revision).await;
        Ok(Response::new(pb::RevokeMyKeyResponse { revision }))
    }
}

/// What a replica knows of a key.
fn who(key: &KeyView) -> pb::WhoAmIResponse {
    let profile = &key.profile;
    let user = profile.user.as_ref().map(|user| user.facts.latest());
    let effective = effective(profile);
    let labels = key.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let ends = key.expire <= Timestamp::LAST;
    pb::WhoAmIResponse {
        key_id: key.id.to_string(),
        domain: profile.domain.name.to_string(),
        environment: profile.environment.to_string(),
        user: user.as_ref().map(|user| user.id.to_string()).unwrap_or_default(),
        user_kind: user.map(|user| user_kind_to_pb(user.kind)).unwrap_or_default().into(),
        permissions: effective_to_pb(&effective),
        permissions_truncated: effective.truncated,
        route_rules: profile.route_rules.iter().map(ToString::to_string).collect(),
        customers: profile.customers.iter().map(str::to_owned).collect(),
        allowed_addresses: profile.addresses.allowed.iter().collect(),
        denied_addresses: profile.addresses.denied.iter().collect(),
        labels: labels.collect(),
        expire_time: ends.then(|| time_to_pb(key.expire)),
        token_expire_time: None,
        limits: limits_to_pb(&profile.limits),
        revision: 0,
    }
}
