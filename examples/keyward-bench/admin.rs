//! What operators do meanwhile: calls of the admin API over one connection.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use keyward::rpc::pb::{
    ActivateKeyRequest, CreateKeyRequest, DeactivateKeyRequest, GetJobRequest, ImportKeysRequest,
    ImportKeysResponse, Job, Key, PermissionGroup, RevocationReason, RevokeKeyRequest,
    UpdateKeyRequest, UpdatePermissionGroupRequest, access_admin_client::AccessAdminClient,
    insight_client::InsightClient, key_admin_client::KeyAdminClient,
};
use prost_types::FieldMask;
use tokio_stream::Stream;
use tonic::{Code, Request, Status, Streaming, metadata::AsciiMetadataValue, transport::Channel};

use crate::{
    fill::GROUP,
    keys::{id, permissions, profile, route_rules},
};

/// Whether a call failed as one may that waited too long for the database, and can be made again.
pub fn is_unavailable(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Status>().is_some_and(|status| status.code() == Code::Unavailable)
}

/// Where the admin API is, and what opens it.
#[derive(Clone, Debug)]
pub struct Access {
    pub address: SocketAddr,
    pub token: String,
}

/// A connection to it. A clone shares it.
#[derive(Clone, Debug)]
pub struct Admin {
    channel: Channel,
    authorization: AsciiMetadataValue,
}

impl Access {
    /// Opens a connection, which lives as long as the runtime that this is called on.
    pub async fn connect(&self) -> Result<Admin> {
        let channel = Channel::from_shared(format!("http://{}", self.address))?;
        let channel = channel.connect().await.context("cannot reach the admin API")?;
        let authorization = format!("Bearer {}", self.token).parse()?;
        Ok(Admin { channel, authorization })
    }
}

impl Admin {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    fn keys(&self) -> KeyAdminClient<Channel> {
        KeyAdminClient::new(self.channel.clone())
    }

    /// Makes a key that may do what the key of this number may.
    pub async fn create(&self, number: u64) -> Result<()> {
        let profile = profile(number);
        let request = CreateKeyRequest {
            environment: "production".into(),
            display_name: format!("Made {number}"),
            permissions: permissions(profile).into(),
            route_rules: route_rules(profile).into(),
            ..CreateKeyRequest::default()
        };
        self.keys().create_key(self.request(request)).await.context("CreateKey")?;
        Ok(())
    }

    /// Gives a key another display name.
    pub async fn rename(&self, number: u64, display_name: String) -> Result<()> {
        let key = Key { id: id(number).to_string(), display_name, ..Key::default() };
        let paths = vec![String::from("display_name")];
        let request = UpdateKeyRequest {
            key: Some(key),
            update_mask: Some(FieldMask { paths }),
            validate_only: false,
        };
        self.keys().update_key(self.request(request)).await.context("UpdateKey")?;
        Ok(())
    }

    /// Deactivates a key.
    pub async fn deactivate(&self, number: u64) -> Result<()> {
        let request =
            DeactivateKeyRequest { id: id(number).to_string(), ..DeactivateKeyRequest::default() };
        self.keys().deactivate_key(self.request(request)).await.context("DeactivateKey")?;
        Ok(())
    }

    /// Activates a key.
    pub async fn activate(&self, number: u64) -> Result<()> {
        let request =
            ActivateKeyRequest { id: id(number).to_string(), ..ActivateKeyRequest::default() };
        self.keys().activate_key(self.request(request)).await.context("ActivateKey")?;
        Ok(())
    }

    /// Revokes a key.
    pub async fn revoke(&self, number: u64) -> Result<()> {
        let request = RevokeKeyRequest {
            id: id(number).to_string(),
            reason: RevocationReason::Compromised.into(),
            ..RevokeKeyRequest::default()
        };
        self.keys().revoke_key(self.request(request)).await.context("RevokeKey")?;
        Ok(())
    }

    /// Sends keys to be imported.
    pub async fn import(
        &self,
        messages: impl Stream<Item = ImportKeysRequest> + Send + 'static,
    ) -> Result<Streaming<ImportKeysResponse>> {
        let answers =
            self.keys().import_keys(self.request(messages)).await.context("ImportKeys")?;
        Ok(answers.into_inner())
    }

    /// A job as it is now.
    pub async fn job(&self, id: &str) -> Result<Job> {
        let request = self.request(GetJobRequest { id: id.to_owned() });
        let mut insight = InsightClient::new(self.channel.clone());
        insight.get_job(request).await?.into_inner().job.context("GetJob without a job")
    }

    /// Lets the group that all keys have give this permission and no other one.
    pub async fn edit_group(&self, permission: &str) -> Result<()> {
        let group = PermissionGroup {
            name: GROUP.into(),
            permissions: vec![permission.into()],
            ..PermissionGroup::default()
        };
        let paths = vec![String::from("permissions")];
        let request = UpdatePermissionGroupRequest {
            group: Some(group),
            update_mask: Some(FieldMask { paths }),
            validate_only: false,
        };
        AccessAdminClient::new(self.channel.clone())
            .update_permission_group(self.request(request))
            .await
            .context("UpdatePermissionGroup")?;
        Ok(())
    }
}
