//! The layer, and the one question that it asks for each request.

use std::{
    collections::HashMap,
    mem,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, OriginalUri},
    http::{Request, Response, header::HeaderName},
};
use tonic::{Code, Status, transport::Channel};
use tower::{Layer, Service};

use super::{
    key,
    pb::{AuthorizeRequest, AuthorizeResponse, authorize_client::AuthorizeClient},
    refusal::Refusal,
};

/// How long a decision may take, if nothing else is said. Keyward mostly needs far less than a millisecond.
const DEADLINE: Duration = Duration::from_millis(250);

/// Whose key a request has; an extension of requests that have passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The key's id.
    pub key_id: String,
    /// The domain that it belongs to.
    pub domain: String,
    /// The user whom it acts for.
    pub user: Option<String>,
    /// The key's labels.
    pub labels: HashMap<String, String>,
}

/// Asks Keyward about each request. Clones share one connection, on which questions do not wait for each other.
#[derive(Clone, Debug)]
pub struct KeywardLayer {
    client: AuthorizeClient<Channel>,
    question: Arc<Question>,
}

/// What is the same in all questions.
#[derive(Clone, Debug)]
struct Question {
    environment: String,
    permission: String,
    key_header: HeaderName,
    deadline: Duration,
}

impl KeywardLayer {
    /// Asks whether a key may do what the route map of its domain says for the request's method and path, in
    /// this environment. The key is in `x-api-key` or `Authorization: Bearer`.
    pub fn new(channel: Channel, environment: impl Into<String>) -> Self {
        let question = Question {
            environment: environment.into(),
            permission: String::new(),
            key_header: HeaderName::from_static("x-api-key"),
            deadline: DEADLINE,
        };
        Self { client: AuthorizeClient::new(channel), question: Arc::new(question) }
    }

    /// Asks for this permission, whatever the route map says.
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.question).permission = permission.into();
        self
    }

    /// How long a decision may take before the request is refused with 503.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        Arc::make_mut(&mut self.question).deadline = deadline;
        self
    }

    /// Takes the key out of the request and makes the question of the rest.
    fn question(&self, request: &mut Request<Body>) -> Result<AuthorizeRequest, Refusal> {
        let key = key::take(request.headers_mut(), &self.question.key_header)
            .map_err(|key::AmbiguousKey| Refusal::Unauthorized)?;
        let extensions = request.extensions();
        // A nested router sees a shorter path.
        let uri = extensions.get().map_or(request.uri(), |OriginalUri(uri)| uri);
        let peer = extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(AuthorizeRequest {
            key,
            environment: self.question.environment.clone(),
            route: uri.path().to_owned(),
            method: request.method().as_str().to_owned(),
            permission: self.question.permission.clone(),
            client_address: peer.map(|peer| peer.0.ip().to_string()).unwrap_or_default(),
            ..AuthorizeRequest::default()
        })
    }

    async fn ask(&self, question: AuthorizeRequest) -> Result<Identity, Refusal> {
        let deadline = self.question.deadline;
        let mut client = self.client.clone();
        let mut call = tonic::Request::new(question);
        call.set_timeout(deadline);
        // Also ends the wait for a connection, which the deadline of the call does not.
        match tokio::time::timeout(deadline, client.authorize(call)).await {
            Ok(Ok(answer)) => judge(answer.into_inner()),
            Ok(Err(status)) => Err(failed(&status)),
            Err(elapsed) => {
                tracing::warn!(error = %elapsed, "Keyward has not answered in time");
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// Only `allowed` allows.
fn judge(answer: AuthorizeResponse) -> Result<Identity, Refusal> {
    if !answer.allowed {
        return Err(Refusal::of(&answer));
    }
    Ok(Identity {
        key_id: answer.key_id,
        domain: answer.domain,
        user: Some(answer.user).filter(|user| !user.is_empty()),
        labels: answer.labels,
    })
}

/// An error is never about the key: either we have asked wrongly, or Keyward cannot know.
fn failed(status: &Status) -> Refusal {
    if status.code() == Code::InvalidArgument {
        tracing::error!(error = %status, "Keyward does not understand the question");
        return Refusal::Misconfigured;
    }
    tracing::warn!(error = %status, "Keyward cannot be asked");
    Refusal::Unavailable
}

impl<S> Layer<S> for KeywardLayer {
    type Service = KeywardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        KeywardService { inner, layer: self.clone() }
    }
}

/// A service behind [`KeywardLayer`].
#[derive(Clone, Debug)]
pub struct KeywardService<S> {
    inner: S,
    layer: KeywardLayer,
}

impl<S> Service<Request<Body>> for KeywardService<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The one that said it is ready answers; its clone is for the next request.
        let next = self.inner.clone();
        let mut ready = mem::replace(&mut self.inner, next);
        let layer = self.layer.clone();
        Box::pin(async move {
            let decided = match layer.question(&mut request) {
                Ok(question) => layer.ask(question).await,
                Err(refusal) => Err(refusal),
            };
            match decided {
                Ok(identity) => {
                    request.extensions_mut().insert(identity);
                    ready.call(request).await
                }
                Err(refusal) => Ok(refusal.into_response()),
            }
        })
    }
}
