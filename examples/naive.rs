//! What one would write instead: a service that asks PostgreSQL about each key, over the tables of
//! Keyward, and notes there when it was last used. Flag: `--no-update` leaves that away.
//!
//! `DATABASE_URL` says where, `KEYWARD_PEPPER` what digests are keyed with.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench ends where anything goes wrong, and nothing here is part of the service"
)]

use std::{net::TcpListener, pin::Pin, sync::Arc};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use keyward::{
    model::{
        id::KeyId,
        secret::{Brand, Pepper, PresentedKey},
    },
    rpc::pb::{
        AuthorizeRequest, AuthorizeResponse, BatchAuthorizeRequest, BatchAuthorizeResponse, Reason,
        SettleRequest, SettleResponse,
        authorize_server::{Authorize, AuthorizeServer},
    },
};
use tokio_postgres::NoTls;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming, transport::Server};

const CONNECTIONS: usize = 16;

const FIND: &str = "SELECT id::text, domain, environment, permissions,
        standing = 'active' AND deleted_at IS NULL AS active,
        coalesce(expire_at <= now(), false) AS expired
    FROM keyward.key WHERE digest = $1";

/// The first use makes the row, later ones update it.
const NOTE: &str =
    "INSERT INTO keyward.key_usage (key_id, last_used_at) VALUES ($1::text::uuid, now())
    ON CONFLICT (key_id) DO UPDATE SET last_used_at = now()";

struct Naive {
    pool: Pool,
    brand: Brand,
    pepper: Pepper,
    update: bool,
}

/// What was found of a key.
struct Found {
    id: String,
    domain: String,
    environment: String,
    permissions: Vec<String>,
    active: bool,
    expired: bool,
}

impl Naive {
    async fn decide(&self, request: &AuthorizeRequest) -> AuthorizeResponse {
        let Ok(presented) = PresentedKey::parse(&request.key, &self.brand) else {
            return denied(Reason::KeyMalformed, 401);
        };
        let digest = presented.digest(&self.pepper);
        let client = self.pool.get().await.unwrap();
        let find = client.prepare_cached(FIND).await.unwrap();
        let Some(row) = client.query_opt(&find, &[&&digest.bytes()[..]]).await.unwrap() else {
            return denied(Reason::KeyUnknown, 401);
        };
        let found = Found {
            id: row.try_get(0).unwrap(),
            domain: row.try_get(1).unwrap(),
            environment: row.try_get(2).unwrap(),
            permissions: row.try_get(3).unwrap(),
            active: row.try_get(4).unwrap(),
            expired: row.try_get(5).unwrap(),
        };
        if !found.active {
            return denied(Reason::KeyInactive, 401);
        }
        if found.expired {
            return denied(Reason::KeyExpired, 401);
        }
        if found.environment != request.environment {
            return denied(Reason::EnvironmentMismatch, 401);
        }
        if !found.permissions.contains(&request.permission) {
            return denied(Reason::PermissionDenied, 403);
        }
        if self.update {
            let note = client.prepare_cached(NOTE).await.unwrap();
            client.execute(&note, &[&found.id]).await.unwrap();
        }
        allowed(&found)
    }
}

fn allowed(found: &Found) -> AuthorizeResponse {
    let uuid = u128::from_str_radix(&found.id.replace('-', ""), 16).unwrap();
    AuthorizeResponse {
        allowed: true,
        http_status: 200,
        key_id: KeyId::from_bytes(uuid.to_be_bytes()).to_string(),
        domain: found.domain.clone(),
        ..AuthorizeResponse::default()
    }
}

fn denied(reason: Reason, http_status: i32) -> AuthorizeResponse {
    AuthorizeResponse { http_status, reason: reason.into(), ..AuthorizeResponse::default() }
}

#[tonic::async_trait]
impl Authorize for Naive {
    type StreamAuthorizeStream =
        Pin<Box<dyn Stream<Item = Result<AuthorizeResponse, Status>> + Send>>;

    async fn authorize(
        &self,
        request: Request<AuthorizeRequest>,
    ) -> Result<Response<AuthorizeResponse>, Status> {
        Ok(Response::new(self.decide(request.get_ref()).await))
    }

    async fn batch_authorize(
        &self,
        request: Request<BatchAuthorizeRequest>,
    ) -> Result<Response<BatchAuthorizeResponse>, Status> {
        let mut responses = Vec::new();
        for request in &request.get_ref().requests {
            responses.push(self.decide(request).await);
        }
        Ok(Response::new(BatchAuthorizeResponse { responses }))
    }

    async fn stream_authorize(
        &self,
        _request: Request<Streaming<AuthorizeRequest>>,
    ) -> Result<Response<Self::StreamAuthorizeStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::empty())))
    }

    async fn settle(
        &self,
        _request: Request<SettleRequest>,
    ) -> Result<Response<SettleResponse>, Status> {
        Ok(Response::new(SettleResponse { difference: 0 }))
    }
}

#[tokio::main]
async fn main() {
    let config = std::env::var("DATABASE_URL").unwrap().parse().unwrap();
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config, NoTls, recycling);
    let naive = Arc::new(Naive {
        pool: Pool::builder(manager).max_size(CONNECTIONS).build().unwrap(),
        brand: Brand::parse("kw").unwrap(),
        pepper: Pepper::parse(std::env::var("KEYWARD_PEPPER").unwrap().as_bytes()).unwrap(),
        update: !std::env::args().any(|argument| argument == "--no-update"),
    });
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let serving = Server::builder().add_service(AuthorizeServer::from_arc(naive)).serve(address);
    println!("listening on {address}");
    serving.await.unwrap();
}
