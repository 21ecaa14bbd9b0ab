//! The service `KeyAdmin`.

use std::sync::Arc;

use tonic::{Request, Response, Status};

use crate::{
    admin::{
        Admin, Call, Changed, Opened,
        create::create_key,
        lifecycle::{activate_key, deactivate_key, delete_key, revoke_key, undelete_key},
        read::{get_key, list_keys, lookup_key},
        regenerate::regenerate_key,
        update::update_key,
    },
    authorize::Hot,
    model::caller::Action,
    rpc::{
        caller::authenticate,
        convert::{self, CreateParts, ListParts, cursor_to_token, key_to_pb},
        pb, status,
    },
};

/// Answers operators.
#[derive(Clone, Debug)]
pub struct KeyAdminService {
    /// Judges the callers' keys.
    pub hot: Arc<Hot>,
    /// Does what they want.
    pub admin: Arc<Admin>,
}

type Answer<T> = Result<Response<T>, Status>;

impl KeyAdminService {
    fn call<T>(&self, request: &Request<T>) -> Result<Call, Status> {
        authenticate(&self.hot, request)
    }
}

/// An answer of the shape that all changes of a key have.
macro_rules! changed {
    ($response:ident, $call:expr, $result:expr) => {{
        let Changed { key, revision } = $result.map_err(status::admin)?;
        let key = Some(key_to_pb(&key, $call.now));
        Ok(Response::new(pb::$response { key, revision }))
    }};
}

/// An answer of the shape that has a token.
macro_rules! opened {
    ($response:ident, $call:expr, $result:expr) => {{
        let Opened {
            key,
            token,
            revision,
        } = $result.map_err(status::admin)?;
        let key = Some(key_to_pb(&key, $call.now));
        let token = token
            .map(|token| token.reveal().to_owned())
            .unwrap_or_default();
        pb::$response {
            key,
            token,
            revision,
        }
    }};
}

#[tonic::async_trait]
impl pb::key_admin_server::KeyAdmin for KeyAdminService {
    async fn create_key(
        &self,
        request: Request<pb::CreateKeyRequest>,
    ) -> Answer<pb::CreateKeyResponse> {
        let call = self.call(&request)?;
        let command = CreateParts::parse(request.get_ref())?;
        let result = create_key(&self.admin, &call, &command).await;
        let mut response = opened!(CreateKeyResponse, call, result);
        if request.get_ref().validate_only {
            response.revision = 0;
            if let Some(key) = &mut response.key {
                key.id.clear();
                key.etag.clear();
            }
        }
        Ok(Response::new(response))
    }

    async fn get_key(&self, request: Request<pb::GetKeyRequest>) -> Answer<pb::GetKeyResponse> {
        let call = self.call(&request)?;
        let id = convert::parse_id(&request.get_ref().id)?;
        let key = get_key(&self.admin, &call, id)
            .await
            .map_err(status::admin)?;
        Ok(Response::new(pb::GetKeyResponse {
            key: Some(key_to_pb(&key, call.now)),
        }))
    }

    async fn list_keys(
        &self,
        request: Request<pb::ListKeysRequest>,
    ) -> Answer<pb::ListKeysResponse> {
        let call = self.call(&request)?;
        let request = request.get_ref();
        let ListParts { filter, page } =
            ListParts::parse(request, call.caller.reach(Action::Read))?;
        let page = list_keys(&self.admin, &call, &filter, &page)
            .await
            .map_err(status::admin)?;
        let next = page.next.map(|cursor| cursor_to_token(&cursor, request));
        Ok(Response::new(pb::ListKeysResponse {
            keys: page
                .keys
                .iter()
                .map(|key| key_to_pb(key, call.now))
                .collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn update_key(
        &self,
        request: Request<pb::UpdateKeyRequest>,
    ) -> Answer<pb::UpdateKeyResponse> {
        let call = self.call(&request)?;
        let (target, patch, effect) = convert::update(request.get_ref())?;
        let result = update_key(&self.admin, &call, &target, &patch, effect).await;
        changed!(UpdateKeyResponse, call, result)
    }

    async fn regenerate_key(
        &self,
        request: Request<pb::RegenerateKeyRequest>,
    ) -> Answer<pb::RegenerateKeyResponse> {
        let call = self.call(&request)?;
        let command = convert::regenerate(request.get_ref())?;
        let result = regenerate_key(&self.admin, &call, &command).await;
        Ok(Response::new(opened!(RegenerateKeyResponse, call, result)))
    }

    async fn activate_key(
        &self,
        request: Request<pb::ActivateKeyRequest>,
    ) -> Answer<pb::ActivateKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::target(&request.get_ref().id, &request.get_ref().etag)?;
        let result = activate_key(&self.admin, &call, &target).await;
        changed!(ActivateKeyResponse, call, result)
    }

    async fn deactivate_key(
        &self,
        request: Request<pb::DeactivateKeyRequest>,
    ) -> Answer<pb::DeactivateKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::target(&request.get_ref().id, &request.get_ref().etag)?;
        let result = deactivate_key(&self.admin, &call, &target).await;
        changed!(DeactivateKeyResponse, call, result)
    }

    async fn revoke_key(
        &self,
        request: Request<pb::RevokeKeyRequest>,
    ) -> Answer<pb::RevokeKeyResponse> {
        let call = self.call(&request)?;
        let (target, reason, comment) = convert::revoke(request.get_ref())?;
        let result = revoke_key(&self.admin, &call, &target, reason, &comment).await;
        changed!(RevokeKeyResponse, call, result)
    }

    async fn delete_key(
        &self,
        request: Request<pb::DeleteKeyRequest>,
    ) -> Answer<pb::DeleteKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::delete(request.get_ref())?;
        let result = delete_key(&self.admin, &call, &target, &request.get_ref().confirm).await;
        changed!(DeleteKeyResponse, call, result)
    }

    async fn undelete_key(
        &self,
        request: Request<pb::UndeleteKeyRequest>,
    ) -> Answer<pb::UndeleteKeyResponse> {
        let call = self.call(&request)?;
        let target = convert::target(&request.get_ref().id, &request.get_ref().etag)?;
        let result = undelete_key(&self.admin, &call, &target).await;
        changed!(UndeleteKeyResponse, call, result)
    }

    async fn lookup_key(
        &self,
        request: Request<pb::LookupKeyRequest>,
    ) -> Answer<pb::LookupKeyResponse> {
        let call = self.call(&request)?;
        let token = convert::lookup(request.get_ref())?;
        let key = lookup_key(&self.admin, &call, token)
            .await
            .map_err(status::admin)?;
        Ok(Response::new(pb::LookupKeyResponse {
            key: Some(key_to_pb(&key, call.now)),
        }))
    }
}
