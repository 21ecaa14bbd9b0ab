//! What stands for an OpenTelemetry collector: one that takes all, one that hangs, one that is not there.

use std::{
    net::{SocketAddr, TcpListener},
    thread,
};

use anyhow::Result;
use bytes::Bytes;
use h2::server::{SendResponse, handshake};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::{net::TcpStream, runtime::Builder};

/// Of a message without fields: not compressed, no bytes.
const EMPTY: &[u8] = &[0; 5];

/// How a collector behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collector {
    Takes,
    /// Accepts connections and never says anything.
    Hangs,
    /// Nobody listens.
    Absent,
}

impl Collector {
    /// Begins to behave so, for as long as the bench runs, on the core of whoever calls this.
    pub fn start(self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        match self {
            Self::Absent => drop(listener),
            // the backlog takes connections that nobody accepts
            Self::Hangs => std::mem::forget(listener),
            Self::Takes => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let _detached = thread::spawn(move || runtime.block_on(take_all(listener)));
            }
        }
        Ok(address)
    }
}

async fn take_all(listener: TcpListener) -> Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(take_from(socket));
    }
}

async fn take_from(socket: TcpStream) -> Result<()> {
    let mut connection = handshake(socket).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(take(request, respond));
    }
    Ok(())
}

async fn take(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> Result<()> {
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        let length = data?.len();
        body.flow_control().release_capacity(length)?;
    }
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut answer = respond.send_response(head, false)?;
    answer.send_data(Bytes::from_static(EMPTY), false)?;
    let trailers = [("grpc-status".parse()?, HeaderValue::from_static("0"))];
    answer.send_trailers(HeaderMap::from_iter(trailers))?;
    Ok(())
}
