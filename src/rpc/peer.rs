//! Who is at the other end of a connection.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use http::Extensions;

use crate::tls::identity::Identity;

/// Who is at the other end of a connection: an extension of each of its requests.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    address: Option<SocketAddr>,
    /// Set when the handshake of TLS is over, which is before the first request.
    identity: Arc<OnceLock<Identity>>,
}

impl Peer {
    /// Somebody at an address.
    pub(in crate::rpc) fn new(address: Option<SocketAddr>) -> Self {
        Self { address, identity: Arc::default() }
    }

    /// The peer that a request is from, if it came over a connection.
    pub fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    /// Where the connection is from.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whom the client's certificate names; `None` if it was not asked for one.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    /// Notes whom the client's certificate names.
    pub(in crate::rpc) fn identify(&self, identity: Identity) {
        self.identity.get_or_init(|| identity);
    }
}

/// Where a request came from.
pub(in crate::rpc) fn address<T>(request: &tonic::Request<T>) -> Option<IpAddr> {
    let peer: Option<&Peer> = request.extensions().get();
    peer.and_then(Peer::address).map(|address| address.ip())
}
