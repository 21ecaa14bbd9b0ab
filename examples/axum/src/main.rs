//! A small service: who may read reports or change systems is Keyward's to say.

mod keyward;

use std::{env, error::Error, net::SocketAddr, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::Path,
    routing::{any, get},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal};
use tonic::transport::Endpoint;

use crate::keyward::{Identity, KeywardLayer};

/// How long a decision may take before a request is refused with 503.
const DEADLINE: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let url = env::var("KEYWARD_URL").unwrap_or_else(|_unset| "http://127.0.0.1:50051".into());
    let address = env::var("LISTEN").unwrap_or_else(|_unset| "127.0.0.1:8081".into());

    // Connects when it is first needed, and again whenever the connection is lost.
    let channel = Endpoint::from_shared(url)?.connect_lazy();
    let keyward = KeywardLayer::new(channel, "production").deadline(DEADLINE);
    let app = Router::new()
        // The route map of the key's domain says what a system needs.
        .route("/api/systems/{id}", any(system))
        .route_layer(keyward.clone())
        // This one names its permission itself.
        .merge(
            Router::new()
                .route("/reports", get(reports))
                .route_layer(keyward.permission("reports.read")),
        )
        .route("/healthz", get(async || "good\n"));

    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async {
            let _ended = signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

async fn reports(Extension(identity): Extension<Identity>) -> Json<Value> {
    Json(json!({ "reports": [], "key": identity.key_id, "domain": identity.domain }))
}

async fn system(Path(id): Path<String>, Extension(identity): Extension<Identity>) -> Json<Value> {
    Json(json!({ "system": id, "key": identity.key_id, "user": identity.user }))
}
