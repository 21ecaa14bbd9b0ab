//! The service `KeyAdmin`.

mod import;

use std::{collections::HashMap, sync::Arc};

use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use crate::{
    admin::{
        Admin, Call, Changed, Effect, Opened,
        create::create_key,
        explain::explain_key,
        jobs::{Found, change_keys, purge_deleted_keys},
        lifecycle::{activate_key, deactivate_key, delete_key, revoke_key, undelete_key},
        read::{get_key, list_keys, lookup_key},
        regenerate::regenerate_key,
        things::catalogues,
        update::update_key,
    },
    authorize::Hot,
    model::{
        caller::Action, catalogue::Catalogue, name::DomainName, secret::Token, time::Timestamp,
    },
    rpc::{
        caller::authenticate,
        convert::{
            self, ListParts, draft_to_pb, effective_to_pb, explanation_to_pb, job_to_pb, key_to_pb,
            page_to_pb,
        },
        pb,
        reached::Reached,
        status,
    },
};

/// Answers operators.
#[derive(Clone, Debug)]
pub struct KeyAdminService {
    /// Judges the callers' keys.
    pub hot: Arc<Hot>,
    /// Does what they want.
    pub admin: Arc<Admin>,
    /// Tells of the revisions that the replica reaches.
    pub reached: Reached,
}

type Answer<T> = Result<Response<T>, Status>;

impl KeyAdminService {
    fn call<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        authenticate((&self.hot, &self.admin.logins), request)
    }

    /// What domains call their permissions.
    async fn catalogues(
        &self,
        domains: Vec<DomainName>,
    ) -> Result<HashMap<DomainName, Catalogue>, Status> {
        catalogues(&self.admin, domains).await.map_err(status::admin)
    }

    /// A key after a change, as its answer shows it. Waits a moment for this process's own replica,
    /// so that who asks here next finds the change.
    async fn shown(&self, call: &Call, changed: &Changed) -> (Option<pb::Key>, i64) {
        self.reached.wait_for(changed.revision).await;
        (Some(key_to_pb(&changed.key, None, call.now)), changed.revision)
    }
}

/// The token of an answer; empty where nothing was made.
pub(super) fn revealed(token: Option<&Token>) -> String {
    token.map(|token| token.reveal().to_owned()).unwrap_or_default()
}

#[tonic::async_trait]
impl pb::key_admin_server::KeyAdmin for KeyAdminService {
    type ImportKeysStream = BoxStream<'static, Result<pb::ImportKeysResponse, Status>>;

    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Answer<pb::CreateKeyResponse> {
        let call = self.call(&request)?;
        let command = convert::create(request.get_ref())?;
        let call = call.named(command.request.as_ref());
        let Opened { changed, token } =
            create_key(&self.admin, &call, &command).await.map_err(status::admin)?;
        if command.effect == Effect::ValidateOnly {
            let key = Some(draft_to_pb(&changed.key, call.now));
            return Ok(Response::new(pb::CreateKeyResponse { key, ..Default::default() }));
        }
        let (key, revision) = self.shown(&call, &changed).await;
        let token = revealed(token.as_ref());
        Ok(Response::new(pb::CreateKeyResponse { key, token, revision }))
    }

    async fn get_key(&self, request: Request<pb::GetKeyRequest>) -> Answer<pb::GetKeyResponse> {
        let call = self.call(&request)?;
        let id = convert::parse_id(&request.get_ref().id)?;
        let key = get_key(&self.admin, &call, id).await.map_err(status::admin)?;
        let known = self.catalogues(vec![key.domain.clone()]).await?;
        let key = key_to_pb(&key, known.get(&key.domain), call.now);
        Ok(Response::new(pb::GetKeyResponse { key: Some(key) }))
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Answer<pb::ListKeysResponse> {
        let call = self.call(&request)?;
        let request = request.get_ref();
        let ListParts { filter, page } =
            ListParts::parse(request, call.caller.reach(Action::Read))?;
        let order = page.order;
        let page = list_keys(&self.admin, &call, &filter, &page).await.map_err(status::admin)?;
        let domains = page.keys.iter().map(|key| key.domain.clone());
        let known = self.catalogues(domains.collect()).await?;
        Ok(Response::new(page_to_pb((page, &known), order, request, call.now)))
    }

    async fn update_key(
        &self,
        request: Request<pb::UpdateKeyRequest>,
    ) -> Answer<pb::UpdateKeyResponse> {
        let call = self.call(&request)?;
        let (target, patch, effect) = convert::update(request.get_ref())?;
        let changed =
            update_key(&self.admin, &call, &target, &patch, effect).await.map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        Ok(Response::new(pb::UpdateKeyResponse { key, revision }))
    }

    async fn regenerate_key(
        &self,
        request: Request<pb::RegenerateKeyRequest>,
    ) -> Answer<pb::RegenerateKeyResponse> {
        let call = self.call(&request)?;
        let command = convert::regenerate(request.get_ref())?;
        let call = call.named(command.request.as_ref());
        let Opened { changed, token } =
            regenerate_key(&self.admin, &call, &command).await.map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        let token = revealed(token.as_ref());
        Ok(Response::new(pb::RegenerateKeyResponse { key, token, revision }))
    }

    async fn activate_key(
        &self,
        request: Request<pb::ActivateKeyRequest>,
    ) -> Answer<pb::ActivateKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::target(&request.get_ref().id, &request.get_ref().etag)?;
        let changed = activate_key(&self.admin, &call, &target).await.map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        Ok(Response::new(pb::ActivateKeyResponse { key, revision }))
    }

