//! The service without its logic: each answer has the fields and sizes of one to a key without labels.

mod ext_authz;

use std::pin::Pin;

use keyward::rpc::pb::{
    AuthorizeRequest, AuthorizeResponse, BatchAuthorizeRequest, BatchAuthorizeResponse, LimitKind,
    LimitScope, LimitState, SettleRequest, SettleResponse, authorize_server::Authorize,
};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// Allows everything.
#[derive(Clone, Copy, Debug)]
pub struct Echo {
    /// Whether answers tell the state of one limit.
    pub limits: bool,
    /// Whether it is Envoy that asks.
    pub ext_authz: bool,
}

impl Echo {
    /// As the flags say: `--limits`, `--ext-authz`, both or nothing.
    pub fn from_arguments() -> Self {
        let has = |flag: &str| std::env::args().any(|argument| argument == flag);
        Self { limits: has("--limits"), ext_authz: has("--ext-authz") }
    }

    fn answer(self) -> AuthorizeResponse {
        let second = prost_types::Duration { seconds: 1, nanos: 0 };
        let limit = || LimitState {
            name: "steady".to_owned(),
            scope: LimitScope::Key.into(),
            kind: LimitKind::Rate.into(),
            limit: 1_000_000,
            window: Some(second),
            remaining: 999_999,
            reset: Some(prost_types::Duration { seconds: 0, nanos: 1000 }),
            exceeded: false,
            cost_too_high: false,
        };
        AuthorizeResponse {
            allowed: true,
            http_status: 200,
            key_id: "key_01hf7yat00fzzvzzzzzzzzzzzz".to_owned(),
            domain: "default".to_owned(),
            revision: 1,
            data_age: Some(prost_types::Duration { seconds: 0, nanos: 250_000_000 }),
            decision_id: "dec_0123456789abcdef012345".to_owned(),
            limits: if self.limits { vec![limit()] } else { Vec::new() },
            ..AuthorizeResponse::default()
        }
    }
}

#[tonic::async_trait]
impl Authorize for Echo {
    type StreamAuthorizeStream =
        Pin<Box<dyn Stream<Item = Result<AuthorizeResponse, Status>> + Send>>;

    async fn authorize(
        &self,
        _request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        Ok(Response::new(self.answer()))
    }

    async fn batch_authorize(
        &self,
        request: Request<BatchAuthorizeRequest>,
    ) -> Result<Response<BatchAuthorizeResponse>, Status> {
        let responses = request.get_ref().requests.iter().map(|_| self.answer()).collect();
        Ok(Response::new(BatchAuthorizeResponse { responses }))
    }

    async fn stream_authorize(
        &self,
        request: Request<Streaming<AuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        let echo = *self;
        let answers = request.into_inner().map(move |request| request.map(|_| echo.answer()));
        Ok(Response::new(Box::pin(answers)))
    }

    async fn settle(
        &self,
        _request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        Ok(Response::new(SettleResponse { difference: 0 }))
    }
}
