//! Clients: what tests say often, in few words.

use keyward::rpc::pb::{
    self, AuthorizeRequest, AuthorizeResponse, CreateKeyRequest, Key,
    access_admin_client::AccessAdminClient, authorize_client::AuthorizeClient,
    insight_client::InsightClient, key_admin_client::KeyAdminClient,
    self_service_client::SelfServiceClient,
};
use tonic::{
    Code, Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt;

use super::{TIME_MAX, eventually};

/// A client of `KeyAdmin` with a key.
pub(crate) type Admin = KeyAdminClient<InterceptedService<Channel, Bearer>>;

/// Puts a token into every request.
#[derive(Clone)]
pub(crate) struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if !self.0.is_empty() {
            let value = format!("Bearer {}", self.0).parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

/// A client of `KeyAdmin` with this token; an empty one is not sent.
pub(crate) fn admin_with(channel: Channel, token: &str) -> Admin {
    KeyAdminClient::with_interceptor(channel, Bearer(token.to_owned()))
}

/// A client of `AccessAdmin` with a key.
pub(crate) type Access = AccessAdminClient<InterceptedService<Channel, Bearer>>;

/// A client of `AccessAdmin` with this token; an empty one is not sent.
pub(crate) fn access_with(channel: Channel, token: &str) -> Access {
    AccessAdminClient::with_interceptor(channel, Bearer(token.to_owned()))
}

/// A client of `Insight` with a key.
pub(crate) type Insight = InsightClient<InterceptedService<Channel, Bearer>>;

/// A client of `Insight` with this token; an empty one is not sent.
pub(crate) fn insight_with(channel: Channel, token: &str) -> Insight {
    InsightClient::with_interceptor(channel, Bearer(token.to_owned()))
}

/// A client of `SelfService` with a key.
pub(crate) type Holder = SelfServiceClient<InterceptedService<Channel, Bearer>>;

/// A client of `SelfService` with this token; an empty one is not sent.
pub(crate) fn holder_with(channel: Channel, token: &str) -> Holder {
    SelfServiceClient::with_interceptor(channel, Bearer(token.to_owned()))
}

/// A client of `Authorize` on the admin listener.
pub(crate) type Explainer = AuthorizeClient<InterceptedService<Channel, Bearer>>;

/// A client of `Authorize` with this admin key; an empty one is not sent.
pub(crate) fn explainer_with(channel: Channel, token: &str) -> Explainer {
    AuthorizeClient::with_interceptor(channel, Bearer(token.to_owned()))
}

/// A key that may read systems, in production.
pub(crate) fn new_key(name: &str) -> CreateKeyRequest {
    CreateKeyRequest {
        environment: "production".into(),
        display_name: name.into(),
        permissions: vec!["systems.read".into()],
        ..CreateKeyRequest::default()
    }
}

/// An admin key with these permissions.
pub(crate) fn new_admin_key(name: &str, permissions: &[&str]) -> CreateKeyRequest {
    CreateKeyRequest {
        domain: "keyward".into(),
        permissions: permissions.iter().map(ToString::to_string).collect(),
        ..new_key(name)
    }
}

/// A key and its token.
pub(crate) struct Made {
    pub(crate) key: Key,
    pub(crate) token: String,
    pub(crate) revision: i64,
}

/// Makes a key.
pub(crate) async fn create(admin: &mut Admin, request: CreateKeyRequest) -> Made {
    let made = admin.create_key(request).await.unwrap().into_inner();
    assert!(!made.token.is_empty());
    Made { key: made.key.unwrap(), token: made.token, revision: made.revision }
}

/// Whether a token may read systems in production.
pub(crate) fn may_read(token: &str) -> AuthorizeRequest {
    AuthorizeRequest {
        key: token.into(),
        environment: "production".into(),
        permission: "systems.read".into(),
        ..AuthorizeRequest::default()
    }
}

/// A client of `Authorize`.
#[derive(Clone)]
pub(crate) struct Asker(pub(crate) AuthorizeClient<Channel>);

impl Asker {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(AuthorizeClient::new(channel))
    }

    /// The answer to a request; if it wants a revision, from whenever that is there: a loaded machine
    /// may take longer than a call waits.
    pub(crate) async fn ask(&mut self, request: AuthorizeRequest) -> AuthorizeResponse {
        eventually("the revision is reached", async || {
            match self.0.authorize(request.clone()).await {
                Ok(response) => Some(response.into_inner()),
                Err(status) if reason_of(&status) == "REVISION_NOT_REACHED" => None,
                Err(status) => panic!("{status:?}"),
            }
        })
        .await
    }

    /// The verdict on a token that wants to read systems, with knowledge of a revision: `ALLOWED`,
    /// or the reason of a denial. Waits for the revision for as long as that takes.
    pub(crate) async fn verdict(&mut self, token: &str, revision: i64) -> String {
        let request = AuthorizeRequest { min_revision: revision, ..may_read(token) };
        let response = eventually("the replica reaches the revision", async || {
            match self.0.authorize(request.clone()).await {
                Ok(response) => Some(response.into_inner()),
                Err(status) if status.code() == Code::Unavailable => None,
                Err(status) => panic!("{status:?}"),
            }
        });
        verdict(&response.await)
    }
}

impl Asker {
    /// Waits until the verdict on a token is this one, without asking for any revision.
    pub(crate) async fn until(&mut self, token: &str, expected: &str) {
        let mut last = String::new();
        let reached = tokio::time::timeout(TIME_MAX, async {
            while last != expected {
                last = self.verdict(token, 0).await;
            }
        });
        let in_time = reached.await.is_ok();
        assert!(in_time, "not {expected} within {TIME_MAX:?}, but {last}");
    }
}

/// `ALLOWED`, or the status and reason of a denial.
pub(crate) fn verdict(response: &AuthorizeResponse) -> String {
    let reason = pb::Reason::try_from(response.reason).unwrap();
    match (response.allowed, reason) {
        (true, pb::Reason::Unspecified) => {
            assert_eq!(response.http_status, 200);
            "ALLOWED".into()
        }
        (false, reason) => {
            let name = reason.as_str_name().strip_prefix("REASON_").unwrap();
            format!("{} {name}", response.http_status)
        }
        (true, reason) => panic!("allowed with {reason:?}"),
    }
}

/// What programs match on in an error; empty if it is not one of ours.
pub(crate) fn reason_of(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == "keyward");
    info.map(|info| info.reason.clone()).unwrap_or_default()
}