    async fn deactivate_key(
        &self,
        request: Request<pb::DeactivateKeyRequest>,
    ) -> Answer<pb::DeactivateKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::target(&request.get_ref().id, &request.get_ref().etag)?;
        let changed = deactivate_key(&self.admin, &call, &target).await.map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        Ok(Response::new(pb::DeactivateKeyResponse { key, revision }))
    }

    async fn revoke_key(
        &self,
        request: Request<pb::RevokeKeyRequest>,
    ) -> Answer<pb::RevokeKeyResponse> {
        let call = self.call(&request)?;
        let (target, reason, comment) = convert::revoke(request.get_ref())?;
        let changed = revoke_key(&self.admin, &call, &target, reason, &comment)
            .await
            .map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        Ok(Response::new(pb::RevokeKeyResponse { key, revision }))
    }

    async fn delete_key(
        &self,
        request: Request<pb::DeleteKeyRequest>,
    ) -> Answer<pb::DeleteKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::delete(request.get_ref())?;
        let changed = delete_key(&self.admin, &call, &target, &request.get_ref().confirm)
            .await
            .map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        Ok(Response::new(pb::DeleteKeyResponse { key, revision }))
    }

    async fn undelete_key(
        &self,
        request: Request<pb::UndeleteKeyRequest>,
    ) -> Answer<pb::UndeleteKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::target(&request.get_ref().id, &request.get_ref().etag)?;
        let changed = undelete_key(&self.admin, &call, &target).await.map_err(status::admin)?;
        let (key, revision) = self.shown(&call, &changed).await;
        Ok(Response::new(pb::UndeleteKeyResponse { key, revision }))
    }

    async fn lookup_key(
        &self,
        request: Request<pb::LookupKeyRequest>,
    ) -> Answer<pb::LookupKeyResponse> {
        let call = self.call(&request)?;
        let token = convert::lookup(request.get_ref())?;
        let key = lookup_key(&self.admin, &call, token).await.map_err(status::admin)?;
        let key = Some(key_to_pb(&key, None, call.now));
        Ok(Response::new(pb::LookupKeyResponse { key }))
    }

    async fn explain_key(
        &self,
        request: Request<pb::ExplainKeyRequest>,
    ) -> Answer<pb::ExplainKeyResponse> {
        let call = self.call(&request)?;
        let (id, parts) = convert::explain(request.get_ref())?;
        let question = parts.as_ref().map(|parts| &parts.question);
        let explained =
            explain_key(&self.admin, &call, id, question).await.map_err(status::admin)?;
        Ok(Response::new(pb::ExplainKeyResponse {
            key: Some(key_to_pb(&explained.key, None, call.now)),
            permissions: effective_to_pb(&explained.permissions),
            permissions_truncated: explained.permissions.truncated,
            explanation: explained.explanation.as_ref().map(explanation_to_pb),
            revision: explained.revision,
        }))
    }

    async fn import_keys(
        &self,
        request: Request<Streaming<pb::ImportKeysRequest>>,
    ) -> Answer<Self::ImportKeysStream> {
        import::import_keys(self, request).await
    }

    async fn revoke_keys(
        &self,
        request: Request<pb::RevokeKeysRequest>,
    ) -> Answer<pb::RevokeKeysResponse> {
        let call = self.call(&request)?;
        let change = convert::revoke_keys(request.get_ref(), &call.caller)?;
        let found = change_keys(&self.admin, &call, &change).await.map_err(status::admin)?;
        let (job, count, sample) = found_to_pb(&found, call.now);
        Ok(Response::new(pb::RevokeKeysResponse { job, count, sample }))
    }

    async fn deactivate_keys(
        &self,
        request: Request<pb::DeactivateKeysRequest>,
    ) -> Answer<pb::DeactivateKeysResponse> {
        let call = self.call(&request)?;
        let change = convert::deactivate_keys(request.get_ref(), &call.caller)?;
        let found = change_keys(&self.admin, &call, &change).await.map_err(status::admin)?;
        let (job, count, sample) = found_to_pb(&found, call.now);
        Ok(Response::new(pb::DeactivateKeysResponse { job, count, sample }))
    }

    async fn purge_deleted_keys(
        &self,
        request: Request<pb::PurgeDeletedKeysRequest>,
    ) -> Answer<pb::PurgeDeletedKeysResponse> {
        let call = self.call(&request)?;
        let purge = convert::purge(request.get_ref(), call.now)?;
        let found = purge_deleted_keys(&self.admin, &call, &purge).await.map_err(status::admin)?;
        let (job, count, _none) = found_to_pb(&found, call.now);
        Ok(Response::new(pb::PurgeDeletedKeysResponse { job, count }))
    }
}

fn found_to_pb(found: &Found, now: Timestamp) -> (Option<pb::Job>, i64, Vec<pb::Key>) {
    let sample = found.sample.iter().map(|key| key_to_pb(key, None, now)).collect();
    (found.job.as_ref().map(job_to_pb), found.count, sample)
}