/// Asserts what an error is, down to its details.
pub(crate) fn assert_status<T>(result: Result<T, Status>, code: Code, reason: &str) -> Status {
    let Err(status) = result else {
        panic!("succeeded; expected {code:?} {reason}");
    };
    let found = (status.code(), reason_of(&status));
    assert_eq!(found, (code, reason.to_owned()), "{status:?}");
    status
}

/// Asserts that a call was refused for want of this permission.
pub(crate) fn assert_not_permitted<T>(result: Result<T, Status>, permission: &str) {
    let status = assert_status(result, Code::PermissionDenied, "PERMISSION_MISSING");
    let details = status.get_error_details();
    let named = details.error_info().and_then(|info| info.metadata.get("permission").cloned());
    assert_eq!(named.as_deref(), Some(permission), "{status:?}");
}

/// Asserts that a call was refused because an admin key may do more than its caller.
pub(crate) fn assert_outranks<T>(result: Result<T, Status>) {
    assert_status(result, Code::PermissionDenied, "OUTRANKS_CALLER");
}

/// Asserts that a request was refused for these fields, in this order.
pub(crate) fn assert_invalid<T>(result: Result<T, Status>, fields: &[&str]) {
    let status = assert_status(result, Code::InvalidArgument, "INVALID_FIELD");
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.as_slice());
    let named: Vec<_> = violations.unwrap_or_default().iter().map(|v| v.field.as_str()).collect();
    assert_eq!(named, fields, "{status:?}");
}
